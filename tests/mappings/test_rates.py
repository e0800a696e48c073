"""The most specific rate is used, then the newest; what is not clear is held, or a mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ConfigurationError
from ledger.events import Event
from mappings.book import Book
from mappings.clauses import rates
from mappings.clauses.rates import CRITERIA, Rates
from mappings.clauses.setting import Setting
from mappings.holding import Hold
from mappings.matching import Seen
from mappings.model import Person
from mappings.pricing import Held, Priced
from mappings.reading import Mistakes, read
from mappings.shapes import TableOf

Logged = Callable[..., Event]
Files = dict[str, str]

HOURS = """\
  - rule: Hours
    bill: {description: Work, quantity: hours, unit_price: rate}
"""


def rates_of(*lines: str) -> tuple[Rates, list[str]]:
    """Return the rates of a file with these entries, and its mistakes."""
    listed = "".join(f"  - {{{line}}}\n" for line in lines)
    mistakes = Mistakes()
    table = read("acme.yaml", f"rates:\n{listed}", mistakes)
    assert table is not None
    filled = TableOf(rates.WORDS).read(table, mistakes)
    found = rates.read(filled, Setting(None, "EUR"), mistakes)
    return found, mistakes.lines()


@pytest.fixture
def with_rates(files: Files) -> Callable[..., Book]:
    """Return a function that loads the firm with other rates and rules."""

    def load(*lines: str, rules: str = HOURS) -> Book:
        start, _, _ = files["acme.yaml"].partition("rates:")
        listed = "".join(f"  - {{{line}}}\n" for line in lines)
        return Book.load({**files, "acme.yaml": f"{start}rates:\n{listed}rules:\n{rules}"})

    return load


def price(book: Book, event: Event) -> str:
    """Return the unit price of an event, or why it is held."""
    outcome = book.price(event)
    if isinstance(outcome, Held):
        return outcome.reason
    assert isinstance(outcome, Priced)
    return f"{outcome.unit_price:f}"


ORDERED = (
    "from: 2026-01-01, hourly: 10.00",
    "role: s*, from: 2026-01-01, hourly: 20.00",
    "role: senior, from: 2026-01-01, hourly: 21.00",
    "project: AC*, from: 2026-01-01, hourly: 30.00",
    "project: [SITE, acme], from: 2026-01-01, hourly: 31.00",
    "project: ACME, role: senior, from: 2026-01-01, hourly: 32.00",
    "activity: Travel, from: 2026-01-01, hourly: 40.00",
    "labels: audit, from: 2026-01-01, hourly: 50.00",
    "labels: audit, role: senior, from: 2026-01-01, hourly: 51.00",
    "person: Ana, from: 2026-01-01, hourly: 60.00",
    "person: Ana, role: senior, from: 2026-01-01, hourly: 61.00",
)
TRAVEL_TO_AUDIT = {"fields": {"activity": "travel"}, "labels": ("ui", "Audit")}


@pytest.mark.parametrize("most", range(1, len(ORDERED) + 1))
@pytest.mark.parametrize("is_reversed", [False, True])
def test_person_comes_before_labels_activity_project_and_role_and_names_before_patterns(
    with_rates: Callable[..., Book], logged: Logged, most: int, is_reversed: bool
) -> None:
    lines = ORDERED[:most]
    book = with_rates(*(reversed(lines) if is_reversed else lines))
    expected = lines[-1].rpartition("hourly: ")[2]
    assert price(book, logged(**TRAVEL_TO_AUDIT)) == expected


def test_a_rate_that_changes_in_the_middle_of_a_month_prices_each_entry_by_its_own_day(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    book = with_rates(
        "role: senior, from: 2026-03-16, hourly: 130.00",
        "role: senior, from: 2026-01-01, hourly: 120.00",
        "role: senior, from: 2026-04-01, hourly: 140.00",
    )
    days = [date(2026, 3, 15), date(2026, 3, 16), date(2026, 3, 31), date(2026, 4, 1)]
    priced = [book.price(logged(on=day)) for day in days]
    assert [line.unit_price for line in priced if isinstance(line, Priced)] == [
        *map(Decimal, ("120.00", "130.00", "130.00", "140.00"))
    ]
    steps = [line.steps[-2] for line in priced if isinstance(line, Priced)]
    assert steps[:2] == [
        "rate 120.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:14)",
        "rate 130.00 EUR per hour: role senior, from 2026-03-16 (acme.yaml:13)",
    ]


def test_the_step_says_all_that_the_rate_goes_by(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    book = with_rates("role: [senior, lead], project: A*, from: 2026-01-01, hourly: 5")
    line = book.price(logged())
    assert isinstance(line, Priced)
    assert "rate 5 EUR per hour: project A*, role senior or lead, from 2026-01-01" in line.steps[-2]
    line = with_rates("from: 2026-01-01, hourly: 5").price(logged())
    assert isinstance(line, Priced)
    assert "rate 5 EUR per hour: everybody, from 2026-01-01" in line.steps[-2]


def test_a_persons_rate_may_be_a_pattern_but_a_name_must_be_known(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    assert price(with_rates("person: [a*, Ben], from: 2026-01-01, hourly: 7"), logged()) == "7"
    with pytest.raises(ConfigurationError, match='no person "Anna"'):
        with_rates("person: [Ben, Anna], from: 2026-01-01, hourly: 7")


def test_a_list_that_is_raised_for_one_of_its_roles_is_no_riddle(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    book = with_rates(
        "role: [senior, junior], from: 2026-01-01, hourly: 90.00",
        "role: senior, from: 2026-03-01, hourly: 99.00",
    )
    assert price(book, logged()) == "99.00"
    assert price(book, logged(person="5c20b")) == "90.00"


def test_a_customers_own_rate_comes_before_an_equally_specific_one_of_another_file(
    logged: Logged,
) -> None:
    mistakes = Mistakes()
    shape = TableOf(rates.WORDS)
    read_as = {
        "acme.yaml": ["from: 2026-01-01, hourly: 90"],
        "standard.yaml": ["from: 2026-01-01, hourly: 98", "from: 2026-03-01, hourly: 99"],
    }
    filled = []
    for file, lines in read_as.items():
        listed_there = "".join(f"  - {{role: senior, {line}}}\n" for line in lines)
        table = read(file, f"rates:\n{listed_there}", mistakes)
        assert table is not None
        filled.append(shape.read(table, mistakes))
    own, shared = filled
    joined = replace(own, values={"rates": (*own["rates"], *shared["rates"])})
    listed = rates.read(joined, Setting(None, "EUR"), mistakes)
    assert found(listed, Seen(logged(), PEOPLE[0])) == 90
    assert mistakes.lines() == []


def test_two_labels_with_different_prices_are_held_with_both_places(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    lines = (
        "labels: audit, from: 2026-01-01, hourly: 90.00",
        "labels: night, from: 2026-02-01, hourly: 99.00",
    )
    book = with_rates(*lines)
    reason = price(book, logged(labels=("night", "audit")))
    assert "the rates for labels audit (acme.yaml:13) and for labels night (acme.yaml:14)" in reason
    assert "fit equally well on 2026-03-04 - add one that names more" in reason
    assert price(book, logged(labels=("night",))) == "99.00"
    assert price(book, logged(labels=("night", "audit"), on=date(2026, 1, 31))) == "90.00"
    both = with_rates(*lines, "labels: night, role: senior, from: 2026-01-01, hourly: 70.00")
    assert price(both, logged(labels=("night", "audit"))) == "70.00"
    same = with_rates(lines[0], lines[1].replace("99", "90"))
    assert price(same, logged(labels=("night", "audit"))) == "90.00"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("from: 2026-01-01, hourly: 10",), "10"),
        (("project: ACME, from: 2026-01-01, hourly: 10",), "10"),
        (
            ("role: senior, from: 2026-01-01, hourly: 10", "from: 2026-01-01, hourly: 9"),
            'unknown person "5zz" of jira-acme',
        ),
        (
            (
                "role: senior, project: X, from: 2026-01-01, hourly: 10",
                "from: 2026-01-01, hourly: 9",
            ),
            "9",
        ),
        (("role: senior, from: 2026-03-05, hourly: 10", "from: 2026-01-01, hourly: 9"), "9"),
        (("person: Ana, labels: audit, from: 2026-01-01, hourly: 9",), "unknown person"),
        (
            (
                "role: senior, from: 2026-01-01, hourly: 10",
                "labels: a*, from: 2026-01-01, hourly: 9",
            ),
            "9",
        ),
        (
            (
                "role: senior, labels: a*, from: 2026-01-01, hourly: 1",
                "labels: a*, from: 2026-01-01, hourly: 9",
            ),
            "unknown person",
        ),
        (
            ("project: X, from: 2026-01-01, hourly: 10",),
            "no rate for this work holds on 2026-03-04",
        ),
    ],
)
def test_an_unknown_person_is_held_only_where_the_person_decides(
    with_rates: Callable[..., Book], logged: Logged, lines: Sequence[str], expected: str
) -> None:
    assert expected in price(with_rates(*lines), logged(person="5zz", labels=("audit",)))


def test_a_rule_in_another_currency_takes_only_rates_in_it(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    rules = (
        "  - rule: Dollars\n    when: {project: SITE}\n    currency: USD\n"
        "    bill: {description: Work, quantity: hours, unit_price: rate}\n" + HOURS
    )
    book = with_rates(
        "role: senior, from: 2026-01-01, hourly: 120.00",
        "from: 2026-01-01, hourly: 150.00, currency: USD",
        "person: Kim, from: 2026-01-01, hourly: 1.00",
        "role: junior, from: 2027-01-01, hourly: 1.00, currency: USD",
        rules=rules,
    )
    dollars, euros = book.price(logged(project="SITE")), book.price(logged())
    assert isinstance(dollars, Priced)
    assert isinstance(euros, Priced)
    assert (dollars.unit_price, dollars.currency, dollars.amount) == (Decimal(150), "USD", 12500)
    assert (euros.unit_price, euros.currency) == (Decimal(120), "EUR")
    assert dollars.steps[2].startswith("rate 150.00 USD per hour: everybody")
    assert price(book, logged(project="SITE", person="5d30d")) == "150.00"
    no_dollars = with_rates("role: senior, from: 2026-01-01, hourly: 1", rules=HOURS)
    assert "no rate for Kim, who has no role holds" in price(no_dollars, logged(person="5d30d"))


def test_a_missing_rate_in_another_currency_says_so(
    with_rates: Callable[..., Book], logged: Logged
) -> None:
    rules = HOURS.replace("Hours\n", "Hours\n    currency: JPY\n")
    line = "role: junior, from: 2026-01-01, hourly: 150, currency: JPY"
    reason = price(with_rates(line, rules=rules), logged())
    assert "no rate for Ana (senior) in JPY holds on 2026-03-04" in reason


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            (
                "role: senior, from: 2026-01-01, hourly: 1",
                "role: SENIOR, from: 2026-01-01, hourly: 1",
            ),
            "acme.yaml:3:5: rate: SENIOR has a rate from 2026-01-01 in line 2 already - keep one",
        ),
        (
            ("from: 2026-01-01, hourly: 1", "from: 2026-01-01, hourly: 2"),
            "everybody has a rate from 2026-01-01 in line 2 already",
        ),
        (
            (
                "role: [senior, lead], project: A, from: 2026-01-01, hourly: 1",
                "project: [B, a], role: lead, from: 2026-01-01, hourly: 2",
            ),
            "some of the work for project B or a, role lead has another rate from 2026-01-01 in "
            "line 2 already - name nothing in both of them",
        ),
        (("hourly: 1",), 'the word "from" is missing'),
        (("from: 2026-01-01, hourly: 1, currency: EURO",), "three capital letters"),
        (
            ("from: 2026-01-01, hourly: 1, label: x",),
            'unknown word "label" - did you mean "labels"?',
        ),
        (("from: 2026-01-01, hourly: 1, project: []",), "the list is empty"),
    ],
)
def test_rates_that_contradict_each_other_are_mistakes(lines: Sequence[str], expected: str) -> None:
    _, mistakes = rates_of(*lines)
    assert any(expected in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize(
    "lines",
    [
        ("role: a, from: 2026-01-01, hourly: 1", "role: a, from: 2026-01-02, hourly: 2"),
        ("role: a, from: 2026-01-01, hourly: 1", "person: a, from: 2026-01-01, hourly: 2"),
        ("role: a, from: 2026-01-01, hourly: 1", "role: b, from: 2026-01-01, hourly: 2"),
        ("role: a, from: 2026-01-01, hourly: 1", "role: a*, from: 2026-01-01, hourly: 2"),
        ("role: [a, b], from: 2026-01-01, hourly: 1", "role: [b, c], from: 2026-01-01, hourly: 1"),
        (
            "role: a, from: 2026-01-01, hourly: 1",
            "role: a, from: 2026-01-01, hourly: 2, currency: USD",
        ),
        (
            "role: [a, b], project: x, from: 2026-01-01, hourly: 1",
            "role: [a, c], project: y, from: 2026-01-01, hourly: 2",
        ),
        (
            "role: a, from: 2026-01-01, hourly: 1",
            "role: a, project: x, from: 2026-01-01, hourly: 2",
        ),
    ],
)
def test_rates_that_go_together_are_no_mistake(lines: Sequence[str]) -> None:
    assert rates_of(*lines)[1] == []


PEOPLE = [Person("Ana", "senior"), Person("Ben", "junior"), Person("Amy", "senior"), Person("Kim")]
VOCABULARY = {
    "person": ["Ana", "Ben", "A*", "*"],
    "labels": ["audit", "night", "a*", "*t"],
    "activity": ["travel", "review", "*r*"],
    "project": ["ACME", "SITE", "*E"],
    "role": ["senior", "junior", "s*"],
}


@dataclass(frozen=True)
class Line:
    """A rate as an admin writes it."""

    criteria: dict[str, list[str]]
    from_on: date
    price: int

    @property
    def text(self) -> str:
        words = [f"{key}: {value!r}" for key, value in self.criteria.items()]
        return ", ".join([*words, f"from: {self.from_on}", f"hourly: {self.price}"])


CRITERIA_OF_LINES = st.fixed_dictionaries(
    {},
    optional={
        key: st.lists(st.sampled_from(texts), min_size=1, max_size=2, unique=True)
        for key, texts in VOCABULARY.items()
    },
)
LINES = st.lists(
    st.builds(
        Line,
        CRITERIA_OF_LINES,
        st.sampled_from([date(2026, 1, 1), date(2026, 3, 4), date(2026, 3, 5)]),
        st.integers(1, 9),
    ),
    max_size=8,
)
LABELS = st.lists(st.sampled_from(["audit", "night", "ui"]), unique=True).map(tuple)
ACTIVITIES = st.sampled_from([{}, {"activity": "travel"}, {"task": "review"}])


def naive(lines: Sequence[Line], seen: Seen) -> int | str | None:
    """Return the price that the reference promises, as slowly and plainly as can be."""
    event, person = seen.event, seen.person
    assert person is not None
    said = {
        "person": [person.name],
        "labels": list(event.labels),
        "activity": [event.fields.get("activity") or event.fields.get("task") or ""],
        "project": [event.project or ""],
        "role": [person.role or ""],
    }
    fitting: list[tuple[list[int], Line]] = []
    for line in lines:
        how = []
        for key in ("person", "labels", "activity", "project", "role"):
            patterns = [pattern.lower() for pattern in line.criteria.get(key, [])]
            values = [value.lower() for value in said[key] if value]
            if not patterns:
                how.append(0)
            elif set(patterns) & set(values):
                how.append(2)
            elif any(re.fullmatch(p.replace("*", ".*"), v) for p in patterns for v in values):
                how.append(1)
            else:
                how.append(-1)
        if -1 not in how and line.from_on <= event.on:
            fitting.append((how, line))
    if not fitting:
        return None
    best = max(how for how, _ in fitting)
    equal = [line for how, line in fitting if how == best]
    left = [
        line
        for line in equal
        if not any(
            sorted(other.criteria.get("labels", [])) == sorted(line.criteria.get("labels", []))
            and other.from_on > line.from_on
            for other in equal
        )
    ]
    prices = {line.price for line in left}
    return prices.pop() if len(prices) == 1 else "held"


def found(listed: Rates, seen: Seen) -> int | str | None:
    try:
        rate = listed.of(seen, "hour", "EUR")
    except Hold:
        return "held"
    return None if rate is None else int(rate.price)


@settings(deadline=None, max_examples=80)
@given(
    lines=LINES,
    person=st.sampled_from(PEOPLE),
    labels=LABELS,
    fields=ACTIVITIES,
    project=st.sampled_from(["ACME", "SITE", "X"]),
    data=st.data(),
)
def test_the_most_specific_and_newest_rate_is_found_as_the_reference_says(
    logged: Logged,
    lines: list[Line],
    person: Person,
    labels: tuple[str, ...],
    fields: dict[str, str],
    project: str,
    data: st.DataObject,
) -> None:
    seen = Seen(logged(labels=labels, fields=fields, project=project), person)
    expected = naive(lines, seen)
    shuffled = data.draw(st.permutations(lines))
    for order in (lines, shuffled):
        listed, _ = rates_of(*(line.text for line in order))
        assert found(listed, seen) == expected


@settings(deadline=None, max_examples=80)
@given(lines=LINES, labels=LABELS, project=st.sampled_from(["ACME", "SITE"]))
def test_a_price_for_an_unknown_person_is_everybodys_price(
    logged: Logged, lines: list[Line], labels: tuple[str, ...], project: str
) -> None:
    listed, _ = rates_of(*(line.text for line in lines))
    event = logged(labels=labels, project=project, person="5zz")
    price = found(listed, Seen(event, None))
    if price != "held":
        everybody = [*PEOPLE, Person("Zoe", "lead"), Person("Ben", "senior")]
        assert {found(listed, Seen(event, person)) for person in everybody} == {price}


def test_the_criteria_of_the_reference_are_those_of_the_program() -> None:
    assert tuple(VOCABULARY) == CRITERIA
