"""Rates: what an hour or a day costs, for whom and for what, from which day on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Final

from ..atoms import CURRENCY, DAY, PATTERNS, POSITIVE
from ..holding import Hold, unknown_person
from ..matching import Index, Seen, TextTest
from ..model import TextCondition
from ..reading import Mistakes, Place
from ..shapes import Filled, ListOf, TableOf, Word
from .setting import Setting

RATE: Final = TableOf(
    {
        "person": Word(PATTERNS, "only the work of this person"),
        "labels": Word(PATTERNS, "only work with one of these labels"),
        "activity": Word(PATTERNS, "only this kind of work"),
        "project": Word(PATTERNS, "only work in this project"),
        "role": Word(PATTERNS, "only the work of people in this role"),
        "from": Word(DAY, "the first day on which it holds", required=True),
        "hourly": Word(POSITIVE, "the price of an hour"),
        "daily": Word(POSITIVE, "the price of a day"),
        "currency": Word(CURRENCY, "its currency, if not the customer's"),
    },
    label=("rate", "role"),
)
WORDS: Final[Mapping[str, Word]] = {
    "rates": Word(ListOf(RATE, needs_brackets=True, least=0), "prices of work", names_entries=True),
}

CRITERIA: Final = ("person", "labels", "activity", "project", "role")
"""What a rate may go by, the most specific first."""
UNITS: Final = {"hourly": "hour", "daily": "day"}
"""The words of a price, and what it is the price of."""
_BY_NAME, _BY_PATTERN = 2, 1

Rank = tuple[int, ...]
"""How specific a rate is for an event, criterion by criterion: by name, by a pattern, or not."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a unit of work costs from a day on, until a newer rate holds."""

    criteria: tuple[TextCondition, ...]
    """What it goes by, in the order of `CRITERIA`; without any, it is everybody's."""
    from_on: date
    per: str
    """What it is the price of: "hour" or "day"."""
    price: Decimal
    """Major units of the currency."""
    currency: str
    at: Place

    @property
    def words(self) -> str:
        """Return whose it is: `role senior, project ACME`."""
        said = (f"{each.key} {' or '.join(each.patterns)}" for each in self.criteria)
        return ", ".join(said) or "everybody"

    @property
    def labels(self) -> frozenset[str]:
        """Return the labels that it goes by: several may stand on one entry."""
        found = (_folded(each) for each in self.criteria if each.key == "labels")
        return next(found, frozenset())


class _Listed:
    """Rates of one unit and currency, ready to be asked."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._rates = rates
        self._tests = [
            [(CRITERIA.index(each.key), TextTest(each)) for each in rate.criteria] for rate in rates
        ]
        self._index = Index([[test for _, test in tests] for tests in self._tests])

    def holding(self, seen: Seen) -> Iterator[tuple[Rank, bool, Rate]]:
        """Yield the rates that hold: how specific each is, and whether that is known for sure."""
        for position in self._index.candidates(seen):
            rate = self._rates[position]
            if rate.from_on <= seen.event.on:
                rank = [0] * len(CRITERIA)
                is_sure = True
                for criterion, test in self._tests[position]:
                    fits = test(seen)
                    if fits is False:
                        break
                    is_sure = is_sure and fits is not None
                    rank[criterion] = _BY_NAME if _is_by_name(test, seen) else _BY_PATTERN
                else:
                    yield tuple(rank), is_sure, rate


def _is_by_name(test: TextTest, seen: Seen) -> bool:
    values = seen.values(test.key)
    return values is None or not test.exact.isdisjoint(values)


@dataclass(frozen=True, slots=True)
class Rates:
    """All rates of a customer."""

    listed: tuple[Rate, ...] = ()
    _by_unit: Mapping[tuple[str, str], _Listed] = field(
        default_factory=dict, compare=False, repr=False
    )

    def has(self, per: str, currency: str) -> bool:
        """Return whether any rate is the price of such a unit in a currency."""
        return (per, currency) in self._by_unit

    def of(self, seen: Seen, per: str, currency: str) -> Rate | None:
        """Return the rate of an event: the most specific, and of equally specific ones the newest.

        None if none holds on the day of the work. Raise Hold if who worked decides and is not
        known, or if two that fit equally well have different prices.
        """
        listed = self._by_unit.get((per, currency))
        found = list(listed.holding(seen)) if listed else []
        if not found:
            return None
        best = max(rank for rank, _, _ in found)
        if not all(is_sure for rank, is_sure, _ in found if rank == best):
            raise Hold(unknown_person(seen.event))
        return _newest([rate for rank, _, rate in found if rank == best], seen)


def _newest(rates: Sequence[Rate], seen: Seen) -> Rate:
    """Return the newest of equally specific rates; raise Hold if it is one of several prices.

    A newer rate replaces an older one unless they go by different labels: then both are meant.
    What a customer's own file says comes before what it takes over from other files.
    """
    if len(rates) == 1:
        return rates[0]
    own = [rate for rate in rates if rate.at.file == rates[0].at.file]
    newest: dict[frozenset[str], date] = {}
    for rate in own:
        newest[rate.labels] = max(rate.from_on, newest.get(rate.labels, rate.from_on))
    first, *others = [rate for rate in own if rate.from_on == newest[rate.labels]]
    for other in others:
        if other.price != first.price:
            both = f"the rates for {first.words} ({first.at}) and for {other.words} ({other.at})"
            advice = "add one that names more of what they have in common, or change one of them"
            raise Hold(f"{both} fit equally well on {seen.event.on} - {advice}")
    return first


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Rates:
    """Return the rates of a customer's file, with every mistake noted."""
    inside = mistakes.inside("rate")
    rates = [
        rate for entry in filled.get("rates", ()) for rate in _rates_of(entry, setting, inside)
    ]
    _check_collisions(rates, inside)
    by_unit: dict[tuple[str, str], list[Rate]] = {}
    for rate in rates:
        by_unit.setdefault((rate.per, rate.currency), []).append(rate)
    return Rates(tuple(rates), {unit: _Listed(listed) for unit, listed in by_unit.items()})


def _rates_of(entry: Filled, setting: Setting, mistakes: Mistakes) -> Iterable[Rate]:
    if not entry.is_whole:
        return
    for name in entry.get("person", ()):
        if "*" not in name:
            setting.check_person(name, entry.place("person"), mistakes)
    criteria = tuple(TextCondition(key, entry[key]) for key in CRITERIA if key in entry.places)
    currency = entry.get("currency") or setting.currency or ""
    if not any(word in entry.places for word in UNITS):
        mistakes.add(entry.at, 'the word "hourly" is missing - write hourly:, daily: or both')
    for word, unit in UNITS.items():
        if word in entry.places:
            yield Rate(criteria, entry["from"], unit, entry[word], currency, entry.at)


def _check_collisions(rates: Sequence[Rate], mistakes: Mistakes) -> None:
    """Note where two rates surely fit the same work from the same day on."""
    alike: dict[tuple[object, ...], list[Rate]] = {}
    for rate in rates:
        keys = tuple(each.key for each in rate.criteria)
        same = (rate.at.file, rate.per, rate.currency, rate.from_on, keys)
        alike.setdefault(same, []).append(rate)
    for group in alike.values():
        named = [[_folded(each) for each in rate.criteria] for rate in group]
        for earlier, later in combinations(range(len(group)), 2):
            first, second = group[earlier], group[later]
            line = f"from {second.from_on} in {first.at.seen_from(second.at)} already"
            if named[earlier] == named[later]:
                owner = second.words.removeprefix("role ").removeprefix("person ")
                mistakes.add(second.at, f"{owner} has a rate {line} - keep one of them")
            elif first.price != second.price and all(
                not one.isdisjoint(other)
                for one, other in zip(named[earlier], named[later], strict=True)
            ):
                problem = f"some of the work for {second.words} has another rate {line}"
                mistakes.add(second.at, f"{problem} - name nothing in both of them")


def _folded(condition: TextCondition) -> frozenset[str]:
    return frozenset(pattern.casefold() for pattern in condition.patterns)
