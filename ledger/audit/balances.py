"""Invariant 2: time is neither lost nor billed twice, to the second.

What is checked for each subject and each customer on it adds up to the same for every
customer and for the whole ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, case, func, or_, select

from ..deliveries import HINT
from ..events import UNDOES
from ..subjects import is_paid_by
from ..tables import event, line_item, subject
from .violations import Violation, stream

NAME: Final = "time"
_JUDGED: Final = ("priced", "held", "nothing", "gone")


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield subjects whose lines, held and excluded time are not their present value."""
    yield from _not_present(connection)
    yield from _not_newest(connection)
    yield from _not_in_balance(connection)
    yield from _with_a_former_customer(connection)


def _not_present(connection: Connection) -> Iterator[Violation]:
    """Yield subjects that do not say what their present event says."""
    seconds = case((event.c.kind.in_(UNDOES), 0), else_=func.coalesce(event.c.seconds, 0))
    query = (
        select(subject.c.id, subject.c.seconds, seconds.label("told"))
        .join(event, event.c.id == subject.c.event_id)
        .where(
            or_(
                subject.c.seconds != seconds,
                subject.c.version != event.c.version,
                subject.c.kind != event.c.kind,
                subject.c.endpoint != event.c.endpoint,
                subject.c.name != event.c.subject,
            )
        )
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"subject:{row['id']}",
            f"stands at {row['seconds']} s, but its present event is another or says "
            f"{row['told']} s",
        )


def _not_newest(connection: Connection) -> Iterator[Violation]:
    """Yield subjects about which something newer was told."""
    newest = (
        select(event.c.endpoint, event.c.subject, func.max(event.c.version).label("version"))
        .where(event.c.kind != HINT)
        .group_by(event.c.endpoint, event.c.subject)
        .subquery()
    )
    query = (
        select(newest.c.endpoint, newest.c.subject)
        .outerjoin(
            subject,
            and_(subject.c.endpoint == newest.c.endpoint, subject.c.name == newest.c.subject),
        )
        .where(or_(subject.c.id.is_(None), subject.c.version < newest.c.version))
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"subject:{row['endpoint']}/{row['subject']}",
            "an event tells something newer than the ledger holds for it",
        )


def _not_in_balance(connection: Connection) -> Iterator[Violation]:
    lines = (
        select(line_item.c.subject_id, func.sum(line_item.c.seconds).label("seconds"))
        .where(line_item.c.state != "withdrawn")
        .group_by(line_item.c.subject_id)
        .subquery()
    )
    on_lines = func.coalesce(lines.c.seconds, 0)
    query = (
        select(subject, on_lines.label("on_lines"))
        .outerjoin(lines, lines.c.subject_id == subject.c.id)
        .where(
            subject.c.state.in_(_JUDGED),
            on_lines + subject.c.held_seconds + subject.c.excluded_seconds != subject.c.seconds,
        )
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"subject:{row['id']}",
            f"{int(row['on_lines'])} s on lines + {row['held_seconds']} s held + "
            f"{row['excluded_seconds']} s excluded are not its {row['seconds']} s",
        )


def _with_a_former_customer(connection: Connection) -> Iterator[Violation]:
    """Yield subjects of which something is left with a customer whose work it is not."""
    seconds, amount = func.sum(line_item.c.seconds), func.sum(line_item.c.amount)
    is_present = and_(
        subject.c.state == "priced", func.coalesce(is_paid_by(line_item.c.customer), False)
    )
    query = (
        select(
            subject.c.id,
            line_item.c.customer,
            line_item.c.currency,
            seconds.label("seconds"),
            amount.label("amount"),
        )
        .join(line_item, line_item.c.subject_id == subject.c.id)
        .where(
            line_item.c.state != "withdrawn",
            subject.c.state.in_(("priced", "nothing", "gone")),
            ~is_present,
        )
        .group_by(subject.c.id, line_item.c.customer, line_item.c.currency)
        .having(or_(seconds != 0, amount != 0))
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"subject:{row['id']}",
            f"{int(row['seconds'])} s are left with customer {row['customer']}, who has no part "
            "in it any more",
            abs(int(row["amount"])),
            row["currency"],
        )
