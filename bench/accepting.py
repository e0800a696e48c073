"""Accept: durable 202s a second and their latency, against a view that keeps nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median
from typing import Final

from sqlalchemy import func, select

from ledger.tables import delivery

from .firm import Firm
from .places import Place
from .results import Finding, median_ratio, percentile
from .servers import BARE, BILLHOOK, ROOT, web
from .sizes import Size

MOST_A_SECOND: Final = 6000
"""More requests than this server answers; they are all written before the clock starts."""
STEADY_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Answers:
    """What one round of load came to."""

    latencies: list[float]
    """Seconds."""
    seconds: float

    @property
    def rate(self) -> float:
        """Return the 202s per second."""
        return len(self.latencies) / self.seconds


def accept(place: Place, size: Size) -> list[Finding]:
    """Measure both servers in turn, flat out and at a steady rate."""
    with (
        place.firm() as firm,
        web(BILLHOOK, firm.environ, firm.folder / "web.log") as ours,
        web(BARE, {}, firm.folder / "bare.log") as bare,
    ):
        posting = _Posting(size)
        posting.flat_out(bare)
        accepted = len(posting.flat_out(ours).latencies)
        fast: dict[int, list[Answers]] = {ours: [], bare: []}
        steady: dict[int, list[Answers]] = {ours: [], bare: []}
        for _ in range(size.rounds):
            for port in (bare, ours):
                fast[port].append(posting.flat_out(port))
            for port in (bare, ours):
                steady[port].append(posting.steadily(port))
        accepted += sum(len(each.latencies) for each in fast[ours] + steady[ours])
        _check(firm, accepted)
    return [_throughput(place, fast[ours], fast[bare]), *_latency(place, steady, ours, bare, size)]


class _Posting:
    """Load on a server; every delivery is a new one."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._next = 1

    def flat_out(self, port: int) -> Answers:
        seconds = self._size.accept_seconds
        count = int(seconds * MOST_A_SECOND)
        return self._post(port, self._size.connections, count, "--seconds", str(seconds))

    def steadily(self, port: int) -> Answers:
        rate = self._size.steady_rate
        count = int(rate * self._size.accept_seconds)
        return self._post(port, STEADY_CONNECTIONS, count, "--rate", str(rate))

    def _post(self, port: int, connections: int, count: int, *how: str) -> Answers:
        numbers = [f"--port={port}", f"--connections={connections}", f"--first={self._next}"]
        self._next += count
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", *numbers, f"--count={count}", *how],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return Answers(**json.loads(done.stdout))


def _check(firm: Firm, accepted: int) -> None:
    """Raise RuntimeError unless every 202 stands for a row."""
    with firm.line.database.read() as connection:
        stored = connection.scalar(select(func.count()).select_from(delivery))
    if stored != accepted:
        raise RuntimeError(f"{accepted} deliveries were accepted, but {stored} are stored")


def _throughput(place: Place, ours: list[Answers], bare: list[Answers]) -> Finding:
    our_rates, bare_rates = [each.rate for each in ours], [each.rate for each in bare]
    return Finding(
        measured="accept: durable 202s against a bare view",
        database=place.name,
        found=f"{median(our_rates):,.0f}/s against {median(bare_rates):,.0f}/s",
        ratio=median_ratio(our_rates, bare_rates),
        aim=0.5,
        better="at least",
    )


def _latency(
    place: Place, steady: dict[int, list[Answers]], ours: int, bare: int, size: Size
) -> list[Finding]:
    """Return the 99th percentile as it is and against the bare view's.

    The median of the rounds, because one round in which somebody else had the machine says
    nothing about this program.
    """
    rounds = {port: [percentile(each.latencies, 0.99) for each in steady[port]] for port in steady}
    mine, theirs = median(rounds[ours]) * 1000, median(rounds[bare]) * 1000
    half = median(percentile(each.latencies, 0.5) for each in steady[ours]) * 1000
    what = f"accept: p99 at {size.steady_rate}/s"
    return [
        Finding(
            measured=f"{what}, in 50 ms",
            database=place.name,
            found=f"{mine:.1f} ms (half of them in {half:.1f} ms)",
            ratio=mine / 50,
            aim=1,
        ),
        Finding(
            measured=f"{what}, against a bare view",
            database=place.name,
            found=f"{mine:.1f} ms against {theirs:.1f} ms",
            ratio=mine / theirs,
        ),
    ]
