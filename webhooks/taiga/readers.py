"""What Taiga's bodies say. Its moments are UTC, so the date that counts is the UTC date.

Each body holds the thing as it now stands (`data`) and, for a change, `change.diff`: the fields
that changed, with what was before. https://docs.taiga.io/webhooks.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "taiga"
_OPEN: Final = frozenset({"new", "ready", "in progress", "needs info", "postponed"})
OPEN_NAMES: Final = {"epic": _OPEN | {"ready for test"}, "task": _OPEN, "issue": _OPEN}
"""The open statuses that Taiga gives to a new project. A change's diff has names only.

"Ready for test" is an open one of epics, but a closed one of tasks and issues.
"""


def milestone(payload: Payload, delivery: Delivery) -> Reading:
    """Read a sprint that was created or changed: `closed` is Taiga's word for done."""
    data = payload["data"]
    is_closed = data.boolean("closed")
    was_closed = _before(payload, "closed")
    if was_closed is None:
        was_closed = False if payload.text("action") == "create" else is_closed
    if was_closed == is_closed:
        return Reading(ignored="the sprint was neither closed nor opened again")
    kind = "milestone.completed" if is_closed else "milestone.reopened"
    fields = {"finish_on": data.optional_text("estimated_finish")}
    return _one(kind, payload, delivery, "milestone", data.text("name"), None, fields)


def epic(payload: Payload, delivery: Delivery) -> Reading:
    """Read an epic, the milestone of a roadmap: it is done when its status is a closed one."""
    return _by_state("milestone", payload, delivery)


def work(payload: Payload, delivery: Delivery) -> Reading:
    """Read a user story, task or issue: it is done when it is closed."""
    return _by_state("work", payload, delivery)


def _by_state(family: str, payload: Payload, delivery: Delivery) -> Reading:
    data, type_name = payload["data"], payload.text("type")
    is_closed = _is_closed(data)
    change = _changed_to(payload, is_closed)
    if change is None:
        return Reading(ignored=_why_nothing(payload, is_closed))
    fields = {
        "type": type_name,
        "number": data.identifier("ref"),
        "milestone": _name_of(data, "milestone"),
        "status": _name_of(data, "status"),
    }
    return _one(
        f"{family}.{change}",
        payload,
        delivery,
        type_name,
        data.text("subject"),
        _finished(data) if is_closed else None,
        fields,
        labels=_labels(data),
    )


def _changed_to(payload: Payload, is_closed: bool) -> str | None:
    """Return "completed" or "reopened", None where neither happened."""
    if payload.text("action") == "create":
        return "completed" if is_closed else None
    was_closed = _before(payload, "is_closed")
    if was_closed is not None:
        return None if was_closed == is_closed else "completed" if is_closed else "reopened"
    if payload.text("type") == "userstory":
        # Its own `is_closed` would stand in the diff.
        return None
    status = _diff(payload, "status")
    if status is None:
        return None
    if is_closed:
        return "completed"
    # Only a name tells what the status was before: one of a team's own may have been a closed
    # one. Opening again what was never completed changes nothing.
    before = status.optional_text("from") or ""
    open_names = OPEN_NAMES.get(payload.text("type"), _OPEN)
    return None if before.strip().lower() in open_names else "reopened"


def _why_nothing(payload: Payload, is_closed: bool) -> str:
    if payload.text("action") == "create":
        return "it was created: no work is done yet"
    if is_closed:
        return "it changed, but was done before and still is"
    return "it changed, but was neither completed nor opened again"


def _diff(payload: Payload, name: str) -> Payload | None:
    change = payload.optional("change")
    diff = change.optional("diff") if change else None
    return diff.optional(name) if diff else None


def _before(payload: Payload, name: str) -> bool | None:
    """Return what a field was before, None if it did not change."""
    changed = _diff(payload, name)
    return None if changed is None else changed.boolean("from")


def _is_closed(data: Payload) -> bool:
    """Return whether it is done: a user story says so itself, all others by their status."""
    if data.has("is_closed"):
        return data.boolean("is_closed")
    return data["status"].boolean("is_closed")


def _finished(data: Payload) -> datetime | None:
    for name in ("finish_date", "finished_date"):
        if data.has(name):
            return data.moment(name)
    return None


def _labels(data: Payload) -> tuple[str, ...]:
    """Return the tags, which are texts or pairs of a text and its color."""
    if not data.has("tags"):
        return ()
    tags = data.raw("tags")
    if isinstance(tags, list) and all(isinstance(tag, list) and tag for tag in tags):
        return Payload({"tags": [tag[0] for tag in tags]}, data.path_of("")).texts("tags")
    return data.texts("tags")


def _name_of(data: Payload, name: str) -> str | None:
    thing = data.optional(name)
    return thing.optional_text("name") if thing else None


def _changed_at(payload: Payload) -> datetime:
    """Return when Taiga wrote the body; servers before 2016 say only when the thing changed."""
    if payload.has("date"):
        return payload.moment("date")
    return payload["data"].moment("modified_date")


def _one(
    kind: str,
    payload: Payload,
    delivery: Delivery,
    type_name: str,
    title: str,
    at: datetime | None,
    fields: dict[str, Any],
    labels: tuple[str, ...] = (),
) -> Reading:
    data = payload["data"]
    assignee = data.optional("assigned_to")
    changed_at = _changed_at(payload)
    at = (at or changed_at).astimezone(UTC)
    event = Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"{type_name}:{data.identifier('id')}",
        version=milliseconds(changed_at),
        occurred_at=at,
        on=at.date(),
        project=data["project"].text("name"),
        item=f"#{data.identifier('ref')}" if data.has("ref") else None,
        title=title,
        person=assignee.optional_text("username") if assignee else None,
        person_name=assignee.optional_text("full_name") if assignee else None,
        labels=labels,
        fields=fields,
    )
    return Reading(events=(event,))
