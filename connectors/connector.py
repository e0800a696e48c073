"""What a connector must do: the two interfaces between the ledger and the systems outside.

A connector is thin: it translates and reports. It never decides what to bill
(`mappings/`), when to try again (`worker.py`) or what is true (`ledger/`). Every method
raises one of the `ConnectorError` kinds of `ledger.errors`; anything else that escapes
is a bug.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from ledger.errors import UnsupportedError
from ledger.events import Fact, Found
from ledger.invoices import InvoiceDraft
from ledger.money import Money, places_of, printed
from ledger.payments import Amounts
from ledger.shown import Shown, ShownLine

from .http import CountingHttp, Http
from .oauth import OAuth2


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that an admin writes under this connector in `workspace.yaml`."""

    name: str
    help: str
    secret: bool = False
    required: bool = True


EVERYTHING: Final = frozenset(("purchase_order", "memo", "footer", "due_date"))
"""What a draft may have besides its lines, and a system may be unable to show."""


ANY_PLACES: Final = 28
"""More decimal places than our quantities and prices have."""


CODING: Final = frozenset(("item", "account", "tax_code", "tracking"))
BOOKS: Final = frozenset(("customer", "create", *CODING))
"""The words of `books:`: who the customer is there, and where lines stand."""


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
    """The most decimal places of a quantity that a line there shows: as a number, or in its text
    where the amount is sent as it is (then `ANY_PLACES`). A draft with more is refused."""
    finalize: bool = False
    """`finalize` is there."""
    credit: bool = False
    """`credit` and `find_credit` are there: an invoice that is final can be lowered."""
    price_places: int = ANY_PLACES
    """The same of a unit price."""
    carries: frozenset[str] = EVERYTHING
    """Which of `EVERYTHING` an invoice there can show."""
    books: frozenset[str] = BOOKS
    """Which of `BOOKS` it has a use for."""
    below_zero: bool = True
    """An invoice there may come to less than nothing."""
    knows_payments: bool = True
    """It learns by itself what was paid. False: payments are recorded here (`ledger/recording.py`),
    beside those that people note there."""
    taxes: bool = False
    """It takes the taxes that we have calculated, and shows our total to the minor unit."""
    calculates_taxes: bool = False
    """It takes rates and calculates by itself: a draft that would come to other taxes there is
    refused with `taxes.TaxesDifferError` before anything is sent."""
    keeps_order: bool = True
    """It shows the lines in the order in which they were sent."""
    settles_after: timedelta = timedelta(seconds=60)
    """How long after a request whose outcome is unknown nothing can come of it any more: longer
    than the longest request that the system works on. Only then a look proves absence."""
    lines_per_call: int | None = None
    """The most lines that one request takes, where `add_lines` is there for the following ones;
    None: `create_draft` and `update_draft` take all of them."""


def misfits(abilities: Abilities, name: str, draft: InvoiceDraft) -> Iterator[str]:
    """Yield why a draft cannot go to the system of this name, and what to do about it."""
    if draft.taxes and not abilities.taxes:
        yield (
            f"has taxes, and {name} cannot take them - send it elsewhere with send_to:, or take "
            "taxes: out"
        )
    if len(draft.lines) > abilities.most_lines:
        yield (
            f"has {len(draft.lines)} lines, more than {abilities.most_lines} - group lines with "
            "one_line_per:"
        )
    if draft.total.minor < 0 and not abilities.below_zero and not draft.credits:
        yield (
            f"comes to {draft.total}, and {name} takes no invoice below zero - let it wait for "
            "more work, or settle it by hand"
        )
    for line in draft.lines:
        for what, number, most in (
            ("quantity", line.quantity, abilities.quantity_places),
            ("unit price", line.unit_price, abilities.price_places),
        ):
            if places_of(number) > most:
                yield (
                    f'has a {what} of {printed(number)} on "{line.description}", and {name} keeps '
                    f"{most} decimal places - round it in its rule, or send it elsewhere with "
                    "send_to:"
                )


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice as the billing system sees it now."""

    remote_id: str
    reference: str | None
    """Our own reference, as written there when it was created."""
    amounts: Amounts
    lines: tuple[ShownLine, ...] | None = None
    """All its lines, in order; None where the system does not say, or was not asked."""
    header: Mapping[str, str] = field(default_factory=dict)
    """What stands above and below the lines, by the same names as in `BillingConnector.shown`."""
    content_hash: str | None = None
    """Of our draft as it went out; None where that is not known."""
    is_complete: bool = True
    """False while a creation in several calls has not been finished."""
    number: str | None = None
    url: str | None = None
    """Where a person looks at it."""

    @property
    def shown(self) -> Shown | None:
        """Return what stands on it; None where the system does not say."""
        if self.lines is None:
            return None
        return Shown(Money(self.amounts.total, self.amounts.currency), self.lines, self.header)


@dataclass(frozen=True, slots=True)
class RemoteCredit:
    """A credit note as the billing system sees it."""

    remote_id: str
    reference: str | None
    """Our own reference, as written there."""
    total: Money
    """What is credited, above zero."""
    number: str | None = None
    url: str | None = None


class BillingConnector(ABC):
    """A billing or accounting system that takes our invoice drafts."""

    key: ClassVar[str]
    """Folder name and the word in `send_to:`."""
    name: ClassVar[str]
    """As the vendor spells it."""
    docs_url: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    abilities: ClassVar[Abilities]
    oauth: ClassVar[OAuth2 | None] = None
    """Where its tokens come from, if it takes OAuth 2; `self.http` then carries them."""

    @classmethod
    def able(cls, settings: Mapping[str, str]) -> Abilities:
        """Return what it can do with these settings, where that differs from `abilities`."""
        return cls.abilities

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        self.configured = settings
        self.http = http

    def has_answered(self) -> bool:
        """Return whether its system has answered anything since this connector was made.

        One that is reached without HTTP answers by being there.
        """
        return not isinstance(self.http, CountingHttp) or self.http.answers > 0

    @abstractmethod
    def check(self) -> str:
        """Prove that the settings work without changing anything; return the account's name.

        With its currency, and whether it is a test account, where the system tells.
        """

    def accounts(self) -> Mapping[str, str]:
        """Return what a new connection may bill through, name by id, for the setting that names it.

        Asked after a person has connected it, before that setting need be there.
        """
        return {}

    @abstractmethod
    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        """Return the remote id of the draft's customer: found, or created where that is agreed.

        A system where others enter customers, too, lets `customers.identified` decide: by
        `draft.customer.remote_id` if it is set, else by what else identifies it. Raise
        NoSuchCustomerError for such an id that is not there, PermanentError for what only the
        admin can say.
        """

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
    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        """Bring the remote draft up to this one: header and lines; return it complete.

        What an interrupted update has left is gone on with; where the draft stands already as it
        should, nothing is sent. Raise RejectedError for what is no draft any more: it is never
        changed then.
        """

    def add_lines(
        self, draft: InvoiceDraft, remote_id: str, first: int, *, idempotency_key: str
    ) -> RemoteInvoice:
        """Add the next `abilities.lines_per_call` lines, from the one with index `first` on.

        Only for systems with such an ability. There `create_draft` makes a draft without lines,
        and `update_draft` takes off the lines from the first one that differs on; both return
        what stands there, and it is not complete before the last line is.
        """
        raise NotImplementedError(f"{self.key} declares lines_per_call but does not do it")

    def must_fit(self, draft: InvoiceDraft) -> None:
        """Raise UnsupportedError for a draft that `abilities` say cannot go there as it is.

        A push asks before anything is sent; nothing is cut or rounded to make a draft fit.
        """
        if problem := next(misfits(self.abilities, self.name, draft), None):
            raise UnsupportedError(f"{self.key}: {draft.reference} {problem}")

    def shown(self, draft: InvoiceDraft) -> Shown:
        """Return how this system shows a draft: what a look at it must give."""
        return Shown(
            draft.total,
            tuple(
                ShownLine(line.description, line.amount, line.quantity, line.unit_price)
                for line in draft.lines
            ),
        )

    @abstractmethod
    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        """Delete a draft; one that is gone already is a success."""

    @abstractmethod
    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        """Return the invoice with what was paid, credited, refunded and disputed.

        A draft comes with all its lines. One that is not there any more is `deleted`.
        """

    @abstractmethod
    def invoices_for(self, hint: str) -> list[str]:
        """Return the remote ids of the invoices that a webhook's hint is about.

        A hint is the subject of an `invoice.changed` event: `invoice:in_1`, `payment:pi_1`.
        """

    @abstractmethod
    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        """Return the remote ids that changed since the cursor, and the next cursor."""

    def find_credit(self, reference: str, remote_invoice: str) -> RemoteCredit | None:
        """Find a credit note of an invoice by our own reference; None proves absence.

        One that was voided there is none. Raise PermanentError if there are two.
        """
        raise NotImplementedError(f"{self.key} declares abilities.credit but does not do it")

    def credit(
        self, draft: InvoiceDraft, remote_invoice: str, *, idempotency_key: str
    ) -> RemoteCredit:
        """Issue a credit note for an invoice that is final; `draft.total` is below zero.

        Money that was paid already is never paid out: it stays with the customer's account there.
        """
        raise NotImplementedError(f"{self.key} declares abilities.credit but does not do it")

    def made_since(self, moment: datetime) -> Iterator[RemoteInvoice]:
        """Yield every invoice with a reference of ours that was made at a moment or later.

        By a read that is never stale; older ones may come along. It is asked after a restore.
        """
        for remote_id in self.changes_since(None)[0]:
            found = self.fetch_invoice(remote_id)
            if found.reference is not None and found.amounts.document != "deleted":
                yield found

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


@dataclass(frozen=True, slots=True)
class Changes:
    """What a tool tells about the time since a cursor: one page of it, or all."""

    found: Sequence[Found]
    """Oldest first where the tool can sort. Telling something twice does no harm."""
    cursor: str
    """Where the next call goes on, in the connector's own words; stored with what was found."""
    is_all: bool = True
    """False if there is more at once: the next page. An interruption resumes there."""


class ProjectConnector(ABC):
    """A project tool: asked for what its webhooks leave out, told what became of the work."""

    key: ClassVar[str]
    name: ClassVar[str]
    docs_url: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    polls: ClassVar[bool] = False
    """`changes_since` is there: what webhooks missed is found."""
    poll_seconds: ClassVar[int] = 300
    """How long the clock waits between two polls; the vendor's limits decide."""
    lists_entries: ClassVar[bool] = False
    """`entries` is there: the tool's time entries of a period can be certified."""
    tells: ClassVar[str | None] = None
    """Where `report` writes, in words for the admin: "a comment on the issue"; None: nowhere."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        """Make a connector; nothing is sent. `settings` has the endpoint's name as `endpoint`."""
        self.configured = settings
        self.http = http

    @abstractmethod
    def check(self) -> str:
        """Prove that the settings work without changing anything; return the account's name."""

    def enrich(self, about: str) -> Fact | None:
        """Return what the tool tells about a thing (`issue:10014`), None if it has none like it."""
        return None

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        """Return what the tool tells about several things, in as few requests as it allows."""
        return {about: self.enrich(about) for about in abouts}

    def look_up(self, about: str) -> Sequence[Found]:
        """Return a thing that a delivery only named (`Reading.asks`), as it stands now.

        Empty if the tool has none like it (any more).
        """
        return ()

    def report(self, report: Report) -> str:
        """Write the status into the tool, in place, once; return where it stands."""
        raise UnsupportedError(
            f"{self.key}: {report.subject}: this tool is not told - look at the invoice in Billhook"
        )

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return what changed since the cursor: what webhooks may have missed.

        Without a cursor nothing is found and polling begins now: a tool's whole past would be
        billed otherwise. `now` (aware, UTC) is our clock; where the tool tells its own time, that
        is used instead. Each call reaches back far enough that nothing between two is missed.
        """
        raise NotImplementedError(f"{self.key} declares polls but does not do it")

    def entries(self, first: date, last: date) -> Iterator[Found]:
        """Yield every time entry whose date lies in the period, both days included.

        All people's, as the tool tells them now, running ones too (the source passes them over).
        """
        raise NotImplementedError(f"{self.key} declares lists_entries but does not do it")
