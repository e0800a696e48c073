"""Taxes in rule files: the day of the work chooses the rate, and every line has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from ledger.errors import ConfigurationError
from ledger.events import Event
from ledger.taxes import TaxWords
from mappings.book import Book
from mappings.pricing import Held, Outcome, Priced
from tests.mappings.conftest import ACME, WORKSPACE

Mistakes = Callable[..., list[str]]
TAXES = """\
taxes:
  - {tax: DE19, rate: 19 %, name: VAT}
  - {tax: DE19, rate: 16%, from: 2026-07-01}
  - {tax: LATE, rate: 7.5 %, from: 2026-03-01}
  - {tax: RC, reverse_charge: yes, text: The customer owes the tax.}
  - {tax: EX, exempt: yes, text: It is exempt.}
tax: DE19
"""


def book_of(taxes: str = TAXES, bill_tax: str = "", tests: str = "") -> Book:
    text = ACME.replace("rates:\n", taxes + "rates:\n", 1)
    text = text.replace("unit_price: rate\n", f"unit_price: rate\n{bill_tax}", 1)
    return Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text + tests})


@pytest.fixture
def price(logged: Callable[..., Event]) -> Callable[[Book, date], Outcome]:
    def priced(book: Book, on: date) -> Outcome:
        return book.price(replace(logged(), on=on))

    return priced


Price = Callable[[Book, date], Outcome]


@pytest.mark.parametrize(
    ("on", "tax", "step"),
    [
        (date(2026, 1, 1), "DE19 19 %", "tax DE19 19 % (acme.yaml:13)"),
        (date(2026, 6, 30), "DE19 19 %", "tax DE19 19 % (acme.yaml:13)"),
        (date(2026, 7, 1), "DE19 16 %", "tax DE19 16 %, from 2026-07-01 (acme.yaml:14)"),
    ],
)
def test_the_day_of_the_work_chooses_the_rate(price: Price, on: date, tax: str, step: str) -> None:
    outcome = price(book_of(), on)
    assert isinstance(outcome, Priced)
    assert outcome.tax == tax
    assert outcome.steps[-1] == step


@pytest.mark.parametrize(
    ("code", "tax"), [("RC", "RC reverse charge"), ("EX", "EX exempt"), ("LATE", "LATE 7.5 %")]
)
def test_a_rule_names_a_tax_of_its_own(price: Price, code: str, tax: str) -> None:
    outcome = price(book_of(bill_tax=f"      tax: {code}\n"), date(2026, 3, 4))
    assert isinstance(outcome, Priced)
    assert outcome.tax == tax


def test_work_before_the_first_rate_waits(price: Price) -> None:
    outcome = price(book_of(bill_tax="      tax: LATE\n"), date(2026, 2, 28))
    assert isinstance(outcome, Held)
    assert "no tax LATE holds on 2026-02-28 - add one under taxes:" in outcome.reason


def test_gross_prices_hold_their_tax_and_reverse_charge_has_none(price: Price) -> None:
    gross = TAXES + "prices: gross\n"
    outcome = price(book_of(gross), date(2026, 3, 4))
    assert isinstance(outcome, Priced)
    assert outcome.tax == "DE19 19 % included"
    outcome = price(book_of(gross, bill_tax="      tax: RC\n"), date(2026, 3, 4))
    assert isinstance(outcome, Priced)
    assert outcome.tax == "RC reverse charge"


def test_without_taxes_lines_have_none(price: Price) -> None:
    outcome = price(book_of(taxes=""), date(2026, 3, 4))
    assert isinstance(outcome, Priced)
    assert outcome.tax == ""
    assert not any("tax" in step for step in outcome.steps)


def test_the_newest_entry_says_how_a_tax_is_called() -> None:
    assert book_of().customers["acme"].taxes.words == {
        "DE19": TaxWords("DE19"),
        "LATE": TaxWords("LATE"),
        "RC": TaxWords("RC", "The customer owes the tax."),
        "EX": TaxWords("EX", "It is exempt."),
    }


def test_a_test_in_the_file_may_expect_a_tax() -> None:
    given = "given: {event: time.logged, project: ACME, person: Ana, seconds: 60, on: 2026-03-04}"
    tests = f"""\
  - test: It has the tax
    {given}
    expect: {{tax: DE19}}
  - test: It has another tax
    {given}
    expect: {{tax: RC}}
"""
    results = book_of(tests=tests).run_tests()[-2:]
    assert [result.passed for result in results] == [True, False]
    assert results[1].expected == "acme: tax RC"
    assert results[1].got.endswith(", tax DE19 19 %")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("rate: 19 %", "rate: 19", 'acme.yaml:13:23: tax "DE19", rate: "19" is not a rate like'),
        ("rate: 19 %", "rate: 101 %", "from 0 to 100, with at most 4 decimals"),
        ("rate: 19 %", "rate: 1.00001 %", "from 0 to 100, with at most 4 decimals"),
        ("rate: 19 %", "rate: -1 %", '"-1 %" is not a rate'),
        ("rate: 19 %", "rate: 19 % net", '"19 % net" is not a rate'),
        ("rate: 19 %, ", "", 'tax "DE19": has to say how much - write one of'),
        ("rate: 19 %", "rate: 19 %, exempt: yes", "write one of rate: 19 %"),
        ("exempt: yes", "exempt: no", 'tax "EX": has to say how much'),
        (", text: It is exempt.", "", 'tax "EX": nothing is taken, and the invoice has to say why'),
        (", text: The customer owes the tax.", "", 'tax "RC": nothing is taken'),
        (", from: 2026-07-01", "", 'tax "DE19": stands in line 13 already - keep one'),
        ("tax: DE19, rate", "tax: DE 19, rate", "is not a short code like DE19"),
        ("\ntax: DE19\n", "\ntax: DE91\n", 'tax: no tax "DE91" under taxes: - did you mean "DE19"'),
        (
            "\ntax: DE19\n",
            "\n",
            'rule "Engineering hours", bill: has no tax - write tax: here, or at the top',
        ),
        ("unit_price: rate\n", "unit_price: rate\n      tax: XX\n", 'bill, tax: no tax "XX" under'),
        ("\ntax: DE19\n", "\ntax: DE19\nprices: brutto\n", "is not one of: net, gross"),
        ("rate: 19 %", "rate: 19 %, form: 2026-01-01", 'unknown word "form"'),
    ],
)
def test_every_mistake_is_told_with_what_to_do(old: str, new: str, mistake: str) -> None:
    text = ACME.replace("rates:\n", TAXES + "rates:\n", 1)
    assert old in text
    with pytest.raises(ConfigurationError) as caught:
        Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text.replace(old, new, 1)})
    assert any(mistake in each for each in caught.value.mistakes), caught.value.mistakes


def test_prices_and_codes_need_taxes(mistakes: Mistakes) -> None:
    assert mistakes("terms: net 30", "terms: net 30\nprices: gross") == [
        "acme.yaml:8:9: prices: nothing is known of taxes - add taxes:, or take prices: out"
    ]
    assert mistakes("terms: net 30", "terms: net 30\ntax: DE19") == [
        'acme.yaml:8:6: tax: no tax "DE19" under taxes: - add it under taxes:'
    ]
