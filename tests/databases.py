"""Fresh databases for tests, made from a template in some 20 ms each. `conftest.py` calls it."""

from __future__ import annotations

import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from ledger import database


class PostgresDatabases:
    """Makes and drops databases on one PostgreSQL server, whose address may name any of them."""

    def __init__(self, server_url: str) -> None:
        self._server = make_url(server_url).set(drivername="postgresql+psycopg")

    def create(self, template: str = "template1") -> str:
        """Create a database like the template; return its address."""
        name = f"billhook_test_{uuid.uuid4().hex}"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        name = database_name(url)
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        plain = plain_address(self._server.render_as_string(hide_password=False))
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(statement)


def plain_address(url: str) -> str:
    """Return an address as PostgreSQL's own programs take it, without SQLAlchemy's driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def database_name(url: str) -> str:
    """Return the name of the database in an address."""
    name = make_url(url).database
    assert name is not None
    return name


def copy_sqlite(template: Path, target: Path) -> str:
    """Copy an SQLite file with all that is committed; return the address of the copy."""
    source, copy = sqlite3.connect(template), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    return f"sqlite:///{target}"


class _Statements(dict[Any, Any]):
    """Compiled statements by all of SQLAlchemy's key but the dialect: each engine has its own."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


@contextmanager
def shared_statements() -> Iterator[None]:
    """Let all engines of one kind share what they compile, as a process of ours does with its one.

    A test has a database and so an engine of its own, and compiling took a fifth of all its time.
    """
    made = database._engine
    compiled: defaultdict[str, _Statements] = defaultdict(_Statements)

    def sharing(url: str, busy_seconds: int) -> Engine:
        engine = made(url, busy_seconds)
        engine.update_execution_options(compiled_cache=compiled[engine.dialect.name])
        return engine

    with mock.patch.object(database, "_engine", sharing):
        yield
