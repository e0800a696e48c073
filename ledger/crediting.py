"""Credit notes: what lowers an invoice that is final at its billing system, where agreed.

A customer's `corrections:` says where corrections of billed lines go: to the next invoice, or onto
a credit note for the invoice that billed them. A credit note is a row of `invoice` of its own kind,
with the lines that take back and those that are billed instead; its total is below zero. Called by
`assembly.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from .amending import home_of
from .homes import Home, OpenLine
from .tables import invoice, line_item

NEXT_INVOICE: Final = "next invoice"
CREDIT_NOTE: Final = "credit note"
POLICIES: Final = {
    NEXT_INVOICE: "corrections of what was billed stand on the next invoice",
    CREDIT_NOTE: "what lowers an open or paid invoice is a credit note for it",
}
"""Where corrections go."""
FINAL: Final = (
    *("open", "processing", "partially_paid", "paid", "overpaid"),
    *("partially_refunded", "refunded", "credited", "disputed"),
)
"""The payment words of invoices that are final: only a credit note lowers them."""
_credited = invoice.alias("credited")


def is_final(payment: str | None) -> bool:
    """Return whether an invoice with this payment word is final."""
    return payment in FINAL


@dataclass(slots=True)
class Notes:
    """The credit notes of a customer: those that are drafts, and those that are called for."""

    drafts: dict[Home, Mapping[str, Any]] = field(default_factory=dict)
    """Of which nothing went out."""
    credits: dict[Home, Mapping[str, Any]] = field(default_factory=dict)
    """The invoice that each of them credits."""
    places: dict[int, Home] = field(default_factory=dict)
    """The note for what corrects a billed line, by the line's id."""

    def homes(
        self, lines: Sequence[OpenLine], homes_with: Callable[[Mapping[int, Home]], dict[int, Home]]
    ) -> dict[int, Home]:
        """Return the draft for each open line; `homes_with` gives them for some places of notes.

        An invoice whose corrections come to no less than zero gets no note.
        """
        places = dict(self.places)
        while True:
            homes = homes_with(places)
            nets: dict[Home, int] = {}
            for each in lines:
                if (home := homes[each.id]).credits:
                    nets[home] = nets.get(home, 0) + each.line.amount
            too_much = {home for home, net in nets.items() if net >= 0}
            if not too_much:
                return homes
            places = {id_: home for id_, home in places.items() if home not in too_much}

    def reference(self, connection: Connection, home: Home) -> str:
        """Return the number of a new note: that of its invoice, and a count from the second on."""
        own = select(func.count()).where(invoice.c.credits_id == self.credits[home]["id"])
        count = connection.scalar(own) or 0
        return f"{home.credits}-credit" + (f"-{count + 1}" if count else "")


def notes_for(
    connection: Connection, customer: str, lines: Collection[OpenLine], policy: str
) -> Notes:
    """Return the credit notes of a customer that its open lines may stand on."""
    notes = Notes()
    rows = connection.execute(
        select(invoice).where(
            invoice.c.customer == customer,
            invoice.c.kind == CREDIT_NOTE,
            invoice.c.is_frozen.is_(False),
        )
    ).mappings()
    drafts = [dict(row) for row in rows]
    ids = [each.line.corrects_id for each in lines if each.line.corrects_id is not None]
    wanted = ids if policy == CREDIT_NOTE else []
    found = connection.execute(
        select(line_item.c.id, *_credited.c)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .join(_credited, _credited.c.id == func.coalesce(invoice.c.credits_id, invoice.c.id))
        .where(line_item.c.id.in_(wanted), line_item.c.state == "billed", _is_final())
        .order_by(line_item.c.id)
    ).all()
    columns = [column.name for column in _credited.c]
    credited = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in found}
    every: dict[int, Mapping[str, Any]] = {row["id"]: row for row in credited.values()}
    missing = {row["credits_id"] for row in drafts} - every.keys()
    query = select(invoice).where(invoice.c.id.in_(missing))
    every |= {each["id"]: dict(each) for each in connection.execute(query).mappings()}
    for row in drafts:
        home = _home(every[row["credits_id"]], row["sequence"])
        notes.drafts[home], notes.credits[home] = row, every[row["credits_id"]]
    of_invoice = {row["id"]: home for home, row in notes.credits.items()}
    for line_id, row in credited.items():
        if row["id"] not in of_invoice:
            home = _home(row, _next_sequence(connection, row, of_invoice.values()))
            of_invoice[row["id"]], notes.credits[home] = home, row
        notes.places[line_id] = of_invoice[row["id"]]
    return notes


def _is_final() -> Any:
    return and_(
        _credited.c.state == "pushed",
        _credited.c.payment.in_(FINAL),
        _credited.c.released_at.is_(None),
        _credited.c.remote_id.is_not(None),
    )


def _home(row: Mapping[str, Any], sequence: int) -> Home:
    of_invoice = home_of(row)
    return Home(of_invoice.currency, of_invoice.period, sequence, row["reference"])


def _next_sequence(
    connection: Connection, row: Mapping[str, Any], planned: Collection[Home]
) -> int:
    """Return the next number among the notes of a period, whichever invoices they credit."""
    place = home_of(row)
    highest = connection.scalar(
        select(func.max(invoice.c.sequence)).where(
            invoice.c.customer == row["customer"],
            invoice.c.kind == CREDIT_NOTE,
            invoice.c.currency == place.currency,
            invoice.c.schedule == place.period.schedule,
            invoice.c.period_from == place.period.first,
        )
    )
    known = [each.sequence for each in planned if each.key == place.key]
    return max(highest or 0, *known, 0) + 1


def reasons_against_note(connector: str, able: Collection[str]) -> list[str]:
    """Return why a credit note must not go out; `able` are the connectors that take them."""
    if connector in able:
        return []
    return [
        f"{connector} takes no credit notes from Billhook - write corrections: next invoice in the "
        "customer's rule file, or leave it here until more is billed than is taken back"
    ]
