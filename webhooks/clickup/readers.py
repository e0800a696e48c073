"""What ClickUp's deliveries, and the things that its API tells, say in our words.

Bodies: https://developer.clickup.com/docs/webhooktaskpayloads
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, moment_of

KEY: Final = "clickup"
MOST_MILLISECONDS: Final = 253_370_764_800_000
"""The year 9999, where `datetime` ends; as a duration it is absurd and refused too."""
MOST_DURATION: Final = (2**31 - 1) * 1000
MILESTONE: Final = 1
"""The task type that ClickUp itself calls a milestone; other types have greater numbers."""

_DONE: Final = frozenset({"done", "closed"})
"""The types of status that mean "finished"; the others are open, unstarted, custom and active."""
_STILL_RUNS: Final = "the timer still runs: the entry counts when it has an end"


def status_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `taskStatusUpdated`: the task came to a done or closed status, or left one."""
    task = payload.identifier("task_id")
    items = _history(payload)
    if not items:
        # Newer bodies may have none: then only the task itself tells its status.
        return Reading(asks=(f"task:{task}",))
    events = _status_changes(items, task, delivery)
    if not events:
        return Reading(ignored="the status changed, but the task was neither finished nor reopened")
    return Reading(events=tuple(events))


def updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `taskUpdated`, which tells every change of a task once more.

    The events are those of `taskStatusUpdated` and `taskTimeTrackedUpdated`, equal in all, so it
    makes no difference whether one of them arrives or both.
    """
    task = payload.identifier("task_id")
    items = _history(payload)
    fields = {item.text("field") for item in items}
    asks = (f"task:{task}",) if not items or "section_moved" in fields else ()
    events = tuple(_status_changes(items, task, delivery))
    tracked = time_tracked(payload, delivery) if "time_spent" in fields else None
    if tracked is not None:
        events += tracked.events
    if events or asks:
        return Reading(events=events, asks=asks)
    if tracked is not None:
        return tracked
    return Reading(ignored="the task changed, but it was not finished and no time was logged")


def _status_changes(items: Sequence[Payload], task: str, delivery: Delivery) -> list[Event]:
    events = []
    for item in items:
        if item.text("field") != "status":
            continue
        before, after = item.optional("before"), item["after"]
        was_done = before is not None and before.optional_text("type") in _DONE
        is_done = after.text("type") in _DONE
        if was_done == is_done:
            continue
        version = _milliseconds(item, "date")
        events.append(
            Event(
                kind="work.completed" if is_done else "work.reopened",
                source=KEY,
                endpoint=delivery.endpoint,
                subject=f"task:{task}",
                version=version,
                occurred_at=moment_of(version),
                on=moment_of(version).date(),
                fields={
                    "task_id": task,
                    **_given(status=after.optional_text("status"), list_id=_id(item, "parent_id")),
                },
                about=f"task:{task}",
            )
        )
    return events


def time_tracked(payload: Payload, delivery: Delivery) -> Reading:
    """Read `taskTimeTrackedUpdated`: time entries as they now stand, or gone.

    The body names neither project nor person nor billable; `about` names the entry, which tells.
    """
    task = payload.identifier("task_id")
    told = payload.optional("data")
    description = (told and told.optional_text("description")) or ""
    interval = _id(told, "interval_id") if told else None
    events: list[Event] = []
    is_running = False
    items = _history(payload)
    for item in items:
        if item.text("field") != "time_spent":
            continue
        before, after = item.optional("before"), item.optional("after")
        if after is None or "deleted" in description.lower():
            events.append(_removed(item, before or after, interval, task, delivery))
        elif _runs(after, "time"):
            is_running = True
        else:
            events.append(_logged(item, after, task, delivery))
            if before is not None and _id(before, "id") not in (None, after.identifier("id")):
                events.append(_removed(item, before, None, task, delivery))
    if events:
        return Reading(events=tuple(events))
    if not items:
        if interval is None:
            return Reading(ignored="it does not say which time entry changed: polling finds it")
        return Reading(asks=(f"entry:{interval}",))
    return Reading(ignored=_STILL_RUNS if is_running else "no time entry changed")


def moved(payload: Payload, delivery: Delivery) -> Reading:
    """Read `taskMoved`: the task may belong to another project now, and is asked for."""
    return Reading(asks=(f"task:{payload.identifier('task_id')}",))


def found_task(payload: Payload, delivery: Delivery) -> Reading:
    """Read a task as the API tells it: https://developer.clickup.com/reference/gettask"""
    task, status = payload.identifier("id"), payload["status"]
    version = _milliseconds(payload, "date_updated")
    is_done = status.text("type") in _DONE
    at = moment_of(version)
    if is_done:
        at = _first_moment(payload, "date_done", "date_closed") or at
    names, ids = _assignees(payload)
    event = Event(
        kind="work.completed" if is_done else "work.reopened",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"task:{task}",
        version=version,
        occurred_at=at,
        on=at.date(),
        project=_project(payload.optional("folder"), payload.optional("list")),
        item=payload.optional_text("custom_id") or task,
        title=payload.optional_text("name"),
        person=ids[0] if len(ids) == 1 else None,
        person_name=names[0] if len(names) == 1 else None,
        labels=_names(payload, "tags"),
        fields={
            "task_id": task,
            **_given(
                status=status.optional_text("status"),
                milestone=True if payload.raw("custom_item_id") == MILESTONE else None,
                **_place(payload.optional("list"), "list"),
                **_place(payload.optional("folder"), "folder"),
                **_place(payload.optional("space"), "space"),
            ),
        },
    )
    return Reading(events=(event,))


def found_time_entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read a time entry as the API tells it.

    https://developer.clickup.com/reference/gettimeentrieswithinadaterange - `at` is taken for the
    time of its last change.
    """
    entry = payload.identifier("id")
    if _runs(payload, "duration"):
        return Reading(ignored=_STILL_RUNS)
    version = _milliseconds(payload, "at")
    started = _first_moment(payload, "start") or moment_of(version)
    # An entry without a task has none here, or a "0".
    task = payload.optional("task") if isinstance(payload.raw("task"), dict) else None
    place = payload.optional("task_location")
    user = payload.optional("user")
    event = Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{entry}",
        version=version,
        occurred_at=started,
        on=started.date(),
        project=_project_at(place) if place else None,
        item=(task.optional_text("custom_id") or task.identifier("id")) if task else None,
        title=(task.optional_text("name") if task else None)
        or payload.optional_text("description"),
        person=_id(user, "id") if user else None,
        person_name=user.optional_text("username") if user else None,
        seconds=_seconds(payload, "duration"),
        billable=payload.boolean("billable") if payload.has("billable") else None,
        labels=_union(_names(payload, "task_tags"), _names(payload, "tags")),
        fields={
            "entry_id": entry,
            **_given(
                task_id=task.identifier("id") if task else None,
                description=payload.optional_text("description"),
                **(_location(place) if place else {}),
            ),
        },
    )
    return Reading(events=(event,))


def _logged(item: Payload, after: Payload, task: str, delivery: Delivery) -> Event:
    entry, version = after.identifier("id"), _milliseconds(item, "date")
    # What was entered as a bare duration has no start.
    started = _first_moment(after, "start", "date_added") or moment_of(version)
    return Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{entry}",
        version=version,
        occurred_at=started,
        on=started.date(),
        seconds=_seconds(after, "time"),
        fields={
            "entry_id": entry,
            "task_id": task,
            **_given(list_id=_id(item, "parent_id"), changed_by=_changed_by(item)),
        },
        about=f"entry:{entry}",
    )


def _removed(
    item: Payload, gone: Payload | None, interval: str | None, task: str, delivery: Delivery
) -> Event:
    entry = _id(gone, "id") or interval
    if entry is None:
        raise PayloadError(item.path_of("before"), "names no time entry that was removed")
    version = _milliseconds(item, "date")
    started = (gone and _first_moment(gone, "start", "date_added")) or moment_of(version)
    return Event(
        kind="time.removed",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{entry}",
        version=version,
        occurred_at=started,
        on=started.date(),
        fields={"entry_id": entry, "task_id": task},
    )


def _runs(entry: Payload, duration: str) -> bool:
    """Return whether a timer runs: a negative or no duration, or a start without an end."""
    told = entry.raw(duration)
    if told is None or told == "":
        return True
    if isinstance(told, str) and told.startswith("-"):
        return True
    if isinstance(told, int) and not isinstance(told, bool) and told < 0:
        return True
    return entry.has("start") and entry.raw("end") in (None, "")


def _history(payload: Payload) -> tuple[Payload, ...]:
    return tuple(payload.items("history_items")) if payload.has("history_items") else ()


def _changed_by(item: Payload) -> str | None:
    """Return the id of who changed it; what ClickUp did itself has a bare -1 for a user."""
    return _id(item["user"], "id") if isinstance(item.raw("user"), dict) else None


def _seconds(entry: Payload, name: str) -> int:
    """Return a duration told in milliseconds in whole seconds, half a second upwards."""
    return (_milliseconds(entry, name, most=MOST_DURATION) + 500) // 1000


def _milliseconds(payload: Payload, name: str, *, most: int = MOST_MILLISECONDS) -> int:
    """Return milliseconds, which ClickUp writes as digits in a text and sometimes as a number."""
    if not isinstance(payload.raw(name), str):
        return payload.integer(name, least=0, most=most)
    told = payload.integer_text(name)
    if told > most:
        raise PayloadError(payload.path_of(name), f"must be at most {most}")
    return told


def _first_moment(payload: Payload, *names: str) -> datetime | None:
    for name in names:
        # A "0" is no moment: an entry that was typed in as a duration has no start.
        if payload.raw(name) not in (None, "", "0", 0):
            return moment_of(_milliseconds(payload, name))
    return None


def _id(payload: Payload | None, name: str) -> str | None:
    return payload.identifier(name) if payload is not None and payload.has(name) else None


def _project(folder: Payload | None, within: Payload | None) -> str | None:
    """Return the folder's name, or the list's where the list stands in no folder."""
    if folder is not None and not (folder.has("hidden") and folder.boolean("hidden")):
        return folder.optional_text("name")
    return within.optional_text("name") if within else None


def _project_at(place: Payload) -> str | None:
    """Return the same of a `task_location`, where a list without folder is in one named hidden."""
    folder = place.optional_text("folder_name")
    return folder if folder not in (None, "hidden") else place.optional_text("list_name")


def _place(payload: Payload | None, word: str) -> dict[str, str | None]:
    if payload is None or (payload.has("hidden") and payload.boolean("hidden")):
        return {}
    return {f"{word}_id": _id(payload, "id"), word: payload.optional_text("name")}


def _location(place: Payload) -> dict[str, str | None]:
    words = [word for word in ("list", "folder", "space") if place.has(f"{word}_id")]
    if place.optional_text("folder_name") == "hidden":
        words = [word for word in words if word != "folder"]
    told: dict[str, str | None] = {}
    for word in words:
        told |= {
            f"{word}_id": _id(place, f"{word}_id"),
            word: place.optional_text(f"{word}_name"),
        }
    return told


def _assignees(payload: Payload) -> tuple[list[str | None], list[str]]:
    if not payload.has("assignees"):
        return [], []
    people = list(payload.items("assignees"))
    return (
        [person.optional_text("username") for person in people],
        [person.identifier("id") for person in people],
    )


def _names(payload: Payload, name: str) -> tuple[str, ...]:
    """Return the names of tags, which are objects with a name or plain texts."""
    told = payload.raw(name)
    if told is None:
        return ()
    if isinstance(told, list) and all(isinstance(tag, str) for tag in told):
        return payload.texts(name)
    return tuple(tag.text("name") for tag in payload.items(name))


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return (*one, *(name for name in other if name not in one))


def _given(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
