"""Every cent explained: from an invoice to its lines, rules, rates, events and raw deliveries.

A sum leads to the lines that are counted in its pool, on whichever invoice they stand.

`flask invoices explain` prints it. Nothing is calculated anew: what is shown is what was
written down when it was priced, and the sums are checked on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, select

from .corrections import LineItem
from .deliveries import event_from_row
from .errors import BillhookError
from .events import as_utc_text
from .facts import fact_from_row
from .invoices import PrintedLine, draft_from_json
from .layouts import layout_from_json
from .listings import event_json, invoice_json, line_json, money_json
from .printing import NumberedLine, numbered, print_lines
from .tables import delivery, event, fact, invoice, line_item
from .taxes import TaxTotal

Explanation = dict[str, Any]


class UnexplainedError(BillhookError):
    """There is no such invoice or no such line on it."""


def explain(connection: Connection, reference: str, number: int | None = None) -> Explanation:
    """Return how an invoice comes to its total, of all its lines or of the one with a number.

    Raise UnexplainedError if there is none. A draft is explained as its line items stand now;
    `is_current` says whether that is what was assembled and approved.
    """
    row = (
        connection.execute(select(invoice).where(invoice.c.reference == reference))
        .mappings()
        .first()
    )
    if row is None:
        raise UnexplainedError(f"{reference}: no such invoice - see `flask invoices list`")
    currency = row["currency"]
    entries = _entries(connection, row["id"])
    printed = print_lines(
        [entry.numbered for entry in entries.values()],
        _corrected(entries),
        layout_from_json(row["content"]),
    )
    lines = [_line(position, line, entries, currency) for position, line in enumerate(printed, 1)]
    for rounding in lines:
        if not rounding["line_items"]:
            rounding["makes_up_for"] = [
                {"line": line["number"], "difference": line["difference"]}
                for line in lines
                if line["line_items"]
                and line["difference"]["minor"]
                and line.get("tax") == rounding.get("tax")
            ]
    behind = {line_id for line in printed for line_id in line.line_items}
    if number is not None and not 1 <= number <= len(lines):
        raise UnexplainedError(f"{reference}: has {len(lines)} lines - there is no line {number}")
    draft = replace(draft_from_json(row["content"]), lines=printed)
    sums = {
        "entries": sum(entry.line.amount for entry in entries.values()),
        "printed": sum(line.amount for line in printed),
        "total": row["total"],
    }
    if draft.taxes:
        sums |= {"net": draft.net.minor, "taxes": draft.tax.minor}
    return {
        "invoice": invoice_json(row),
        "is_current": [line.as_json() for line in printed] == row["content"]["lines"],
        "sums": {name: money_json(minor, currency) for name, minor in sums.items()},
        "taxes": [_tax(each, currency) for each in draft.taxes],
        "adds_up": sums["entries"] == sums["printed"] and draft.total.minor == sums["total"],
        "lines": [line for line in lines if number in (None, line["number"])],
        "not_printed": [entry.told for id_, entry in entries.items() if id_ not in behind],
    }


def _tax(total: TaxTotal, currency: str) -> Explanation:
    return {
        "tax": total.tax.key,
        "name": total.words.name,
        "text": total.words.text,
        "net": money_json(total.net, currency),
        "amount": money_json(total.amount, currency),
    }


def _line(
    number: int, line: PrintedLine, entries: Mapping[int, _Entry], currency: str
) -> Explanation:
    own = [entries[line_id] for line_id in line.line_items]
    together = sum(entry.line.amount for entry in own)
    return {
        "number": number,
        **line.as_json(),
        "amount": money_json(line.amount, currency),
        "entries_amount": money_json(together, currency),
        "difference": money_json(together - line.amount, currency),
        "line_items": [entry.told for entry in own],
    }


def _corrected(entries: Mapping[int, _Entry]) -> dict[int, str]:
    """Return the invoice of each billed line that is taken back."""
    return {
        entry.told["corrects"]: entry.told["takes_back"]["invoice"]
        for entry in entries.values()
        if entry.told["takes_back"] is not None
    }


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line item and what there is to tell about it."""

    numbered: NumberedLine
    told: Explanation

    @property
    def line(self) -> LineItem:
        """Return the line item itself."""
        return self.numbered.line


def _entries(connection: Connection, invoice_id: int) -> dict[int, _Entry]:
    """Return the line items of an invoice, each with all that it comes from."""
    is_printed = line_item.c.state.in_(("open", "billed"))
    on_it = and_(line_item.c.invoice_id == invoice_id, is_printed)
    corrected = select(line_item.c.corrects_id).where(on_it, line_item.c.corrects_id.is_not(None))
    taken_back = _explained(connection, corrected)
    entries = _explained(connection, select(line_item.c.id).where(on_it))
    for entry in entries.values():
        original = taken_back.get(entry.line.corrects_id or 0)
        entry.told["takes_back"] = None if original is None else original.told
    _tell_pools(connection, entries.values())
    return entries


def _tell_pools(connection: Connection, entries: Collection[_Entry]) -> None:
    """Say of each sum which lines were counted for it, also those on other invoices."""
    sums = [entry for entry in entries if entry.line.kind == "sum"]
    for customer in sorted({entry.line.customer for entry in sums}):
        pools: dict[str, list[Explanation]] = {
            entry.line.pool: [] for entry in sums if entry.line.customer == customer
        }
        rows = connection.execute(
            select(line_item, invoice.c.reference)
            .outerjoin(invoice, invoice.c.id == line_item.c.invoice_id)
            .where(
                line_item.c.customer == customer,
                line_item.c.pool.in_(pools),
                line_item.c.kind.in_(("counted", "entry")),
                line_item.c.state != "withdrawn",
            )
            .order_by(line_item.c.id)
        ).mappings()
        for row in rows:
            pools[row["pool"]].append(_counted(row))
        for entry in sums:
            if entry.line.customer == customer:
                entry.told["counted"] = pools[entry.line.pool]


def _counted(row: RowMapping) -> Explanation:
    names = ("id", "kind", "invoice", "on", "person", "item", "quantity", "seconds", "corrects")
    told = line_json(row)
    return {name: told[name] for name in names}


def _explained(connection: Connection, ids: Select[Any]) -> dict[int, _Entry]:
    chosen = line_item.c.id.in_(ids.correlate(None))
    told_by = event.c.id.in_(select(line_item.c.event_id).where(chosen))
    rows = connection.execute(
        select(line_item, invoice.c.reference)
        .outerjoin(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(chosen)
        .order_by(line_item.c.id)
    ).mappings()
    events = connection.execute(
        select(
            event,
            delivery.c.received_at,
            delivery.c.delivery_id.label("sent_as"),
            delivery.c.body_hash,
        )
        .join(delivery, delivery.c.id == event.c.delivery_id)
        .where(told_by)
    ).mappings()
    facts = connection.execute(
        select(fact)
        .join(event, and_(event.c.endpoint == fact.c.endpoint, event.c.about == fact.c.about))
        .where(told_by, fact.c.state == "known")
    ).mappings()
    event_of = {row["id"]: row for row in events}
    fact_of = {(row["endpoint"], row["about"]): row for row in facts}
    return {
        row["id"]: _Entry(numbered(row), _told(row, event_of.get(row["event_id"]), fact_of))
        for row in rows
    }


def _told(
    row: RowMapping, said: RowMapping | None, fact_of: Mapping[Any, RowMapping]
) -> Explanation:
    if said is None:
        # A sum or an agreement comes from other lines, not from one event.
        return {**line_json(row), "event": None, "filled_in": None, "delivery": None}
    return {
        **line_json(row),
        "event": {**event_json(said), "version": said["version"], "about": said["about"]},
        "filled_in": _filled_in(said, fact_of.get((said["endpoint"], said["about"]))),
        "delivery": {
            "id": said["delivery_id"],
            "received_at": as_utc_text(said["received_at"]),
            "endpoint": said["endpoint"],
            "delivery_id": said["sent_as"],
            "body_hash": said["body_hash"],
        },
    }


def _filled_in(said: RowMapping, known: RowMapping | None) -> Explanation | None:
    """Return what the event left open and a remembered fact says, as it is remembered now."""
    if known is None:
        return None
    before = event_from_row(said)
    after = before.filled_in(fact_from_row(known))
    news: Explanation = {
        name: getattr(after, name)
        for name in ("project", "item", "title", "person", "person_name", "billable", "labels")
        if getattr(before, name) != getattr(after, name)
    }
    fields = {name: value for name, value in after.fields.items() if name not in before.fields}
    if fields:
        news["fields"] = fields
    return {"about": known["about"], "version": known["version"], "said": news} if news else None
