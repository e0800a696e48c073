"""What waits for a person: the one list, with reason, age, amount at risk and the way to go on.

`flask waiting`, the overview page, `GET /api/v1/held` and `/metrics` show it. What kinds of things
there are stands in `held_kinds.py`. Read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, false, func, literal, or_, select

from .claims import NEVER
from .events import as_utc_text
from .held_kinds import PASSED_OVER, kinds_of
from .listings import money_json
from .money import Money

SUMMED_UP_DAYS: Final = 7
"""How far back a summary of what was passed over reaches; all of it can be listed one by one."""
NO_REASON: Final = "no reason was written down"
HELD_KINDS: Final = tuple(kinds_of(NEVER))
"""Everything that waits for a person, in the order of the line."""
ALL_KINDS: Final = (*HELD_KINDS, *PASSED_OVER)


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
    since: datetime | None
    at_risk: Money | None
    """Of whose amount it is, as far as one can be named."""
    go_on: str
    """The command with which it goes on."""

    @property
    def key(self) -> str:
        """Return its place in the list: give it as `after` to go on behind it."""
        return f"{self.kind}:{self.id}"

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Return it as the API and the command tell it."""
        risk, since = self.at_risk, self.since
        return {
            "key": self.key,
            "kind": self.kind,
            "where": self.where,
            "what": self.what,
            "reason": self.reason,
            "since": None if since is None else as_utc_text(since),
            "age_seconds": None if since is None else max(0, int((now - since).total_seconds())),
            "at_risk": None if risk is None else money_json(risk.minor, risk.currency),
            "go_on": self.go_on,
        }


@dataclass(frozen=True, slots=True)
class Count:
    """How many things of one kind wait, and since when the oldest does."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Things that were passed over at one endpoint for one reason."""

    kind: str
    where: str
    reason: str
    count: int
    last_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as the API and the command tell it."""
        return {
            "kind": self.kind,
            "where": self.where,
            "reason": self.reason,
            "count": self.count,
            "last_at": as_utc_text(self.last_at),
        }


def needs_a_person(table: Table) -> ColumnElement[bool]:
    """Return the condition under which a row of a table is in the list, whatever the time is."""
    kinds = {name: kind for name, kind in kinds_of(NEVER).items() if name != "approval"}
    return or_(false(), *(kind.condition for kind in kinds.values() if kind.table is table))


def count_held(connection: Connection, now: datetime) -> dict[str, Count]:
    """Return how many things of each kind wait for a person."""
    counts = {}
    for name, kind in kinds_of(now).items():
        query = select(func.count(), func.min(kind.since)).where(kind.condition)
        count, oldest_at = connection.execute(query.select_from(kind.table)).one()
        counts[name] = Count(count, oldest_at)
    return counts


def list_held(
    connection: Connection,
    now: datetime,
    *,
    after: str | None = None,
    limit: int,
    kinds: Sequence[str] = (),
    customer: str | None = None,
) -> list[Held]:
    """Return a page of what waits for a person, kind by kind, oldest first.

    `after` is the key of the last one seen; raise ValueError if it is none. `kinds` may also name
    what was passed over. With a customer only what is about one customer's money is listed.
    """
    wanted, reached, after_id = list(kinds or HELD_KINDS), "", 0
    if after is not None:
        reached, _, number = after.partition(":")
        after_id, start = int(number), ALL_KINDS.index(reached)
        wanted = [name for name in wanted if ALL_KINDS.index(name) >= start]
    found: list[Held] = []
    for name in wanted:
        found += first_held(
            connection,
            name,
            limit - len(found),
            now,
            after_id=after_id if name == reached else 0,
            customer=customer,
        )
        if len(found) == limit:
            break
    return found


def first_held(
    connection: Connection,
    name: str,
    limit: int,
    now: datetime,
    *,
    after_id: int = 0,
    customer: str | None = None,
) -> list[Held]:
    """Return the first things of one kind that wait for a person."""
    kind = (kinds_of(now) | PASSED_OVER)[name]
    if customer is not None and kind.customer is None:
        return []
    query = (
        select(
            kind.table,
            kind.since.label("held_since"),
            (literal(None) if kind.minor is None else kind.minor).label("risk_minor"),
            (literal(None) if kind.currency is None else kind.currency).label("risk_currency"),
        )
        .where(kind.condition, kind.table.c.id > after_id)
        .order_by(kind.table.c.id)
        .limit(limit)
    )
    if customer is not None and kind.customer is not None:
        query = query.where(kind.customer == customer)
    return [
        Held(
            name,
            row["id"],
            kind.where(row),
            kind.what(row),
            kind.reason(row) or NO_REASON,
            _moment(row["held_since"]),
            _money(row),
            kind.go_on(row),
        )
        for row in connection.execute(query).mappings()
    ]


def passed_over(connection: Connection, now: datetime) -> list[PassedOver]:
    """Return what was passed over within `SUMMED_UP_DAYS`, by endpoint and reason."""
    found = []
    for name, kind in PASSED_OVER.items():
        table = kind.table
        rows = connection.execute(
            select(
                table.c.endpoint,
                table.c.reason,
                func.count().label("rows"),
                func.max(table.c.next_at).label("last_at"),
            )
            .where(kind.condition, table.c.next_at > now - timedelta(days=SUMMED_UP_DAYS))
            .group_by(table.c.endpoint, table.c.reason)
            .order_by(table.c.endpoint, table.c.reason)
        )
        found += [
            PassedOver(name, row.endpoint, row.reason or NO_REASON, row.rows, row.last_at)
            for row in rows
        ]
    return found


def _money(row: Mapping[Any, Any]) -> Money | None:
    if row["risk_minor"] is None or row["risk_currency"] is None:
        return None
    return Money(int(row["risk_minor"]), row["risk_currency"])


def _moment(value: Any) -> datetime | None:
    found: datetime | None = value
    return found
