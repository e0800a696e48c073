"""Prepaid hours and retainers: what was granted is drawn by the work, the oldest grant first.

A grant can be drawn by work of its own days alone; what is not used by its last day is lost. What
is over is billed at its price. Work draws by its day, however it is spread over invoices: so the
same work costs the same, whichever entry arrived first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.corrections import KnownLine, LineItem
from ledger.money import Money, line_amount, printed, quantity_for
from ledger.sums import ROUNDING

from ..atoms import POSITIVE, TEXT, YES_NO
from ..languages import ENGLISH, day_text, money_text, number_text
from ..periods import months_later
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word
from .overtime import is_surcharge
from .portions import SCOPE_WORDS, Portion, Scope, agreed, pool_name, portions, read_scope
from .setting import Setting, amount_of, unique_names

EVERY: Final = {
    "week": "seven days, counted from the first day",
    "month": "a month, counted from the first day",
    "quarter": "three months, counted from the first day",
    "year": "a year, counted from the first day",
}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
ROLLS_OVER: Final = r"no|for ever|([1-9][0-9]?) (weeks?|months?|years?)"


@dataclass(frozen=True, slots=True)
class RollOver:
    """How much longer than its own time a grant can be drawn."""

    is_for_ever: bool = False
    months: int = 0
    weeks: int = 0

    def after(self, end: date) -> date | None:
        """Return the first day on which a grant cannot be drawn any more; None: there is none."""
        if self.is_for_ever:
            return None
        return months_later(end, self.months) + timedelta(weeks=self.weeks)


def rolls_over(text: str) -> RollOver:
    """Return what a roll-over in words means; raise ValueError if it means nothing."""
    found = re.fullmatch(ROLLS_OVER, text)
    if not found:
        raise ValueError("")
    if found[1] is None:
        return RollOver(is_for_ever=text == "for ever")
    count, unit = int(found[1]), found[2].rstrip("s")
    if unit == "week":
        return RollOver(weeks=count)
    return RollOver(months=count * _MONTHS[unit])


PREPAID: Final = TableOf(
    {
        "prepaid": Word(TEXT, "its name, as on the invoice", required=True),
        **SCOPE_WORDS,
        "from": Word(SCOPE_WORDS["from"].shape, "the first day of the first grant", required=True),
        "until": Word(SCOPE_WORDS["until"].shape, "the last day on which any of it can be drawn"),
        "hours": Word(POSITIVE, "the hours of each grant"),
        "amount": Word(POSITIVE, "instead of hours: the money of each grant"),
        "every": Word(OneOf(EVERY), "how often it is granted; without it, once"),
        "rolls_over": Word(
            Phrase('"no", "for ever" or a time like 2 months', rolls_over, f"^({ROLLS_OVER})$"),
            "how much longer what is not used can be drawn: no (default), 2 months, for ever",
        ),
        "show_what_is_left": Word(YES_NO, "yes (default): a line says what is drawn and left"),
    },
    label=("prepaid", "prepaid"),
)
WORD: Final = Word(
    ListOf(PREPAID, needs_brackets=True, least=0),
    "hours or money paid ahead, that the work draws from",
    names_entries=True,
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What can be drawn from a day on, until another day."""

    first: date
    after: date | None
    """The first day on which it cannot be drawn any more; None: it never ends."""
    size: Decimal
    """Hours, or minor units."""


@dataclass(frozen=True, slots=True)
class Prepaid:
    """Prepaid hours or money, as agreed."""

    name: str
    scope: Scope
    from_on: date
    size: Decimal
    """Hours, or minor units of the currency."""
    in_hours: bool
    currency: str
    every: str | None
    roll_over: RollOver
    shows_left: bool
    at: Place

    def of_version(self, version: str, language: str = ENGLISH) -> AppliedPrepaid:
        """Return it ready to be applied."""
        return AppliedPrepaid(self, version, language)

    def grants(self, until: date) -> Iterator[Grant]:
        """Yield the grants that begin no later than a day, oldest first."""
        ends = self.scope.last + timedelta(1) if self.scope.last else None
        first, number = self.from_on, 0
        while first <= until and (ends is None or first < ends):
            number += 1
            following = self._begins(number)
            after = self.roll_over.after(following) if following else None
            if ends is not None:
                after = min(after or ends, ends)
            yield Grant(first, after, self.size)
            if following is None:
                return
            first = following

    def _begins(self, number: int) -> date | None:
        """Return the first day of a grant, counted from 0; None if there is only one."""
        if self.every is None:
            return None
        if self.every == "week":
            return self.from_on + timedelta(weeks=number)
        # Always counted from the first day, so that a 31st comes back after February.
        return months_later(self.from_on, number * _MONTHS[self.every])

    def in_words(self, size: Decimal) -> str:
        """Return hours or money as steps name them."""
        return f"{printed(size)} h" if self.in_hours else str(Money(int(size), self.currency))


@dataclass(frozen=True, slots=True)
class AppliedPrepaid:
    """Prepaid hours or money under a version of the rules; see `ledger.sums.Agreement`."""

    prepaid: Prepaid
    version: str
    language: str = ENGLISH
    """Of the numbers and days in the texts of its lines."""

    @property
    def is_for_ever(self) -> bool:
        """Return whether lines of all periods count: what was drawn is drawn for good."""
        return True

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return what takes off the work what it draws, and says what is left."""
        prepaid = self.prepaid
        counting = [
            each for each in lines if prepaid.scope.holds(each.line) and self._is_drawn(each.line)
        ]
        account = _Account(prepaid, _last_day(counting))
        drawn: list[tuple[Portion, Mapping[Grant, Decimal]]] = []
        ends = sorted({each.line.period_to for each in counting})
        left: dict[date, tuple[Decimal, Decimal]] = {}
        for portion in portions(counting):
            while ends and ends[0] < portion.line.on:
                end = ends.pop(0)
                left[end] = account.left_on(end)
            if portion.amount > 0:
                need = portion.quantity if prepaid.in_hours else Decimal(portion.amount)
                if parts := account.draw(portion.line.on, need):
                    drawn.append((portion, parts))
        left |= {end: account.left_on(end) for end in ends}
        wanted = self._taken_off(drawn)
        if prepaid.shows_left:
            wanted += self._said(counting, drawn, left)
        return wanted

    def _is_drawn(self, line: LineItem) -> bool:
        """Return whether a line can draw from it.

        A cent that makes up for rounding is no hour, and an hour of overtime draws once: what is
        due on top of it is money.
        """
        is_money_alone = line.description == ROUNDING or is_surcharge(line)
        return not (is_money_alone if self.prepaid.in_hours else line.description == ROUNDING)

    def _taken_off(
        self, drawn: Sequence[tuple[Portion, Mapping[Grant, Decimal]]]
    ) -> list[LineItem]:
        by_price: dict[tuple[Any, ...], dict[date, Decimal]] = defaultdict(
            lambda: defaultdict(Decimal)
        )
        for portion, parts in drawn:
            for grant, part in parts.items():
                by_price[_priced_alike(portion.line)][grant.first] += part
        return [
            self._one_taken_off(portion, parts, by_price[_priced_alike(portion.line)])
            for portion, parts in drawn
        ]

    def _one_taken_off(
        self, portion: Portion, parts: Mapping[Grant, Decimal], grants: Mapping[date, Decimal]
    ) -> LineItem:
        prepaid, line, part = self.prepaid, portion.line, sum(parts.values(), Decimal(0))
        if prepaid.in_hours:
            quantity, whole = part, portion.quantity
            amount = line_amount(quantity, line.unit_price, line.currency).minor
            amount = portion.amount if quantity == whole else min(amount, portion.amount)
        else:
            quantity, amount = portion.quantity, int(part)
            if amount < portion.amount:
                price = line.unit_price
                quantity = quantity_for(amount, price, line.currency, of=portion.quantity)
        return agreed(
            line,
            self.version,
            description=f"Drawn from {prepaid.name}",
            grouping=(prepaid.name,),
            quantity=-quantity,
            amount=-amount,
            pool=pool_name(f"prepaid: {prepaid.name}", (), line),
            adjusts_id=None,
            steps=tuple(
                f"{prepaid.in_words(size)} of the {prepaid.in_words(prepaid.size)} of "
                f"{prepaid.name} that were granted on {first} ({prepaid.at})"
                for first, size in sorted(grants.items())
            ),
        )

    def _in_words(self, size: Decimal) -> str:
        """Return hours or money as they are printed."""
        if self.prepaid.in_hours:
            return f"{number_text(self.language, size)} h"
        return money_text(self.language, Money(int(size), self.prepaid.currency))

    def _said(
        self,
        counting: Iterable[KnownLine],
        drawn: Sequence[tuple[Portion, Mapping[Grant, Decimal]]],
        left: Mapping[date, tuple[Decimal, Decimal]],
    ) -> list[LineItem]:
        """Return a line for each period that says what was drawn in it and is left after it."""
        in_period: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
        for portion, parts in drawn:
            line = portion.line
            in_period[line.schedule, line.period_from] += sum(parts.values(), Decimal(0))
        periods = {(each.line.schedule, each.line.period_from): each.line for each in counting}
        said = []
        for period, line in sorted(periods.items()):
            in_words, end = self._in_words, line.period_to
            here, ending = left[end]
            text = (
                f"{self.prepaid.name}: {in_words(in_period[period])} drawn, "
                f"{in_words(here)} left on {day_text(self.language, end)}"
            )
            if ending:
                text += f", of which {in_words(ending)} end on that day"
            said.append(
                agreed(
                    line,
                    self.version,
                    description=text,
                    rule=self.prepaid.name,
                    project=None,
                    tax="",
                    grouping=(self.prepaid.name, "left"),
                    quantity=Decimal("1.00"),
                    unit_price=Decimal("0.00"),
                    amount=0,
                    on=end,
                    pool=pool_name(f"prepaid: {self.prepaid.name}", (), line),
                    adjusts_id=None,
                    steps=(text,),
                )
            )
        return said


def _priced_alike(line: LineItem) -> tuple[Any, ...]:
    """Return what lines that are drawn for have in common where they are printed together."""
    return (line.schedule, line.period_from, line.rule, line.unit_price, line.project, line.tax)


def _last_day(lines: Iterable[KnownLine]) -> date:
    return max((max(each.line.on, each.line.period_to) for each in lines), default=date.min)


@dataclass(slots=True)
class _Account:
    """What was granted and is not drawn yet. Days must come in order."""

    prepaid: Prepaid
    until: date
    _left: dict[Grant, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._left = {grant: grant.size for grant in self.prepaid.grants(self.until)}

    def draw(self, on: date, need: Decimal) -> dict[Grant, Decimal]:
        """Return what work of a day draws, by grant, the oldest first."""
        drawn: dict[Grant, Decimal] = {}
        for grant in list(self._left):
            if grant.first > on or not need:
                break
            if grant.after is not None and grant.after <= on:
                del self._left[grant]
                continue
            part = min(need, self._left[grant])
            need -= part
            self._left[grant] -= part
            if part:
                drawn[grant] = part
            if not self._left[grant]:
                del self._left[grant]
        return drawn

    def left_on(self, on: date) -> tuple[Decimal, Decimal]:
        """Return what is left on a day, and how much of it cannot be drawn after that day."""
        here = {
            grant: left
            for grant, left in self._left.items()
            if grant.first <= on and (grant.after is None or grant.after > on)
        }
        ending = sum(
            (left for grant, left in here.items() if grant.after == on + timedelta(1)), Decimal(0)
        )
        return sum(here.values(), Decimal(0)), ending


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> tuple[Prepaid, ...]:
    """Return the prepaid hours and money of a customer's file, with every mistake noted."""
    found = []
    for entry in unique_names("prepaid", filled.get("prepaid", ()), mistakes):
        inside = mistakes.inside(f"prepaid {quoted(entry['prepaid'])}")
        in_hours = "hours" in entry.places
        scope = read_scope(entry, setting, inside, must_bill_hours=in_hours)
        if in_hours == ("amount" in entry.places):
            inside.add(entry.at, "grants hours or an amount - write one of the two")
        if "rolls_over" in entry.places and "every" not in entry.places:
            problem = "what is granted once has until: as its last day - leave rolls_over out"
            inside.inside("rolls_over").add(entry.place("rolls_over"), problem)
        size = entry.get("hours", Decimal(0))
        if in_hours:
            if "rules" not in entry.places:
                advice = "write rules: [...]"
                inside.add(entry.at, f"which rules draw the hours is not said - {advice}")
            _check_hours(entry, filled, inside)
        else:
            size = Decimal(amount_of(entry, "amount", setting, inside))
        if not entry.is_whole:
            continue
        found.append(
            Prepaid(
                name=entry["prepaid"],
                scope=scope,
                from_on=entry["from"],
                size=size,
                in_hours=in_hours,
                currency=setting.currency or "",
                every=entry.get("every"),
                roll_over=entry.get("rolls_over", RollOver()),
                shows_left=entry.get("show_what_is_left") != "no",
                at=entry.at,
            )
        )
    return tuple(found)


def _check_hours(entry: Filled, filled: Filled, mistakes: Mistakes) -> None:
    """Note a mistake where rules that draw hours have lines that are no hours."""
    for rule in filled.get("rules", ()):
        bill = rule.get("bill")
        drawn = rule.get("rule") in entry.get("rules", ()) and isinstance(bill, Filled)
        if drawn and (beside := _beside_hours(bill)):
            problem = f"rule {quoted(rule['rule'])} bills {beside}"
            mistakes.inside("rules").add(
                entry.place("rules"), f"{problem} - name rules with quantity: hours, or an amount"
            )


def _beside_hours(bill: Filled) -> str:
    """Return what is on lines of a rule beside hours, "" if there is nothing else."""
    if "minimum" in bill.places:
        return "a minimum charge, which is no hour"
    price = bill.get("unit_price")
    if not isinstance(price, Filled):
        return ""
    if "package" in price.places:
        return "packages, not hours"
    tiers = (*price.get("graduated", ()), *price.get("volume", ()))
    return "a flat fee, which is no hour" if any("flat" in tier.places for tier in tiers) else ""
