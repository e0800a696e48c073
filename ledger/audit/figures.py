"""What the audit looked at, and where all time and money of the ledger stands, in figures.

The time of the subjects and the time on the lines are counted apart, each in one pass; that both
come to the same proves the whole, also where a line's subject is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, func, literal, select, union_all

from ..tables import audit_entry, delivery, event, invoice, line_item, mapping_version, subject
from .balances import JUDGED, TIME
from .violations import Violation

NOBODY: Final = ""
"""The customer of what no customer takes."""
_COUNTED: Final = (delivery, event, subject, line_item, invoice, audit_entry, mapping_version)
_COUNTS: Final = union_all(
    *(
        select(literal(table.name).label("name"), func.count().label("rows")).select_from(table)
        for table in _COUNTED
    )
)
_ON_LINES: Final = (
    select(
        line_item.c.customer,
        line_item.c.currency,
        line_item.c.state,
        func.sum(line_item.c.seconds).label("seconds"),
        func.sum(line_item.c.amount).label("amount"),
    )
    .where(line_item.c.state != "withdrawn")
    .group_by(line_item.c.customer, line_item.c.currency, line_item.c.state)
)
_TOLD: Final = select(
    subject.c.customer,
    subject.c.state,
    func.sum(subject.c.seconds).label("seconds"),
    func.sum(subject.c.held_seconds).label("held"),
    func.sum(subject.c.excluded_seconds).label("excluded"),
).group_by(subject.c.customer, subject.c.state)
_BEFORE: Final = (
    select(func.sum(line_item.c.seconds))
    .select_from(subject)
    .join(line_item, line_item.c.subject_id == subject.c.id)
    .where(line_item.c.state != "withdrawn", subject.c.state.not_in(JUDGED))
)


@dataclass(slots=True)
class Standing:
    """Where the time of one customer, or of all, stands; in seconds."""

    billed: int = 0
    drafted: int = 0
    held: int = 0
    excluded: int = 0

    @property
    def accounted(self) -> int:
        """Return all of it."""
        return self.billed + self.drafted + self.held + self.excluded


@dataclass(slots=True)
class Figures:
    """What the ledger comes to."""

    rows: dict[str, int]
    """How many rows of each table were looked at."""
    told: int
    """Seconds that all subjects say, at present."""
    waiting: int
    """Of these, the seconds of subjects that are not judged yet, beyond what their lines say."""
    customers: dict[str, Standing] = field(default_factory=dict)
    """By customer; "" is nobody's."""
    amounts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Minor units by customer, currency and "billed" or "drafted"."""

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON: rows, seconds of all and of each customer, minor units."""
        return {
            "rows": self.rows,
            "seconds": {"told": self.told, **asdict(self.all), "waiting": self.waiting},
            "customers": [
                {
                    "customer": key or None,
                    "seconds": asdict(standing),
                    "amounts": [
                        {"currency": currency, "state": state, "minor": minor}
                        for (owner, currency, state), minor in sorted(self.amounts.items())
                        if owner == key
                    ],
                }
                for key, standing in sorted(self.customers.items())
            ],
        }

    @property
    def all(self) -> Standing:
        """Return where the time of the whole ledger stands."""
        every = self.customers.values()
        names = ("billed", "drafted", "held", "excluded")
        return Standing(*(sum(getattr(each, name) for each in every) for name in names))


def count_all(connection: Connection) -> Figures:
    """Count the whole ledger."""
    rows = {str(row.name): int(row.rows) for row in connection.execute(_COUNTS)}
    found = Figures(rows, told=0, waiting=-int(connection.scalar(_BEFORE) or 0))
    for row in connection.execute(_ON_LINES):
        standing = found.customers.setdefault(row.customer, Standing())
        place = "drafted" if row.state == "open" else "billed"
        setattr(standing, place, getattr(standing, place) + int(row.seconds))
        key = (row.customer, row.currency, place)
        found.amounts[key] = found.amounts.get(key, 0) + int(row.amount)
    for row in connection.execute(_TOLD):
        found.told += int(row.seconds)
        if row.state in JUDGED:
            standing = found.customers.setdefault(row.customer or NOBODY, Standing())
            standing.held += int(row.held)
            standing.excluded += int(row.excluded)
        else:
            found.waiting += int(row.seconds)
    return found


def unbalanced(found: Figures) -> Iterator[Violation]:
    """Yield a violation if the time of the whole ledger is not accounted for."""
    accounted = found.all.accounted + found.waiting
    if accounted != found.told:
        yield TIME.broken(
            "ledger",
            f"all subjects together say {found.told} s, and {accounted} s are billed, drafted, "
            "held, excluded or waiting",
        )
