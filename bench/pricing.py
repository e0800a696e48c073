"""Price: stored deliveries become line items in one worker process.

With few rules and many, by plain contracts and rich ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import func, select

from ledger.tables import line_item

from .bodies import CUSTOMERS
from .firm import Firm
from .places import Place
from .results import Finding, median_ratio
from .sizes import Size

AIM_PER_SECOND: Final = 2000


@dataclass(slots=True)
class Rounds:
    """What one firm's rounds took, in seconds."""

    firm: Firm
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """CPU time of this process: a busy machine does not lengthen it, the server's is left out."""
    drafts: list[float] = field(default_factory=list)
    """Wall time of assembling what was priced."""

    def run(self, first: int, count: int) -> None:
        """Store so many deliveries, then measure until all of them are priced."""
        self.firm.store_worklogs(first, count)
        wall, cpu = time.perf_counter(), time.process_time()
        self.firm.run("normalize", "map")
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def assemble(self) -> None:
        """Measure until the drafts say what is priced."""
        wall = time.perf_counter()
        self.firm.run("assemble")
        self.drafts.append(time.perf_counter() - wall)


def price(place: Place, size: Size) -> list[Finding]:
    """Measure one worker with 10 rules, with many, and with rich contracts, in turn."""
    with (
        place.firm() as small,
        place.firm(rules=size.rules) as large,
        place.firm(is_rich=True) as agreed,
    ):
        few, many, rich = Rounds(small), Rounds(large), Rounds(agreed)
        for firm in (small, large, agreed):
            firm.store_issues()
        for number in range(size.rounds):
            for each in (few, many, rich):
                each.run(1 + number * size.deliveries, size.deliveries)
        for firm in (small, large, agreed):
            _check(firm, size.rounds * size.deliveries)
        for each in (few, rich):
            each.assemble()
    rate = size.deliveries / median(few.wall)
    cpu_rate = size.deliveries / median(few.cpu)
    what = f"price: {size.rules:,} rules against {CUSTOMERS}"
    contracts = "price: rich contracts against plain ones"
    lines = size.rounds * size.deliveries
    per_second = f"price: stored delivery to line, in {AIM_PER_SECOND:,}"
    return [
        Finding(
            measured=f"{per_second} a second",
            database=place.name,
            found=f"{rate:,.0f} a second",
            ratio=rate / AIM_PER_SECOND,
            aim=1,
            better="at least",
        ),
        Finding(
            measured=f"{per_second} a CPU second",
            database=place.name,
            found=f"{cpu_rate:,.0f} a CPU second of the worker",
            ratio=cpu_rate / AIM_PER_SECOND,
        ),
        Finding(
            measured=what,
            database=place.name,
            found=f"{median(many.wall):.2f} s against {median(few.wall):.2f} s",
            ratio=median_ratio(many.wall, few.wall),
            aim=1.5,
        ),
        Finding(
            measured=f"{what}, CPU time",
            database=place.name,
            found=f"{median(many.cpu):.2f} s against {median(few.cpu):.2f} s",
            ratio=median_ratio(many.cpu, few.cpu),
        ),
        Finding(
            measured=contracts,
            database=place.name,
            found=f"{median(rich.wall):.2f} s against {median(few.wall):.2f} s",
            ratio=median_ratio(rich.wall, few.wall),
        ),
        Finding(
            measured=f"{contracts}, CPU time",
            database=place.name,
            found=f"{median(rich.cpu):.2f} s against {median(few.cpu):.2f} s",
            ratio=median_ratio(rich.cpu, few.cpu),
        ),
        Finding(
            measured=f"{contracts}, {lines:,} lines assembled",
            database=place.name,
            found=f"{median(rich.drafts):.2f} s against {median(few.drafts):.2f} s",
            ratio=median_ratio(rich.drafts, few.drafts),
        ),
    ]


def _check(firm: Firm, priced: int) -> None:
    """Raise RuntimeError unless every delivery has become a line."""
    with firm.line.database.read() as connection:
        lines = connection.scalar(select(func.count()).select_from(line_item))
    if lines != priced:
        raise RuntimeError(f"{priced} deliveries should be priced, but there are {lines} lines")
