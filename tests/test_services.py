"""The servers that other tests stand on: real, empty, and gone with the tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from sqlalchemy import create_engine, text

from tests.services import Service


def _rows(url: str, statement: str) -> list[str]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [str(row[0]) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.mark.parametrize("once_more", [1, 2])
def test_every_test_gets_a_database_of_its_own(blank_database_url: str, once_more: int) -> None:
    _rows(blank_database_url, "CREATE TABLE only_here (id INTEGER)")
    assert _rows(blank_database_url, "SELECT count(*) FROM only_here") == ["0"]


@pytest.mark.postgres
def test_the_postgresql_server_is_a_real_and_recent_one(blank_postgres_url: str) -> None:
    assert int(_rows(blank_postgres_url, "SHOW server_version_num")[0]) >= 150000


def test_every_test_gets_an_empty_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        assert connection.dbsize() == 0
        connection.set("left", "behind")


def test_a_stopped_server_comes_back_empty_at_the_same_address(redis_server: Service) -> None:
    with redis.Redis.from_url(redis_server.url, retry=None) as connection:
        connection.set("kept", "no")
        redis_server.stop()
        with pytest.raises(redis.ConnectionError):
            connection.ping()
        redis_server.start()
        assert connection.get("kept") is None


@pytest.mark.parametrize(
    ("kind", "trace"),
    [
        pytest.param("postgres", "data/postmaster.pid", marks=pytest.mark.postgres),
        ("valkey", "valkey.sock"),
    ],
)
def test_a_server_ends_when_the_tests_are_killed(
    kind: str, trace: str, service_directory: Path
) -> None:
    directory = service_directory / f"killed-{kind}"
    directory.mkdir()
    starts_and_waits = (
        "import sys; from pathlib import Path; from tests.services import Service\n"
        f"Service({kind!r}, Path(sys.argv[1])).start(); print('up', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", starts_and_waits, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    # Each server leaves this file for as long as it runs, and takes it away when it ends.
    running = directory / trace
    assert running.exists()
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 30
    while running.exists():
        assert time.monotonic() < deadline, f"{kind} still runs"
        time.sleep(0.02)
