"""Billing periods divide the calendar: every day is in exactly one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.periods import SCHEDULES, Period, period_of

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
