"""Billing periods divide the calendar: every day is in exactly one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.assembly import Terms
from ledger.homes import Period as LedgerPeriod
from ledger.homes import reference_of
from mappings.book import Book
from mappings.judging import terms_of
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
        ("quarterly", "2028-02-29", "2028-01-01", "2028-03-31"),
        ("quarterly", "2026-12-01", "2026-10-01", "2026-12-31"),
        ("yearly", "2026-07-01", "2026-01-01", "2026-12-31"),
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


ZONES = (
    *("Europe/Berlin", "America/New_York", "Pacific/Auckland"),
    *("Asia/Kathmandu", "America/Sao_Paulo", "Australia/Lord_Howe"),
)
THREE_YEARS = tuple(date(2016, 6, 1) + timedelta(days) for days in range(3 * 366))
"""With the years in which São Paulo's clocks still jumped over midnight."""


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_day_of_three_years_is_in_one_period_and_the_next_one_follows(schedule: str) -> None:
    before = period_of(schedule, THREE_YEARS[0])
    for on in THREE_YEARS:
        period = period_of(schedule, on)
        assert period.start <= on <= period.end
        if period != before:
            assert (period.start, on) == (before.end + timedelta(1), period.start)
            before = period


@pytest.mark.parametrize("zone", ZONES)
def test_a_period_is_due_at_the_second_at_which_the_next_one_begins(book: Book, zone: str) -> None:
    customer = replace(book.customers["acme"], time_zone=zone)
    there = {"acme": customer}

    def terms_at(now: datetime) -> Terms:
        with patch.object(book, "customers", there):
            terms = terms_of(book, "acme", most_lines=250, now=now, book_of=lambda _: book)
        assert terms is not None
        return terms

    due_at = terms_at(datetime(2026, 1, 1, tzinfo=UTC)).due_at
    for last in THREE_YEARS:
        due = due_at(last)
        local = due.astimezone(ZoneInfo(zone))
        assert local.date() == last + timedelta(1)
        # Where the clock jumps over midnight the day begins when it jumps.
        assert (due - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() == last
        if last == period_of("monthly", last).end:
            for schedule in SCHEDULES:
                after = terms_at(due).current_period(schedule)
                before = terms_at(due - timedelta(seconds=1)).current_period(schedule)
                assert after.first <= last + timedelta(1) <= after.last
                assert before.first <= last <= before.last
                assert (after == before) == (before.last > last)


@pytest.mark.parametrize(
    ("schedule", "on", "sequence", "reference"),
    [
        ("quarterly", "2026-12-31", 1, "acme-2026-Q4"),
        ("quarterly", "2026-01-01", 2, "acme-2026-Q1-2"),
        ("yearly", "2026-07-01", 1, "acme-2026"),
        ("monthly", "2026-10-05", 12, "acme-2026-10-no-12"),
    ],
)
def test_the_reference_of_a_period(schedule: str, on: str, sequence: int, reference: str) -> None:
    period = period_of(schedule, date.fromisoformat(on))
    there = LedgerPeriod(schedule, period.start, period.end)
    assert reference_of("acme", "EUR", there, sequence, "EUR") == reference


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(SCHEDULES)), DAYS, st.integers(1, 60)),
        min_size=2,
        max_size=2,
    )
)
def test_two_invoices_never_have_one_reference(those: list[tuple[str, date, int]]) -> None:
    homes = [(period_of(schedule, on), sequence) for schedule, on, sequence in those]
    references = {
        reference_of("acme", "EUR", LedgerPeriod(each.kind, each.start, each.end), number, "EUR")
        for each, number in homes
    }
    assert len(references) == len(set(homes))
