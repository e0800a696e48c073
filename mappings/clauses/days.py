"""Days and half days: what the hours of a person on a day are worth as days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ledger.corrections import LineItem
from ledger.money import days, printed

from .. import phrases
from ..reading import Mistakes
from ..shapes import Filled, OneOf, Phrase, Word
from .pools import how_many, standing, sum_line

EXACTLY, HALVES, FULL = "by the hour", "half and full days", "full days"
COUNT_DAYS: Final = {
    EXACTLY: "the hours divided by hours_in_a_day; more hours are more than a day",
    HALVES: "up to half of the hours is half a day, more is a day; never more than a day",
    FULL: "whoever worked at all worked a day; never more than a day",
}
_DURATION: Final = Phrase("a time like 2 hours or 90 minutes", phrases.duration)
BILL_WORDS: Final[Mapping[str, Word]] = {
    "hours_in_a_day": Word(
        Phrase("a number of hours like 8 or 7.5", phrases.hours_in_a_day, f"^{phrases.NUMBER}$"),
        "the hours that make a day, where quantity: days",
    ),
    "count_days": Word(
        OneOf(COUNT_DAYS), "by the hour (default), half and full days, or full days"
    ),
    "a_half_day_from": Word(_DURATION, "less time than this on a day is not billed"),
    "a_full_day_from": Word(_DURATION, "from this time on it is a full day, not half a day"),
}


@dataclass(frozen=True, slots=True)
class Days:
    """How the time of a person on a day, in one project and at one price, becomes days."""

    seconds_in_a_day: int
    count: str
    """One of `COUNT_DAYS`."""
    half_from: int
    """Seconds; less is not billed. Only for half and full days."""
    full_from: int
    """Seconds. Only for half and full days."""

    per = ("person", "day")

    @property
    def words(self) -> str:
        """How they are counted."""
        said = f"days of {printed(days(self.seconds_in_a_day, 3600))} hours, {self.count}"
        if self.count == HALVES:
            said += f", half from {self.half_from} s, full from {self.full_from} s"
        return said

    def days(self, seconds: int) -> Decimal:
        """Return how many days the time of a person on a day is."""
        if self.count == EXACTLY or seconds <= 0:
            return days(seconds, self.seconds_in_a_day)
        if self.count == FULL or seconds >= self.full_from:
            return Decimal("1.00")
        return Decimal("0.50") if seconds >= self.half_from else Decimal("0.00")

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what the entries of a pool come to; see `ledger.sums.SumUp`."""
        entries = standing(counted)
        if not entries:
            return ()
        seconds = sum(each.seconds for each in entries)
        quantity = self.days(seconds)
        return (
            sum_line(
                entries,
                quantity,
                entries[0].unit_price,
                f"{how_many(entries)}: {seconds} s as logged",
                f"{self.words}: {printed(quantity)} d",
            ),
        )


def days_of(bill: Filled, mistakes: Mistakes) -> Days | None:
    """Return how days are counted by a `bill:` with `quantity: days`, None if it says it wrong."""
    before = len(mistakes.found)
    if "hours_in_a_day" not in bill.places:
        mistakes.add(bill.at, "days need hours_in_a_day: - write the hours that make a day")
        return None
    a_day: int = bill["hours_in_a_day"]
    count = bill.get("count_days", EXACTLY)
    for word in ("a_half_day_from", "a_full_day_from"):
        if word in bill.places and count != HALVES:
            problem = f"{word} is for half days"
            mistakes.add(bill.place(word), f"{problem} - write count_days: {HALVES}")
    # Up to half of the hours is half a day: a full day begins with the second after it.
    half_from, full_from = bill.get("a_half_day_from", 1), bill.get("a_full_day_from")
    if full_from is None:
        full_from = max(a_day // 2 + 1, half_from)
    if half_from > full_from:
        problem = "half a day begins later than a full day"
        mistakes.add(bill.place("a_half_day_from"), f"{problem} - write a shorter time")
    if len(mistakes.found) > before:
        return None
    return Days(a_day, count, half_from, full_from)
