"""Invariant 1: nothing is lost on the way. Every row is in a known state and waits for nobody long.

How many events a delivery tells is counted with it; a repeated fact is stored once, so fewer
rows may name it. More kinds of facts than it told would mean that somebody added some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, case, distinct, func, or_, select

from ..approvals import by_rule
from ..claims import waits
from ..restoring import may_push
from ..sync import LOOKED_AT, due
from ..tables import customer, delivery, event, fact, hint, invoice, poll, report, subject
from .violations import Violation, stream

NAME: Final = "deliveries"
LONGEST_REST: Final = timedelta(seconds=30)
"""How long after its time a row may wait for a worker to take it."""

_FINE: Final = {
    delivery: {"waiting", "normalized", "asked"},
    poll: {"waiting", "off"},
    fact: {"known", "wanted", "unknown"},
    subject: {"waiting", "priced"},
    customer: {"waiting", "settled"},
    hint: {"waiting", "followed"},
    report: {"waiting", "told"},
}
"""The states of each stage's rows that speak for themselves."""
_WITH_REASON: Final = {
    delivery: {"ignored", "unsupported", "unreadable", "failed"},
    customer: {"failed"},
    subject: {"held", "nothing", "gone", "failed"},
    hint: {"unmatched", "held", "failed"},
    report: {"failed"},
}
"""The states in which a person must be told why."""

_Stage = tuple[str, Table, str | tuple[str, ...], Callable[[datetime], Any] | None]
_STAGES: Final[tuple[_Stage, ...]] = (
    ("poll", poll, "waiting", None),
    ("normalize", delivery, "waiting", None),
    ("enrich", fact, "wanted", None),
    ("map", subject, "waiting", None),
    ("assemble", customer, "waiting", None),
    ("approve", invoice, "draft", by_rule),
    ("push", invoice, "approved", may_push),
    ("follow", hint, "waiting", None),
    ("look", invoice, LOOKED_AT, due),
    ("report", report, "waiting", None),
)
"""What waits for each stage of `worker.py`: table, state and a further condition."""


def find(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield rows that are lost: in no known state, without a reason, or left lying."""
    for table in _FINE:
        yield from _states(connection, table)
    yield from left_lying(connection, now)
    yield from _counts(connection)


def left_lying(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield rows that have waited for a worker longer than `LONGEST_REST`."""
    for stage, table, state, only in _STAGES:
        yield from _resting(connection, stage, table, state, only, now - LONGEST_REST)


def _states(connection: Connection, table: Table) -> Iterator[Violation]:
    explained = _WITH_REASON.get(table, set())
    unknown = table.c.state.not_in(_FINE[table] | explained)
    silent = and_(table.c.state.in_(explained), func.trim(func.coalesce(table.c.reason, "")) == "")
    query = select(table.c.id, table.c.state).where(or_(unknown, silent))
    for row in stream(connection, query):
        wrong = "gives no reason" if row["state"] in explained else "is no known state"
        yield Violation(NAME, f"{table.name}:{row['id']}", f'"{row["state"]}" {wrong}')


def _resting(
    connection: Connection,
    stage: str,
    table: Table,
    state: str | tuple[str, ...],
    only: Callable[[datetime], Any] | None,
    before: datetime,
) -> Iterator[Violation]:
    """Yield rows that a worker could have claimed at `before` and that are waiting still."""
    query = select(table.c.id).where(waits(table, state, before))
    for row in stream(connection, query if only is None else query.where(only(before))):
        yield Violation(
            NAME,
            f"{table.name}:{row['id']}",
            f"waits for {stage} longer than {LONGEST_REST.seconds} s, and no worker has taken it",
        )


def _counts(connection: Connection) -> Iterator[Violation]:
    stored = (
        select(
            event.c.delivery_id,
            func.count(distinct(event.c.subject + " " + event.c.kind)).label("facts"),
        )
        .group_by(event.c.delivery_id)
        .subquery()
    )
    facts = func.coalesce(stored.c.facts, 0)
    query = (
        select(delivery.c.id, delivery.c.state, delivery.c.events, facts.label("facts"))
        .outerjoin(stored, stored.c.delivery_id == delivery.c.id)
        .where(
            delivery.c.state != "waiting",
            or_(
                facts > delivery.c.events,
                case((delivery.c.state == "normalized", delivery.c.events < 1), else_=False),
                case((delivery.c.state != "normalized", delivery.c.events > 0), else_=False),
            ),
        )
    )
    for row in stream(connection, query):
        yield Violation(
            NAME,
            f"delivery:{row['id']}",
            f"is {row['state']} and tells {row['events']} events, "
            f"but {row['facts']} are stored for it",
        )
