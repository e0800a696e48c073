"""Billing periods divide the calendar: every day is in exactly one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.periods import SCHEDULES, Period, is_over, period_of

DAYS = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("schedule", "on", "start", "end"),
    [
        ("at once", "2026-03-04", "2026-03-04", "2026-03-04"),
        ("weekly", "2026-03-04", "2026-03-02", "2026-03-08"),
        ("weekly", "2026-03-08", "2026-03-02", "2026-03-08"),
        ("every two weeks", "2024-01-14", "2024-01-01", "2024-01-14"),
        ("every two weeks", "2024-01-15", "2024-01-15", "2024-01-28"),
        ("every two weeks", "2023-12-31", "2023-12-18", "2023-12-31"),
        ("monthly", "2028-02-29", "2028-02-01", "2028-02-29"),
        ("monthly", "2026-12-31", "2026-12-01", "2026-12-31"),
    ],
)
def test_the_period_of_a_day(schedule: str, on: str, start: str, end: str) -> None:
    expected = Period(schedule, date.fromisoformat(start), date.fromisoformat(end))
    assert period_of(schedule, date.fromisoformat(on)) == expected


@given(st.sampled_from(sorted(SCHEDULES)), DAYS)
def test_periods_partition_the_calendar(schedule: str, on: date) -> None:
    period = period_of(schedule, on)
    assert period.start <= on <= period.end
    assert period_of(schedule, period.start) == period_of(schedule, period.end) == period
    assert period_of(schedule, period.end + timedelta(1)).start == period.end + timedelta(1)


def test_a_period_ends_when_its_last_day_ends_in_the_customers_time_zone() -> None:
    march = period_of("monthly", date(2026, 3, 4))
    # Berlin moved to summer time on 2026-03-29, so its April began at 22:00 UTC.
    last = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)
    assert not is_over(march, last, ZoneInfo("Europe/Berlin"))
    assert is_over(march, last + timedelta(minutes=1), ZoneInfo("Europe/Berlin"))
    assert not is_over(march, last + timedelta(hours=8), ZoneInfo("America/Los_Angeles"))


def test_what_is_invoiced_at_once_waits_for_nothing() -> None:
    today = datetime(2026, 3, 4, 9, tzinfo=UTC)
    assert is_over(period_of("at once", date(2026, 3, 4)), today, ZoneInfo("UTC"))
