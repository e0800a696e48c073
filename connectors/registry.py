"""Every system that Billhook can bill through or report to: one line each, and nothing else to do.

`worker.py` and the commands look connectors up here by the word that stands in `workspace.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .connector import BillingConnector, ProjectConnector
from .file.connector import FileConnector
from .github.connector import GitHubConnector
from .jira.connector import JiraConnector
from .shortcut.connector import ShortcutConnector
from .stripe.connector import StripeConnector
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
        ShortcutConnector.key: ShortcutConnector,
        TogglConnector.key: TogglConnector,
    }
