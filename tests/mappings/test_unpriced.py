"""A dry run counts alike events together, and its memory has an end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from ledger.events import Event
from mappings import unpriced
from mappings.book import Book
from mappings.unpriced import DryRun

Logged = Callable[..., Event]


def waiting(book: Book, *events: Event) -> list[tuple[int, list[int]]]:
    run = DryRun(book)
    assert len(list(run.falling(enumerate(events, 1)))) == len(events)
    assert run.events == len(events)
    return [(each.events, each.first) for each in run.reasons()]


def test_a_reason_that_names_the_day_is_one_reason(book: Book, logged: Logged) -> None:
    days = [logged(person="5d30d", on=date(2026, 3, day)) for day in range(1, 8)]
    assert waiting(book, *days) == [(7, [1, 2, 3, 4, 5])]


def test_what_is_too_much_to_tell_apart_is_counted_together(
    book: Book, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpriced, "MOST_REASONS", 2)
    events = [logged(project=f"NOBODY-{number}") for number in range(5)]
    assert sorted(waiting(book, *events)) == [(1, [1]), (1, [2]), (3, [3, 4, 5])]
