"""What is ClickUp's own: milliseconds in texts, and the unsigned bodies of Automations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery, Event
from webhooks.registry import sources

CLICKUP = sources()["clickup"]
NOW = datetime(2026, 3, 31, tzinfo=UTC)


def delivery_of(body: Any) -> Delivery:
    return Delivery({}, json.dumps(body).encode(), NOW, "clickup")


def tracked(**after: object) -> Any:
    entry = {"id": "7", "start": "1772460000000", "end": "1772463600000", "time": "1", **after}
    item = {"id": "1", "date": "1772463601000", "field": "time_spent", "after": entry}
    return {"event": "taskTimeTrackedUpdated", "task_id": "9bq", "history_items": [item]}


def logged(**after: object) -> Event:
    (event,) = CLICKUP.normalize(delivery_of(tracked(**after))).events
    return event


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("0", 0), ("499", 0), ("500", 1), ("1499", 1), ("1500", 2), ("900000", 900), (5400500, 5401)],
)
def test_milliseconds_become_whole_seconds_half_upwards(told: object, seconds: int) -> None:
    assert logged(time=told).seconds == seconds


@pytest.mark.parametrize("time", ["9" * 18, 10**15, "1.5", "1e3", " 1", "١"])
def test_a_duration_that_cannot_be_is_refused_by_name(time: object) -> None:
    with pytest.raises(PayloadError, match=r"^history_items\[0\]\.after\.time"):
        logged(time=time)


@pytest.mark.parametrize("after", [{"end": None}, {"end": ""}, {"time": None}, {"time": -5}])
def test_a_timer_that_runs_bills_nothing(after: dict[str, object]) -> None:
    reading = CLICKUP.normalize(delivery_of(tracked(**after)))
    assert reading.events == ()
    assert "still runs" in (reading.ignored or "")


def test_who_changed_an_entry_is_not_taken_for_who_worked() -> None:
    body = tracked()
    body["history_items"][0]["user"] = {"id": 1, "username": "The boss"}
    (event,) = CLICKUP.normalize(delivery_of(body)).events
    assert (event.person, event.person_name, event.fields["changed_by"]) == (None, None, "1")


def test_the_date_is_the_utc_one() -> None:
    assert logged(start="1772495999999").on.isoformat() == "2026-03-02"
    assert logged(start="1772496000000").on.isoformat() == "2026-03-03"


def test_the_body_of_an_automation_is_refused_with_what_to_do() -> None:
    body = {"id": "a1:b2", "trigger_id": "b2", "date": "2026-03-02", "payload": {"id": "9bq"}}
    with pytest.raises(PayloadError, match=r"Automation.* not signed - make the webhook with"):
        CLICKUP.normalize(delivery_of(body))


def test_one_change_told_under_two_names_gives_equal_events() -> None:
    status = {"date": "1772463601000", "field": "status", "after": {"type": "done"}}
    body = tracked(time="900000")
    own = CLICKUP.normalize(delivery_of(body)).events
    body["history_items"].append(status)
    both = CLICKUP.normalize(delivery_of({**body, "event": "taskUpdated"})).events
    finished = CLICKUP.normalize(delivery_of({**body, "event": "taskStatusUpdated"})).events
    assert sorted(event.digest() for event in both) == sorted(
        event.digest() for event in (*own, *finished)
    )


def test_a_timer_that_runs_is_the_reason_under_both_names() -> None:
    reading = CLICKUP.normalize(delivery_of({**tracked(end=None), "event": "taskUpdated"}))
    assert "still runs" in (reading.ignored or "")


def test_what_moved_is_asked_for_beside_what_was_logged() -> None:
    body = {**tracked(), "event": "taskUpdated"}
    body["history_items"].append({"field": "section_moved", "before": {}, "after": {}})
    reading = CLICKUP.normalize(delivery_of(body))
    assert (len(reading.events), reading.asks) == (1, ("task:9bq",))
