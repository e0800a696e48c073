"""The tax on a line and on an invoice: code, rate, and what it comes to. Pure.

The tax of an invoice is calculated on the sum of the lines with the same tax and rounded once, as
EN 16931 does. Where a billing system wants an amount for each line, that sum is apportioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from .money import apportioned, net_within, tax_on

_KEY: Final = re.compile(
    r"(?P<code>\S+) (?:(?P<rate>[0-9.]+) %(?P<included> included)?|(?P<why>reverse charge|exempt))"
)


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax as a line item keeps it: its line stays explained when the rules have moved on."""

    code: str
    rate: Decimal = Decimal(0)
    """Percent."""
    why_none: str | None = None
    """"reverse charge" or "exempt": why nothing is taken."""
    is_included: bool = False
    """The unit price holds the tax already."""

    @property
    def key(self) -> str:
        """Return all of it as one text: `LineItem.tax`.

        >>> Tax("DE19", Decimal("19.0")).key, Tax("RC", why_none="reverse charge").key
        ('DE19 19 %', 'RC reverse charge')
        """
        if self.why_none:
            return f"{self.code} {self.why_none}"
        included = " included" if self.is_included else ""
        return f"{self.code} {self.rate.normalize():f} %{included}"

    def amount(self, together: int) -> int:
        """Return the tax on, or in, the sum of some lines: minor units, rounded half up."""
        if self.is_included:
            return together - net_within(together, self.rate)
        return tax_on(together, self.rate)

    def by_line(self, amounts: Sequence[int], step: int = 1) -> list[int]:
        """Return the tax of each line so that they sum to the tax of all, by largest remainder.

        `step` is the smallest amount that a billing system takes. Raise ValueError if the tax of
        all is no multiple of it.
        """
        whole = self.amount(sum(amounts))
        if whole % step:
            raise ValueError(f"{whole} is no multiple of {step}")
        part = Fraction(self.rate) / (100 + (Fraction(self.rate) if self.is_included else 0))
        shares = [amount * part / step for amount in amounts]
        return [parts * step for parts in apportioned(whole // step, shares)]


@lru_cache(maxsize=1024)
def tax_of(key: str) -> Tax:
    """Return the tax that `Tax.key` wrote down; raise ValueError if it is none."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(f'"{key}" is no tax')
    return Tax(
        found["code"],
        Decimal(found["rate"] or 0),
        why_none=found["why"],
        is_included=found["included"] is not None,
    )


@dataclass(frozen=True, slots=True)
class TaxWords:
    """How a tax is called on the paper."""

    name: str
    text: str | None = None
    """The sentence that must stand on the invoice: why it is exempt, who owes it instead."""


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """What one tax comes to on an invoice, in minor units."""

    tax: Tax
    words: TaxWords
    net: int
    amount: int


def tax_totals(
    lines: Iterable[tuple[str, int]], words: Mapping[str, TaxWords]
) -> tuple[TaxTotal, ...]:
    """Return the totals of the taxes on lines, given as (`Tax.key`, amount); "" is no tax.

    `words` is by code; a code that the rules have forgotten is called by itself.
    """
    together: dict[str, int] = {}
    for key, amount in lines:
        if key:
            together[key] = together.get(key, 0) + amount
    totals = []
    for key, amount in sorted(together.items()):
        tax = tax_of(key)
        due = tax.amount(amount)
        net = amount - due if tax.is_included else amount
        totals.append(TaxTotal(tax, words.get(tax.code, TaxWords(tax.code)), net, due))
    return tuple(totals)


def line_taxes(lines: Sequence[tuple[str, int]], step: int = 1) -> list[int]:
    """Return the tax of each line, given as (`Tax.key`, amount); see `Tax.by_line`."""
    taxes = [0] * len(lines)
    for key in sorted({key for key, _ in lines if key}):
        places = [at for at, (of, _) in enumerate(lines) if of == key]
        amounts = tax_of(key).by_line([lines[at][1] for at in places], step)
        for at, amount in zip(places, amounts, strict=True):
            taxes[at] = amount
    return taxes
