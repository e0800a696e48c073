"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .clockify.source import ClockifySource
from .azure_devops.source import AzureDevOpsSource
from .asana.source import AsanaSource
from .clickup.source import ClickUpSource
from .generic.source import GenericSource
from .gitea.source import GiteaSource
from .github.source import GitHubSource
from .harvest.source import HarvestSource
from .gitlab.source import GitLabSource
from .jira.source import JiraSource
from .linear.source import LinearSource
from .openproject.source import OpenProjectSource
from .redmine.source import RedmineSource
from .source import Source
from .stripe.source import StripeSource
from .tempo.source import TempoSource
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
        ClockifySource(),
        AzureDevOpsSource(),
        AsanaSource(),
        ClickUpSource(),
        GenericSource(),
        GitHubSource(),
        HarvestSource(),
        GitLabSource(),
        GiteaSource(),
        JiraSource(),
        LinearSource(),
        OpenProjectSource(),
        RedmineSource(),
        StripeSource(),
        TempoSource(),
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
