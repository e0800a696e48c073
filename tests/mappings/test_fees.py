"""Recurring fees: periods, days, seats and prices, exact and explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.calendar import Due
from ledger.errors import ConfigurationError
from ledger.money import line_amount
from mappings.book import Book
from mappings.clauses.fees import Fee, From, period_of
from mappings.descriptions import parse
from mappings.pricing import Held, Nothing, Priced
from mappings.reading import Place

FEE = """\
fees:
  - fee: Plan
    description: "Plan {month}, {quarter}, {year}, {from} to {to}"
    every: month
    from: 2026-01-15
    until: 2026-12-31
    unit_price: 500.00
    due: in advance
rules:
"""
HERE = Place("acme.yaml", 1, 1)
DAY = timedelta(1)
days = st.dates(date(2026, 1, 1), date(2028, 12, 31))


def fee(**changes: Any) -> Fee:
    made: dict[str, Any] = {
        "name": "Plan",
        "description": parse("Plan"),
        "every": "month",
        "first": date(2026, 1, 1),
        "last": None,
        "prices": (From(date(2026, 1, 1), Decimal("500.00"), HERE),),
        "quantities": (From(date(2026, 1, 1), Decimal(1), HERE),),
        "is_by_days": True,
        "is_in_arrears": False,
        "schedule": "monthly",
        "currency": "EUR",
        "at": HERE,
    }
    return Fee(**(made | changes))


def due(one: Fee, today: date) -> list[tuple[date, date]]:
    return [(each.first, each.last) for each in one.due("acme", "UTC", today)]


@pytest.fixture
def with_fees(files: dict[str, str]) -> Callable[[str], Book]:
    """Return a function that loads the firm with other `fees:` for its customer."""

    def load(fees: str) -> Book:
        return Book.load({**files, "acme.yaml": files["acme.yaml"].replace("rules:\n", fees)})

    return load


def test_a_part_of_a_period_is_billed_by_days(with_fees: Callable[[str], Book]) -> None:
    told = Due("acme", "Plan", date(2026, 1, 15), date(2026, 1, 31), False, "UTC").event(1)
    priced = with_fees(FEE).price(told)
    assert isinstance(priced, Priced)
    assert (priced.amount, priced.unit_price) == (27419, Decimal("500.00"))
    assert priced.description == "Plan January 2026, Q1 2026, 2026, 2026-01-15 to 2026-01-31"
    assert priced.period.start == date(2026, 1, 1)
    assert priced.steps == (
        'fee "Plan" (acme.yaml:18)',
        "2026-01-15 to 2026-01-31: 1 (acme.yaml:18) x 17 of 31 days at 500.00 EUR per month "
        "(acme.yaml:23)",
        "= 274.19 EUR",
    )


def test_a_fee_has_the_tax_and_the_language_of_its_customer(
    with_fees: Callable[[str], Book],
) -> None:
    terms = """\
language: de
prices: gross
tax: DE
taxes:
  - {tax: DE, rate: 16 %}
  - {tax: DE, rate: 19 %, from: 2026-02-01}
  - {tax: LOW, rate: 7 %, from: 2026-02-01}
"""
    text = FEE.replace("{month}, {quarter}, {year}, {from} to {to}", "{month}, {from} - {to:long}")
    book = with_fees(terms + text)
    first = Due("acme", "Plan", date(2026, 1, 15), date(2026, 1, 31), False, "UTC").event(1)
    then = Due("acme", "Plan", date(2026, 3, 1), date(2026, 3, 31), False, "UTC").event(1)
    priced, later = book.price(first), book.price(then)
    assert isinstance(priced, Priced)
    assert isinstance(later, Priced)
    assert priced.description == "Plan Januar 2026, 15.01.2026 - 31. Januar 2026"
    assert (priced.tax, later.tax) == ("DE 16 % included", "DE 19 % included")
    assert priced.steps[-1].startswith("tax DE 16 % included (acme.yaml:")
    book = with_fees(
        terms + text.replace("unit_price", "tax: LOW\n    currency: CHF\n    unit_price")
    )
    held, later = book.price(first), book.price(then)
    assert isinstance(held, Held)
    assert held.reason.startswith('fee "Plan": no tax LOW holds on 2026-01-15')
    assert isinstance(later, Priced)
    assert (later.tax, later.currency) == ("LOW 7 % included", "CHF")


@pytest.mark.parametrize(
    ("tax", "problem"),
    [("", 'fee "Plan": has no tax'), ("    tax: ED\n", 'tax: no tax "ED" under taxes:')],
)
def test_a_fee_whose_tax_nobody_knows_is_a_mistake(
    with_fees: Callable[[str], Book], tax: str, problem: str
) -> None:
    text = "taxes: [{tax: DE, rate: 19 %}]\n" + FEE.replace("    every", tax + "    every")
    with pytest.raises(ConfigurationError) as error:
        with_fees(text)
    assert any(problem in mistake for mistake in error.value.mistakes)


@pytest.mark.parametrize(
    ("key", "name", "first", "last", "reason"),
    [
        ("acme", "Plan", date(2027, 1, 1), date(2027, 1, 31), 'no fee "Plan" for 2027-01-01'),
        ("acme", "Plan", date(2026, 1, 1), date(2026, 1, 31), 'no fee "Plan" for 2026-01-01'),
        ("acme", "Plan", date(2026, 2, 1), date(2026, 3, 1), 'no fee "Plan" for 2026-02-01'),
        ("acme", "Other", date(2026, 2, 1), date(2026, 2, 28), 'no fee "Other"'),
        ("beta", "Plan", date(2026, 2, 1), date(2026, 2, 28), "no rule file is about beta"),
    ],
)
def test_what_the_rules_do_not_have_is_held(
    with_fees: Callable[[str], Book], key: str, name: str, first: date, last: date, reason: str
) -> None:
    held = with_fees(FEE).price(Due(key, name, first, last, False, "UTC").event(1))
    assert isinstance(held, Held)
    assert reason in held.reason


def test_days_without_any_seat_bill_nothing(with_fees: Callable[[str], Book]) -> None:
    seats = "seats: [{from: 2026-01-01, seats: 2}, {from: 2026-02-01, seats: 0}]\n    unit_price"
    book = with_fees(FEE.replace("unit_price", seats))
    told = Due("acme", "Plan", date(2026, 2, 1), date(2026, 2, 28), False, "UTC")
    assert isinstance(book.price(told.event(1)), Nothing)
    plan = book.customers["acme"].fees.by_name["Plan"]
    assert due(plan, date(2026, 6, 1)) == [(date(2026, 1, 15), date(2026, 1, 31))]


def test_a_price_that_changes_within_a_period_is_one_line_of_its_amount() -> None:
    prices = (
        From(date(2026, 1, 1), Decimal("310.00"), HERE),
        From(date(2026, 1, 11), Decimal("620.00"), HERE),
    )
    charge = fee(prices=prices).charge(date(2026, 1, 1), date(2026, 1, 31))
    assert charge is not None
    assert (charge.quantity, charge.unit_price) == (Decimal(1), Decimal("520.00"))
    assert charge.amount == 52000
    assert [step.partition(" at")[0] for step in charge.steps] == [
        "2026-01-01 to 2026-01-10: 1 (acme.yaml:1) x 10 of 31 days",
        "2026-01-11 to 2026-01-31: 1 (acme.yaml:1) x 21 of 31 days",
        "together 520.00 EUR, rounded once",
    ]


def test_a_period_that_is_billed_whole_has_the_seats_and_the_price_of_its_first_day() -> None:
    whole = fee(
        is_by_days=False,
        first=date(2026, 1, 15),
        quantities=(
            From(date(2026, 1, 15), Decimal(5), HERE),
            From(date(2026, 1, 20), Decimal(8), HERE),
        ),
    )
    charge = whole.charge(date(2026, 1, 15), date(2026, 1, 31))
    assert charge is not None
    assert (charge.quantity, charge.amount) == (Decimal(5), 250000)
    # Days that are left of a period are billed by days all the same.
    rest = whole.charge(date(2026, 1, 25), date(2026, 1, 31))
    assert rest is not None
    assert rest.amount == 90323


@pytest.mark.parametrize(
    ("every", "on", "first", "last"),
    [
        ("week", date(2026, 3, 4), date(2026, 3, 2), date(2026, 3, 8)),
        ("week", date(2025, 12, 31), date(2025, 12, 29), date(2026, 1, 4)),
        ("month", date(2028, 2, 29), date(2028, 2, 1), date(2028, 2, 29)),
        ("quarter", date(2026, 12, 31), date(2026, 10, 1), date(2026, 12, 31)),
        ("quarter", date(2026, 4, 1), date(2026, 4, 1), date(2026, 6, 30)),
        ("year", date(2026, 3, 4), date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_periods_are_those_of_the_calendar(every: str, on: date, first: date, last: date) -> None:
    assert period_of(every, on) == (first, last)


@given(st.sampled_from(["week", "month", "quarter", "year"]), days, days, days, st.booleans())
def test_what_is_due_covers_every_day_once(
    every: str, first: date, last: date, today: date, is_in_arrears: bool
) -> None:
    spans = due(fee(every=every, first=first, last=last, is_in_arrears=is_in_arrears), today)
    covered = [one + DAY * n for one, other in spans for n in range((other - one).days + 1)]
    assert covered == [first + DAY * n for n in range(len(covered))]
    assert all(period_of(every, one) == period_of(every, other) for one, other in spans)
    if is_in_arrears:
        assert all(other < today for _, other in spans)
    else:
        assert all(one <= today for one, _ in spans)
    # What has come due stays due, and nothing that should be is left out.
    later = due(fee(every=every, first=first, last=last, is_in_arrears=is_in_arrears), today + DAY)
    assert later[: len(spans)] == spans
    for one, other in later[len(spans) :]:
        assert (other if is_in_arrears else one - DAY) == today


@given(
    st.lists(st.tuples(days, st.integers(0, 50)), min_size=1, max_size=6),
    st.lists(days, max_size=5),
    st.sampled_from(["week", "month", "quarter", "year"]),
    days,
)
def test_any_way_of_cutting_a_period_sums_up_to_the_whole(
    changes: list[tuple[date, int]], cuts: list[date], every: str, on: date
) -> None:
    begins, ends = period_of(every, on)
    numbers = {date(2020, 1, 1): 3, **dict(changes)}
    seats = tuple(From(day, Decimal(numbers[day]), HERE) for day in sorted(numbers))
    prices = (From(date(2020, 1, 1), Decimal("500.00"), HERE),)
    one = fee(every=every, first=date(2020, 1, 1), prices=prices, quantities=seats)
    starts = sorted({begins, *(cut for cut in cuts if begins < cut <= ends)})
    spans = list(zip(starts, [*(start - DAY for start in starts[1:]), ends], strict=True))

    def exact(first: date, last: date) -> Fraction:
        parts = one._parts(first, last, is_by_days=True)
        return sum((share for share, _, _ in parts), Fraction(0))

    by_day = [
        numbers[max(day for day in numbers if day <= begins + DAY * n)]
        for n in range((ends - begins).days + 1)
    ]
    assert sum(exact(*span) for span in spans) == exact(begins, ends)
    assert exact(begins, ends) == Fraction(sum(by_day), len(by_day))
    for span in spans:
        charge = one.charge(*span)
        assert charge is not None
        amount = line_amount(charge.quantity, charge.unit_price, "EUR")
        assert amount.minor == charge.amount
        assert abs(charge.amount - exact(*span) * 50000) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unit_price: 500.00", "quantity: 2", "has no price - write unit_price:, or prices:"),
        ("unit_price: 500.00", "unit_price: 0", "is not a number like 1 or 2.50 above zero"),
        ("until: 2026-12-31", "until: 2025-12-31", "is earlier than from: - swap them"),
        ("from: 2026-01-15", "from: 1926-01-15", "is long ago"),
        ("{month}", "{item}", 'unknown word "{item}"'),
        ("every: month", "every: day", "is not one of: week, month, quarter, year"),
        ("    due: in advance\n", "", 'the word "due" is missing'),
        (
            "until: 2026-12-31",
            "prices: [{from: 2026-01-01, unit_price: 1}]",
            "stands beside unit_price: - write one of the two",
        ),
        (
            "until: 2026-12-31",
            "seats: [{from: 2026-02-01, seats: 5}]",
            "the first is from 2026-02-01, and the fee is from 2026-01-15 - say what holds",
        ),
        (
            "until: 2026-12-31",
            "seats: [{from: 2026-01-01, seats: 5}, {from: 2026-01-01, seats: 6}]",
            "2026-01-01 stands in line 22 already - keep one of them",
        ),
        ("until: 2026-12-31", "seats: [{from: 2026-01-01, seats: 1.5}]", "is not a whole number"),
        (
            "rules:",
            "  - {fee: Plan, description: a, every: week, from: 2026-01-01, unit_price: 1, due: in "
            "arrears}\nrules:",
            "has the same name as the one in line 18",
        ),
    ],
)
def test_a_mistake_in_a_fee_is_named(
    with_fees: Callable[[str], Book], old: str, new: str, said: str
) -> None:
    assert old in FEE
    with pytest.raises(ConfigurationError) as found:
        with_fees(FEE.replace(old, new, 1))
    (mistake,) = found.value.mistakes
    assert said in mistake
    assert mistake.startswith("acme.yaml:")
    assert 'fee "Plan"' in mistake


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("event: fee.due, fee: Plann", 'this file has no fee "Plann" - did you mean "Plan"?'),
        ("event: fee.due", 'the word "fee" is missing'),
        ("event: time.logged, fee: Plan", "a fee is due by the calendar - write event: fee.due"),
    ],
)
def test_a_test_names_a_fee_that_the_file_has(files: dict[str, str], given: str, said: str) -> None:
    text = files["acme.yaml"].replace("rules:\n", FEE)
    text += f"  - {{test: a fee, given: {{{given}, on: 2026-02-03}}, expect: hold}}\n"
    with pytest.raises(ConfigurationError) as found:
        Book.load({**files, "acme.yaml": text})
    assert said in found.value.mistakes[0]


def test_only_the_calendar_tells_of_fees(with_fees: Callable[[str], Book]) -> None:
    rules = 'rules:\n  - {rule: All fees, when: {event: "fee*"}, bill: nothing}\n'
    with pytest.raises(ConfigurationError):
        with_fees(FEE.replace("rules:\n", rules))
