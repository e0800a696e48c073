"""Layer 2 of `make torture`: the ledger against a small model of it, step by step.

Tools, people, Stripe, time and bad luck take turns (`model_world.py`); after each step the ledger
must say what the truth says (`model_truth.py`, `model_checks.py`). hypothesis chooses freely, the
explorer goes where least was tried. `python -m torture.model --seconds 60` runs it alone.
"""

from __future__ import annotations

import argparse
import gc
import logging
import math
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, rule

from .model_explorer import LEAST_HITS, STEPS, Coverage, Failure, Move, explore, failure
from .model_firm import Firm
from .model_steps import Step
from .model_world import World
from .results import LayerResult

MOST_FAILURES: Final = 3
"""After as many runs that ended badly there is enough to mend."""
FREE_RUNS: Final = 5
"""How many runs hypothesis plays at a time, in every second turn."""


def run(budget_seconds: float, seed: int, *, processes: int = 2) -> LayerResult:
    """Play runs until the budget is used up; what was tried too seldom is a failure too."""
    started = time.monotonic()
    least = math.ceil((LEAST_HITS + 1) / processes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs = [
            pool.submit(_play, budget_seconds, seed * processes + each, least)
            for each in range(processes)
        ]
        parts = [job.result() for job in jobs]
    coverage, failures = Coverage(), []
    for covered, failed in parts:
        coverage.hits.update(covered.hits)
        coverage.steps += covered.steps
        coverage.runs += covered.runs
        failures += failed
    steps = _steps()
    missing = coverage.missing(steps)
    if missing and not failures:
        named = ", ".join(f"{event} / {state}" for event, state in missing[:12])
        failures.append(
            f"invalid: {len(missing)} pairs of event and state were hit fewer than "
            f"{LEAST_HITS} times, such as {named} - give it more time"
        )
    pairs = [(step.name, state) for step in steps for state in step.can_hit]
    figures: dict[str, int | float | str] = {
        "seed": seed,
        "runs": coverage.runs,
        "steps": coverage.steps,
        "ms_per_step": round((time.monotonic() - started) * 1000 / max(coverage.steps, 1), 1),
        "pairs_of_state_and_event": len(pairs),
        "pairs_hit_too_seldom": len(missing),
        "hits_of_the_rarest_pair": min(coverage.hits[pair] for pair in pairs),
    }
    return LayerResult("model", figures, failures)


def _play(budget_seconds: float, first_seed: int, least: int) -> tuple[Coverage, list[str]]:
    """Play runs until the budget is used up; return what was covered and what was broken."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ends_at = time.monotonic() + budget_seconds
    firm, coverage = Firm(), Coverage(least=least)
    failures: list[str] = []
    turn = 0
    # What a run leaves behind is little; looking for it all the time costs a tenth of the time.
    gc.freeze()
    gc.disable()
    while time.monotonic() < ends_at and len(failures) < MOST_FAILURES:
        turn += 1
        if turn % 20 == 0:
            gc.collect()
        turn_seed = first_seed * 1_000_003 + turn
        try:
            if turn % (4 * FREE_RUNS):
                explore(firm, turn_seed, coverage)
            else:
                play_freely(firm, turn_seed, coverage, runs=FREE_RUNS)
        except Failure as broken:
            failures.append(f"seed {first_seed}, turn {turn}: {broken}")
    firm.close()
    return coverage, failures


def play_freely(firm: Firm, turn_seed: int, coverage: Coverage, *, runs: int) -> None:
    """Have hypothesis play some runs; raise Failure with the shortened run if one ends badly."""
    moves: list[Move] = []
    machine = machine_of(firm, coverage, moves)
    test = get_state_machine_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # The explorer's own way to shorten a run knows that a step may do nothing.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    try:
        seed(turn_seed)(test)()
    except Exception as error:
        raise failure(firm, error, moves) from error


def machine_of(firm: Firm, coverage: Coverage, moves: list[Move]) -> type[RuleBasedStateMachine]:
    """Return the state machine with a rule for each step; `moves` are those of its last run."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            moves.clear()
            coverage.runs += 1
            self.world = World(firm)
            self.is_well = True

        def take(self, step: Step, numbers: tuple[int, ...], work: bool) -> None:
            coverage.count(step, list(step.hits(*numbers)))
            moves.append((step.name, numbers, work))
            self.is_well = False
            self.world.play(step.name, *numbers, work=work)
            self.is_well = True

        def teardown(self) -> None:
            if self.is_well:
                self.world.end()

    rules = {step.name.replace(" ", "_"): _rule_of(step) for step in World(firm).steps.values()}
    return type("LedgerMachine", (Machine,), rules)


def _rule_of(step: Step) -> Callable[..., Any]:
    def take(self: Any, numbers: tuple[int, ...], work: bool) -> None:
        self.take(self.world.steps[step.name], numbers, work)

    take.__name__ = step.name.replace(" ", "_")
    numbers = st.tuples(*(st.integers(0, size - 1) for size in step.sizes))
    return rule(numbers=numbers, work=st.booleans())(take)


def _steps() -> list[Step]:
    firm = Firm()
    steps = list(World(firm).steps.values())
    firm.close()
    return steps


def main() -> int:
    """Run this layer alone; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    result = run(asked.seconds, asked.seed, processes=asked.processes)
    for name, figure in result.figures.items():
        print(f"{name}: {figure}")
    for failed in result.failures:
        print(f"\n{failed}")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
