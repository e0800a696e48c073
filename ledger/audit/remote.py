"""`flask audit --deep`: what went out is held against what the billing systems have.

The ledger reads no remote system: the caller looks each invoice up and hands over what it saw.
It does so after the snapshot has been closed, because a database does not wait that long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Connection, or_, select

from ..amending import IS_AMENDED
from ..invoices import InvoiceDraft, draft_from_json
from ..money import Money
from ..shown import Shown, ShownLine
from ..shown import differences as shown_differences
from ..tables import invoice
from .violations import Invariant, Violation, stream

REMOTE: Final = Invariant(
    "remote",
    "a billing system has one invoice for each reference, with our lines and total",
    "open the named invoice at the billing system beside `flask invoices show`",
)


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


@dataclass(frozen=True, slots=True)
class SeenInvoice:
    """The same invoice as its billing system shows it."""

    remote_id: str
    total: Money
    lines: tuple[ShownLine, ...] | None
    """None where the system does not say."""
    is_complete: bool
    expected: tuple[ShownLine, ...] = ()
    """How it shows what we have sent, line by line."""
    in_order: bool = True
    """It keeps the order of the lines."""


def pushed_invoices(connection: Connection) -> list[PushedInvoice]:
    """Return all invoices that went out."""
    query = (
        select(invoice).where(or_(invoice.c.state == "pushed", IS_AMENDED)).order_by(invoice.c.id)
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
        )
        for row in stream(connection, query)
    ]


def differences(pushed: PushedInvoice, seen: SeenInvoice | None) -> Iterator[Violation]:
    """Yield what is different at the billing system; `seen` is None if it is not there."""
    for detail in _differences(pushed, seen):
        yield REMOTE.broken(
            f"invoice:{pushed.reference}",
            f"{pushed.connector} {detail}",
            pushed.total.minor,
            pushed.total.currency,
        )


def _differences(pushed: PushedInvoice, seen: SeenInvoice | None) -> Iterator[str]:
    if seen is None:
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
