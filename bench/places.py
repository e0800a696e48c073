"""Where is measured: an SQLite file and a real PostgreSQL, both with durable commits."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.database import upgrade
from tests.databases import PostgresDatabases, copy_sqlite, database_name
from tests.services import Service, ServiceUnavailableError

from .firm import Firm


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of database, and where its firms keep their files."""

    name: str
    folder: Path
    new_database: Callable[[], str]
    """Makes a migrated, empty database and returns its address."""
    drop: Callable[[str], None]

    @contextmanager
    def firm(self, **options: object) -> Iterator[Firm]:
        """Give a firm on a database of its own; both are gone afterwards."""
        url = self.new_database()
        folder = self.folder / uuid.uuid4().hex
        firm = Firm(folder, url, **options)  # type: ignore[arg-type]
        try:
            yield firm
        finally:
            firm.close()
            self.drop(url)
            shutil.rmtree(folder)


@contextmanager
def places() -> Iterator[list[Place]]:
    """Give SQLite and, if it can run here, PostgreSQL; say so if it cannot.

    `TEST_DATABASE_URL` names a PostgreSQL server to use instead of the one from the wheel.
    """
    with ExitStack() as ending:
        # Short, because a socket's path must be.
        folder = Path(tempfile.mkdtemp(prefix="billhook-", dir="/tmp"))
        ending.callback(shutil.rmtree, folder)
        folder.chmod(0o711)
        template = folder / "template.sqlite3"
        upgrade(f"sqlite:///{template}")
        found = [sqlite_place(folder, template)]
        try:
            url = os.environ.get("TEST_DATABASE_URL") or _own_server(folder, ending)
        except ServiceUnavailableError as error:
            print(f"bench: PostgreSQL is left out: {error}", file=sys.stderr)
        else:
            databases = PostgresDatabases(url)
            empty = databases.create()
            ending.callback(databases.drop, empty)
            upgrade(empty)
            found.append(postgres_place(folder, databases, database_name(empty)))
        yield found


def _own_server(folder: Path, ending: ExitStack) -> str:
    """Start a PostgreSQL that ends with the measurements; return its address."""
    directory = folder / "postgres"
    directory.mkdir()
    server = Service("postgres", directory, durable=True)
    ending.callback(server.stop)
    server.start()
    return server.url


def sqlite_place(folder: Path, template: Path) -> Place:
    """Return a place for SQLite files: copies of one that is migrated and empty."""

    def new_database() -> str:
        return copy_sqlite(template, folder / f"{uuid.uuid4().hex}.sqlite3")

    def drop(url: str) -> None:
        path = url.removeprefix("sqlite:///")
        for each in Path(path).parent.glob(f"{Path(path).name}*"):
            each.unlink()

    return Place("SQLite", folder, new_database, drop)


def postgres_place(folder: Path, databases: PostgresDatabases, template: str) -> Place:
    """Return a place on a PostgreSQL server: copies of a database that is migrated and empty."""
    return Place("PostgreSQL", folder, lambda: databases.create(template), databases.drop)
