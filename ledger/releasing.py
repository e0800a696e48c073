"""Release: what stood on an invoice that is void or deleted at its billing system is due again.

Nothing that was billed changes. Each line of the invoice that stands is taken back by a line of
the same invoice in the state *released*; then the subjects are judged again, and what they are
worth at present becomes open lines. Called by `sync.py`, in the transaction that stores what was
seen at the billing system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from .auditlog import note
from .corrections import LineItem, remaining, taking_back
from .facts import wake
from .subjects import changed, known_line, line_row
from .tables import invoice, line_item, subject

VOID: Final = ("void", "deleted")
"""The payment words of an invoice that nobody will ever pay."""
STANDS_AGAIN: Final = (
    "its work was released on {day}, and now it is {payment} at {connector}: the customer would be "
    "asked twice for the same work - void it there once more"
)
WAS_PAID: Final = (
    "it is {payment} at {connector} although {paid} were paid on it: nothing is billed again by "
    "itself - look at it there"
)


@dataclass(frozen=True, slots=True)
class Released:
    """An invoice whose work was released."""

    reference: str
    payment: str
    """void or deleted."""
    at: datetime


def release(connection: Connection, row: Mapping[Any, Any], word: str, now: datetime) -> None:
    """Take back what stands on an invoice, and have its work judged again.

    `row` is the invoice, of which nothing was released before; `word` says what it is now.
    """
    rows = (
        connection.execute(
            select(line_item)
            .where(line_item.c.invoice_id == row["id"], line_item.c.state == "billed")
            .order_by(line_item.c.id)
        )
        .mappings()
        .all()
    )
    known = {each["id"]: known_line(each) for each in rows}
    standing = {each.id for each in remaining(list(known.values()))}
    back = []
    for each in rows:
        if each["id"] not in standing:
            continue
        line = taking_back(known[each["id"]], each["event_id"])
        why = f"takes back line item {each['id']}: {row['reference']} is {word}"
        values = line_row(replace(line, steps=(why,)), each["subject_id"], now)
        back.append(values | {"state": "released", "invoice_id": row["id"]})
    if back:
        connection.execute(insert(line_item), back)
    connection.execute(update(invoice).where(invoice.c.id == row["id"]).values(released_at=now))
    of_it = select(line_item.c.subject_id).where(line_item.c.invoice_id == row["id"])
    wake(connection, subject.c.id.in_(of_it), now)
    changed(connection, [row["customer"]], now)
    note(
        connection,
        now,
        actor=row["connector"],
        action="invoice.released",
        entity=f"invoice:{row['reference']}",
        payment=word,
        lines=len(back),
        total=row["total"],
        currency=row["currency"],
    )


@dataclass(frozen=True, slots=True)
class ReleasedWork:
    """Where the work of a customer stood that is void by now."""

    subjects: Mapping[int, Sequence[Released]]
    pools: Mapping[str, Sequence[Released]]
    """Of sums: they have no subject."""

    def of(self, subject_id: int | None, line: LineItem) -> Sequence[Released]:
        """Return the void invoices on which the work of an open line stood."""
        if line.corrects_id is not None:
            return ()
        if line.kind == "sum":
            return self.pools.get(line.pool, ())
        return () if subject_id is None else self.subjects.get(subject_id, ())


def released_work(connection: Connection, customer: str) -> ReleasedWork:
    """Return where a customer's work stood that is void by now."""
    subjects: dict[int, list[Released]] = {}
    pools: dict[str, list[Released]] = {}
    rows = connection.execute(
        select(
            line_item.c.subject_id,
            line_item.c.pool,
            line_item.c.kind,
            invoice.c.reference,
            invoice.c.payment,
            invoice.c.released_at,
        )
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.customer == customer, line_item.c.state == "released")
        .order_by(line_item.c.id)
    )
    for row in rows:
        void = Released(row.reference, row.payment, row.released_at)
        if row.subject_id is not None:
            subjects.setdefault(row.subject_id, []).append(void)
        elif row.kind == "sum":
            pools.setdefault(row.pool, []).append(void)
    return ReleasedWork(subjects, pools)


def warnings(found: Iterable[Released]) -> list[str]:
    """Return what a person should know who approves work that stood on these invoices."""
    invoices = sorted({(each.reference, each.payment, each.at) for each in found})
    return [
        f"its work stood on {reference}, which was {_DONE.get(payment, 'voided')} on "
        f"{at:%Y-%m-%d} at {at:%H:%M} UTC - see that it is to be billed again"
        for reference, payment, at in invoices
    ]


_DONE: Final = {"deleted": "deleted"}
