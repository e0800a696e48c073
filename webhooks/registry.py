"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .generic.source import GenericSource
from .github.source import GitHubSource
from .jira.source import JiraSource
from .kanboard.source import KanboardSource
from .monday.source import MondaySource
from .plane.source import PlaneSource
from .shortcut.source import ShortcutSource
from .source import Source
from .stripe.source import StripeSource
from .taiga.source import TaigaSource
from .toggl.source import TogglSource
from .trello.source import TrelloSource


@cache
def sources() -> Mapping[str, Source]:
    """Return all sources by key."""
    every: tuple[Source, ...] = (
        GenericSource(),
        GitHubSource(),
        JiraSource(),
        KanboardSource(),
        MondaySource(),
        PlaneSource(),
        ShortcutSource(),
        StripeSource(),
        TaigaSource(),
        TogglSource(),
        TrelloSource(),
    )
    return MappingProxyType({source.key: source for source in every})
