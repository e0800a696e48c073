"""What OpenProject's bodies say: time entries, work packages, and versions that were asked for.

Its moments are UTC, so the date of a closed work package is the UTC date; a time entry says its
own date (`spentOn`).
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds
from .resources import KEY, Link, custom_fields, embedded, formatted, link, said, seconds

STATUSES: Final = {
    "closed": True,
    "rejected": True,
    **dict.fromkeys(
        ("new", "in specification", "specified", "confirmed", "to be scheduled", "scheduled"), False
    ),
    **dict.fromkeys(
        ("in progress", "developed", "in testing", "tested", "test failed", "on hold"), False
    ),
}
"""Whether the statuses of a fresh OpenProject are closed, for bodies that give only the name."""
REJECTED: Final = frozenset(
    {"rejected", "abgelehnt", "abgewiesen", "rejeté", "rejetée", "rechazado", "rechazada"}
    | {"afgewezen", "rifiutato", "odrzucone", "rejeitado"}
)
"""Closed without the work being done. OpenProject marks it by nothing but the name."""


def entry_logged(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry:created` and `time_entry:updated`: the entry as it now stands."""
    return found_entry(payload["time_entry"], delivery)


def found_entry(entry: Payload, delivery: Delivery) -> Reading:
    """Read a time entry as the API gives it."""
    if entry.has("ongoing") and entry.boolean("ongoing"):
        return Reading(ignored="the timer is still running: its time counts when it is stopped")
    return _one(_entry("time.logged", entry, delivery, seconds(entry, "hours")))


def entry_removed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry:deleted`.

    A body that has nothing but the entry's id does not tell when it went: then the arrival is the
    version. That is safe however late it comes, since no id is ever given again.
    """
    entry = payload["time_entry"]
    if entry.has("updatedAt") and entry.has("spentOn"):
        return _one(_entry("time.removed", entry, delivery, None))
    return _one(
        Event(
            kind="time.removed",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"time_entry:{entry.integer('id', least=1)}",
            version=milliseconds(delivery.received_at),
            occurred_at=delivery.received_at.astimezone(UTC),
            on=delivery.received_at.astimezone(UTC).date(),
        )
    )


def _entry(kind: str, entry: Payload, delivery: Delivery, worked: int | None) -> Event:
    day = entry.day("spentOn")
    project, user = link(entry, "project"), link(entry, "user")
    work = link(entry, "workPackage")
    if work.id is None:
        # Newer servers let time be logged on other things too and name all of them `entity`.
        entity = link(entry, "entity")
        work = entity if entity.kind == "work_packages" else Link()
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"time_entry:{entry.integer('id', least=1)}",
        version=milliseconds(entry.moment("updatedAt")),
        occurred_at=datetime.combine(day, time(), UTC),
        on=day,
        project=project.title,
        item=_item(work.id),
        title=work.title,
        person=user.id,
        person_name=user.title,
        seconds=worked,
        fields=said(
            **custom_fields(entry),
            activity=link(entry, "activity").title,
            comment=formatted(entry, "comment"),
            project_id=project.id,
            work_package_id=work.id,
        ),
    )


def work_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `work_package:created`, which counts only if it is closed already."""
    package = payload["work_package"]
    completed = _is_completed(package)
    if completed is False:
        return Reading(ignored="the work package was created: no work is completed yet")
    return _state(package, delivery, completed)


def work_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `work_package:updated`: it tells no previous status, so each update tells the present.

    An open one is told as reopened, which changes nothing where nothing was completed before.
    """
    package = payload["work_package"]
    return _state(package, delivery, _is_completed(package))


def found_work(package: Payload, delivery: Delivery) -> Reading:
    """Read a work package that was asked for: with its status, or nobody knows it."""
    completed = _is_completed(package)
    if completed is None:
        raise PayloadError(
            package.path_of("_embedded"), "does not tell whether the status is a closed one"
        )
    return _state(package, delivery, completed)


def _state(package: Payload, delivery: Delivery, completed: bool | None) -> Reading:
    if completed is None:
        return Reading(asks=(f"work_package:{package.integer('id', least=1)}",))
    word = "milestone" if _is_milestone(package) else "work"
    at = package.moment("updatedAt")
    number = package.integer("id", least=1)
    project, assignee = link(package, "project"), link(package, "assignee")
    return _one(
        Event(
            kind=f"{word}.completed" if completed else f"{word}.reopened",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"work_package:{number}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.astimezone(UTC).date(),
            project=project.title,
            item=_item(str(number)),
            title=package.optional_text("subject"),
            person=assignee.id,
            person_name=assignee.title,
            fields=said(
                **custom_fields(package),
                category=link(package, "category").title,
                priority=link(package, "priority").title,
                project_id=project.id,
                status=link(package, "status").title,
                type=link(package, "type").title,
                version=link(package, "version").title,
            ),
        )
    )


def _is_completed(package: Payload) -> bool | None:
    """Return whether the work is done; None if the status's name alone does not tell."""
    status, name = embedded(package, "status"), link(package, "status").title
    known = (name or "").strip().casefold()
    if known in REJECTED:
        return False
    if status is not None and status.has("isClosed"):
        return status.boolean("isClosed")
    return STATUSES.get(known)


def _is_milestone(package: Payload) -> bool:
    """Return whether its type is a milestone: it then has one `date`, in lists too."""
    kind = embedded(package, "type")
    if kind is not None and kind.has("isMilestone"):
        return kind.boolean("isMilestone")
    names = package.names()
    return "date" in names and "startDate" not in names


def found_version(version: Payload, delivery: Delivery) -> Reading:
    """Read a version that polling found: no webhook tells about versions."""
    is_closed = version.text("status").casefold() == "closed"
    at = version.moment("updatedAt")
    project = link(version, "definingProject")
    return _one(
        Event(
            kind="milestone.completed" if is_closed else "milestone.reopened",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"version:{version.integer('id', least=1)}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.astimezone(UTC).date(),
            project=project.title,
            title=version.text("name"),
            fields=said(
                **custom_fields(version),
                end_date=version.optional_text("endDate"),
                project_id=project.id,
            ),
        )
    )


def _item(number: str | None) -> str | None:
    return None if number is None else f"#{number}"


def _one(event: Event) -> Reading:
    return Reading(events=(event,))
