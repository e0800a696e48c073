"""What the shared contract does not ask of Kanboard."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery, Event
from webhooks.registry import sources

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
KANBOARD = sources()["kanboard"]


def told(event: str, time_spent: Any, *, at: datetime = NOW, **data: Any) -> tuple[Event, ...]:
    task = {
        "id": "31",
        "title": "Move",
        "project_name": "Acme",
        "date_modification": "1773135000",
        "time_spent": time_spent,
    }
    body = {"event_name": event, "event_data": {"task": task, **data}}
    delivery = Delivery({}, json.dumps(body).encode(), at, "kanboard")
    return KANBOARD.normalize(delivery).events


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [
        ("0.01", 36),
        ("1.1", 3960),
        ("7.999999999999999", 28800),
        (2, 7200),
        (0.25, 900),
        ("0.00014", 1),
        ("0.00013", 0),
        ("500000.12345678901234567890", 1_800_000_444),
    ],
)
def test_decimal_hours_become_whole_seconds(hours: Any, seconds: int) -> None:
    (total,) = told("subtask.update", hours, subtask={})
    assert (total.kind, total.subject, total.seconds) == ("time.total", "task-time:31", seconds)


@pytest.mark.parametrize("hours", ["-1", "1e3", "ten", "1,5", 10**9, True, [], "99999999999"])
def test_time_that_is_no_time_is_refused_by_name(hours: Any) -> None:
    with pytest.raises(PayloadError, match=r"event_data\.task\.time_spent"):
        told("task.update", hours, changes={"time_spent": hours})


def test_the_later_arrival_is_the_newer_total() -> None:
    """Kanboard changes no moment of the task when only a subtask's time changes."""
    (one,) = told("subtask.update", "2", subtask={})
    (two,) = told("subtask.update", "1", subtask={}, at=NOW + timedelta(milliseconds=1))
    assert two.version > one.version
    assert KANBOARD.orders_by_arrival


def test_a_subtask_tells_the_task_s_total_not_its_own() -> None:
    (total,) = told("subtask.update", "3.5", subtask={"id": "7", "time_spent": "0.5"})
    assert (total.subject, total.seconds) == ("task-time:31", 12600)


def test_a_time_of_nothing_is_told_only_by_what_may_have_made_it_so() -> None:
    assert told("task.move.column", "0") == ()
    assert told("subtask.create", "0", subtask={}) == ()
    assert [event.seconds for event in told("task.update", "0", changes={"time_spent": 0})] == [0]
    assert [event.seconds for event in told("subtask.update", None, subtask={})] == [0]


@pytest.mark.parametrize(
    ("event", "told_of_it"),
    [
        ("task.close", {"task_id": "31"}),
        ("task.open", {"task_id": "31"}),
        ("task.update", {"task_id": "31", "time_spent": "2"}),
        ("subtask.update", {"task_id": "31", "status": 2}),
    ],
)
def test_what_counts_is_refused_where_the_task_itself_is_not_told(
    event: str, told_of_it: dict[str, Any]
) -> None:
    """Kanboard before 2016 told only what changed: nothing that counts is passed over."""
    body = json.dumps({"event_name": event, "event_data": told_of_it}).encode()
    with pytest.raises(PayloadError, match=r"event_data\.(sub)?task: is missing"):
        KANBOARD.normalize(Delivery({}, body, NOW, "kanboard"))
