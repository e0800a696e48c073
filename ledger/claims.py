"""Claiming rows: one worker at a time holds a row, for as long as its lease runs.

A claim is one conditional UPDATE that writes a fresh token into the rows. Whoever finishes
must still hold that token (the fence); otherwise the lease ran out and somebody else has
the rows. Attempts are counted when work begins, so that a row that kills its worker is
set aside in the end (decision 0039).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from .errors import StaleClaimError

LEASE_SECONDS: Final = 20
"""How long a claim lasts without being renewed; what a killed worker held is free again then."""
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""The `next_at` of a row that only a person can set going again."""
MOST_ATTEMPTS: Final = 5
"""After as many attempts that broke, or that ended with their worker, a person has to look."""
SHRINKS: Final = 8
"""By how much a batch is smaller with each try; a worker's death costs a few batches, not 500."""
AFRESH: Final = {"attempts": 0, "unended": 0}
"""The columns of a row that has as many attempts before it as a new one."""
LONGEST_WAIT_SECONDS: Final = 300
"""The longest wait between two attempts, unless the other side asks for a longer one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of one table that one worker holds until `LEASE_SECONDS` from now."""

    table: Table
    token: str
    ids: Sequence[int]
    attempt: int
    """Which attempt this is, from 1; of several rows the highest."""

    def __bool__(self) -> bool:
        return bool(self.ids)


def in_state(table: Table, state: str | tuple[str, ...]) -> Any:
    """Return the condition that a row is in (one of) these states."""
    return table.c.state == state if isinstance(state, str) else table.c.state.in_(state)


def waits(table: Table, state: str | tuple[str, ...], now: datetime) -> Any:
    """Return the condition under which a row, in (one of) these states, may be claimed now."""
    return and_(
        in_state(table, state),
        table.c.next_at <= now,
        or_(table.c.lease_until.is_(None), table.c.lease_until < now),
    )


def claim(
    connection: Connection,
    table: Table,
    state: str | tuple[str, ...],
    now: datetime,
    most: int,
    only: Callable[[Any], Any] | None = None,
    *,
    aside: Mapping[str, Any] | None = None,
) -> Claim:
    """Claim up to `most` waiting rows, oldest first; the claim is empty if nothing waits.

    `only` returns a further condition, given the present moment as a parameter; its statement is
    kept, so it is a function of a module. Rows that were tried before are claimed fewer at a time,
    by `SHRINKS` with each try: of a batch of 500 the bad row is alone at its fourth try, and the
    good ones have gone on. One whose worker has died `MOST_ATTEMPTS` times in a row is not claimed
    any more: it gets the values of `aside`, which keep it from waiting.
    """
    oldest = _oldest(table, state, only)
    first = connection.execute(oldest, {"now": now}).first()
    while first is not None and first.unended >= MOST_ATTEMPTS:
        _set_aside(connection, table, first.id, now, aside or {})
        first = connection.execute(oldest, {"now": now}).first()
    if first is None:
        return Claim(table, "", (), 0)
    token = secrets.token_hex(16)
    rows = connection.execute(
        _take(table, state, only, is_sqlite=connection.dialect.name == "sqlite"),
        {
            "now": now,
            "tried": first.attempts,
            "most": max(1, most // SHRINKS**first.attempts),
            "lease_token": token,
            "lease_until": now + timedelta(seconds=LEASE_SECONDS),
        },
    ).all()
    return Claim(
        table, token, sorted(row.id for row in rows), max((row.attempts for row in rows), default=0)
    )


# The statements of every claim and every fence are made once: a worker asks them all the time.


@cache
def _oldest(
    table: Table, state: str | tuple[str, ...], only: Callable[[Any], Any] | None
) -> Select[Any]:
    waiting = select(table.c.id, table.c.attempts, table.c.unended)
    # In the order of the index: a long backlog is not read as a whole for each batch.
    return _oldest_first(waiting.where(_may_be_claimed(table, state, only)), table).limit(1)


@cache
def _take(
    table: Table,
    state: str | tuple[str, ...],
    only: Callable[[Any], Any] | None,
    *,
    is_sqlite: bool,
) -> Any:
    chosen = select(table.c.id).where(
        _may_be_claimed(table, state, only),
        table.c.attempts == bindparam("tried"),
        table.c.unended < MOST_ATTEMPTS,
    )
    chosen = _oldest_first(chosen, table).limit(bindparam("most", type_=Integer()))
    if not is_sqlite:
        chosen = chosen.with_for_update(skip_locked=True)
    return (
        update(table)
        .where(table.c.id.in_(chosen.scalar_subquery()))
        .values(attempts=table.c.attempts + 1, unended=table.c.unended + 1)
        .returning(table.c.id, table.c.attempts)
    )


def _oldest_first(query: Select[Any], table: Table) -> Select[Any]:
    return query.order_by(table.c.next_at, table.c.id)


def _may_be_claimed(
    table: Table, state: str | tuple[str, ...], only: Callable[[Any], Any] | None
) -> Any:
    now: Any = bindparam("now", type_=table.c.next_at.type)
    waiting = waits(table, state, now)
    return waiting if only is None else and_(waiting, only(now))


def _set_aside(
    connection: Connection, table: Table, row_id: int, now: datetime, aside: Mapping[str, Any]
) -> None:
    values = {"next_at": NEVER, **aside, "lease_token": None, "lease_until": None}
    # Whoever claims at the same time has either set it aside already or sees the same row.
    connection.execute(
        update(table)
        .where(table.c.id == row_id, table.c.unended >= MOST_ATTEMPTS)
        .values(values | {"since_at": since(table, now)})
    )


def since(table: Table, now: datetime) -> Any:
    """Return the `since_at` of a row that needs a person now: what it is, if it has one."""
    return func.coalesce(table.c.since_at, literal(now, table.c.since_at.type))


def needing(table: Table, now: datetime, *, is_needed: bool) -> dict[str, Any]:
    """Return the column that says since when a row needs a person, for use in an UPDATE."""
    return {"since_at": since(table, now) if is_needed else None}


def hold(connection: Connection, claimed: Claim) -> list[int]:
    """Lock the claimed rows for this transaction and return those that are still ours."""
    query = _held(claimed.table, is_sqlite=connection.dialect.name == "sqlite")
    return sorted(connection.scalars(query, {"ids": claimed.ids, "token": claimed.token}))


@cache
def _held(table: Table, *, is_sqlite: bool) -> Select[tuple[int]]:
    query = select(table.c.id).where(
        table.c.id.in_(bindparam("ids", expanding=True)),
        table.c.lease_token == bindparam("token"),
    )
    return query if is_sqlite else query.order_by(table.c.id).with_for_update()


def hold_one(connection: Connection, claimed: Claim) -> int:
    """Lock the one claimed row and return its id; raise StaleClaimError if it is lost."""
    query = _held_one(claimed.table, is_sqlite=connection.dialect.name == "sqlite")
    (row_id,) = claimed.ids
    held: int | None = connection.scalar(query, {"held_id": row_id, "token": claimed.token})
    if held is None:
        raise StaleClaimError("another worker holds this row now")
    return held


@cache
def _held_one(table: Table, *, is_sqlite: bool) -> Select[Any]:
    # Not the query of many with a list of one: a list is written into the statement each time.
    query = select(table.c.id).where(
        table.c.id == bindparam("held_id"), table.c.lease_token == bindparam("token")
    )
    return query if is_sqlite else query.with_for_update()


def renew(connection: Connection, claimed: Claim, now: datetime) -> None:
    """Make the lease run from now; raise StaleClaimError if a row is no longer ours."""
    table = claimed.table
    until = now + timedelta(seconds=LEASE_SECONDS)
    done = connection.execute(
        _ours(table), {"ids": claimed.ids, "token": claimed.token, "lease_until": until}
    )
    if done.rowcount != len(claimed.ids):
        raise StaleClaimError("another worker holds this row now")


@cache
def _ours(table: Table) -> Update:
    return update(table).where(
        table.c.id.in_(bindparam("ids", expanding=True)),
        table.c.lease_token == bindparam("token"),
    )


def released(next_at: datetime | None = None) -> dict[str, Any]:
    """Return the column values that end a lease after success, for use in an UPDATE."""
    values: dict[str, Any] = {"lease_token": None, "lease_until": None, **AFRESH}
    if next_at is not None:
        values["next_at"] = next_at
    return values


def postponed(now: datetime, attempt: int, *, at_least: int = 0) -> dict[str, Any]:
    """Return the column values that end a lease after a failure: wait 1, 2, 4 ... 300 seconds."""
    seconds = max(min(2 ** max(attempt - 1, 0), LONGEST_WAIT_SECONDS), at_least)
    return {
        "lease_token": None,
        "lease_until": None,
        "unended": 0,
        "next_at": now + timedelta(seconds=seconds),
    }


def give_back(
    connection: Connection,
    claimed: Claim,
    now: datetime,
    *,
    hopeless: Mapping[str, Any],
    at_least: int = 0,
) -> None:
    """End a claim whose work broke: try again later, after `at_least` seconds.

    After `MOST_ATTEMPTS` the rows get the values of `hopeless` instead, which set them aside
    with a reason; they stay in the database and in plain sight.
    """
    table = claimed.table
    is_hopeless = table.c.attempts >= MOST_ATTEMPTS
    values = postponed(now, claimed.attempt, at_least=at_least)
    values["since_at"] = case((is_hopeless, since(table, now)), else_=table.c.since_at)
    for name, value in hopeless.items():
        column = table.c[name]
        values[name] = case(
            (is_hopeless, literal(value, column.type)), else_=values.get(name, column)
        )
    connection.execute(
        update(table)
        .where(table.c.id.in_(claimed.ids), table.c.lease_token == claimed.token)
        .values(values)
    )


def hand_back(
    connection: Connection, claimed: Claim, now: datetime, *, after_seconds: int = 1
) -> None:
    """End a claim as if it had never been made: what broke was not the rows' doing."""
    table = claimed.table
    connection.execute(
        _ours(table).values(attempts=table.c.attempts - 1),
        {"ids": claimed.ids, "token": claimed.token, **postponed(now, 1, at_least=after_seconds)},
    )
