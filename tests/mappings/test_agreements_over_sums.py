"""Agreements over sums: every cap, prepaid, discount and minimum with every kind of sum."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.errors import ConfigurationError
from mappings.book import Book

RULES = {
    "rounded": """\
  - rule: Work
    when: {event: time.logged}
    bill:
      {description: "Work by {person}", quantity: hours, round: up to 1 hour per person and day,
       unit_price: 100.00, one_line_per: person}
""",
    "days": """\
  - rule: Work
    when: {event: time.logged}
    bill:
      {description: "Work by {person}", quantity: days, hours_in_a_day: 8, unit_price: 800.00,
       one_line_per: person}
""",
    "tiers": """\
  - rule: Work
    when: {event: time.logged}
    bill:
      description: "Work, {month}"
      quantity: hours
      unit_price: {graduated: [{up_to: 10, price: 100.00}, {price: 50.00}]}
""",
    "units": """\
  - rule: Work
    when: {event: usage.recorded}
    bill:
      description: "Units, {month}"
      quantity: units
      unit_price: {package: {size: 10, price: 250.00}}
""",
    "overtime": """\
  - rule: Work
    when: {event: time.logged}
    bill:
      {description: "Work by {person}", quantity: hours, unit_price: 100.00, one_line_per: person}
overtime:
  - {overtime: Long days, after: 8 hours per person and day, times: 1.5}
""",
}
WORTH = {"rounded": 1300, "days": 1250, "tiers": 1125, "units": 500, "overtime": 1350}
"""What ten hours of Ana's and two and a half of Ben's come to, or twelve and a half units."""
HOURS = {"rounded": Decimal(13), "tiers": Decimal("12.5"), "overtime": Decimal("12.5")}
GIVEN = """\
      - {event: time.logged, project: ACME, person: Ana, seconds: 32400, on: 2026-03-04}
      - {event: time.logged, project: ACME, person: Ana, seconds: 3600, on: 2026-03-04}
      - {event: time.logged, project: ACME, person: Ben, seconds: 9000, on: 2026-03-05}
"""
USED = """\
      - {event: usage.recorded, project: ACME, fields: {quantity: 4}, on: 2026-03-04}
      - {event: usage.recorded, project: ACME, fields: {quantity: 8.5}, on: 2026-03-05}
"""


def check(files: dict[str, str], kind: str, terms: str, expect: str) -> None:
    """Load the firm with these terms and run one test of what the work comes to."""
    text = files["acme.yaml"]
    head = text[: text.index("rules:\n")]
    given = USED if kind == "units" else GIVEN
    tests = f"tests:\n  - test: Together\n    given:\n{given}    expect: {expect}\n"
    rules = f"rules:\n{RULES[kind]}"
    book = Book.load({**files, "acme.yaml": head + terms + rules + tests})
    (result,) = book.run_tests()
    assert result.passed, f"{result.expected}\n{result.got}"


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("over", ["show", "hold", "carry over"])
def test_a_cap_over_sums(files: dict[str, str], kind: str, over: str) -> None:
    terms = f"caps: [{{cap: C, rules: Work, at_most: 400.00, per: period, over_the_cap: {over}}}]\n"
    total = WORTH[kind] if over == "carry over" else 400
    check(files, kind, terms, f"{{total: {total}}}")


@pytest.mark.parametrize("kind", RULES)
def test_a_retainer_over_sums(files: dict[str, str], kind: str) -> None:
    terms = "prepaid: [{prepaid: R, rules: Work, amount: 300.00, from: 2026-03-01}]\n"
    check(files, kind, terms, f"{{total: {WORTH[kind] - 300}}}")


@pytest.mark.parametrize("kind", RULES)
def test_a_discount_over_sums(files: dict[str, str], kind: str) -> None:
    terms = "discounts: [{discount: D, rules: Work, percent: 10 %}]\n"
    check(files, kind, terms, f"{{total: {Decimal(WORTH[kind]) * 9 / 10}}}")
    terms = "discounts: [{discount: D, rules: Work, percent: 10 %, over: 400.00}]\n"
    check(files, kind, terms, f"{{total: {WORTH[kind] - Decimal(WORTH[kind] - 400) / 10}}}")


@pytest.mark.parametrize("kind", RULES)
def test_a_minimum_over_sums(files: dict[str, str], kind: str) -> None:
    check(files, kind, "minimum_fee: {at_least: 2000.00, rules: Work}\n", "{total: 2000.00}")
    check(files, kind, "minimum_fee: {at_least: 10.00, rules: Work}\n", f"{{total: {WORTH[kind]}}}")


@pytest.mark.parametrize("kind", HOURS)
def test_prepaid_hours_draw_each_hour_once(files: dict[str, str], kind: str) -> None:
    terms = "prepaid: [{prepaid: H, rules: Work, hours: 100, from: 2026-03-01}]\n"
    drawn = HOURS[kind]
    # What is due on top of two hours beyond eight stays due: it is no hour of its own.
    rest = {"overtime": 100}.get(kind, 0)
    line = f"H: {drawn:.2f} h drawn, {100 - drawn:.2f} h left on 2026-03-31"
    check(files, kind, terms, f'{{total: {rest}, has_line: {{description: "{line}"}}}}')


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (RULES["days"], 'rule "Work" bills no hours'),
        (RULES["units"], 'rule "Work" bills no hours'),
        (
            RULES["tiers"].replace("{price: 50.00}", "{price: 50.00, flat: 9.00}"),
            'rule "Work" bills a flat fee, which is no hour',
        ),
        (
            RULES["units"].replace("usage.recorded", "time.logged").replace("units", "hours"),
            'rule "Work" bills packages, not hours',
        ),
        (
            RULES["overtime"].replace("one_line_per: person", "minimum: 50.00"),
            'rule "Work" bills a minimum charge, which is no hour',
        ),
        (
            "  - rule: Work\n    when: {event: milestone.completed}\n"
            '    bill: {description: "{title}", contract_sum: 900.00, share: 30 %}\n',
            'rule "Work" bills no hours',
        ),
    ],
)
def test_prepaid_hours_are_drawn_by_hours_alone(
    files: dict[str, str], rule: str, problem: str
) -> None:
    text = files["acme.yaml"]
    head = text[: text.index("rules:\n")]
    terms = "prepaid: [{prepaid: H, rules: Work, hours: 100, from: 2026-03-01}]\n"
    with pytest.raises(ConfigurationError) as error:
        Book.load({**files, "acme.yaml": f"{head}{terms}rules:\n{rule}"})
    assert any(problem in mistake for mistake in error.value.mistakes)
