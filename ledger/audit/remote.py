"""`flask audit --deep`: what went out is held against what the billing systems have.

The ledger reads no remote system: the caller looks each invoice up and hands over what it saw.
It does so after the snapshot has been closed, because a database does not wait that long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from ..money import Money
from ..tables import invoice
from .violations import Violation, stream

NAME: Final = "remote"
SENTENCE: Final = "a billing system has one invoice for each reference, with our lines and total"


@dataclass(frozen=True, slots=True)
class PushedInvoice:
    """An invoice that is at its billing system, as the ledger knows it."""

    reference: str
    connector: str
    remote_customer: str | None
    remote_id: str | None
    total: Money
    lines: int
    was_deleted: bool
    """Somebody has deleted it there, and the ledger knows."""


@dataclass(frozen=True, slots=True)
class SeenInvoice:
    """The same invoice as its billing system shows it."""

    remote_id: str
    total: Money
    lines: int | None
    """None where the system does not say."""
    is_complete: bool


def pushed_invoices(connection: Connection) -> list[PushedInvoice]:
    """Return all invoices that went out."""
    query = select(invoice).where(invoice.c.state == "pushed").order_by(invoice.c.id)
    return [
        PushedInvoice(
            reference=row["reference"],
            connector=row["connector"],
            remote_customer=row["remote_customer"],
            remote_id=row["remote_id"],
            total=Money(row["total"], row["currency"]),
            lines=len(row["content"]["lines"]),
            was_deleted=row["payment"] == "deleted",
        )
        for row in stream(connection, query)
    ]


def differences(pushed: PushedInvoice, seen: SeenInvoice | None) -> Iterator[Violation]:
    """Yield what is different at the billing system; `seen` is None if it is not there."""
    for detail in _differences(pushed, seen):
        yield Violation(
            NAME,
            f"invoice:{pushed.reference}",
            f"{pushed.connector} {detail}",
            abs(pushed.total.minor),
            pushed.total.currency,
        )


def _differences(pushed: PushedInvoice, seen: SeenInvoice | None) -> Iterator[str]:
    if seen is None:
        if not pushed.was_deleted:
            yield "has no invoice with this reference"
        return
    if seen.remote_id != pushed.remote_id:
        yield f"has it as {seen.remote_id}, and the ledger as {pushed.remote_id}"
    if seen.total != pushed.total:
        yield f"shows {seen.total}, and the ledger {pushed.total}"
    if seen.lines not in (None, pushed.lines):
        yield f"has {seen.lines} lines, and the ledger {pushed.lines}"
    if not seen.is_complete:
        yield "has it without all of its lines"
