"""One customer's invoices of a period go out in their order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, exists, select

from ..tables import intent, invoice
from .violations import Invariant, Violation, stream

ORDER: Final = Invariant(
    "order",
    "a further invoice of a customer's period goes out only after the one before it",
    "approve or cancel the earlier draft; if its lines are billed twice, that is named elsewhere",
)
_later = invoice.alias("later")
# One that was refused, or is amended, was on its way once: what came after it went by right.
_BEGUN: Final = exists(select(intent.c.id).where(intent.c.invoice_id == invoice.c.id))
_PASSED_OVER: Final = (
    select(invoice.c.reference, invoice.c.total, invoice.c.currency, _later.c.reference.label("by"))
    .join(
        _later,
        and_(
            *(
                _later.c[name] == invoice.c[name]
                for name in ("customer", "currency", "kind", "schedule", "period_from")
            ),
            _later.c.sequence > invoice.c.sequence,
            _later.c.is_frozen,
        ),
    )
    .where(invoice.c.state.in_(("draft", "blocked", "approved")), ~invoice.c.is_frozen, ~_BEGUN)
    .order_by(invoice.c.id, _later.c.id)
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield drafts that a later one of the same period has passed."""
    for row in stream(connection, _PASSED_OVER):
        yield ORDER.broken(
            f"invoice:{row['reference']}",
            f"is still a draft, and {row['by']} of the same period went out before it",
            row["total"],
            row["currency"],
        )
