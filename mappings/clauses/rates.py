"""Rates: what an hour or a day costs, by whom and from which day on."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from ..atoms import DAY, POSITIVE, TEXT
from ..model import Person
from ..reading import Mistakes, Place
from ..shapes import Filled, ListOf, TableOf, Word
from .setting import Setting

RATE: Final = TableOf(
    {
        "role": Word(TEXT, "whose rate: everybody's in this role"),
        "person": Word(TEXT, "whose rate: this person's; it comes before the role's"),
        "from": Word(DAY, "the first day on which it holds", required=True),
        "hourly": Word(POSITIVE, "the price of an hour in the customer's currency"),
        "daily": Word(POSITIVE, "the price of a day in the customer's currency"),
    },
    label=("rate", "role"),
)
WORDS: Final[Mapping[str, Word]] = {
    "rates": Word(ListOf(RATE, needs_brackets=True, least=0), "prices of work", names_entries=True),
}
BILL_WORDS: Final[Mapping[str, Word]] = {}
UNITS: Final = {"hourly": "hour", "daily": "day"}
"""The words of a price, and what it is the price of."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What an hour or a day of a role or a person costs, until a newer rate holds."""

    role: str | None
    person: str | None
    from_on: date
    per: str
    """hour or day."""
    price: Decimal
    """Major units."""
    at: Place


@dataclass(frozen=True, slots=True)
class Rates:
    """All rates of a customer."""

    listed: tuple[Rate, ...] = ()
    _by_owner: Mapping[tuple[str, str | None, str], tuple[Sequence[date], Sequence[Rate]]] = field(
        default_factory=dict
    )

    def on(self, person: Person, on: date, per: str = "hour") -> Rate | None:
        """Return the newest rate that holds on a day: the person's own, or else the role's."""
        for owner in (("person", person.name), ("role", person.role)):
            days, rates = self._by_owner.get((*owner, per), ((), ()))
            if position := bisect_right(days, on):
                return rates[position - 1]
        return None


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Rates:
    """Return the rates of a customer's file, with every mistake noted."""
    rates: dict[tuple[str | None, str | None, date, str], Rate] = {}
    for entry in filled.get("rates", ()):
        inside = mistakes.inside("rate")
        if ("role" in entry.places) == ("person" in entry.places):
            inside.add(entry.at, "belongs to a role or to a person - write one of the two")
            continue
        if not entry.is_whole:
            continue
        role, person = entry.get("role"), entry.get("person")
        if person:
            setting.check_person(person, entry.place("person"), inside)
        prices = [(per, entry[word]) for word, per in UNITS.items() if word in entry.places]
        if not prices:
            inside.add(entry.at, 'the word "hourly" is missing - write hourly:, daily: or both')
        for per, price in prices:
            rate = Rate(role, person, entry["from"], per, price, entry.at)
            first = rates.setdefault((role, person, rate.from_on, per), rate)
            if first is not rate:
                problem = f"{role or person} has a rate from {rate.from_on} in line {first.at.line}"
                inside.add(entry.at, f"{problem} already - keep one of them")
    return Rates(tuple(rates.values()), _by_owner(rates.values()))


def _by_owner(
    rates: Iterable[Rate],
) -> Mapping[tuple[str, str | None, str], tuple[Sequence[date], Sequence[Rate]]]:
    by_owner: dict[tuple[str, str | None, str], list[Rate]] = defaultdict(list)
    for rate in sorted(rates, key=lambda rate: rate.from_on):
        owner = ("person", rate.person) if rate.person else ("role", rate.role)
        by_owner[(*owner, rate.per)].append(rate)
    return {owner: ([rate.from_on for rate in held], held) for owner, held in by_owner.items()}
