"""What entries come to together: rounding by day or line, days, tiers, overtime.

An entry of such a rule is counted into a pool, and what the pool comes to stands on lines of its
own: see `ledger.sums`, which keeps them in line with the entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ledger.corrections import LineItem

from ..descriptions import Description
from ..model import Rounding
from ..reading import Mistakes, quoted
from ..shapes import Filled, Word
from . import days, overtime, rounding, tiers
from .overtime import Overtime
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = overtime.WORDS
BILL_WORDS: Final[Mapping[str, Word]] = days.BILL_WORDS

_TOLD_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("title", "item"),
    "item": ("item",),
    "project": ("project",),
    "person": ("person",),
    "role": ("role", "person"),
    "activity": ("activity",),
    "factor": ("factor",),
    "labels": ("labels",),
    "label": ("label",),
    "date": ("day",),
    "week": ("week", "day"),
    **dict.fromkeys(("hours", "days", "quantity", "unit_price", "amount"), ()),
}
"""The words of a description that differ from entry to entry, and what they follow from."""
_NOT_OF_A_DAY: Final = ("item", "title", "labels", "label", "activity")


class Count(Protocol):
    """What a rule counts entries for: what those of one pool come to together."""

    @property
    def words(self) -> str:
        """How they are counted. It is part of a pool's name: another way is another pool."""
        ...

    @property
    def per(self) -> tuple[str, ...]:
        """What the entries of a pool share beside rule, project, price and line: person, day."""
        ...

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return the sum lines of a pool; see `ledger.sums.SumUp`."""
        ...


@dataclass(frozen=True, slots=True)
class Sums:
    """What entries come to together, whatever their rule."""

    overtime: Overtime = field(default_factory=Overtime)


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Sums:
    """Return what a customer's file says of it, with every mistake noted."""
    found = Sums(overtime.read(filled, setting, mistakes))
    for rule in filled.get("rules", ()):
        if found.overtime.covers(rule.get("rule", "")) and isinstance(rule.get("bill"), Filled):
            inside = mistakes.inside(f"rule {quoted(rule.get('rule', ''))}").inside("bill")
            _check_overtime(rule, inside)
    return found


def _check_overtime(rule: Filled, mistakes: Mistakes) -> None:
    """Note a mistake if overtime would miss hours that have no price of their own."""
    bill: Filled = rule["bill"]
    together = bill.get("round")
    if together is not None and together.per != "entry":
        advice = "round per entry, or name the other rules under overtime: rules:"
        mistakes.add(bill.place("round"), f"overtime needs the price of each entry - {advice}")
    if bill.get("quantity") == "hours" and isinstance(bill.get("unit_price"), Filled):
        advice = "write a price, or name the other rules under overtime: rules:"
        mistakes.add(bill.place("unit_price"), f"overtime needs the price of each hour - {advice}")
    if bill.get("quantity") == "hours" and "minimum" in bill.places:
        advice = "leave minimum: out, or name the other rules under overtime: rules:"
        mistakes.add(bill.place("minimum"), f"a minimum charge is no hour of overtime - {advice}")


def count_of(bill: Filled, currency: str | None, mistakes: Mistakes) -> Count | None:
    """Return what a `bill:` without mistakes of its own counts entries for, None for nothing."""
    found: Count | None = None
    quantity, price, together = bill["quantity"], bill["unit_price"], bill.get("round")
    if quantity == "days":
        found = days.days_of(bill, mistakes)
    else:
        for word in days.BILL_WORDS:
            if word in bill.places:
                mistakes.add(bill.place(word), f"{word} is for days - write quantity: days")
    if isinstance(price, Filled):
        if quantity in ("hours", "units"):
            found = tiers.tiers_of(price, currency, mistakes.inside("unit_price"))
        else:
            problem = "a price by quantity needs a quantity that adds up"
            mistakes.add(price.at, f"{problem} - write quantity: units or hours, or a number here")
    if together is not None and together.per != "entry":
        _check_together(bill, together, mistakes)
        found = rounding.RoundedTogether(together)
    if found is not None:
        _check_texts(bill, found, mistakes)
    if "minimum" in bill.places and (found is not None or isinstance(price, Filled)):
        problem = "a minimum is of one entry, and these are counted together"
        advice = "leave it out, or write minimum_fee: for the period"
        mistakes.inside("minimum").add(bill.place("minimum"), f"{problem} - {advice}")
    if "discount" in bill.places and isinstance(price, Filled):
        problem = "a price by quantity has no unit price to take it off"
        advice = "write the lower prices, or discounts: at the top of the file"
        mistakes.inside("discount").add(bill.place("discount"), f"{problem} - {advice}")
    return found


def _check_together(bill: Filled, together: Rounding, mistakes: Mistakes) -> None:
    at = bill.place("round")
    if isinstance(bill["unit_price"], Filled):
        mistakes.add(at, "a price by quantity needs rounded entries - write per entry")
    if together.per == "line" and "one_line_per" not in bill.places:
        advice = "add one_line_per:, or round per entry"
        mistakes.add(at, f"without one_line_per: each entry is a line - {advice}")


def _check_texts(bill: Filled, count: Count, mistakes: Mistakes) -> None:
    """Note what one line cannot say of all the entries that are counted on it."""
    description: Description = bill["description"]
    lines = bill.get("one_line_per", ())
    if isinstance(count, days.Days):
        for word in lines:
            if word in _NOT_OF_A_DAY:
                problem = f"a day is one quantity, it cannot be split by {word}"
                mistakes.add(bill.place("one_line_per"), f"{problem} - leave {word} out")
    shared = {*lines, *count.per, "project"}
    for word in description.words:
        follows_from = _TOLD_BY.get(word)
        if follows_from is None or shared.intersection(follows_from):
            continue
        problem = f"{{{word}}} differs between entries that are counted together"
        advice = "leave it out"
        if follows_from:
            advice += f", or add one_line_per: {follows_from[0]}"
        mistakes.inside("description").add(bill.place("description"), f"{problem} - {advice}")
