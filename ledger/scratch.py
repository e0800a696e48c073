"""A copy of the ledger to try something on: what would be billed is found out by billing it there.

`planning.py` runs the real stages on it. Nothing is written to the ledger itself, and nobody who
writes to it has to wait.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    Select,
    Table,
    event,
    func,
    insert,
    literal_column,
    or_,
    select,
)

from . import tables
from .columns import ExactDecimal, UtcDateTime
from .database import Database

NOT_COPIED: Final = (
    *(tables.delivery, tables.audit_entry, tables.refusal, tables.heartbeat),
    *(tables.api_token, tables.credential, tables.used_link, tables.breaker, tables.consent),
    *(tables.hint, tables.poll, tables.report, tables.intent, tables.payment, tables.approval),
    tables.recorded_payment,
)
"""What neither pricing nor assembling reads: raw bodies, secrets, and what becomes of invoices."""
_ROWS_TOGETHER: Final = 5000

Progress = Callable[[str, int, int], None]
"""Is told what is done, how much of it, and how much there is in all."""


@contextmanager
def scratch_copy(
    database: Database, judged: ColumnElement[bool], progress: Progress
) -> Iterator[Database]:
    """Give a copy of all that stands in the ledger at one moment; it is gone afterwards.

    It is an SQLite file in a folder that nobody else may read, whatever the ledger is kept in.
    Line items that were withdrawn are left out, and so are most events: only subjects that are
    `judged` there, beside those that wait, need theirs. Memory stays flat however much there is.
    """
    folder = Path(tempfile.mkdtemp(prefix="billhook-plan-"))
    scratch = Database(f"sqlite:///{folder / 'scratch.sqlite3'}")
    event.listen(scratch.engine, "connect", _hasten)
    try:
        tables.metadata.create_all(scratch.engine)
        with database.read() as connection:
            queries = {
                table: _standing(table, judged)
                for table in tables.metadata.sorted_tables
                if table not in NOT_COPIED
            }
            total = sum(
                connection.scalar(query.with_only_columns(func.count())) or 0
                for query in queries.values()
            )
            done = 0
            for table, query in queries.items():
                for rows in _raw_rows(connection, table, query):
                    _insert(scratch, table, rows)
                    done += len(rows)
                    progress("copied", done, total)
        yield scratch
    finally:
        scratch.close()
        shutil.rmtree(folder, ignore_errors=True)


def _hasten(dbapi_connection: Any, _entry: Any) -> None:
    cursor = dbapi_connection.cursor()
    # It need not outlive a crash.
    cursor.execute("PRAGMA synchronous=OFF")
    # Events refer to deliveries, which stay where they are.
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()


def _standing(table: Table, judged: ColumnElement[bool]) -> Select[Any]:
    query = select(table).select_from(table)
    if table is tables.line_item:
        return query.where(table.c.state != "withdrawn")
    if table is tables.event:
        subject = tables.subject
        present = select(subject.c.event_id).where(or_(subject.c.state == "waiting", judged))
        # Totals are judged by all that was told of them, and whenever their entries are.
        told = table.c.kind.in_(("time.total", "time.removed"))
        return query.where(or_(table.c.id.in_(present), told))
    return query


def _raw_rows(
    connection: Connection, table: Table, query: Select[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows as SQLite stores them: nothing is decoded only to be encoded again."""
    is_sqlite = connection.dialect.name == "sqlite"
    columns = [_raw(column, is_sqlite=is_sqlite) for column in table.columns]
    found = connection.execution_options(yield_per=_ROWS_TOGETHER).execute(
        query.with_only_columns(*columns)
    )
    for rows in found.partitions(_ROWS_TOGETHER):
        yield [tuple(row) for row in rows]


def _raw(column: Column[Any], *, is_sqlite: bool) -> ColumnElement[Any]:
    name = f'{column.table.name}."{column.name}"'
    if is_sqlite:
        return literal_column(name)
    match column.type:
        case UtcDateTime():
            text = f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        case Date():
            text = f"to_char({name}, 'YYYY-MM-DD')"
        case ExactDecimal():
            text = f"CAST({name} AS TEXT)"
        case Boolean():
            text = f"CAST({name} AS INTEGER)"
        case _:
            text = name
    return literal_column(text)


def _insert(scratch: Database, table: Table, rows: list[tuple[Any, ...]]) -> None:
    statement = str(insert(table).compile(dialect=scratch.engine.dialect))
    scratch.write(lambda connection: connection.exec_driver_sql(statement, rows))
