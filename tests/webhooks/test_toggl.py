"""What is Toggl's own: the ping's code, changes within one second, and the day that counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.events import FOUND, Delivery, Event
from webhooks.registry import sources

TOGGL = sources()["toggl"]
NOW = datetime(2026, 3, 31, tzinfo=UTC)
ENTRY = {
    "id": 17,
    "at": "2026-03-04T16:10:21+00:00",
    "start": "2026-03-04T14:40:20Z",
    "stop": "2026-03-04T16:10:20Z",
    "duration": 5400,
}


def delivery_of(body: Any, **headers: str) -> Delivery:
    return Delivery(headers, json.dumps(body).encode(), NOW, "toggl")


def told(action: str, created_at: str, **entry: Any) -> Event:
    metadata = {"model": "time_entry", "action": action}
    body = {"created_at": created_at, "metadata": metadata, "payload": {**ENTRY, **entry}}
    (event,) = TOGGL.normalize(delivery_of(body)).events
    return event


def test_a_ping_is_answered_with_its_code() -> None:
    answer = TOGGL.handshake(delivery_of({"payload": "ping", "validation_code": "89ab"}))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b'{"validation_code": "89ab"}')


@pytest.mark.parametrize("code", [None, "", "x" * 129, "<script>", "a b", 7, ["89ab"]])
def test_a_code_that_is_none_of_toggls_is_not_sent_back(code: Any) -> None:
    answer = TOGGL.handshake(delivery_of({"payload": "ping", "validation_code": code}))
    assert answer is not None
    assert answer.body == b""


@pytest.mark.parametrize(
    "body",
    [{"payload": {"description": "ping"}}, {"payload": {"a": "ping"}, "x": "ping"}, ["ping"]],
)
def test_work_called_ping_is_no_ping(body: Any) -> None:
    assert TOGGL.handshake(delivery_of(body)) is None


def test_of_two_changes_within_a_second_the_later_one_counts() -> None:
    first = told("created", "2026-03-04T16:10:21.300Z")
    second = told("updated", "2026-03-04T16:10:21.800Z", duration=60)
    assert first.version < second.version


def test_a_late_event_does_not_overtake_the_next_second() -> None:
    late = told("created", "2026-03-04T16:10:29.000Z")
    following = told("updated", "2026-03-04T16:10:22.000Z", at="2026-03-04T16:10:22+00:00")
    assert late.version < following.version


def test_a_deletion_counts_from_its_own_moment() -> None:
    removed = told(
        "deleted", "2026-03-05T10:00:00.300Z", server_deleted_at="2026-03-05T10:00:00+00:00"
    )
    assert removed.kind == "time.removed"
    assert removed.version == 1_772_704_800_300


def test_what_is_found_says_the_same_as_the_webhook_and_is_not_newer() -> None:
    (found,) = TOGGL.normalize(delivery_of(ENTRY, **{FOUND: "time_entry"})).events
    webhook = told("updated", "2026-03-04T16:10:21.300Z")
    assert found.as_json() == webhook.as_json()
    assert webhook.version - 1000 < found.version <= webhook.version


def test_an_entry_made_from_a_bare_duration_has_no_stop_and_is_done() -> None:
    event = told("created", "2026-03-04T16:10:21.300Z", stop=None, duronly=True, duration=900)
    assert (event.kind, event.seconds) == ("time.logged", 900)


@pytest.mark.parametrize(
    "running", [{"duration": -1}, {"stop": None}, {"stop": None, "duronly": True, "duration": -1}]
)
def test_a_running_timer_is_no_work_yet(running: dict[str, Any]) -> None:
    body = {"metadata": {"model": "time_entry", "action": "updated"}, "payload": ENTRY | running}
    reading = TOGGL.normalize(delivery_of(body))
    assert reading.events == ()
    assert "running" in (reading.ignored or "")
