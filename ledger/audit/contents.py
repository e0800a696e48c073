"""An invoice says what its lines say, in one currency, to one customer; what was billed stays so.

Many invoices are read at once, with their lines as they are stored: a million of them are to be
printed again in less than a minute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Text, and_, bindparam, or_, select, type_coerce

from ..corrections import LineItem
from ..frozen import KEPT, hash_of, plain
from ..invoices import draft_from_json
from ..layouts import layout_from_json
from ..printing import NumberedLine, print_lines
from ..tables import customer, invoice, line_item
from .violations import NO_LIMIT, Invariant, Violation, row_by_row, stream

CONTENTS: Final = Invariant(
    "contents",
    "the amounts of the printed lines and their taxes are the total of the invoice, and its hash "
    "is that of its content",
    "do not approve the named draft; if it was pushed, compare it with the billing system "
    "(`flask audit --deep`)",
)
PRINTING: Final = Invariant(
    "printing",
    "printing the line items of an invoice again gives the lines that stand on it",
    "do not approve the named draft; if it was pushed, the line items were changed: see a backup",
)
ONE_CURRENCY: Final = Invariant(
    "one currency",
    "each line is of the currency and the customer of its invoice",
    "do not approve the named invoice; a new assembly (`flask rules activate`) places its lines",
)
FROZEN: Final = Invariant(
    "frozen",
    "no billed line differs from what was billed, by the hash that was taken then",
    "take the line from a backup made after the push; what changed since belongs on a new line",
)
_TOGETHER: Final = 50
"""How many invoices are read at once."""
_corrected_line, _corrected_invoice = line_item.alias("corrected"), invoice.alias("corrected_on")
_IS_AT_REST: Final = or_(
    # A draft follows its lines: while its customer waits, or has no rules any more, it lags.
    invoice.c.is_frozen,
    and_(customer.c.state == "settled", customer.c.reason.is_(None)),
)
_INVOICES: Final = (
    select(
        *(invoice.c[name] for name in ("id", "reference", "customer", "currency", "total")),
        *(invoice.c[name] for name in ("content_hash", "billed_hash")),
        type_coerce(invoice.c.content, Text).label("content"),
        _IS_AT_REST.label("is_at_rest"),
    )
    .outerjoin(customer, customer.c.key == invoice.c.customer)
    .where(invoice.c.id.between(bindparam("first"), bindparam("last")))
    .order_by(invoice.c.id)
)
_LINES: Final = (
    select(
        line_item.c.invoice_id,
        line_item.c.state,
        _corrected_invoice.c.reference,
        line_item.c.edit_id,
        line_item.c.coding,
        *(plain(name) for name in KEPT),
    )
    .outerjoin(_corrected_line, _corrected_line.c.id == line_item.c.corrects_id)
    .outerjoin(_corrected_invoice, _corrected_invoice.c.id == _corrected_line.c.invoice_id)
    .where(
        line_item.c.invoice_id.in_(bindparam("ids", expanding=True)),
        # What was released is void with its invoice, and was never printed.
        row_by_row(line_item.c.state.in_(("open", "billed"))),
    )
    .order_by(line_item.c.invoice_id, line_item.c.id)
)
_HEAD: Final = 5
"""The columns of `_LINES` before those of `KEPT`."""
_AT: Final = {"coding": 4, **{name: at for at, name in enumerate(KEPT, _HEAD)}}
_MIXED: Final = (
    select(line_item.c.id, line_item.c.amount, line_item.c.currency, invoice.c.reference)
    .join(invoice, invoice.c.id == line_item.c.invoice_id)
    .where(
        or_(
            line_item.c.currency != invoice.c.currency,
            line_item.c.customer != invoice.c.customer,
        )
    )
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield lines of another currency or customer than their invoice."""
    for row in stream(connection, _MIXED):
        yield ONE_CURRENCY.broken(
            f"line_item:{row['id']}",
            f"is of another customer or currency than its invoice {row['reference']}",
            row["amount"],
            row["currency"],
        )


def printed_again(
    connection: Connection, first: int = 0, last: int = NO_LIMIT
) -> Iterator[Violation]:
    """Yield invoices whose content is not what their lines give, and whose lines have changed.

    `first` and `last` bound their ids.
    """
    rows = connection.execute(
        _INVOICES, {"first": first, "last": last}, execution_options={"yield_per": _TOGETHER}
    )
    for some in rows.mappings().partitions(_TOGETHER):
        lines = _lines_of(connection, [row["id"] for row in some])
        for row in some:
            yield from _wrong(row, lines.get(row["id"], ()))


def _lines_of(connection: Connection, ids: list[int]) -> dict[int, list[Any]]:
    rows = connection.execute(_LINES, {"ids": ids})
    return {key: list(group) for key, group in groupby(rows.all(), key=itemgetter(0))}


def _wrong(row: Any, lines: Sequence[Any]) -> Iterator[Violation]:
    entity, at_risk = f"invoice:{row['reference']}", (row["total"], row["currency"])
    content = json.loads(row["content"])
    for wrong in _wrong_contents(row, content):
        yield CONTENTS.broken(entity, wrong, *at_risk)
    if row["is_at_rest"] and _print(lines, content) != content["lines"]:
        wrong = "printing its line items again does not give its lines"
        yield PRINTING.broken(entity, wrong, *at_risk)
    if row["billed_hash"] is not None:
        billed = hash_of(line[_HEAD:] for line in lines if line[1] == "billed")
        if billed != row["billed_hash"]:
            wrong = "its billed lines are not those that were billed"
            yield FROZEN.broken(entity, wrong, *at_risk)


def _wrong_contents(row: Any, content: Any) -> Iterator[str]:
    # Content is stored as canonical text, so its hash is that of the text.
    if hashlib.sha256(row["content"].encode()).hexdigest() != row["content_hash"]:
        yield "its content hash is not the hash of its content"
    names = (content["reference"], content["customer"]["key"], content["currency"])
    if names != (row["reference"], row["customer"], row["currency"]):
        yield "its content names another reference, customer or currency"
    draft = draft_from_json(content)
    total = draft.total.minor
    if not total == content["total"] == row["total"]:
        yield f"its lines add up to {total} minor units with taxes, its total is {row['total']}"
    if content.get("taxes") != draft.as_json().get("taxes"):
        yield "its taxes are not those on its lines"


def _print(rows: Sequence[Any], content: Mapping[str, Any]) -> list[dict[str, Any]]:
    corrects, subject = _AT["corrects_id"], _AT["subject_id"]
    corrected = {row[corrects]: row[2] or "no invoice" for row in rows if row[corrects] is not None}
    lines = [NumberedLine(row[_HEAD], _line(row), row[subject], row[3]) for row in rows]
    return [line.as_json() for line in print_lines(lines, corrected, layout_from_json(content))]


_AS_PRINTED: Final = itemgetter(
    # In the order of the fields of a line item; the steps to its amount are not printed.
    *(_AT[each.name] for each in fields(LineItem))
)
_PLACE: Final = {each.name: place for place, each in enumerate(fields(LineItem))}


@lru_cache(maxsize=10_000)
def _grouping(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=10_000)
def _day(text: str) -> date:
    return date.fromisoformat(text)


_STEPS: Final = _PLACE["steps"]
_READERS: Final[tuple[tuple[int, Callable[[str], Any]], ...]] = (
    (_PLACE["quantity"], Decimal),
    (_PLACE["unit_price"], Decimal),
    (_PLACE["on"], _day),
    (_PLACE["period_from"], _day),
    (_PLACE["period_to"], _day),
    (_PLACE["grouping"], _grouping),
)


def _line(row: Any) -> LineItem:
    """Return a line as far as it is printed."""
    values = list(_AS_PRINTED(row))
    for place, read in _READERS:
        values[place] = read(values[place])
    values[_STEPS] = ()
    return LineItem(*values)
