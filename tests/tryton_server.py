"""A real Tryton server for tests, the demo and torture: a program of its own, never imported.

`make test-tryton` installs it into `.venv-tryton`. Its database is made once and filled over HTTP
(`tests/tryton/seed.py`); each server gets a copy. Run as a program, this file is the *keeper* of
one server, which ends with its standard input, so no server outlives whoever started it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PROGRAMS: Final = ROOT / ".venv-tryton" / "bin"
CACHE: Final = ROOT / "var" / "tryton"
DATABASE: Final = "books"
USER, PASSWORD = "admin", "admin-of-the-books"
START_SECONDS: Final = 60
WHY_NOT: Final = "the real Tryton is not installed - `make test-tryton` installs it and runs this"
CONFIG: Final = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
[session]
max_attempt = 1000
"""
SEEDED_BY: Final = (
    "tests/tryton/seed.py",
    "connectors/tryton/stand_in/person.py",
    "connectors/tryton/stand_in/site.py",
)


class TrytonUnavailableError(Exception):
    """The server cannot run on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class TrytonServer:
    """A running server with the seeded books."""

    url: str
    folder: Path
    """Where its database and its log are."""


def is_installed() -> bool:
    """Return whether there is a real Tryton to run."""
    return (PROGRAMS / "trytond").exists()


@contextmanager
def running(folder: Path, *, is_empty: bool = False) -> Iterator[TrytonServer]:
    """Run a server on seeded books (or on empty ones) in a folder while the block runs."""
    source = _empty() if is_empty else _seeded()
    _copy(source, folder / f"{DATABASE}.sqlite")
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert keeper.stdout is not None
        answer = keeper.stdout.readline().strip()
        if not answer.startswith("http"):
            raise TrytonUnavailableError(answer or "its keeper ended without a word")
        yield TrytonServer(answer, folder)
    finally:
        keeper.communicate()


def _seeded() -> Path:
    """Return the database with the books of a small firm, made anew if its recipe has changed."""
    recipe = b"".join((ROOT / name).read_bytes() for name in SEEDED_BY)
    seeded = CACHE / f"seeded-{_digest(_empty().name.encode(), recipe)}-{_year()}.sqlite"
    if not seeded.exists():
        # Imported here, because the keeper needs nothing of Billhook's.
        from connectors.http import OutgoingHttp
        from connectors.tryton.stand_in.person import Person
        from tests.tryton import seed

        with tempfile.TemporaryDirectory() as made, running(Path(made), is_empty=True) as server:
            http = OutgoingHttp(allow_private=True)
            person = Person(http, server.url, DATABASE, USER, PASSWORD)
            seed.fill(person, (_year(), _year() + 1))
            _keep_copy(server.folder / f"{DATABASE}.sqlite", seeded)
    return seeded


def _empty() -> Path:
    """Return an empty database of these versions of Tryton: that takes it ten seconds to make."""
    versions = (ROOT / "requirements-tryton.txt").read_bytes()
    empty = CACHE / f"empty-{_digest(versions)}.sqlite"
    if not empty.exists():
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            database = folder / f"{DATABASE}.sqlite"
            database.touch()
            (folder / "password").write_text(PASSWORD, encoding="utf-8")
            _configure(folder, 0)
            _run(folder, "-u", "account_invoice", "--activate-dependencies", "-l", "en")
            _keep_copy(database, empty)
    return empty


def _run(folder: Path, *words: str) -> None:
    command = [PROGRAMS / "trytond-admin", "-c", folder / "trytond.conf", "-d", DATABASE, *words]
    done = subprocess.run(
        [*map(str, command), "--email", "ana@studio.example"],
        env={**os.environ, "TRYTONPASSFILE": str(folder / "password")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TrytonUnavailableError(f"trytond-admin: {done.stderr.strip()[-500:]}")


def _keep_copy(database: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Several test processes may make the same file: each its own, and the last one stays.
    own = kept.with_suffix(f".{os.getpid()}")
    _copy(database, own)
    own.replace(kept)


def _copy(database: Path, target: Path) -> None:
    """Copy a database with all that is committed: some of it may stand in a file beside it."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _configure(folder: Path, port: int) -> None:
    written = CONFIG.format(folder=folder, port=port)
    (folder / "trytond.conf").write_text(written, encoding="utf-8")


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _year() -> int:
    return time.gmtime().tm_year


def _keep(folder: Path) -> None:
    """Run one server until standard input ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _configure(folder, port)
    # Without the database's name the first login fails.
    command = [PROGRAMS / "trytond", "-c", folder / "trytond.conf", "-d", DATABASE]
    with (folder / "trytond.log").open("ab") as log:
        server = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if server.poll() is not None:
                print("trytond ended at once", flush=True)  # noqa: T201 - its answer
                return
            if time.monotonic() > deadline:
                print(f"trytond does not answer within {START_SECONDS} s", flush=True)  # noqa: T201
                return
            time.sleep(0.02)
        print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201 - this is how it answers
        sys.stdin.read()
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    asked = b'{"id": 1, "method": "common.server.version", "params": []}'
    request = urllib.request.Request(f"http://127.0.0.1:{port}/rpc/", asked)
    request.add_header("Content-Type", "application/json")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
