"""An event's price: the rate of the day, hours rounded per entry, every number explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import UNDOES, Event
from ledger.money import hours, round_seconds
from mappings.book import Book
from mappings.periods import Period
from mappings.pricing import Held, Priced

Logged = Callable[..., Event]
WithRules = Callable[[str], Book]


def priced(book: Book, event: Event) -> Priced:
    outcome = book.price(event)
    assert isinstance(outcome, Priced), outcome
    return outcome


def hourly_rule(**bill: str) -> str:
    words = {"description": "Work", "quantity": "hours", "unit_price": "rate", **bill}
    listed = ", ".join(f"{word}: {value}" for word, value in words.items())
    return f"  - rule: hours\n    bill: {{{listed}}}\n"


def test_a_time_entry_is_priced_and_explained_to_the_last_number(
    book: Book, logged: Logged
) -> None:
    assert priced(book, logged()) == Priced(
        customer="acme",
        rule="Engineering hours",
        description="senior engineering, ACME-7 Login page",
        quantity=Decimal("1.00"),
        unit_price=Decimal("120.00"),
        currency="EUR",
        amount=12000,
        seconds=3000,
        group=("ACME-7", "Ana"),
        period=Period("monthly", date(2026, 3, 1), date(2026, 3, 31)),
        steps=(
            'rule "Engineering hours" (acme.yaml:25)',
            "3000 s as logged",
            "rounded up to 15 minutes per entry: 3600 s = 1.00 h",
            "rate 120.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:13)",
            "1.00 x 120.00 = 120.00 EUR",
        ),
    )


def test_a_fixed_price_has_the_schedule_of_its_rule(book: Book, logged: Logged) -> None:
    event = logged(
        kind="milestone.completed",
        source="github",
        endpoint="github",
        project="acme/site",
        title="Phase 2",
        person=None,
        seconds=None,
    )
    line = priced(book, event)
    assert (line.amount, line.quantity, line.seconds, line.group) == (450000, Decimal(1), None, ())
    assert line.description == "Phase 2, completed 2026-03-04"
    assert line.period == Period("at once", date(2026, 3, 4), date(2026, 3, 4))


@pytest.mark.parametrize(
    ("person", "on", "rate"),
    [
        ("5b10a", "2026-06-30", "120.00"),
        ("5b10a", "2026-07-01", "130.00"),
        ("5c20b", "2026-05-31", "80.00"),
        ("5c20c", "2026-06-01", "95.00"),
        ("5c20b", "2027-01-01", "95.00"),
    ],
)
def test_the_newest_rate_that_holds_on_the_day_is_used_and_a_persons_own_first(
    book: Book, logged: Logged, person: str, on: str, rate: str
) -> None:
    line = priced(book, logged(person=person, on=date.fromisoformat(on)))
    assert line.unit_price == Decimal(rate)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"on": date(2025, 12, 31)}, "no rate for Ana (senior) holds on 2025-12-31"),
        ({"person": "5d30d"}, "no rate for Kim, who has no role"),
        ({"person": "5zz", "person_name": "Mia"}, 'unknown person "5zz" ("Mia") of jira-acme'),
        ({"person": None}, "the tool does not say who worked"),
        ({"seconds": None}, "does not say how long it took"),
        ({"seconds": -60}, "less than no time"),
        ({"seconds": 86_401}, "more than 24 hours"),
        ({"kind": "work.completed"}, "no rule of acme fits work.completed"),
    ],
)
def test_what_cannot_be_priced_soundly_is_held_with_the_reason(
    book: Book, logged: Logged, changes: dict[str, Any], reason: str
) -> None:
    outcome = book.price(logged(**changes))
    assert isinstance(outcome, Held)
    assert outcome.customer == "acme"
    assert reason in outcome.reason
    assert " - " in outcome.reason, "a reason says what to do"


def test_hours_of_an_event_without_hours_are_held(with_rules: WithRules, logged: Logged) -> None:
    outcome = with_rules(hourly_rule()).price(logged(kind="release.published"))
    assert isinstance(outcome, Held)
    assert "bills hours, but a release.published has none" in outcome.reason


def test_a_total_may_be_longer_than_a_day(with_rules: WithRules, logged: Logged) -> None:
    line = priced(with_rules(hourly_rule()), logged(kind="time.total", seconds=100 * 3600))
    assert line.amount == 12000_00


def test_hours_at_a_fixed_price_need_no_known_person(with_rules: WithRules, logged: Logged) -> None:
    book = with_rules(hourly_rule(unit_price="90.5"))
    line = priced(book, logged(person="5zz", seconds=1))
    assert (line.quantity, line.amount) == (Decimal("0.0003"), 3)
    assert "1 s as logged = 0.0003 h" in line.steps


def test_a_line_that_names_an_unknown_person_is_held(with_rules: WithRules, logged: Logged) -> None:
    book = with_rules(hourly_rule(unit_price="90", one_line_per="person"))
    assert isinstance(book.price(logged(person="5zz")), Held)
    assert priced(book, logged(person=None)).group == ("",)


def test_a_description_of_nothing_is_held(with_rules: WithRules, logged: Logged) -> None:
    outcome = with_rules(hourly_rule(description='"{title}"')).price(logged(title=None))
    assert isinstance(outcome, Held)
    assert "nothing that its description names is known" in outcome.reason


def test_lines_are_grouped_by_the_words_in_their_order(
    with_rules: WithRules, logged: Logged
) -> None:
    book = with_rules(hourly_rule(one_line_per="[day, project, role, title, rule, item, person]"))
    group = ("2026-03-04", "ACME", "senior", "Login page", "hours", "ACME-7", "Ana")
    assert priced(book, logged()).group == group


@pytest.mark.parametrize("kind", sorted(UNDOES))
def test_what_takes_something_back_has_no_price(book: Book, logged: Logged, kind: str) -> None:
    with pytest.raises(ValueError, match="takes back"):
        book.price(logged(kind=kind))


ROUNDINGS = st.sampled_from(["up to", "down to", "to the nearest"])


@given(seconds=st.integers(0, 86_400), direction=ROUNDINGS, minutes=st.sampled_from([1, 6, 15, 60]))
def test_hours_are_rounded_per_entry_as_the_words_say(
    with_rules: WithRules, logged: Logged, seconds: int, direction: str, minutes: int
) -> None:
    book = _rounding_book(with_rules, direction, minutes)
    line = priced(book, logged(seconds=seconds))
    step = minutes * 60
    steps, rest = divmod(seconds, step)
    more = {"up to": rest > 0, "down to": False, "to the nearest": 2 * rest >= step}[direction]
    assert line.quantity == hours((steps + more) * step)
    assert line.seconds == seconds


_BOOKS: dict[tuple[str, int], Book] = {}


def _rounding_book(with_rules: WithRules, direction: str, minutes: int) -> Book:
    key = (direction, minutes)
    if key not in _BOOKS:
        _BOOKS[key] = with_rules(hourly_rule(round=f"{direction} {minutes} minutes per entry"))
    return _BOOKS[key]


@given(
    st.integers(-(10**6), 10**6), st.integers(1, 86_400), st.sampled_from(["up", "down", "nearest"])
)
def test_rounding_is_symmetric(seconds: int, step: int, direction: str) -> None:
    assert round_seconds(-seconds, step, direction) == -round_seconds(seconds, step, direction)


@given(seconds=st.integers(0, 86_400), rate=st.sampled_from(["0.01", "90.5", "119.995", "120.00"]))
def test_amount_is_quantity_times_unit_price_rounded_half_up_once(
    with_rules: WithRules, logged: Logged, seconds: int, rate: str
) -> None:
    line = priced(with_rules(hourly_rule(unit_price=rate)), logged(seconds=seconds))
    exact = Fraction(line.quantity) * Fraction(rate) * 100
    assert line.unit_price == Decimal(rate)
    assert line.amount == int(exact + Fraction(1, 2))


@given(seconds=st.none() | st.integers(-10, 100_000), project=st.sampled_from(["ACME", "X", None]))
def test_the_same_event_has_the_same_outcome_under_the_same_files(
    book: Book, logged: Logged, seconds: int | None, project: str | None
) -> None:
    event = logged(seconds=seconds, project=project)
    assert book.price(event) == book.price(event) == Book.load(book.files).price(event)


def test_currencies_keep_their_own_decimal_places(files: dict[str, str], logged: Logged) -> None:
    amounts = {}
    for currency in ("JPY", "KWD"):
        text, _, _ = files["acme.yaml"].replace("EUR", currency).partition("tests:")
        book = Book.load({**files, "acme.yaml": text})
        amounts[currency] = priced(book, logged()).amount
    assert amounts == {"JPY": 120, "KWD": 120_000}
