"""The real processes of the demo: started, watched, and gone when the demo is.

Each child leads a process group of its own, so that Ctrl-C reaches only the demo, which then
stops them in order. If the demo is killed outright, Linux stops them (`PR_SET_PDEATHSIG`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .folder import Folder
from .problems import DemoError
from .tables import say

ROOT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 60
"""How long a process may take to be there: a busy machine is slow."""
REST_SECONDS: Final = 60
"""How long the line may take to come to rest."""
STOP_SECONDS: Final = 10
RESTARTED: Final = ("web", "worker", "clock")
"""What a platform would start again if it is killed."""
LOOPBACK: Final = "127.0.0.1"
LOOK_SECONDS: Final = 0.05
LAST_LINES: Final = 15
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Processes:
    """The children of the demo; leaving the `with` block ends them all."""

    folder: Folder
    environ: Mapping[str, str]
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *words: str) -> None:
        """Start a process that stays: `python <words>`, its output in a log file of its name."""
        parent = os.getpid()
        self._commands[name] = words

        def die_with_parent() -> None:
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:
                    os._exit(1)

        with self.folder.log(name).open("ab") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def kill(self, name: str) -> None:
        """Kill a process outright, as the machine's end would, and start a new one."""
        os.killpg(self._children[name].pid, signal.SIGKILL)
        self._children[name].wait()
        self.look_after()

    def look_after(self) -> None:
        """Start what has ended again, as a platform does; raise DemoError if it cannot stay."""
        for name, child in list(self._children.items()):
            if child.poll() is None:
                continue
            told = f"{name}: ended with exit code {child.returncode}"
            if name not in RESTARTED or child.returncode > 0:
                raise DemoError(f"{told}\n{self.last_lines(name)}")
            say(f"{told} - it is started again")
            self.start(name, *self._commands[name])

    def flask(self, *words: str) -> tuple[int, str]:
        """Run a command of Billhook to its end; return its exit code and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *words],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        with self.folder.log("commands").open("a") as log:
            log.write(f"$ flask {' '.join(words)}\n{done.stderr}\n")
        return done.returncode, done.stdout

    def command(self, *words: str) -> str:
        """Return what a command printed; raise DemoError if it failed."""
        code, printed = self.flask(*words)
        if code:
            told = f"`flask {' '.join(words)}` ended with exit code {code}"
            raise DemoError(f"{told}\n{printed}{self.last_lines('commands')}")
        return printed

    def wait_for(self, what: str, is_there: Callable[[], bool], *, most_seconds: int) -> None:
        """Return once something is there; raise DemoError if a child fails or time is up."""
        deadline = time.monotonic() + most_seconds
        while not is_there():
            self.look_after()
            if time.monotonic() > deadline:
                logs = "\n".join(self.last_lines(name) for name in ("web", "worker"))
                raise DemoError(f"{what}: not within {most_seconds} s\n{logs}")
            time.sleep(LOOK_SECONDS)

    def last_lines(self, name: str) -> str:
        """Return the end of a process's log."""
        path = self.folder.log(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join([f"the last lines of {path}:", *lines[-LAST_LINES:]])

    def stop(self) -> None:
        """End all children, the last started first, and whatever they started."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for child in reversed(self._children.values()):
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(deadline - time.monotonic(), 0))
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self._children.clear()


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback address that nobody listens on just now."""
    with ExitStack() as open_together:
        probes = [open_together.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def is_free(port: int) -> bool:
    """Return whether a port of the loopback address can be listened on."""
    with socket.socket() as probe:
        # As a server does it, which need not wait for the connections of the one before.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
