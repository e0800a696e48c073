"""What monday.com's bodies say. The date that counts is the UTC date.

https://support.monday.com/hc/en-us/articles/360003540679-Webhook-integration
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds, moment_of

KEY: Final = "monday"
MOST_SECONDS: Final = 2**31 - 1
_MOST_UNIX: Final = 253_370_764_800
_STATUS: Final = ("color", "status")
"""A status column; `color` is its older name, which webhooks still use."""
_TIME: Final = ("duration", "time_tracking")
"""A time tracking column; `duration` as `color` is the name that its activity log has."""
_DONE: Final = "done"
"""The label that monday.com gives to a new board for what is done."""


def column_changed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `update_column_value`: a status that is done now or no longer, or tracked time."""
    event = payload["event"]
    kind = event.text("columnType")
    if kind in _STATUS:
        return _status(event, delivery)
    if kind in _TIME:
        return _time(event, delivery)
    title = event.optional_text("columnTitle") or event.text("columnId")
    return Reading(ignored=f"the column {title:.60} is neither a status nor tracked time")


def _status(event: Payload, delivery: Delivery) -> Reading:
    before, after = _label(event, "previousValue"), _label(event, "value")
    is_done = _is_done(after)
    # Of the label before, some bodies do not say it, nor do words where the board has words of its
    # own; opening again what was never completed changes nothing.
    was_done: bool | None = _is_done(before)
    if before is not None and not before.has("is_done") and _says(after):
        was_done = None
    if was_done == is_done:
        words = _text_of(after) or "nothing"
        still = "was done before and still is" if is_done else "is not done by that"
        return Reading(ignored=f"the status is {words:.60} now: the item {still}")
    done = _event("work.completed" if is_done else "work.reopened", event, delivery, after)
    return Reading(events=(done,))


def _is_done(label: Payload | None) -> bool:
    """Return whether a label is a done one: as it says or, in bodies of 2019 to 2021, by its word.

    Those have no `is_done`; what the board's owner set for a label of another name is not told.
    """
    if label is None:
        return False
    if _says(label):
        return label.boolean("is_done")
    return (_text_of(label) or "").strip().lower() == _DONE


def _says(label: Payload | None) -> bool:
    return label is not None and label.has("is_done")


def _label(event: Payload, name: str) -> Payload | None:
    value = event.optional(name)
    return value.optional("label") if value else None


def _text_of(label: Payload | None) -> str | None:
    return label.optional_text("text") if label else None


def _time(event: Payload, delivery: Delivery) -> Reading:
    value = event.optional("value")
    if value is not None and value.has("running") and _is_true(value, "running"):
        return Reading(ignored="the timer is running: its time counts when it is stopped")
    has_time = value is not None and value.has("duration")
    seconds = value.integer("duration", least=0, most=MOST_SECONDS) if value and has_time else 0
    earlier = event.optional("previousValue")
    before = (
        earlier.integer("duration", least=0, most=MOST_SECONDS)
        if earlier is not None and earlier.has("duration")
        else 0
    )
    total = _event("time.total", event, delivery, None, seconds=seconds)
    return Reading(events=(replace(total, seconds_before=before),))


def _is_true(value: Payload, name: str) -> bool:
    """Return a flag that is written as true or as the text "true"."""
    told = value.raw(name)
    if told in ("true", "false"):
        return told == "true"
    return value.boolean(name)


def _changed_at(event: Payload) -> datetime:
    """Return `changedAt`, Unix seconds with a fraction, exactly to the millisecond."""
    if not event.has("changedAt"):
        return event.moment("triggerTime")
    seconds = event.decimal("changedAt")
    if not 0 <= seconds <= _MOST_UNIX:
        raise PayloadError(event.path_of("changedAt"), "must be a moment in Unix seconds")
    return moment_of(int(seconds * 1000))


def _event(
    kind: str,
    event: Payload,
    delivery: Delivery,
    label: Payload | None,
    *,
    seconds: int | None = None,
) -> Event:
    item, column = event.identifier("pulseId"), event.text("columnId")
    version = milliseconds(_changed_at(event))
    board = "parentItemBoardId" if event.has("parentItemBoardId") else "boardId"
    fields: dict[str, Any] = {
        "board_id": event.identifier(board),
        "group_id": event.optional_text("groupId"),
        "column_id": column,
        "column": event.optional_text("columnTitle"),
        "status": _text_of(label),
        "parent_item_id": event.identifier("parentItemId") if event.has("parentItemId") else None,
    }
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"item:{item}" if seconds is None else f"item-time:{item}:{column}",
        version=version,
        occurred_at=moment_of(version),
        on=moment_of(version).date(),
        project=event.identifier(board),
        title=event.optional_text("pulseName"),
        seconds=seconds,
        fields=fields,
    )
