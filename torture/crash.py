"""Layer 1 of `make torture`: the process dies before and after each effect, and again in recovery.

Every single fault at every effect of every scenario is played; then pairs, in a seeded order,
for as long as the budget lasts. `python -m torture.crash --replay 'push:17/lost_after,23/crash'`
plays one schedule and tells each effect.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

import structlog

from connectors.registry import BILLING

from .billing.connector import register
from .crash_explore import Blow, Blows, Explorer, Played, played_from_json, replay
from .crash_firm import quick_processes
from .crash_judge import State, Verdicts
from .crash_scenarios import SCENARIOS
from .results import LayerResult

NAME: Final = "crash points"
SIDE_BY_SIDE: Final = 2
PAIRS_AT_ONCE: Final = 8
"""How many second faults of one first fault are played in one go: they share what came before."""
LINES_PER_CALL: Final = 4
"""How many lines the misbehaving billing system takes at once: a thousand in a small way."""
FIRST_AT_ONCE: Final = 60
"""How many first faults of one scenario are played in one go."""


def run(budget_seconds: float, seed: int) -> LayerResult:
    """Play all single faults, then pairs until the budget is used; return figures and failures."""
    return Search(seed).run(budget_seconds)


class Search:
    """One run: what has been played, and what broke."""

    def __init__(
        self, seed: int, scenarios: Sequence[str] = tuple(SCENARIOS), *, one_in: int = 1
    ) -> None:
        """Prepare a run; of the single faults, one in so many is played."""
        self._random = random.Random(seed)
        self._one_in = one_in
        self._scenarios = scenarios
        self.plays: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.failures: list[str] = []
        self._calm: dict[str, State] = {}
        self._verdicts: dict[str, Verdicts] = {}
        self._points = 0
        self._pairs: dict[str, dict[Blow, list[Blow]]] = {}
        """By scenario and first blow, the second blows that are still to be played."""

    def run(self, budget_seconds: float) -> LayerResult:
        """Play until the budget is used; all single faults in any case."""
        began_at = time.monotonic()
        until = began_at + budget_seconds
        with quick(), tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results"
            for name in self._scenarios:
                (Path(folder) / name).mkdir()
                self._verdicts[name] = Verdicts(Path(folder) / name)
                self._singles(name, results)
            in_all = sum(len(each) for first in self._pairs.values() for each in first.values())
            while time.monotonic() < until and self._some_pairs(results):
                pass
            figures = self._figures(in_all, time.monotonic() - began_at)
        return LayerResult(NAME, figures, self.failures)

    def _figures(self, in_all: int, seconds: float) -> dict[str, int | float | str]:
        return {
            "scenarios": len(self._scenarios),
            "points": self._points,
            "schedules": sum(self.plays.values()),
            "singles": self.plays[1],
            "pairs": self.plays[2],
            "pairs in all": in_all,
            "different outcomes": sum(each.count() for each in self._verdicts.values()),
            "kinds of faults": len(self.faults),
            "seconds": round(seconds, 1),
            "milliseconds each": round(1000 * seconds / max(sum(self.plays.values()), 1), 1),
            **{f"fault {kind}": times for kind, times in sorted(self.faults.items())},
        }

    def _singles(self, name: str, results: Path) -> None:
        """Play a scenario with every single fault."""
        # The calm play must be judged before anything can be compared with it.
        calm = Explorer(SCENARIOS[name], results, wants=lambda blows: False)
        played = calm.play()
        if calm.calm is None or played.broken:
            self.failures.append(f"{name}: the calm play: {'; '.join(played.broken)}")
            return
        self._calm[name] = calm.calm
        self._points += len(played.after)
        explorer = Explorer(
            SCENARIOS[name],
            results,
            wants=lambda blows: len(blows) == 1 and self._random.randrange(self._one_in) == 0,
            side_by_side=SIDE_BY_SIDE,
            calm=self._calm[name],
            verdicts=self._verdicts[name],
        )
        explorer.play()
        self._pairs[name] = {}
        for each in self._collected(results):
            second = [Blow(point, fault) for point, faults in each.after for fault in faults]
            self._random.shuffle(second)
            self._pairs[name][each.blows[0]] = second

    def _some_pairs(self, results: Path) -> bool:
        """Play some pairs of each scenario; return False if there were none left."""
        has_played = False
        for name, first in self._pairs.items():
            left = sorted(blow for blow, second in first.items() if second)
            if not left:
                continue
            chosen: dict[Blow, set[Blow]] = {}
            for blow in self._random.sample(left, min(FIRST_AT_ONCE, len(left))):
                chosen[blow] = set(first[blow][:PAIRS_AT_ONCE])
                del first[blow][:PAIRS_AT_ONCE]
            self._play_pairs(name, chosen, results)
            has_played = True
        return has_played

    def _play_pairs(self, name: str, chosen: dict[Blow, set[Blow]], results: Path) -> None:
        def wants(blows: Blows) -> bool:
            return blows[0] in chosen and (len(blows) == 1 or blows[1] in chosen[blows[0]])

        explorer = Explorer(
            SCENARIOS[name],
            results,
            wants=lambda blows: len(blows) <= 2 and wants(blows),
            reports=lambda blows: len(blows) == 2,
            side_by_side=SIDE_BY_SIDE,
            calm=self._calm[name],
            verdicts=self._verdicts[name],
        )
        explorer.play()
        list(self._collected(results))

    def _collected(self, results: Path) -> Iterator[Played]:
        """Yield what the children have written since the last time, and count it."""
        if not results.exists():
            return
        lines = results.read_text().splitlines()
        results.unlink()
        for line in sorted(lines):
            played = played_from_json(json.loads(line))
            self.plays[len(played.blows)] += 1
            self.faults.update(each.fault for each in played.blows)
            if played.broken:
                where = ", ".join(played.hit)
                self.failures.append(f"{played.schedule} ({where}): {'; '.join(played.broken)}")
            yield played


@contextmanager
def quick() -> Iterator[None]:
    """Let firms be played in the block: quietly, with the misbehaving billing system known."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    with mock.patch.dict(BILLING), quick_processes():
        register(lines_per_call=LINES_PER_CALL)
        yield
    structlog.configure(**before)


def schedule_from(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return scenario and blows of `push:17/lost_after,23/crash`."""
    scenario, _, blows = text.partition(":")
    parts = [each.rpartition("/") for each in blows.split(",") if each]
    return scenario, [(point, fault) for point, _, fault in parts]


def main() -> int:
    """Play what the command line asks for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one-in", type=int, default=1, help="of the single faults")
    parser.add_argument("--replay", help="a schedule, as a failure names it")
    parser.add_argument("--only", nargs="*", default=list(SCENARIOS), choices=sorted(SCENARIOS))
    given = parser.parse_args()
    if given.replay:
        with quick():
            played = replay(*schedule_from(given.replay), print)
        print("\n".join(played.broken) or "every promise holds")
        return 1 if played.broken else 0
    result = Search(given.seed, given.only, one_in=given.one_in).run(given.seconds)
    for name, value in result.figures.items():
        print(f"{name:32} {value}")
    print("\n".join(result.failures) or "every promise holds")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
