"""`mappings.clauses.caps`: never more than the cap, never less than the work, however it came."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import LineItem
from ledger.printing import NumberedLine, print_lines
from ledger.sums import HELD, brought_together
from mappings.clauses.caps import OVER, AppliedCap, Cap
from mappings.clauses.portions import WINDOWS, Scope, window_of
from tests.mappings.small_ledger import (
    AT,
    SmallLedger,
    all_at_once,
    amounts_are_right,
    entry,
    histories,
    play,
    total,
    worked,
)

PROJECTS = st.sampled_from(["ACME", "SITE"])


def cap(
    at_most: int = 100_000, per: str = "period", over: str = "show", **other: Any
) -> AppliedCap:
    return Cap("Ceiling", Scope("EUR", **other), at_most, "EUR", per, over, AT).of_version("v1")


def by_window(per: str, lines: list[LineItem]) -> dict[Any, int]:
    """Return what is due in each window."""
    due: dict[Any, int] = defaultdict(int)
    for line in lines:
        due[window_of(per, line)] += line.amount
    return due


def printed(lines: list[LineItem], agreements: Any) -> list[tuple[str, str, int]]:
    known = brought_together(lines, lambda *_: (), agreements)
    return [
        (line.description, f"{line.quantity}", line.amount)
        for line in print_lines([NumberedLine(each.id, each.line) for each in known], {})
    ]


@given(
    histories(worked(project=PROJECTS)),
    st.sampled_from([*WINDOWS]),
    st.sampled_from(["show", "hold"]),
    st.integers(1, 900_000),
)
def test_what_is_billed_is_the_cap_or_the_work(
    history: list[Any], per: str, over: str, at_most: int
) -> None:
    ledger = SmallLedger([cap(at_most, per, over)])
    play(ledger, history)
    worth = by_window(per, ledger.entries())
    assert total(ledger.lines) == sum(min(at_most, each) for each in worth.values())
    assert amounts_are_right(ledger.lines)


@given(histories(worked()), st.integers(1, 900_000))
def test_each_line_keeps_between_nothing_and_its_price(history: list[Any], at_most: int) -> None:
    ledger = SmallLedger([cap(at_most, "contract")])
    play(ledger, history)
    left: dict[Any, int] = defaultdict(int)
    worth: dict[Any, int] = defaultdict(int)
    for line in ledger.lines:
        key = (line.rule, line.unit_price, line.project) if line.kind != "agreement" else None
        if key:
            worth[key] += line.amount
        left[line.rule, line.unit_price, line.project] += line.amount
    # A cent of rounding stands on a line of its own.
    assert all(-1 * len(history) <= each for each in left.values())
    assert all(left[key] <= worth[key] + len(history) for key in worth)


@given(histories(worked()), st.integers(400_000, 900_000))
def test_what_is_carried_over_fills_each_period_up_to_its_cap(
    history: list[Any], at_most: int
) -> None:
    ledger = SmallLedger([cap(at_most, over="carry over")])
    play(ledger, history)
    worth = by_window("period", ledger.entries())
    billed = waiting = 0
    for month in (date(2026 + number // 12, number % 12 + 1, 1) for number in range(30)):
        here = worth.get(("monthly", month), 0)
        fits = min(at_most, here + waiting)
        waiting += here - fits
        billed += fits
    assert total(ledger.lines) == billed
    assert amounts_are_right(ledger.lines)


@given(st.lists(worked(), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_order_of_arrival_prints_the_same(entries: list[LineItem], random: Random) -> None:
    for over in OVER:
        agreements = [cap(150_000, over=over)]
        assert printed(entries, agreements) == printed(
            random.sample(entries, len(entries)), agreements
        )


OCTOBER = [
    entry(date(2026, 10, 2), "50", "120.00", description="first"),
    entry(date(2026, 10, 9), "100", "120.00", description="second"),
    entry(date(2026, 10, 20), "1", "80.00", description="third"),
]


@pytest.mark.parametrize(
    ("over", "lines"),
    [
        (
            "show",
            [
                ("first", "50", 600_000),
                ("second", "33.3333", 400_000),
                ("second, over the cap of 10,000.00 EUR", "66.6667", 0),
                ("third, over the cap of 10,000.00 EUR", "1", 0),
            ],
        ),
        ("hold", [("first", "50", 600_000), ("second", "33.3333", 400_000)]),
        (
            "carry over",
            [
                ("first", "50", 600_000),
                ("second", "33.3333", 400_000),
                ("second, carried over from October 2026", "66.6667", 800_000),
                ("third, carried over from October 2026", "1", 8_000),
            ],
        ),
    ],
)
def test_the_line_that_crosses_the_cap_is_cut(over: str, lines: list[tuple[str, str, int]]) -> None:
    assert sorted(printed(OCTOBER, [cap(1_000_000, over=over)])) == sorted(lines)


def test_what_is_billed_comes_before_what_is_earlier() -> None:
    ledger = SmallLedger([cap(100_000)])
    ledger.tell(1, entry(date(2026, 10, 20), "10", "100.00"))
    ledger.bill(date(2026, 10, 1))
    ledger.tell(2, entry(date(2026, 10, 2), "4", "100.00"))
    cut, shown = ledger.agreed()
    assert (cut.amount, cut.adjusts_id, shown.unit_price) == (-40_000, 2, Decimal(0))


def test_what_is_taken_back_makes_room() -> None:
    ledger = SmallLedger([cap(100_000)])
    ledger.tell(1, entry(date(2026, 10, 2), "8", "100.00"))
    ledger.tell(2, entry(date(2026, 10, 3), "7", "100.00"))
    ledger.bill(date(2026, 10, 1))
    assert total(ledger.lines) == 100_000
    ledger.tell(1, None)
    assert total(ledger.lines) == 70_000


def test_a_raised_cap_bills_what_was_held() -> None:
    ledger = SmallLedger([cap(100_000, over="hold")])
    ledger.tell(1, entry(date(2026, 10, 2), "15", "100.00"))
    assert [line.pool.startswith(HELD) for line in ledger.agreed()] == [True]
    ledger.bill(date(2026, 10, 1))
    ledger.agreements = [cap(120_000, over="hold")]
    ledger.assemble()
    assert [each.line.amount for each in ledger.known if not each.is_billed] == [20_000]


def test_only_the_lines_in_its_scope_are_capped() -> None:
    lines = [
        entry(date(2026, 10, 2), "10", "100.00"),
        entry(date(2026, 10, 2), "10", "100.00", rule="Travel"),
        entry(date(2026, 10, 2), "10", "100.00", project="INTERN"),
        entry(date(2026, 9, 2), "10", "100.00"),
        entry(date(2026, 11, 2), "10", "100.00"),
        entry(date(2026, 10, 2), "10", "100.00", currency="USD"),
    ]
    scope: dict[str, Any] = {
        "names": frozenset(["Hours"]),
        "projects": ("ac*",),
        "first": date(2026, 10, 1),
        "last": date(2026, 10, 31),
    }
    ledger = all_at_once([cap(1, "contract", **scope)], lines)
    assert [line.amount for line in ledger.agreed()] == [-99_999, 0]


def test_two_caps_never_cut_the_same_twice() -> None:
    ledger = all_at_once([cap(80_000), cap(100_000, "contract")], OCTOBER)
    assert total(ledger.lines) == 80_000
    ledger = all_at_once([cap(100_000), cap(80_000, "contract")], OCTOBER)
    assert total(ledger.lines) == 80_000


def test_what_is_over_for_years_is_carried_no_further_than_two() -> None:
    ledger = all_at_once([cap(100, over="carry over")], [OCTOBER[0]])
    assert total(ledger.lines) == 100 * 25
    assert max(line.period_from for line in ledger.lines) == date(2028, 10, 1)
    # What no period takes is seen as held.
    held = [line.amount for line in ledger.lines if line.pool.startswith(HELD)]
    assert held == [100 * 25 - 600_000]


def test_a_cap_of_yen_is_whole() -> None:
    applied = Cap("C", Scope("JPY"), 1000, "JPY", "period", "show", AT).of_version("v1")
    ledger = all_at_once(
        [applied],
        [
            entry(date(2026, 10, 2), "3", "333.33", currency="JPY"),
            entry(date(2026, 10, 3), "2", "333.33", currency="JPY"),
        ],
    )
    assert total(ledger.lines) == 1000
    assert ledger.agreed()[0].quantity == Decimal("-2")


@given(
    st.lists(worked(project=PROJECTS), max_size=6),
    st.sampled_from([*WINDOWS]),
    st.sampled_from(["show", "hold"]),
    st.integers(1, 900_000),
)
def test_each_window_has_its_own_cap(
    entries: list[LineItem], per: str, over: str, at_most: int
) -> None:
    ledger = all_at_once([cap(at_most, per, over)], entries)
    assert by_window(per, ledger.lines) == {
        window: min(at_most, worth) for window, worth in by_window(per, entries).items()
    }


@given(st.lists(worked(), max_size=6), st.integers(100_000, 900_000))
def test_no_period_takes_more_than_its_cap_with_what_is_carried_over(
    entries: list[LineItem], at_most: int
) -> None:
    ledger = all_at_once([cap(at_most, over="carry over")], entries)
    assert max(by_window("period", ledger.lines).values(), default=0) <= at_most


def test_less_time_of_another_price_makes_room_too() -> None:
    entries = [
        entry(date(2026, 10, 2), "10", "100.00"),
        entry(date(2026, 10, 3), "-2", "120.00"),
        entry(date(2026, 10, 4), "3", "100.00"),
    ]
    assert total(all_at_once([cap(100_000)], entries).lines) == 100_000


def test_the_oldest_work_is_carried_over_first() -> None:
    entries = [
        entry(date(2026, 10, 2), "25", "100.00"),
        entry(date(2026, 11, 2), "15", "100.00"),
    ]
    carried = [
        (f"{line.period_from} {line.period_to}", line.description.split()[-2], line.amount)
        for line in all_at_once([cap(100_000, over="carry over")], entries).agreed()
        if line.amount > 0
    ]
    assert carried == [
        ("2026-12-01 2026-12-31", "October", 100_000),
        ("2027-01-01 2027-01-31", "October", 50_000),
        ("2027-01-01 2027-01-31", "November", 50_000),
    ]


def test_what_is_left_of_a_cut_line_has_the_fewest_decimals() -> None:
    lines = printed([entry(date(2026, 10, 2), "10.0049", "1.00")], [cap(500, over="hold")])
    assert lines == [("work at 1.00", "5.0000", 500)]


def test_a_cut_is_named_by_the_last_day_of_its_line() -> None:
    entries = [entry(date(2026, 10, day), "10", "100.00", grouping=("ACME-7",)) for day in (2, 9)]
    assert {line.on.day for line in all_at_once([cap(50_000)], entries).agreed()} == {9}


@pytest.mark.parametrize(
    ("per", "over", "is_for_ever"),
    [
        ("period", "show", False),
        ("period", "hold", True),
        ("period", "carry over", True),
        ("project", "show", True),
        ("year", "show", True),
    ],
)
def test_only_a_cap_of_single_periods_that_shows_the_rest_looks_at_nothing_else(
    per: str, over: str, is_for_ever: bool
) -> None:
    assert cap(1, per, over).is_for_ever is is_for_ever
