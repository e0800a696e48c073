"""`reopened:`: which rules may have it, what is said of a mistake, and that it can be tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ledger.corrections import LineItem
from mappings.book import Book
from mappings.judging import reopened_word

PHASES = """\
  - rule: Phases
    when: {event: milestone.completed}
    reopened: hold
    bill: {description: "{title}", quantity: 1, unit_price: 10.00}
"""
TEST = """\
tests:
  - test: A phase that is opened again is left to us
    given: {event: milestone.completed, project: ACME, title: A, on: 2026-03-04}
    expect: {rule: Phases, reopened: %s}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("hold", "holt", ':20:15: rule "Phases", reopened: "holt" is not one of: credit, hold, fl'),
        ("reopened", "reopend", ':20:5: rule "Phases": unknown word "reopend" - did you mean'),
        ("milestone.completed", "time.logged", ':20:15: rule "Phases": a time.logged is never'),
        ("when: {event: milestone.completed}", "when: {title: A}", "other events are never opened"),
        ('{description: "{title}", quantity: 1, unit_price: 10.00}', "nothing", "leave it out"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    mistakes: Callable[..., list[str]], old: str, new: str, expected: str
) -> None:
    assert old in PHASES
    found = mistakes("rules:\n", f"rules:\n{PHASES.replace(old, new)}")
    assert any(expected in mistake for mistake in found), found


@pytest.mark.parametrize(("word", "passes"), [("hold", True), ("credit", False)])
def test_a_test_says_what_happens_when_it_is_opened_again(
    with_rules: Callable[[str], Book], word: str, *, passes: bool
) -> None:
    (result,) = with_rules(f"{PHASES}{TEST % word}").run_tests()
    assert result.passed is passes
    assert "reopened: hold" in result.got


def test_the_rule_counts_under_which_a_line_was_billed(with_rules: Callable[[str], Book]) -> None:
    books = {
        "then": with_rules(PHASES),
        "now": with_rules(PHASES.replace("hold", "flag")),
        "before": with_rules(PHASES.replace("    reopened: hold\n", "")),
    }
    line = LineItem(
        customer="acme",
        project="ACME",
        item=None,
        person=None,
        on=date(2026, 3, 4),
        description="A",
        quantity=Decimal(1),
        unit_price=Decimal(10),
        currency="EUR",
        amount=1000,
        seconds=0,
        rule="Phases",
        mapping_version="then",
        grouping=(),
        schedule="monthly",
        period_from=date(2026, 3, 1),
        period_to=date(2026, 3, 31),
        steps=(),
        event_id=None,
    )
    words = {
        name: reopened_word(books.__getitem__, replace(line, mapping_version=name))
        for name in books
    }
    assert words == {"then": "hold", "now": "flag", "before": "credit"}
    # A version that cannot be read any more leaves it to a person.
    assert reopened_word(dict[str, Book]().__getitem__, line) == "hold"
    assert reopened_word(books.__getitem__, replace(line, rule="Gone")) == "credit"
