"""What is true in a torture run: the harness's own memory and arithmetic, never the product's.

`Truth` holds every time entry, issue and milestone as it stands in the project tool. What each
comes to follows from the numbers of `firm.py`. The judge compares the ledger and the billing
system with it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from .firm import ACCOUNTS, INTERNAL, PAYER, ROLES, Agreement

_NAMES: Final = {account: name for name, account in ACCOUNTS.items()}


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue in the project tool; it may move to another project."""

    number: int
    project: str
    place: int
    """Its number within the project."""
    title: str

    @property
    def key(self) -> str:
        """Return its key: ACME-7."""
        return f"{self.project}-{self.place}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A time entry as it now stands."""

    number: int
    issue: int
    """The number of its issue; 0 where a script tells the project itself."""
    account: str
    started: str
    """With the offset that the author means."""
    seconds: int
    is_gone: bool = False
    endpoint: str = "jira"
    project: str = ""

    @property
    def subject(self) -> str:
        """Return its name in the ledger."""
        return f"worklog:{self.number}" if self.endpoint == "jira" else f"entry:{self.number}"

    @property
    def on(self) -> date:
        """Return the day that the author means."""
        return datetime.fromisoformat(self.started).date()


@dataclass(frozen=True, slots=True)
class Milestone:
    """A version of a project: finished, or opened again."""

    number: int
    project: str
    on: date
    is_done: bool = True

    @property
    def subject(self) -> str:
        """Return its name in the ledger."""
        return f"version:{self.number}"


@dataclass(frozen=True, slots=True)
class Due:
    """What must have become of one thing."""

    state: str
    """priced, nothing, held or gone."""
    seconds: int
    """Its present value, wherever it is accounted for."""
    customer: str | None = None
    amount: int = 0
    """Minor units of the customer's currency."""


@dataclass
class Truth:
    """Everything that stands in the project tool. Any thread may use it, holding `lock`."""

    issues: dict[int, Issue] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    """By endpoint and subject, `jira worklog:7`."""
    milestones: dict[str, Milestone] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def project_of(self, entry: Entry) -> str:
        """Return the project that an entry now belongs to."""
        return entry.project or self.issues[entry.issue].project

    def due(self, entry: Entry) -> Due:
        """Return what must become of an entry."""
        if entry.is_gone:
            return Due("gone", 0)
        project = self.project_of(entry)
        if project == INTERNAL:
            return Due("nothing", entry.seconds)
        name = _NAMES.get(entry.account)
        payer = PAYER.get(project)
        if payer is None or name is None:
            return Due("held", entry.seconds)
        amount = payer.amount(ROLES[name], entry.seconds, entry.on)
        return Due("priced", entry.seconds, payer.key, payer.minor(amount))

    def all_due(self) -> Iterator[tuple[str, str, Due]]:
        """Yield endpoint, subject and what must become of it, of everything."""
        for entry in self.entries.values():
            yield entry.endpoint, entry.subject, self.due(entry)
        for each in self.milestones.values():
            payer = PAYER[each.project]
            due = Due("gone", 0)
            if each.is_done:
                due = Due("priced", 0, payer.key, payer.minor(payer.phase))
            yield "jira", each.subject, due

    def totals(self) -> dict[str, int]:
        """Return what each customer owes for everything, in minor units."""
        sums: dict[str, int] = defaultdict(int)
        for _, _, due in self.all_due():
            if due.customer:
                sums[due.customer] += due.amount
        return dict(sums)

    def seconds(self) -> int:
        """Return all time that is logged."""
        return sum(due.seconds for _, _, due in self.all_due())


def in_words(agreement: Agreement, minor: int) -> str:
    """Return an amount for people.

    >>> from torture.chaos.firm import GULF
    >>> in_words(GULF, 1500)
    '1.500 KWD'
    """
    return f"{Decimal(minor) * agreement.smallest} {agreement.currency}"
