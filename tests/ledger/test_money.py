"""`ledger.money`: exact, rounded half up, and the same upwards as downwards."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import (
    HOURS_PLACES,
    Money,
    allocate,
    billed_as,
    exact_amount,
    exponent,
    hours,
    line_amount,
    printed,
    quantity_for,
    round_seconds,
    to_minor,
)

CURRENCIES = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}
quantities = st.decimals(min_value=-10_000, max_value=10_000, places=HOURS_PLACES)
prices = st.decimals(min_value=0, max_value=1_000_000, places=8)
currencies = st.sampled_from(sorted(CURRENCIES))


@pytest.mark.parametrize(("currency", "places"), CURRENCIES.items())
def test_a_currency_has_the_places_of_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places


@pytest.mark.parametrize("code", ["EURO", "eur", "", "ZZZ", "XAU"])
def test_what_is_no_money_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match=r"ISO 4217"):
        exponent(code)


@pytest.mark.parametrize(
    ("quantity", "unit_price", "currency", "minor"),
    [
        ("1", "0.005", "EUR", 1),
        ("1", "0.0049999999", "EUR", 0),
        ("3", "0.335", "EUR", 101),
        ("-3", "0.335", "EUR", -101),
        ("1", "2.5", "JPY", 3),
        ("-1", "2.5", "JPY", -3),
        ("1", "1.2345", "KWD", 1235),
        ("0.8333", "120.00", "EUR", 10000),
        ("0.0001", "0.01", "EUR", 0),
    ],
)
def test_a_line_is_rounded_half_up_once(
    quantity: str, unit_price: str, currency: str, minor: int
) -> None:
    assert line_amount(Decimal(quantity), Decimal(unit_price), currency) == Money(minor, currency)


@given(quantities, prices, currencies)
def test_a_negative_line_mirrors_the_positive_one(
    quantity: Decimal, unit_price: Decimal, currency: str
) -> None:
    forth = line_amount(quantity, unit_price, currency)
    assert line_amount(-quantity, unit_price, currency) == -forth


@given(quantities, prices, currencies)
def test_a_line_is_never_more_than_half_a_minor_unit_off(
    quantity: Decimal, unit_price: Decimal, currency: str
) -> None:
    exact = Fraction(quantity) * Fraction(unit_price) * 10 ** CURRENCIES[currency]
    assert abs(line_amount(quantity, unit_price, currency).minor - exact) <= Fraction(1, 2)


@given(st.integers(min_value=-(10**15), max_value=10**15), currencies)
def test_minor_units_come_back_from_major_ones(minor: int, currency: str) -> None:
    assert to_minor(Money(minor, currency).decimal(), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"), [("0.001", "EUR"), ("1.5", "JPY"), ("1.2345", "KWD")]
)
def test_an_amount_that_would_have_to_be_rounded_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="more decimal places"):
        to_minor(Decimal(amount), currency)


def test_two_currencies_never_mix() -> None:
    with pytest.raises(ValueError, match="EUR and JPY"):
        Money(1, "EUR") + Money(1, "JPY")
    with pytest.raises(ValueError, match="EUR and JPY"):
        Money(1, "EUR") - Money(1, "JPY")


def test_money_is_written_as_people_read_it() -> None:
    assert [str(Money(*each)) for each in [(1234567, "EUR"), (-5, "EUR"), (1500, "JPY")]] == [
        "12,345.67 EUR",
        "-0.05 EUR",
        "1,500 JPY",
    ]


@given(st.integers(min_value=-(10**8), max_value=10**8))
def test_hours_tell_any_two_durations_apart(seconds: int) -> None:
    assert hours(seconds) != hours(seconds + 1)
    assert hours(-seconds) == -hours(seconds)


@pytest.mark.parametrize(
    ("seconds", "direction", "rounded"),
    [
        (1, "up", 900),
        (900, "up", 900),
        (901, "up", 1800),
        (899, "down", 0),
        (449, "nearest", 0),
        (450, "nearest", 900),
        (-450, "nearest", -900),
        (-1, "up", -900),
        (0, "up", 0),
    ],
)
def test_durations_are_rounded_in_steps(seconds: int, direction: str, rounded: int) -> None:
    assert round_seconds(seconds, 900, direction) == rounded


@given(
    st.integers(min_value=-(10**7), max_value=10**7),
    st.sampled_from([1, 360, 900, 3600]),
    st.sampled_from(["up", "down", "nearest"]),
)
def test_rounding_a_rounded_duration_changes_nothing(
    seconds: int, step: int, direction: str
) -> None:
    once = round_seconds(seconds, step, direction)
    assert once % step == 0
    assert abs(once - seconds) < step
    assert round_seconds(once, step, direction) == once


@given(quantities)
def test_a_printed_quantity_says_the_quantity(quantity: Decimal) -> None:
    text = printed(quantity)
    assert Decimal(text) == quantity
    assert len(text.partition(".")[2]) >= 2


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.fractions(0, 1000, max_denominator=1000), min_size=1, max_size=8),
)
def test_parts_add_up_and_are_within_one_unit_of_their_share(
    total: int, shares: list[Fraction]
) -> None:
    if not sum(shares):
        with pytest.raises(ValueError, match="shares of nothing"):
            allocate(total, shares)
        return
    parts = allocate(total, shares)
    assert sum(parts) == total
    assert allocate(-total, shares) == [-part for part in parts]
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - total * share / sum(shares)) < 1
        assert share or not part


def test_what_is_left_over_goes_to_the_largest_remainders_first() -> None:
    thirds = [Fraction(1), Fraction(1), Fraction(1)]
    assert allocate(101, thirds) == [34, 34, 33]
    assert allocate(10, [Fraction(3), Fraction(3), Fraction(1)]) == [4, 4, 2]
    assert allocate(1, [Fraction(1), Fraction(2)]) == [0, 1]


@given(
    st.fractions(0, 1000, max_denominator=400), prices.filter(bool), st.sampled_from(["EUR", "JPY"])
)
def test_a_settled_amount_is_quantity_times_price(
    quantity: Fraction, price: Decimal, currency: str
) -> None:
    amount = exact_amount(quantity * Fraction(price), currency)
    billed, at = billed_as(quantity, price, amount)
    assert line_amount(billed, at, currency) == amount
    exact = quantity * Fraction(price) * 10 ** exponent(currency)
    assert abs(amount.minor - exact) <= Fraction(1, 2)
    if at == price:
        assert abs(Fraction(billed) - quantity) <= Fraction(1, 2 * 10**HOURS_PLACES)
    else:
        assert billed == 1


def test_half_a_cent_is_rounded_away_from_zero() -> None:
    assert exact_amount(Fraction(5, 1000), "EUR").minor == 1
    assert exact_amount(Fraction(-5, 1000), "EUR").minor == -1
    assert exact_amount(Fraction(4999, 1000000), "EUR").minor == 0


@pytest.mark.parametrize(
    ("minor", "price", "of", "part"),
    [
        (48_120, "7.77", "85.25", "61.931"),
        (205, "0.33", "18.25", "6.21"),
        (23, "0.33", "2.50", "0.7"),
    ],
)
def test_a_part_costs_just_so_much_and_so_does_the_rest(
    minor: int, price: str, of: str, part: str
) -> None:
    found = quantity_for(minor, Decimal(price), "EUR", of=Decimal(of))
    assert found == Decimal(part)
    assert line_amount(found, Decimal(price), "EUR").minor == minor
