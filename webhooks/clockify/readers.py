"""What Clockify's bodies say: time entries, approved timesheets, expenses.

No body of an entry has a time of change, so its version is when it arrived.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "clockify"
MOST_SECONDS: Final = 2**31 - 1
NO_WORK: Final = ("BREAK", "HOLIDAY", "TIME_OFF")
"""The types of entries, beside REGULAR, that Clockify keeps for time that nobody works."""
OUR_TAG: Final = "billhook: "
"""How the tag begins that tells in Clockify what became of an entry; it is no label of the work."""
_ONLY_NAMED: Final = (
    " changed, and the delivery does not say how: look at it in Clockify, and correct by hand what "
    "was billed of it"
)
_RUNNING: Final = "the timer is still running: it counts when it is stopped"
_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})(?:\.0+)?S)?)?",
    re.ASCII,
)


def entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read what names an entry as it now stands, be it new, changed, stopped, split or restored."""
    interval = payload["timeInterval"]
    if not interval.has("end"):
        return Reading(ignored=_RUNNING)
    started = interval.moment("start")
    event = Event(
        kind="time.logged",
        subject=f"entry:{payload.identifier('id')}",
        occurred_at=started.astimezone(UTC),
        on=_day(interval),
        seconds=_seconds(interval),
        billable=_billable(payload),
        **_told_about(payload, delivery),
    )
    return Reading(events=(event,))


def entry_deleted(payload: Payload, delivery: Delivery) -> Reading:
    """Read `TIME_ENTRY_DELETED`, which still carries the entry; only its id must be there."""
    return Reading(events=(_removed(payload, delivery),))


def entries_deleted(payload: Payload, delivery: Delivery) -> Reading:
    """Read `TIME_ENTRY_BATCH_DELETED`, whose body Clockify does not publish.

    Read are a list of entries or of ids, bare or as `timeEntries` or `timeEntryIds`, and one
    entry; anything else is unreadable.
    """
    events = tuple(_removed(each, delivery) for each in _batch(payload))
    if not events:
        raise PayloadError(payload.path_of("timeEntries"), "is empty - nothing was deleted")
    return Reading(events=events)


def approval(payload: Payload, delivery: Delivery) -> Reading:
    """Read `APPROVAL_REQUEST_STATUS_UPDATED`: only the state `APPROVED` counts."""
    status = payload["status"]
    state = status.text("state")
    if state != "APPROVED":
        return Reading(
            ignored=f"the timesheet's state is {state.lower():.60}: it counts when it is approved"
        )
    at = status.moment("updatedAt").astimezone(UTC)
    owner, period = payload.optional("owner"), payload.optional("dateRange")
    zone = owner.optional_text("timezone") or owner.optional_text("timeZone") if owner else None
    fields: dict[str, Any] = {}
    if approver := status.optional_text("updatedByUserName"):
        fields["approved_by"] = approver
    if period is not None:
        fields["first"] = _local(period.moment("start"), zone).date().isoformat()
        fields["last"] = _local(period.moment("end"), zone).date().isoformat()
    event = Event(
        kind="approval.granted",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"approval:{payload.identifier('id')}",
        version=milliseconds(at),
        occurred_at=at,
        on=_local(at, zone).date(),
        person=_id(owner, "userId") if owner else None,
        person_name=owner.optional_text("userName") if owner else None,
        fields=fields,
    )
    return Reading(events=(event,))


def expense(payload: Payload, delivery: Delivery) -> Reading:
    """Read an expense as it now stands; `total` is told as it is, because it has no currency.

    Clockify's own sample of `EXPENSE_UPDATED` names the expense and not what it is now.
    """
    if payload.has("expenseId") and not payload.has("date"):
        return Reading(ignored=f"expense {payload.identifier('expenseId'):.40}{_ONLY_NAMED}")
    at = payload.moment("date")
    fields: dict[str, Any] = {
        "project_id": _id(payload, "projectId"),
        "task_id": _id(payload, "taskId"),
        "category_id": _id(payload, "categoryId"),
        "quantity": payload.decimal("quantity") if payload.has("quantity") else None,
        "total": payload.decimal("total") if payload.has("total") else None,
    }
    event = Event(
        kind="expense.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"expense:{payload.identifier('id')}",
        version=milliseconds(delivery.received_at),
        occurred_at=at.astimezone(UTC),
        on=at.date(),
        title=payload.optional_text("notes"),
        person=_id(payload, "userId"),
        billable=payload.boolean("billable") if payload.has("billable") else None,
        fields=_told(fields),
    )
    return Reading(events=(event,))


def _removed(found: Payload, delivery: Delivery) -> Event:
    interval = found.optional("timeInterval")
    has_start = interval is not None and interval.has("start")
    started = interval.moment("start") if interval and has_start else delivery.received_at
    return Event(
        kind="time.removed",
        subject=f"entry:{found.identifier('id')}",
        occurred_at=started.astimezone(UTC),
        on=_day(interval) if interval and has_start else started.astimezone(UTC).date(),
        **_told_about(found, delivery),
    )


def _batch(payload: Payload) -> Iterator[Payload]:
    for name in ("timeEntryIds", "timeEntries"):
        if payload.has(name):
            told = payload.raw(name)
            if isinstance(told, list) and all(isinstance(each, str) for each in told):
                return (Payload({"id": each}) for each in payload.texts(name))
            return payload.items(name)
    return iter((payload,))


def _billable(entry: Payload) -> bool | None:
    if entry.raw("type") in NO_WORK:
        return False
    return entry.boolean("billable") if entry.has("billable") else None


def _told_about(found: Payload, delivery: Delivery) -> dict[str, Any]:
    """Return what an event says besides time and amount."""
    project, task, user = (found.optional(name) for name in ("project", "task", "user"))
    client = project.optional_text("clientName") if project else None
    fields: dict[str, Any] = {
        "workspace_id": _id(found, "workspaceId"),
        "project_id": _id(found, "projectId") or (_id(project, "id") if project else None),
        "task_id": _id(found, "taskId") or (_id(task, "id") if task else None),
        "client": client,
        "task": task.optional_text("name") if task else None,
        "custom_fields": dict(_custom_fields(found)) or None,
        "type": kind if (kind := found.raw("type")) in NO_WORK else None,
    }
    tags = found.items("tags") if found.has("tags") else ()
    names = [tag.text("name") for tag in tags]
    return {
        "source": KEY,
        "endpoint": delivery.endpoint,
        "version": milliseconds(delivery.received_at),
        "project": project.optional_text("name") if project else None,
        "title": found.optional_text("description"),
        "person": _id(found, "userId") or (_id(user, "id") if user else None),
        "person_name": user.optional_text("name") if user else None,
        "labels": tuple(name for name in names if not name.startswith(OUR_TAG)),
        "fields": _told(fields),
    }


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _custom_fields(found: Payload) -> Iterator[tuple[str, object]]:
    for field in found.items("customFieldValues") if found.has("customFieldValues") else ():
        name = field.optional_text("name")
        if name and field.has("value"):
            yield name, field.raw("value")


def _seconds(interval: Payload) -> int:
    """Return how long an interval is: the duration as told, or else from start to end."""
    between = interval.moment("end") - interval.moment("start")
    if not interval.has("duration"):
        if between < timedelta() or between % timedelta(seconds=1):
            raise PayloadError(
                interval.path_of("end"), "is no whole number of seconds after the start"
            )
        seconds = between // timedelta(seconds=1)
    else:
        parts = _DURATION.fullmatch(interval.text("duration"))
        if parts is None or parts[0] == "P":
            raise PayloadError(
                interval.path_of("duration"), "must be a duration such as PT1H30M, in whole seconds"
            )
        count = {name: int(told or 0) for name, told in parts.groupdict().items()}
        seconds = (
            count["days"] * 86400 + count["hours"] * 3600 + count["minutes"] * 60 + count["seconds"]
        )
        if abs(between - timedelta(seconds=seconds)) > timedelta(seconds=1):
            raise PayloadError(
                interval.path_of("duration"), "is not the time from start to end - ask Clockify"
            )
    if seconds > MOST_SECONDS:
        raise PayloadError(
            interval.path_of("end"), f"is more than {MOST_SECONDS} s after the start"
        )
    return seconds


def _day(interval: Payload) -> date:
    """Return the day on which an interval starts where the person is, in UTC if it is not told."""
    return _local(interval.moment("start"), interval.optional_text("timeZone")).date()


def _local(moment: datetime, zone: str | None) -> datetime:
    if zone is not None:
        try:
            return moment.astimezone(ZoneInfo(zone))
        except (LookupError, ValueError, OSError):
            pass
    return moment


def _id(found: Payload, name: str) -> str | None:
    # Clockify writes an empty text where there is none.
    if not found.has(name) or found.raw(name) == "":
        return None
    return found.identifier(name)
