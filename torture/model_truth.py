"""The truth, as a bookkeeper with pencil and paper would keep it. It knows nothing of the product.

It hears the same deliveries, in the same order, and says what each customer owes by then. Money is
integer minor units, and every number here is worked out by hand, not by asking the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from typing import Final

PAYERS: Final = {"ACME": "acme", "SHOP": "acme", "BETA": "beta", "GAMMA": "gamma", "DELTA": "delta"}
"""Who pays for the work of a project. FREE is acme's and costs nothing; LOST is nobody's."""
PROJECTS: Final = ("ACME", "SHOP", "BETA", "GAMMA", "FREE", "LOST", "DELTA")
PEOPLE: Final = {"ana": "senior", "ben": "junior"}
CREDITED: Final = ("delta",)
"""The customers with whom it is agreed that what lowers a final invoice is a credit note for it."""
PHASE_PRICE: Final = 450_000
STAYS: Final = ("hold", "flag", "keep")
"""The words for what stays billed though it is open again; the others: it is taken back."""
REOPENED: Final = {1: "credit", 2: "credit", 3: "hold", 4: "flag"}
"""What is agreed about each milestone that is opened again after it was billed."""
AUTUMN: Final = date(2026, 11, 1)
"""The day from which the second rate of each person holds."""
Rates = dict[str, tuple[int, int]]
RATES: Final[tuple[Rates, ...]] = (
    {"senior": (12_000, 12_600), "junior": (8_000, 8_000)},
    {"senior": (12_500, 13_100), "junior": (8_000, 9_999)},
    {"senior": (11_999, 12_600), "junior": (7_001, 8_000)},
)
"""Minor units an hour before and from `AUTUMN`, for each way that the rules are written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A time entry as its tool tells it."""

    version: int
    seconds: int
    issue: int
    person: str = "ana"
    on: date = date(2026, 10, 3)
    is_there: bool = True


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as its tool tells it; its project decides who pays."""

    version: int
    project: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A milestone as its tool tells it: acme pays for it while it is closed."""

    version: int
    is_closed: bool


Told = Entry | Issue | Phase


@dataclass(slots=True)
class Truth:
    """What has been told so far, the newest version of each thing."""

    entries: dict[int, Entry] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    phases: dict[int, Phase] = field(default_factory=dict)
    rates: int = 0
    """Which of `RATES` holds now."""
    rated: dict[int, int] = field(default_factory=dict)
    """With which of `RATES` each entry was priced last: what was billed keeps its price."""
    decided: dict[int, str] = field(default_factory=dict)
    """What a person has said of milestones that were opened again: "take back" or "keep"."""

    def hear(self, number: int, told: Told) -> None:
        """Take a delivery in: what is older than what is known changes nothing."""
        known: dict[int, Told] = {
            Entry: self.entries,
            Issue: self.issues,
            Phase: self.phases,
        }[type(told)]  # type: ignore[assignment]
        if number in known and known[number].version >= told.version:
            return
        known[number] = told
        if isinstance(told, Phase) and told.is_closed:
            # What was decided was about the time before.
            self.decided.pop(number, None)
        for entry, present in self.entries.items():
            if (isinstance(told, Entry) and entry == number) or (
                isinstance(told, Issue) and present.issue == number
            ):
                self.rated[entry] = self.rates

    def release(self, number: int) -> None:
        """An invoice with an entry on it is void: the entry is priced anew, to be billed again."""
        self.rated[number] = self.rates

    def price_again(self, rates: int, but: set[int]) -> None:
        """The rates change: everything is priced anew, but what was billed and is unchanged."""
        self.rates = rates
        self.rated |= dict.fromkeys(set(self.entries) - but, rates)

    def payer(self, number: int) -> str:
        """Return the customer of an entry, or else "gone", "held" or "nothing"."""
        entry = self.entries[number]
        if not entry.is_there:
            return "gone"
        issue = self.issues.get(entry.issue)
        if issue is None or issue.project == "LOST":
            return "held"
        return PAYERS.get(issue.project, "nothing")

    def seconds(self, number: int) -> int:
        """Return the present time of an entry."""
        return self.entries[number].seconds if self.entries[number].is_there else 0

    def amount(self, number: int) -> int:
        """Return what a paid entry costs: each begun quarter of an hour, half up to the cent."""
        entry = self.entries[number]
        rate = RATES[self.rated[number]][PEOPLE[entry.person]][entry.on >= AUTUMN]
        quarters = -(-entry.seconds // 900)
        return (2 * quarters * rate + 4) // 8

    def decide(self, number: int, decision: str) -> None:
        """A person says what becomes of a milestone that was billed and opened again."""
        self.decided[number] = decision

    def word(self, number: int) -> str:
        """Return what holds for a milestone that was billed, now that it is open."""
        return self.decided.get(number, REOPENED[number])

    def owed(self, customer: str, billed: Collection[int] = ()) -> int:
        """Return what a customer owes for all that is neither held nor gone.

        `billed` are the milestones that stand on an invoice which went out.
        """
        hours = sum(self.amount(each) for each in self.entries if self.payer(each) == customer)
        phases = sum(
            PHASE_PRICE
            for number, each in self.phases.items()
            if each.is_closed or (number in billed and self.word(number) in STAYS)
        )
        return hours + (phases if customer == "acme" else 0)
