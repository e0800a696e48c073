"""`mappings.clauses.prepaid`: the oldest grant is drawn first, and never more than was granted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import LineItem
from ledger.sums import ROUNDING
from mappings.clauses.portions import Scope
from mappings.clauses.prepaid import AppliedPrepaid, Prepaid, RollOver, rolls_over
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

HALF_HOURS = ("120.00", "80.00")
"""Prices of which a quarter of an hour is a whole number of cents."""


def support(
    size: str = "20",
    *,
    every: str | None = "month",
    roll_over: str = "no",
    in_hours: bool = True,
    from_on: date = date(2026, 1, 1),
    until: date | None = None,
    shows_left: bool = False,
) -> AppliedPrepaid:
    return Prepaid(
        name="Support hours",
        scope=Scope("EUR", first=from_on, last=until),
        from_on=from_on,
        size=Decimal(size),
        in_hours=in_hours,
        currency="EUR",
        every=every,
        roll_over=rolls_over(roll_over),
        shows_left=shows_left,
        at=AT,
    ).of_version("v1")


def month(number: int) -> date:
    """Return the first day of a month, counted from January 2026 as 0."""
    return date(2026 + number // 12, number % 12 + 1, 1)


def slowly(
    entries: Sequence[LineItem], size: int, roll_over: int | None, until: date | None
) -> tuple[Decimal, int]:
    """Return what is drawn, quarter of an hour by quarter: hours, and the money that it saves."""
    left = [size * 4 for _ in range(12)]
    drawn, saved = 0, Decimal(0)
    for line in sorted(entries, key=lambda line: (line.on, line.grouping, line.description)):
        if until and line.on > until:
            continue
        for _ in range(int(line.quantity * 4)):
            for number in range(12):
                is_over = roll_over is not None and line.on >= month(number + 1 + roll_over)
                if month(number) <= line.on and not is_over and left[number]:
                    left[number] -= 1
                    drawn += 1
                    saved += line.unit_price * 25
                    break
    return Decimal(drawn) / 4, int(saved)


@given(
    histories(worked(HALF_HOURS)),
    st.integers(1, 40),
    st.sampled_from([None, 0, 1, 2]),
    st.none() | st.dates(date(2026, 1, 1), date(2026, 6, 30)),
)
def test_what_is_drawn_is_what_the_slow_way_draws(
    history: list[Any], size: int, roll_over: int | None, until: date | None
) -> None:
    words = {None: "for ever", 0: "no", 1: "1 month", 2: "2 months"}[roll_over]
    ledger = SmallLedger([support(str(size), roll_over=words, until=until)])
    play(ledger, history)
    hours, money = slowly(standing(ledger), size, roll_over, until)
    assert -sum(line.quantity for line in ledger.agreed()) == hours
    assert -total(ledger.agreed()) == money
    assert amounts_are_right(ledger.lines)


def standing(ledger: SmallLedger) -> list[LineItem]:
    """Return the entries that nothing takes back."""
    taken_back = {line.corrects_id for line in ledger.entries()}
    return [
        each.line
        for each in ledger.known
        if each.line.kind == "entry" and each.line.corrects_id is None and each.id not in taken_back
    ]


@given(histories(worked()), st.integers(1, 600_000))
def test_a_retainer_of_money_is_drawn_to_the_last_cent(history: list[Any], size: int) -> None:
    retainer = support(str(size), every=None, in_hours=False)
    ledger = SmallLedger([retainer])
    play(ledger, history)
    assert -total(ledger.agreed()) == min(size, total(ledger.entries()))
    assert amounts_are_right(ledger.lines)


@given(histories(worked(("99.99", "0.33333"))), st.integers(1, 40))
def test_drawing_never_makes_work_cost_less_than_nothing(history: list[Any], size: int) -> None:
    ledger = SmallLedger([support(str(size), roll_over="1 month")])
    play(ledger, history)
    assert 0 <= total(ledger.lines) <= total(ledger.entries())
    assert total(ledger.lines) == total(all_at_once(ledger.agreements, standing(ledger)).lines)
    assert amounts_are_right(ledger.lines)


def test_a_grant_ends_to_the_day() -> None:
    last, first = date(2026, 1, 31), date(2026, 2, 1)
    ledger = all_at_once([support("8", until=first)], [entry(last, "10", "100.00")])
    assert total(ledger.lines) == 20_000
    ledger.tell(7, entry(first, "10", "100.00"))
    assert total(ledger.lines) == 40_000
    ledger.tell(8, entry(first + timedelta(1), "1", "100.00"))
    assert total(ledger.lines) == 50_000


def test_a_month_that_began_on_the_31st_begins_again_on_the_31st() -> None:
    grants = list(support(from_on=date(2026, 1, 31)).prepaid.grants(date(2026, 4, 30)))
    assert [(str(grant.first), str(grant.after)) for grant in grants] == [
        ("2026-01-31", "2026-02-28"),
        ("2026-02-28", "2026-03-31"),
        ("2026-03-31", "2026-04-30"),
        ("2026-04-30", "2026-05-31"),
    ]


@pytest.mark.parametrize(
    ("every", "roll_over", "second", "ends"),
    [
        ("week", "2 weeks", "2026-01-08", "2026-01-22"),
        ("quarter", "1 month", "2026-04-01", "2026-05-01"),
        ("year", "1 year", "2027-01-01", "2028-01-01"),
    ],
)
def test_grants_of_other_lengths(every: str, roll_over: str, second: str, ends: str) -> None:
    first, following = list(support(every=every, roll_over=roll_over).prepaid.grants(month(12)))[:2]
    assert (str(following.first), str(first.after)) == (second, ends)


def test_a_package_of_hours_is_granted_once() -> None:
    package = support("30", every=None, until=date(2026, 6, 30))
    entries = [entry(month(number), "10", "100.00") for number in range(12)]
    assert total(all_at_once([package], entries).lines) == 900_000


def test_two_packages_are_drawn_one_after_the_other() -> None:
    first = support("5", every=None, until=date(2026, 1, 31))
    second = support("5", every=None)
    entries = [entry(date(2026, 1, 5), "8", "100.00"), entry(date(2026, 2, 5), "8", "100.00")]
    ledger = all_at_once([first, second], entries)
    assert total(ledger.lines) == 60_000


def test_the_lines_say_what_was_drawn_and_what_is_left() -> None:
    ledger = SmallLedger([support("20", roll_over="1 month", shows_left=True)])
    ledger.tell(1, entry(date(2026, 1, 5), "7.5", "100.00"))
    drawn, left = ledger.agreed()
    assert (drawn.description, drawn.quantity, drawn.unit_price) == (
        "Drawn from Support hours",
        Decimal("-7.5"),
        Decimal("100.00"),
    )
    assert drawn.steps == (
        "7.50 h of the 20.00 h of Support hours that were granted on 2026-01-01 (acme.yaml:3)",
    )
    assert (left.description, left.amount) == (
        "Support hours: 7.50 h drawn, 12.50 h left on 2026-01-31",
        0,
    )
    ledger.bill(month(0))
    ledger.tell(2, entry(date(2026, 2, 5), "30", "100.00"))
    texts = [each.line.description for each in ledger.known if not each.is_billed]
    assert "Support hours: 30.00 h drawn, 2.50 h left on 2026-02-28" in texts
    # What was said of January on its invoice is not said again.
    assert len([text for text in texts if "left" in text]) == 1


def test_what_ends_with_the_period_is_told() -> None:
    ledger = SmallLedger([support("20", shows_left=True)])
    ledger.tell(1, entry(date(2026, 1, 5), "7.5", "100.00"))
    assert ledger.agreed()[1].description.endswith(
        "12.50 h left on 2026-01-31, of which 12.50 h end on that day"
    )


def test_an_entry_that_comes_late_is_drawn_by_its_own_day() -> None:
    ledger = SmallLedger([support("10", roll_over="for ever")])
    ledger.tell(1, entry(date(2026, 1, 20), "10", "80.00"))
    ledger.bill(month(0))
    ledger.tell(2, entry(date(2026, 1, 10), "10", "120.00"))
    assert total(ledger.lines) == 80_000
    assert total(all_at_once(ledger.agreements, ledger.entries()).lines) == 80_000


@pytest.mark.parametrize("text", ["never", "0 months", "2 days", "2", "months", ""])
def test_a_roll_over_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        rolls_over(text)


def test_a_roll_over_is_as_long_as_it_says() -> None:
    assert rolls_over("2 months") == RollOver(months=2)
    assert rolls_over("no").after(month(1)) == month(1)
    assert rolls_over("for ever").after(month(1)) is None


def test_what_two_packages_draw_is_never_more_than_the_work() -> None:
    first, second = support("5", every=None), support("5", every=None)
    ledger = all_at_once([first, second], [entry(date(2026, 1, 5), "8", "100.00")])
    assert total(ledger.lines) == 0


def test_less_time_gives_back_what_it_drew() -> None:
    ledger = SmallLedger([support("8")])
    ledger.tell(1, entry(date(2026, 1, 5), "5", "100.00"))
    ledger.bill(month(0))
    ledger.tell(2, entry(date(2026, 1, 6), "-2", "100.00"))
    assert total(ledger.lines) == 0
    ledger.tell(3, entry(date(2026, 1, 7), "6", "100.00"))
    assert total(ledger.lines) == 10_000


def test_a_cent_that_makes_up_for_rounding_draws_no_hour() -> None:
    rounding = entry(date(2026, 1, 6), "1", "0.01", description=ROUNDING)
    ledger = all_at_once([support("3")], [rounding, entry(date(2026, 1, 7), "3", "100.00")])
    assert total(ledger.lines) == 1


def test_a_grant_cannot_be_drawn_on_the_day_on_which_the_next_one_begins() -> None:
    ledger = all_at_once([support("8")], [entry(date(2026, 2, 1), "10", "100.00")])
    assert total(ledger.lines) == 20_000


def test_a_part_never_costs_more_than_the_whole_line() -> None:
    quarters = [entry(date(2026, 1, 5), "0.25", "0.33333", grouping=("ACME-7",))] * 3
    ledger = all_at_once([support("0.74")], quarters)
    assert (total(ledger.entries()), total(ledger.agreed())) == (24, -24)


def test_a_period_tells_all_that_was_drawn_and_granted_until_its_end() -> None:
    weekly = support("8", every="week", roll_over="for ever", shows_left=True)
    entries = [entry(date(2026, 1, 5), "2", "100.00"), entry(date(2026, 1, 6), "3", "80.00")]
    texts = [line.description for line in all_at_once([weekly], entries).agreed()]
    assert texts[-1] == "Support hours: 5.00 h drawn, 35.00 h left on 2026-01-31"
