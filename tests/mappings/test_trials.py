"""`mappings.trials`: the tests in rule files, also of what several events come to together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.errors import ConfigurationError
from mappings.book import Book
from mappings.trials import TestResult
from tests.mappings.conftest import ACME, Files

EVENTS = """\
    given:
      - {event: time.logged, project: ACME, item: A-1, person: Ana, seconds: 18000, on: 2026-03-04}
      - {event: time.logged, project: ACME, item: A-2, person: Ben, seconds: 7200, on: 2026-03-05}
      - {event: time.logged, project: ACME-INT, person: Ana, seconds: 3600, on: 2026-03-06}
      - {event: time.logged, project: ACME, item: A-1, person: Ana, seconds: 3600, on: 2026-04-01}
"""
CAPS = """\
caps:
  - {cap: Ceiling, rules: [Engineering hours], at_most: 700.00, per: period}
"""


@pytest.fixture(scope="module")
def run(files: Files) -> Callable[..., TestResult]:
    def load(expect: str, given: str = EVENTS) -> TestResult:
        test = f"  - test: What several events come to\n{given}    expect: {expect}\n"
        text = ACME.replace("rules:\n", f"{CAPS}rules:\n", 1) + test
        return Book.load({**files, "acme.yaml": text}).run_tests()[-1]

    return load


@pytest.mark.parametrize(
    "expect",
    [
        "{total: 820.00}",
        "{total: 820, lines: [{description: 'senior engineering, A-1', amount: 600.00}, "
        "{quantity: 1.25, unit_price: 80.00}, "
        "{description: 'junior engineering, A-2, over the cap of 700.00 EUR', amount: 0},"
        " {amount: 120.00}]}",
        "{has_line: {quantity: 5, unit_price: 120}}",
        "{has_line: [{quantity: 5}, {amount: 120}]}",
        "{invoices: [{period: 2026-03, total: 700}, {period: 2026-04, has_line: {amount: 120}}]}",
        "{customer: acme, total: 820.00}",
    ],
)
def test_what_several_events_come_to_is_compared(
    run: Callable[..., TestResult], expect: str
) -> None:
    result = run(expect)
    assert result.passed, f"{result.expected}\n{result.got}"


@pytest.mark.parametrize(
    "expect",
    [
        "{total: 820.01}",
        "{total: 700.00}",
        "{lines: [{amount: 600.00}]}",
        "{lines: [{amount: 600}, {amount: 100}, {amount: 0}, {amount: 121}]}",
        "{lines: [{amount: 100}, {amount: 600}, {amount: 0}, {amount: 120}]}",
        "{has_line: {quantity: 5, unit_price: 80}}",
        "{has_line: [{quantity: 5}, {amount: 121}]}",
        "{invoices: [{period: 2026-03, total: 700}]}",
        "{invoices: [{period: 2026-04}, {period: 2026-03}]}",
        "{invoices: [{period: 2026-03, total: 701}, {period: 2026-04}]}",
        "{customer: beta, total: 820.00}",
        "hold",
        "nothing",
    ],
)
def test_what_is_not_as_expected_fails(run: Callable[..., TestResult], expect: str) -> None:
    assert not run(expect).passed


def test_a_failure_says_line_by_line_what_was_expected_and_what_came(
    run: Callable[..., TestResult],
) -> None:
    result = run("{total: 1, lines: [{description: A, quantity: 2}], has_line: {amount: -3.00}}")
    assert result.expected.splitlines() == [
        "",
        "    in all: total 1",
        '      line 1: "A", quantity 2',
        "      a line: amount -3.00",
    ]
    assert result.got.splitlines() == [
        "",
        "    invoice 2026-03: total 700.00 EUR",
        '      line 1: "senior engineering, A-1", 5.00 x 120.00 = 600.00 EUR',
        '      line 2: "junior engineering, A-2", 1.25 x 80.00 = 100.00 EUR',
        '      line 3: "junior engineering, A-2, over the cap of 700.00 EUR", '
        "0.75 x 0.00 = 0.00 EUR",
        "    invoice 2026-04: total 120.00 EUR",
        '      line 1: "senior engineering, A-1", 1.00 x 120.00 = 120.00 EUR',
    ]


ZOE = "    given: [{event: time.logged, project: ACME, person: Zoe, seconds: 9, on: 2026-03-04}]\n"
FREE = "    given: {event: time.logged, project: ACME-INT, seconds: 9, on: 2026-03-04}\n"


def test_one_event_that_is_held_holds_the_test(run: Callable[..., TestResult]) -> None:
    assert run("hold", ZOE).passed
    result = run("{total: 0}", ZOE)
    assert not result.passed
    assert result.got.startswith('hold: event 1: rule "Engineering hours": unknown person "Zoe"')


def test_events_without_a_price_come_to_nothing(run: Callable[..., TestResult]) -> None:
    assert run("nothing", EVENTS.splitlines(keepends=True)[0] + EVENTS.splitlines(True)[3]).passed
    assert not run("{total: 1}", FREE).passed


def test_one_event_may_be_seen_as_it_is_printed(run: Callable[..., TestResult]) -> None:
    given = EVENTS.replace("      - ", "    given: ").splitlines(keepends=True)[1]
    assert run("{lines: [{quantity: 5, amount: 600}]}", given).passed


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{amount: 5}", "expect: amount is about one event - write it under lines:, or total:"),
        ("{rule: Engineering hours, total: 5}", "expect: rule is about one event"),
        ("{total: 5, tax: DE19}", "expect: tax is about one event"),
        ("{currency: EUR, total: 5}", "expect: currency is about one event"),
        ("{total: 5.001}", "expect: 5.001 has more decimal places than EUR allows"),
        ("{lines: [{amount: 0.001}]}", "expect: 0.001 has more decimal places than EUR allows"),
        (
            "{invoices: [{period: 2026-03, total: 0.001}]}",
            'expect, invoice "2026-03": 0.001 has more decimal places',
        ),
        ("{invoices: [{total: 5}]}", 'expect, invoice: the word "period" is missing'),
        ("{lines: []}", "expect, lines: the list is empty - write at least one entry"),
        ("{lines: [{price: 5}]}", 'expect, lines: unknown word "price"'),
    ],
)
def test_mistakes_in_what_is_expected(
    run: Callable[..., TestResult], expect: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        run(expect)
    assert any(message in each for each in error.value.mistakes), error.value.mistakes


COUNTED = """\
rules:
  - rule: Advice
    when: {event: time.logged, project: SITE}
    bill:
      description: "Advice by {person}"
      quantity: days
      hours_in_a_day: 8
      count_days: half and full days
      unit_price: 960.00
      one_line_per: person
  - rule: Requests
    when: {event: usage.recorded}
    bill:
      description: "Requests, {month}"
      quantity: units
      unit_price: {graduated: [{up_to: 100, price: 0.10}, {price: 0.05, flat: 2.00}]}
"""
DAY = "event: time.logged, project: SITE, person: Ana, seconds: 10000, on: 2026-03-04"


@pytest.mark.parametrize(
    ("given", "expect", "passes", "got"),
    [
        (DAY, "{quantity: 0.5, unit_price: 960.00, amount: 480.00}", True, "as it is printed"),
        (DAY, "{rule: Advice, description: Advice by Ana}", True, "0.50 x 960.00 = 480.00 EUR"),
        (DAY, "{amount: 0}", False, "0.50 x 960.00 = 480.00 EUR"),
        (DAY, "{rule: Advice}", True, "Advice"),
        ("event: usage.recorded, fields: {quantity: 90}", "{amount: 9.00}", True, "90.00 x 0.10"),
        ("event: usage.recorded, fields: {quantity: 0}", "{amount: 0}", True, "0.00 x 0.10"),
        (
            "event: usage.recorded, fields: {quantity: 110}",
            "{amount: 12.50}",
            False,
            "3 lines - write lines: or total: for what is printed",
        ),
        ("event: usage.recorded, fields: {quantity: 110}", "{total: 12.50}", True, "12.50 EUR"),
    ],
)
def test_a_counted_event_is_worth_what_is_printed_of_it_alone(
    files: dict[str, str], given: str, expect: str, passes: bool, got: str
) -> None:
    given = given if "project" in given else f"{given}, project: SITE, on: 2026-03-04"
    tests = f"tests:\n  - test: It counts\n    given: {{{given}}}\n    expect: {expect}\n"
    text = files["acme.yaml"].replace("rules:\n", COUNTED, 1)
    text = text[: text.index("tests:\n")] + tests
    (result,) = Book.load({**files, "acme.yaml": text}).run_tests()
    assert (result.passed, got in result.got) == (passes, True), result.got


def test_fees_and_the_minimum_are_tested_together_with_work(files: dict[str, str]) -> None:
    terms = """\
fees:
  - {fee: Plan, description: "Plan, {month}", every: month, from: 2026-01-01, unit_price: 100.00,
     due: in advance}
minimum_fee: {at_least: 500.00, from: 2026-01-01}
rules:
"""
    tests = """\
tests:
  - test: A month with a fee and an hour owes the rest
    given:
      - {event: fee.due, fee: Plan, on: 2026-03-01}
      - {event: fee.due, fee: Minimum fee, on: 2026-03-20}
      - {event: fee.due, fee: Minimum fee, on: 2026-04-01}
      - {event: time.logged, project: ACME, person: Ana, seconds: 3600, billable: yes,
         on: 2026-03-04}
    expect:
      total: 1000.00
      invoices:
        - period: 2026-03
          lines: [{amount: 100.00}, {amount: 120.00}, {amount: 280.00}]
        - {period: 2026-04, lines: [{description: Up to the minimum fee of 500.00 EUR}]}
  - test: A quiet month owes the minimum
    given: {event: fee.due, fee: Minimum fee, on: 2026-03-01}
    expect: {total: 500.00}
"""
    text = files["acme.yaml"].replace("rules:\n", terms, 1)
    text = text[: text.index("tests:\n")] + tests
    book = Book.load({**files, "acme.yaml": text})
    assert [result.got for result in book.run_tests() if not result.passed] == []
