"""What Harvest's time entries say: whose time, on what, how much of it is billed."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading
from ledger.money import seconds_of

from ..payload import Payload, milliseconds

KEY: Final = "harvest"
MOST_HOURS: Final = Decimal(10_000)
RUNNING: Final = "its timer is running: the entry counts once it is stopped"


def time_entry(payload: Payload, delivery: Delivery) -> Reading:
    """Read one time entry as the API tells it."""
    event = _entry(payload, delivery)
    return Reading(ignored=RUNNING) if event is None else Reading(events=(event,))


def time_entries(payload: Payload, delivery: Delivery) -> Reading:
    """Read a page of time entries."""
    read = [_entry(entry, delivery) for entry in payload.items("time_entries")]
    events = tuple(event for event in read if event is not None)
    nothing = RUNNING if read else "the page holds no time entry"
    return Reading(events=events, ignored=None if events else nothing)


def _entry(entry: Payload, delivery: Delivery) -> Event | None:
    """Return a time entry as it stands, None while its timer is running."""
    if _flag(entry, "is_running") or entry.has("timer_started_at"):
        return None
    hours = _hours(entry, "hours")
    billed_hours = _hours(entry, "rounded_hours") if entry.has("rounded_hours") else hours
    day = entry.day("spent_date")
    user, task, reference = (
        entry.optional(name) for name in ("user", "task", "external_reference")
    )
    billable = entry.boolean("billable") if entry.has("billable") else None
    if _flag(entry, "is_billed"):
        # It is on an invoice of Harvest, or marked as if it were: it must not be billed twice.
        billable = False
    return Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"entry:{entry.identifier('id')}",
        version=milliseconds(entry.moment("updated_at")),
        # `started_time` is in the person's own time zone, which the entry does not tell.
        occurred_at=datetime.combine(day, time(), UTC),
        on=day,
        project=_name(entry.optional("project")),
        item=reference.identifier("id") if reference and reference.has("id") else None,
        title=_name(task),
        person=user.identifier("id") if user and user.has("id") else None,
        person_name=_name(user),
        seconds=seconds_of(billed_hours),
        billable=billable,
        fields=_fields(entry, hours, billed_hours),
    )


def _hours(entry: Payload, name: str) -> Decimal:
    hours = entry.decimal(name)
    if not 0 <= hours <= MOST_HOURS:
        raise PayloadError(entry.path_of(name), f"must be between 0 and {MOST_HOURS}")
    return hours


def _flag(entry: Payload, name: str) -> bool:
    return entry.has(name) and entry.boolean(name)


def _name(thing: Payload | None) -> str | None:
    return thing.optional_text("name") if thing else None


def _fields(entry: Payload, hours: Decimal, billed_hours: Decimal) -> dict[str, Any]:
    project, client = entry.optional("project"), entry.optional("client")
    invoice, reference = entry.optional("invoice"), entry.optional("external_reference")
    fields: dict[str, Any] = {
        "hours": hours,
        "rounded_hours": billed_hours,
        "client": _name(client),
        "task": _name(entry.optional("task")),
        "project_code": project.optional_text("code") if project else None,
        "notes": entry.optional_text("notes"),
        "link": reference.optional_text("permalink") if reference else None,
        "invoice": invoice.identifier("number") if invoice and invoice.has("number") else None,
    }
    for thing, holder in (("project_id", project), ("client_id", client)):
        fields[thing] = holder.identifier("id") if holder and holder.has("id") else None
    for name in ("is_billed", "is_locked", "is_closed", "budgeted"):
        fields[name] = entry.boolean(name) if entry.has(name) else None
    fields["marked_billable"] = entry.boolean("billable") if entry.has("billable") else None
    return {name: value for name, value in fields.items() if value is not None}
