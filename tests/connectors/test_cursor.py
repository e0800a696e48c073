"""Cursors: what was written is read again, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from connectors.cursor import Cursor
from ledger.errors import RejectedError

NOON = datetime(2026, 11, 2, 12, 0, 0, 417_000, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Inner(Cursor):
    row: int = 1


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    since: datetime
    day: date | None = None
    offset: int | None = 0
    left: tuple[str, ...] = ()
    marks: Mapping[str, int] = field(default_factory=dict)
    pages: Inner | None = None

    def __post_init__(self) -> None:
        if "odd" in self.left:
            raise ValueError


@pytest.mark.parametrize(
    "place",
    [
        Place(NOON),
        Place(NOON, offset=None),
        Place(NOON, date(2026, 11, 2), 7, ("a", "b"), {"hook": 3}, Inner(4)),
        Place(NOON, pages=Inner()),
    ],
)
def test_what_was_written_is_read_again(place: Place) -> None:
    assert Place.read(place.text, "tool") == place


def test_what_is_as_by_default_is_left_out() -> None:
    assert Place(NOON).text == '{"since": "2026-11-02T12:00:00.417000Z"}'


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=2)))
    assert Place(there).text == Place(NOON).text
    assert Place.read('{"since": "2026-11-02T14:00:00.417+02:00"}', "tool") == Place(NOON)


@pytest.mark.parametrize("text", ["", "odd", "{}", "[]", "1", "null", '{"since": 3}'])
def test_another_shape_says_what_to_do(text: str) -> None:
    with pytest.raises(RejectedError, match=r"tool: where the last poll ended .* --anew"):
        Place.read(text, "tool")


@pytest.mark.parametrize(
    "rest",
    [
        '"unknown": 1',
        '"since": "2026-11-02T12:00:00"',
        '"since": "0001-01-01T00:00:00Z"',
        '"since": "9999-12-31T23:59:59Z"',
        '"day": "2026-11-02T12:00:00Z"',
        '"day": "1-1-1"',
        '"offset": -1',
        '"offset": true',
        '"offset": 1.0',
        '"offset": "1"',
        '"offset": 9007199254740992',
        '"left": "ab"',
        '"left": [1]',
        '"left": ["odd"]',
        '"left": null',
        '"marks": [1]',
        '"marks": {"hook": "3"}',
        '"pages": 1',
        '"pages": {"row": null}',
    ],
)
def test_a_field_of_another_type_or_size_is_refused(rest: str) -> None:
    with pytest.raises(RejectedError):
        Place.read(f'{{"since": "2026-11-02T12:00:00Z", {rest}}}', "tool")
