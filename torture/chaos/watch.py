"""Looks into the ledger while the storm goes on: what waits, what is held by whom, since when.

Nothing is judged by it. It tells the nemesis who has work, the workload which invoices its entries
are on, and measures how long what a killed process held stays abandoned.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.exc import SQLAlchemyError

from ledger.claims import NEVER
from ledger.database import Database
from ledger.polls import CHANGES, progress
from ledger.tables import UtcDateTime, delivery, invoice, line_item, subject
from worker import STAGES

from .scaled import owner_of

LOOK_SECONDS: Final = 0.2
STATES_SECONDS: Final = 1.0
RESTING: Final = {"poll", "look", "approve"}
"""Stages that wait for a moment or for a person, and never come to an end."""

Unit = tuple[str, int, str]
"""A claimed row: table, id and fencing token."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """One row that a dead or stopped process held, and how long nobody else could have it."""

    table: str
    row: int
    by: str
    """What was done to its holder."""
    seconds: float


class Watch:
    """A thread that looks several times a second; read its attributes from any other."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
        self.waiting: Counter[str] = Counter()
        """How many rows wait at each stage, as of the last look."""
        self.holders: Counter[int] = Counter()
        """How many rows each process holds."""
        self.states: Mapping[str, str] = {}
        """The state of the invoice that each entry last was on, by endpoint and subject."""
        self.recovered: list[Recovered] = []
        self._dead: dict[int, tuple[float, str]] = {}
        """When each process was killed or stopped, and how that is called."""
        self._open: dict[Unit, tuple[float, str]] = {}
        self._shaken: tuple[float, str] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        self._thread.join()
        self._database.close()

    def killed(self, pid: int, by: str) -> None:
        """Note that a process has just ended: what it holds is abandoned from now on."""
        self._dead[pid] = (time.monotonic(), by)

    def came_back(self, pid: int) -> None:
        """Note that a stopped process goes on."""
        self._dead.pop(pid, None)

    def shaken(self, by: str) -> None:
        """Note that the database has just ended: whoever holds something may have lost it."""
        self._shaken = (time.monotonic(), by)

    @property
    def has_work(self) -> bool:
        """Return whether something waited or was held at the last look."""
        return bool(self.waiting) or bool(self.holders)

    def unsettled(self, since: datetime) -> list[str]:
        """Return what has not come to its end yet, in words.

        That is rows that wait, and polls that have not been answered since a moment.
        """
        try:
            with self._database.read() as connection:
                return [*_unsettled(connection), *_unasked(connection, since)]
        except SQLAlchemyError as error:
            return [f"the database cannot be read ({type(error).__name__})"]

    def stopped(self) -> list[str]:
        """Return the invoices whose push waits until a person has looked, by reference."""
        return self._references(invoice.c.state == "approved", invoice.c.next_at == NEVER)

    def in_conflict(self) -> list[str]:
        """Return the invoices whose draft there somebody has changed, by reference."""
        return self._references(invoice.c.state == "blocked", invoice.c.conflict.is_not(None))

    def _references(self, *conditions: ColumnElement[bool]) -> list[str]:
        try:
            with self._database.read() as connection:
                return list(connection.scalars(select(invoice.c.reference).where(*conditions)))
        except SQLAlchemyError:
            return []

    def _look_on(self) -> None:
        states_at = 0.0
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                with self._database.read() as connection:
                    held = list(_held(connection))
                    self.waiting = _waiting(connection)
                    if time.monotonic() >= states_at:
                        self.states = _states(connection)
                        states_at = time.monotonic() + STATES_SECONDS
            except SQLAlchemyError:
                continue
            self._compare(held)

    def _compare(self, held: list[Unit]) -> None:
        now = time.monotonic()
        self.holders = Counter(owner_of(token) for _, _, token in held)
        for unit in held:
            pid = owner_of(unit[2])
            if pid in self._dead:
                self._open.setdefault(unit, self._dead[pid])
            elif self._shaken is not None:
                self._open.setdefault(unit, self._shaken)
        self._shaken = None
        for unit in set(self._open) - set(held):
            since, by = self._open.pop(unit)
            self.recovered.append(Recovered(unit[0], unit[1], by, now - since))


def _held(connection: Connection) -> Iterator[Unit]:
    yield from ((row.of, row.id, row.lease_token) for row in connection.execute(_HELD))


def _waiting(connection: Connection) -> Counter[str]:
    return Counter(connection.scalars(_WAITING, {"now": datetime.now(UTC)}).all())


# Statements that are asked several times a second are made once.
_HELD: Final = union_all(
    *(
        select(literal(name).label("of"), table.c.id, table.c.lease_token).where(
            table.c.lease_token.is_not(None)
        )
        for name, table in {stage.table.name: stage.table for stage in STAGES}.items()
    )
)
_NOW: Final = bindparam("now", type_=UtcDateTime())
_WAITING: Final = union_all(
    *(
        select(literal(stage.name)).where(
            stage.table.c.state == stage.state, stage.table.c.next_at <= _NOW
        )
        for stage in STAGES
        if stage.name not in RESTING
    )
)


def _unsettled(connection: Connection) -> Iterator[str]:
    for stage in STAGES:
        if stage.name in RESTING:
            continue
        where = and_(stage.table.c.state == stage.state, stage.table.c.next_at < NEVER)
        count = connection.scalar(select(func.count()).select_from(stage.table).where(where))
        if count:
            yield f"{count} rows wait at {stage.name}"


def _unasked(connection: Connection, since: datetime) -> Iterator[str]:
    for each in progress(connection):
        if each.what == CHANGES and (each.polled_at is None or each.polled_at < since):
            yield f"{each.endpoint} was not asked for changes since {since:%H:%M:%S}"


def _states(connection: Connection) -> dict[str, str]:
    newest = (
        select(line_item.c.subject_id, func.max(line_item.c.id).label("line"))
        .where(line_item.c.invoice_id.is_not(None))
        .group_by(line_item.c.subject_id)
        .subquery()
    )
    rows: Any = connection.execute(
        select(subject.c.endpoint, subject.c.name, invoice.c.state, invoice.c.payment)
        .join(newest, newest.c.subject_id == subject.c.id)
        .join(line_item, line_item.c.id == newest.c.line)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
    )
    return {
        f"{row.endpoint} {row.name}": f"pushed, {row.payment or 'new'}"
        if row.state == "pushed"
        else row.state
        for row in rows
    }


def deliveries(connection: Connection) -> dict[tuple[str, str, str], str]:
    """Return the state of each delivery, by endpoint, delivery id and the body's hash."""
    rows = connection.execute(
        select(delivery.c.endpoint, delivery.c.delivery_id, delivery.c.body_hash, delivery.c.state)
    )
    return {(row.endpoint, row.delivery_id, row.body_hash): row.state for row in rows}
