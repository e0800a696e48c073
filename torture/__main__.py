"""`python -m torture`, called by `make torture`: all layers at once, one table, one answer.

Three lanes run side by side: the storms over real processes, which mostly wait; the crash points;
and the others one after the other. The storms come first, and the crash points take what is left.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from .chaos.processes import end_with_parent
from .report import DOCUMENT, insert, table
from .results import LayerResult

ROOT: Final = Path(__file__).parent.parent
SEEDS: Final = Path(__file__).parent / "seeds.json"
LANES: Final = (
    {"chaos": 0.85},
    {"crash": 1.0},
    {"mutants": 0.15, "model": 0.75, "fuzz": 0.1},
)
"""What runs one after the other, with each one's share of the time; the lanes run together."""
NICENESS: Final = {"chaos": 0, "crash": 10}
"""What does not wait for anything runs at a lower priority, by default 5, and has the machine when
the storm is over. The crash points can use whatever there is."""
KEPT_BACK: Final = 0.04
"""The share of the time that is left for starting and for the table."""
LATE_SECONDS: Final = 180
"""How much longer than its budget a layer may take before it is ended."""
INVALID: Final = "invalid: "
KEPT, BROKEN, TOO_LITTLE = 0, 1, 3
"""The exit codes: every promise was kept; one was broken, or a layer is missing; too little was
tried to say so."""


@dataclass
class Turn:
    """One run of one layer."""

    layer: str
    seed: int
    seconds: float
    into: Path
    process: subprocess.Popen[bytes] | None = None
    deadline: float = 0.0

    def start(self) -> None:
        """Start it in a process of its own."""
        words = ("--layer", self.layer, "--seed", str(self.seed), "--seconds", str(self.seconds))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "torture", *words, "--into", str(self.into)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.deadline = time.monotonic() + self.seconds + LATE_SECONDS

    @property
    def log(self) -> Path:
        """Return the file with what it printed."""
        return self.into.with_suffix(".log")

    def result(self) -> LayerResult:
        """Return what it has found; a layer that ended without a word has failed."""
        if self.into.exists():
            return replace(LayerResult(**json.loads(self.into.read_text())), name=self.layer)
        last = self.log.read_text(errors="replace").splitlines()[-15:]
        return LayerResult(self.layer, {}, [f"{self.layer} ended without a result:", *last])


def main() -> int:
    """Run; return one of the exit codes above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long all of it may take")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--only", action="append", help="run just this layer; may be repeated")
    parser.add_argument(
        "--write", action="store_true", help=f"put the table into {DOCUMENT.name} of docs/"
    )
    parser.add_argument(
        "--short", action="store_true", help="that too little was tried is told, and no failure"
    )
    parser.add_argument("--layer", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=60, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    # Whoever is asked to end does so in order: what it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if given.layer:
        end_with_parent()
        return run_layer(given.layer, given.seconds, given.seed, given.into)
    begun = time.monotonic()
    results = list(run_all(given.minutes * 60, given.seed, given.only))
    seconds = round(time.monotonic() - begun)
    told = table(results, command=f"make torture MINUTES={given.minutes:g}", seed=given.seed)
    print(told)
    for result in results:
        for failure in result.failures:
            print(f"{result.name}: {failure}")
    print(f"{seconds} s, seed {given.seed}")
    if given.write:
        DOCUMENT.write_text(insert(told, DOCUMENT.read_text()))
    code = verdict(results)
    return KEPT if given.short and code == TOO_LITTLE else code


def run_all(seconds: float, seed: int, only: Sequence[str] | None) -> Iterator[LayerResult]:
    """Run the layers, those with known failing seeds first under these; yield each one's result."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        lanes = [
            list(turns(lane, seconds * (1 - KEPT_BACK), seed, only, Path(folder))) for lane in LANES
        ]
        every = [turn for lane in lanes for turn in lane]
        try:
            while any(lanes):
                for lane in lanes:
                    if lane and _is_over(lane[0]):
                        yield lane.pop(0).result()
                time.sleep(0.1)
        finally:
            for turn in every:
                if turn.process is not None and turn.process.poll() is None:
                    turn.process.terminate()
                    turn.process.wait()


def turns(
    lane: Mapping[str, float], seconds: float, seed: int, only: Sequence[str] | None, folder: Path
) -> Iterator[Turn]:
    """Yield the turns of one lane in their order."""
    chosen = {layer: share for layer, share in lane.items() if not only or layer in only}
    known = json.loads(SEEDS.read_text())
    for layer, share in chosen.items():
        seeds = [*known.get(layer, ()), seed]
        budget = seconds * share / len(seeds)
        for number, each in enumerate(seeds):
            yield Turn(layer, each, budget, folder / f"{layer}-{number}.json")


def _is_over(turn: Turn) -> bool:
    """Return whether a turn has ended; start it if it has not begun, end it if it is late."""
    if turn.process is None:
        turn.start()
        return False
    if turn.process.poll() is None and time.monotonic() > turn.deadline:
        turn.process.terminate()
        turn.process.wait()
    return turn.process.poll() is not None


def run_layer(layer: str, seconds: float, seed: int, into: Path) -> int:
    """Run one layer in this process and write down what it has found."""
    if importlib.util.find_spec(f"torture.{layer}") is None:
        result = LayerResult(layer, {}, [f"there is no torture/{layer}: nothing was tried"])
    else:
        os.nice(NICENESS.get(layer, 5))
        result = importlib.import_module(f"torture.{layer}").run(seconds, seed)
    into.write_text(json.dumps(asdict(result)))
    return 0


def verdict(results: Sequence[LayerResult]) -> int:
    """Return the exit code for these results."""
    failures = [failure for result in results for failure in result.failures]
    if any(not failure.startswith(INVALID) for failure in failures):
        return BROKEN
    return TOO_LITTLE if failures else KEPT


if __name__ == "__main__":
    sys.exit(main())
