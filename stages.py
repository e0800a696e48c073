"""What a stage of the line is, and how a worker keeps what it holds; `worker.py` names them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, exists, literal, select
from sqlalchemy.exc import SQLAlchemyError

from ledger import tables
from ledger.claims import LEASE_SECONDS, MOST_ATTEMPTS, Claim, renew, waits
from ledger.database import Database
from ledger.errors import StaleClaimError
from ledger.ports import Clock
from line import Line


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the line: which rows wait for it, and what it does with a batch of them."""

    name: str
    work: Callable[[Line, Claim], None]
    table: Table
    state: str | tuple[str, ...] = "waiting"
    most: int = 1
    """The most rows that are worked on together."""
    only: Callable[[datetime], Any] | None = None
    """A further condition, given the present moment."""
    hopeless: dict[str, Any] = field(default_factory=lambda: {"state": "failed"})
    """What becomes of a row that has failed again and again; empty: it is tried for ever."""

    def has_work(self, now: datetime) -> Any:
        """Return the query that gives the stage's name if any row waits for it that is free now."""
        rows = select(self.table.c.id).where(waits(self.table, self.state, now))
        rows = rows if self.only is None else rows.where(self.only(now))
        return select(literal(self.name)).where(exists(rows))

    def because(self, reason: str) -> dict[str, str]:
        """Return the column that tells people of a row what is the matter with it."""
        return {"problem" if self.table is tables.invoice else "reason": reason}

    @property
    def aside(self) -> dict[str, Any]:
        """Return what becomes of a row that has ended its worker again and again."""
        return {**self.hopeless, **self.because(_DEADLY.format(stage=self.name))}


_DEADLY: Final = (
    "{stage} has stopped the worker " + str(MOST_ATTEMPTS) + " times in a row (killed, out of "
    "memory, out of time), so it is not tried any more - see the worker's log of that time"
)


@contextmanager
def kept(database: Database, clock: Clock, claimed: Claim) -> Iterator[None]:
    """Keep a claim for as long as the work goes on: a slow remote system must not lose it.

    A worker that is killed renews nothing, so what it held is free after `LEASE_SECONDS`.
    """
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LEASE_SECONDS / 4):
            # Whoever has lost the claim learns it when the work is stored.
            with suppress(StaleClaimError, SQLAlchemyError):
                database.write(lambda connection: renew(connection, claimed, clock.now()))

    keeper = threading.Thread(target=keep, name="keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
