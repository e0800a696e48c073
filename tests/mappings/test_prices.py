"""Factors, costs, units, discounts and minimum charges: what an entry comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mappings.book import Book
from mappings.clauses import exchange
from mappings.clauses.setting import Setting
from mappings.pricing import Held
from mappings.reading import Mistakes, read
from mappings.shapes import TableOf
from tests.mappings.nordic import CONTRACT, Files, Logged, contract, expense, priced, reason


@pytest.mark.parametrize(
    ("changes", "unit_price", "text"),
    [
        ({}, "120.00", "Work"),
        ({"on": date(2026, 3, 6)}, "120.00", "Work"),
        ({"on": date(2026, 3, 7)}, "180.00", "Work, Weekend"),
        ({"on": date(2026, 3, 8)}, "180.00", "Work, Weekend"),
        ({"on": date(2026, 3, 9)}, "120.00", "Work"),
        ({"on": date(2026, 4, 6)}, "240.00", "Work, Holiday"),
        ({"on": date(2026, 5, 1)}, "240.00", "Work, Holiday"),
        ({"on": date(2026, 4, 6), "labels": ("On-Call",)}, "270.00", "Work, On call"),
        ({"on": date(2026, 3, 7), "person": "5c20b"}, "149.9925", "Work, Weekend"),
        ({"fields": {"activity": "Travel"}}, "120.00", "Work, Travel"),
        ({"fields": {"activity": 7, "task": "Review"}}, "120.00", "Work, Review"),
        ({"on": date(2026, 3, 7), "project": "SITE"}, "70", "Work"),
    ],
)
def test_the_first_factor_that_fits_multiplies_rates_and_nothing_else(
    nordic: Book, logged: Logged, changes: dict[str, Any], unit_price: str, text: str
) -> None:
    line = priced(nordic.price(logged(seconds=3600, **changes)))
    assert (f"{line.unit_price:f}", line.description) == (unit_price, text)


def test_a_factor_and_a_discount_stand_in_the_steps(nordic: Book, logged: Logged) -> None:
    line = priced(nordic.price(logged(on=date(2026, 3, 7), seconds=3600)))
    assert line.steps[2:] == (
        "rate 120.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:13)",
        '120.00 x 1.5 = 180.00: factor "Weekend" (acme.yaml:19)',
        "1.00 x 180.00 = 180.00 EUR",
    )
    line = priced(nordic.price(logged(project="SITE", seconds=3600)))
    assert line.steps[2:] == ("discount 12.5 %: 80 x 0.875 = 70", "1.00 x 70 = 70.00 EUR")


def test_a_factor_that_cannot_be_decided_holds_the_entry(files: Files, logged: Logged) -> None:
    # The label's rate needs no person, the factor does.
    text = CONTRACT.replace("role: senior,", "labels: x,").replace(
        "labels: on-call", "role: junior"
    )
    text = text.replace("  - {person: Ben, from: 2026-01-01, hourly: 99.995}\n", "")
    book = contract(files, text)
    event = logged(person="5zz", labels=("x",))
    assert '(factor "On call" asks for it)' in reason(book.price(event))
    assert priced(book.price(logged(labels=("x",)))).unit_price == Decimal(120)


@pytest.mark.parametrize(
    ("condition", "on", "fits"),
    [
        ("weekday: monday", date(2026, 3, 2), True),
        ("weekday: monday", date(2026, 3, 3), False),
        ("weekday: [tuesday, sunday]", date(2026, 3, 8), True),
        ("holiday: yes", date(2026, 5, 1), True),
        ("holiday: yes", date(2026, 5, 2), False),
        ("holiday: no", date(2026, 5, 1), False),
        ("holiday: no", date(2026, 5, 2), True),
        ("holiday: yes, weekday: monday", date(2026, 5, 1), False),
    ],
)
def test_rules_may_ask_for_the_weekday_and_for_holidays(
    files: Files, logged: Logged, condition: str, on: date, fits: bool
) -> None:
    rules = (
        f"rules:\n  - rule: fits\n    when: {{{condition}}}\n    bill: nothing\n"
        "  - rule: else\n    bill: nothing\n"
    )
    book = contract(files, f"holidays: [2026-05-01]\n{rules}")
    outcome = book.price(logged(on=on))
    assert not isinstance(outcome, Held)
    assert outcome.rule == ("fits" if fits else "else")


@pytest.mark.parametrize(
    ("fields", "changes", "unit_price", "amount"),
    [
        ({"amount": "84.20", "currency": "EUR"}, {}, "92.62", 9262),
        ({"amount": Decimal("84.20"), "currency": "EUR"}, {}, "92.62", 9262),
        ({"amount": 84, "currency": "EUR"}, {}, "92.4", 9240),
        ({"amount": "84.20", "currency": "USD"}, {}, "85.34933", 8535),
        ({"amount": "84.20", "currency": "USD"}, {"on": date(2026, 2, 28)}, "83.358", 8336),
        ({"amount": "84.20", "currency": "USD"}, {"on": date(2026, 3, 31)}, "85.34933", 8535),
        ({"amount": "84.20", "currency": "USD"}, {"on": date(2026, 4, 30)}, "86.1366", 8614),
        ({"amount": "84.20", "currency": "USD"}, {"on": date(2026, 3, 1)}, "85.34933", 8535),
        ({"amount": "84.20", "currency": "USD"}, {"on": date(2026, 4, 1)}, "86.1366", 8614),
        ({"amount": "0", "currency": "USD"}, {}, "0", 0),
        ({"amount": "84.20", "currency": "EUR"}, {"project": "SITE"}, "13578.934", 13579),
    ],
)
def test_an_expense_is_billed_at_its_cost_and_markup_converted_at_the_rate_of_its_day(
    nordic: Book,
    logged: Logged,
    fields: dict[str, Any],
    changes: dict[str, Any],
    unit_price: str,
    amount: int,
) -> None:
    line = priced(nordic.price(expense(logged, fields, **changes)))
    assert (f"{line.unit_price:f}", line.amount, line.quantity) == (unit_price, amount, Decimal(1))
    assert line.currency == ("JPY" if "project" in changes else "EUR")


def test_a_converted_cost_tells_rate_day_and_source(nordic: Book, logged: Logged) -> None:
    event = expense(logged, {"amount": "84.20", "currency": "USD"})
    assert priced(nordic.price(event)).steps[1:] == (
        "cost 84.20 USD as told",
        "84.20 x 0.9215 EUR per USD = 77.5903: exchange rate since 2026-03-01, "
        "ECB reference rate (acme.yaml:21)",
        "markup 10 %: 77.5903 x 1.10 = 85.34933",
        "1.00 x 85.34933 = 85.35 EUR",
    )


@pytest.mark.parametrize(
    ("fields", "changes", "expected"),
    [
        ({}, {}, "generic says nothing for fields.amount, the cost"),
        ({"amount": "12"}, {}, "generic says nothing for fields.currency"),
        ({"amount": "12", "currency": "Euro"}, {}, 'generic says "Euro" for fields.currency'),
        ({"amount": "12", "currency": "XXX"}, {}, 'says "XXX" for fields.currency'),
        ({"amount": "12", "currency": 978}, {}, 'says "978" for fields.currency'),
        ({"amount": "12,50", "currency": "EUR"}, {}, 'says "12,50" for fields.amount'),
        ({"amount": "-12", "currency": "EUR"}, {}, 'says "-12" for fields.amount'),
        ({"amount": True, "currency": "EUR"}, {}, 'says "True" for fields.amount'),
        ({"amount": "NaN", "currency": "EUR"}, {}, 'says "NaN" for fields.amount'),
        ({"amount": "1E+99", "currency": "EUR"}, {}, 'says "1E+99" for fields.amount'),
        ({"amount": "1" * 16, "currency": "EUR"}, {}, "for fields.amount"),
        ({"amount": "٣", "currency": "EUR"}, {}, "for fields.amount"),
        ({"amount": {"a": 1}, "currency": "EUR"}, {}, "for fields.amount"),
        (
            {"amount": "12", "currency": "USD"},
            {"on": date(2025, 12, 31)},
            "no exchange rate from USD to EUR holds on 2025-12-31",
        ),
        (
            {"amount": "12", "currency": "USD"},
            {"on": date(2026, 5, 1)},
            "no exchange rate from USD to EUR holds on 2026-05-01",
        ),
        ({"amount": "12", "currency": "JPY"}, {}, "no exchange rate from JPY to EUR holds"),
        (
            {"amount": "12", "currency": "USD"},
            {"project": "SITE"},
            "no exchange rate from USD to JPY holds",
        ),
    ],
)
def test_a_cost_that_cannot_be_said_for_sure_is_held(
    nordic: Book, logged: Logged, fields: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    assert expected in reason(nordic.price(expense(logged, fields, **changes)))


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(1200, 2808), ("1200.5", 2809), (Decimal("0.000001"), 0), (0, 0), ("1E-7", 0)],
)
def test_usage_is_billed_by_the_units_that_were_told(
    nordic: Book, logged: Logged, quantity: object, amount: int
) -> None:
    event = expense(logged, {"quantity": quantity}, kind="usage.recorded")
    line = priced(nordic.price(event))
    assert line.quantity == Decimal(str(quantity))
    assert line.amount == amount
    assert line.steps[1].endswith(" units as told")


@pytest.mark.parametrize("quantity", [None, -1, "-0.5", "many", "", True, [3]])
def test_usage_without_a_sound_number_is_held(
    nordic: Book, logged: Logged, quantity: object
) -> None:
    event = expense(logged, {"quantity": quantity}, kind="usage.recorded")
    assert "for fields.quantity, the units used" in reason(nordic.price(event))


@pytest.mark.parametrize(
    ("bill", "expected"),
    [
        ("quantity: 1, unit_price: cost", "bills a cost, but a time.logged has none"),
        ("quantity: units, unit_price: 1", "bills units, but a time.logged has none"),
    ],
)
def test_a_rule_that_fits_other_events_than_it_can_bill_holds_them(
    files: Files, logged: Logged, bill: str, expected: str
) -> None:
    book = contract(files, f"rules:\n  - rule: all\n    bill: {{description: x, {bill}}}\n")
    assert expected in reason(book.price(logged()))


@pytest.mark.parametrize(
    ("seconds", "quantity", "unit_price", "amount"),
    [
        (0, "0", "95.00", 0),
        (1, "1", "47.50", 4750),
        (1799, "1", "47.50", 4750),
        (1800, "0.5", "95.00", 4750),
        (1801, "0.5003", "95.00", 4753),
    ],
)
def test_a_minimum_charge_is_billed_instead_of_less_but_not_instead_of_nothing(
    files: Files, logged: Logged, seconds: int, quantity: str, unit_price: str, amount: int
) -> None:
    text = (
        "rules:\n  - rule: Hours\n    bill: {description: Work, quantity: hours,"
        " unit_price: 100.00, discount: 5 %, minimum: 47.50}\n"
    )
    line = priced(contract(files, text).price(logged(seconds=seconds)))
    found = (line.quantity, f"{line.unit_price:f}", line.amount, line.seconds)
    assert found == (Decimal(quantity), unit_price, amount, seconds)
    said = "less than the minimum charge of 47.50 EUR"
    assert (said in line.steps) is (0 < seconds < 1800)


@pytest.mark.parametrize(
    ("words", "seconds", "expected"),
    [
        ("up to 15 minutes per entry, at least 30 minutes", 0, "0"),
        ("up to 15 minutes per entry, at least 30 minutes", 1, "0.5"),
        ("up to 15 minutes per entry, at least 30 minutes", 1800, "0.5"),
        ("up to 15 minutes per entry, at least 30 minutes", 1801, "0.75"),
        ("down to 1 hour per entry, at least 20 minutes", 3599, "0.3333"),
        ("down to 1 hour per entry, at least 20 minutes", 3600, "1"),
        ("half up to 15 minutes per entry", 449, "0"),
        ("half up to 15 minutes per entry", 450, "0.25"),
        ("half up to 15 minutes per entry, at least 1 hour", 449, "1"),
    ],
)
def test_time_has_a_minimum_per_entry_too(
    files: Files, logged: Logged, words: str, seconds: int, expected: str
) -> None:
    text = (
        "rules:\n  - rule: Hours\n    bill: {description: Work, quantity: hours,"
        f' unit_price: 100.00, round: "{words}"}}\n'
    )
    line = priced(contract(files, text).price(logged(seconds=seconds)))
    assert (line.quantity, line.seconds) == (Decimal(expected), seconds)
    assert f"rounded {words}: " in line.steps[2]


def test_a_total_of_nothing_left_stays_nothing(files: Files, logged: Logged) -> None:
    text = (
        "rules:\n  - rule: Free\n    bill: {description: Work, quantity: hours,"
        " unit_price: 100.00, discount: 100 %}\n"
    )
    line = priced(contract(files, text).price(logged(seconds=3600)))
    assert (line.unit_price, line.amount) == (Decimal(0), 0)


def test_of_two_exchange_rates_since_the_same_day_the_customers_own_is_used() -> None:
    mistakes, shape, filled = Mistakes(), TableOf(exchange.WORDS), []
    for file, rate in (("acme.yaml", "0.9"), ("standard.yaml", "0.8")):
        entry = f"{{from: USD, to: EUR, rate: {rate}, since: 2026-01-01, source: s}}"
        table = read(file, f"exchange_rates:\n  - {entry}\n", mistakes)
        assert table is not None
        filled.append(shape.read(table, mistakes))
    own, shared = (each["exchange_rates"] for each in filled)
    joined = replace(filled[0], values={"exchange_rates": (*own, *shared)})
    listed = exchange.read(joined, Setting(None, "EUR"), mistakes)
    found = listed.on("USD", "EUR", date(2026, 1, 1))
    assert found is not None
    assert found.rate == Decimal("0.9")
    assert mistakes.lines() == []
