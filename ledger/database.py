"""The database: one engine, two kinds of transaction, and the commit port.

SQLite (the embedded default) and PostgreSQL behave the same to everything above: a write
transaction sees no lost update, a commit is durable when it returns, foreign keys hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a SQLite writer waits for the one before it."""
TRIES = 5
"""How often a transaction that lost against another (deadlock, serialization) is run again."""
_LOST_RACES = frozenset({"40001", "40P01"})


class Database:
    """One database. Share it within a process; call `forget_connections` after a fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)

    @property
    def is_sqlite(self) -> bool:
        """Return whether this is the embedded default."""
        return self.engine.dialect.name == "sqlite"

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one write transaction, commit it and return its result.

        `work` may run more than once, so it must have no effect outside the database. The
        commit is the first port: `commit` may be replaced by a test.
        """
        for attempt in range(1, TRIES + 1):
            try:
                with self.engine.connect() as connection:
                    transaction = connection.begin()
                    try:
                        result = work(connection)
                        self.commit(transaction.commit)
                    except BaseException:
                        # A commit that failed has already ended the transaction.
                        if transaction.is_active:
                            transaction.rollback()
                        raise
                    return result
            except DBAPIError as error:
                if attempt == TRIES or getattr(error.orig, "sqlstate", None) not in _LOST_RACES:
                    raise
        raise AssertionError("unreachable")

    def commit(self, commit: Callable[[], None]) -> None:
        """Make a transaction durable: every commit of the ledger passes here."""
        commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on one consistent snapshot; nothing can be written on it."""
        options: dict[str, Any] = {"billhook_reads": True}
        if not self.is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def forget_connections(self) -> None:
        """Drop pooled connections without touching them: call this in a forked child."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def is_current(self) -> bool:
        """Return whether all migrations have been applied, and no newer ones."""
        with self.engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_heads()
        return set(found) == set(ScriptDirectory.from_config(_alembic(self.url)).get_heads())


def insert_for(connection: Connection, table: Any) -> Any:
    """Return the dialect's own INSERT, which knows ON CONFLICT, for a table."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def upgrade(url: str) -> None:
    """Apply all migrations; create the folder of a SQLite file if it is missing."""
    _make_place(url)
    command.upgrade(_alembic(url), "head")


def is_unavailable(error: Exception) -> bool:
    """Return whether the database could not take it just now (busy, away, full disk)."""
    return isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


def _make_place(url: str) -> None:
    """Make the folder and the empty file of an SQLite database that is not there yet."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = Path(str(parsed.database))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Nobody else on the machine may read it; SQLite gives its other files the same mode.
        with suppress(OSError):  # SQLite itself says what is wrong.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            # An error of the database must not carry a payload into a log.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=30,
            connect_args={
                "connect_timeout": 3,
                "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=60000",
            },
        )
    _make_place(url)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=5,
        max_overflow=30,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
    # The driver must not begin transactions by itself: it would begin them deferred, and a
    # deferred one that turns into a writer loses updates or fails at once.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("billhook_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
