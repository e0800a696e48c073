"""Breakers: a billing system that fails again and again rests, and one at a time tries it again.

One row for each connector, so that it is known to every process and survives each of them. What a
rest keeps from going is not even claimed: it is no try of any invoice, and other systems go on. A
rest only ever delays. What was uncertain before it is looked up after it, as ever (decision 0045).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, exists, or_, select, update

from .auditlog import note
from .claims import LEASE_SECONDS
from .database import Database, insert_for
from .errors import (
    ConnectorError,
    OutcomeUnknownError,
    RateLimitedError,
    RestingError,
    StillUnderWayError,
    TransientError,
)
from .ports import Clock
from .tables import breaker, invoice

MOST_FAILURES: Final = 5
"""After so many failures in a row a connector rests..."""
LASTING: Final = timedelta(seconds=30)
"""...if the first of them is as long ago: what is back at once, a restart say, opens nothing."""
FORGOTTEN: Final = timedelta(hours=1)
"""Failures further apart than this are not in a row."""
FIRST_REST: Final = timedelta(minutes=1)
LONGEST_REST: Final = timedelta(minutes=15)
LONGEST_LIMIT: Final = timedelta(days=1)
"""The longest rest that a system's own "too many requests" brings."""
PROBE: Final = timedelta(seconds=LEASE_SECONDS)
"""For how long the one that tries it again keeps the others from doing so: it may have died."""
LOOK_AGAIN_SECONDS: Final = 10
"""When what was claimed in spite of a rest is looked at again, at the latest."""
_ROW: Final = select(breaker).where(breaker.c.connector == bindparam("name"))


@dataclass(frozen=True, slots=True)
class Rest:
    """A connector that rests, or is being tried again."""

    connector: str
    until: datetime
    failures: int
    reason: str

    def told(self) -> str:
        """Return it in words."""
        failed = f" after {self.failures} failures in a row" if self.failures else ""
        until = self.until.strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{self.connector} rests until {until}{failed}: {self.reason}"


def is_free(now: datetime) -> ColumnElement[bool]:
    """Return the condition that an invoice's billing system does not rest."""
    return ~exists(
        select(breaker.c.connector).where(
            breaker.c.connector == invoice.c.connector,
            or_(breaker.c.rests_until > now, breaker.c.probe_until > now),
        )
    )


def rests(connection: Connection, now: datetime | None = None) -> dict[str, Rest]:
    """Return the rests by connector.

    One after failures whose end is past lasts until a try has succeeded. A limit just ends: such
    ones are left out if `now` is given.
    """
    query = select(breaker).where(breaker.c.rests_until.is_not(None))
    if now is not None:
        query = query.where(or_(breaker.c.rests > 0, breaker.c.rests_until > now))
    rows = connection.execute(query)
    return {
        row.connector: Rest(
            row.connector, row.rests_until, row.failures if row.rests else 0, row.reason
        )
        for row in rows
    }


def failures(connection: Connection) -> dict[str, int]:
    """Return how many times in a row each connector has failed that ever did."""
    rows = connection.execute(select(breaker.c.connector, breaker.c.failures))
    return {row.connector: row.failures for row in rows}


HasAnswered = Callable[[], bool]


@dataclass(slots=True)
class Passage:
    """One piece of work with a billing system, and what stopped it."""

    tries: datetime | None
    """The end of the rest after which this tries the system again, None where nothing rested."""
    has_answered: HasAnswered
    """Whether the system was reached at all: what is decided here says nothing about it."""
    error: ConnectorError | None = None


@contextmanager
def passing(
    database: Database, clock: Clock, name: str, has_answered: HasAnswered
) -> Iterator[Passage]:
    """Work with a connector inside: what comes of it counts for its breaker.

    `has_answered` says at the end whether its system was reached: what went well, or was refused,
    without a request proves nothing. Raise RestingError if it rests. An error that is caught inside
    is told by `Passage.error`.
    """
    passage = Passage(_probe(database, name, clock.now()), has_answered)
    try:
        yield passage
    except ConnectorError as error:
        passage.error = error
        _record(database, name, passage, clock.now())
        raise
    _record(database, name, passage, clock.now())


def _probe(database: Database, name: str, now: datetime) -> datetime | None:
    """Return which rest this tries to end, by its end, None where nothing rests."""
    with database.read() as connection:
        row = connection.execute(_ROW, {"name": name}).first()
    if row is None or row.rests_until is None or (not row.rests and row.rests_until <= now):
        return None
    is_over = row.rests_until <= now and (row.probe_until is None or row.probe_until <= now)
    if is_over and database.write(lambda connection: _begin(connection, name, now)):
        ended_at: datetime = row.rests_until
        return ended_at
    seconds = int((max(row.rests_until, row.probe_until or now) - now).total_seconds())
    count = row.failures if row.rests else 0
    told = Rest(name, row.rests_until, count, row.reason).told()
    raise RestingError(told, max(1, min(seconds, LOOK_AGAIN_SECONDS)))


def _begin(connection: Connection, name: str, now: datetime) -> bool:
    """Take the right to try a system again; return False if another one has it."""
    done = connection.execute(
        update(breaker)
        .where(
            breaker.c.connector == name,
            breaker.c.rests_until <= now,
            or_(breaker.c.probe_until.is_(None), breaker.c.probe_until <= now),
        )
        .values(probe_until=now + PROBE)
    )
    return done.rowcount == 1


def _record(database: Database, name: str, passage: Passage, now: datetime) -> None:
    error = passage.error
    is_under_way = isinstance(error, StillUnderWayError)
    is_a_failure = isinstance(error, (TransientError, OutcomeUnknownError)) and not is_under_way
    if isinstance(error, RateLimitedError) and error.retry_after is not None:
        until = now + min(timedelta(seconds=error.retry_after), LONGEST_LIMIT)
        database.write(lambda connection: limited(connection, name, str(error), until, now))
    elif is_a_failure:
        database.write(lambda connection: failed(connection, name, str(error), passage, now))
    elif is_under_way or not passage.has_answered():
        if passage.tries is not None:
            database.write(lambda connection: _end_probe(connection, name, passage))
    else:
        # Whatever else it says of this one invoice or of our credentials: it answers.
        with database.read() as connection:
            row = connection.execute(_ROW, {"name": name}).first()
        if row is not None and row.failures + (row.rests_until is not None):
            database.write(lambda connection: answered(connection, name, passage, now))


def failed(connection: Connection, name: str, reason: str, passage: Passage, now: datetime) -> None:
    """Count a failure; the connector rests if it was one too many, or the try after a rest."""
    row = _locked(connection, name)
    is_in_a_row = row.failed_at is not None and now - row.failed_at <= FORGOTTEN
    is_in_a_row = is_in_a_row or row.rests > 0
    count = row.failures + 1 if is_in_a_row else 1
    since = row.failing_since if is_in_a_row and row.failing_since else now
    values: dict[str, Any] = {
        "failures": count,
        "failing_since": since,
        "failed_at": now,
        "reason": reason,
    }
    is_too_many = row.rests == 0 and count >= MOST_FAILURES and now - since >= LASTING
    if is_too_many or _is_probe(row, passage):
        rest = min(FIRST_REST * 2**row.rests, LONGEST_REST)
        # Doubled a few times it is the longest already.
        values |= {"rests": min(row.rests + 1, 10), "probe_until": None}
        values["rests_until"] = max(now + rest, row.rests_until or now)
        _note(connection, now, "billhook", "connector.rests", name, reason=reason, failures=count)
    connection.execute(update(breaker).where(breaker.c.connector == name).values(values))


def limited(connection: Connection, name: str, reason: str, until: datetime, now: datetime) -> None:
    """Let a connector rest for as long as its system has asked for.

    Then it goes on as before: a limit that is over is no failure that a try has to disprove.
    """
    row = _locked(connection, name)
    values = {"rests_until": max(until, row.rests_until or until), "probe_until": None}
    connection.execute(
        update(breaker).where(breaker.c.connector == name).values(reason=reason, **values)
    )
    if row.rests_until is None or row.rests_until <= now:
        _note(connection, now, "billhook", "connector.rests", name, reason=reason, failures=0)


def answered(connection: Connection, name: str, passage: Passage, now: datetime) -> None:
    """Forget the failures, now that the system answers.

    A rest is ended only by the try after it: what began before it proves nothing about the
    system now, and must not cut short what a limit has asked for.
    """
    row = _locked(connection, name)
    has_ended = row.rests == 0 and (row.rests_until is None or row.rests_until <= now)
    if has_ended or _is_probe(row, passage):
        _close(connection, name, now, "billhook", is_open=row.rests > 0)


def close(connection: Connection, name: str, actor: str, now: datetime) -> bool:
    """End a rest by hand; return False if there was none. What waited goes on at once."""
    row = connection.execute(_ROW, {"name": name}).first()
    is_open = name in rests(connection, now)
    if row is not None:
        _close(connection, name, now, actor, is_open=is_open)
    return is_open


def _close(connection: Connection, name: str, now: datetime, actor: str, *, is_open: bool) -> None:
    connection.execute(update(breaker).where(breaker.c.connector == name).values(**_CLOSED))
    if is_open:
        _note(connection, now, actor, "connector.goes_on", name)


def _end_probe(connection: Connection, name: str, passage: Passage) -> None:
    same = breaker.c.rests_until == passage.tries
    connection.execute(
        update(breaker).where(breaker.c.connector == name, same).values(probe_until=None)
    )


def _is_probe(row: Any, passage: Passage) -> bool:
    # By its rest and not by its right to try: one that is slow counts, also if another has joined.
    return passage.tries is not None and row.rests_until == passage.tries


def _locked(connection: Connection, name: str) -> Any:
    """Return the row of a connector, held by this transaction; made now if there is none."""
    made = insert_for(connection, breaker).values(connector=name, **_CLOSED)
    connection.execute(made.on_conflict_do_nothing())
    query = _ROW if connection.dialect.name == "sqlite" else _ROW.with_for_update()
    return connection.execute(query, {"name": name}).one()


_CLOSED: Final = {
    "failures": 0,
    "failing_since": None,
    "failed_at": None,
    "reason": None,
    "rests": 0,
    "rests_until": None,
    "probe_until": None,
}


def _note(
    connection: Connection, now: datetime, actor: str, action: str, name: str, **detail: Any
) -> None:
    note(connection, now, actor=actor, action=action, entity=f"connector:{name}", **detail)
