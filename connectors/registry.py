"""Every system that Billhook can bill through or report to: one line each, and nothing else to do.

`worker.py` and the commands look connectors up here by the word that stands in `workspace.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .asana.connector import AsanaConnector
from .azure_devops.connector import AzureDevOpsConnector
from .clickup.connector import ClickUpConnector
from .clockify.connector import ClockifyConnector
from .connector import BillingConnector, ProjectConnector
from .einvoice.connector import EInvoiceConnector
from .erpnext.connector import ErpnextConnector
from .file.connector import FileConnector
from .freeagent.connector import FreeAgentConnector
from .freshbooks.connector import FreshBooksConnector
from .gitea.connector import GiteaConnector
from .github.connector import GitHubConnector
from .gitlab.connector import GitLabConnector
from .harvest.connector import HarvestConnector
from .invoice_ninja.connector import InvoiceNinjaConnector
from .jira.connector import JiraConnector
from .journal.connector import JournalConnector
from .linear.connector import LinearConnector
from .odoo.connector import OdooConnector
from .openproject.connector import OpenProjectConnector
from .plane.connector import PlaneConnector
from .quickbooks.connector import QuickBooksConnector
from .redmine.connector import RedmineConnector
from .shortcut.connector import ShortcutConnector
from .stripe.connector import StripeConnector
from .tempo.connector import TempoConnector
from .toggl.connector import TogglConnector
from .trello.connector import TrelloConnector
from .tryton.connector import TrytonConnector
from .xero.connector import XeroConnector
from .zoho_books.connector import ZohoBooksConnector

BILLING: Final[dict[str, type[BillingConnector]]] = {
    StripeConnector.key: StripeConnector,
    FileConnector.key: FileConnector,
    EInvoiceConnector.key: EInvoiceConnector,
    XeroConnector.key: XeroConnector,
    QuickBooksConnector.key: QuickBooksConnector,
    JournalConnector.key: JournalConnector,
    OdooConnector.key: OdooConnector,
    InvoiceNinjaConnector.key: InvoiceNinjaConnector,
    ErpnextConnector.key: ErpnextConnector,
    FreeAgentConnector.key: FreeAgentConnector,
    FreshBooksConnector.key: FreshBooksConnector,
    ZohoBooksConnector.key: ZohoBooksConnector,
    TrytonConnector.key: TrytonConnector,
}
"""Code may add to it before a process begins to work, as `torture/` does in its own processes;
nothing that is configured can."""


def billing_connectors() -> Mapping[str, type[BillingConnector]]:
    """Return the billing connectors by the word in `send_to:`."""
    return BILLING


def project_connectors() -> Mapping[str, type[ProjectConnector]]:
    """Return the project connectors by the name of their tool."""
    return {
        AsanaConnector.key: AsanaConnector,
        AzureDevOpsConnector.key: AzureDevOpsConnector,
        ClickUpConnector.key: ClickUpConnector,
        ClockifyConnector.key: ClockifyConnector,
        GiteaConnector.key: GiteaConnector,
        GitHubConnector.key: GitHubConnector,
        GitLabConnector.key: GitLabConnector,
        HarvestConnector.key: HarvestConnector,
        JiraConnector.key: JiraConnector,
        LinearConnector.key: LinearConnector,
        OpenProjectConnector.key: OpenProjectConnector,
        PlaneConnector.key: PlaneConnector,
        RedmineConnector.key: RedmineConnector,
        ShortcutConnector.key: ShortcutConnector,
        TempoConnector.key: TempoConnector,
        TogglConnector.key: TogglConnector,
        TrelloConnector.key: TrelloConnector,
    }
