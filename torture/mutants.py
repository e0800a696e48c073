"""The proof that the harness can fail: twelve safeguards are taken out, and each is missed.

Each mutant (`mutants_planted.py`) is planted in a process of its own, and a play that a layer of
torture consists of (`mutants_hunts.py`) must end badly; the same play must end well in the sound
product. `python -m torture.mutants` prints what noticed each, how soon, and what was seen.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

import structlog

from . import mutants_planted as planted
from .mutants_hunts import (
    changed_after_approval,
    redelivered_after_restart,
    run_of,
    schedule,
    two_assemblers,
    workers_at_an_old_token,
)
from .results import LayerResult

LONGEST_SECONDS: Final = 60
"""How long one play may take before it counts as hanging."""
SIDE_BY_SIDE: Final = 2
_CRASH, _MODEL, _RACE = "crash points", "model", "race"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A safeguard that is taken out, and the play that notices."""

    name: str
    plant: Callable[[], planted.Planted]
    layer: str
    hunt: Callable[[], list[str]]


MUTANTS: Final = (
    Mutant(
        "2xx before commit",
        planted.acknowledged_before_commit,
        _CRASH,
        partial(schedule, "receive", "Inbox._store#2", "commit_fails"),
    ),
    Mutant(
        "no sweeper",
        planted.no_sweeper,
        _CRASH,
        partial(schedule, "push", "push#1", "crash"),
    ),
    Mutant(
        "no fencing",
        planted.no_fencing,
        _CRASH,
        partial(schedule, "chunks-worst", "Pusher._confirm#1", "stall"),
    ),
    Mutant(
        "random key",
        planted.random_key,
        _CRASH,
        partial(schedule, "push", "POST /v1/invoices#1", "late_commit"),
    ),
    Mutant(
        "key without look-up",
        planted.no_look_up,
        _CRASH,
        partial(schedule, "chunks-worst", "POST /v1/invoices#1", "lost_after"),
    ),
    Mutant(
        "key renewed on the first 500",
        planted.key_renewed_at_once,
        _CRASH,
        partial(schedule, "push", "POST /v1/invoices#1", "late_commit"),
    ),
    Mutant(
        "no quiet period",
        planted.no_quiet_period,
        _CRASH,
        partial(schedule, "push", "POST /v1/invoices#1", "late_commit"),
    ),
    Mutant("Redis-only dedupe", planted.dedupe_in_memory, _MODEL, redelivered_after_restart),
    Mutant(
        "arrival-order apply",
        planted.arrival_order,
        _MODEL,
        partial(
            run_of,
            ("log", 0, 0, 0, True),
            ("edit that is told late", 0, True),
            ("less time", 0, True),
            ("late delivery", 0, True),
        ),
    ),
    Mutant(
        "float money",
        planted.float_money,
        _MODEL,
        partial(run_of, ("rates change", 2, True), ("log", 3, 0, 0, True)),
    ),
    Mutant(
        "unlocked token refresh", planted.unlocked_token_refresh, _RACE, workers_at_an_old_token
    ),
    Mutant("draft key not unique", planted.draft_key_not_unique, _RACE, two_assemblers),
    Mutant(
        "approval not bound to content",
        planted.approval_of_anything,
        _MODEL,
        changed_after_approval,
    ),
)


@dataclass(frozen=True, slots=True)
class Hunted:
    """What became of a mutant, or of the sound product in its place."""

    mutant: Mutant
    is_planted: bool
    seen: Sequence[str]
    """The promises that were broken."""
    error: str | None
    """Why the play itself could not be played: then it says nothing."""
    seconds: float

    @property
    def problem(self) -> str | None:
        """Return why the harness cannot be trusted, None if all is as it must be."""
        if self.error:
            return f"the play for {self.mutant.name} cannot be played: {self.error}"
        if self.is_planted and not self.seen:
            return f"the mutant survives: {self.mutant.name} was not noticed"
        if not self.is_planted and self.seen:
            return f"the sound product fails the play for {self.mutant.name}: {self.seen[0]}"
        return None


def run(budget_seconds: float, seed: int) -> LayerResult:
    """Hunt all mutants; what survives is a failure, and so is a play that the sound fail."""
    started = time.monotonic()
    hunted = hunt(MUTANTS)
    caught = [each for each in hunted if each.is_planted and not each.problem]
    figures: dict[str, int | float | str] = {
        "mutants": len(MUTANTS),
        "caught": len(caught),
        "seconds": round(time.monotonic() - started, 1),
        "slowest_catch_seconds": round(max((each.seconds for each in caught), default=0), 1),
    }
    problems = [each.problem for each in hunted]
    return LayerResult("mutants", figures, [problem for problem in problems if problem])


def hunt(mutants: Sequence[Mutant]) -> list[Hunted]:
    """Play for each mutant, planted and not, two at a time, each in a process of its own."""
    waiting = [(mutant, is_planted) for mutant in mutants for is_planted in (True, False)]
    running: dict[Any, tuple[Mutant, bool, BaseProcess, float]] = {}
    hunted: list[Hunted] = []
    forks = multiprocessing.get_context("fork")
    while waiting or running:
        while waiting and len(running) < SIDE_BY_SIDE:
            mutant, is_planted = waiting.pop(0)
            here, there = forks.Pipe(duplex=False)
            process = forks.Process(target=_play, args=(mutant, is_planted, there))
            process.start()
            there.close()
            running[here] = (mutant, is_planted, process, time.monotonic())
        oldest = min(begun for *_, begun in running.values())
        done: list[Any] = wait(
            list(running), timeout=max(oldest + LONGEST_SECONDS - time.monotonic(), 0)
        )
        for pipe in done or [min(running, key=lambda each: running[each][3])]:
            mutant, is_planted, child, begun = running.pop(pipe)
            seen, error = [], f"it hung for {LONGEST_SECONDS} s"
            if pipe in done:
                try:
                    seen, error = pipe.recv()
                except EOFError:
                    error = "its process ended without a word"
            child.kill()
            child.join()
            hunted.append(Hunted(mutant, is_planted, seen, error, time.monotonic() - begun))
    return hunted


def _play(mutant: Mutant, is_planted: bool, there: Any) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seen: list[str] = []
    error = None
    with mutant.plant() if is_planted else nullcontext():
        try:
            seen = mutant.hunt()
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
    there.send((seen, error))


def main() -> int:
    """Hunt the mutants and print a table; return 1 if one survives or a sound play fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[each.name for each in MUTANTS])
    only = parser.parse_args().only
    hunted = hunt([each for each in MUTANTS if not only or each.name in only])
    print(f"{'mutant':30} {'noticed by':13} {'after':>6}  seen")
    for each in hunted:
        if each.is_planted:
            seen = each.seen[0] if each.seen else "NOTHING: it survives"
            print(f"{each.mutant.name:30} {each.mutant.layer:13} {each.seconds:5.1f}s  {seen:.90}")
    problems = [each.problem for each in hunted if each.problem]
    print("\n".join(problems) or "Each was noticed, and the sound product passes the same plays.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
