"""What Toggl's bodies say: time entries, and projects by their id.

Webhooks write every moment in UTC, so the date that counts is the UTC date unless a moment has
an offset of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Fact, Reading, as_utc_text

from ..payload import Payload, milliseconds, moment_of

KEY: Final = "toggl"
MOST_SECONDS: Final = 2**31 - 1
OUR_TAG: Final = "billhook: "
"""How the tag begins that tells in Toggl what became of an entry; it is no label of the work."""
_RUNNING: Final = "the timer is still running: it counts when it is stopped"
_REMEMBERED: Final = "a project is no work that is billed; its name is remembered"


def entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry.created` and `time_entry.updated`: the entry as it now stands."""
    return _entry(payload["payload"], delivery, told=_told(payload))


def entry_deleted(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry.deleted`, which still carries the entry; only its id must be there."""
    return _removed(payload["payload"], delivery, told=_told(payload))


def found_entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read an entry of the detailed report, in the shape of a webhook's `payload`."""
    return _entry(payload, delivery, told=None)


def project_changed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `project.created` and `project.updated`: the project is asked for.

    The body names its client by an id only, and the name may be what a rule looks at.
    """
    return Reading(asks=(f"project:{payload['payload'].identifier('id')}",))


def found_project(payload: Payload, delivery: Delivery) -> Reading:
    """Read a project, to which the connector has added its client's name."""
    client = payload.optional_text("client_name")
    fact = Fact(
        about=f"project:{payload.identifier('id')}",
        version=milliseconds(payload.moment("at")),
        project=payload.text("name"),
        fields={"client": client} if client else {},
    )
    return Reading(facts=(fact,), ignored=_REMEMBERED)


def _entry(found: Payload, delivery: Delivery, *, told: datetime | None) -> Reading:
    if found.has("server_deleted_at"):
        return _removed(found, delivery, told=told)
    seconds = found.integer("duration", most=MOST_SECONDS)
    if seconds < 0 or not (found.has("stop") or found.has("duronly")):
        # A running entry has a negative duration; one that was made from a bare duration may have
        # no `stop` although it is done. A report's row, without `duronly`, must have a `stop`.
        return Reading(ignored=_RUNNING)
    started = found.moment("start")
    event = Event(
        kind="time.logged",
        subject=f"entry:{found.identifier('id')}",
        version=_version(found.moment("at"), told),
        occurred_at=started.astimezone(UTC),
        on=started.date(),
        seconds=seconds,
        billable=found.boolean("billable") if found.has("billable") else None,
        **_told_about(found, delivery),
    )
    return Reading(events=(event,))


def _removed(found: Payload, delivery: Delivery, *, told: datetime | None) -> Reading:
    moments = [found.moment(name) for name in ("at", "server_deleted_at") if found.has(name)]
    if moments:
        version = _version(max(moments), told)
    else:
        version = milliseconds(told or found.moment("server_deleted_at"))
    started = found.moment("start") if found.has("start") else moment_of(version)
    event = Event(
        kind="time.removed",
        subject=f"entry:{found.identifier('id')}",
        version=version,
        occurred_at=started.astimezone(UTC),
        on=started.date(),
        **_told_about(found, delivery),
    )
    return Reading(events=(event,))


def _told_about(found: Payload, delivery: Delivery) -> dict[str, Any]:
    """Return what an event says besides time and amount."""
    project = _id(found, "project_id", "pid")
    fields = {
        name: value
        for name, older in (("workspace_id", "wid"), ("project_id", "pid"), ("task_id", "tid"))
        if (value := _id(found, name, older)) is not None
    }
    if found.has("start"):
        # The connector finds the entry by it in the report.
        fields["start"] = as_utc_text(found.moment("start"))
    return {
        "source": KEY,
        "endpoint": delivery.endpoint,
        "title": found.optional_text("description"),
        "person": _id(found, "user_id", "uid"),
        "labels": tuple(tag for tag in found.texts("tags") if not tag.startswith(OUR_TAG)),
        "fields": fields,
        "about": f"project:{project}" if project else None,
    }


def _id(found: Payload, *names: str) -> str | None:
    """Return the first of these ids that is told; Toggl still writes the older names beside."""
    return next((found.identifier(name) for name in names if found.has(name)), None)


def _told(payload: Payload) -> datetime | None:
    return payload.moment("created_at") if payload.has("created_at") else None


def _version(changed: datetime, told: datetime | None) -> int:
    """Return the time of a change in milliseconds.

    Toggl writes `at` in whole seconds. Of two changes within one second the delivery's own
    `created_at` tells which came later; what is found without it counts as the earlier one, since
    the webhook of the same second says the same or more.
    """
    version = milliseconds(changed)
    if told is None or version % 1000:
        return version
    return version + min(max(milliseconds(told) - version, 0), 999)
