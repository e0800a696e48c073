"""The database: one engine, two kinds of transaction, and the commit port.

SQLite (the embedded default) and PostgreSQL behave the same to everything above: a write
transaction sees no lost update, a commit is durable when it returns, foreign keys hold.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a SQLite writer waits for the one before it."""
REQUEST_SECONDS = 3
"""How long it waits in a web process, where a sender waits for the answer."""
STATEMENT_SECONDS = 300
"""How long PostgreSQL works on one statement: a backstop, no statement of ours needs that long."""
LOCK_SECONDS = 10
"""How long it waits for a row that another transaction holds; ours are all short."""
IDLE_SECONDS = 60
"""How long a transaction may do nothing: one whose process hangs must not hold up the others."""
TRIES = 5
"""How often a transaction that lost against another (deadlock, serialization) is run again."""
_LOST_RACES = frozenset({"40001", "40P01"})
_TOOK_TOO_LONG = "57014"
_SESSION = {
    "timezone": "UTC",
    "statement_timeout": STATEMENT_SECONDS * 1000,
    "lock_timeout": LOCK_SECONDS * 1000,
    "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
}
# 2 is FULL: a commit is on the disk when it returns.
_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
# A read-only transaction, and one that was ended because it idled: psycopg calls both internal.
_CANNOT_BE_WRITTEN = frozenset({"25006", "25P03"})


class Database:
    """One database. Share it within a process; call `forget_connections` after a fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url, BUSY_SECONDS)

    def answer_quickly(self) -> None:
        """Wait only as long as a request may take: a web process calls this when it starts."""
        self.close()
        self.engine = _engine(self.url, REQUEST_SECONDS)

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
                if attempt == TRIES or _state(error) not in _LOST_RACES:
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
        # Alembic is loaded only where it is needed: a worker starts quicker without it.
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

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
    from alembic import command

    _make_place(url)
    command.upgrade(_alembic(url), "head")


def is_unavailable(error: Exception) -> bool:
    """Return whether the database could not take it just now: away, locked, full, read-only."""
    if isinstance(error, NoConnectionError):
        return True
    return isinstance(error, DBAPIError) and (
        isinstance(error, OperationalError)
        or error.connection_invalidated
        or _state(error) in _CANNOT_BE_WRITTEN
    )


def is_away(error: Exception) -> bool:
    """Return whether it is unavailable whatever was asked of it; only then is waiting all."""
    return is_unavailable(error) and _state(error) != _TOOK_TOO_LONG


def _state(error: Exception) -> str | None:
    """Return PostgreSQL's own code of an error: https://www.postgresql.org/docs/current/errcodes-appendix.html."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _alembic(url: str) -> Config:
    from alembic.config import Config

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


def _engine(url: str, busy_seconds: int) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            # An error of the database must not carry a payload into a log.
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=30,
            pool_timeout=REQUEST_SECONDS,
            connect_args={
                "connect_timeout": REQUEST_SECONDS,
                # A server that vanished with its machine is noticed, not waited for.
                "tcp_user_timeout": LOCK_SECONDS * 1000,
                "keepalives_idle": IDLE_SECONDS,
                "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
            },
        )
    _make_place(url)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=5,
        max_overflow=30,
        pool_timeout=REQUEST_SECONDS,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )
    wanted = {**_PRAGMAS, "busy_timeout": busy_seconds * 1000}
    event.listen(engine, "connect", lambda opened, _entry: _prepare_sqlite(opened, wanted))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, wanted: Mapping[str, object]) -> None:
    # The driver must not begin transactions by itself: it would begin them deferred, and a
    # deferred one that turns into a writer loses updates or fails at once.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for name, value in wanted.items():
        cursor.execute(f"PRAGMA {name}={value}")
    for name, value in wanted.items():
        # SQLite passes over what it cannot do, and then a 2xx would promise too much.
        (found,) = cursor.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            raise sqlite3.OperationalError(f"PRAGMA {name} is {found}, and has to be {value}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("billhook_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
