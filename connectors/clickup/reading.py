"""What ClickUp's API tells about a task or a time entry, as a `Fact`.

The same fields have the same names as in the source's own readers of these things.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ledger.events import Fact

MILESTONE: Final = 1
"""The task type that ClickUp itself calls a milestone."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def task_fact(about: str, task: Mapping[str, Any]) -> Fact:
    """Return what a task tells. The project is its folder, or its list if it is in no folder."""
    inside, folder = task.get("list") or {}, task.get("folder") or {}
    if folder.get("hidden"):
        folder = {}
    people = task.get("assignees") or []
    only = people[0] if len(people) == 1 else {}
    return Fact(
        about=about,
        version=int(task["date_updated"]),
        project=folder.get("name") or inside.get("name"),
        item=task.get("custom_id") or task["id"],
        title=task.get("name") or None,
        person=_id(only),
        person_name=only.get("username") or None,
        labels=_names(task.get("tags")),
        fields=_given(
            task_id=task["id"],
            status=(task.get("status") or {}).get("status"),
            milestone=True if task.get("custom_item_id") == MILESTONE else None,
            list_id=_id(inside),
            list=inside.get("name"),
            folder_id=_id(folder),
            folder=folder.get("name"),
            space_id=_id(task.get("space") or {}),
        ),
    )


def entry_fact(about: str, entry: Mapping[str, Any]) -> Fact:
    """Return what a time entry tells about itself, its task and where the task is."""
    told = entry.get("task")
    task = told if isinstance(told, Mapping) else {}
    place = dict(entry.get("task_location") or {})
    if place.get("folder_name") == "hidden":
        place.pop("folder_id", None)
        place.pop("folder_name")
    user = entry.get("user") or {}
    tags = _names(entry.get("task_tags"))
    return Fact(
        about=about,
        version=int(entry["at"]),
        project=place.get("folder_name") or place.get("list_name"),
        item=task.get("custom_id") or task.get("id"),
        title=task.get("name") or entry.get("description") or None,
        person=_id(user),
        person_name=user.get("username") or None,
        billable=entry.get("billable"),
        labels=(*tags, *(tag for tag in _names(entry.get("tags")) if tag not in tags)),
        fields=_given(
            entry_id=entry["id"],
            task_id=task.get("id"),
            description=entry.get("description") or None,
            **{
                word: str(place[name])
                for word, name in _PLACE.items()
                if place.get(name) is not None
            },
        ),
    )


def day_of(entry: Mapping[str, Any]) -> date:
    """Return the UTC date on which an entry begins; raise ValueError or KeyError without one."""
    return (_EPOCH + timedelta(milliseconds=int(entry.get("start") or entry["at"]))).date()


def changed_at(entry: Mapping[str, Any]) -> int | None:
    """Return when an entry was last changed in Unix milliseconds, None if it does not say."""
    told = str(entry.get("at"))
    return int(told) if told.isascii() and told.isdigit() else None


_PLACE: Final = {
    "list_id": "list_id",
    "list": "list_name",
    "folder_id": "folder_id",
    "folder": "folder_name",
    "space_id": "space_id",
    "space": "space_name",
}


def _id(thing: Mapping[str, Any]) -> str | None:
    return None if thing.get("id") is None else str(thing["id"])


def _names(tags: Any) -> tuple[str, ...]:
    return tuple(tag if isinstance(tag, str) else tag["name"] for tag in tags or ())


def _given(**told: Any) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
