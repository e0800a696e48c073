"""What a check of the ledger finds, and how rows are read for it. Used by each invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

AT_ONCE = 1000
"""Rows that are read at once, so that memory stays flat however long the table is."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One row that breaks one invariant."""

    invariant: str
    """The name of the invariant: `time`."""
    entity: str
    """The row at fault: `line_item:12`, `invoice:acme-2026-10`."""
    detail: str
    """What is wrong, for a person."""
    amount_at_risk: int | None = None
    """Minor units of `currency`; None where no amount can be named."""
    currency: str | None = None


Find = Callable[[Connection, datetime], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise of the ledger and the function that yields the rows that break it."""

    name: str
    sentence: str
    find: Find


def stream(connection: Connection, query: Any) -> Iterator[RowMapping]:
    """Yield the rows of a query, a batch at a time."""
    yield from connection.execute(
        query, execution_options={"yield_per": AT_ONCE, "stream_results": True}
    ).mappings()
