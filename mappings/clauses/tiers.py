"""Prices that depend on how much it was in a period: graduated, by volume, or by the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from ledger.corrections import LineItem
from ledger.money import printed, to_minor

from ..atoms import NUMBER, POSITIVE, TEXT
from ..reading import Mistakes, Place
from ..shapes import Filled, ListOf, TableOf, Word
from .pools import how_many, standing, sum_line

TIER: Final = TableOf(
    {
        "up_to": Word(POSITIVE, "the last unit of this tier; the last tier has no end"),
        "price": Word(NUMBER, "the price of a unit in this tier", required=True),
        "flat": Word(POSITIVE, "a fee of its own for reaching this tier"),
        "text": Word(TEXT, "what the line says of this tier, instead of its numbers"),
    }
)
PACKAGE: Final = TableOf(
    {
        "size": Word(POSITIVE, "the units in a package", required=True),
        "price": Word(NUMBER, "the price of each package begun", required=True),
        "text": Word(TEXT, "what the line says of it, instead of the size"),
    }
)
TIERS: Final = TableOf(
    {
        "graduated": Word(
            ListOf(TIER, needs_brackets=True), "each unit at the price of the tier it falls into"
        ),
        "volume": Word(
            ListOf(TIER, needs_brackets=True), "all units at the price of the tier reached"
        ),
        "package": Word(PACKAGE, "a price for each package begun"),
    }
)


@dataclass(frozen=True, slots=True)
class Tier:
    """A stretch of units and its price."""

    above: Decimal
    up_to: Decimal | None
    """Included; None: without end."""
    price: Decimal
    flat: Decimal | None = None
    text: str = ""

    @property
    def words(self) -> str:
        """Return where it begins and ends, as lines say it."""
        if self.up_to is None:
            return f"over {self.above:f}" if self.above else "all"
        return f"{self.above:f} to {self.up_to:f}" if self.above else f"up to {self.up_to:f}"

    def part_of(self, quantity: Decimal) -> Decimal:
        """Return how much of a quantity falls into it."""
        end = quantity if self.up_to is None else min(quantity, self.up_to)
        return max(end - self.above, Decimal(0))


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers of a price; those of one billing period, project and line are counted together."""

    kind: str
    """graduated or volume."""
    tiers: tuple[Tier, ...]

    per = ()

    @property
    def words(self) -> str:
        """How they are counted."""
        said = (
            f"{tier.words}: {tier.price:f}" + (f" and {tier.flat:f} flat" if tier.flat else "")
            for tier in self.tiers
        )
        return f"{self.kind}, {', '.join(said)}"

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what the entries of a pool come to; see `ledger.sums.SumUp`."""
        entries = standing(counted)
        if not entries:
            return ()
        quantity = sum((each.quantity for each in entries), Decimal(0))
        of_all = f"{how_many(entries)}: {printed(quantity)} in all"
        reached = enumerate(self._reached(quantity), 1)
        return [line for number, each in reached for line in _tier(entries, number, *each, of_all)]

    def _reached(self, quantity: Decimal) -> Iterator[tuple[Tier, Decimal]]:
        if self.kind == "volume":
            ends = (tier for tier in self.tiers if tier.up_to is None or quantity <= tier.up_to)
            yield next(ends), quantity
            return
        for tier in self.tiers:
            # Of nothing, the first tier says that it was nothing.
            if (part := tier.part_of(quantity)) or not (quantity or tier.above):
                yield tier, part


def _tier(
    entries: Sequence[LineItem], number: int, tier: Tier, quantity: Decimal, of_all: str
) -> Iterator[LineItem]:
    words = tier.text or tier.words
    line = sum_line(entries, quantity, tier.price, of_all, f"of it {tier.words}")
    yield _named(line, words, number=number)
    if tier.flat and quantity:
        flat = sum_line(entries, Decimal("1.00"), tier.flat, of_all, f"flat fee, {tier.words}")
        yield _named(flat, words, "flat fee", number=number)


@dataclass(frozen=True, slots=True)
class Packages:
    """A price for each package begun; one billing period, project and line share packages."""

    size: Decimal
    price: Decimal
    text: str = ""

    per = ()

    @property
    def words(self) -> str:
        """How they are counted."""
        return f"packages of {self.size:f}: {self.price:f}"

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what the entries of a pool come to; see `ledger.sums.SumUp`."""
        entries = standing(counted)
        if not entries:
            return ()
        quantity = sum((each.quantity for each in entries), Decimal(0))
        full, rest = divmod(quantity, self.size)
        begun = full + bool(rest)
        of_all = f"{how_many(entries)}: {printed(quantity)} in all"
        steps = of_all, f"packages of {self.size:f}, {begun:f} begun"
        line = sum_line(entries, begun, self.price, *steps)
        return (_named(line, self.text or f"packages of {self.size:f}"),)


def _named(line: LineItem, *words: str, number: int = 1) -> LineItem:
    # The period is in the grouping, or late usage would be printed as that of the new period; so
    # is the number of the tier, by which the lines are in order.
    return replace(
        line,
        description=", ".join((line.description, *words)),
        grouping=(*line.grouping, line.period_from.isoformat(), f"{number:05}", *words),
    )


def tiers_of(found: Filled, currency: str | None, mistakes: Mistakes) -> Tiers | Packages | None:
    """Return what a table under `unit_price:` says, None if it says it wrong."""
    if len(found.places) != 1:
        kinds = "graduated:, volume: or package:"
        mistakes.add(found.at, f"a price by quantity is one of {kinds} - write just one of them")
        return None
    (kind,) = found.places
    if not found.is_whole:
        return None
    inside = mistakes.inside(kind)
    if kind == "package":
        package: Filled = found[kind]
        _check_payable(package["price"], package.place("price"), currency, inside)
        return Packages(package["size"], package["price"], package.get("text", ""))
    return _tiers(kind, found[kind], currency, inside)


def _tiers(
    kind: str, found: Sequence[Filled], currency: str | None, mistakes: Mistakes
) -> Tiers | None:
    before = len(mistakes.found)
    for tier in found[:-1]:
        if "up_to" not in tier.places:
            mistakes.add(tier.at, "only the last tier has no end - write its up_to:")
    if "up_to" in found[-1].places:
        problem = "nothing is said about what is over the last tier"
        mistakes.add(found[-1].place("up_to"), f"{problem} - add a tier without up_to:")
    if len(mistakes.found) > before:
        return None
    for lower, upper in pairwise(found[:-1]):
        if lower["up_to"] >= upper["up_to"]:
            problem = f"{upper['up_to']} is not above the tier before, which ends at"
            advice = "begin with the smallest"
            mistakes.add(upper.place("up_to"), f"{problem} {lower['up_to']} - {advice}")
    tiers: list[Tier] = []
    above = Decimal(0)
    for tier in found:
        if "flat" in tier.places:
            _check_payable(tier["flat"], tier.place("flat"), currency, mistakes)
        up_to: Any = tier.get("up_to")
        tiers.append(Tier(above, up_to, tier["price"], tier.get("flat"), tier.get("text", "")))
        above = up_to or above
    return Tiers(kind, tuple(tiers)) if len(mistakes.found) == before else None


def _check_payable(price: Decimal, at: Place, currency: str | None, mistakes: Mistakes) -> None:
    if currency is None:
        return
    try:
        to_minor(price, currency)
    except ValueError as error:
        mistakes.add(at, f"{error} - write a price that can be paid")
