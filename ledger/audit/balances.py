"""Time is neither lost nor billed twice, to the second: each subject, each customer, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, case, func, or_, select

from ..deliveries import HINT
from ..events import UNDOES
from ..subjects import is_paid_by
from ..tables import event, line_item, subject
from .violations import Invariant, Violation, stream

PRESENT: Final = Invariant(
    "present",
    "each subject says what the newest event about it says",
    "`flask events replay` reads the delivery of the newest event again",
)
TIME: Final = Invariant(
    "time",
    "billed + drafted + held + excluded time is the present value of each subject, of each "
    "customer and of all, to the second",
    "do not approve drafts of the customers that are named; `flask invoices explain` shows where "
    "their time stands",
)
JUDGED: Final = ("priced", "held", "nothing", "gone")
"""The states of subjects whose lines say their present value."""
_SAID: Final = case((event.c.kind.in_(UNDOES), 0), else_=func.coalesce(event.c.seconds, 0))
_NOT_PRESENT: Final = (
    select(subject.c.id, subject.c.seconds, _SAID.label("told"))
    .join(event, event.c.id == subject.c.event_id)
    .where(
        or_(
            subject.c.seconds != _SAID,
            subject.c.version != event.c.version,
            subject.c.kind != event.c.kind,
            subject.c.endpoint != event.c.endpoint,
            subject.c.name != event.c.subject,
        )
    )
)
# Only where the subject is missing or older is the newest event looked for: most are present.
_OVERLOOKED: Final = (
    select(event.c.endpoint, event.c.subject)
    .outerjoin(
        subject,
        and_(subject.c.endpoint == event.c.endpoint, subject.c.name == event.c.subject),
    )
    .where(
        event.c.kind != HINT,
        or_(subject.c.id.is_(None), subject.c.version < event.c.version),
    )
    .distinct()
)
_LINES: Final = (
    select(line_item.c.subject_id, func.sum(line_item.c.seconds).label("seconds"))
    .where(line_item.c.state != "withdrawn")
    .group_by(line_item.c.subject_id)
    .subquery()
)
_ON_LINES: Final = func.coalesce(_LINES.c.seconds, 0)
_NOT_IN_BALANCE: Final = (
    select(subject, _ON_LINES.label("on_lines"))
    .outerjoin(_LINES, _LINES.c.subject_id == subject.c.id)
    .where(
        subject.c.state.in_(JUDGED),
        _ON_LINES + subject.c.held_seconds + subject.c.excluded_seconds != subject.c.seconds,
    )
)
_SECONDS, _AMOUNT = func.sum(line_item.c.seconds), func.sum(line_item.c.amount)
_IS_PRESENT: Final = and_(
    subject.c.state == "priced", func.coalesce(is_paid_by(line_item.c.customer), False)
)
_WITH_A_FORMER_CUSTOMER: Final = (
    select(
        subject.c.id,
        line_item.c.customer,
        line_item.c.currency,
        _SECONDS.label("seconds"),
        _AMOUNT.label("amount"),
    )
    .join(line_item, line_item.c.subject_id == subject.c.id)
    .where(
        line_item.c.state != "withdrawn",
        subject.c.state.in_(("priced", "nothing", "gone")),
        ~_IS_PRESENT,
    )
    .group_by(subject.c.id, line_item.c.customer, line_item.c.currency)
    .having(or_(_SECONDS != 0, _AMOUNT != 0))
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield subjects whose lines, held and excluded time are not their present value."""
    for row in stream(connection, _NOT_PRESENT):
        yield PRESENT.broken(
            f"subject:{row['id']}",
            f"stands at {row['seconds']} s, but its present event is another or says "
            f"{row['told']} s",
        )
    for row in stream(connection, _OVERLOOKED):
        yield PRESENT.broken(
            f"subject:{row['endpoint']}/{row['subject']}",
            "an event tells something newer than the ledger holds for it",
        )
    for row in stream(connection, _NOT_IN_BALANCE):
        yield TIME.broken(
            f"subject:{row['id']}",
            f"{int(row['on_lines'])} s on lines + {row['held_seconds']} s held + "
            f"{row['excluded_seconds']} s excluded are not its {row['seconds']} s",
        )
    for row in stream(connection, _WITH_A_FORMER_CUSTOMER):
        yield TIME.broken(
            f"subject:{row['id']}",
            f"{int(row['seconds'])} s are left with customer {row['customer']}, who has no part "
            "in it any more",
            row["amount"],
            row["currency"],
        )
