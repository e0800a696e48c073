"""What a check of the ledger finds, and how rows are read for it. Used by each invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, case, literal

AT_ONCE = 1000
"""Rows that are read at once, so that memory stays flat however long the table is."""
NO_LIMIT = 2**62
"""Greater than any id."""


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


@dataclass(frozen=True, slots=True)
class Invariant:
    """One promise of the ledger."""

    name: str
    sentence: str
    """What it promises."""
    remedy: str
    """What whoever runs Billhook does if it is broken."""

    def broken(
        self,
        entity: str,
        detail: str,
        amount_at_risk: int | None = None,
        currency: str | None = None,
    ) -> Violation:
        """Return that a row breaks it; the amount at risk has no sign."""
        at_risk = None if amount_at_risk is None else abs(int(amount_at_risk))
        return Violation(self.name, entity, detail, at_risk, currency)


Check = Callable[[Connection, datetime], Iterator[Violation]]
"""Yields the rows that break an invariant, or one of several that are looked at together."""


def named(table: Table) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that name a row where those of several tables come together."""
    return literal(table.name).label("table"), table.c.id


def row_by_row(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition that is asked of each row that the others find, and finds none itself.

    An index of states would lead through nearly all rows, and SQLite prefers it to one of ids: then
    each part of a table costs as much as all of it.
    """
    return case((condition, True), else_=False)


def stream(
    connection: Connection, query: Any, parameters: dict[str, Any] | None = None
) -> Iterator[RowMapping]:
    """Yield the rows of a query, a batch at a time."""
    yield from connection.execute(
        query, parameters, execution_options={"yield_per": AT_ONCE, "stream_results": True}
    ).mappings()
