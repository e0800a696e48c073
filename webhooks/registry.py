"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .generic.source import GenericSource
from .github.source import GitHubSource
from .jira.source import JiraSource
from .openproject.source import OpenProjectSource
from .redmine.source import RedmineSource
from .source import Source
from .stripe.source import StripeSource
from .toggl.source import TogglSource


@cache
def sources() -> Mapping[str, Source]:
    """Return all sources by key."""
    every: tuple[Source, ...] = (
        GenericSource(),
        GitHubSource(),
        JiraSource(),
        OpenProjectSource(),
        RedmineSource(),
        StripeSource(),
        TogglSource(),
    )
    return MappingProxyType({source.key: source for source in every})
