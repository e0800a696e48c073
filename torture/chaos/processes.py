"""The processes of a torture run: started, killed by their recorded numbers, started again.

Each leads a process group of its own and writes into a log file, never into a pipe that somebody
shares. Linux ends it if the torture run itself is killed, so nothing outlives a run. That hangs
on the thread that started it: only the thread that made a `Processes` may start anything, except
by a `Starter`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .starter import Forked, Starter

ROOT: Final = Path(__file__).parent.parent.parent
STOP_SECONDS: Final = 5
AGAIN_SECONDS: Final = 0.3
"""How long a program that has ended waits before it is started again, as on a platform."""
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class TortureError(Exception):
    """The run itself could not be carried out; the message says why."""


@dataclass
class Program:
    """One program that is kept running."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    user: str | None = None
    starter: Starter | None = None
    """Who forks it; None: it is started as any command."""
    process: subprocess.Popen[bytes] | Forked | None = None
    ended_at: float = 0.0
    starts: int = 0
    is_wanted: bool = True
    """False while the nemesis keeps it down."""
    exits: list[int] = field(default_factory=list)
    """How it has ended each time, as `Popen.returncode` says it."""

    @property
    def pid(self) -> int:
        """Return its process number; raise TortureError if it does not run."""
        if self.process is None or self.process.poll() is not None:
            raise TortureError(f"{self.name} does not run")
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Return whether it runs."""
        return self.process is not None and self.process.poll() is None


class Processes:
    """All programs of a run; leaving the `with` block ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, Program] = {}
        self._thread = threading.get_ident()
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def add(
        self,
        name: str,
        *command: str,
        environ: Mapping[str, str],
        user: str | None = None,
        starter: Starter | None = None,
    ) -> Program:
        """Start a program and keep it running."""
        program = Program(name, command, environ, user, starter)
        self.programs[name] = program
        self.start(program)
        return program

    def log_of(self, name: str) -> Path:
        """Return a program's log file."""
        return self.folder / "logs" / f"{name}.log"

    def start(self, program: Program) -> None:
        """Start a program that does not run."""
        assert threading.get_ident() == self._thread
        program.starts += 1
        log_file = self.log_of(program.name)
        if program.starter is not None:
            program.process = program.starter.start(program.command, program.environ, log_file)
            return
        with log_file.open("ab") as log:
            program.process = subprocess.Popen(
                program.command,
                cwd=ROOT,
                env=dict(program.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with(os.getpid()),
                user=program.user,
            )

    def look_after(self) -> None:
        """Start again what has ended, a moment after it has."""
        now = time.monotonic()
        for program in self.programs.values():
            code = program.process.poll() if program.process is not None else None
            if code is None or not program.is_wanted:
                continue
            if not program.ended_at:
                program.ended_at = now
                program.exits.append(code)
            elif now - program.ended_at >= AGAIN_SECONDS:
                program.ended_at = 0.0
                self.start(program)

    def stop_all(self) -> None:
        """End all programs, the last started first, and whatever they have started."""
        running = [
            each.process for each in reversed(self.programs.values()) if each.process is not None
        ]
        # Noted now, because nobody finds them once their parents are gone.
        below = [(pid, _born(pid)) for process in running for pid in descendants_of(process.pid)]
        postgres = self.programs.get("postgres")
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            # SIGINT is PostgreSQL's fast shutdown; all others end on SIGTERM.
            is_postgres = postgres is not None and process is postgres.process
            process.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0))
            # Whoever of its group is left; the group's number is taken as long as one is.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid, born in below:
            # Its number may be somebody else's by now.
            if born is not None and _born(pid) == born:
                kill(pid)
        self.programs.clear()


def end_with(parent: int) -> Callable[[], None]:
    """Return what a new process calls first, so that Linux kills it when its parent has ended."""

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent


def end_with_parent() -> None:
    """Have this process asked to end when its parent has ended, however that happened."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def children_of(pid: int) -> list[int]:
    """Return the numbers of a process's children, those of all its threads; none if it is gone."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(each) for each in (task / "children").read_text().split()]
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the numbers of everything that a process has started, and what that has started."""
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children_of(pending.pop())
        found += below
        pending += below
    return found


def kill(pid: int) -> bool:
    """Kill one process outright; return whether it was there and no ghost."""
    if state_of(pid) in (None, "Z", "X"):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def state_of(pid: int) -> str | None:
    """Return the letter of a process's state as in `ps`, None if there is no such process."""
    told = _stat(pid)
    return told[0] if told else None


def _born(pid: int) -> str | None:
    """Return when a process began, in ticks since the machine did; None if there is none."""
    told = _stat(pid)
    return told[19] if told else None


def _stat(pid: int) -> list[str]:
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return told.rpartition(")")[2].split()
