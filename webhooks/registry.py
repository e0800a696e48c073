"""Every source, one line a tool. The receiver, the worker and the command line look here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .asana.source import AsanaSource
from .azure_devops.source import AzureDevOpsSource
from .clickup.source import ClickUpSource
from .clockify.source import ClockifySource
from .generic.source import GenericSource
from .gitea.source import GiteaSource
from .github.source import GitHubSource
from .gitlab.source import GitLabSource
from .harvest.source import HarvestSource
from .jira.source import JiraSource
from .kanboard.source import KanboardSource
from .linear.source import LinearSource
from .monday.source import MondaySource
from .openproject.source import OpenProjectSource
from .plane.source import PlaneSource
from .quickbooks.source import QuickBooksSource
from .redmine.source import RedmineSource
from .shortcut.source import ShortcutSource
from .source import Source
from .stripe.source import StripeSource
from .taiga.source import TaigaSource
from .tempo.source import TempoSource
from .toggl.source import TogglSource
from .trello.source import TrelloSource
from .xero.source import XeroSource


@cache
def sources() -> Mapping[str, Source]:
    """Return all sources by key."""
    every: tuple[Source, ...] = (
        AsanaSource(),
        AzureDevOpsSource(),
        ClickUpSource(),
        ClockifySource(),
        GenericSource(),
        GiteaSource(),
        GitHubSource(),
        GitLabSource(),
        HarvestSource(),
        JiraSource(),
        KanboardSource(),
        LinearSource(),
        MondaySource(),
        OpenProjectSource(),
        PlaneSource(),
        QuickBooksSource(),
        RedmineSource(),
        ShortcutSource(),
        StripeSource(),
        TaigaSource(),
        TempoSource(),
        TogglSource(),
        TrelloSource(),
        XeroSource(),
    )
    return MappingProxyType({source.key: source for source in every})
