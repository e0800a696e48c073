"""The first rule that fits is used; the index finds it as if every rule had been asked in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.events import Event
from mappings.book import Book
from mappings.matching import Index, Seen, compiled, fits_wildcard
from mappings.model import BillableCondition, Condition, RangeCondition, TextCondition
from mappings.phrases import comparison
from mappings.pricing import Held, Nothing, Priced

Logged = Callable[..., Event]
WithRules = Callable[[str], Book]


def rule_that_fits(book: Book, event: Event) -> str | None:
    outcome = book.price(event)
    return None if isinstance(outcome, Held) else outcome.rule


def when(condition: str) -> str:
    """Return rules: one with the condition, then one for everything else."""
    return (
        f"  - rule: fits\n    when: {{{condition}}}\n    bill: nothing\n"
        "  - rule: else\n    bill: nothing\n"
    )


@pytest.mark.parametrize(
    ("condition", "changes", "fits"),
    [
        ("project: acme", {}, True),
        ("project: [SITE, ACME]", {}, True),
        ("project: SITE", {}, False),
        ("project: ACME, item: ACME-8", {}, False),
        ("event: time.*", {}, True),
        ("source: github", {}, False),
        ("endpoint: jira-acme", {}, True),
        ('title: "LOGIN*"', {}, True),
        ('title: "*page"', {}, True),
        ('title: "l*g*n*e"', {}, True),
        ('title: "login"', {}, False),
        ("person: Ana", {}, True),
        ("person: a*", {}, True),
        ("role: senior", {}, True),
        ("role: junior", {}, False),
        ("labels: bug", {"labels": ("ui", "Bug")}, True),
        ("labels: bug", {}, False),
        ("billable: no", {"billable": False}, True),
        ("billable: yes", {"billable": False}, False),
        ("billable: yes", {"billable": None}, True),
        ("seconds: at least 3000", {}, True),
        ("seconds: more than 3000", {}, False),
        ("seconds: at most 3000", {}, True),
        ("seconds: less than 3000", {}, False),
        ("seconds: between 900 and 3000", {}, True),
        ("seconds: 3000", {}, True),
        ("seconds: at most 3000", {"seconds": None}, False),
        ("on: {from: 2026-03-04, to: 2026-03-04}", {}, True),
        ("on: {from: 2026-03-05}", {}, False),
        ("on: {to: 2026-03-03}", {}, False),
        ("fields.tier: gold", {"fields": {"tier": "Gold"}}, True),
        ("fields.tier: gold", {"fields": {"tier": ["Silver", "Gold"]}}, True),
        ("fields.tier: gold", {}, False),
        ("fields.a.b: 3", {"fields": {"a": {"b": Decimal("3.0")}}}, True),
        ("fields.a.b: 3", {"fields": {"a.b": 3}}, True),
        ("fields.pre: yes", {"fields": {"pre": True}}, True),
        ("fields.points: at least 2.5", {"fields": {"points": Decimal(3)}}, True),
        ("fields.points: at least 2.5", {"fields": {"points": True}}, False),
        ("fields.points: at least 2.5", {"fields": {"points": "many"}}, False),
    ],
)
def test_a_condition_fits_or_not(
    with_rules: WithRules, logged: Logged, condition: str, changes: dict[str, Any], fits: bool
) -> None:
    book = with_rules(when(condition))
    assert rule_that_fits(book, logged(**changes)) == ("fits" if fits else "else")


@pytest.mark.parametrize(
    ("condition", "changes", "reason"),
    [
        ("role: junior", {"person": "5zz"}, 'unknown person "5zz" of jira-acme'),
        ("person: Ana", {"person": None}, "does not say who worked"),
        ("title: Phase*", {"title": None, "about": "issue:1"}, "title is not known yet"),
    ],
)
def test_what_is_not_known_yet_is_held_and_not_taken_for_no(
    with_rules: WithRules, logged: Logged, condition: str, changes: dict[str, Any], reason: str
) -> None:
    outcome = with_rules(when(condition)).price(logged(**changes))
    assert isinstance(outcome, Held)
    assert reason in outcome.reason


def test_another_condition_that_surely_fails_settles_an_unknown_one(
    with_rules: WithRules, logged: Logged
) -> None:
    book = with_rules(when("role: junior, project: SITE"))
    assert rule_that_fits(book, logged(person="5zz")) == "else"


def test_a_milestone_without_a_person_is_simply_not_a_persons(
    with_rules: WithRules, logged: Logged
) -> None:
    milestone = logged(kind="milestone.completed", person=None, seconds=None)
    assert rule_that_fits(with_rules(when("role: junior")), milestone) == "else"


TEXTS = st.text("ab*", max_size=8)


@given(pattern=TEXTS, value=st.text("ab", max_size=12))
def test_a_wildcard_fits_as_the_regular_expression_would(pattern: str, value: str) -> None:
    expression = ".*".join(re.escape(piece) for piece in f"{pattern}*".split("*"))
    expected = re.fullmatch(expression, value) is not None
    assert fits_wildcard(f"{pattern}*".split("*"), value) is expected


def test_a_hostile_title_does_not_make_a_wildcard_slow() -> None:
    # An expression that tries every way to place thirty stars would never come to an end.
    assert not fits_wildcard(("*a" * 30 + "*b*").split("*"), "a" * 100_000)


WORDS = st.sampled_from(["a", "ab", "abc", "b", "A", "a*", "ab*", "*b", "*", "a*c"])
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(
        TextCondition,
        st.sampled_from(["project", "item", "title", "labels", "person", "role", "fields.x"]),
        st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(RangeCondition, st.just("seconds"), st.just(comparison("at least 900"))),
    st.builds(BillableCondition, st.booleans()),
)
VALUES = st.none() | st.sampled_from(["a", "ab", "abc", "b", "c"])


@given(
    rules=st.lists(st.lists(CONDITIONS, max_size=3), max_size=12),
    project=VALUES,
    item=VALUES,
    title=VALUES,
    labels=st.lists(st.sampled_from(["a", "ab", "b"]), max_size=2).map(tuple),
    about=st.none() | st.just("issue:1"),
    has_person=st.booleans(),
    billable=st.none() | st.booleans(),
    fields=st.sampled_from([{}, {"x": "ab"}, {"x": ["a", "b"]}]),
)
def test_the_index_leaves_out_only_rules_that_cannot_fit(
    book: Book,
    logged: Logged,
    rules: list[list[Condition]],
    has_person: bool,
    **said: Any,
) -> None:
    person = book.workspace.people[0] if has_person else None
    event = logged(person="x", **said)
    compiled_rules = [[compiled(condition) for condition in rule] for rule in rules]
    found = list(Index(compiled_rules).candidates(Seen(event, person, "hold")))
    fresh = Seen(event, person, "hold")
    naive = [
        position
        for position, tests in enumerate(compiled_rules)
        if all(test(fresh) is not False for test in tests)
    ]
    assert found == sorted(set(found))
    assert set(naive) <= set(found)


def test_an_index_asks_few_of_many_rules(logged: Logged) -> None:
    rules = [
        [
            compiled(TextCondition("event", ("time.logged",))),
            compiled(TextCondition("project", (f"P{number}", f"group-{number}/*"))),
        ]
        for number in range(10_000)
    ]
    index = Index(rules)
    assert list(index.candidates(Seen(logged(project="p77"), None))) == [77]
    # "group-12/" is no prefix of "group-123/web": the slash belongs to what is filed.
    assert list(index.candidates(Seen(logged(project="group-123/web"), None))) == [123]
    assert list(index.candidates(Seen(logged(project="other"), None))) == []


def test_a_thousand_customers_are_asked_no_more_than_one(
    files: dict[str, str], logged: Logged
) -> None:
    texts = {
        f"c{number}.yaml": files["acme.yaml"]
        .partition("tests:")[0]
        .replace("customer: acme", f"customer: c{number}")
        .replace('[ACME, ACME-INT, SITE, "acme/*"]', f'[P{number}, "group-{number}/*"]')
        for number in range(1000)
    }
    takes = [
        [compiled(condition) for condition in customer.takes]
        for customer in Book.load(
            {**texts, "workspace.yaml": files["workspace.yaml"]}
        ).customers.values()
    ]
    assert len(Index(takes).candidates(Seen(logged(project="P77"), None))) == 1


def test_the_first_rule_that_fits_wins(with_rules: WithRules, logged: Logged) -> None:
    book = with_rules(
        '  - {rule: third letters, when: {project: "SITE*"}, bill: nothing}\n'
        '  - {rule: any title, when: {title: "*"}, bill: nothing}\n'
        "  - {rule: exact, when: {project: ACME, item: ACME-7}, bill: nothing}\n"
    )
    assert rule_that_fits(book, logged()) == "any title"
    assert rule_that_fits(book, logged(title=None)) == "exact"


def test_a_project_of_two_customers_is_held_and_names_both(
    files: dict[str, str], logged: Logged
) -> None:
    beta = files["acme.yaml"].replace("customer: acme", "customer: beta")
    beta = beta.replace('[ACME, ACME-INT, SITE, "acme/*"]', '["ac*", BETA]')
    start, _, _ = beta.partition("tests:")
    book = Book.load({**files, "beta.yaml": start})
    both = book.price(logged())
    assert isinstance(both, Held)
    assert both.customer is None
    assert 'project "ACME" of jira-acme is taken by acme and beta' in both.reason
    assert isinstance(book.price(logged(project="BETA")), Held)
    none = book.price(logged(project="OTHER"))
    assert isinstance(none, Held)
    assert none.reason == ('no customer takes project "OTHER" of jira-acme - add it under takes:')


def test_takes_can_be_narrowed_to_an_endpoint(files: dict[str, str], logged: Logged) -> None:
    narrowed = files["acme.yaml"].replace("takes: {", "takes: {endpoint: jira-acme, ")
    book = Book.load({**files, "acme.yaml": narrowed})
    assert isinstance(book.price(logged()), Priced)
    assert isinstance(book.price(logged(endpoint="jira-other")), Held)


def test_an_event_without_a_project_is_held(book: Book, logged: Logged) -> None:
    outcome = book.price(logged(project=None, about="issue:1"))
    assert isinstance(outcome, Held)
    assert outcome.reason.startswith("which project is not known")


def test_an_account_at_an_endpoint_comes_before_one_of_the_tool(
    files: dict[str, str], logged: Logged
) -> None:
    firm = files["workspace.yaml"].replace("[5c20b, 5c20c]", "[5b10a, 5c20b]")
    book = Book.load({**files, "workspace.yaml": firm})
    assert book.person_name(logged()) == "Ben"
    assert book.person_name(logged(endpoint="jira-other")) == "Ana"


def test_only_the_firms_own_scripts_may_call_a_person_by_name(book: Book, logged: Logged) -> None:
    assert book.person_name(logged(source="generic", endpoint="scripts", person="Ana")) == "Ana"
    outcome = book.price(logged(person="Ana"))
    assert isinstance(outcome, Held)
    assert 'unknown person "Ana"' in outcome.reason


def test_a_silent_tool_counts_as_the_workspace_says(files: dict[str, str], logged: Logged) -> None:
    silent = logged(billable=None)
    outcomes = []
    for word in ("yes", "no", "hold"):
        firm = files["workspace.yaml"] + f"billable_when_not_said: {word}\n"
        outcomes.append(Book.load({**files, "workspace.yaml": firm}).price(silent))
    counted, no_rule, held = outcomes
    assert isinstance(counted, Priced)
    assert "jira does not say whether this is billable: counted as yes" in counted.steps
    assert isinstance(no_rule, Held)
    assert no_rule.reason.startswith("no rule of acme fits")
    assert isinstance(held, Held)
    assert "jira does not say whether this is billable" in held.reason


def test_free_work_is_free_whoever_did_it(book: Book, logged: Logged) -> None:
    outcome = book.price(logged(project="ACME-INT", person="nobody"))
    assert isinstance(outcome, Nothing)
    assert outcome.rule == "Internal work is free"
