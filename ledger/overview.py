"""How the line stands: what waits at each stage, what was turned away, what came in last.

Read-only; the overview page and `/metrics` show it. What waits for a person is in `held.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, func, select

from .claims import NEVER
from .events import as_utc_text
from .sync import STANDS_THERE
from .tables import (
    customer,
    delivery,
    fact,
    hint,
    invoice,
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
