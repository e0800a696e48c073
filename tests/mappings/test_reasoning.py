"""What is claimed about conditions holds for every event: held against asking them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice, product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import Event
from mappings.matching import Seen, compiled
from mappings.model import (
    BillableCondition,
    Condition,
    DayCondition,
    Person,
    Range,
    RangeCondition,
    TextCondition,
)
from mappings.phrases import comparison
from mappings.reasoning import (
    UndecidedError,
    can_both_fit,
    common_text,
    fits,
    lies_within,
    scene_of,
)

LETTERS = ["", "a", "b", "ab", "ba", "aab", "abb", "aba", "bab", "B"]
PATTERNS = st.lists(st.sampled_from("ab*"), min_size=1, max_size=4).map("".join)
KINDS = ["time.logged", "work.completed", "time.*", "*", "*.completed"]
ANA, BEN = Person("ab", "a"), Person("ba", "b")
MOST_EVENTS = 600
DAYS = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]


def texts(key: str, patterns: st.SearchStrategy[str] = PATTERNS) -> st.SearchStrategy[Condition]:
    return st.lists(patterns, min_size=1, max_size=2).map(
        lambda chosen: TextCondition(key, tuple(chosen))
    )


RANGES = st.sampled_from(
    ["at least 1", "more than 1", "at most 2", "less than 2", "between 1 and 2", "2"]
).map(comparison)
CONDITIONS = st.one_of(
    texts("project"),
    texts("title"),
    texts("labels"),
    texts("role"),
    texts("fields.x"),
    texts("event", st.sampled_from(KINDS)),
    RANGES.map(lambda limits: RangeCondition("seconds", limits)),
    RANGES.map(lambda limits: RangeCondition("fields.x", limits)),
    st.booleans().map(BillableCondition),
    st.tuples(st.sampled_from([None, *DAYS]), st.sampled_from([None, *DAYS])).map(
        lambda days: DayCondition(*days)
    ),
)
WHENS = st.lists(
    CONDITIONS, max_size=3, unique_by=lambda each: (type(each), getattr(each, "key", ""))
)


def event(**said: object) -> Event:
    plain = Event(
        kind="time.logged",
        source="jira",
        endpoint="jira",
        subject="s",
        version=1,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        on=DAYS[0],
        project="a",
    )
    return replace(plain, **said)  # type: ignore[arg-type]


def every_event(conditions: Sequence[Condition]) -> list[tuple[Event, Person | None]]:
    """Return events with every value of what the conditions ask for, also what is not known."""
    keys = {getattr(each, "key", type(each).__name__) for each in conditions}
    options: dict[str, list[object]] = {"project": ["a"]}
    if "project" in keys:
        options["project"] = [*LETTERS]
    if "title" in keys:
        options["title"] = [None, *LETTERS]
        options["about"] = [None, "issue:1"]
    if "labels" in keys:
        options["labels"] = [(), ("a",), ("b",), ("ab", "ba"), ("aab",), ("bab", "a")]
    if "event" in keys:
        options["kind"] = ["time.logged", "time.total", "work.completed", "expense.logged"]
    if "seconds" in keys:
        options["seconds"] = [None, 0, 1, 2, 3]
    if "fields.x" in keys:
        options["fields"] = [
            {},
            *({"x": value} for value in [*LETTERS, ["a", "bb"], Decimal("1.5"), 2, True]),
        ]
    if "BillableCondition" in keys:
        options["billable"] = [None, True, False]
    if "DayCondition" in keys:
        options["on"] = [*DAYS]
    people = [None, ANA, BEN, Person("x")] if "role" in keys else [None]
    every = len(people) * prod(len(values) for values in options.values())
    # Of very many, some from everywhere: the step has no divisor in common with their order.
    step = max(1, every // MOST_EVENTS) | 1
    chosen = islice(product(people, *options.values()), 0, None, step)
    asked = []
    for who, *values in chosen:
        assert who is None or isinstance(who, Person)
        asked.append((event(**dict(zip(options, values, strict=True))), who))
    return asked


def answer(conditions: Sequence[Condition], told: Event, person: Person | None) -> bool | None:
    return fits([compiled(each) for each in conditions], Seen(told, person, "hold"))


@settings(deadline=None)
@given(WHENS, WHENS)
def test_nothing_that_lies_within_gets_past_the_wider_rule(
    narrow: list[Condition], wide: list[Condition]
) -> None:
    if not lies_within(narrow, wide):
        return
    for told, person in every_event([*narrow, *wide]):
        if answer(wide, told, person) is False:
            assert answer(narrow, told, person) is False


@settings(deadline=None)
@given(WHENS, WHENS)
def test_the_event_that_fits_two_rules_does_fit(
    one: list[Condition], other: list[Condition]
) -> None:
    scene = scene_of([*one, *other], [ANA, BEN])
    if scene is not None:
        assert answer([*one, *other], scene.event, scene.person) is True


@given(st.lists(PATTERNS, min_size=1, max_size=3))
def test_a_common_text_fits_all_patterns_and_without_one_none_does(patterns: list[str]) -> None:
    def is_fit(text: str) -> bool:
        condition = [TextCondition("title", (pattern,)) for pattern in patterns]
        return answer(condition, event(title=text), None) is True

    found = common_text(patterns)
    if found is not None:
        assert is_fit(found)
    else:
        assert not any(is_fit(text) for text in LETTERS)
        assert not any(is_fit("".join(each)) for each in product("ab", repeat=5))


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ([TextCondition("project", ("ACME",))], [], True),
        ([], [TextCondition("project", ("ACME",))], False),
        ([TextCondition("project", ("acme",))], [TextCondition("project", ("AC*", "x"))], True),
        ([TextCondition("project", ("AC*", "y"))], [TextCondition("project", ("AC*",))], False),
        ([TextCondition("labels", ("a*b",))], [TextCondition("labels", ("a*",))], True),
        ([TextCondition("labels", ("a*",))], [TextCondition("labels", ("a*b",))], False),
        ([TextCondition("labels", ("a*b",))], [TextCondition("labels", ("ab",))], False),
        ([TextCondition("title", ("a",))], [TextCondition("item", ("a",))], False),
        ([], [TextCondition("event", ("*",))], True),
        ([TextCondition("event", ("time.*",))], [TextCondition("event", ("*o*",))], True),
        ([BillableCondition(True)], [BillableCondition(True)], True),
        ([BillableCondition(True)], [BillableCondition(False)], False),
        (
            [DayCondition(DAYS[1], None)],
            [DayCondition(DAYS[0], None)],
            True,
        ),
        ([DayCondition(DAYS[1], None)], [DayCondition(None, DAYS[2])], False),
        ([DayCondition(None, DAYS[2])], [DayCondition(DAYS[0], DAYS[2])], False),
    ],
)
def test_what_lies_within_what(
    narrow: list[Condition], wide: list[Condition], expected: bool
) -> None:
    assert lies_within(narrow, wide) is expected


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ("more than 900", "at least 900", True),
        ("at least 900", "more than 900", False),
        ("between 1 and 2", "at most 2", True),
        ("at most 2", "less than 2", False),
        ("less than 2", "at most 2", True),
        ("at most 2", "between 1 and 2", False),
        ("2", "between 1 and 2", True),
    ],
)
def test_which_range_lies_within_which(narrow: str, wide: str, expected: bool) -> None:
    def of(words: str) -> list[Condition]:
        limits: Range = comparison(words)
        return [RangeCondition("seconds", limits)]

    assert lies_within(of(narrow), of(wide)) is expected


def test_texts_that_never_meet_are_told_from_those_that_may() -> None:
    assert not can_both_fit(TextCondition("p", ("a*", "c")), TextCondition("p", ("b*", "d")))
    assert can_both_fit(TextCondition("p", ("a*",)), TextCondition("p", ("*b",)))


def test_a_question_that_takes_too_long_is_left_open() -> None:
    one = "*".join("abcdefghij" * 8)
    other = "*".join("jihgfedcba" * 8)
    third = "*".join("acegibdfhj" * 8)
    with pytest.raises(UndecidedError):
        common_text([f"a*{one}", f"a*{other}", f"a*{third}z"])
    assert can_both_fit(
        TextCondition("p", (f"*{one}",)), TextCondition("p", (f"*{other}*{third}z",))
    )
