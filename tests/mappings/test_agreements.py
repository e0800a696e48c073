"""The words of agreements in a customer's file: what they mean, and every mistake in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.errors import ConfigurationError
from mappings.book import Book
from tests.mappings.conftest import ACME, Files

AGREED = """\
caps:
  - {cap: Ceiling, rules: Engineering hours, at_most: 10000.00, per: period, over_the_cap: hold}
prepaid:
  - {prepaid: Support, rules: [Engineering hours], hours: 20, every: month, from: 2026-01-01,
     until: 2026-12-31, rolls_over: 2 months, show_what_is_left: no}
  - {prepaid: Retainer, amount: 2000.00, from: 2026-01-01}
discounts:
  - {discount: Loyalty, rules: [Engineering hours], percent: 2.5 %}
  - {discount: Volume, over: 10000.00, percent: 5 %, per: year, on: everything, from: 2026-01-01}
minimum_fee: {at_least: 500.00, rules: Engineering hours, description: Minimum}
early_payment: 2 % within 10 days
"""


@pytest.fixture(scope="module")
def load(files: Files) -> Callable[[str, str], Book]:
    def change(old: str = "", new: str = "") -> Book:
        assert old in AGREED
        text = ACME.replace("rules:\n", AGREED.replace(old, new, 1) + "rules:\n", 1)
        return Book.load({**files, "acme.yaml": text})

    return change


def test_all_of_them_are_read_and_applied_in_order(load: Callable[..., Book]) -> None:
    agreements = load().customers["acme"].agreements
    assert [type(each).__name__ for each in agreements.of_version("v1", "en")] == [
        "AppliedCap",
        "AppliedPrepaid",
        "AppliedPrepaid",
        "AppliedDiscount",
        "AppliedDiscount",
        "AppliedMinimumFee",
    ]
    assert agreements.caps[0].at_most == 1_000_000
    assert (agreements.prepaid[0].shows_left, agreements.prepaid[1].shows_left) == (False, True)
    assert agreements.prepaid[1].size == 200_000
    assert agreements.discounts[1].on_everything
    # A minimum for some rules counts what a discount takes off them.
    assert agreements.minimum_fee is not None
    assert agreements.minimum_fee.scope.names == frozenset(["Engineering hours", "Loyalty"])
    assert agreements.early_payment is not None
    assert agreements.early_payment.days == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "rules: Engineering hours, at_most",
            "rules: Enginering, at_most",
            'acme.yaml:18:27: cap "Ceiling", rules: this file has no rule "Enginering"',
        ),
        (
            "at_most: 10000.00",
            "at_most: 10000.001",
            'cap "Ceiling", at_most: 10000.001 has more decimal places than EUR allows',
        ),
        (
            "per: period, over_the_cap: hold",
            "per: project, over_the_cap: carry over",
            'cap "Ceiling", over_the_cap: only a cap per period has a next one',
        ),
        ("at_most: 10000.00, ", "", 'cap "Ceiling": the word "at_most" is missing'),
        ("hours: 20, ", "", 'prepaid "Support": grants hours or an amount'),
        ("hours: 20, ", "hours: 20, amount: 5, ", 'prepaid "Support": grants hours or an amount'),
        (
            "rules: [Engineering hours], hours",
            "rules: [A phase has a fixed price], hours",
            'prepaid "Support", rules: rule "A phase has a fixed price" bills no hours',
        ),
        (
            "rules: [Engineering hours], hours",
            "hours",
            'prepaid "Support": which rules draw the hours is not said',
        ),
        (
            "until: 2026-12-31",
            "until: 2025-12-31",
            'acme.yaml:21:13: prepaid "Support", until: is earlier than from: - swap them',
        ),
        (
            "rolls_over: 2 months",
            "rolls_over: 2 moons",
            'rolls_over: "2 moons" is not "no", "for ever" or a time like 2 months',
        ),
        (
            "amount: 2000.00, from: 2026-01-01",
            "amount: 2000.00, from: 2026-01-01, rolls_over: no",
            'prepaid "Retainer", rolls_over: what is granted once has until: as its last day',
        ),
        ("Retainer", "Support", 'prepaid "Support": has the same name as the one in line 20'),
        ("2.5 %", "250 %", 'percent: "250 %" is not a percentage like 5 % or 2.5 %: it is above 0'),
        ("2.5 %", "2.5", 'percent: "2.5" is not a percentage like 5 % or 2.5 %'),
        (
            "over: 10000.00, percent: 5 %, per: year",
            "percent: 5 %, per: year",
            'discount "Volume", per: is about a volume - write over: too',
        ),
        (
            "2 % within 10 days",
            "2 % within 30 days",
            "acme.yaml:27:16: early_payment: 30 days are no sooner than net 30",
        ),
        ("2 % within 10 days", "2 % soon", 'early_payment: "2 % soon" is not a sentence like'),
        ("at_least: 500.00", "at_least: 0", 'minimum_fee, at_least: "0" is not a number like'),
        (
            "discount: Loyalty, rules: [Engineering hours]",
            "discount: Loyalty, rules: [Internal work is free]",
            'rules: rule "Internal work is free" bills nothing - take it out, or let it bill',
        ),
        (
            "rules: Engineering hours, description",
            "rules: Hours, description",
            "minimum_fee, rules",
        ),
    ],
)
def test_every_mistake_is_reported(
    load: Callable[..., Book], old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(old, new)
    said = [each for each in error.value.mistakes if message in each]
    assert len(said) == 1, error.value.mistakes
    assert said[0].startswith("acme.yaml:")


@pytest.mark.parametrize(
    ("price", "mistake"),
    [
        ("unit_price: rate, minimum: 40.00", "bills a minimum charge, which is no hour"),
        ("unit_price: {package: {size: 10, price: 5.00}}", "bills packages, not hours"),
        (
            "unit_price: {graduated: [{up_to: 2, price: 9.00}, {price: 8.00, flat: 5.00}]}",
            "bills a flat fee, which is no hour",
        ),
        ("unit_price: {graduated: [{up_to: 2, price: 9.00}, {price: 8.00}]}", ""),
    ],
)
def test_prepaid_hours_are_drawn_by_hours_alone(files: Files, price: str, mistake: str) -> None:
    rules = ACME.split("rules:\n")[0] + (
        "prepaid: [{prepaid: Support, rules: Hours, hours: 20, from: 2026-01-01}]\n"
        f"rules: [{{rule: Hours, bill: {{description: Hours, quantity: hours, {price}}}}}]\n"
    )
    try:
        Book.load({**files, "acme.yaml": rules})
        said = ""
    except ConfigurationError as error:
        (said,) = error.mistakes
    assert (mistake in said) if mistake else said == ""
