"""How much is measured: in full, quickly, or just enough to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The amounts of one run."""

    rounds: int
    """How often what is compared runs in turn; medians are taken over these."""
    accept_seconds: float
    """How long one round of load lasts."""
    connections: int
    """How many requests are under way at the same time."""
    steady_rate: int
    """Requests per second of the load that does not wait for answers."""
    deliveries: int
    """How many stored deliveries one round prices."""
    rules: int
    lines: int
    """How many lines the long draft has."""
    few_stored: int
    many_stored: int
    """How many events the small and the large ledger hold."""
    added: int
    """How many deliveries one round adds to a ledger of either size."""
    pages: int
    planned: int
    """How many events a plan prices again; then ten times as many."""
    wakes: int
    audited: int
    """How many entries the larger ledger that is audited holds."""


FULL: Final = Size(
    rounds=5,
    accept_seconds=4,
    connections=32,
    steady_rate=300,
    deliveries=4000,
    rules=10_000,
    lines=250,
    few_stored=10_000,
    many_stored=1_000_000,
    added=1000,
    pages=200,
    planned=100_000,
    wakes=50,
    audited=100_000,
)
QUICK: Final = Size(
    rounds=3,
    accept_seconds=2,
    connections=32,
    steady_rate=300,
    deliveries=2000,
    rules=10_000,
    lines=250,
    few_stored=10_000,
    many_stored=100_000,
    added=500,
    pages=100,
    planned=10_000,
    wakes=20,
    audited=30_000,
)
TINY: Final = Size(
    rounds=1,
    accept_seconds=0.2,
    connections=4,
    steady_rate=50,
    deliveries=40,
    rules=200,
    lines=5,
    few_stored=40,
    many_stored=80,
    added=10,
    pages=2,
    planned=20,
    wakes=2,
    audited=80,
)
