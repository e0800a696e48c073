"""Plan: what would be billed under other rules, found out by billing it on a copy.

`flask rules plan`, `flask rules activate` and `flask events remap` use it. What they show is not
calculated beside the line: the stages of `worker.py` themselves work on a scratch copy of the
ledger, and drafts are compared before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, func, or_, select

import worker
from ledger import changes, versions
from ledger.claims import in_state
from ledger.database import Database
from ledger.facts import ask_again
from ledger.ports import NoDoorbell
from ledger.replay import remap_since, unbilled_since
from ledger.scratch import Progress, scratch_copy
from ledger.sync import ask_held
from ledger.tables import customer, delivery
from line import Line
from mappings.book import Book
from stages import Stage

R = TypeVar("R")
_STAGES: Final = tuple(stage for stage in worker.STAGES if stage.name in ("map", "assemble"))


@dataclass(frozen=True, slots=True)
class Act(Generic[R]):
    """Something that has work priced again, for the ledger or for a copy of it."""

    do: Callable[[Connection, datetime], R]
    """Does it, at a moment; the stages of the line do the rest."""
    judged: ColumnElement[bool]
    """The condition of the subjects that it has judged again, besides those that wait."""


@dataclass(frozen=True, slots=True)
class Activated:
    """What came of activating rules."""

    is_new: bool
    """False: they were active already."""
    again: int
    """How many subjects are priced again because of the day that was given."""


def activate(
    connection: Connection,
    book: Book,
    askable: frozenset[str],
    *,
    since: date | None,
    by: str,
    now: datetime,
) -> Activated:
    """Make a book the active one; price again what is not billed from the day `since` on.

    Tools that can be asked now are asked about what is unknown.
    """
    ask_again(connection, askable, now)
    ask_held(connection, askable, now)
    is_new = versions.activate(connection, book.version, book.files, by=by, now=now)
    again = 0 if since is None else remap_since(connection, since, actor=by, now=now)
    return Activated(is_new, again)


def activation(line: Line, book: Book, *, since: date | None, by: str) -> Act[Activated]:
    """Return the activation of a book as something to try."""
    askable = line.askable(book)

    def do(connection: Connection, now: datetime) -> Activated:
        return activate(connection, book, askable, since=since, by=by, now=now)

    judged = versions.JUDGED_AGAIN
    return Act(do, judged if since is None else or_(judged, unbilled_since(since)))


class Rehearsal:
    """What an act would come to, kept in a scratch copy until it is left."""

    def __init__(self, scratch: Database, line: Line, unread: int) -> None:
        self.scratch = scratch
        self.line = line
        """The line on the scratch copy."""
        self.unread = unread
        """How many deliveries were not read yet: what they say is not in it."""

    @property
    def failed(self) -> list[str]:
        """Return the customers whose drafts could not be assembled here; the log says why."""
        with self.scratch.read() as connection:
            still = select(customer.c.key).where(customer.c.state != "settled")
            return sorted(connection.scalars(still))

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Give a connection for the functions of `ledger.changes`."""
        with self.scratch.read() as connection:
            yield connection


def not_told(what: str, done: int, total: int) -> None:
    """Tell nobody how far it is."""


@contextmanager
def rehearse(line: Line, act: Act[R], progress: Progress = not_told) -> Iterator[Rehearsal]:
    """Try an act on a scratch copy of the ledger; nothing is changed in the ledger itself.

    The clock stands still meanwhile, and no other system is asked or told.
    """
    clock = _StandingClock(line.clock.now())
    with line.database.read() as connection:
        unread = connection.scalar(
            select(func.count()).select_from(delivery).where(delivery.c.state == "waiting")
        )
    with scratch_copy(line.database, act.judged, progress) as scratch:
        tried = Line(
            line.settings,
            environ=line.environ,
            database=scratch,
            clock=clock,
            http=line.http,
            doorbell=NoDoorbell(),
        )
        scratch.write(changes.remember)
        scratch.write(lambda connection: act.do(connection, clock.now()))
        _work_off(tried, progress)
        scratch.write(changes.compare)
        yield Rehearsal(scratch, tried, unread or 0)


def _work_off(line: Line, progress: Progress) -> None:
    """Price and assemble until nothing waits for it."""
    done = -1
    while done:
        done = 0
        for stage in _STAGES:
            total, count = _waiting(line, stage), 0
            while some := worker.run(line, stage):
                count += some
                progress(_DONE[stage.name], count, max(total, count))
            done += count


_DONE: Final = {"map": "priced", "assemble": "customers assembled"}


def _waiting(line: Line, stage: Stage) -> int:
    query = select(func.count()).select_from(stage.table)
    with line.database.read() as connection:
        return connection.scalar(query.where(in_state(stage.table, stage.state))) or 0


class _StandingClock:
    """A clock at which it is always the same moment."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment
