"""Azure Boards' work items: completed, opened again, and the cumulative time on them.

All moments are UTC, so the date that counts is the UTC date:
https://learn.microsoft.com/azure/devops/service-hooks/events
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading
from ledger.money import seconds_of

from ..payload import Payload, milliseconds

KEY: Final = "azure_devops"
STATE: Final = "System.State"
COMPLETED_WORK: Final = "Microsoft.VSTS.Scheduling.CompletedWork"
"""Hours, cumulative, with decimals."""
CLOSED_DATE: Final = "Microsoft.VSTS.Common.ClosedDate"
CHANGED_DATE: Final = "System.ChangedDate"

DONE_NAMES: Final = frozenset({"closed", "done", "completed"})
"""The states of category Completed in the Agile, Scrum, CMMI and Basic processes and of tests."""
DROPPED_NAMES: Final = frozenset({"removed", "cut"})
"""States of category Removed, which are no completion, whatever date they set."""
OPEN_NAMES: Final = frozenset(
    {"new", "proposed", "to do", "approved", "committed", "active", "doing", "in progress"}
    | {"resolved", "open", "ready", "design", "in planning", "requested"}
)
"""States of Microsoft's processes that are no completion, whatever date of closing is left."""
LONGEST_FIELD: Final = 255
MOST_HOURS: Final = Decimal(500_000)
_MAIL: Final = re.compile(r"(?P<name>.*?)\s*<(?P<account>[^<>]+)>", re.DOTALL)
_FIELDS: Final = {
    "work_item_type": "System.WorkItemType",
    "state": STATE,
    "area": "System.AreaPath",
    "iteration": "System.IterationPath",
    "activity": "Microsoft.VSTS.Common.Activity",
}
_NUMBERS: Final = {
    "original_estimate": "Microsoft.VSTS.Scheduling.OriginalEstimate",
    "story_points": "Microsoft.VSTS.Scheduling.StoryPoints",
}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A work item as it stands after a change: what changed goes before the full revision.

    The revision in a body is the one after the change; in Microsoft's sample, the one before.
    """

    id: str
    fields: Payload
    """The full revision's fields by reference name."""
    changed: Payload | None = None
    """`oldValue` and `newValue` by reference name."""

    def holder(self, name: str) -> tuple[Payload, str] | None:
        """Return where the present value of a field stands; None if it has none."""
        if self.changed is not None and self.changed.has(name):
            change = self.changed[name]
            return (change, "newValue") if change.has("newValue") else None
        return (self.fields, name) if self.fields.has(name) else None

    def text(self, name: str) -> str | None:
        """Return a text field, None if it is not set."""
        held = self.holder(name)
        return held[0].optional_text(held[1]) if held else None

    def hours(self, name: str) -> Decimal | None:
        """Return a field of hours or points, None if it is not set."""
        held = self.holder(name)
        return _hours(*held) if held else None

    def moment(self, name: str) -> datetime:
        """Return a date field; raise PayloadError if it is not set."""
        held = self.holder(name) or (self.fields, name)
        return held[0].moment(held[1]).astimezone(UTC)

    def person(self, name: str) -> tuple[str | None, str | None]:
        """Return account and display name of an identity field."""
        held = self.holder(name)
        return identity(held[0].raw(held[1])) if held else (None, None)


def created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.created`: most often nothing yet, but both may be set from the start."""
    resource = payload["resource"]
    if not resource.has("fields"):
        # The subscription sends "minimal" details.
        return Reading(asks=(f"workitem:{resource.identifier('id'):.100}",))
    item = WorkItem(resource.identifier("id"), resource["fields"])
    at = item.moment(CHANGED_DATE)
    return _standing(item, delivery, at, "the work item was created: nothing is done on it yet")


def restored(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.restored`: what it stands for counts again, newer than its deletion."""
    resource = payload["resource"]
    item = WorkItem(resource.identifier("id"), resource["fields"])
    return _standing(item, delivery, _event_at(payload, item), "nothing had been done on it")


def deleted(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.deleted`: its time is zero now, and completed work is taken back.

    "Minimal" details do not say what it stood for, and it can no longer be looked up: then both
    are told, and the ledger passes over what was never told before.
    """
    resource = payload["resource"]
    if not resource.has("fields"):
        item = WorkItem(resource.identifier("id"), Payload({}, "resource.fields"))
        at = payload.moment("createdDate").astimezone(UTC)
        time = f"workitem-time:{item.id}"
        return Reading(
            events=(
                _event("time.removed", time, item, delivery, at, (None, None)),
                _work("work.reopened", item, delivery, at),
            )
        )
    item = WorkItem(resource.identifier("id"), resource["fields"])
    at = _event_at(payload, item)
    hours = item.hours(COMPLETED_WORK)
    events = []
    if hours:
        events.append(_total(item, delivery, at, item.person("System.ChangedBy"), (hours, None)))
    if _stands_done(item):
        events.append(_work("work.reopened", item, delivery, at))
    return _reading(events, "the work item was deleted, but nothing had been done on it")


def updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `workitem.updated`: one delivery may tell a new total and a new state."""
    return update(payload["resource"], delivery)


def update(resource: Payload, delivery: Delivery) -> Reading:
    """Read one update: the `resource` of a webhook, or what the API lists as an item's updates."""
    item_id = resource.identifier("workItemId")
    if not any(resource.has(name) for name in ("fields", "relations", "revision")):
        # The subscription sends "minimal" details.
        number = resource.identifier("id") if resource.has("id") else None
        about = (
            f"workitem:{item_id:.100}" if number is None else f"update:{item_id:.100}:{number:.100}"
        )
        return Reading(asks=(about,))
    changed = resource.optional("fields")
    revision = resource.optional("revision")
    full = revision.optional("fields") if revision is not None else None
    item = WorkItem(item_id, full or Payload({}, "resource.revision.fields"), changed)
    if changed is None:
        return Reading(ignored="only links of the work item changed")
    events = []
    if changed.has(COMPLETED_WORK):
        change = changed[COMPLETED_WORK]
        hours = tuple(
            _hours(change, name) if change.has(name) else None for name in ("oldValue", "newValue")
        )
        if (hours[0] or 0) != (hours[1] or 0):
            person = identity(resource.raw("revisedBy"))
            if person == (None, None):
                person = item.person("System.ChangedBy")
            at = item.moment(CHANGED_DATE)
            before = seconds_of(hours[0] or Decimal(0))
            total = _total(item, delivery, at, person, (hours[0], hours[1]))
            events.append(replace(total, seconds_before=before))
    kind = _moved(changed)
    if kind is not None:
        events.append(_work(kind, item, delivery, item.moment(CHANGED_DATE)))
    return _reading(events, _why_nothing(changed))


def identity(value: object) -> tuple[str | None, str | None]:
    """Return account and display name of who a field names, None where it does not say.

    Identities are objects in newer resource versions, `Ana Silva <ana@agency.example>` in 1.0.
    """
    if isinstance(value, Mapping):
        found = [value.get(name) for name in ("uniqueName", "id", "displayName")]
        account, other, name = (part if isinstance(part, str) and part else None for part in found)
        return account or other, name
    if not isinstance(value, str) or not value:
        return None, None
    match = _MAIL.fullmatch(value)
    return (match["account"], match["name"] or None) if match else (None, value)


def _standing(item: WorkItem, delivery: Delivery, at: datetime, why_nothing: str) -> Reading:
    hours = item.hours(COMPLETED_WORK)
    events = []
    if hours:
        events.append(_total(item, delivery, at, item.person("System.ChangedBy"), (None, hours)))
    if _stands_done(item):
        events.append(_work("work.completed", item, delivery, at))
    return _reading(events, why_nothing)


def _event_at(payload: Payload, item: WorkItem) -> datetime:
    """Return when something was deleted or restored: its fields may still have an older date."""
    return max(item.moment(CHANGED_DATE), payload.moment("createdDate").astimezone(UTC))


def _total(
    item: WorkItem,
    delivery: Delivery,
    at: datetime,
    person: tuple[str | None, str | None],
    hours: tuple[Decimal | None, Decimal | None],
) -> Event:
    before, now = hours
    return _event(
        "time.total",
        f"workitem-time:{item.id}",
        item,
        delivery,
        at,
        person,
        seconds=seconds_of(now or Decimal(0)),
        fields={"completed_work_before": before, "completed_work": now},
    )


def _work(kind: str, item: WorkItem, delivery: Delivery, at: datetime) -> Event:
    subject = f"workitem:{item.id}"
    return _event(kind, subject, item, delivery, at, item.person("System.AssignedTo"))


def _event(
    kind: str,
    subject: str,
    item: WorkItem,
    delivery: Delivery,
    at: datetime,
    person: tuple[str | None, str | None],
    *,
    seconds: int | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Event:
    project = item.text("System.TeamProject")
    tags = (item.text("System.Tags") or "").split(";")
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=subject,
        version=milliseconds(at),
        occurred_at=at,
        on=at.date(),
        project=project,
        item=f"#{item.id}",
        title=item.text("System.Title"),
        person=person[0],
        person_name=person[1],
        seconds=seconds,
        labels=tuple(tag.strip() for tag in tags if tag.strip()),
        fields={**dict(_rule_fields(item)), **(fields or {})},
        about=None if project else f"workitem:{item.id}",
    )


def _rule_fields(item: WorkItem) -> Iterator[tuple[str, Any]]:
    """Yield what rules may ask for; the process's own fields lose their prefix `Custom.`."""
    for word, name in _FIELDS.items():
        yield word, item.text(name)
    for word, name in _NUMBERS.items():
        yield word, item.hours(name)
    for name in sorted({*item.fields.names(), *(item.changed.names() if item.changed else ())}):
        held = item.holder(name) if name.startswith("Custom.") else None
        value = held[0].raw(held[1]) if held else None
        is_short = isinstance(value, str) and 0 < len(value) <= LONGEST_FIELD
        if is_short or isinstance(value, bool | int | Decimal):
            yield name.removeprefix("Custom."), value


def _hours(holder: Payload, name: str) -> Decimal:
    hours = holder.decimal(name)
    if not 0 <= hours <= MOST_HOURS:
        raise PayloadError(holder.path_of(name), f"must be between 0 and {MOST_HOURS}")
    # Microsoft writes 5 hours as 5.0 in one place and as 5 in another.
    return Decimal(f"{hours.normalize():f}")


def _stands_done(item: WorkItem) -> bool:
    """Return whether a work item is done where nothing tells what changed."""
    state = (item.text(STATE) or "").strip().lower()
    if state in DONE_NAMES:
        return True
    return item.holder(CLOSED_DATE) is not None and state not in OPEN_NAMES | DROPPED_NAMES


def _is_done(state: str | None) -> bool:
    return state is not None and state.strip().lower() in DONE_NAMES


def _moved(changed: Payload) -> str | None:
    """Return whether a change of state completed the work or opened it again.

    A body does not tell a state's category, so the names of Microsoft's processes decide; of a
    process with states of its own, that the change sets or clears the date of closing.
    """
    if not changed.has(STATE):
        return None
    state = changed[STATE]
    before, after = state.optional_text("oldValue"), state.optional_text("newValue")
    closed = changed.optional(CLOSED_DATE)
    was_set = closed is not None and closed.has("newValue")
    was_cleared = closed is not None and not closed.has("newValue") and closed.has("oldValue")
    is_dropped = after is not None and after.strip().lower() in DROPPED_NAMES
    is_done = _is_done(after) or (was_set and not is_dropped)
    was_done = _is_done(before) or was_cleared
    if is_done and not was_done:
        return "work.completed"
    return "work.reopened" if was_done and not is_done else None


def _why_nothing(changed: Payload) -> str:
    if changed.has(STATE):
        state = changed[STATE]
        before = state.optional_text("oldValue") or "no state"
        after = state.optional_text("newValue") or "no state"
        return f"the work item moved from {before:.60} to {after:.60}, which completes nothing"
    return "neither the state nor the completed work of the work item changed"


def _reading(events: list[Event], why_nothing: str) -> Reading:
    return Reading(events=tuple(events), ignored=None if events else why_nothing)
