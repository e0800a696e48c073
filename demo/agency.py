"""The agency as plain data: who works, on what, and what each customer agreed to pay.

The same agreements stand in `rules/`, as an admin writes them. They are written twice on
purpose: the demo computes every total from these numbers with plain arithmetic and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works at the agency."""

    name: str
    role: str
    account: str
    """The id in the agency's own Jira; the museum's Jira and the scripts know the name."""


ANA: Final = Person("Ana", "senior", "5a-ana")
BEN: Final = Person("Ben", "junior", "5a-ben")
CHIARA: Final = Person("Chiara", "designer", "5a-chiara")
DENIZ: Final = Person("Deniz", "senior", "5a-deniz")
EMIL: Final = Person("Emil", "junior", "5a-emil")
FAY: Final = Person("Fay", "lead", "5a-fay")
ZOE: Final = Person("Zoe", "senior", "5a-zoe")
"""A freelancer whom nobody has entered in workspace.yaml: what she logs is held."""

PEOPLE: Final = (ANA, BEN, CHIARA, DENIZ, EMIL, FAY)


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue in Jira. Its number is its id there."""

    number: int
    key: str
    title: str
    endpoint: str = "jira"

    @property
    def project(self) -> str:
        """Return the key of its project."""
        return self.key.partition("-")[0]


PROJECTS: Final = {"HAL": 10100, "HALINT": 10101, "OPS": 10103, "MUS": 20100}
"""Each project's id in its Jira."""

SHOP: Final = (
    Issue(11001, "HAL-1", "Checkout accepts vouchers"),
    Issue(11002, "HAL-2", "Size guide for boots"),
    Issue(11003, "HAL-3", "Faster search"),
    Issue(11004, "HAL-4", "Returns without a printer"),
    Issue(11005, "HAL-5", "Product photos in two sizes"),
    Issue(11006, "HAL-6", "Stock levels of the Bergen store"),
)
UNTOLD: Final = Issue(11007, "HAL-7", "Gift cards by e-mail")
"""No webhook ever tells what this issue is: Jira's API is asked."""
INTERNAL: Final = (
    Issue(11101, "HALINT-1", "Weekly planning"),
    Issue(11102, "HALINT-2", "Handover of the old shop"),
)
STRAY: Final = Issue(11301, "OPS-1", "New laptops")
"""In a project that no customer's rules take: time on it is held."""
GUIDE: Final = (
    Issue(21001, "MUS-1", "Audio guide in four languages", "jira-museum"),
    Issue(21002, "MUS-2", "Map of the sculpture garden", "jira-museum"),
    Issue(21003, "MUS-3", "Tickets in the app", "jira-museum"),
)
LATE: Final = Issue(21004, "MUS-4", "Tour for children", "jira-museum")
"""Time is logged on it two days before its Jira tells what it is."""
ISSUES: Final = (*SHOP, *INTERNAL, STRAY, *GUIDE, LATE)
"""The issues that a webhook tells about."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a customer agreed to pay for hours."""

    currency: str
    smallest: Decimal
    """The currency's smallest amount."""
    hourly: Mapping[str, Decimal]
    """By role; a person's own rate by name."""
    step: int = 1
    """Seconds to which the time of each entry is rounded."""
    rounds_up: bool = False
    raised_from_day: int = 32
    """From this day of the month on, `raised` holds."""
    raised: Mapping[str, Decimal] | None = None

    def amount(self, person: Person, seconds: int, on: date) -> Decimal:
        """Return what an entry costs: rounded time x rate, rounded half up once."""
        steps = (seconds + self.step - 1) // self.step
        if not self.rounds_up:
            steps = (2 * seconds + self.step) // (2 * self.step)
        hours = (Decimal(steps * self.step) / 3600).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        return (hours * self._rate(person, on)).quantize(self.smallest, ROUND_HALF_UP)

    def _rate(self, person: Person, on: date) -> Decimal:
        raised = self.raised if self.raised and on.day >= self.raised_from_day else {}
        for table in (raised, self.hourly):
            for name in (person.name, person.role):
                if name in table:
                    return table[name]
        raise KeyError(f"{person.name} has no rate")


AGREEMENTS: Final = {
    "HAL": Agreement(
        currency="EUR",
        smallest=Decimal("0.01"),
        hourly={
            "lead": Decimal(135),
            "senior": Decimal(120),
            "designer": Decimal(98),
            "junior": Decimal(80),
        },
        step=15 * 60,
        rounds_up=True,
        raised_from_day=16,
        raised={"senior": Decimal("126.50")},
    ),
    "MUS": Agreement(
        currency="CHF",
        smallest=Decimal("0.01"),
        hourly={
            "lead": Decimal(160),
            "Ana": Decimal(155),
            "designer": Decimal(125),
            "junior": Decimal("99.90"),
        },
        step=6 * 60,
    ),
    "SAK": Agreement(
        currency="JPY",
        smallest=Decimal(1),
        hourly={"lead": Decimal(21000), "senior": Decimal(18500), "designer": Decimal(15800)},
    ),
}
"""By project."""
RAISED_FOR_GOOD: Final = Decimal("126.50")
"""What a senior hour on the shop costs after the month that is played."""

CUSTOMERS: Final = {"HAL": "halden", "MUS": "brightwater", "SAK": "sakura"}
PHASE: Final = ("Phase 2: Seat reservations", Decimal(480000))
HOSTING: Final = Decimal("49.00")
FIXED_BUG: Final = Decimal("180.00")
BUGS: Final = {7: "The map is upside down", 8: "No sound on old phones"}
"""By number: issues on GitHub that are bugs, and are fixed."""
