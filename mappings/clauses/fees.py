"""Recurring fees and licences: what is due without any work."""

from __future__ import annotations

import calendar
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ledger.calendar import DUE, Due
from ledger.money import billed_as, exact_amount

from .. import phrases
from ..atoms import CURRENCY, DAY, POSITIVE
from ..descriptions import Description
from ..descriptions import parse as parse_description
from ..periods import SCHEDULES
from ..reading import Mistakes, Place, quoted, suggestion
from ..shapes import Filled, ListOf, OneOf, Phrase, TableOf, Word
from . import minimums
from .setting import EARLIEST, Setting
from .taxes import CODE

IN_DESCRIPTIONS: Final = {
    "fee": "the name of the fee",
    "month": "the month in which the period begins: March 2026",
    "month:short": "the same, shorter: Mar 2026",
    "quarter": "the quarter in which it begins: Q1 2026",
    "year": "the year in which it begins: 2026",
    "from": "the first day that is billed: 2026-03-01",
    "from:long": "the same with the month's name: 1 March 2026",
    "to": "the last day that is billed: 2026-03-31",
    "to:long": "the same with the month's name: 31 March 2026",
}
"""The words that may stand in braces in the description of a fee."""

_PRICE: Final = Word(POSITIVE, "the price of one for a whole period", required=True)
PRICE: Final = TableOf(
    {"from": Word(DAY, "the first day on which it holds", required=True), "unit_price": _PRICE},
    label=("price", "from"),
)
SEATS: Final = TableOf(
    {
        "from": Word(DAY, "the first day on which there are so many", required=True),
        "seats": Word(
            Phrase("a whole number like 5", phrases.whole, "^[0-9]+$"),
            "how many from that day on; 0 where there are none",
            required=True,
        ),
    },
    label=("seats", "from"),
)
FEE: Final = TableOf(
    {
        "fee": Word(
            Phrase("a text", most=120), "the name of the fee, stable for ever", required=True
        ),
        "description": Word(
            Phrase(
                "a description",
                lambda text: parse_description(text, IN_DESCRIPTIONS),
                most=500,
            ),
            f"the text of the line, with words in braces from: {', '.join(IN_DESCRIPTIONS)}",
            required=True,
        ),
        "every": Word(
            OneOf(
                {
                    "week": "Monday to Sunday",
                    "month": "a calendar month",
                    "quarter": "three calendar months from January, April, July or October",
                    "year": "a calendar year",
                }
            ),
            "the period that a price is for: week, month, quarter or year",
            required=True,
        ),
        "from": Word(DAY, "the first day that is billed", required=True),
        "until": Word(DAY, "the last day that is billed; without it, the fee goes on"),
        "quantity": Word(POSITIVE, "how many; without it, 1"),
        "seats": Word(ListOf(SEATS, needs_brackets=True), "how many from which day on"),
        "unit_price": Word(POSITIVE, "the price of one for a whole period"),
        "prices": Word(
            ListOf(PRICE, needs_brackets=True), "the price of one from which day on, if it changes"
        ),
        "pro_rata": Word(
            OneOf(
                {
                    "by days": "a part of a period costs its days' share",
                    "no": "a period that has begun is billed whole",
                }
            ),
            "by days (default), or no",
        ),
        "due": Word(
            OneOf(
                {
                    "in advance": "when the period begins",
                    "in arrears": "when the period is over",
                }
            ),
            "in advance, when the period begins, or in arrears, when it is over",
            required=True,
        ),
        "invoice": Word(
            OneOf(SCHEDULES), "when the fee is invoiced, if not like the customer's work"
        ),
        "tax": Word(CODE, "the code of the tax on the fee, if not like the others"),
        "currency": Word(CURRENCY, "the currency of its price, if not the customer's"),
    },
    label=("fee", "fee"),
)
WORDS: Final[Mapping[str, Word]] = {
    "fees": Word(
        ListOf(FEE, needs_brackets=True, least=0),
        "recurring fees and licences, which are due without any work",
        names_entries=True,
    ),
}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class From:
    """A number that holds from a day on: a price in major units, or how many there are."""

    on: date
    number: Decimal
    at: Place


@dataclass(frozen=True, slots=True)
class Charge:
    """What a fee comes to for some days."""

    quantity: Decimal
    unit_price: Decimal
    amount: int
    """Minor units: quantity x unit price."""
    steps: tuple[str, ...]
    """Every number on the way, in words."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A recurring fee."""

    name: str
    description: Description
    every: str
    """week, month, quarter or year."""
    first: date
    last: date | None
    prices: tuple[From, ...]
    """By day; the first holds on the fee's first day."""
    quantities: tuple[From, ...]
    """By day, as the prices."""
    is_by_days: bool
    is_in_arrears: bool
    schedule: str
    """One of `periods.SCHEDULES`."""
    currency: str
    at: Place
    tax: str | None = None
    """The code of its tax: its own, or else the customer's."""

    def due(self, customer: str, time_zone: str, today: date) -> Iterator[Due]:
        """Yield every period that has come due until a day, oldest first."""
        first = self.first
        while self.last is None or first <= self.last:
            last = self._clipped(first)[1]
            if (last >= today) if self.is_in_arrears else (first > today):
                return
            if any(each.number for each, _, _ in _segments(self.quantities, first, last)):
                yield self.due_for(customer, time_zone, first)
            first = last + timedelta(1)

    def due_for(self, customer: str, time_zone: str, on: date) -> Due:
        """Return what is due for the period that holds a day of the fee."""
        return Due(customer, self.name, *self._clipped(on), self.is_in_arrears, time_zone)

    def charge(self, first: date, last: date) -> Charge | None:
        """Return what some days of one period come to; None if the fee has no such days."""
        if not self.first <= first <= last <= self._clipped(first)[1]:
            return None
        whole = self._clipped(first)
        is_by_days = self.is_by_days or (first, last) != whole
        parts = list(self._parts(first, last, is_by_days=is_by_days))
        prices = {price.number for _, price, _ in parts}
        exact = sum((share * Fraction(price.number) for share, price, _ in parts), Fraction(0))
        amount = exact_amount(exact, self.currency)
        quantity, unit_price = Fraction(1), amount.decimal()
        if len(prices) == 1:
            quantity, unit_price = sum((share for share, _, _ in parts), Fraction(0)), *prices
        billed, at = billed_as(quantity, unit_price, amount)
        total = f"together {amount}, rounded once" if len(parts) > 1 else f"= {amount}"
        return Charge(billed, at, amount.minor, (*(words for _, _, words in parts), total))

    def _parts(
        self, first: date, last: date, *, is_by_days: bool
    ) -> Iterator[tuple[Fraction, From, str]]:
        """Yield quantity, price and words of each run of days on which neither changes."""
        begins, ends = period_of(self.every, first)
        of_days = (ends - begins).days + 1
        if not is_by_days:
            count, price = _on(self.quantities, first), _on(self.prices, first)
            words = f"{first} to {last}: {count.number:f} ({count.at}) for a whole {self.every}"
            yield Fraction(count.number), price, f"{words} {self._at(price)}"
            return
        for price, price_from, price_to in _segments(self.prices, first, last):
            for count, day, until in _segments(self.quantities, price_from, price_to):
                days = (until - day).days + 1
                words = f"{day} to {until}: {count.number:f} ({count.at})"
                share = Fraction(count.number) * days / of_days
                yield share, price, f"{words} x {days} of {of_days} days {self._at(price)}"

    def _at(self, price: From) -> str:
        return f"at {price.number:f} {self.currency} per {self.every} ({price.at})"

    def _clipped(self, on: date) -> tuple[date, date]:
        """Return the days of the fee in the period that holds a day."""
        first, last = period_of(self.every, on)
        return max(first, self.first), min(last, self.last or last)


@dataclass(frozen=True, slots=True)
class Fees:
    """Recurring fees and licences by name: what is due without any work."""

    by_name: Mapping[str, Fee] = field(default_factory=dict)


def period_of(every: str, on: date) -> tuple[date, date]:
    """Return first and last day of the week, month, quarter or year that holds a day.

    >>> str(period_of("quarter", date(2026, 5, 20))[1])
    '2026-06-30'
    """
    if every == "week":
        monday = on - timedelta(on.weekday())
        return monday, monday + timedelta(6)
    months = _MONTHS[every]
    first = on.replace(month=(on.month - 1) // months * months + 1, day=1)
    last_month = first.month + months - 1
    last_day = calendar.monthrange(first.year, last_month)[1]
    return first, first.replace(month=last_month, day=last_day)


def _on(numbers: Sequence[From], on: date) -> From:
    return numbers[bisect_right(numbers, on, key=lambda each: each.on) - 1]


def _segments(
    numbers: Sequence[From], first: date, last: date
) -> Iterator[tuple[From, date, date]]:
    """Yield each number that holds between two days, with the first and last day of that."""
    start = bisect_right(numbers, first, key=lambda each: each.on) - 1
    for at, each in enumerate(numbers[start:], start):
        if each.on > last:
            return
        ends = numbers[at + 1].on - timedelta(1) if at + 1 < len(numbers) else last
        yield each, max(each.on, first), min(ends, last)


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Fees:
    """Return the fees of a customer's file, with every mistake noted."""
    fees: dict[str, Fee] = {}
    for entry in filled.get("fees", ()):
        name = entry.get("fee")
        if name is None:
            continue
        inside = mistakes.inside(f"fee {quoted(name)}")
        if name in fees:
            problem = f"has the same name as the one in {fees[name].at.seen_from(entry.at)}"
            inside.add(entry.at, f"{problem} - call them differently")
            continue
        prices = _numbers(entry, "prices", "unit_price", inside)
        quantities = _numbers(entry, "seats", "quantity", inside)
        _check_days(entry, inside)
        if "seats" not in entry.places and "quantity" not in entry.places:
            quantities = (From(entry.get("from", EARLIEST), Decimal(1), entry.at),)
        if "prices" not in entry.places and "unit_price" not in entry.places:
            inside.add(entry.at, "has no price - write unit_price:, or prices: if it changes")
        if entry.is_whole and prices and quantities:
            fees[name] = Fee(
                name=name,
                description=entry["description"],
                every=entry["every"],
                first=entry["from"],
                last=entry.get("until"),
                prices=prices,
                quantities=quantities,
                is_by_days=entry.get("pro_rata", "by days") == "by days",
                is_in_arrears=entry["due"] == "in arrears",
                schedule=entry.get("invoice") or filled.get("invoice", "monthly"),
                currency=entry.get("currency") or setting.currency or "",
                at=entry.at,
                tax=entry.get("tax", setting.tax),
            )
    return Fees(fees)


def check_given(given: Filled, customer: Filled, mistakes: Mistakes) -> None:
    """Note a mistake if the event of a test is of a fee that the customer's file does not have."""
    name = given.get("fee")
    if given.get("event") != DUE:
        if name:
            mistakes.add(given.place("fee"), f"a fee is due by the calendar - write event: {DUE}")
        return
    names = [fee["fee"] for fee in customer.get("fees", ()) if fee.get("fee")]
    if minimums.is_due_alone(customer):
        names.append(minimums.RULE)
    if name is None:
        mistakes.add(given.at, 'the word "fee" is missing - name the fee that is due')
    elif name not in names:
        problem = f"this file has no fee {quoted(name)}"
        mistakes.add(given.place("fee"), problem + suggestion(name, names))


def _check_days(entry: Filled, mistakes: Mistakes) -> None:
    first, last = entry.get("from"), entry.get("until")
    if first and first < EARLIEST:
        problem = f"{first} is long ago, and everything since then is billed"
        mistakes.inside("from").add(entry.place("from"), f"{problem} - write a later day")
    if first and last and first > last:
        mistakes.inside("until").add(entry.place("until"), "is earlier than from: - swap them")


def _numbers(entry: Filled, listed: str, single: str, mistakes: Mistakes) -> tuple[From, ...]:
    """Return a number by day, of a list or of the one word for a number that never changes."""
    first: date | None = entry.get("from")
    if single in entry.places and listed in entry.places:
        problem = f"stands beside {single}:"
        mistakes.inside(listed).add(entry.place(listed), f"{problem} - write one of the two")
        return ()
    if single in entry.values:
        return (From(first or EARLIEST, entry[single], entry.place(single)),)
    word = "unit_price" if listed == "prices" else "seats"
    found: dict[date, From] = {}
    rows: Sequence[Any] = entry.get(listed, ())
    for row in rows:
        if not row.is_whole:
            continue
        if row["from"] in found:
            first_one = found[row["from"]].at.seen_from(row.at)
            problem = f"{row['from']} stands in {first_one} already"
            mistakes.inside(listed).add(row.at, f"{problem} - keep one of them")
        found.setdefault(row["from"], From(row["from"], Decimal(row[word]), row.at))
    numbers = tuple(found[day] for day in sorted(found))
    if numbers and first and numbers[0].on > first:
        problem = f"the first is from {numbers[0].on}, and the fee is from {first}"
        mistakes.inside(listed).add(
            entry.place(listed), f"{problem} - say what holds on the first day too"
        )
    return numbers
