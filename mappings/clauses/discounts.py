"""Discounts: a percentage off, from the first cent on or from a volume on; and for paying early.

A discount is a line of its own for each tax: its quantity is the money that it is given on, its
unit price the percentage. So what comes later adds to it, and nothing is discounted twice.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from ledger.corrections import KnownLine, LineItem
from ledger.money import Money, line_amount
from ledger.sums import coding_of_most

from ..atoms import PERCENT, POSITIVE, TEXT
from ..languages import ENGLISH, money_text, percent_text
from ..phrases import PERCENT as PERCENT_FORM
from ..phrases import days_until_due, percentage
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word
from .portions import (
    SCOPE_WORDS,
    WINDOWS,
    Portion,
    Scope,
    agreed,
    pool_name,
    read_scope,
    what_is_over,
    windows,
)
from .setting import Setting, amount_of, unique_names

ON: Final = {
    "what is over": "only what is over the volume",
    "everything": "everything, once the volume is passed",
}
DISCOUNT: Final = TableOf(
    {
        "discount": Word(TEXT, "its name, as on the invoice", required=True),
        **SCOPE_WORDS,
        "percent": Word(PERCENT, "how much is taken off: 5 %", required=True),
        "over": Word(POSITIVE, "the volume in the currency; without it, from the first cent on"),
        "per": Word(
            OneOf(WINDOWS), "what counts together to the volume: period (default), month, year, ..."
        ),
        "on": Word(OneOf(ON), "what it is given on: what is over (default) or everything"),
    },
    label=("discount", "discount"),
)
WORD: Final = Word(
    ListOf(DISCOUNT, needs_brackets=True, least=0), "percentages off", names_entries=True
)
EARLY: Final = rf"{PERCENT_FORM} within ([1-9][0-9]?) days"


@dataclass(frozen=True, slots=True)
class EarlyPayment:
    """What the customer may take off who pays early. It is told, and changes no amount."""

    percent: Decimal
    """As a factor: 0.02."""
    days: int

    def sentence(self, language: str = ENGLISH) -> str:
        """Return it as it stands on invoices, its numbers in a language."""
        percent = percent_text(language, self.percent)
        return f"{percent} discount if it is paid within {self.days} days."


def early_payment(text: str) -> EarlyPayment:
    """Return what "2 % within 10 days" means; raise ValueError if it means nothing."""
    found = re.fullmatch(EARLY, text)
    if not found:
        raise ValueError("")
    return EarlyPayment(percentage(f"{found[1]} %"), int(found[2]))


EARLY_PAYMENT: Final = Word(
    Phrase('a sentence like "2 % within 10 days"', early_payment, f"^{EARLY}$"),
    "what may be taken off by who pays early: 2 % within 10 days; it is told on the invoice",
)


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount, as agreed."""

    name: str
    scope: Scope
    percent: Decimal
    """As a factor: 0.05."""
    over: int | None
    """Minor units; None: from the first cent on."""
    per: str
    on_everything: bool
    at: Place

    def of_version(self, version: str, language: str = ENGLISH) -> AppliedDiscount:
        """Return it ready to be applied."""
        return AppliedDiscount(self, version, language)


@dataclass(frozen=True, slots=True)
class AppliedDiscount:
    """A discount under a version of the rules; see `ledger.sums.Agreement`."""

    discount: Discount
    version: str
    language: str = ENGLISH
    """Of the numbers and days in the texts of its lines."""

    @property
    def is_for_ever(self) -> bool:
        """Return whether lines of all periods count."""
        return self.discount.per != "period"

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return what is taken off: a line for each tax and currency of a billing period."""
        counting = [each for each in lines if self.discount.scope.holds(each.line)]
        return [
            self._taken_off(window, line, base)
            for window, found in windows(self.discount.per, counting).items()
            for line, base in self._bases(found)
        ]

    def _bases(self, found: Sequence[Portion]) -> Sequence[tuple[LineItem, int]]:
        """Return the money of a window that the discount is given on, with a line to be like."""
        over = self.discount.over
        if over is None or self.discount.on_everything:
            is_given = over is None or sum(each.amount for each in found) > over
            given = [(each, each.amount) for each in found] if is_given else []
        else:
            given = what_is_over(found, over, billed_first=False)
        bases: dict[tuple[Any, ...], int] = defaultdict(int)
        like: dict[tuple[Any, ...], LineItem] = {}
        codings: dict[tuple[Any, ...], list[tuple[str, int]]] = defaultdict(list)
        for portion, amount in given:
            line = portion.line
            key = (line.schedule, line.period_from, line.currency, line.tax)
            bases[key] += amount
            like[key] = line
            codings[key].append((line.coding, amount))
        return [
            (replace(like[key], coding=coding_of_most(codings[key])), base)
            for key, base in sorted(bases.items())
            if base
        ]

    def _taken_off(self, window: tuple[Any, ...], line: LineItem, base: int) -> LineItem:
        discount = self.discount
        percent = f"{discount.percent.scaleb(2).normalize():f} %"
        of = Money(base, line.currency)
        text = f"{discount.name}, {percent_text(self.language, discount.percent)}"
        if discount.over is not None:
            volume = Money(discount.over, line.currency)
            text += " once it is over " if discount.on_everything else " of what is over "
            text += money_text(self.language, volume)
        return agreed(
            line,
            self.version,
            description=text,
            rule=discount.name,
            project=line.project if discount.per == "project" else None,
            grouping=(discount.name, *(() if discount.per == "period" else map(str, window))),
            quantity=-of.decimal(),
            unit_price=discount.percent,
            amount=-line_amount(of.decimal(), discount.percent, line.currency).minor,
            pool=pool_name(f"discount: {discount.name}", window, line),
            adjusts_id=None,
            steps=(f'discount "{discount.name}" ({discount.at}): {percent} of {of}',),
        )


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> tuple[Discount, ...]:
    """Return the discounts of a customer's file, with every mistake noted."""
    found: list[Discount] = []
    for entry in unique_names("discount", filled.get("discounts", ()), mistakes):
        inside = mistakes.inside(f"discount {quoted(entry['discount'])}")
        scope = read_scope(entry, setting, inside)
        over = amount_of(entry, "over", setting, inside) if "over" in entry.places else None
        if over is None:
            for word in ("per", "on"):
                if word in entry.places:
                    problem = "is about a volume - write over: too, or leave it out"
                    inside.inside(word).add(entry.place(word), problem)
            scope = replace(scope, currency=None)
        if not entry.is_whole:
            continue
        # What earlier discounts took off the same lines is not discounted again.
        earlier = {each.name for each in found if scope.covers(each.scope)}
        if scope.names is not None:
            scope = replace(scope, names=scope.names | earlier)
        discount = Discount(
            name=entry["discount"],
            scope=scope,
            percent=entry["percent"],
            over=over,
            per=entry.get("per", "period"),
            on_everything=entry.get("on") == "everything",
            at=entry.at,
        )
        found.append(discount)
    return tuple(found)


def read_early_payment(filled: Filled, mistakes: Mistakes) -> EarlyPayment | None:
    """Return what is agreed for paying early, with a mistake noted if nobody could be late."""
    early: EarlyPayment | None = filled.get("early_payment")
    terms: str | None = filled.get("terms")
    if early and terms and early.days >= days_until_due(terms):
        problem = f"{early.days} days are no sooner than {terms} - write fewer days"
        mistakes.inside("early_payment").add(filled.place("early_payment"), problem)
    return early
