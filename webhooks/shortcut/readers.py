"""What Shortcut's bodies say. Its moments are UTC, so the date that counts is the UTC date.

A body has `actions`, each on one thing with `changes` of its fields, and `references`, which
name the things that the changes only have ids of. https://developer.shortcut.com/api/webhook/v1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Fact, Reading

from ..payload import Payload, milliseconds

KEY: Final = "shortcut"
DONE: Final = "done"
FAMILIES: Final = {"story": "work", "epic": "milestone"}
"""What is a piece of work, and what is a milestone; all else in a body is part of them."""
_STATES: Final = {"workflow_state_id": "workflow-state", "epic_state_id": "epic-state"}


@dataclass(frozen=True, slots=True)
class References:
    """What a body tells about things that its actions only name by an id."""

    things: Mapping[tuple[str, str], Payload]

    @classmethod
    def of(cls, payload: Payload) -> References:
        """Return the references of a body; small changes have none."""
        told = payload.items("references") if payload.has("references") else ()
        named = (each for each in told if each.has("entity_type") and each.has("id"))
        return cls({(each.text("entity_type"), each.identifier("id")): each for each in named})

    def name(self, entity_type: str, holder: Payload, field: str) -> str | None:
        """Return the name of the thing that a field points to, None if it is not told."""
        return self._text(entity_type, holder, field, "name")

    def is_done(self, entity_type: str, holder: Payload, field: str) -> bool | None:
        """Return whether the state that a field points to is a done one, None if not told."""
        told = self._text(entity_type, holder, field, "type")
        return None if told is None else told == DONE

    def _text(self, entity_type: str, holder: Payload, field: str, wanted: str) -> str | None:
        if not holder.has(field):
            return None
        thing = self.things.get((entity_type, holder.identifier(field)))
        return thing.optional_text(wanted) if thing else None


def changed(payload: Payload, delivery: Delivery) -> Reading:
    """Read one change: each story or epic in it that was completed or opened again."""
    references = References.of(payload)
    version = payload.moment("changed_at").astimezone(UTC)
    events: list[Event] = []
    facts: list[Fact] = []
    for action in payload.items("actions"):
        if action.text("entity_type") not in FAMILIES:
            continue
        event = _event(action, references, delivery, version)
        if event is not None:
            events.append(event)
        facts += _facts(action, references, version)
    ignored = None if events else "no story or epic was completed or opened again"
    return Reading(events=tuple(events), facts=tuple(facts), ignored=ignored)


def _event(
    action: Payload, references: References, delivery: Delivery, at: datetime
) -> Event | None:
    verb = action.text("action")
    is_done: bool | None = None
    if verb == "create":
        is_done = _created_as_done(action, references) or None
    elif verb == "update" and action.has("changes"):
        is_done = _became_done(action["changes"], references)
    # What is deleted was not undone by that.
    if is_done is None:
        return None
    entity_type, number = action.text("entity_type"), action.identifier("id")
    completed_at = _completed_at(action, verb) if is_done else None
    done_at = (completed_at or at).astimezone(UTC)
    return Event(
        kind=f"{FAMILIES[entity_type]}.{'completed' if is_done else 'reopened'}",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"{entity_type}:{number}",
        version=milliseconds(at),
        occurred_at=done_at,
        on=done_at.date(),
        item=_item(entity_type, number),
        title=action.optional_text("name"),
        fields=_fields(action, entity_type, number),
        about=f"{entity_type}:{number}",
    )


def _item(entity_type: str, number: str) -> str | None:
    """Return the name that people use for a story: `sc-123`, as in branches and commits."""
    return f"sc-{number}" if entity_type == "story" else None


def _fields(action: Payload, entity_type: str, number: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": entity_type, "number": number}
    if action.has("story_type"):
        fields["story_type"] = action.text("story_type")
    return fields


def _created_as_done(action: Payload, references: References) -> bool:
    if action.has("completed"):
        return action.boolean("completed")
    return any(references.is_done(kind, action, name) for name, kind in _STATES.items())


def _became_done(changes: Payload, references: References) -> bool | None:
    """Return true if it was completed, false if it was opened again, None for neither."""
    completed = changes.optional("completed")
    if completed is not None:
        now = completed.boolean("new")
        was = completed.boolean("old") if completed.has("old") else False
        return None if now == was else now
    for name, kind in _STATES.items():
        state = changes.optional(name)
        if state is None:
            continue
        after = references.is_done(kind, state, "new")
        before = references.is_done(kind, state, "old")
        return None if after is None or before is None or after == before else after
    # Epics had no states of a team's own once, but a word.
    word = changes.optional("state")
    if word is None:
        return None
    is_done, was_done = word.text("new") == DONE, word.optional_text("old") == DONE
    return None if is_done == was_done else is_done


def _completed_at(action: Payload, verb: str) -> datetime | None:
    if verb == "create":
        return action.moment("completed_at") if action.has("completed_at") else None
    told = action["changes"].optional("completed_at")
    return told.moment("new") if told is not None and told.has("new") else None


def _facts(action: Payload, references: References, at: datetime) -> tuple[Fact, ...]:
    """Return which project the thing belongs to: of a new one, or of one put into another project.

    A change of the team alone says nothing, because the project, if there is one, comes first.
    """
    verb = action.text("action")
    if verb == "create":
        return (_fact(action, _project(action, references), at),)
    changes = action.optional("changes") if verb == "update" else None
    change = changes.optional("project_id") if changes else None
    project = references.name("project", change, "new") if change else None
    return () if project is None else (_fact(action, project, at),)


def _fact(thing: Payload, project: str | None, at: datetime) -> Fact:
    entity_type, number = thing.text("entity_type"), thing.identifier("id")
    return Fact(
        about=f"{entity_type}:{number}",
        version=milliseconds(at),
        project=project,
        item=_item(entity_type, number),
        title=thing.optional_text("name"),
    )


def _project(thing: Payload, references: References) -> str | None:
    """Return the name of a thing's project, else of its team."""
    name = references.name("project", thing, "project_id")
    return name or references.name("group", thing, "group_id")


def found_story(payload: Payload, delivery: Delivery) -> Reading:
    """Read a story as the API tells it, with references to its project and team."""
    return _found("story", payload, delivery)


def found_epic(payload: Payload, delivery: Delivery) -> Reading:
    """Read an epic as the API tells it, with references to its team."""
    return _found("epic", payload, delivery)


def _found(entity_type: str, payload: Payload, delivery: Delivery) -> Reading:
    is_done = payload.boolean("completed")
    changed_at = payload.moment("updated_at").astimezone(UTC)
    done_at = payload.moment("completed_at").astimezone(UTC) if is_done else changed_at
    number = payload.identifier("id")
    event = Event(
        kind=f"{FAMILIES[entity_type]}.{'completed' if is_done else 'reopened'}",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"{entity_type}:{number}",
        version=milliseconds(changed_at),
        occurred_at=done_at,
        on=done_at.date(),
        item=_item(entity_type, number),
        title=payload.text("name"),
        fields=_fields(payload, entity_type, number),
        about=f"{entity_type}:{number}",
    )
    fact = _fact(payload, _project(payload, References.of(payload)), changed_at)
    return Reading(events=(event,), facts=(replace(fact, **_people_and_labels(payload)),))


def _people_and_labels(thing: Payload) -> dict[str, Any]:
    """Return who owns a thing, if it is one person, and its labels; only the API tells them."""
    owners = thing.texts("owner_ids")
    labels = thing.items("labels") if thing.has("labels") else ()
    return {
        "person": owners[0] if len(owners) == 1 else None,
        "labels": tuple(label.text("name") for label in labels),
    }
