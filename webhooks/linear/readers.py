"""What Linear's bodies say. Its moments are UTC, so the date that counts is the UTC date.

A webhook's `data` and what the API tells have the same fields, except that the API lists labels
under `nodes`: https://linear.app/developers/webhooks and the schema of the API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds
from ..source import Reader

KEY: Final = "linear"
COMPLETED: Final = "completed"
"""The type of a state or status that means done; `canceled` and `duplicate` do not."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What can be completed in Linear, and how a body tells it."""

    word: str
    """As an admin calls it."""
    completed: str
    """The kind of event that it is when it was completed."""
    reopened: str
    is_completed: Callable[[Payload], bool]
    describe: Callable[[Payload], dict[str, Any]]
    """Return what the event says besides kind, version and time."""
    changes: frozenset[str]
    """The fields of `updatedFrom` that say that it may have been completed just now."""


def reader(thing: Thing, *, action: str) -> Reader:
    """Return the reader of `<thing>.create`, `.update`, `.remove`, `.restore` or `found:<thing>`.

    The last is named by the action `found`.
    """

    def read(payload: Payload, delivery: Delivery) -> Reading:
        if action == "found":
            return _found(thing, payload, delivery)
        data = payload["data"]
        if action == "remove":
            return _removed(thing, payload, data, delivery)
        if action == "update":
            return _updated(thing, payload, data, delivery)
        if thing.is_completed(data):
            return _completed(thing, data, delivery, _restored_at(payload, data, action))
        return Reading(ignored=f"the {thing.word} is not completed yet")

    return read


def _updated(thing: Thing, payload: Payload, data: Payload, delivery: Delivery) -> Reading:
    before = payload.optional("updatedFrom")
    changed = frozenset(before.names()) if before is not None else thing.changes
    if _is_trashed(data):
        return _removed(thing, payload, data, delivery)
    if thing.is_completed(data):
        # Older bodies list what was never set as null, whatever changed.
        was_trashed = before is not None and before.has("trashed")
        if not was_trashed and not changed & thing.changes:
            return Reading(
                ignored=f"the {thing.word} was completed already; something else changed"
            )
        action = "restore" if was_trashed else "update"
        return _completed(thing, data, delivery, _restored_at(payload, data, action))
    if before is not None and before.has("completedAt"):
        at = data.moment("updatedAt")
        return _one(_event(thing.reopened, thing, data, delivery, at, milliseconds(at)))
    return Reading(ignored=f"the {thing.word} changed, but it is not completed")


def _removed(thing: Thing, payload: Payload, data: Payload, delivery: Delivery) -> Reading:
    """Read that something went to the trash; what is only archived stays done."""
    if data.has("archivedAt") and not _is_trashed(data):
        return Reading(ignored=f"the {thing.word} was archived: what was done stays done")
    if not thing.is_completed(data):
        return Reading(ignored=f"the {thing.word} was deleted before it was completed")
    at = data.moment("archivedAt") if data.has("archivedAt") else payload.moment("createdAt")
    return _one(_event(thing.reopened, thing, data, delivery, at, _version(data, at)))


def _found(thing: Thing, data: Payload, delivery: Delivery) -> Reading:
    """Read what the API tells; the ledger passes over a reopening of what was never completed."""
    if _is_trashed(data):
        at = data.moment("archivedAt" if data.has("archivedAt") else "updatedAt")
        return _one(_event(thing.reopened, thing, data, delivery, at, _version(data, at)))
    if thing.is_completed(data):
        return _completed(thing, data, delivery, milliseconds(data.moment("updatedAt")))
    at = data.moment("updatedAt")
    return _one(_event(thing.reopened, thing, data, delivery, at, milliseconds(at)))


def _completed(thing: Thing, data: Payload, delivery: Delivery, version: int) -> Reading:
    at = data.moment("completedAt" if data.has("completedAt") else "updatedAt")
    return _one(_event(thing.completed, thing, data, delivery, at, version))


def _version(data: Payload, at: datetime) -> int:
    """Return the later of the last change and another moment: deleting changes no `updatedAt`."""
    return milliseconds(max(data.moment("updatedAt"), at))


def _restored_at(payload: Payload, data: Payload, action: str) -> int:
    """Return the version; what comes back from the trash must be newer than its deletion."""
    if action == "restore" and payload.has("createdAt"):
        return _version(data, payload.moment("createdAt"))
    return milliseconds(data.moment("updatedAt"))


def _is_trashed(data: Payload) -> bool:
    return data.has("trashed") and data.boolean("trashed")


def _event(
    kind: str, thing: Thing, data: Payload, delivery: Delivery, at: datetime, version: int
) -> Event:
    at = at.astimezone(UTC)
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        version=version,
        occurred_at=at,
        on=at.date(),
        **thing.describe(data),
    )


def _one(event: Event) -> Reading:
    return Reading(events=(event,))


def _has_type(data: Payload, name: str) -> bool:
    """Return whether the state or status is of the type that means done, else by the date."""
    stage = data.optional(name)
    if stage is None:
        return data.has("completedAt")
    return stage.text("type") == COMPLETED


def _project_is_completed(data: Payload) -> bool:
    if data.has("status"):
        return _has_type(data, "status")
    # Bodies from before 2024 have the type itself instead of a status of the workspace's own.
    return data.text("state") == COMPLETED if data.has("state") else data.has("completedAt")


def _issue(data: Payload) -> dict[str, Any]:
    team, project = data.optional("team"), data.optional("project")
    team_key = team.optional_text("key") if team is not None else None
    assignee = data.optional("assignee")
    identifier = data.optional_text("identifier")
    if identifier is None and team_key is not None:
        identifier = f"{team_key}-{data.integer('number')}"
    return {
        "subject": f"issue:{data.identifier('id')}",
        # An issue need not belong to a project, but always to a team.
        "project": _name_of(project) or team_key,
        "item": identifier,
        "title": data.text("title"),
        "person": assignee.identifier("id") if assignee is not None else None,
        "person_name": _name_of(assignee),
        "labels": _labels(data),
        "fields": {
            "team": team_key,
            "milestone": _name_of(data.optional("projectMilestone")),
            "estimate": data.decimal("estimate") if data.has("estimate") else None,
            "priority": data.optional_text("priorityLabel"),
        },
    }


def _project(data: Payload) -> dict[str, Any]:
    name = data.text("name")
    return {
        "subject": f"project:{data.identifier('id')}",
        "project": name,
        "title": name,
        "fields": {"type": "project", "target_date": data.optional_text("targetDate")},
    }


def _cycle(data: Payload) -> dict[str, Any]:
    team = data.optional("team")
    key = team.optional_text("key") if team is not None else None
    number = data.integer("number")
    team_id = data.optional_text("teamId")
    return {
        "subject": f"cycle:{data.identifier('id')}",
        "project": key,
        "title": data.optional_text("name") or f"Cycle {number}",
        "fields": {"type": "cycle", "number": number},
        "about": f"team:{team_id:.200}" if key is None and team_id is not None else None,
    }


def _labels(data: Payload) -> tuple[str, ...]:
    if not data.has("labels"):
        return ()
    is_list = isinstance(data.raw("labels"), list)
    labels = data.items("labels") if is_list else data["labels"].items("nodes")
    return tuple(sorted(label.text("name") for label in labels))


def _name_of(thing: Payload | None) -> str | None:
    return thing.optional_text("name") if thing is not None else None


_DATES: Final = frozenset({"completedAt"})

ISSUE: Final = Thing(
    word="issue",
    completed="work.completed",
    reopened="work.reopened",
    is_completed=lambda data: _has_type(data, "state"),
    describe=_issue,
    changes=_DATES | {"stateId"},
)
PROJECT: Final = Thing(
    word="project",
    completed="milestone.completed",
    reopened="milestone.reopened",
    is_completed=_project_is_completed,
    describe=_project,
    changes=_DATES | {"statusId", "state"},
)
CYCLE: Final = Thing(
    word="cycle",
    completed="milestone.completed",
    reopened="milestone.reopened",
    is_completed=lambda data: data.has("completedAt"),
    describe=_cycle,
    changes=_DATES,
)
