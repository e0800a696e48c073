"""Billing periods: the days that one invoice covers. Called by `pricing.py` and by assembly."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

SCHEDULES: Final = {
    "at once": "an invoice for the day of the work, as soon as it is known",
    "weekly": "Monday to Sunday",
    "every two weeks": "two weeks from a Monday, counted from Monday 2024-01-01",
    "monthly": "a calendar month",
    "quarterly": "three calendar months, from January, April, July or October",
    "yearly": "a calendar year",
}
"""The words that `invoice:` knows."""

_FORTNIGHTS_START: Final = date(2024, 1, 1)
_MONTHS: Final = {"monthly": 1, "quarterly": 3, "yearly": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `start` to `end`, both included, that one invoice covers."""

    kind: str
    """One of `SCHEDULES`."""
    start: date
    end: date


@lru_cache(maxsize=1024)
def period_of(schedule: str, on: date) -> Period:
    """Return the billing period that holds a day. Every day is in exactly one.

    >>> str(period_of("monthly", date(2028, 2, 3)).end)
    '2028-02-29'
    """
    if schedule == "at once":
        return Period(schedule, on, on)
    if months := _MONTHS.get(schedule):
        first = on.month - (on.month - 1) % months
        last = first + months - 1
        last_day = calendar.monthrange(on.year, last)[1]
        return Period(schedule, date(on.year, first, 1), date(on.year, last, last_day))
    days = {"weekly": 7, "every two weeks": 14}[schedule]
    into = (on - _FORTNIGHTS_START).days % days
    return Period(schedule, on - timedelta(into), on + timedelta(days - 1 - into))


def months_later(day: date, months: int) -> date:
    """Return the same day some months later, or the last one of a month that is shorter.

    >>> str(months_later(date(2026, 12, 31), 2))
    '2027-02-28'
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
