"""What was paid: the words follow from the amounts, and the newest snapshot holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, and_, func, literal, or_, select

from ..payments import PAYMENTS, Amounts, payment_of
from ..tables import audit_entry, invoice, payment
from .violations import Invariant, Violation, stream

PAID: Final = Invariant(
    "payments",
    "what an invoice is called follows from the newest amounts that its billing system reported, "
    "they agree among themselves, and each change is in the audit log",
    "`flask sync` asks the billing system again; what it says then is what holds",
)
_ABOUT: Final = "invoice:"
_AMOUNTS: Final = ("paid", "credited", "refunded", "disputed", "overpaid")
_WHAT: Final = ("document", "total", *_AMOUNTS, "remaining", "is_settling")
# Equal snapshots are looked at together.
_WORDS: Final = select(
    payment.c.payment,
    *(payment.c[name] for name in _WHAT),
    func.min(payment.c.id).label("id"),
    func.min(payment.c.currency).label("currency"),
).group_by(payment.c.payment, *(payment.c[name] for name in _WHAT))
_IMPOSSIBLE: Final = select(payment.c.id, payment.c.paid, payment.c.currency).where(
    or_(
        *(payment.c[name] < 0 for name in _AMOUNTS),
        payment.c.refunded > payment.c.paid,
        and_(
            payment.c.total >= 0,
            payment.c.paid > payment.c.total + payment.c.overpaid,
            payment.c.remaining >= 0,
        ),
    )
)
# One of which everything was taken back was deleted there by us: nobody has seen it since.
_STANDS: Final = invoice.c.state != "canceled"
_latest = (
    select(payment.c.invoice_id, func.max(payment.c.id).label("id"))
    .group_by(payment.c.invoice_id)
    .subquery()
)
_newest, _older = payment.alias("newest"), payment.alias("older")
_NOT_THE_NEWEST: Final = (
    select(
        invoice.c.reference,
        invoice.c.payment,
        invoice.c.total,
        invoice.c.currency,
        _newest.c.payment.label("said"),
        _newest.c.currency.label("said_currency"),
    )
    .outerjoin(_latest, _latest.c.invoice_id == invoice.c.id)
    .outerjoin(_newest, _newest.c.id == _latest.c.id)
    .where(
        _STANDS,
        or_(
            func.coalesce(invoice.c.payment, "") != func.coalesce(_newest.c.payment, ""),
            _newest.c.currency != invoice.c.currency,
        ),
    )
)
_OUT_OF_ORDER: Final = (
    select(payment.c.id, payment.c.paid, payment.c.currency)
    .join(
        _older,
        and_(_older.c.invoice_id == payment.c.invoice_id, _older.c.id < payment.c.id),
    )
    .where(_older.c.observed_at > payment.c.observed_at)
    .distinct()
)
_MOVES: Final = (
    select(
        audit_entry.c.entity,
        audit_entry.c.detail,
        *(invoice.c[name] for name in ("payment", "total", "currency", "state")),
    )
    .outerjoin(invoice, invoice.c.reference == func.substr(audit_entry.c.entity, len(_ABOUT) + 1))
    .where(audit_entry.c.action == "invoice.payment")
    .order_by(audit_entry.c.entity, audit_entry.c.id)
)
_LOGGED: Final = select(audit_entry.c.entity).where(audit_entry.c.action == "invoice.payment")
_UNLOGGED: Final = select(
    invoice.c.reference, invoice.c.payment, invoice.c.total, invoice.c.currency
).where(
    _STANDS,
    invoice.c.payment.is_not(None),
    (literal(_ABOUT) + invoice.c.reference).not_in(_LOGGED),
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield payments that do not say what their amounts say, and invoices that do not follow."""
    for row in stream(connection, _WORDS):
        right = _word(row)
        if row["payment"] not in PAYMENTS or right != row["payment"]:
            yield PAID.broken(
                f"payment:{row['id']}",
                f'is called "{row["payment"]}", and its amounts say "{right}"',
                row["paid"],
                row["currency"],
            )
    for query, detail in (
        (_IMPOSSIBLE, "its amounts contradict each other"),
        (_OUT_OF_ORDER, "is older than the one that it replaced"),
    ):
        for row in stream(connection, query):
            yield PAID.broken(f"payment:{row['id']}", detail, row["paid"], row["currency"])
    for row in stream(connection, _NOT_THE_NEWEST):
        yield PAID.broken(
            f"invoice:{row['reference']}",
            f"is {row['payment']} in {row['currency']}, and what was last seen says {row['said']} "
            f"in {row['said_currency']}",
            row["total"],
            row["currency"],
        )
    for row in stream(connection, _UNLOGGED):
        detail = f"is {row['payment']}, and the audit log tells nothing of it"
        yield PAID.broken(f"invoice:{row['reference']}", detail, row["total"], row["currency"])
    yield from _moves(connection)


def _word(row: Any) -> str:
    return payment_of(Amounts(**{name: row[name] for name in (*_WHAT, "currency")}))


def _moves(connection: Connection) -> Iterator[Violation]:
    for entity, rows in groupby(stream(connection, _MOVES), key=itemgetter("entity")):
        word: str | None = None
        row: Any = None
        for row in rows:
            before, after = row["detail"].get("before"), row["detail"].get("payment")
            if before != word:
                detail = f"went from {before} to {after}, and the audit log had it as {word}"
                yield PAID.broken(entity, detail, row["total"], row["currency"])
            word = after
        if row["payment"] != word and row["state"] != "canceled":
            detail = f"is {row['payment']}, and the audit log has it as {word}"
            yield PAID.broken(entity, detail, row["total"], row["currency"])
