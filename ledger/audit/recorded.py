"""Recorded payments: each is counted once, and an invoice shows what is counted on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, String, and_, case, cast, func, literal, or_, select

from ..bank import STATES
from ..tables import audit_entry, invoice, payment, recorded_payment
from .violations import Invariant, Violation, stream

RECORDED: Final = Invariant(
    "recorded payments",
    "each payment that a person or a bank statement told is counted once, on an invoice of its "
    "currency, and the invoice shows what is counted on it",
    "compare the named invoice with the bank's statement; `flask payments take-back` and "
    "`flask payments assign` bring both together",
)
_ABOUT: Final = "payment:"
_amount = recorded_payment.c.amount
_COUNTED: Final = (
    select(
        recorded_payment.c.invoice_id,
        func.sum(case((_amount > 0, _amount), else_=0)).label("paid"),
        func.sum(case((_amount < 0, -_amount), else_=0)).label("refunded"),
    )
    .where(recorded_payment.c.state == "counted")
    .group_by(recorded_payment.c.invoice_id)
    .subquery()
)
_LATEST: Final = (
    select(payment.c.invoice_id, func.max(payment.c.id).label("id"))
    .group_by(payment.c.invoice_id)
    .subquery()
)
_paid, _refunded = func.coalesce(_COUNTED.c.paid, 0), func.coalesce(_COUNTED.c.refunded, 0)
_shown = func.coalesce(payment.c.recorded, 0)
_shown_refunds = func.coalesce(payment.c.recorded_refunds, 0)
_NOT_SHOWN: Final = (
    select(
        invoice.c.reference,
        invoice.c.currency,
        _paid.label("paid"),
        _refunded.label("refunded"),
        _shown.label("shown"),
        _shown_refunds.label("shown_refunds"),
    )
    .outerjoin(_COUNTED, _COUNTED.c.invoice_id == invoice.c.id)
    .outerjoin(_LATEST, _LATEST.c.invoice_id == invoice.c.id)
    .outerjoin(payment, payment.c.id == _LATEST.c.id)
    .where(or_(_paid != _shown, _refunded != _shown_refunds))
)
# A state of its own for each way of being wrong that one row can show.
_IN_VAIN: Final = (
    select(
        recorded_payment.c.id,
        recorded_payment.c.amount,
        recorded_payment.c.currency,
        recorded_payment.c.state,
    )
    .outerjoin(invoice, invoice.c.id == recorded_payment.c.invoice_id)
    .where(
        or_(
            recorded_payment.c.state.not_in(STATES),
            and_(
                recorded_payment.c.state == "counted",
                or_(
                    invoice.c.id.is_(None),
                    invoice.c.currency != recorded_payment.c.currency,
                    recorded_payment.c.amount == 0,
                ),
            ),
            and_(
                recorded_payment.c.state != "counted",
                func.trim(func.coalesce(recorded_payment.c.reason, "")) == "",
            ),
            and_(
                recorded_payment.c.state.in_(("same", "takes back")),
                recorded_payment.c.about_id.is_(None),
            ),
        )
    )
)
_UNLOGGED: Final = select(
    recorded_payment.c.id, recorded_payment.c.amount, recorded_payment.c.currency
).where(
    recorded_payment.c.state == "counted",
    (literal(_ABOUT) + cast(recorded_payment.c.id, String)).not_in(
        select(audit_entry.c.entity).where(audit_entry.c.action == "payment.counted")
    ),
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield invoices that show other payments than are recorded, and payments that are in vain."""
    for row in stream(connection, _NOT_SHOWN):
        yield RECORDED.broken(
            f"invoice:{row['reference']}",
            f"shows {row['shown']} paid and {row['shown_refunds']} refunded of what is recorded, "
            f"and that is {row['paid']} and {row['refunded']}",
            (row["paid"] - row["refunded"]) - (row["shown"] - row["shown_refunds"]),
            row["currency"],
        )
    for query, detail in (
        (_IN_VAIN, "has no known state, no reason, or no invoice of its currency"),
        (_UNLOGGED, "is counted, and the audit log tells nothing of it"),
    ):
        for row in stream(connection, query):
            entity = f"recorded_payment:{row['id']}"
            yield RECORDED.broken(entity, detail, row["amount"], row["currency"])
