"""What Kanboard's bodies say. Its moments are Unix seconds; the date that counts is the UTC date.

Numbers are texts or numbers, depending on the server's PHP: "5" and 5 are the same task.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading
from ledger.money import seconds_of

from ..payload import Payload, milliseconds, moment_of

KEY: Final = "kanboard"
MOST_SECONDS: Final = 2**31 - 1
_HOURS: Final = re.compile(r"\d{1,9}(\.\d{1,20})?", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,11}", re.ASCII)


def closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `task.close`: the work is done, and the task's total as it now stands."""
    data = payload["event_data"]
    task = data["task"]
    at = _moment(task, "date_completed", "date_modification")
    done = _event("work.completed", task, delivery, at)
    return Reading(events=(done, *_total(data, task, delivery)))


def opened(payload: Payload, delivery: Delivery) -> Reading:
    """Read `task.open`, which is sent when a closed task is opened again."""
    data = payload["event_data"]
    task = data["task"]
    again = _event("work.reopened", task, delivery, _moment(task, "date_modification"))
    return Reading(events=(again, *_total(data, task, delivery)))


def changed(payload: Payload, delivery: Delivery) -> Reading:
    """Read any other change of a task or subtask: only the total of its time matters."""
    data = payload["event_data"]
    if not data.has("task") and "time_spent" not in data.names():
        # Kanboard before 1.0.33 (2016) told only what changed.
        return Reading(ignored="the task itself is not told, so no time: Kanboard is too old")
    return _of_total(_total(data, data["task"], delivery))


def subtask_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `subtask.update`, which may have brought the total down to nothing."""
    data = payload["event_data"]
    subtask = data["subtask"]
    # A running timer's time is in no total before it is stopped.
    runs = subtask.has("is_timer_started") and subtask.boolean("is_timer_started")
    return _of_total(_total(data, data["task"], delivery, with_zero=not runs))


def _of_total(total: tuple[Event, ...]) -> Reading:
    return Reading(events=total, ignored=None if total else "no time was spent on the task so far")


def _total(
    data: Payload, task: Payload, delivery: Delivery, *, with_zero: bool = False
) -> tuple[Event, ...]:
    """Return the task's time as an event; its subtasks' time is in it: Kanboard sums it up.

    A time of nothing is told only by a body that may have made it so.
    """
    changes = data.raw("changes")
    with_zero = with_zero or (isinstance(changes, dict) and "time_spent" in changes)
    if "time_spent" not in task.names():
        return ()
    seconds = _seconds(task)
    if not seconds and not with_zero:
        return ()
    # No moment of the task changes when only a subtask's time does.
    total = _event("time.total", task, delivery, delivery.received_at, seconds=seconds)
    return (total,)


def _seconds(task: Payload) -> int:
    """Return `time_spent`, in decimal hours, as seconds; a database's last digit is rounded off."""
    value = task.raw("time_spent")
    if value is None or value == "":
        return 0
    hours = Decimal(value) if isinstance(value, str) and _HOURS.fullmatch(value) else None
    if hours is None:
        hours = task.decimal("time_spent")
    if not 0 <= hours <= MOST_SECONDS // 3600:
        raise PayloadError(task.path_of("time_spent"), "must be a time in hours, zero or more")
    return seconds_of(hours)


def _moment(task: Payload, name: str, *otherwise: str) -> datetime:
    """Return a moment in Unix seconds; "0" is Kanboard's word for none, and the next one counts."""
    value = task.raw(name)
    if otherwise and (value is None or value in ("", "0", 0)):
        return _moment(task, *otherwise)
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        return moment_of(int(value) * 1000)
    return moment_of(task.unix_seconds(name) * 1000)


def _event(
    kind: str, task: Payload, delivery: Delivery, at: datetime, *, seconds: int | None = None
) -> Event:
    number = task.identifier("id")
    name = "task" if seconds is None else "task-time"
    fields: dict[str, Any] = {
        "number": number,
        "column": task.optional_text("column_title"),
        "category": task.optional_text("category_name"),
        "reference": task.optional_text("reference"),
    }
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"{name}:{number}",
        # Within one second, and while only subtasks change, all of Kanboard's own moments are
        # alike. It sends each change at once and never again, so the arrivals are in its order.
        version=milliseconds(delivery.received_at),
        occurred_at=at,
        on=at.date(),
        project=task.text("project_name"),
        item=f"#{number}",
        title=task.text("title"),
        person=task.optional_text("assignee_username"),
        person_name=task.optional_text("assignee_name"),
        seconds=seconds,
        fields=fields,
    )
