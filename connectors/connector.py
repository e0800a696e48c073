"""What a connector must do: the two interfaces between the ledger and the systems outside.

A connector is thin: it translates and reports. It never decides what to bill
(`mappings/`), when to try again (`worker.py`) or what is true (`ledger/`). Every method
raises one of the `ConnectorError` kinds of `ledger.errors`; anything else that escapes
is a bug.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from ledger.events import Event, Fact
from ledger.invoices import InvoiceDraft
from ledger.payments import Amounts

from .http import Http


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that an admin writes under this connector in `workspace.yaml`."""

    name: str
    help: str
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a billing system can do. The ledger asks this, never the system's name."""

    native_draft: bool
    """The system has drafts that nobody owes yet."""
    idempotency_keys: bool
    """A repeated request with the same key is carried out once."""
    key_life: timedelta
    """How long a key is surely remembered; zero without keys."""
    most_lines: int
    """The most printed lines that one invoice takes."""
    quantity_places: int
    """Decimal places of a quantity that survive unchanged."""
    finalize: bool = False
    """`finalize` is there."""
    void: bool = False


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice as the billing system sees it now."""

    remote_id: str
    reference: str | None
    """Our own reference, as written there when it was created."""
    amounts: Amounts
    lines: int | None = None
    """How many lines it has; None where the system does not say."""
    is_complete: bool = True
    """False while a creation in several calls has not been finished."""
    number: str | None = None
    url: str | None = None
    """Where a person looks at it."""


class BillingConnector(ABC):
    """A billing or accounting system that takes our invoice drafts."""

    key: ClassVar[str]
    """Folder name and the word in `send_to:`."""
    name: ClassVar[str]
    """As the vendor spells it."""
    docs_url: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    abilities: ClassVar[Abilities]

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        self.configured = settings
        self.http = http

    @abstractmethod
    def check(self) -> str:
        """Prove that the settings work without changing anything; return the account's name."""

    @abstractmethod
    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        """Return the remote id of the draft's customer: found by our customer key, else created."""

    @abstractmethod
    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        """Find an invoice by our own reference by a read that is never stale; None proves absence.

        Raise PermanentError if there are two: a person must look.
        """

    @abstractmethod
    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        """Create the draft with all lines; with the same key, finish or return the first one."""

    @abstractmethod
    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        """Finish a draft that `find_invoice` found incomplete; return a complete one as it is."""

    @abstractmethod
    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        """Delete a draft; one that is gone already is a success."""

    @abstractmethod
    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        """Return the invoice with what was paid, credited, refunded and disputed."""

    @abstractmethod
    def invoices_for(self, hint: str) -> list[str]:
        """Return the remote ids of the invoices that a webhook's hint is about.

        A hint is the subject of an `invoice.changed` event: `invoice:in_1`, `payment:pi_1`.
        """

    @abstractmethod
    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        """Return the remote ids that changed since the cursor, and the next cursor."""

    def finalize(self, remote_id: str, *, send: bool, idempotency_key: str) -> RemoteInvoice:
        """Make the draft an open invoice, and have it sent if `send`; only if a policy asks."""
        raise NotImplementedError(f"{self.key} declares abilities.finalize but does not do it")


@dataclass(frozen=True, slots=True)
class Report:
    """What a project tool is told about one subject: the present status, in one object there."""

    subject: str
    item: str | None
    """The issue's key or number where the note belongs; None where the tool must find it."""
    project: str | None
    fields: Mapping[str, object]
    """The event's own fields (a commit's sha, a milestone's number)."""
    invoice: str
    """Our reference."""
    state: str
    """The invoice's state and payment in words: "draft", "paid", "partially paid"."""
    url: str | None = None
    marker: str = ""
    """Written into the note, so that it is found and changed in place: never added twice."""


class ProjectConnector(ABC):
    """A project tool: asked for what its webhooks leave out, told what became of the work."""

    key: ClassVar[str]
    name: ClassVar[str]
    docs_url: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        self.configured = settings
        self.http = http

    @abstractmethod
    def check(self) -> str:
        """Prove that the settings work without changing anything; return the account's name."""

    @abstractmethod
    def enrich(self, about: str) -> Fact | None:
        """Return what the tool tells about a thing (`issue:10014`), None if it has none like it."""

    @abstractmethod
    def report(self, report: Report) -> str:
        """Write the status into the tool, in place, once; return where it stands."""

    def changes_since(self, cursor: str | None) -> tuple[Iterable[Event], str]:
        """Return events that webhooks may have missed, and the next cursor."""
        raise NotImplementedError
