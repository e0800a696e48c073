"""`mappings.clauses.portions`: what is due of the work, as agreements look at it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from ledger.corrections import KnownLine, taking_back
from mappings.clauses.portions import Scope, pool_name, portions, window_of
from tests.mappings.small_ledger import entry

DAY = date(2026, 10, 2)


def test_what_is_removed_leaves_the_other_line_of_the_same_price_as_it_was() -> None:
    first, second = (
        KnownLine(number, True, entry(DAY, hours, "100.00"))
        for number, hours in ((1, "8"), (2, "4"))
    )
    removed = KnownLine(3, False, taking_back(second, 9))
    assert [(each.own_id, each.quantity) for each in portions([first, second, removed])] == [
        (1, Decimal(8))
    ]


def test_what_is_billed_of_a_line_stays_apart_from_what_is_open() -> None:
    line = entry(DAY, "5", "100.00", grouping=("ACME-7",))
    found = portions([KnownLine(1, True, line), KnownLine(2, False, line)])
    assert sorted((each.is_billed, each.amount) for each in found) == [
        (False, 50_000),
        (True, 50_000),
    ]


@pytest.mark.parametrize("other", [{"tax": "DE7"}, {"currency": "USD"}, {"project": "SITE"}])
def test_less_work_is_taken_off_work_of_its_own_kind_alone(other: dict[str, str]) -> None:
    lines = [entry(DAY, "10", "100.00"), entry(DAY, "-2", "100.00", **other)]
    found = portions(KnownLine(number, False, line) for number, line in enumerate(lines, 1))
    assert sorted(each.amount for each in found) == [-20_000, 100_000]


@pytest.mark.parametrize(
    ("per", "together", "apart"),
    [
        ("month", date(2026, 10, 31), date(2027, 10, 2)),
        ("quarter", date(2026, 12, 31), date(2026, 9, 30)),
        ("quarter", date(2026, 12, 31), date(2027, 10, 2)),
        ("year", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_a_window_ends_where_the_calendar_says(per: str, together: date, apart: date) -> None:
    window, same, other = (window_of(per, entry(on, "1", "1.00")) for on in (DAY, together, apart))
    assert window == same
    assert window != other


def test_less_time_is_taken_off_the_same_worker_and_the_same_day_first() -> None:
    ana, ben = (entry(DAY, "8", "100.00", person=name, item=name) for name in ("Ana", "Ben"))
    later = entry(date(2026, 10, 9), "8", "100.00", person="Ana", item="Ana")
    less = entry(DAY, "-2", "100.00", person="Ana", item="Ana")
    lines = [ana, ben, later, less]
    found = portions(KnownLine(number, False, line) for number, line in enumerate(lines, 1))
    assert [(each.own_id, each.quantity) for each in found] == [
        (1, Decimal(6)),
        (2, Decimal(8)),
        (3, Decimal(8)),
    ]


@pytest.mark.parametrize(("day", "counts"), [(1, False), (2, True), (9, True), (10, False)])
def test_the_first_and_the_last_day_of_a_scope_count(day: int, counts: bool) -> None:
    scope = Scope("EUR", first=DAY, last=date(2026, 10, 9))
    assert scope.holds(entry(date(2026, 10, day), "1", "1.00")) is counts


def test_each_window_and_period_has_its_own_pool() -> None:
    line = entry(DAY, "1", "1.00")
    names = {
        pool_name("cap: A", window_of(per, line), line) for per in ("period", "month", "project")
    }
    assert names == {
        "cap: A, monthly 2026-10-01",
        "cap: A, 2026, 10, monthly 2026-10-01",
        "cap: A, ACME, monthly 2026-10-01",
    }
