"""Jira's milestones: versions and sprints. Neither body names its project by key."""

from __future__ import annotations

from datetime import UTC

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds, moment_of
from .told import KEY, changed_at


def version_released(payload: Payload, delivery: Delivery) -> Reading:
    """Read `jira:version_released`."""
    return _version("milestone.completed", payload, delivery)


def version_unreleased(payload: Payload, delivery: Delivery) -> Reading:
    """Read `jira:version_unreleased`."""
    return _version("milestone.reopened", payload, delivery)


def _version(kind: str, payload: Payload, delivery: Delivery) -> Reading:
    version = payload["version"]
    happened = changed_at(payload)
    # `userReleaseDate` says the same in the user's own format: "09/Sep/20".
    has_date = version.has("releaseDate")
    event = Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"version:{version.identifier('id')}",
        version=happened,
        occurred_at=moment_of(happened),
        on=version.day("releaseDate") if has_date else moment_of(happened).date(),
        title=version.text("name"),
        about=_about("project", version, "projectId"),
    )
    return Reading(events=(event,))


def sprint_closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `sprint_closed`: it was completed at `completeDate`, whatever its planned end."""
    sprint = payload["sprint"]
    has_date = sprint.has("completeDate")
    if has_date and not payload.has("timestamp"):
        version = milliseconds(sprint.moment("completeDate"))
    else:
        version = changed_at(payload)
    completed = sprint.moment("completeDate") if has_date else moment_of(version)
    event = Event(
        kind="milestone.completed",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"sprint:{sprint.identifier('id')}",
        version=version,
        occurred_at=completed.astimezone(UTC),
        on=completed.date(),
        title=sprint.text("name"),
        about=_about("board", sprint, "originBoardId"),
    )
    return Reading(events=(event,))


def _about(thing: str, holder: Payload, name: str) -> str | None:
    return f"{thing}:{holder.identifier(name)}" if holder.has(name) else None
