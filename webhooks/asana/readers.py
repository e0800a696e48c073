"""What Asana's deliveries name, and what the things that its API tells say in our words.

A delivery only says that something changed: https://developers.asana.com/docs/webhooks-guide
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "asana"
MOST_MINUTES: Final = (2**31 - 1) // 60

_TASK_FIELDS: Final = frozenset(
    {
        *("completed", "completed_at", "resource_subtype", "approval_status"),
        "actual_time_minutes",
    }
)
"""The fields of a task whose change may earn something: done or not, milestone or not, its time."""
_BILLABLE: Final = {"billable": True, "nonBillable": False, "notApplicable": None}
_NOTHING: Final = (
    "nothing in it is about a task's completion or time: stories, projects, sections and other "
    "fields are no work that is billed"
)


def events(payload: Payload, delivery: Delivery) -> Reading:
    """Read a delivery: ask about what changed, take back at once what was deleted."""
    asks: dict[str, None] = {}
    removed = []
    for event in payload.items("events"):
        action, resource = event.text("action"), event.optional("resource")
        if resource is None:
            # "sync_error": Asana says that it lost something, not what. The poll finds it.
            continue
        # Older bodies have the kind of the resource beside it.
        kind = resource.optional_text("resource_type") or event.optional_text("type")
        if kind == "task" and action == "deleted":
            removed.append(_deleted_task(event, resource, delivery))
        elif kind == "task" and (action == "undeleted" or _is_of_interest(event, action)):
            asks[f"task:{resource.identifier('gid')}"] = None
        elif kind == "time_tracking_entry" and action == "deleted":
            removed.append(_deleted_entry(event, resource, delivery))
        elif kind == "time_tracking_entry":
            asks[f"entry:{resource.identifier('gid')}"] = None
    if not asks and not removed:
        return Reading(ignored=_NOTHING)
    return Reading(events=tuple(removed), asks=tuple(asks))


def found_task(payload: Payload, delivery: Delivery) -> Reading:
    """Read a task as the API tells it: https://developers.asana.com/reference/gettask"""
    gid = payload.identifier("gid")
    subtype = payload.optional_text("resource_subtype")
    modified_at = payload.moment("modified_at")
    at = modified_at
    # Rejected approvals are completed too, and have earned nothing.
    is_done = payload.boolean("completed") and (
        subtype != "approval" or payload.text("approval_status") == "approved"
    )
    if is_done and payload.has("completed_at"):
        at = payload.moment("completed_at")
    assignee = payload.optional("assignee")
    projects = _projects(payload)
    event = Event(
        kind=_kind(subtype, "completed" if is_done else "reopened"),
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"task:{gid}",
        version=milliseconds(modified_at),
        occurred_at=at.astimezone(UTC),
        on=at.astimezone(UTC).date(),
        project=projects[0][1] if projects else None,
        item=_readable_id(payload) or gid,
        title=payload.optional_text("name"),
        person=assignee.identifier("gid") if assignee else None,
        person_name=assignee.optional_text("name") if assignee else None,
        labels=_names(payload, "tags"),
        fields={"task_gid": gid, **_fields(payload, subtype, projects)},
    )
    return Reading(events=(event,))


def found_time_entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read a time entry as the API tells it, which has no time of change: the latest answer counts.

    https://developers.asana.com/reference/gettimetrackingentry
    """
    gid, on = payload.identifier("gid"), payload.day("entered_on")
    task = payload.optional("task")
    project, person = payload.optional("attributable_to"), payload.optional("created_by")
    event = Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{gid}",
        version=milliseconds(delivery.received_at),
        occurred_at=datetime.combine(on, time(), UTC),
        on=on,
        project=project.optional_text("name") if project else None,
        title=task.optional_text("name") if task else None,
        person=person.identifier("gid") if person else None,
        person_name=person.optional_text("name") if person else None,
        seconds=payload.integer("duration_minutes", least=0, most=MOST_MINUTES) * 60,
        billable=_billable(payload),
        fields=_given(
            entry_gid=gid,
            task_gid=task.identifier("gid") if task else None,
            entry_project_gid=project.identifier("gid") if project else None,
            approval_status=payload.optional_text("approval_status"),
            description=payload.optional_text("description"),
        ),
        about=f"task:{task.identifier('gid')}" if task else None,
    )
    return Reading(events=(event,))


def _is_of_interest(event: Payload, action: str) -> bool:
    if action != "changed":
        return False
    change = event.optional("change")
    # Which field it was is not always told; then the task is asked.
    return change is None or change.optional_text("field") in (None, *_TASK_FIELDS)


def _deleted_task(event: Payload, resource: Payload, delivery: Delivery) -> Event:
    at = event.moment("created_at")
    gid = resource.identifier("gid")
    return Event(
        kind=_kind(resource.optional_text("resource_subtype"), "reopened"),
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"task:{gid}",
        version=milliseconds(at),
        occurred_at=at.astimezone(UTC),
        on=at.astimezone(UTC).date(),
        fields={"task_gid": gid, "deleted": True},
    )


def _deleted_entry(event: Payload, resource: Payload, delivery: Delivery) -> Event:
    at = event.moment("created_at")
    gid = resource.identifier("gid")
    return Event(
        kind="time.removed",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{gid}",
        version=milliseconds(at),
        occurred_at=at.astimezone(UTC),
        on=at.astimezone(UTC).date(),
        fields={"entry_gid": gid},
    )


def _kind(subtype: str | None, what: str) -> str:
    return f"{'milestone' if subtype == 'milestone' else 'work'}.{what}"


def _billable(payload: Payload) -> bool | None:
    told = payload.optional_text("billable_status")
    if told is not None and told not in _BILLABLE:
        raise PayloadError(
            payload.path_of("billable_status"), f"must be one of {', '.join(_BILLABLE)}"
        )
    return _BILLABLE[told] if told else None


def _projects(payload: Payload) -> list[tuple[str, str]]:
    """Return gid and name of the task's projects, the first membership's first."""
    told: dict[str, str] = {}
    for membership in payload.items("memberships") if payload.has("memberships") else ():
        if project := membership.optional("project"):
            told[project.identifier("gid")] = project.text("name")
    for project in payload.items("projects") if payload.has("projects") else ():
        told.setdefault(project.identifier("gid"), project.text("name"))
    return list(told.items())


def _fields(
    payload: Payload, subtype: str | None, projects: list[tuple[str, str]]
) -> dict[str, Any]:
    sections = [
        name
        for membership in (payload.items("memberships") if payload.has("memberships") else ())
        if (section := membership.optional("section")) and (name := section.optional_text("name"))
    ]
    return _given(
        subtype=subtype,
        project_gid=projects[0][0] if projects else None,
        projects=[name for _, name in projects] or None,
        section=sections[0] if sections else None,
        **{f"custom_{gid}": value for gid, _, value in _custom(payload)},
    )


def _custom(payload: Payload) -> list[tuple[str, str | None, str]]:
    """Return gid, type and shown value of each custom field that has one."""
    found = []
    for field in payload.items("custom_fields") if payload.has("custom_fields") else ():
        shown = field.optional_text("display_value")
        if shown is not None:
            kind = field.optional_text("resource_subtype") or field.optional_text("type")
            found.append((field.identifier("gid"), kind, shown))
    return found


def _readable_id(payload: Payload) -> str | None:
    """Return the task's own ID field, `WEB-12`, where its project has one."""
    return next((shown for _, kind, shown in _custom(payload) if kind == "custom_id"), None)


def _names(payload: Payload, name: str) -> tuple[str, ...]:
    return tuple(tag.text("name") for tag in payload.items(name)) if payload.has(name) else ()


def _given(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
