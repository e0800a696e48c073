"""The ledger's database of the crash points: SQLite in memory, on one connection.

`os.fork` copies it with everything else, so a child goes on from just the state it was forked in.
"""

from __future__ import annotations

import sqlite3
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from ledger import database

from .effects import CountedDatabase, Effects


@cache
def template() -> bytes:
    """Return an empty database of the newest schema."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.sqlite3"
        database.upgrade(f"sqlite:///{path}")
        file, memory = sqlite3.connect(path), sqlite3.connect(":memory:")
        file.backup(memory)
        file.close()
        content = memory.serialize()
        memory.close()
    return content


class Changes:
    """Tells whether a connection has written anything since it was last asked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self._seen = connection, connection.total_changes

    def __call__(self) -> bool:
        """Return whether it has."""
        before, self._seen = self._seen, self._connection.total_changes
        return before != self._seen


@cache
def _shared() -> tuple[sqlite3.Connection, Engine]:
    """Return the one connection in memory of this process, and the engine on it.

    It is made once, because an engine that has compiled its statements is quick.
    """
    # As on disk: no transaction that the ledger has not begun, and foreign keys hold.
    connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    engine = create_engine(
        "sqlite://",
        creator=lambda: connection,
        poolclass=StaticPool,
        hide_parameters=True,
        query_cache_size=5000,
    )
    event.listen(engine, "begin", database._begin_sqlite)
    return connection, engine


def fresh_database(effects: Effects) -> CountedDatabase:
    """Return a fresh database, in the place of the one before: a process plays one firm at once."""
    connection, engine = _shared()
    connection.deserialize(template())
    made = CountedDatabase.__new__(CountedDatabase)
    made.url, made.engine, made.effects = "sqlite://", engine, effects
    made.has_changed = Changes(connection)
    return made
