"""Entries that are counted together: the sums are right, in any order and on any invoices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.corrections import KnownLine, LineItem, plan
from ledger.errors import ConfigurationError
from ledger.events import Event
from ledger.money import line_amount
from ledger.printing import NumberedLine, print_lines
from ledger.sums import brought_together, by_pool, change_of_sums, not_summed_up
from mappings.book import Book
from mappings.judging import judge
from mappings.pricing import Held
from tests.mappings.conftest import ACME, WORKSPACE

HOURS = "description: Work, quantity: hours, unit_price: rate"
DAYS = "description: Days, quantity: days, hours_in_a_day: 8, one_line_per: person"
UNITS = "description: Requests, quantity: units"
BILLS = {
    "per day": f"{HOURS}, round: up to 15 minutes per day",
    "per person and day": f"{HOURS}, round: 'to the nearest 6 minutes per person and day, "
    "at least 30 minutes'",
    "per line": f"{HOURS}, round: down to 1 hour per line, one_line_per: item",
    "days": f"{DAYS}, unit_price: 960.00",
    "half days": f"{DAYS}, unit_price: 960.00, count_days: half and full days, "
    "a_half_day_from: 2 hours",
    "graduated": f"{UNITS}, unit_price: {{graduated: [{{up_to: 100, price: 0.00}}, "
    "{up_to: 250.5, price: 0.125, flat: 10.00}, {price: 0.0333}]}",
    "volume": f"{UNITS}, unit_price: {{volume: [{{up_to: 100, price: 0.333}}, {{price: 0.25}}]}}",
    "package": f"{UNITS}, unit_price: {{package: {{size: 100, price: 5.00}}}}",
    "overtime": f"{HOURS}, round: up to 15 minutes per entry",
}
FEW = settings(max_examples=25, deadline=None)
OVERTIME = """\
overtime:
  - {overtime: Long day, after: 8 hours per person and day, times: 1.25}
  - {overtime: Very long day, after: 10 hours per person and day, times: 1.5}
  - {overtime: Long week, after: 20 hours per person and week, times: 1.333}
"""


def book_with(bill: str, overtime: str = "") -> Book:
    """Return rules that bill all work of Acme in one way."""
    start, _ = ACME.split("rules:\n  - rule: Internal")
    rules = f"rules:\n  - rule: All\n    bill: {{{bill}}}\n"
    return Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": start + overtime + rules})


BOOKS = {name: book_with(bill, OVERTIME * (name == "overtime")) for name, bill in BILLS.items()}


def sum_up(book: Book) -> Callable[[str, Sequence[LineItem]], Sequence[LineItem]]:
    return lambda version, counted: book.customers["acme"].sum_lines(counted)


def entry(
    make: Callable[..., Event], name: str, day: int, amount: int, person: str, item: str
) -> Event:
    """Return an entry that every one of the rules can bill: so many minutes, or units."""
    is_usage = name in ("graduated", "volume", "package")
    return make(
        kind="usage.recorded" if is_usage else "time.logged",
        on=date(2026, 3, 30) + timedelta(day),
        person=person,
        item=item,
        seconds=None if is_usage else amount * 60,
        fields={"quantity": Decimal(amount) / 2} if is_usage else {},
    )


ENTRIES = st.tuples(
    st.integers(0, 4), st.integers(0, 660), st.sampled_from(["5b10a", "5c20b"]), st.just("A-1")
)


class Ledger:
    """Line items and their sums, as the stages map, assemble and push keep them."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.known: list[KnownLine] = []
        self.subject: dict[int, int] = {}
        self.numbers = 0

    def change(self, withdraw: Sequence[int], add: Sequence[LineItem], subject: int) -> None:
        self.known = [each for each in self.known if each.id not in withdraw]
        for line in add:
            self.numbers += 1
            self.known.append(KnownLine(self.numbers, False, line))
            self.subject[self.numbers] = subject

    def tell(self, subject: int, event: Event | None) -> None:
        """Bring the lines of a subject in line with its event, None if it was removed."""
        known = [each for each in self.known if self.subject[each.id] == subject]
        wanted = judge(self.book, event).lines if event else ()
        change = plan(known, [replace(line, event_id=1) for line in wanted], event_id=1)
        self.change(change.withdraw, change.add, subject)
        self.sum_up()

    def sum_up(self) -> None:
        for pool in by_pool(self.known).values():
            change = change_of_sums(pool, sum_up(self.book))
            self.change(change.withdraw, change.add, -1)

    def bill(self, ids: set[int]) -> None:
        """Bill lines. Those that only count may stand on another invoice than their sums."""
        self.known = [
            replace(each, is_billed=each.is_billed or each.id in ids) for each in self.known
        ]

    @property
    def total(self) -> int:
        return sum(each.line.amount for each in self.known)


def total_of(book: Book, events: Sequence[Event]) -> int:
    lines = [line for event in events for line in judge(book, event).lines]
    return sum(each.line.amount for each in brought_together(lines, sum_up(book), ()))


@pytest.mark.parametrize("name", BILLS)
@FEW
@given(data=st.data())
def test_any_invoices_come_to_the_total_of_all_at_once(
    logged: Callable[..., Event], name: str, data: st.DataObject
) -> None:
    book = BOOKS[name]
    ledger = Ledger(book)
    present: dict[int, Event] = {}
    for _ in range(data.draw(st.integers(1, 8))):
        subject = data.draw(st.integers(0, 3))
        event = data.draw(st.none() | ENTRIES)
        if event is None:
            present.pop(subject, None)
        else:
            present[subject] = entry(logged, name, *event)
        ledger.tell(subject, present.get(subject))
        still_open = [each.id for each in ledger.known if not each.is_billed]
        if still_open:
            # None of them is as likely as some: then nothing goes out yet.
            ledger.bill(set(data.draw(st.lists(st.sampled_from(still_open)))))
            ledger.sum_up()
        assert ledger.total == total_of(book, list(present.values()))
        for pool in by_pool(ledger.known).values():
            assert not_summed_up(pool, sum_up(book)) == []
            assert change_of_sums(pool, sum_up(book)).add == ()
    for each in ledger.known:
        line = each.line
        right = line_amount(line.quantity, line.unit_price, line.currency).minor
        assert line.amount == (0 if line.kind == "counted" else right)
        assert line.kind != "sum" or (line.seconds, line.event_id) == (0, None)


@pytest.mark.parametrize("name", BILLS)
@FEW
@given(entries=st.lists(ENTRIES, min_size=1, max_size=6), data=st.data())
def test_any_order_gives_the_same_printed_lines(
    logged: Callable[..., Event],
    name: str,
    entries: list[tuple[int, int, str, str]],
    data: st.DataObject,
) -> None:
    events = [entry(logged, name, *each) for each in entries]

    def printed(events: Sequence[Event]) -> list[object]:
        lines = [line for event in events for line in judge(BOOKS[name], event).lines]
        known = brought_together(lines, sum_up(BOOKS[name]), ())
        numbered = [NumberedLine(each.id, each.line) for each in known]
        return [
            (line.description, line.quantity, line.unit_price, line.amount)
            for line in print_lines(numbered, {})
        ]

    first = printed(events)
    assert printed(data.draw(st.permutations(events))) == first


def lines_for(name: str, make: Callable[..., Event], *amounts: int, day: int = 2) -> list[LineItem]:
    """Return the priced lines that some entries of Ana's on one day come to."""
    events = [entry(make, name, day, amount, "5b10a", "A-1") for amount in amounts]
    lines = [line for event in events for line in judge(BOOKS[name], event).lines]
    known = brought_together(lines, sum_up(BOOKS[name]), ())
    return [each.line for each in known if each.line.kind == "sum"]


@FEW
@given(amounts=st.lists(st.integers(0, 400), min_size=1, max_size=4))
def test_graduated_prices_are_the_integral_of_the_tiers(
    logged: Callable[..., Event], amounts: list[int]
) -> None:
    units = Fraction(sum(amounts), 2)
    parts = [
        (min(units, Fraction(100)), Fraction(0), 0),
        (max(min(units, Fraction(501, 2)) - 100, Fraction(0)), Fraction("0.125"), 1000),
        (max(units - Fraction(501, 2), Fraction(0)), Fraction("0.0333"), 0),
    ]
    expected = sum(
        math.floor(part * price * 100 + Fraction(1, 2)) + (flat if part else 0)
        for part, price, flat in parts
    )
    lines = lines_for("graduated", logged, *amounts)
    assert sum(line.amount for line in lines) == expected
    assert sum(line.quantity for line in lines if "flat fee" not in line.description) == units


def test_tiers_are_printed_from_the_lowest(logged: Callable[..., Event]) -> None:
    lines = [NumberedLine(n, line) for n, line in enumerate(lines_for("graduated", logged, 800))]
    # By their words "100 to 250.5" would come before "up to 100".
    assert [line.description for line in print_lines(lines[::-1], {})] == [
        "Requests, up to 100",
        "Requests, 100 to 250.5",
        "Requests, 100 to 250.5, flat fee",
        "Requests, over 250.5",
    ]


@FEW
@given(amounts=st.lists(st.integers(0, 400), min_size=1, max_size=4))
def test_a_volume_has_one_price_and_packages_are_begun(
    logged: Callable[..., Event], amounts: list[int]
) -> None:
    units = Fraction(sum(amounts), 2)
    (volume,) = lines_for("volume", logged, *amounts)
    assert volume.unit_price == Decimal("0.333" if units <= 100 else "0.25")
    assert volume.quantity == units
    (packages,) = lines_for("package", logged, *amounts)
    assert packages.quantity == math.ceil(units / 100)
    assert packages.amount == 500 * math.ceil(units / 100)


@pytest.mark.parametrize(
    ("minutes", "days"),
    [((119,), "0.00"), ((60, 60), "0.50"), ((240,), "0.50"), ((241,), "1.00"), ((600,), "1.00")],
)
def test_hours_of_a_day_are_none_half_or_a_whole_day(
    logged: Callable[..., Event], minutes: tuple[int, ...], days: str
) -> None:
    (line,) = lines_for("half days", logged, *minutes)
    assert (line.quantity, line.unit_price) == (Decimal(days), Decimal("960.00"))


def test_days_by_the_hour_may_be_more_than_one(logged: Callable[..., Event]) -> None:
    (line,) = lines_for("days", logged, 300, 300)
    assert (line.quantity, line.amount) == (Decimal("1.25"), 120000)


def test_hours_are_added_up_before_they_are_rounded(logged: Callable[..., Event]) -> None:
    (line,) = lines_for("per day", logged, 5, 5, 6)
    assert (line.quantity, line.amount) == (Decimal("0.50"), 6000)
    assert "3 entries: 960 s as logged" in line.steps
    assert "rounded up to 15 minutes per day: 1800 s = 0.50 h" in line.steps
    (least,) = lines_for("per person and day", logged, 5)
    assert least.quantity == Decimal("0.5")
    assert [line.quantity for line in lines_for("per line", logged, 50, 50)] == [1]


def test_overtime_is_a_line_of_its_own_with_the_highest_factor(
    logged: Callable[..., Event],
) -> None:
    lines = lines_for("overtime", logged, 300, 360)
    assert {(line.description, line.quantity, line.unit_price) for line in lines} == {
        ("Long day, Ana", Decimal(2), Decimal("30")),
        ("Very long day, Ana", Decimal(1), Decimal("60")),
    }
    assert lines_for("overtime", logged, 240, 240) == []


def test_a_week_of_overtime_goes_on_in_the_next_month(logged: Callable[..., Event]) -> None:
    events = [entry(logged, "overtime", day, 480, "5b10a", "A-1") for day in range(4)]
    lines = [line for event in events for line in judge(BOOKS["overtime"], event).lines]
    known = brought_together(lines, sum_up(BOOKS["overtime"]), ())
    found = [each.line for each in known if each.line.kind == "sum"]
    # Monday 30 March to Thursday 2 April: the twentieth hour is worked on Wednesday.
    assert [(line.description, line.quantity) for line in found] == [
        ("Long week, Ana", Decimal(12))
    ]
    assert found[0].period_from == date(2026, 4, 1)


@pytest.mark.parametrize("name", ["per day", "days", "overtime"])
def test_a_cumulative_time_that_is_counted_by_day_is_held(
    logged: Callable[..., Event], name: str
) -> None:
    outcome = BOOKS[name].price(logged(kind="time.total"))
    assert isinstance(outcome, Held)
    assert "counts by day, and a time.total does not say which days" in outcome.reason


@pytest.mark.parametrize("said", [None, True, "many", -1, "1e5", Decimal("NaN")])
def test_units_that_are_no_number_are_held(logged: Callable[..., Event], said: object) -> None:
    fields = {} if said is None else {"quantity": said}
    outcome = BOOKS["volume"].price(logged(kind="usage.recorded", fields=fields))
    assert isinstance(outcome, Held)
    assert "for fields.quantity, the units used - correct it there" in outcome.reason


MISTAKES = {
    f"{HOURS}, round: up to 5 minutes per line": "without one_line_per: each entry is a line",
    "description: '{title}', quantity: hours, unit_price: 1, round: up to 5 minutes per day": (
        "{title} differs between entries that are counted together"
    ),
    "description: A, quantity: days, unit_price: 1": "days need hours_in_a_day:",
    f"{DAYS}, unit_price: 1, a_half_day_from: 1 hour": "a_half_day_from is for half days",
    f"{DAYS}, unit_price: 1, round: up to 5 minutes per day": "only hours are rounded",
    f"{DAYS}, unit_price: 1, count_days: half and full days, a_half_day_from: 5 hours, "
    "a_full_day_from: 4 hours": "half a day begins later than a full day",
    "description: A, quantity: days, hours_in_a_day: 8, one_line_per: item, unit_price: 1": (
        "a day is one quantity, it cannot be split by item"
    ),
    f"{HOURS}, hours_in_a_day: 8": "hours_in_a_day is for days",
    "description: A, quantity: 2, unit_price: {package: {size: 1, price: 1}}": (
        "a price by quantity needs a quantity that adds up"
    ),
    f"{UNITS}, unit_price: {{}}": "write just one of them",
    f"{UNITS}, unit_price: {{volume: [{{up_to: 5, price: 1}}]}}": "add a tier without up_to:",
    f"{UNITS}, unit_price: {{volume: [{{price: 1}}, {{price: 2}}]}}": "write its up_to:",
    f"{UNITS}, unit_price: {{graduated: [{{up_to: 5, price: 1}}, {{up_to: 5, price: 1}}, "
    "{price: 2}]}": "is not above the tier before",
    f"{UNITS}, unit_price: {{package: {{size: 1, price: 0.001}}}}": "more decimal places than EUR",
    f"{UNITS}, unit_price: rate": "a rate is the price of an hour or a day",
    f"{UNITS}, unit_price: {{package: {{size: 1, price: 1}}}}, discount: 5 %": (
        "discount: a price by quantity has no unit price to take it off"
    ),
    f"{UNITS}, unit_price: {{package: {{size: 1, price: 1}}}}, minimum: 5": (
        "minimum: a minimum is of one entry, and these are counted together"
    ),
    f"{BILLS['per day']}, minimum: 5": "write minimum_fee: for the period",
    f"{BILLS['days']}, minimum: 5": "write minimum_fee: for the period",
}


@pytest.mark.parametrize("bill", MISTAKES)
def test_what_cannot_be_counted_is_a_mistake_with_what_to_do(bill: str) -> None:
    with pytest.raises(Exception, match=r"acme\.yaml:") as error:
        book_with(bill)
    assert MISTAKES[bill] in str(error.value)
    assert " - " in str(error.value)


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        ("after: 8 hours per person and day, times: 1", "is nothing on top"),
        ("after: 8 hours a day, times: 1.5", "is not a time like"),
        ("after: 25 hours per person and day, times: 1.5", "more than a day"),
        ("after: 8 hours per person and day, times: 1.5, rules: Al", "this file has no rule"),
    ],
)
def test_overtime_that_cannot_be_is_a_mistake(words: str, mistake: str) -> None:
    with pytest.raises(Exception, match=mistake):
        book_with(HOURS, f"overtime: [{{overtime: Long, {words}}}]\n")


@pytest.mark.parametrize(
    ("bill", "mistake"),
    [
        ("nothing", 'rules: rule "All" bills nothing - take it out'),
        ("{description: A, quantity: 1, unit_price: 5}", 'rule "All" bills no hours - name rules'),
        (f"{{{BILLS['days']}}}", 'rule "All" bills no hours - name rules with quantity: hours'),
    ],
)
def test_overtime_names_rules_with_hours(bill: str, mistake: str) -> None:
    words = "overtime: Long, after: 8 hours per person and day, times: 1.5, rules: All"
    start, _ = ACME.split("rules:\n  - rule: Internal")
    text = f"{start}overtime: [{{{words}}}]\nrules:\n  - rule: All\n    bill: {bill}\n"
    with pytest.raises(ConfigurationError) as error:
        Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text})
    assert [mistake in each for each in error.value.mistakes] == [True]


@pytest.mark.parametrize("kind", ["per day", "days"])
def test_a_discount_is_taken_off_the_price_at_which_entries_are_counted(
    kind: str, logged: Callable[..., Event]
) -> None:
    bill = BILLS[kind].replace("unit_price: rate", "unit_price: 960.00")
    whole, less = (book_with(bill + discount) for discount in ("", ", discount: 5 %"))
    events = [logged(seconds=3600), logged(seconds=3600)]
    assert total_of(whole, events) > 0
    assert total_of(less, events) * 100 == total_of(whole, events) * 95


@pytest.mark.parametrize(
    ("bill", "mistake"),
    [
        (BILLS["per day"], "round per entry, or name the other rules"),
        (f"{HOURS}, minimum: 40.00", "a minimum charge is no hour of overtime"),
    ],
)
def test_overtime_needs_the_price_of_each_hour(bill: str, mistake: str) -> None:
    with pytest.raises(Exception, match=mistake):
        book_with(bill, OVERTIME)
