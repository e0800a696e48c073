"""The storms of one run, one after the other, and their figures together."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from torture.results import LayerResult

from .coverage import missed, wanted
from .nemesis import UP_SECONDS
from .play import Storm, play
from .processes import TortureError
from .scaled import LEASE_SECONDS, LEASE_SHORTENED_BY

AROUND_SECONDS: Final = 30.0
"""What one storm takes beside its own length: setting up, coming to rest, judging."""
SHARES: Final = {"services": 0.72, "embedded": 0.28}
SHORTEST_SECONDS: Final = 15.0
INVALID: Final = "invalid: "
"""Begins a failure that says that too little was tried, and not that a promise was broken."""


def storms(budget_seconds: float, seed: int, kinds: Sequence[str]) -> LayerResult:
    """Let one storm pass over each of these kinds of site."""
    passed: list[Storm] = []
    failures: list[str] = []
    left = max(budget_seconds - AROUND_SECONDS * len(kinds), 0.0)
    whole = sum(SHARES[kind] for kind in kinds)
    for kind in kinds:
        seconds = max(left * SHARES[kind] / whole, SHORTEST_SECONDS)
        # Short, because a socket's path must be.
        folder = Path(tempfile.mkdtemp(prefix="torture-", dir="/tmp"))
        folder.chmod(0o711)
        try:
            storm = play(folder, kind=kind, seed=seed, seconds=seconds)
        except TortureError as error:
            failures.append(f"{kind}: {error} (logs: {folder})")
            continue
        except (KeyboardInterrupt, SystemExit):
            # Somebody has asked it to end, and nothing was found.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        passed.append(storm)
        failures += [f"{kind}: {each}" for each in storm.verdict.failures]
        if storm.verdict.failures:
            failures.append(f"{kind}: logs, history and seed {seed} are kept in {folder}")
        else:
            shutil.rmtree(folder)
            # Nobody looks into a folder that is gone.
            passed[-1] = replace(storm, folder=Path())
    failures += [f"{INVALID}tried too seldom: {each}" for each in missed(passed)]
    return LayerResult("chaos", figures(passed), failures)


def figures(passed: Sequence[Storm]) -> dict[str, int | float | str]:
    """Return what these storms come to together."""
    kills: Counter[str] = Counter()
    others: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    told: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    for storm in passed:
        kills.update(storm.kills)
        others.update(storm.accidents)
        faults.update(storm.faults)
        told.update(storm.told)
        sent.update(storm.sent)
        compared.update(storm.verdict.compared)
    recovered = sorted(each.seconds for storm in passed for each in storm.recovered)
    p99 = _quantile(recovered, 0.99)
    tried = wanted(passed)
    return {
        "effective kills": sum(kills.values()),
        "kinds of components killed": len({what.partition(",")[0] for what in kills}),
        **{f"killed: {what}": times for what, times in sorted(kills.items())},
        **{f"accident: {what}": times for what, times in sorted(others.items())},
        "faults of the billing systems": sum(faults.values()),
        "kinds of billing faults": len(faults),
        "changes": told["event"] + told["never"] + told["poison"],
        "never told by webhook": told["never"],
        "repeated deliveries": told["repeated"] + told["renamed"],
        "unreadable deliveries": told["poison"],
        "deliveries taken": sent["ok"],
        "posts without an answer": sent["indeterminate"],
        "lost": sum(len(storm.verdict.lost) for storm in passed),
        "doubled": sum(len(storm.verdict.doubled) for storm in passed),
        **{each: compared[each] for each in sorted(compared)},
        "abandoned rows": len(recovered),
        "recovery p50, s": _quantile(recovered, 0.5),
        "recovery p99, s": p99,
        "recovery max, s": recovered[-1] if recovered else 0.0,
        f"recovery p99 with a lease of {LEASE_SECONDS + LEASE_SHORTENED_BY} s": (
            p99 + LEASE_SHORTENED_BY if recovered else 0.0
        ),
        "late commits refused by their fence": sum(storm.fenced for storm in passed),
        "at rest after, s": max((storm.settled_in for storm in passed), default=0.0),
        "slowness of the machine": round(
            max((storm.up_in for storm in passed), default=0.0) / UP_SECONDS, 1
        ),
        "cases tried often enough": f"{len(tried) - len(missed(passed))} of {len(tried)}",
        **{f"left out: {why}": 1 for storm in passed for why in storm.left_out},
    }


def _quantile(sorted_seconds: Sequence[float], share: float) -> float:
    if not sorted_seconds:
        return 0.0
    return round(sorted_seconds[min(int(share * len(sorted_seconds)), len(sorted_seconds) - 1)], 1)
