"""Stripe's unit of every currency that differs from ISO 4217, one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.stripe.currencies import from_stripe, places, to_stripe, unit_amount
from ledger.errors import UnsupportedError

# currency, ISO minor units, Stripe's amount. The table is written out, not computed.
EXPRESSIBLE = [
    ("EUR", 1, 1),
    ("USD", 123456, 123456),
    ("HUF", 1045, 1045),
    ("TWD", 80000, 80000),
    ("BIF", 500, 500),
    ("CLP", 500, 500),
    ("DJF", 500, 500),
    ("GNF", 500, 500),
    ("JPY", 500, 500),
    ("KMF", 500, 500),
    ("KRW", 500, 500),
    ("MGA", 50000, 500),
    ("PYG", 500, 500),
    ("RWF", 500, 500),
    ("VND", 500, 500),
    ("VUV", 500, 500),
    ("XAF", 500, 500),
    ("XOF", 500, 500),
    ("XPF", 500, 500),
    ("BHD", 5120, 5120),
    ("JOD", 5120, 5120),
    ("KWD", 5120, 5120),
    ("OMR", 5120, 5120),
    ("TND", 5120, 5120),
    ("ISK", 5, 500),
    ("UGX", 5, 500),
]


@pytest.mark.parametrize(("currency", "minor", "amount"), EXPRESSIBLE)
def test_an_amount_goes_to_stripe_and_comes_back(currency: str, minor: int, amount: int) -> None:
    assert to_stripe(minor, currency) == amount
    assert from_stripe(amount, currency) == minor
    assert to_stripe(-minor, currency) == -amount


@pytest.mark.parametrize(
    ("currency", "minor"),
    [("BHD", 5124), ("JOD", 1), ("KWD", 1234), ("OMR", 9), ("TND", 5125), ("MGA", 150)],
)
def test_an_amount_that_stripe_cannot_express_is_refused(currency: str, minor: int) -> None:
    with pytest.raises(UnsupportedError, match=currency):
        to_stripe(minor, currency)


@pytest.mark.parametrize(("currency", "amount"), [("ISK", 550), ("UGX", 1)])
def test_half_a_unit_that_comes_from_stripe_is_not_rounded(currency: str, amount: int) -> None:
    with pytest.raises(UnsupportedError, match=currency):
        from_stripe(amount, currency)


@pytest.mark.parametrize("currency", ["IQD", "LYD", "CLF", "UYI", "XXX", "EURO", ""])
def test_a_currency_whose_unit_is_not_certain_is_refused(currency: str) -> None:
    with pytest.raises(UnsupportedError):
        places(currency)


@pytest.mark.parametrize(
    ("price", "currency", "amount"),
    [
        ("120.00", "EUR", "12000"),
        ("0.00125", "EUR", "0.125"),
        ("1500", "JPY", "1500"),
        ("1500", "ISK", "150000"),
        ("1.2345", "KWD", "1234.5"),
    ],
)
def test_a_price_keeps_its_decimals(price: str, currency: str, amount: str) -> None:
    assert unit_amount(Decimal(price), currency) == Decimal(amount)


def test_an_infinite_price_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        unit_amount(Decimal("Infinity"), "EUR")
