"""Was enough tried? A storm that missed a case says nothing about it, so it is called invalid.

Each change of the workload must have met each state of an invoice, and each kind of fault must
have been effective, at least `LEAST` times over all storms of a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from torture.billing.faults import KINDS

from .nemesis import ACCIDENTS, KILLS
from .play import Storm
from .workload import BULK, CHANGES, OTHERS, STATES

LEAST: Final = 5
BY_THE_ADMIN: Final = ("rules broken", "new rate", "secret rotated")
LONGEST: Final = f"an invoice of {BULK} lines"
TELLING: Final = ("repeated", "renamed", "never", "poison")


def missed(storms: Sequence[Storm]) -> list[str]:
    """Return what was tried too seldom, in words; nothing: the run is valid."""
    tried: Counter[str] = Counter()
    for storm in storms:
        tried.update({f"{change}: {state}": n for (state, change), n in storm.hits.items()})
        tried.update({f"told: {way}": times for way, times in storm.told.items()})
        tried.update({f"billing fault {kind}": times for kind, times in storm.faults.items()})
        tried.update(storm.kills)
        tried.update(storm.accidents)
    longest = max((storm.verdict.compared["longest invoice"] for storm in storms), default=0)
    tried[LONGEST] = LEAST if longest >= BULK else 0
    return [f"{what} ({tried[what]} of {LEAST})" for what in wanted(storms) if tried[what] < LEAST]


def wanted(storms: Sequence[Storm]) -> list[str]:
    """Return everything that must be tried."""
    kinds = {storm.kind for storm in storms}
    struck = {what for kind in kinds for what in (*KILLS[kind], *ACCIDENTS[kind])}
    left_out = {each.partition(":")[0] for storm in storms for each in storm.left_out}
    return [
        *(
            f"{change}: {state}"
            for change in CHANGES
            for state in STATES
            if _can_meet(change, state)
        ),
        *(f"told: {way}" for way in (*TELLING, *OTHERS)),
        *(f"billing fault {kind}" for kind in KINDS),
        LONGEST,
        *sorted((struck | set(BY_THE_ADMIN)) - left_out),
    ]


def _can_meet(change: str, state: str) -> bool:
    # A deleted entry is taken off its draft, so there is none to restore there.
    return (change, state) != ("restore", "draft")
