"""What Trello's actions say. Its moments are UTC, so the date that counts is the UTC date.

https://developer.atlassian.com/cloud/trello/guides/rest-api/action-types/
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "trello"
_DONE: Final = re.compile(
    r"\W*(done|completed?|finished|erledigt|fertig|abgeschlossen|terminée?s?|hecho|terminado"
    r"|concluído|feito|fatto|completato|klaar|gereed|gotowe|完了|完成)[^\w?]*",
    re.IGNORECASE,
)
"""The whole name of a list, but for signs and emoji around it: "✅ Done"."""


def created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `createCard`: completed work if it was put into a list of done ones."""
    data = payload["action"]["data"]
    if is_done(_list_name(data, "list")):
        return _moved("work.completed", payload, delivery, "list")
    return Reading(ignored="the card was created: no work is done yet")


def updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `updateCard`: marked complete or not, or moved to or from a list of done ones.

    `old` has what was before of all that changed.
    """
    data = payload["action"]["data"]
    old, card = data["old"], data["card"]
    if "dueComplete" in old.names():
        was = old.has("dueComplete") and old.boolean("dueComplete")
        now = card.boolean("dueComplete")
        if was != now:
            kind = "work.completed" if now else "work.reopened"
            return _moved(kind, payload, delivery, "list")
    if old.has("idList") or data.has("listAfter"):
        before, after = data["listBefore"].text("name"), data["listAfter"].text("name")
        if is_done(before) != is_done(after):
            kind = "work.completed" if is_done(after) else "work.reopened"
            return _moved(kind, payload, delivery, "listAfter")
        return Reading(ignored=f"the card moved from {before:.60} to {after:.60}: not done by that")
    if old.has("closed"):
        return Reading(ignored="a card that is archived or taken out again is not done by that")
    changed = ", ".join(sorted(old.names())) or "nothing"
    return Reading(ignored=f"only {changed:.120} of the card changed")


def is_done(name: str | None) -> bool:
    """Return whether a list holds what is done, by its name.

    >>> is_done("✅ Done"), is_done("Done?"), is_done("To be done"), is_done(None)
    (True, False, False, False)
    """
    return name is not None and _DONE.fullmatch(name) is not None


def _list_name(data: Payload, name: str) -> str | None:
    of_card = data.optional(name)
    return of_card.text("name") if of_card else None


def _moved(kind: str, payload: Payload, delivery: Delivery, list_name: str) -> Reading:
    action = payload["action"]
    data = action["data"]
    card = data["card"]
    number = card.integer("idShort", least=1) if card.has("idShort") else None
    at = action.moment("date").astimezone(UTC)
    event = Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"card:{card.identifier('id')}",
        version=milliseconds(at),
        occurred_at=at,
        on=at.date(),
        project=data["board"].text("name"),
        item=f"#{number}" if number else None,
        title=card.optional_text("name"),
        fields={
            "number": number,
            "short_link": card.optional_text("shortLink"),
            "board_id": data["board"].identifier("id"),
            "list": _list_name(data, list_name),
        },
    )
    return Reading(events=(event,))
