"""What Plane's bodies say. Its moments are UTC, so the date that counts is the UTC date.

Version 2 tells in `previous_attributes` what was before; the older version tells, if anything,
in `activity` which field changed. https://developers.plane.so/dev-tools/intro-webhooks
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "plane"
_STATE_FIELDS: Final = frozenset({"state", "state_id", "completed_at"})
_COMPLETED: Final = "completed"
_NONE: Final = "None"
"""Stands for null in an example of Plane's pages."""
_DATABASE_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)", re.ASCII
)


def item_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.created`: completed work if it was created in a done state."""
    return _created(payload, delivery)


def item_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.updated`: Plane sets and clears `completed_at` as the state is done or not."""
    data, before = payload["data"], payload["previous_attributes"]
    if "completed_at" not in before.names():
        changed = ", ".join(sorted(before.names())) or "nothing"
        return Reading(ignored=f"only {changed:.120} of the work item changed")
    was_done = _is_moment(before, "completed_at")
    if _is_completed(data):
        return _item("work.completed", payload, delivery, data.moment("completed_at"))
    if was_done:
        return _item("work.reopened", payload, delivery, _changed_at(data))
    return Reading(ignored="the work item was neither completed nor opened again")


def issue_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read the older version's `issue.created`: completed work if it was created as done."""
    return _created(payload, delivery)


def issue_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read the older version's `issue.updated`, which tells one changed field at a time, or none.

    What the state was before is not told. Opening again what was never completed changes nothing.
    """
    data = payload["data"]
    activity = payload.optional("activity")
    field = activity.optional_text("field") if activity else None
    if field is not None and field not in _STATE_FIELDS:
        return Reading(ignored=f"only {field:.60} of the work item changed")
    if _is_completed(data):
        return _item("work.completed", payload, delivery, data.moment("completed_at"))
    return _item("work.reopened", payload, delivery, _changed_at(data))


def found_item(payload: Payload, delivery: Delivery) -> Reading:
    """Read a work item as the API tells it, in the words of a webhook of version 2."""
    told = {name: payload.raw(name) for name in payload.names()}
    told |= {"label_ids": payload.raw("labels"), "assignee_ids": payload.raw("assignees")}
    item = Payload({"data": told})
    if _is_completed(payload):
        return _item("work.completed", item, delivery, payload.moment("completed_at"))
    return _item("work.reopened", item, delivery, _changed_at(payload))


def module_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `module.created`, of both versions: completed if it was created so."""
    if payload["data"].optional_text("status") == _COMPLETED:
        return _module("milestone.completed", payload, delivery)
    return Reading(ignored="the module was created: it is not completed yet")


def module_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `module.updated`, of both versions: completed or no longer, by its status."""
    is_done = payload["data"].optional_text("status") == _COMPLETED
    before = payload.optional("previous_attributes")
    if before is not None:
        if "status" not in before.names():
            return Reading(ignored="the module's status did not change")
        was_done = before.optional_text("status") == _COMPLETED
    else:
        activity = payload.optional("activity")
        if activity is not None and activity.has("field") and activity.text("field") != "status":
            return Reading(ignored="the module's status did not change")
        was_done = not is_done
    if was_done == is_done:
        return Reading(ignored="the module was neither completed nor opened again")
    kind = "milestone.completed" if is_done else "milestone.reopened"
    return _module(kind, payload, delivery)


def _created(payload: Payload, delivery: Delivery) -> Reading:
    data = payload["data"]
    if _is_completed(data):
        return _item("work.completed", payload, delivery, data.moment("completed_at"))
    return Reading(ignored="the work item was created: no work is done yet")


def _is_completed(data: Payload) -> bool:
    return data.has("completed_at") and data.raw("completed_at") != _NONE


def _is_moment(before: Payload, name: str) -> bool:
    """Return whether there was a moment; what was before is written as PostgreSQL writes it."""
    if not before.has(name) or before.raw(name) == _NONE:
        return False
    if not _DATABASE_MOMENT.fullmatch(before.text(name)):
        raise PayloadError(
            before.path_of(name), "must be null or a moment such as 2026-03-04 12:30:00.5+00"
        )
    return True


def _changed_at(data: Payload) -> datetime:
    return data.moment("updated_at")


def _item(kind: str, payload: Payload, delivery: Delivery, at: datetime) -> Reading:
    data = payload["data"]
    number = data.integer("sequence_id", least=0)
    person, name = _assignee(data)
    state = data.optional("state") if isinstance(data.raw("state"), dict) else None
    fields = {
        "number": number,
        "priority": data.optional_text("priority"),
        "state": state.optional_text("name") if state else None,
        "label_ids": list(data.texts("label_ids")),
    }
    return _one(
        kind,
        payload,
        delivery,
        subject=f"workitem:{data.identifier('id')}",
        at=at,
        item=f"#{number}",
        person=person,
        person_name=name,
        labels=_labels(data),
        fields=fields,
    )


def _module(kind: str, payload: Payload, delivery: Delivery) -> Reading:
    data = payload["data"]
    return _one(
        kind,
        payload,
        delivery,
        subject=f"module:{data.identifier('id')}",
        at=_changed_at(data),
        item=None,
        person=None,
        person_name=None,
        labels=(),
        fields={"status": data.optional_text("status")},
    )


def _assignee(data: Payload) -> tuple[str | None, str | None]:
    """Return the id and name of the one assignee; of several none is the one who worked."""
    ids = data.texts("assignee_ids")
    if ids:
        return (ids[0] if len(ids) == 1 else None), None
    people = data.raw("assignees")
    if not isinstance(people, list) or len(people) != 1:
        return None, None
    if not isinstance(people[0], dict):
        # The first servers told ids only.
        return data.texts("assignees")[0] or None, None
    (person,) = data.items("assignees")
    return person.identifier("id"), person.optional_text("display_name")


def _labels(data: Payload) -> tuple[str, ...]:
    """Return the labels' names, which only the older version tells; else they are ids."""
    labels = data.raw("labels")
    if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
        return ()
    return tuple(label.text("name") for label in data.items("labels"))


def _one(
    kind: str,
    payload: Payload,
    delivery: Delivery,
    *,
    subject: str,
    at: datetime,
    item: str | None,
    person: str | None,
    person_name: str | None,
    labels: tuple[str, ...],
    fields: dict[str, Any],
) -> Reading:
    data = payload["data"]
    project = "project_id" if data.has("project_id") else "project"
    at = at.astimezone(UTC)
    event = Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=subject,
        version=milliseconds(_changed_at(data)),
        occurred_at=at,
        on=at.date(),
        project=data.identifier(project),
        item=item,
        title=data.text("name"),
        person=person,
        person_name=person_name,
        labels=labels,
        fields=fields,
    )
    return Reading(events=(event,))
