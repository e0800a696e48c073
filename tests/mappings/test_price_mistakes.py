"""What is wrong in rates, factors, expenses and usage is named, where it stands."""

from __future__ import annotations

import pytest

from ledger.errors import ConfigurationError
from tests.mappings.nordic import CONTRACT, Files, contract


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weekday: [saturday", "weekday: [Saturday", '"Saturday" is not one of: monday,'),
        ("holidays: [2026-04-06, 2026-05-01]\n", "", "holiday: no holidays are named - list"),
        ("2026-05-01]", "2026-02-30]", 'holidays: "2026-02-30" is not a day'),
        ("holiday: yes", "holiday: true", '"true" is not one of: yes, no'),
        ("{weekday: [saturday, sunday]}", "{}", 'factor "Weekend", when: names nothing'),
        ("when: {holiday: yes}, ", "", 'factor "Holiday": the word "when" is missing'),
        ("times: 1.5", "times: 0", "above zero"),
        ("times: 1.5", "by: 1.5", 'unknown word "by"'),
        ("factor: Weekend", "factor: Holiday", "the same name as the one in line 18"),
        ("labels: on-call", "person: Anna", 'no person "Anna" in workspace.yaml'),
        ("rate: 0.9215", "rate: 0", "above zero"),
        ("from: EUR, to: JPY", "from: EUR, to: EUR", "is from a currency to itself"),
        ("until: 2026-04-30", "until: 2026-03-30", "ends before it begins"),
        ("since: 2026-04-01", "since: 2026-03-01", "one since 2026-03-01 in line 21 already"),
        (", source: the bank", "", 'the word "source" is missing'),
        ("currency: JPY", "currency: YEN", "ISO 4217"),
        (
            "quantity: 1, unit_price: cost, markup",
            "quantity: 2, unit_price: cost, markup",
            'rule "Expenses", bill: an expense is billed once at its cost - write quantity: 1',
        ),
        (
            "quantity: hours, unit_price: rate",
            "quantity: hours, unit_price: cost",
            "is billed once at its cost",
        ),
        ("unit_price: cost, markup: 10 %", "unit_price: 5, markup: 10 %", "a markup is on a cost"),
        ("markup: 10 %", "markup: 0 %", "above 0"),
        ("markup: 10 %", "markup: 0.1", "is not a percentage like 5 %"),
        ("markup: 10 %", "markup: 010 %", "is not a percentage like 5 %"),
        ("discount: 12.5 %", "discount: 101 %", "at most 100"),
        ("discount: 12.5 %", "minimum: 0.005", "more decimal places than EUR allows"),
        ("discount: 12.5 %", "minimum: 0", "above zero"),
        (
            "quantity: units",
            "quantity: unit",
            'not a number above zero, or the word "hours", "days"',
        ),
        (
            "quantity: units, unit_price: 0.0234",
            "quantity: units, unit_price: rate",
            "a rate is the price of an hour",
        ),
        (
            "{event: usage.recorded}",
            "{event: work.completed}",
            "quantity: units, but a work.completed has none - write a number, or event: usage",
        ),
        (
            "{event: expense.logged}",
            "{event: [expense.logged, usage.recorded]}",
            "unit_price: cost, but a usage.recorded has none - write a number, or event: expense",
        ),
        (
            "{event: time.logged, project: ACME}\n",
            "{project: ACME}\n    currency: USD\n",
            "rate needs rates: in USD - add them, or write a number here",
        ),
        (
            "description: Usage, quantity: units",
            "description: Usage, quantity: 1",
            "1 x 0.0234 has more decimal places than EUR allows",
        ),
        (
            "    currency: JPY\n    bill: {description: Cost, quantity: 1, unit_price: cost}",
            "    currency: JPY\n    bill: {description: Cost, quantity: 1, unit_price: 10.5}",
            "1 x 10.5 has more decimal places than JPY allows",
        ),
    ],
)
def test_a_mistake_in_such_a_contract_is_named(
    files: Files, old: str, new: str, expected: str
) -> None:
    assert old in CONTRACT
    with pytest.raises(ConfigurationError) as caught:
        contract(files, CONTRACT.replace(old, new, 1))
    assert any(expected in mistake for mistake in caught.value.mistakes), caught.value.mistakes


@pytest.mark.parametrize(
    ("expect", "mistake"),
    [
        ("{rule: Expenses in yen, amount: 13579}", None),
        ("{rule: Expenses in yen, amount: 135.79}", "more decimal places than JPY allows"),
        ("{amount: 13579, currency: JPY}", None),
        ("{rule: Expenses, amount: 92.62, currency: EUR}", None),
    ],
)
def test_the_tests_in_rule_files_know_activities_and_currencies(
    files: Files, expect: str, mistake: str | None
) -> None:
    project = "ACME" if "Expenses," in expect else "SITE"
    text = (
        f"{CONTRACT}tests:\n  - test: costs\n    given: {{event: expense.logged, on: 2026-03-04,"
        f" project: {project}, fields: {{amount: 84.20, currency: EUR}}}}\n    expect: {expect}\n"
    )
    if mistake is None:
        assert [result.passed for result in contract(files, text).run_tests()] == [True]
        other = text.replace("currency: JPY}", "currency: EUR}")
        if other != text:
            assert [result.passed for result in contract(files, other).run_tests()] == [False]
    else:
        with pytest.raises(ConfigurationError) as caught:
            contract(files, text)
        assert mistake in str(caught.value.mistakes)
    of_activity = (
        f"{CONTRACT}tests:\n  - test: activity\n    given: {{event: time.logged, on: 2026-03-04,"
        " project: ACME, person: Ana, activity: Travel, seconds: 3600}\n"
        '    expect: {description: "Work, Travel"}\n'
    )
    assert [result.passed for result in contract(files, of_activity).run_tests()] == [True]
