"""What several kinds of Jira bodies have in common: when, who, and which issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.events import Fact

from ..payload import Payload, milliseconds, moment_of

KEY: Final = "jira"
LONGEST_FIELD: Final = 255
"""Jira's one-line texts end here; longer ones are prose or an app's internal state."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in Jira: Cloud knows an account id, Data Center a key or a name."""

    id: str | None
    name: str | None


NOBODY: Final = Person(None, None)


def person(user: Payload | None) -> Person:
    """Return who a user object is; every part of it may be missing."""
    if user is None:
        return NOBODY
    account = next((user.text(key) for key in ("accountId", "key", "name") if user.has(key)), None)
    return Person(account or None, user.optional_text("displayName"))


def changed_at(payload: Payload, otherwise: Payload | None = None) -> int:
    """Return when the body says that it happened, in Unix milliseconds.

    Where the top has no `timestamp`, `updated` of the object that it is about is used.
    """
    if otherwise is not None and not payload.has("timestamp") and otherwise.has("updated"):
        return milliseconds(otherwise.moment("updated"))
    return payload.unix_milliseconds("timestamp")


def local_day(user: Payload | None, version: int) -> date:
    """Return the date of the change where the acting user lives, in UTC if Jira does not say."""
    zone = user.optional_text("timeZone") if user else None
    return in_zone(moment_of(version), zone).date()


def in_zone(moment: datetime, zone: str | None) -> datetime:
    if zone is None:
        return moment
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (ValueError, OSError, KeyError):
        # A zone that this machine does not know; UTC is at most one date off.
        return moment


@dataclass(frozen=True, slots=True)
class Issue:
    """The issue in a body, with what rules may ask about it."""

    id: str
    key: str
    project: str
    title: str | None
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    status: str | None
    category: str | None
    """`new`, `indeterminate` or `done`; None on servers that know no status categories."""
    is_resolved: bool
    assignee: Person
    project_id: str | None

    @property
    def about(self) -> str:
        """Return the name under which this issue is remembered."""
        return f"issue:{self.id}"

    def facts(self, version: int) -> tuple[Fact, ...]:
        """Return what this delivery tells about the issue and its project."""
        issue = Fact(
            about=self.about,
            version=version,
            project=self.project,
            item=self.key,
            title=self.title,
            labels=self.labels,
            fields=self.fields,
        )
        if self.project_id is None:
            return (issue,)
        return (
            issue,
            Fact(about=f"project:{self.project_id}", version=version, project=self.project),
        )


def read_issue(issue: Payload) -> Issue:
    """Return an issue; only its id and key must be there."""
    key = issue.text("key")
    fields = issue.optional("fields") or Payload({}, issue.path_of("fields"))
    project = fields.optional("project")
    status = fields.optional("status")
    category = status.optional("statusCategory") if status else None
    return Issue(
        id=issue.identifier("id"),
        key=key,
        project=(project.optional_text("key") if project else None) or key.rpartition("-")[0],
        title=fields.optional_text("summary"),
        labels=fields.texts("labels"),
        fields=_rule_fields(fields),
        status=status.optional_text("name") if status else None,
        category=category.optional_text("key") if category else None,
        is_resolved=fields.has("resolution"),
        assignee=person(fields.optional("assignee")),
        project_id=project.identifier("id") if project and project.has("id") else None,
    )


def _rule_fields(fields: Payload) -> dict[str, Any]:
    told: dict[str, Any] = {}
    issue_type = fields.optional("issuetype")
    if issue_type is not None and issue_type.has("name"):
        told["issue_type"] = issue_type.text("name")
    if fields.has("fixVersions"):
        told["fix_versions"] = [version.text("name") for version in fields.items("fixVersions")]
    for name in fields.names():
        if name.startswith("customfield_"):
            value = _plain(fields.raw(name))
            if value is not None and value != []:
                told[name] = value
    return told


def _plain(value: object) -> object:
    """Return a custom field as rules can compare it, None if it is of no use to them.

    Options are objects with a `value`, users, versions and sprints with a `name`.
    """
    if isinstance(value, dict):
        value = value.get("value", value.get("name"))
        return None if isinstance(value, dict | list) else _plain(value)
    if isinstance(value, list):
        elements = [_plain(element) for element in value if not isinstance(element, list)]
        return [element for element in elements if element is not None]
    if isinstance(value, str) and not 0 < len(value) <= LONGEST_FIELD:
        return None
    return value


def changes(payload: Payload) -> dict[str, Payload]:
    """Return the changelog's items by the lower-case name of the system field that changed.

    Custom fields are left out: one of them may be called "Status" too.
    """
    changelog = payload.optional("changelog")
    return {} if changelog is None else items_of(changelog)


def items_of(change: Payload) -> dict[str, Payload]:
    """Return the items of one change, as `changes` does."""
    if not change.has("items"):
        return {}
    return {
        (item.optional_text("fieldId") or item.text("field")).lower(): item
        for item in change.items("items")
        if item.optional_text("fieldtype") != "custom"
    }
