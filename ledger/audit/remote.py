"""`flask audit --deep`: what went out is held against what the billing systems have.

The ledger reads no remote system: the caller looks each invoice up and hands over what it saw.
It does so after the snapshot has been closed, because a database does not wait that long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import Connection, and_, func, or_, select

from ..amending import IS_AMENDED
from ..invoices import InvoiceDraft, draft_from_json
from ..money import Money
from ..payments import Amounts, Recorded, payment_of, together
from ..shown import Shown, ShownLine
from ..shown import differences as shown_differences
from ..tables import intent, invoice, payment
from .violations import Invariant, Violation, stream

REMOTE: Final = Invariant(
    "remote",
    "a billing system has one invoice for each reference, with our lines and total, and each "
    "credit note for as much as we credit",
    "open the named invoice at the billing system beside `flask invoices show`",
)
REMOTE_PAYMENTS: Final = Invariant(
    "remote payments",
    "what is stored of each invoice's payments is what its billing system says",
    "`flask sync` asks for everything now; then run the audit again, for money that came in just "
    "now is no mistake",
)
STRANGERS: Final = Invariant(
    "strangers",
    "each invoice at a billing system that carries our mark was sent by this ledger",
    "look whether its work is on another invoice too; if so, void it at the billing system",
)
DEEP: Final = (REMOTE, REMOTE_PAYMENTS, STRANGERS)
"""What is checked only with `--deep`."""
_WITHDRAWN: Final = ("void", "deleted")
_AMOUNTS: Final = ("document", "currency", "total", "paid", "credited", "refunded", "disputed")
_MORE: Final = ("overpaid", "is_settling")


@dataclass(frozen=True, slots=True)
class PushedInvoice:
    """An invoice that is at its billing system, as the ledger knows it."""

    reference: str
    connector: str
    remote_customer: str | None
    remote_id: str | None
    total: Money
    content: InvoiceDraft
    """What stands there as we have sent it: an invoice that is amended is another one here."""
    is_theirs: bool
    """Somebody has changed it there, and a person has kept that."""
    was_deleted: bool
    """Somebody has deleted it there, and the ledger knows."""
    paid: Amounts | None = None
    """What was last seen of its payments; None: it was not looked at yet."""
    recorded: Recorded = field(default_factory=Recorded)
    """What of that is recorded here, and not known there."""


@dataclass(frozen=True, slots=True)
class SeenInvoice:
    """The same invoice as its billing system shows it."""

    remote_id: str
    amounts: Amounts
    lines: tuple[ShownLine, ...] | None
    """None where the system does not say."""
    is_complete: bool
    expected: tuple[ShownLine, ...] = ()
    """How it shows what we have sent, line by line."""
    in_order: bool = True
    """It keeps the order of the lines."""

    @property
    def total(self) -> Money:
        """Return what it comes to there."""
        return Money(self.amounts.total, self.amounts.currency)


@dataclass(frozen=True, slots=True)
class IssuedCredit:
    """A credit note that is at its billing system, as the ledger knows it."""

    reference: str
    connector: str
    remote_id: str
    credits: str
    """The remote id of the invoice that it is for."""
    total: Money
    """What is credited, above zero."""


@dataclass(frozen=True, slots=True)
class SeenCredit:
    """The same credit note as its billing system shows it."""

    remote_id: str
    total: Money


def issued_credits(connection: Connection) -> list[IssuedCredit]:
    """Return all credit notes that went out. They never change after that."""
    credited = invoice.alias("credited")
    query = (
        select(
            *(invoice.c[name] for name in ("reference", "connector", "remote_id")),
            credited.c.remote_id.label("credits"),
            invoice.c.content,
        )
        .join(credited, credited.c.id == invoice.c.credits_id)
        .where(
            invoice.c.state == "pushed",
            invoice.c.kind == "credit note",
            invoice.c.remote_id.is_not(None),
            credited.c.remote_id.is_not(None),
        )
        .order_by(invoice.c.id)
    )
    return [
        IssuedCredit(
            row["reference"],
            row["connector"],
            row["remote_id"],
            row["credits"],
            -draft_from_json(row["content"]).total,
        )
        for row in stream(connection, query)
    ]


def pushed_invoices(connection: Connection) -> list[PushedInvoice]:
    """Return all invoices that went out, with what was last seen of them.

    Credit notes are looked at by themselves (`issued_credits`).
    """
    latest = (
        select(payment.c.invoice_id, func.max(payment.c.id).label("id"))
        .group_by(payment.c.invoice_id)
        .subquery()
    )
    names = (*_AMOUNTS, *_MORE, "remaining")
    query = (
        select(
            invoice,
            payment.c.recorded,
            payment.c.recorded_refunds,
            *(payment.c[name].label(f"seen_{name}") for name in names),
        )
        .outerjoin(latest, latest.c.invoice_id == invoice.c.id)
        .outerjoin(payment, payment.c.id == latest.c.id)
        .where(
            or_(invoice.c.state == "pushed", IS_AMENDED),
            invoice.c.kind == "invoice",
            invoice.c.remote_id.is_not(None),
        )
        .order_by(invoice.c.id)
    )
    return [
        PushedInvoice(
            reference=row["reference"],
            connector=row["connector"],
            remote_customer=row["remote_customer"],
            remote_id=row["remote_id"],
            total=(content := draft_from_json(row["pushed_content"])).total,
            content=content,
            is_theirs=row["conflict"] is not None,
            was_deleted=row["payment"] == "deleted",
            paid=None
            if row["seen_document"] is None
            else Amounts(**{name: row[f"seen_{name}"] for name in names}),
            recorded=Recorded(row["recorded"] or 0, row["recorded_refunds"] or 0),
        )
        for row in stream(connection, query)
    ]


def sent_references(connection: Connection) -> dict[str, set[str]]:
    """Return by connector the references of all invoices that we have ever begun to send."""
    begun = select(intent.c.id).where(
        and_(intent.c.invoice_id == invoice.c.id, intent.c.operation.startswith("create:"))
    )
    found: dict[str, set[str]] = {}
    for row in connection.execute(
        select(invoice.c.connector, invoice.c.reference).where(begun.exists())
    ):
        found.setdefault(row.connector, set()).add(row.reference)
    return found


def differences(
    pushed: PushedInvoice, seen: SeenInvoice | None, same: Sequence[str] = ()
) -> Iterator[Violation]:
    """Yield what is different at the billing system; `seen` is None if it is not there.

    `same` are the ids of all invoices that have this reference there, where it can list them.
    """
    entity = f"invoice:{pushed.reference}"
    total, currency = pushed.total.minor, pushed.total.currency
    for detail in _differences(pushed, seen, same):
        yield REMOTE.broken(entity, f"{pushed.connector} {detail}", total, currency)
    if seen is not None and pushed.paid is not None:
        for detail in _other_payments(pushed.paid, together(seen.amounts, pushed.recorded)):
            detail = f"{pushed.connector} says {detail}"
            yield REMOTE_PAYMENTS.broken(entity, detail, total, currency)


def credit_differences(issued: IssuedCredit, seen: SeenCredit | None) -> Iterator[Violation]:
    """Yield what is different about a credit note at the billing system.

    `seen` is None if it is not there, or does not count there any more.
    """
    for detail in _credit_differences(issued, seen):
        yield REMOTE.broken(
            f"invoice:{issued.reference}",
            f"{issued.connector} {detail}",
            issued.total.minor,
            issued.total.currency,
        )


def _credit_differences(issued: IssuedCredit, seen: SeenCredit | None) -> Iterator[str]:
    if seen is None:
        yield f"has no credit note with this reference for {issued.credits}"
        return
    if seen.remote_id != issued.remote_id:
        yield f"has it as {seen.remote_id}, and the ledger as {issued.remote_id}"
    if seen.total != issued.total:
        yield f"credits {seen.total}, and the ledger {issued.total}"


def strangers(
    connector: str,
    listed: Mapping[str, Sequence[str]],
    known: Collection[str],
    amounts: Mapping[str, Amounts],
) -> Iterator[Violation]:
    """Yield invoices of a billing system with a reference that we have never sent.

    `listed` gives the remote ids by reference, `amounts` what the unknown ones come to. One that
    nobody has to pay any more is nobody's concern.
    """
    for reference in sorted(set(listed) - set(known)):
        for remote_id in listed[reference]:
            found = amounts[remote_id]
            if found.document not in _WITHDRAWN:
                yield STRANGERS.broken(
                    f"{connector}:{remote_id}",
                    f'carries our reference "{reference}", and this ledger has never sent it',
                    found.total,
                    found.currency,
                )


def _differences(
    pushed: PushedInvoice, seen: SeenInvoice | None, same: Sequence[str]
) -> Iterator[str]:
    if len(same) > 1:
        yield f"has it {len(same)} times: {', '.join(sorted(same))}"
    if seen is None or seen.amounts.document == "deleted":
        if not pushed.was_deleted:
            yield "has no invoice with this reference"
        return
    if seen.remote_id != pushed.remote_id:
        yield f"has it as {seen.remote_id}, and the ledger as {pushed.remote_id}"
    if pushed.is_theirs:
        return
    if seen.total != pushed.total:
        yield f"shows {seen.total}, and the ledger {pushed.total}"
    if seen.lines is not None:
        there = Shown(pushed.total, seen.lines)
        ours = Shown(pushed.total, seen.expected)
        yield from islice(shown_differences(ours, there, in_order=seen.in_order), 3)
    if not seen.is_complete:
        yield "has it without all of its lines"


def _other_payments(stored: Amounts, seen: Amounts) -> Iterator[str]:
    if seen.document == "deleted":
        if stored.document != "deleted":
            yield f'it is deleted, and the ledger "{payment_of(stored)}"'
        return
    for name in (*_AMOUNTS, *_MORE):
        if name == "total":
            # Another total than ours is an invoice that was changed there, whatever is paid.
            continue
        mine, theirs = getattr(stored, name), getattr(seen, name)
        if mine != theirs:
            yield f"{name.replace('_', ' ')} is {theirs}, and the ledger {mine}"
    if stored.total == seen.total and stored.owed != seen.owed:
        yield f"{seen.owed} remain to be paid, and in the ledger {stored.owed}"
