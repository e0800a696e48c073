"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .clockify.source import ClockifySource
from .generic.source import GenericSource
from .github.source import GitHubSource
from .harvest.source import HarvestSource
from .jira.source import JiraSource
from .source import Source
from .stripe.source import StripeSource
from .tempo.source import TempoSource
from .toggl.source import TogglSource


@cache
def sources() -> Mapping[str, Source]:
    """Return all sources by key."""
    every: tuple[Source, ...] = (
        ClockifySource(),
        GenericSource(),
        GitHubSource(),
        HarvestSource(),
        JiraSource(),
        StripeSource(),
        TempoSource(),
        TogglSource(),
    )
    return MappingProxyType({source.key: source for source in every})
