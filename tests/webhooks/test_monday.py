"""What the shared contract does not ask of monday.com."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery
from webhooks.registry import sources

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
MONDAY = sources()["monday"]


def delivery(text: str) -> Delivery:
    return Delivery({}, text.encode(), NOW, "monday")


def changed(changed_at: str, **event: Any) -> Delivery:
    told = {
        "type": "update_column_value",
        "boardId": 1,
        "pulseId": 2,
        "columnId": "status",
        "columnType": "color",
        "value": {"label": {"text": "Done", "is_done": True}},
        "changedAt": "AT",
        **event,
    }
    return delivery(json.dumps({"event": told}).replace('"AT"', changed_at))


def test_the_challenge_is_given_back_and_nothing_else() -> None:
    for answer in (MONDAY.greeting, MONDAY.handshake):
        told = answer(delivery('{"challenge": "aB3-x_y", "more": "<b>"}'))
        assert told is not None
        assert (told.status, json.loads(told.body)) == (200, {"challenge": "aB3-x_y"})
        assert told.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        '{"challenge": ""}',
        '{"challenge": 7}',
        '{"challenge": {"a": 1}}',
        json.dumps({"challenge": "x" * 256}),
        '{"challenge": "two\\nlines"}',
        '{"challenge": "é"}',
        '{"challenge": "x", "event": {"type": "create_pulse"}}',
    ],
)
def test_what_is_no_plain_challenge_is_not_given_back(body: str) -> None:
    assert MONDAY.greeting(delivery(body)) is None


@pytest.mark.parametrize(
    ("changed_at", "version"),
    [
        ("1773135300.2129846", 1_773_135_300_212),
        ("1773135300.9999999", 1_773_135_300_999),
        ("1773135300.0010002", 1_773_135_300_001),
        ("1773135300", 1_773_135_300_000),
    ],
)
def test_the_moment_of_change_is_exact_to_the_millisecond(changed_at: str, version: int) -> None:
    (event,) = MONDAY.normalize(changed(changed_at)).events
    assert event.version == version


@pytest.mark.parametrize("changed_at", ["-1", "1e19", "253370764801"])
def test_a_moment_beyond_all_calendars_is_refused(changed_at: str) -> None:
    with pytest.raises(PayloadError, match="changedAt"):
        MONDAY.normalize(changed(changed_at))


@pytest.mark.parametrize(
    ("word", "kinds"),
    [("Done", ["work.completed"]), ("done ", ["work.completed"]), ("Done?", []), ("", [])],
)
def test_a_label_that_does_not_say_whether_it_is_done_is_known_by_its_word(
    word: str, kinds: list[str]
) -> None:
    events = MONDAY.normalize(changed("1", value={"label": {"text": word}})).events
    assert [event.kind for event in events] == kinds


def test_what_a_label_says_comes_before_its_word() -> None:
    label = {"text": "Done", "is_done": False}
    assert MONDAY.normalize(changed("1", value={"label": label})).events == ()


@pytest.mark.parametrize("said", ["yes", 1])
def test_a_label_that_says_it_in_no_known_way_is_refused(said: object) -> None:
    with pytest.raises(PayloadError, match=r"value\.label\.is_done"):
        MONDAY.normalize(changed("1", value={"label": {"text": "Done", "is_done": said}}))
