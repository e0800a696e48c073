"""What strikes the processes of a site: kill -9, stops longer than a lease, and other accidents.

A kill is *effective* when the process was alive, died by our signal and had work; only those
count. Whatever has ended is started again by `Processes.look_after`, as on a platform.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from connectors.stand_in import Fault

from .disk import Disk
from .processes import Program, children_of, kill, state_of
from .scaled import LEASE_SECONDS
from .sender import Sender
from .site import Site
from .watch import LOOK_SECONDS, Watch

KILLS: Final = {
    "services": {
        "worker": 6,
        "work horse": 6,
        "web": 2,
        "clock": 2,
        "valkey": 2,
        "valkey, emptied": 2,
        "postgres": 2,
        "billing system": 2,
    },
    "embedded": {"worker": 10, "web": 2, "clock": 2, "billing system": 2},
}
"""How often each is killed in one round, in a random order."""
ACCIDENTS: Final = {
    "services": {
        "stopped": 1,
        "restarted": 1,
        "valkey flushed": 1,
        "clock set": 1,
        "project tool": 1,
    },
    # The full disk more often, because it has no part in the longer storm.
    "embedded": {"stopped": 1, "restarted": 1, "clock set": 1, "project tool": 1, "disk full": 3},
}
"""How often each accident happens in one round."""
KILL_EVERY: Final = (0.4, 1.2)
"""Seconds between two kills, at least and at most, where a site is up within `UP_SECONDS`."""
ACCIDENT_EVERY: Final = (1.6, 2.8)
UP_SECONDS: Final = 1.0
"""What a site needs to be up on two cores that have little else to do. On a slower machine all
strikes are further apart: what never gets to work is not tried at all."""
PATIENCE: Final = 0.6
"""How long the nemesis waits for a victim that has work."""
STOPPED_SECONDS: Final = LEASE_SECONDS + 1.5
STEPS: Final = (-1.5, 0.3, 0.45, 0.45)
"""By how much the clock is set, in seconds. A step forward shortens the quiet period by as much:
that of 7 s has a second to spare where the sender was killed. One back lengthens every wait."""
FARTHEST: Final = 2.0
"""How far from the right time the clock ever is."""
STOP_TRIES: Final = 8
FULL_SECONDS: Final = 2.0


@dataclass
class Nemesis:
    """Strikes one site at random; call `strike` often from the thread that owns the processes."""

    site: Site
    watch: Watch
    sender: Sender
    dice: random.Random
    disk: Disk | None = None
    kills: Counter[str] = field(default_factory=Counter)
    """Effective ones, by what was killed."""
    in_vain: Counter[str] = field(default_factory=Counter)
    accidents: Counter[str] = field(default_factory=Counter)
    _kill_at: float = 0.0
    _accident_at: float = 0.0
    _bags: dict[str, list[str]] = field(default_factory=dict)
    """What is left of this round, of kills and of accidents."""
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def strike(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        for due in [each for each in self._later if each[0] <= now]:
            self._later.remove(due)
            due[1]()
        if now >= self._kill_at:
            self._next("kills", KILLS, self._kill, self.kills)
            self._kill_at = self._after(KILL_EVERY)
        if now >= self._accident_at:
            self._next("accidents", ACCIDENTS, self._happen, self.accidents)
            self._accident_at = self._after(ACCIDENT_EVERY)

    def _next(
        self,
        what: str,
        kinds: Mapping[str, Mapping[str, int]],
        do: Callable[[str], bool],
        done: Counter[str],
    ) -> None:
        """Do the next one of a round; what was in vain comes once more at the end of it."""
        bag = self._bags.setdefault(what, [])
        if not bag:
            bag += Counter(kinds[self.site.kind]).elements()
            self.dice.shuffle(bag)
        kind = bag.pop()
        if do(kind):
            done[kind] += 1
        else:
            self.in_vain[kind] += 1
            bag.insert(0, kind)

    def _after(self, seconds: tuple[float, float]) -> float:
        return time.monotonic() + self.dice.uniform(*seconds) * self._slowness

    @property
    def _slowness(self) -> float:
        return max(1.0, self.site.up_in / UP_SECONDS)

    def rest(self) -> None:
        """Undo what would last: the stopped go on, the disk has room, the clock is not ahead.

        One that is behind is left so: set right, it would end what is quiet before its time.
        """
        for _, undo in self._later:
            undo()
        self._later.clear()
        self.site.offset.write_text(str(min(float(self.site.offset.read_text()), 0.0)))
        if self.disk:
            self.disk.free()

    def _kill(self, what: str) -> bool:
        """Kill something; return whether that was effective."""
        site = self.site
        if what.startswith("worker"):
            return self._kill_worker()
        if what == "work horse":
            return self._kill_horse()
        if what.startswith("valkey") and site.valkey is not None:
            has_work = self._soon(lambda: self.watch.has_work)
            program = site.valkey.program
            emptied = what.endswith("emptied")
            return (
                program.is_running
                and site.valkey.kill(emptied=emptied)
                and self._died(program)
                and has_work
            )
        if what == "postgres" and site.postgres is not None:
            has_work = self._soon(lambda: self.watch.has_work or self.sender.in_flight > 0)
            program = site.postgres.program
            if not (program.is_running and site.postgres.kill()):
                return False
            self.watch.shaken("postgres killed")
            return self._died(program) and has_work
        if what == "web":
            has_work = self._soon(lambda: self.sender.in_flight > 0)
            return self._kill_group("web") and has_work
        name = what
        if what == "billing system":
            name = self.dice.choice([each for each in site.processes.programs if "billing" in each])
        has_work = self._soon(lambda: self.watch.has_work)
        return self._kill_group(name) and has_work

    def _kill_worker(self) -> bool:
        """Kill a worker, half of the time with its work horse, which else ends by itself."""
        found: list[Program] = []

        def has_work() -> bool:
            found[:] = [each for each in self._workers() if self._is_busy(each)]
            return bool(found)

        if not self._soon(has_work):
            return False
        program = self.dice.choice(found)
        pid, horses = program.pid, children_of(program.pid)
        if not kill(pid):
            return False
        if self.dice.random() < 0.5:
            for horse in horses:
                kill(horse)
        for each in (pid, *horses):
            self.watch.killed(each, "worker killed")
        return self._died(program)

    def _is_busy(self, worker: Program) -> bool:
        """Return whether a worker answers a ring, or looks for work and there is some."""
        if self.site.kind == "services":
            return bool(_horses(worker))
        is_looking = worker.is_running and self.site.has_claimed(worker.pid)
        return is_looking and self.watch.has_work

    def _kill_horse(self) -> bool:
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [horse for each in self._workers() for horse in _horses(each)]
            return bool(found)

        if not self._soon(is_there):
            return False
        horse = self.dice.choice(found)
        if not kill(horse):
            return False
        self.watch.killed(horse, "work horse killed")
        return True

    def _kill_group(self, name: str) -> bool:
        program = self.site.processes.programs[name]
        if not program.is_running:
            return False
        os.killpg(program.pid, signal.SIGKILL)
        return self._died(program)

    def _happen(self, what: str) -> bool:
        """Let an accident happen; return whether it came off."""
        site = self.site
        if what == "stopped":
            return self._stop_for_a_while()
        if what == "restarted":
            return self._restart_in_order()
        if what == "valkey flushed":
            return site.valkey is not None and site.valkey.flush()
        if what == "clock set":
            offset = float(site.offset.read_text())
            steps = [each for each in STEPS if abs(offset + each) <= FARTHEST]
            site.offset.write_text(str(offset + self.dice.choice(steps)))
            return True
        if what == "project tool":
            do = self.dice.choice(["drop_request", "drop_reply", "html", "429", "500", "500_after"])
            with site.jira._lock:
                site.jira.faults.append(Fault(do, wait=1))
            return True
        if what == "disk full" and self.disk is not None:
            self.disk.fill()
            self._later.append((time.monotonic() + FULL_SECONDS, self.disk.free))
            return True
        return False

    def _restart_in_order(self) -> bool:
        """Ask the next program to end, as a deployment does, one after the other."""
        names = ("web", "worker-1", "worker-2", "clock")
        program = self.site.processes.programs[names[self.accidents["restarted"] % len(names)]]
        if not program.is_running or program.process is None:
            return False
        program.process.terminate()
        return True

    def _stop_for_a_while(self) -> bool:
        """Stop whoever holds something for longer than a lease runs: then it must not commit."""
        for _ in range(STOP_TRIES):
            found = [pid for each in self._workers() if self._is_busy(each) for pid in _own(each)]
            if not found:
                time.sleep(0.05)
                continue
            pid = self.dice.choice(found)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            # What a stopped process holds is still there at the next look.
            holds = partial(self._holds_something, pid)
            if self._soon(holds, seconds=2 * LOOK_SECONDS):
                self.watch.killed(pid, "stopped")
                self._later.append((time.monotonic() + STOPPED_SECONDS, partial(self._go_on, pid)))
                return True
            self._go_on(pid)
        return False

    def _holds_something(self, pid: int) -> bool:
        return self.watch.holders[pid] > 0

    def _go_on(self, pid: int) -> None:
        if state_of(pid) == "T":
            self.watch.came_back(pid)
            os.kill(pid, signal.SIGCONT)

    def _workers(self) -> list[Program]:
        return [
            each for name, each in self.site.processes.programs.items() if name.startswith("worker")
        ]

    def _soon(self, is_so: Callable[[], bool], *, seconds: float = PATIENCE) -> bool:
        """Return whether something is so within a moment."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _died(self, program: Program) -> bool:
        """Return whether a program has just ended by our signal."""
        assert program.process is not None
        if not self._soon(lambda: program.process is None or program.process.poll() is not None):
            return False
        return program.process.returncode == -signal.SIGKILL


def _horses(worker: Program) -> list[int]:
    return children_of(worker.pid) if worker.is_running else []


def _own(worker: Program) -> list[int]:
    """Return the processes of a worker that claim: its work horse, or itself."""
    return _horses(worker) or ([worker.pid] if worker.is_running else [])
