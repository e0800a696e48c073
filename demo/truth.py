"""What must come of the month, worked out with plain arithmetic over what was played.

Nothing of `mappings/` or `ledger/` is used here: the numbers are those of `agency.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from . import agency
from .agency import AGREEMENTS, CUSTOMERS, Issue, Person


@dataclass(frozen=True, slots=True)
class Entry:
    """A time entry as it stands in the end."""

    number: int
    issue: Issue
    person: Person
    started: datetime
    seconds: int
    is_gone: bool = False

    @property
    def on(self) -> date:
        """Return the day of the work, where the work was done."""
        return self.started.date()

    @property
    def is_billed(self) -> bool:
        """Return whether a customer pays for it."""
        return self.state == "priced"

    @property
    def state(self) -> str:
        """Return what becomes of it: priced, nothing, held or gone."""
        if self.is_gone:
            return "gone"
        if self.issue.project == "HALINT":
            return "nothing"
        is_known = self.person in agency.PEOPLE and self.issue.project in AGREEMENTS
        return "priced" if is_known else "held"

    @property
    def amount(self) -> Decimal:
        """Return what it costs."""
        return AGREEMENTS[self.issue.project].amount(self.person, self.seconds, self.on)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the ledger must say once the line is at rest."""

    totals: Mapping[str, tuple[str, Decimal]]
    """Currency and total of each invoice, by our reference."""
    correction: tuple[str, str, Decimal]
    """Reference, currency and total of the draft that takes up the late edit."""
    entries: Mapping[str, int]
    """How many entries each Jira invoice bills, by reference."""
    answers: Mapping[str, int]
    """How often each answer was given: accepted, repeated, refused, pong."""
    deliveries: Mapping[str, int]
    """How many stored deliveries are normalized, ignored, unreadable."""
    subjects: Mapping[str, int]
    """How many subjects are priced, nothing, held, gone."""
    edited: str
    """The subject that is edited after it was billed."""
    edited_item: str


FINISHED_ISSUES: Final = 4
"""Completed work that is billed by its hours: three issues in Jira, one on GitHub."""


def truth_of(
    first: date,
    today: date,
    *,
    entries: Sequence[Entry],
    timesheet: Sequence[Entry],
    edited: tuple[Entry, Entry],
    late_work: Entry,
    answers: Mapping[str, int],
    outcomes: Mapping[str, int],
) -> Truth:
    """Return what must come of these entries."""
    month = f"{first:%Y-%m}"
    billed = [entry for entry in (*entries, *timesheet) if entry.is_billed]
    totals = {
        f"{customer}-{month}": (
            AGREEMENTS[project].currency,
            sum((e.amount for e in billed if e.issue.project == project), Decimal(0)),
        )
        for project, customer in CUSTOMERS.items()
    }
    currency, hours = totals[f"brightwater-{month}"]
    extras = agency.HOSTING + len(agency.BUGS) * agency.FIXED_BUG
    totals[f"brightwater-{month}"] = (currency, hours + extras)
    totals[f"sakura-{month}-27"] = ("JPY", agency.PHASE[1])
    before, after = edited
    new_work = Decimal(late_work.seconds) / 3600 * agency.RAISED_FOR_GOOD
    states = Counter(entry.state for entry in entries)
    states["priced"] += len(timesheet) + 1 + len(agency.BUGS) + 1  # hosting, bugs, the phase
    states["nothing"] += FINISHED_ISSUES
    return Truth(
        totals=totals,
        correction=(f"halden-{today:%Y-%m}", "EUR", new_work - before.amount + after.amount),
        entries={
            f"{customer}-{month}": sum(e.issue.project == project for e in billed)
            for project, customer in CUSTOMERS.items()
        },
        answers=answers,
        deliveries=outcomes,
        subjects=states,
        edited=f"worklog:{before.number}",
        edited_item=before.issue.key,
    )
