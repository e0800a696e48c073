"""Plays a scenario with every fault at every effect, by forking the process at each of them.

The calm play runs once. At each effect it forks a child for each fault; the child suffers it,
recovers, plays to the end and is judged. The child forks again at the effects of its recovery
for the second fault. So what came before a fault is never played again.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .crash_judge import State, Verdicts, judged, state_of
from .crash_scenarios import SCENARIOS, Scenario
from .effects import Effect

CHILD_SECONDS: Final = 60
"""How long one schedule may take before it counts as hanging."""


@dataclass(frozen=True, slots=True, order=True)
class Blow:
    """One fault at one effect."""

    point: int
    fault: str

    def __str__(self) -> str:
        return f"{self.point}/{self.fault}"


Blows = tuple[Blow, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one schedule."""

    scenario: str
    blows: Blows
    hit: Sequence[str]
    """What the effects were that were hit, in words."""
    broken: Sequence[str]
    """The promises that were broken."""
    after: Sequence[tuple[int, Sequence[str]]] = ()
    """The effects after the last blow, with the faults that could hit each."""

    @property
    def schedule(self) -> str:
        """Return the schedule as `--replay` takes it."""
        return f"{self.scenario}:{','.join(map(str, self.blows))}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON, as a child hands it to its parent."""
        blows = [[each.point, each.fault] for each in self.blows]
        return {
            "scenario": self.scenario,
            "blows": blows,
            "hit": list(self.hit),
            "broken": list(self.broken),
            "after": [[number, list(faults)] for number, faults in self.after],
        }


def played_from_json(content: dict[str, Any]) -> Played:
    """Return what a child has written down."""
    blows = tuple(Blow(point, fault) for point, fault in content["blows"])
    after = [(number, tuple(faults)) for number, faults in content["after"]]
    return Played(content["scenario"], blows, content["hit"], content["broken"], after)


@dataclass
class Explorer:
    """Plays one scenario, calm or under schedules; `results` is where children write."""

    scenario: Scenario
    results: Path
    wants: Callable[[Blows], bool] = lambda blows: len(blows) == 1
    """Whether a child is forked for these blows."""
    reports: Callable[[Blows], bool] = lambda blows: True
    """Whether what came of these blows is judged, and not only passed through."""
    side_by_side: int = 1
    calm: State | None = None
    verdicts: Verdicts | None = None
    _blows: Blows = ()
    _hit: tuple[str, ...] = ()
    _after: list[tuple[int, Sequence[str]]] = field(default_factory=list)
    _running: dict[int, Blows] = field(default_factory=dict)

    def play(self) -> Played:
        """Play calmly, forking a child for each wanted schedule; return the calm play."""
        firm = self.scenario.begin()
        firm.effects.decide = self._decide
        # What is shared with the children is not looked through by them, and so not copied.
        gc.disable()
        try:
            broken: list[str] = []
            self.scenario.play(firm)
            if self.reports(self._blows):
                broken = judged(firm, self.calm, self.verdicts)
            if not self._blows:
                self.calm = state_of(firm)
        except Exception as error:
            broken = [f"{type(error).__name__}: {error}"]
        if self._blows:
            self._end(broken)
        while self._running:
            self._wait_for_one()
        gc.enable()
        return self._played(broken)

    def _decide(self, effect: Effect) -> str | None:
        self._after.append((effect.number, effect.possible))
        for fault in effect.possible:
            blows = (*self._blows, Blow(effect.number, fault))
            if not self.wants(blows):
                continue
            while len(self._running) >= (1 if self._blows else self.side_by_side):
                self._wait_for_one()
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                signal.alarm(CHILD_SECONDS)
                self._blows, self._hit = blows, (*self._hit, f"{effect.port} {effect.name}")
                self._after, self._running = [], {}
                return fault
            self._running[child] = blows
        return None

    def _end(self, broken: list[str]) -> None:
        """Write down what came of this child's schedule, and end it."""
        while self._running:
            self._wait_for_one()
        if self.reports(self._blows):
            self._write(self._played(broken))
        os._exit(0)

    def _wait_for_one(self) -> None:
        child, status = os.wait()
        blows = self._running.pop(child)
        if status != 0:
            broken = [f"the process ended with status {status} (-{signal.SIGALRM}: it hung)"]
            self._write(Played(self.scenario.name, blows, (), broken))

    def _played(self, broken: list[str]) -> Played:
        return Played(self.scenario.name, self._blows, self._hit, broken, self._after)

    def _write(self, played: Played) -> None:
        line = json.dumps(played.as_json()).encode() + b"\n"
        # One write to the end of a file: lines of several processes do not mix.
        out = os.open(self.results, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, line)
        os.close(out)


def replay(scenario: str, blows: Sequence[tuple[str, str]], trace: Callable[[str], None]) -> Played:
    """Play one schedule in this process, telling each effect to `trace`.

    A point is the number of an effect, or its name and which of that name it is: `POST /x#2`.
    """
    calm = Explorer(SCENARIOS[scenario], Path(os.devnull), wants=lambda blows: False)
    played = calm.play()
    if played.broken:
        return played
    waiting, done = list(blows), list[Blow]()
    seen: Counter[str] = Counter()

    def decide(effect: Effect) -> str | None:
        seen[effect.name] += 1
        name = f"{effect.name}#{seen[effect.name]}"
        fault = None
        if waiting and waiting[0][0] in (str(effect.number), name):
            fault = waiting[0][1] if waiting[0][1] in effect.possible else None
        if fault is not None:
            del waiting[0]
            done.append(Blow(effect.number, fault))
        trace(f"{effect.number:4} {effect.port:6} {name}{f'  <- {fault}' if fault else ''}")
        return fault

    firm = SCENARIOS[scenario].begin()
    firm.effects.decide = decide
    try:
        SCENARIOS[scenario].play(firm)
        broken = judged(firm, calm.calm)
    except Exception as error:
        broken = [f"{type(error).__name__}: {error}"]
    broken += [f"there is no {point}/{fault} in this play" for point, fault in waiting]
    return Played(scenario, tuple(done), (), broken)
