"""When each tool is asked what webhooks missed, and how far that has come.

One row for each endpoint and question: `changes` since a cursor, and the `entries` of the open
period, which shows what was deleted silently. A cursor is stored with what was found up to it,
so an interruption resumes there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, select, update

from .claims import AFRESH, Claim, hold_one, needing, released
from .database import insert_for
from .tables import poll

CHANGES: Final = "changes"
ENTRIES: Final = "entries"
ENTRIES_EVERY: Final = timedelta(hours=6)
"""How often the entries of the open period are listed anew."""


@dataclass(frozen=True, slots=True)
class Due:
    """A question that is due at one endpoint's tool."""

    endpoint: str
    what: str
    """`changes` or `entries`."""
    cursor: str | None


def expect(connection: Connection, wanted: Collection[tuple[str, str]], now: datetime) -> None:
    """Make the rows agree with the rules: who is asked what. What is no longer asked rests."""
    rows = connection.execute(select(poll.c.id, poll.c.endpoint, poll.c.what, poll.c.state)).all()
    known = {(row.endpoint, row.what): row for row in rows}
    missing = sorted(set(wanted) - set(known))
    if missing:
        connection.execute(
            insert_for(connection, poll).on_conflict_do_nothing(),
            [
                {
                    "endpoint": endpoint,
                    "what": what,
                    "state": "waiting",
                    "found": 0,
                    "attempts": 0,
                    "next_at": now,
                }
                for endpoint, what in missing
            ],
        )
    for key, row in known.items():
        state = "waiting" if key in wanted else "off"
        if row.state != state:
            values: dict[str, Any] = {"state": state, **released(now)}
            if state == "off":
                values |= {"reason": None, "since_at": None}
            connection.execute(update(poll).where(poll.c.id == row.id).values(values))


def agrees(connection: Connection, wanted: Collection[tuple[str, str]]) -> bool:
    """Return whether `expect` has nothing to do."""
    rows = connection.execute(select(poll.c.endpoint, poll.c.what).where(poll.c.state == "waiting"))
    return {(row.endpoint, row.what) for row in rows} == set(wanted)


def due(now: datetime) -> Any:
    """Return the condition under which a tool is asked now: between two polls it rests."""
    return poll.c.next_at <= now


def ask_now(connection: Connection, endpoints: Collection[str], now: datetime) -> int:
    """Have the questions of some endpoints asked now, of all if none is named; return how many."""
    statement = update(poll).where(poll.c.state == "waiting").values(next_at=now, **AFRESH)
    if endpoints:
        statement = statement.where(poll.c.endpoint.in_(endpoints))
    return connection.execute(statement).rowcount


def begin_anew(connection: Connection, endpoints: Collection[str]) -> int:
    """Forget how far some endpoints' changes were asked for; return how many there are.

    Since when the entries are listed stays, so that what was logged meanwhile is found by that.
    """
    which = and_(poll.c.endpoint.in_(endpoints), poll.c.what == CHANGES)
    return connection.execute(update(poll).where(which).values(cursor=None, **released())).rowcount


def load(connection: Connection, claimed: Claim) -> Due:
    """Return the claimed question."""
    row = connection.execute(select(poll).where(poll.c.id == claimed.ids[0])).one()
    return Due(row.endpoint, row.what, row.cursor)


def answered(
    connection: Connection,
    claimed: Claim,
    *,
    cursor: str | None,
    found: int,
    now: datetime,
    next_at: datetime,
    problem: str | None = None,
) -> None:
    """End a claim whose answer is stored in the same transaction."""
    poll_id = hold_one(connection, claimed)
    connection.execute(
        update(poll)
        .where(poll.c.id == poll_id)
        .values(
            cursor=cursor,
            found=poll.c.found + found,
            polled_at=now,
            reason=problem,
            **needing(poll, now, is_needed=problem is not None),
            **released(next_at),
        )
    )


def not_answered(
    connection: Connection, claimed: Claim, problem: str, next_at: datetime, now: datetime
) -> None:
    """End a claim without an answer: the tool is asked again, and people see why it was not."""
    poll_id = hold_one(connection, claimed)
    # The attempts go on counting, so that a tool that is away is asked less and less often.
    values = {**released(next_at), "reason": problem, **needing(poll, now, is_needed=True)}
    del values["attempts"]
    connection.execute(update(poll).where(poll.c.id == poll_id).values(values))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one question has come."""

    endpoint: str
    what: str
    is_asked: bool
    """False where the rules no longer ask it."""
    found: int
    """News that webhooks had not brought, ever."""
    polled_at: datetime | None
    next_at: datetime
    problem: str | None


def progress(connection: Connection) -> list[Progress]:
    """Return how far every question has come, by endpoint."""
    rows = connection.execute(select(poll).order_by(poll.c.endpoint, poll.c.what))
    return [
        Progress(
            row.endpoint,
            row.what,
            row.state == "waiting",
            row.found,
            row.polled_at,
            row.next_at,
            row.reason,
        )
        for row in rows
    ]
