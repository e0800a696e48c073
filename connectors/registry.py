"""Every system that Billhook can bill through or report to: one line each, and nothing else to do.

`worker.py` and the commands look connectors up here by the word that stands in `workspace.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .clockify.connector import ClockifyConnector
from .azure_devops.connector import AzureDevOpsConnector
from .asana.connector import AsanaConnector
from .clickup.connector import ClickUpConnector
from .connector import BillingConnector, ProjectConnector
from .file.connector import FileConnector
from .gitea.connector import GiteaConnector
from .github.connector import GitHubConnector
from .harvest.connector import HarvestConnector
from .gitlab.connector import GitLabConnector
from .jira.connector import JiraConnector
from .linear.connector import LinearConnector
from .openproject.connector import OpenProjectConnector
from .redmine.connector import RedmineConnector
from .shortcut.connector import ShortcutConnector
from .stripe.connector import StripeConnector
from .tempo.connector import TempoConnector
from .toggl.connector import TogglConnector


def billing_connectors() -> Mapping[str, type[BillingConnector]]:
    """Return the billing connectors by the word in `send_to:`."""
    return {
        StripeConnector.key: StripeConnector,
        FileConnector.key: FileConnector,
    }


def project_connectors() -> Mapping[str, type[ProjectConnector]]:
    """Return the project connectors by the name of their tool."""
    return {
        JiraConnector.key: JiraConnector,
        GitHubConnector.key: GitHubConnector,
        HarvestConnector.key: HarvestConnector,
        TempoConnector.key: TempoConnector,
        AsanaConnector.key: AsanaConnector,
        ClickUpConnector.key: ClickUpConnector,
        ShortcutConnector.key: ShortcutConnector,
        TogglConnector.key: TogglConnector,
        ClockifyConnector.key: ClockifyConnector,
        AzureDevOpsConnector.key: AzureDevOpsConnector,
        LinearConnector.key: LinearConnector,
        GitLabConnector.key: GitLabConnector,
        GiteaConnector.key: GiteaConnector,
        OpenProjectConnector.key: OpenProjectConnector,
        RedmineConnector.key: RedmineConnector,
    }
