"""Invariant 5: an invoice says what its lines say, in one currency, to one customer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, or_, select

from ..events import canonical_json
from ..invoices import draft_from_json
from ..layouts import layout_from_json
from ..printing import NumberedLine, numbered, print_lines
from ..tables import customer, invoice, line_item
from .violations import Violation, stream

NAME: Final = "contents"
_corrected_line = line_item.alias("corrected_line")


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield invoices whose content is not what their lines give."""
    yield from _mixed(connection)
    query = select(invoice, _is_at_rest().label("is_at_rest")).outerjoin(
        customer, customer.c.key == invoice.c.customer
    )
    for row in stream(connection, query):
        for wrong in _wrong(connection, row):
            yield Violation(
                NAME, f"invoice:{row['reference']}", wrong, abs(row["total"]), row["currency"]
            )


def _is_at_rest() -> Any:
    # A draft follows its lines: while its customer waits, or has no rules any more, it lags.
    return or_(
        invoice.c.is_frozen, and_(customer.c.state == "settled", customer.c.reason.is_(None))
    )


def _wrong(connection: Connection, row: Any) -> Iterator[str]:
    content = row["content"]
    if hashlib.sha256(canonical_json(content).encode()).hexdigest() != row["content_hash"]:
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
    if row["is_at_rest"]:
        layout = layout_from_json(content)
        printed = [line.as_json() for line in print_lines(*_lines(connection, row["id"]), layout)]
        if printed != content["lines"]:
            yield "printing its line items again does not give its lines"


def _lines(connection: Connection, invoice_id: int) -> tuple[list[NumberedLine], dict[int, str]]:
    """Return an invoice's line items, and the references of the invoices that they take back."""
    query = (
        select(line_item, invoice.c.reference.label("corrected_reference"))
        .outerjoin(_corrected_line, _corrected_line.c.id == line_item.c.corrects_id)
        .outerjoin(invoice, invoice.c.id == _corrected_line.c.invoice_id)
        .where(line_item.c.invoice_id == invoice_id, line_item.c.state.in_(("open", "billed")))
    )
    lines = []
    corrected = {}
    for row in stream(connection, query):
        lines.append(numbered(row))
        if row["corrects_id"] is not None:
            corrected[row["corrects_id"]] = row["corrected_reference"] or "no invoice"
    return lines, corrected


def _mixed(connection: Connection) -> Iterator[Violation]:
    query = (
        select(line_item.c.id, line_item.c.amount, line_item.c.currency, invoice.c.reference)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(
            or_(
                line_item.c.currency != invoice.c.currency,
                line_item.c.customer != invoice.c.customer,
            )
        )
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"line_item:{row['id']}",
            f"is of another customer or currency than its invoice {row['reference']}",
            abs(row["amount"]),
            row["currency"],
        )
