"""The tests that stand in the rule files: each one an event and what should come of it.

Called by `book.py`; rules that fail their own tests cannot be activated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import ClassVar

from ledger.events import Event
from ledger.money import Money, printed
from ledger.taxes import tax_of

from .contract import Customer, Example, Expected, Given
from .people import People
from .pricing import Held, Nothing, Outcome, Priced, Pricing
from .reading import quoted


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went, in words."""

    __test__: ClassVar[bool] = False  # pytest takes classes of this name for its own.

    customer: str
    name: str
    passed: bool
    expected: str
    got: str
    where: str
    """File and line: `acme.yaml:44`."""


def results(customer: Customer, people: People, pricing: Pricing) -> Iterator[TestResult]:
    """Run the tests of one customer's file, in order."""
    for example in customer.tests:
        yield _result(customer.key, example, people, pricing)


def _result(customer: str, example: Example, people: People, pricing: Pricing) -> TestResult:
    given, expected = example.given, example.expected
    outcome = pricing.outcome(event_of(given), people.named(given.person))
    return TestResult(
        customer=customer,
        name=example.name,
        passed=_is_as_expected(outcome, expected),
        expected=_expected_in_words(expected),
        got=in_words(outcome),
        where=str(example.at),
    )


def event_of(given: Given) -> Event:
    """Return the event that a test describes."""
    return Event(
        kind=given.kind,
        source=given.source,
        endpoint=given.endpoint,
        subject="test",
        version=0,
        occurred_at=datetime.combine(given.on, time(12), UTC),
        on=given.on,
        project=given.project,
        item=given.item,
        title=given.title,
        person=given.person,
        seconds=given.seconds,
        billable=given.billable,
        labels=given.labels,
        fields=given.fields,
    )


def _is_as_expected(outcome: Outcome, expected: Expected) -> bool:
    if isinstance(outcome, Held):
        return expected.outcome == "hold"
    if outcome.customer != expected.customer:
        return False
    if isinstance(outcome, Nothing):
        return expected.outcome == "nothing"
    if expected.outcome != "priced":
        return False
    pairs = (
        (expected.rule, outcome.rule),
        (expected.quantity, outcome.quantity),
        (expected.unit_price, outcome.unit_price),
        (expected.amount, Money(outcome.amount, outcome.currency).decimal()),
        (expected.description, outcome.description),
        (expected.tax, tax_of(outcome.tax).code if outcome.tax else ""),
    )
    return all(wanted is None or wanted == found for wanted, found in pairs)


def _expected_in_words(expected: Expected) -> str:
    if expected.outcome != "priced":
        return expected.outcome
    said = {
        "rule": quoted(expected.rule) if expected.rule else None,
        "quantity": expected.quantity,
        "unit price": expected.unit_price,
        "amount": expected.amount,
        "description": quoted(expected.description) if expected.description else None,
        "tax": expected.tax,
    }
    parts = [f"{word} {value}" for word, value in said.items() if value is not None]
    return f"{expected.customer}: " + ", ".join(parts)


def in_words(outcome: Outcome) -> str:
    """Return an outcome on one line."""
    match outcome:
        case Held(reason=reason):
            return f"hold: {reason}"
        case Nothing(customer=customer, reason=reason):
            return f"{customer}: nothing: {reason}"
        case Priced():
            amount = Money(outcome.amount, outcome.currency)
            price = f"{printed(outcome.quantity)} x {outcome.unit_price:f} = {amount}"
            rule = f"rule {quoted(outcome.rule)}"
            tax = f", tax {outcome.tax}" if outcome.tax else ""
            return f"{outcome.customer}: {rule}, {price}, {quoted(outcome.description)}{tax}"
