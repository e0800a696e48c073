"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .generic.source import GenericSource
from .gitea.source import GiteaSource
from .github.source import GitHubSource
from .gitlab.source import GitLabSource
from .jira.source import JiraSource
from .source import Source
from .stripe.source import StripeSource


@cache
def sources() -> Mapping[str, Source]:
    """Return all sources by key."""
    every: tuple[Source, ...] = (
        GenericSource(),
        GitHubSource(),
        GitLabSource(),
        GiteaSource(),
        JiraSource(),
        StripeSource(),
    )
    return MappingProxyType({source.key: source for source in every})
