"""Starts Billhook's programs without their imports: each is a fork of one that has them loaded.

A kill costs the start of what was killed, and nearly all of that is Python reading modules, of
which nothing is learned. So one process, `python -m torture.chaos.starter`, reads them once and
forks for every program. A fork is a process of its own as any other: a session, a log, its own
environment and connections; it dies by kill -9 and takes nobody with it. All of them end with the
starter, and the starter ends with the run.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .processes import ROOT, TortureError, end_with

START_SECONDS: Final = 60
"""How long the starter may take to load everything."""
_MOST_BYTES: Final = 100_000


class Forked:
    """One program that was forked, with what the harness uses of `subprocess.Popen`.

    The starter reaps it only when asked, so that its number is nobody else's before that.
    """

    def __init__(self, starter: Starter, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        """How it has ended, as `Popen.returncode` says it; None as long as nobody has asked."""
        self._starter = starter
        self._handle: int | None = os.pidfd_open(pid)
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        """Return how it has ended, None if it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return how it has ended; raise TimeoutExpired if it runs for longer."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with self._reaping:
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        handle = self._handle
        if handle is not None and select.select([handle], [], [], timeout)[0]:
            with self._reaping:
                if self._handle is not None:
                    self.returncode = self._starter.ask({"reap": self.pid})
                    os.close(self._handle)
                    self._handle = None
        return self.returncode


class Starter:
    """The harness's end of it; any thread may start something."""

    def __init__(self, log: Path) -> None:
        """Begin to load what the programs need; `log` is where the starter itself complains."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START_SECONDS)
        self._asking = threading.Lock()
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "torture.chaos.starter", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with(os.getpid()),
                pass_fds=[theirs.fileno()],
            )

    def start(self, words: Sequence[str], environ: Mapping[str, str], output: Path) -> Forked:
        """Start a program, see `programs.main`; what it prints goes to the end of a file."""
        told = {"words": list(words), "environ": dict(environ), "output": str(output)}
        return Forked(self, self.ask(told))

    @property
    def pid(self) -> int:
        """Return the number of the process that forks."""
        return self._process.pid

    def ask(self, order: Mapping[str, Any]) -> Any:
        """Return the answer to an order; raise TortureError if the starter is not there."""
        with self._asking:
            try:
                self._socket.send(json.dumps(order).encode())
                return json.loads(self._socket.recv(_MOST_BYTES))
            except (OSError, ValueError) as error:
                raise TortureError(f"the starter does not answer: {error}") from error

    def close(self) -> None:
        """End the starter, and what it has started and nobody has ended."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def main() -> int:
    """Serve the harness until it is gone; whoever was forked goes on from here as its program."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    from .programs import load, main

    load()
    if threading.active_count() > 1:
        raise TortureError("a module starts threads, and they would be missing after a fork")
    # What is loaded is nobody's garbage: left alone, its memory stays shared.
    gc.collect()
    gc.freeze()
    words = _serve(asked)
    return main(words) if words else 0


def _serve(asked: socket.socket) -> list[str]:
    """Fork and reap as ordered; return the words of a program in its process, else nothing."""
    starter = os.getpid()
    while told := asked.recv(_MOST_BYTES):
        order = json.loads(told)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            asked.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
        elif os.fork() == 0:
            _settle_in(order, starter)
            # Only now, when it leads a group of its own that can be killed.
            asked.send(json.dumps(os.getpid()).encode())
            asked.close()
            return list(order["words"])
    return []


def _settle_in(order: Mapping[str, Any], starter: int) -> None:
    """Make this process what a new one would be."""
    end_with(starter)()
    os.setsid()
    os.environ.clear()
    os.environ.update(order["environ"])
    output = os.open(order["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    # So that `ps` and `top` tell it from the others.
    Path("/proc/self/comm").write_text(order["words"][0])


if __name__ == "__main__":
    sys.exit(main())
