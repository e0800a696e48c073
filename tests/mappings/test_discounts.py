"""`mappings.clauses.discounts` and `minimums`: percentages off, and the least for a period."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import LineItem
from mappings.clauses.caps import Cap
from mappings.clauses.discounts import AppliedDiscount, Discount, early_payment
from mappings.clauses.minimums import AppliedMinimumFee, MinimumFee
from mappings.clauses.portions import Scope
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


def discount(
    over: int | None = 100_000,
    *,
    percent: str = "0.05",
    per: str = "period",
    on_everything: bool = False,
    names: frozenset[str] | None = None,
) -> AppliedDiscount:
    scope = Scope(None if over is None else "EUR", names)
    terms = Discount("Volume", scope, Decimal(percent), over, per, on_everything, AT)
    return terms.of_version("v1")


def minimum(at_least: int = 50_000, names: frozenset[str] | None = None) -> AppliedMinimumFee:
    return MinimumFee(Scope("EUR", names), at_least, "monthly", None, AT).of_version("v1")


FIRST, SECOND = date(2026, 10, 2), date(2026, 10, 9)


@given(
    histories(worked(tax=st.sampled_from(["", "DE19"]))),
    st.none() | st.integers(1, 900_000),
    st.sampled_from(["period", "contract", "year"]),
    st.booleans(),
)
def test_a_discount_comes_to_the_same_however_the_work_is_invoiced(
    history: list[Any], over: int | None, per: str, on_everything: bool
) -> None:
    agreements = [discount(over, per=per, on_everything=on_everything)]
    ledger = SmallLedger(agreements)
    play(ledger, history)
    assert total(ledger.lines) == total(all_at_once(agreements, net(ledger)).lines)
    assert amounts_are_right(ledger.lines)
    assert total(ledger.agreed()) <= 0


def net(ledger: SmallLedger) -> list[LineItem]:
    """Return the entries that nothing takes back."""
    taken_back = {line.corrects_id for line in ledger.entries()}
    return [
        each.line
        for each in ledger.known
        if each.line.kind == "entry" and each.line.corrects_id is None and each.id not in taken_back
    ]


@given(st.lists(worked(), min_size=1, max_size=6), st.integers(1, 900_000))
def test_what_is_over_a_volume_is_discounted_once(entries: list[LineItem], over: int) -> None:
    ledger = all_at_once([discount(over, per="contract")], entries)
    base = max(0, total(entries) - over)
    given_on = -sum(line.quantity for line in ledger.agreed())
    assert given_on * 100 == base
    # Each period's line is rounded for itself.
    assert abs(Decimal(-total(ledger.agreed())) - base * Decimal("0.05")) <= len(entries)


def test_there_is_a_line_for_each_tax_and_currency() -> None:
    entries = [
        entry(FIRST, "10", "100.00", tax="DE19"),
        entry(FIRST, "5", "100.00", tax="DE7"),
        entry(FIRST, "5", "100.00", currency="USD"),
    ]
    ledger = all_at_once([discount(None)], entries)
    assert sorted((line.currency, line.tax, line.amount) for line in ledger.agreed()) == [
        ("EUR", "DE19", -5_000),
        ("EUR", "DE7", -2_500),
        ("USD", "", -2_500),
    ]


@pytest.mark.parametrize(
    ("on_everything", "text", "amount"),
    [
        (False, "Volume, 5 % of what is over 1,000.00 EUR", -5_000),
        (True, "Volume, 5 % once it is over 1,000.00 EUR", -10_000),
    ],
)
def test_a_volume_is_passed(on_everything: bool, text: str, amount: int) -> None:
    ledger = SmallLedger([discount(on_everything=on_everything)])
    ledger.tell(1, entry(FIRST, "10", "100.00"))
    assert ledger.agreed() == []
    ledger.tell(2, entry(SECOND, "10", "100.00"))
    (line,) = ledger.agreed()
    assert (line.description, line.amount) == (text, amount)


def test_what_comes_late_adds_to_the_discount() -> None:
    ledger = SmallLedger([discount(None)])
    ledger.tell(1, entry(FIRST, "10", "100.00"))
    ledger.bill(date(2026, 10, 1))
    ledger.tell(2, entry(FIRST, "4", "100.00"))
    late = [each.line for each in ledger.known if not each.is_billed]
    assert [(line.quantity, line.unit_price, line.amount) for line in late] == [
        (Decimal(4), Decimal("100.00"), 40_000),
        (Decimal("-400.00"), Decimal("0.05"), -2_000),
    ]


def test_what_is_over_a_cap_is_not_discounted() -> None:
    cap = Cap("C", Scope("EUR"), 100_000, "EUR", "period", "show", AT).of_version("v1")
    ledger = all_at_once([cap, discount(None)], [entry(FIRST, "20", "100.00")])
    assert total(ledger.lines) == 95_000


@given(histories(worked()), st.integers(1, 900_000))
def test_a_period_with_any_line_costs_its_minimum(history: list[Any], at_least: int) -> None:
    ledger = SmallLedger([minimum(at_least)])
    play(ledger, history)
    taken_back = {each.line.corrects_id for each in ledger.known}
    for first in {each.line.period_from for each in ledger.known}:
        mine = [each for each in ledger.known if each.line.period_from == first]
        entries = [each for each in mine if each.line.kind == "entry"]
        worth = sum(each.line.amount for each in entries)
        # What was billed and is all taken back leaves no line.
        stands = any(not each.line.corrects_id and each.id not in taken_back for each in entries)
        assert total([each.line for each in mine]) == (max(worth, at_least) if stands else 0)
    assert amounts_are_right(ledger.lines)


def test_the_minimum_counts_what_is_left_after_all_else_and_names_itself() -> None:
    ledger = all_at_once(
        [discount(None, percent="0.5"), minimum()], [entry(FIRST, "6", "100.00", tax="DE19")]
    )
    (_, line) = ledger.agreed()
    assert (line.description, line.amount, line.tax, line.rule) == (
        "Up to the minimum fee of 500.00 EUR",
        20_000,
        "DE19",
        "Minimum fee",
    )


def test_what_is_invoiced_at_once_owes_no_minimum() -> None:
    ledger = all_at_once([minimum()], [entry(FIRST, "1", "100.00", schedule="at once")])
    assert ledger.agreed() == []


def test_a_minimum_for_some_rules_counts_these() -> None:
    entries = [
        entry(FIRST, "1", "100.00"),
        entry(FIRST, "50", "100.00", rule="Travel"),
    ]
    ledger = all_at_once([minimum(names=frozenset(["Hours"]))], entries)
    assert [line.amount for line in ledger.agreed()] == [40_000]


def test_early_payment_is_said_in_a_sentence() -> None:
    terms = early_payment("2.50 % within 10 days")
    assert (terms.percent, terms.days) == (Decimal("0.025"), 10)
    assert terms.sentence() == "2.5 % discount if it is paid within 10 days."


def test_what_is_over_is_the_later_work_whatever_was_billed_first() -> None:
    ledger = SmallLedger([discount()])
    ledger.tell(1, entry(SECOND, "10", "100.00", tax="DE7"))
    ledger.bill(date(2026, 10, 1))
    ledger.tell(2, entry(FIRST, "10", "100.00", tax="DE19"))
    assert {(line.tax, line.amount) for line in ledger.agreed()} == {("DE7", -5_000)}


def test_a_discount_of_the_whole_contract_stands_in_each_period_it_is_given_for() -> None:
    entries = [entry(FIRST, "20", "100.00"), entry(date(2026, 11, 2), "20", "100.00")]
    ledger = all_at_once([discount(per="contract")], entries)
    assert [(line.period_from.month, line.amount) for line in ledger.agreed()] == [
        (10, -5_000),
        (11, -10_000),
    ]


def test_who_has_just_reached_the_minimum_owes_nothing_more() -> None:
    assert all_at_once([minimum()], [entry(FIRST, "5", "100.00")]).agreed() == []


def test_each_currency_has_its_own_discount_where_the_tax_is_the_same() -> None:
    entries = [entry(FIRST, "10", "100.00"), entry(FIRST, "5", "100.00", currency="USD")]
    found = all_at_once([discount(None)], entries).agreed()
    assert [(line.currency, line.amount) for line in found] == [("EUR", -5_000), ("USD", -2_500)]


@pytest.mark.parametrize(("per", "is_for_ever"), [("period", False), ("year", True)])
def test_a_volume_of_more_than_a_period_looks_at_all_of_them(per: str, is_for_ever: bool) -> None:
    assert discount(per=per).is_for_ever is is_for_ever


def test_the_minimum_fee_has_the_tax_of_most_of_the_money() -> None:
    entries = [entry(FIRST, "1", "100.00", tax="DE19"), entry(SECOND, "2", "100.00", tax="DE7")]
    (line,) = all_at_once([minimum()], entries).agreed()
    assert (line.tax, line.amount) == ("DE7", 20_000)
