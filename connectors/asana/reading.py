"""What Asana's API tells about a task, as a `Fact`, and when a time entry was made.

The same fields have the same names as in the source's own reader of a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ledger.events import Fact

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def task_fact(about: str, task: Mapping[str, Any]) -> Fact:
    """Return what a task tells about the time on it. Who is assigned need not have worked."""
    memberships = task.get("memberships") or ()
    projects = {
        project["gid"]: project["name"]
        for project in [
            *(membership["project"] for membership in memberships if membership.get("project")),
            *(task.get("projects") or ()),
        ]
    }
    sections = [
        membership["section"]["name"] for membership in memberships if membership.get("section")
    ]
    custom = [field for field in task.get("custom_fields") or () if field.get("display_value")]
    ids = [
        field["display_value"]
        for field in custom
        if (field.get("resource_subtype") or field.get("type")) == "custom_id"
    ]
    told = {
        "subtype": task.get("resource_subtype"),
        "project_gid": next(iter(projects), None),
        "projects": list(projects.values()) or None,
        "section": sections[0] if sections else None,
        **{f"custom_{field['gid']}": field["display_value"] for field in custom},
    }
    return Fact(
        about=about,
        version=milliseconds(datetime.fromisoformat(task["modified_at"])),
        project=next(iter(projects.values()), None),
        item=ids[0] if ids else task["gid"],
        title=task.get("name") or None,
        labels=tuple(tag["name"] for tag in task.get("tags") or ()),
        fields={name: value for name, value in told.items() if value is not None},
    )


def created_at(entry: Mapping[str, Any], *, otherwise: datetime) -> datetime:
    """Return when a time entry was made, or else the given moment if it does not say."""
    try:
        told = datetime.fromisoformat(entry["created_at"])
    except (KeyError, TypeError, ValueError):
        return otherwise
    return told if told.tzinfo else otherwise


def milliseconds(at: datetime) -> int:
    """Return an aware time in Unix milliseconds, exactly."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
