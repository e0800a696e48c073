"""The tests that stand in the rule files: events, and what should come of them.

One event is priced; several, or where a test says what is printed, become invoices in memory, by
what the ledger itself does. Called by `book.py`; rules that fail their own tests cannot be
activated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, ClassVar

from ledger.assembly import layout_of
from ledger.corrections import KnownLine, LineItem
from ledger.events import Event
from ledger.homes import Home, Period, reference_of
from ledger.invoices import PrintedLine, coding_of
from ledger.money import Money, printed
from ledger.printing import NumberedLine, print_lines
from ledger.sums import brought_together
from ledger.taxes import tax_of

from .clauses.minimums import RULE
from .contract import Customer, Example, Expected, ExpectedInvoice, ExpectedLine, Given
from .judging import sum_up, terms_of, verdict
from .people import People
from .pricing import Held, Nothing, Outcome, Priced, Pricing
from .reading import quoted

if TYPE_CHECKING:
    from .book import Book

_INDENT = "\n    "


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test went, in words."""

    __test__: ClassVar[bool] = False  # pytest takes classes of this name for its own.

    customer: str
    name: str
    passed: bool
    expected: str
    """On one line, or where it is about printed lines, on one for each of them."""
    got: str
    where: str
    """File and line: `acme.yaml:44`."""


@dataclass(frozen=True, slots=True)
class Invoiced:
    """An invoice as a test sees it, or the lines of several."""

    period: str
    """As in its number: "2026-10"."""
    currency: str
    lines: tuple[PrintedLine, ...]

    @property
    def total(self) -> Money:
        """Return what the lines come to."""
        return Money(sum(line.amount for line in self.lines), self.currency)


def results(
    book: Book, customer: Customer, people: People, pricing: Pricing
) -> Iterator[TestResult]:
    """Run the tests of one customer's file, in order."""
    for example in customer.tests:
        given, expected = example.given, example.expected
        priced = [
            (event_of(each, customer, number), people.named(each.person))
            for number, each in enumerate(given, 1)
        ]
        outcomes = [(event, pricing.outcome(event, person)) for event, person in priced]
        if len(given) == 1 and not expected.is_invoiced:
            yield _one(book, customer.key, example, *outcomes[0])
            continue
        yield _several(book, customer.key, example, outcomes)


def _one(book: Book, key: str, example: Example, event: Event, outcome: Outcome) -> TestResult:
    """Run a test that is about what one event is worth.

    A counted event has no amount of its own: it is worth the line that it comes to alone.
    """
    expected, got = example.expected, in_words(outcome)
    wanted = _expected_in_words(expected)
    says = (expected.quantity, expected.unit_price, expected.amount, expected.description)
    if (
        isinstance(outcome, Priced)
        and (outcome.kind, outcome.split) == ("counted", None)
        and any(word is not None for word in says)
    ):
        counted = verdict(book, event, outcome, event.person).lines
        alone = _summed_up(book, counted)
        if len(alone) != 1:
            got = "".join(_INDENT + _line_in_words(line, outcome.currency) for line in alone)
            told = f"{len(alone)} lines - write lines: or total: for what is printed{got}"
            return _result(key, example, False, wanted, told)
        (line,) = alone
        outcome = replace(
            outcome,
            quantity=line.quantity,
            unit_price=line.unit_price,
            amount=line.amount,
            description=line.description,
        )
        got = f"{in_words(outcome)}, as it is printed alone"
    passed = _is_as_expected(outcome, expected)
    if expected.reopened is not None and isinstance(outcome, Priced):
        rules = book.customers[outcome.customer].rules
        word = next((rule.reopened for rule in rules if rule.name == outcome.rule), "")
        passed, got = passed and word == expected.reopened, f"{got}, reopened: {word}"
    return _result(key, example, passed, wanted, got)


def _summed_up(book: Book, counted: Sequence[LineItem]) -> tuple[PrintedLine, ...]:
    """Return what the lines of one counted event come to in print, without any agreement."""
    together = brought_together(
        counted, lambda _, pool: sum_up(book, pool[0].customer, pool), agreements=()
    )
    return print_lines([NumberedLine(each.id, each.line) for each in together], {})


def _line_in_words(line: PrintedLine, currency: str) -> str:
    return (
        f"{quoted(line.description)}, {printed(line.quantity)} x {line.unit_price:f} = "
        f"{Money(line.amount, currency)}"
    )


def _result(customer: str, example: Example, passed: bool, expected: str, got: str) -> TestResult:
    return TestResult(customer, example.name, passed, expected, got, str(example.at))


def event_of(given: Given, customer: Customer, number: int = 1) -> Event:
    """Return an event that a test describes, the subject being its number."""
    if given.fee is not None:
        minimum = customer.agreements.minimum_fee
        fee = minimum if minimum and given.fee == RULE else customer.fees.by_name[given.fee]
        return fee.due_for(customer.key, customer.time_zone, given.on).event(version=1)
    return Event(
        kind=given.kind,
        source=given.source,
        endpoint=given.endpoint,
        subject=f"test:{number}",
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


def _several(
    book: Book, key: str, example: Example, outcomes: Sequence[tuple[Event, Outcome]]
) -> TestResult:
    """Run a test that is about what events come to together."""
    expected = example.expected
    wanted = _expected_in_words(expected)
    lines: list[LineItem] = []
    for number, (event, outcome) in enumerate(outcomes, 1):
        judged = verdict(book, event, outcome, event.person)
        if judged.state == "held":
            got = f"hold: event {number}: {judged.reason}"
            return _result(key, example, expected.outcome == "hold", wanted, got)
        lines += judged.lines
    mine = [line for line in lines if line.customer == expected.customer]
    found = invoiced(book, expected.customer, mine)
    if not lines or expected.outcome != "priced":
        passed = not lines and expected.outcome == "nothing"
        return _result(key, example, passed, wanted, _invoices_in_words(found) or "nothing")
    passed = all(
        (
            bool(mine),
            expected.together is None or _together_say(found, expected.together),
            not expected.invoices or _are_as_expected(found, expected.invoices),
        )
    )
    return _result(key, example, passed, wanted, _invoices_in_words(found) or "nothing is printed")


def invoiced(book: Book, key: str, lines: Sequence[LineItem]) -> list[Invoiced]:
    """Return the invoices of a customer's lines, as assembling makes them of nothing billed yet.

    They are in the order of their periods; those on which nothing is printed are left out.
    """
    now = max((datetime.combine(line.on, time(12), UTC) for line in lines), default=None)
    if now is None:
        return []
    terms = terms_of(book, key, most_lines=sys.maxsize, now=now, book_of=lambda _: book)
    if terms is None:
        return []
    drafts: dict[tuple[Period, str], list[KnownLine]] = {}
    for each in brought_together(lines, terms.sum_up, terms.agreements):
        line = each.line
        period = Period(line.schedule, line.period_from, line.period_to)
        drafts.setdefault((period, line.currency), []).append(each)
    found = []
    for period, currency in sorted(
        drafts, key=lambda draft: (draft[0].first, draft[0].last, draft[0].schedule, draft[1])
    ):
        numbered = [NumberedLine(each.id, each.line) for each in drafts[period, currency]]
        layout = layout_of(Home(currency, period, 1), numbered, terms)
        reference = reference_of(key, currency, period, 1, terms.currency)
        said = Invoiced(
            reference.removeprefix(f"{key}-"), currency, print_lines(numbered, {}, layout)
        )
        if said.lines:
            found.append(said)
    return found


def _together_say(found: Sequence[Invoiced], wanted: ExpectedInvoice) -> bool:
    """Return whether the lines of all invoices say what is expected; one currency has a total."""
    currencies = {each.currency for each in found}
    if len(currencies) != 1:
        return not currencies and not (wanted.total or wanted.lines or wanted.has_lines)
    lines = tuple(line for each in found for line in each.lines)
    return _says(Invoiced("", currencies.pop(), lines), wanted)


def _are_as_expected(found: Sequence[Invoiced], expected: Sequence[ExpectedInvoice]) -> bool:
    return [each.period for each in found] == [each.period for each in expected] and all(
        _says(each, wanted) for each, wanted in zip(found, expected, strict=True)
    )


def _says(found: Invoiced, wanted: ExpectedInvoice) -> bool:
    """Return whether an invoice says all that is expected of it."""

    def fits(line: PrintedLine, expected: ExpectedLine) -> bool:
        pairs = (
            (expected.description, line.description),
            (expected.quantity, line.quantity),
            (expected.unit_price, line.unit_price),
            (expected.amount, Money(line.amount, found.currency).decimal()),
        )
        return all(want is None or want == have for want, have in pairs)

    if wanted.total is not None and wanted.total != found.total.decimal():
        return False
    if wanted.lines is not None and (
        len(wanted.lines) != len(found.lines) or not all(map(fits, found.lines, wanted.lines))
    ):
        return False
    return all(any(fits(line, each) for line in found.lines) for each in wanted.has_lines)


def _invoices_in_words(found: Sequence[Invoiced]) -> str:
    told = []
    for each in found:
        told.append(f"invoice {each.period}: total {each.total}")
        told += [
            f"  line {number}: {_line_in_words(line, each.currency)}"
            for number, line in enumerate(each.lines, 1)
        ]
    return "".join(_INDENT + line for line in told)


def _invoiced_in_words(expected: ExpectedInvoice) -> Iterator[str]:
    """Yield what is expected of an invoice, line by line."""
    name = f"invoice {expected.period}" if expected.period else "in all"
    yield name if expected.total is None else f"{name}: total {expected.total}"
    lines = [(f"line {number}", each) for number, each in enumerate(expected.lines or (), 1)]
    for place, line in [*lines, *(("a line", each) for each in expected.has_lines)]:
        said = {
            "": None if line.description is None else quoted(line.description),
            "quantity ": line.quantity,
            "unit price ": line.unit_price,
            "amount ": line.amount,
        }
        parts = [f"{word}{value}" for word, value in said.items() if value is not None]
        yield f"  {place}: {', '.join(parts)}"


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
        (expected.currency, outcome.currency),
        (expected.tax, tax_of(outcome.tax).code if outcome.tax else ""),
        (expected.coding.over(coding := coding_of(outcome.coding)), coding),
    )
    return all(wanted is None or wanted == found for wanted, found in pairs)


def _expected_in_words(expected: Expected) -> str:
    if expected.outcome != "priced":
        return expected.outcome
    if expected.is_invoiced:
        together = [] if expected.together is None else [expected.together]
        told = [
            line for each in (*together, *expected.invoices) for line in _invoiced_in_words(each)
        ]
        return "".join(_INDENT + line for line in told)
    said = {
        "rule": quoted(expected.rule) if expected.rule else None,
        "quantity": expected.quantity,
        "unit price": expected.unit_price,
        "amount": expected.amount,
        "description": quoted(expected.description) if expected.description else None,
        "currency": expected.currency,
        "tax": expected.tax,
        "reopened": expected.reopened,
        "books": expected.coding.key or None,
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
            coding = f", books {outcome.coding}" if outcome.coding else ""
            told = f"{quoted(outcome.description)}{tax}{coding}"
            return f"{outcome.customer}: {rule}, {price}, {told}"
