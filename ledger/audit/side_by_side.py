"""A large ledger is audited by several processes, all of them on one snapshot of the database.

PostgreSQL hands its snapshot on by a name. SQLite cannot, so nobody writes for the moment in which
all of them begin to read: then they see the same. The audit is divided into parts, and each process
takes the next one when it has finished.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, func, select

from ..database import Database
from ..errors import BillhookError
from ..tables import invoice, line_item
from . import Audit, Task, some, tasks, together
from .figures import count_all
from .violations import NO_LIMIT, Violation

T = TypeVar("T")

WORTH_IT: Final = 20_000
"""From how many line items on further processes save more time than they take to begin."""
MOST_PROCESSES: Final = 4
_PARTS: Final = 8
"""Into how many parts for each process a long task is divided."""
_A_READ: Final = select(func.max(invoice.c.id))
"""Any look at a table: in SQLite a snapshot begins with the first."""


class AuditBrokenOffError(BillhookError):
    """One of the processes ended without an answer: not everything was checked."""


def processes_for(database: Database) -> int:
    """Return how many processes audit a ledger of this size fastest on this machine."""
    with database.read() as connection:
        lines = connection.scalar(select(func.max(line_item.c.id))) or 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST_PROCESSES) if lines >= WORTH_IT else 1


def examine_side_by_side(
    database: Database,
    now: datetime,
    processes: int,
    also: Callable[[Connection], T],
    **ways: Any,
) -> tuple[Audit, T]:
    """Check the whole ledger with several processes; return what is wrong, and what `also` reads.

    `ways` are those of `tasks`. Raise AuditBrokenOffError if a process ends too early.
    """
    with database.read() as connection:
        invoices = _spans(connection, invoice, processes * _PARTS)
        lines = _spans(connection, line_item, processes * _PARTS)
    parts = tasks(now, invoices=invoices, lines=lines, **ways)
    with ExitStack() as ending:
        # They begin while nothing is read here: processes must not share a connection.
        database.close()
        crew = [ending.enter_context(_helper(database, parts)) for _ in range(processes)]
        with _one_snapshot(database) as (connection, name):
            for pipe in crew:
                pipe.send(name)
            for pipe in crew:
                _heard(pipe)
            counted, told = count_all(connection), also(connection)
        found = list(_shared_out(crew, len(parts)))
    return together(found, counted), told


def _spans(connection: Connection, table: Table, parts: int) -> list[tuple[int, int]]:
    """Return the ids of a table in parts: from 0 on, the last one without an end."""
    highest = connection.scalar(select(func.max(table.c.id))) or 0
    firsts = sorted({highest * part // parts for part in range(parts)})
    return [*zip(firsts, (each - 1 for each in firsts[1:]), strict=False), (firsts[-1], NO_LIMIT)]


@contextmanager
def _one_snapshot(database: Database) -> Iterator[tuple[Connection, str | None]]:
    """Give a snapshot, and the name by which others get the same; None: they only begin now."""
    with ExitStack() as ending:
        if database.is_sqlite:
            # Holds the lock of whoever writes, and writes nothing.
            ending.enter_context(database.engine.connect()).begin()
        connection = ending.enter_context(database.read())
        if database.is_sqlite:
            connection.execute(_A_READ)
            yield connection, None
        else:
            yield connection, str(connection.scalar(select(func.pg_export_snapshot())))


@contextmanager
def _helper(database: Database, parts: Sequence[Task]) -> Iterator[Pipe]:
    """Give the pipe to a process that carries out parts by their number; end it afterwards."""
    forking = multiprocessing.get_context("fork")
    ours, theirs = forking.Pipe()
    process = forking.Process(target=_help, args=(database, parts, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.terminate()
        process.join()


def _help(database: Database, parts: Sequence[Task], pipe: Pipe) -> None:
    """Carry out parts until nobody asks for one any more. Runs in a process of its own."""
    database.forget_connections()
    # Hardly anything refers to itself here, and looking for it costs a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000)
    try:
        name = pipe.recv()
        with database.read() as connection:
            if name is not None:
                # Its name is PostgreSQL's own: hexadecimal digits and hyphens.
                connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{name}'")
            connection.execute(_A_READ)
            pipe.send([])
            while True:
                pipe.send(list(some(parts[pipe.recv()](connection))))
    except EOFError:
        return
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _shared_out(crew: Sequence[Pipe], parts: int) -> Iterator[Violation]:
    """Yield what the processes find; whoever has finished a part gets the next one."""
    numbers = iter(range(parts))
    busy: set[Pipe] = set()

    def ask(pipe: Pipe) -> None:
        number = next(numbers, None)
        if number is not None:
            pipe.send(number)
            busy.add(pipe)

    for pipe in crew:
        ask(pipe)
    while busy:
        ready = [pipe for pipe in busy if pipe in wait(list(busy))]
        for pipe in ready:
            busy.remove(pipe)
            yield from _heard(pipe)
            ask(pipe)


def _heard(pipe: Pipe) -> list[Violation]:
    try:
        answer = pipe.recv()
    except EOFError:
        raise AuditBrokenOffError("audit: one of its processes was killed - run it again") from None
    if isinstance(answer, str):
        raise AuditBrokenOffError(f"audit: one of its processes broke off: {answer}")
    found: list[Violation] = answer
    return found
