"""Two of the four ports through which every effect goes: the clock and the doorbell.

The other two are the database commit (`ledger.database`) and outgoing HTTP
(`connectors.http`). A test can stop the process before or after each of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment: aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment: aware, UTC."""
        return datetime.now(UTC)


class Doorbell(Protocol):
    """Says that a stage has work. Losing a ring costs latency and nothing else."""

    def ring(self, stage: str) -> None:
        """Wake a worker for a stage. Never raise: the rows in the database are the truth."""
        ...


class NoDoorbell:
    """The embedded default: workers look at the database themselves several times a second."""

    def ring(self, stage: str) -> None:
        """Do nothing."""
