"""How the line stands: what waits at each stage, what is held for a person, what came in last.

Read-only; the overview page, `GET /api/v1/held` and `/metrics` show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, false, func, or_, select

from .claims import NEVER
from .events import as_utc_text
from .sums import HELD, HELD_OVER_A_CAP
from .sync import STANDS_THERE
from .tables import (
    customer,
    delivery,
    fact,
    hint,
    invoice,
    line_item,
    poll,
    refusal,
    report,
    subject,
)

_WAITS: Final = {
    "poll": (poll, "waiting"),
    "normalize": (delivery, "waiting"),
    "enrich": (fact, "wanted"),
    "map": (subject, "waiting"),
    "assemble": (customer, "waiting"),
    "approve": (invoice, "draft"),
    "push": (invoice, "approved"),
    "follow": (hint, "waiting"),
    "look": (invoice, "pushed"),
    "report": (report, "waiting"),
}
STAGES: Final = tuple(_WAITS)
"""The stages of `worker.py` that rows wait for, in the order of the line."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at one stage."""

    stage: str
    rows: int
    oldest_at: datetime | None
    """Since when the first of them could have been worked on; None if nothing waits."""

    def age_seconds(self, now: datetime) -> int:
        """Return how long the oldest has waited; 0 if nothing waits or it is not due yet."""
        if self.oldest_at is None:
            return 0
        return max(0, int((now - self.oldest_at).total_seconds()))


def waiting(connection: Connection, now: datetime) -> list[Waiting]:
    """Return what waits at each stage, in the order of the line.

    Drafts wait at "approve" for a person or for the end of their period.
    """
    return [_waiting(connection, stage, now) for stage in STAGES]


def _waiting(connection: Connection, stage: str, now: datetime) -> Waiting:
    table, state = _WAITS[stage]
    moment, end = table.c.next_at, NEVER
    if stage == "poll":
        # So does a question until it is asked again.
        end = now
    # What only a person can set going again is held, it does not wait.
    is_in_state = table.c.state == state
    if stage == "look":
        # A pushed invoice rests until the next time that it is looked at.
        moment, end, is_in_state = invoice.c.sync_at, now, STANDS_THERE
    condition = and_(is_in_state, moment < end)
    row = connection.execute(
        select(func.count().label("rows"), func.min(moment).label("oldest_at")).where(condition)
    ).one()
    return Waiting(stage, row.rows, row.oldest_at)


@dataclass(frozen=True, slots=True)
class _HeldKind:
    """One kind of thing that waits for a person, and how to tell of it."""

    table: Table
    condition: ColumnElement[bool]
    where: Callable[[RowMapping], str]
    what: Callable[[RowMapping], str]
    reason: Callable[[RowMapping], str | None]


_KEPT_BACK: Final = (
    select(func.min(line_item.c.id))
    .where(
        # The first condition lets the index be used that only lines in a pool are in.
        line_item.c.pool != "",
        line_item.c.pool.startswith(HELD),
        line_item.c.state != "withdrawn",
    )
    .group_by(line_item.c.customer, line_item.c.pool)
    .having(func.sum(line_item.c.amount) != 0)
)
"""The first line of each pool of which something is held back, billed or not."""

_HELD: Final = {
    "poll": _HeldKind(
        poll,
        and_(poll.c.state == "waiting", poll.c.reason.is_not(None)),
        where=lambda row: str(row["endpoint"]),
        what=lambda row: f"missed {row['what']} are not asked for",
        reason=lambda row: row["reason"],
    ),
    "delivery": _HeldKind(
        delivery,
        delivery.c.state.in_(("unsupported", "unreadable", "failed")),
        where=lambda row: str(row["endpoint"]),
        what=lambda row: f"delivery {row['id']}",
        reason=lambda row: row["reason"],
    ),
    "subject": _HeldKind(
        subject,
        subject.c.state.in_(("held", "failed")),
        where=lambda row: str(row["endpoint"]),
        what=lambda row: str(row["name"]),
        reason=lambda row: row["reason"],
    ),
    "customer": _HeldKind(
        customer,
        customer.c.reason.is_not(None),
        where=lambda row: str(row["key"]),
        what=lambda _: "its drafts are not assembled",
        reason=lambda row: row["reason"],
    ),
    "invoice": _HeldKind(
        invoice,
        invoice.c.state == "blocked",
        where=lambda row: str(row["customer"]),
        what=lambda row: str(row["reference"]),
        reason=lambda row: "; ".join(row["reasons"]),
    ),
    "agreement": _HeldKind(
        line_item,
        line_item.c.id.in_(_KEPT_BACK),
        where=lambda row: str(row["customer"]),
        what=lambda row: str(row["pool"]).removeprefix(HELD),
        reason=lambda _: HELD_OVER_A_CAP,
    ),
    "push": _HeldKind(
        invoice,
        and_(invoice.c.state.in_(("draft", "approved", "pushed")), invoice.c.problem.is_not(None)),
        where=lambda row: str(row["connector"]),
        what=lambda row: str(row["reference"]),
        reason=lambda row: row["problem"],
    ),
    "hint": _HeldKind(
        hint,
        hint.c.state.in_(("held", "failed")),
        where=lambda row: str(row["endpoint"]),
        what=lambda row: str(row["subject"]),
        reason=lambda row: row["reason"],
    ),
    "report": _HeldKind(
        report,
        report.c.state == "failed",
        where=lambda row: str(row["endpoint"]),
        what=lambda row: str(row["marker"]),
        reason=lambda row: row["reason"],
    ),
}
HELD_KINDS: Final = tuple(_HELD)
"""Everything that waits for a person, in the order of the line."""


def needs_a_person(table: Table) -> ColumnElement[bool]:
    """Return the condition under which a row of a table is in the list for people."""
    return or_(false(), *(kind.condition for kind in _HELD.values() if kind.table is table))


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that waits for a person."""

    kind: str
    id: int
    where: str
    """The endpoint, customer or connector."""
    what: str
    reason: str
    """What is wrong and what to do."""

    @property
    def key(self) -> str:
        """Return its place in the list: give it as `after` to go on behind it."""
        return f"{self.kind}:{self.id}"


def count_held(connection: Connection) -> dict[str, int]:
    """Return how many things of each kind wait for a person."""
    return {
        name: connection.scalar(select(func.count()).where(kind.condition)) or 0
        for name, kind in _HELD.items()
    }


def list_held(connection: Connection, *, after: str | None, limit: int) -> list[Held]:
    """Return a page of what waits for a person, kind by kind.

    `after` is the key of the last one seen; raise ValueError if it is none.
    """
    kinds, after_id = list(HELD_KINDS), 0
    if after is not None:
        name, _, number = after.partition(":")
        after_id = int(number)
        kinds = kinds[kinds.index(name) :]
    found: list[Held] = []
    for name in kinds:
        found += first_held(connection, name, limit - len(found), after_id=after_id)
        after_id = 0
        if len(found) == limit:
            break
    return found


def first_held(connection: Connection, name: str, limit: int, *, after_id: int = 0) -> list[Held]:
    """Return the first things of one kind that wait for a person."""
    kind = _HELD[name]
    rows = connection.execute(
        select(kind.table)
        .where(kind.condition, kind.table.c.id > after_id)
        .order_by(kind.table.c.id)
        .limit(limit)
    ).mappings()
    return [
        Held(
            name,
            row["id"],
            kind.where(row),
            kind.what(row),
            kind.reason(row) or "no reason was written down",
        )
        for row in rows
    ]


def recent_deliveries(connection: Connection, limit: int = 20) -> list[dict[str, Any]]:
    """Return the last deliveries with what became of them, newest first."""
    columns = ("id", "endpoint", "source", "delivery_id", "state", "reason", "events")
    rows = connection.execute(
        select(*(delivery.c[name] for name in columns), delivery.c.received_at)
        .order_by(delivery.c.id.desc())
        .limit(limit)
    ).mappings()
    return [
        {**{name: row[name] for name in columns}, "received_at": as_utc_text(row["received_at"])}
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Refused:
    """Deliveries that were turned away at one endpoint for one reason."""

    endpoint: str
    reason: str
    count: int
    last_at: datetime


def refused(connection: Connection, since: date | None = None) -> list[Refused]:
    """Return how many deliveries were turned away, from a day on or ever."""
    query = select(
        refusal.c.endpoint,
        refusal.c.reason,
        func.sum(refusal.c.count).label("total"),
        func.max(refusal.c.last_at).label("last_at"),
    ).group_by(refusal.c.endpoint, refusal.c.reason)
    if since is not None:
        query = query.where(refusal.c.on >= since)
    rows = connection.execute(query.order_by(refusal.c.endpoint, refusal.c.reason))
    return [Refused(row.endpoint, row.reason, int(row.total), row.last_at) for row in rows]


def count_by_state(connection: Connection, table: Table) -> dict[str, int]:
    """Return how many rows of a table there are in each state."""
    rows = connection.execute(
        select(table.c.state, func.count().label("rows")).group_by(table.c.state)
    )
    return {row.state: row.rows for row in rows}
