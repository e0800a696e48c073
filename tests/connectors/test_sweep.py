"""Polling several lists: nothing is skipped, whatever changes in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from connectors.sweep import MOST_EMPTY, OVERLAP, Page, Sweep, swept
from ledger.errors import RejectedError
from ledger.events import Found

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def found(word: str) -> Found:
    return Found.thing("thing", {"word": word})


def words(changes: object) -> list[str]:
    return [str(each.body["word"]) for each in changes.found]  # type: ignore[attr-defined]


def everything(read: Callable[[Sweep], Page], *steps: str) -> tuple[list[str], str]:
    cursor, told, is_all = Sweep(since=NOON).text, [], False
    while not is_all:
        changes = swept("tool", cursor, LATER, steps, read)
        told += words(changes)
        cursor, is_all = changes.cursor, changes.is_all
    return told, cursor


def test_the_next_round_begins_where_this_one_began() -> None:
    _, cursor = everything(lambda to: Page([found(to.step)]), "a", "b")
    assert Sweep.read(cursor, "tool") == Sweep(since=LATER)


def test_a_round_asks_for_everything_since_a_little_before_the_last_one() -> None:
    starts = []

    def read(to: Sweep) -> Page:
        starts.append(to.start)
        return Page()

    swept("tool", Sweep(since=NOON).text, LATER, ["a"], read)
    assert starts == [NOON - OVERLAP]


def test_an_entry_that_changes_between_two_pages_makes_no_other_one_skipped() -> None:
    changed = {number: NOON + timedelta(minutes=number) for number in range(6)}

    def read(to: Sweep) -> Page:
        later = sorted((at, number) for number, at in changed.items() if at >= to.start)
        here = later[(to.page - 1) * 2 : to.page * 2]
        # Somebody touches the first one, which moves to the end: all others move up.
        changed[here[0][1]] = LATER
        told = [found(str(number)) for _, number in here]
        return Page(told) if len(later) <= to.page * 2 else to.going_on(told, here[-1][0])

    told, _ = everything(read, "a")
    assert set(told) == {"0", "1", "2", "3", "4", "5"}


def test_many_entries_of_one_second_are_read_by_number() -> None:
    def read(to: Sweep) -> Page:
        here = list(range(7))[(to.page - 1) * 2 : to.page * 2]
        told = [found(str(number)) for number in here]
        return Page(told) if to.page == 4 else to.going_on(told, NOON)

    told, _ = everything(read, "a")
    assert set(told) == {str(number) for number in range(7)}


def test_empty_lists_are_passed_over_in_one_call_but_not_without_end() -> None:
    steps = [str(number) for number in range(MOST_EMPTY + 1)]
    changes = swept("tool", Sweep(since=NOON).text, LATER, steps, lambda to: Page())
    assert not changes.is_all
    assert Sweep.read(changes.cursor, "tool").step == steps[-1]
    assert swept("tool", changes.cursor, LATER, steps, lambda to: Page()).is_all


def test_a_list_that_is_gone_lets_the_round_begin_again() -> None:
    cursor = Sweep(since=NOON, until=LATER, step="gone", page=7).text
    changes = swept("tool", cursor, LATER, ["a"], lambda to: Page([found(f"{to.step}{to.page}")]))
    assert words(changes) == ["a1"]


def test_numbers_are_kept_from_one_round_to_the_next() -> None:
    cursor = Sweep(since=NOON, marks={"hook": 3, "other": 9}).text
    changes = swept("tool", cursor, LATER, ["a"], lambda to: Page(marks={"hook": 4}))
    assert Sweep.read(changes.cursor, "tool").marks == {"hook": 4, "other": 9}


def test_without_lists_nothing_is_asked_and_the_round_is_over() -> None:
    changes = swept("tool", Sweep(since=NOON).text, LATER, [], lambda to: Page([found("x")]))
    assert (words(changes), changes.is_all) == ([], True)
    assert Sweep.read(changes.cursor, "tool").since == LATER


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "odd", "{}", "[]", "1", '{"since": 3}', '{"since": "2026-11-02"}'),
        '{"since": "2026-11-02T12:00:00+00:00", "page": 0}',
        '{"since": "2026-11-02T12:00:00+00:00", "page": -1}',
        '{"since": "2026-11-02T12:00:00+00:00", "marks": [1]}',
    ],
)
def test_an_odd_cursor_says_what_to_do(cursor: str) -> None:
    with pytest.raises(RejectedError, match="--anew"):
        Sweep.read(cursor, "tool")
