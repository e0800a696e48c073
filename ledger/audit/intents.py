"""Every change at a billing system was written down first, none is left in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Connection,
    String,
    and_,
    bindparam,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    type_coerce,
)

from ..claims import NEVER
from ..events import as_utc_text
from ..tables import UtcDateTime, intent, invoice
from .violations import Invariant, Violation, stream

INTENTS: Final = Invariant(
    "intents",
    "every change at a billing system was written down before it was tried, with the content "
    "that was meant",
    "look for the reference at the billing system; if the invoice is there twice, void one",
)
DOUBTS: Final = Invariant(
    "doubts",
    "no change stays uncertain without a look-up to come, or longer than a day without a person "
    "who knows of it",
    "look for the reference at the billing system, then run `flask invoices push REFERENCE`",
)
REMOTE_IDS: Final = Invariant(
    "remote ids",
    "no two invoices of ours are one invoice at the billing system",
    "compare both with the billing system: one of them was never created there",
)
CREATE: Final = "create"
"""The operation that makes a draft at the billing system."""
UPDATE: Final = "update"
"""The operation that amends it there."""
CREDIT: Final = "credit"
"""The operation that issues a credit note there."""
LONGEST_DOUBT: Final = timedelta(minutes=15)
"""How long a change may be uncertain before somebody or something must be about to look."""
LONGEST_UNTOLD: Final = timedelta(hours=24)
"""How long a change may be uncertain before a person must know of it."""
_INVOICE: Final = tuple(invoice.c[name] for name in ("reference", "state", "total", "currency"))
_STATES: Final = ("intended", "sent", "uncertain", "confirmed", "refused", "absent")


def find(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield invoices that went out without an intent, and changes that nobody looks after."""
    yield from _without_intent(connection)
    yield from _in_doubt(connection, now)
    yield from _remote_twice(connection)


def _without_intent(connection: Connection) -> Iterator[Violation]:
    for row in stream(connection, _without_intent_query()):
        yield _violation(
            INTENTS,
            row,
            f"is {row['state']}, but no confirmed intent to create just this content is there",
        )


@cache
def _without_intent_query() -> Any:
    revision = literal(":") + cast(invoice.c.pushed_revision, String)
    operations = [literal(operation) + revision for operation in (CREATE, UPDATE, CREDIT)]
    confirmed = (
        select(intent.c.id)
        .where(
            intent.c.invoice_id == invoice.c.id,
            intent.c.operation.in_(operations),
            intent.c.state == "confirmed",
            intent.c.content_hash == invoice.c.content_hash,
        )
        .exists()
    )
    intended = select(intent.c.id).where(intent.c.invoice_id == invoice.c.id).exists()
    return select(*_INVOICE).where(
        or_(
            and_(invoice.c.state == "pushed", not_(confirmed)),
            and_(invoice.c.state == "pushed", invoice.c.remote_id.is_(None)),
            and_(invoice.c.remote_id.is_not(None), not_(intended)),
        )
    )


def _in_doubt(connection: Connection, now: datetime) -> Iterator[Violation]:
    moments = {"doubted": now - LONGEST_DOUBT, "untold": now - LONGEST_UNTOLD}
    for row in stream(connection, _in_doubt_query(), moments):
        yield _violation(
            DOUBTS,
            row,
            f'its {row["operation"]} is "{row["intent_state"]}" since '
            f"{as_utc_text(row['changed_at'])}, and no next attempt or no person's task",
        )


@cache
def _in_doubt_query() -> Any:
    is_tried_again = and_(invoice.c.state == "approved", invoice.c.next_at < literal(NEVER))
    is_a_persons_task = or_(
        and_(invoice.c.state == "approved", invoice.c.problem.is_not(None)),
        invoice.c.state == "blocked",
    )
    is_in_doubt = intent.c.state.in_(("sent", "uncertain"))

    def since(name: str) -> Any:
        return and_(is_in_doubt, intent.c.changed_at < type_coerce(bindparam(name), UtcDateTime))

    return (
        select(
            *_INVOICE,
            intent.c.operation,
            intent.c.state.label("intent_state"),
            intent.c.changed_at.label("changed_at"),
        )
        .join(invoice, invoice.c.id == intent.c.invoice_id)
        .where(
            or_(
                intent.c.state.not_in(_STATES),
                and_(since("doubted"), not_(or_(is_tried_again, is_a_persons_task))),
                and_(since("untold"), not_(is_a_persons_task)),
            )
        )
    )


def _remote_twice(connection: Connection) -> Iterator[Violation]:
    for row in stream(connection, _remote_twice_query()):
        yield _violation(
            REMOTE_IDS, row, f"and {row['other']} are both {row['remote_id']} at {row['connector']}"
        )


@cache
def _remote_twice_query() -> Any:
    count = func.count(invoice.c.id)
    return (
        select(
            invoice.c.connector,
            invoice.c.remote_id,
            func.min(invoice.c.reference).label("reference"),
            func.max(invoice.c.reference).label("other"),
            func.max(invoice.c.total).label("total"),
            func.min(invoice.c.currency).label("currency"),
        )
        .where(invoice.c.remote_id.is_not(None))
        .group_by(invoice.c.connector, invoice.c.remote_id)
        .having(count > 1)
    )


def _violation(invariant: Invariant, row: Any, detail: str) -> Violation:
    return invariant.broken(f"invoice:{row['reference']}", detail, row["total"], row["currency"])
