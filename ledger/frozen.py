"""What was billed is remembered: one SHA-256 over the billed lines of an invoice, as they stood.

It is written when lines become billed, in the same transaction, and compared by the audit. The
text that is hashed is the same in SQLite and PostgreSQL, so that a ledger can move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Text, cast, select, type_coerce, update

from .events import canonical_json
from .tables import CanonicalJson, invoice, line_item

KEPT: Final = (
    *("id", "kind", "subject_id", "event_id", "pool", "adjusts_id", "customer", "project"),
    *("item", "person", "on", "description", "quantity", "unit_price", "currency", "amount"),
    *("seconds", "tax", "rule", "mapping_version", "grouping", "schedule", "period_from"),
    *("period_to", "steps", "corrects_id", "again"),
)
"""The columns of a line that never change once it is billed. A new column is not added here: what
was remembered before it came would not be found again."""


def plain(name: str) -> ColumnElement[Any]:
    """Return a column of a line as it is stored: numbers and texts, decimals and dates as text."""
    column = line_item.c[name]
    if isinstance(column.type, CanonicalJson):
        return type_coerce(column, Text).label(name)
    if name in ("on", "quantity", "unit_price", "period_from", "period_to"):
        return cast(column, Text).label(name)
    return column


def hash_of(lines: Iterable[Sequence[Any]]) -> str | None:
    """Return the hash over lines (`KEPT`, as `plain` gives it), by id; None if there are none."""
    texts = [list(line) for line in lines]
    return hashlib.sha256(canonical_json(texts).encode()).hexdigest() if texts else None


_BILLED: Final = select(*(plain(name) for name in KEPT)).where(line_item.c.state == "billed")


def remember(connection: Connection, invoice_id: int) -> None:
    """Write down what is billed on an invoice now."""
    lines = connection.execute(
        _BILLED.where(line_item.c.invoice_id == invoice_id).order_by(line_item.c.id)
    )
    connection.execute(
        update(invoice)
        .where(invoice.c.id == invoice_id)
        .values(billed_hash=hash_of(tuple(line) for line in lines))
    )
