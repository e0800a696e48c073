"""Jira's worklogs: entries with an id, and the older total of an issue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds, moment_of
from .told import KEY, changed_at, changes, in_zone, local_day, person, read_issue

MOST_SECONDS: Final = 2**31 - 1


def logged(payload: Payload, delivery: Delivery) -> Reading:
    """Read `worklog_created` and `worklog_updated`: the entry as it now stands."""
    worklog = payload["worklog"]
    started = worklog.moment("started")
    return _entry(worklog, delivery, changed_at(payload, worklog), started, started.date())


def found(worklog: Payload, delivery: Delivery) -> Reading:
    """Read an entry as the API tells it now; equal to what its webhook said.

    Webhooks of Cloud write times in the zone of the person who acts, the API in that of the
    account that asks, so the author's own zone gives the date. Data Center writes both in the
    zone of its server.
    """
    started = worklog.moment("started")
    author = worklog.optional("author")
    is_cloud = author is not None and author.has("accountId")
    zone = author.optional_text("timeZone") if author and is_cloud else None
    version = milliseconds(worklog.moment("updated"))
    return _entry(worklog, delivery, version, started, in_zone(started, zone).date())


def _entry(
    worklog: Payload, delivery: Delivery, version: int, started: datetime, on: date
) -> Reading:
    author = person(worklog.optional("author"))
    issue_id = worklog.identifier("issueId")
    event = Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"worklog:{worklog.identifier('id')}",
        version=version,
        occurred_at=started.astimezone(UTC),
        on=on,
        person=author.id,
        person_name=author.name,
        # `timeSpent` is no help: "1w" means five days of eight hours, or what the admin set.
        seconds=worklog.integer("timeSpentSeconds", least=0, most=MOST_SECONDS),
        fields=_fields(worklog, issue_id),
        about=f"issue:{issue_id}",
    )
    return Reading(events=(event,))


def removed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `worklog_deleted`, which still carries the entry; only its id must be there."""
    worklog = payload["worklog"]
    version = changed_at(payload, worklog)
    started = worklog.moment("started") if worklog.has("started") else moment_of(version)
    author = person(worklog.optional("author"))
    issue_id = worklog.identifier("issueId") if worklog.has("issueId") else None
    event = Event(
        kind="time.removed",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"worklog:{worklog.identifier('id')}",
        version=version,
        occurred_at=started.astimezone(UTC),
        on=started.date(),
        person=author.id,
        person_name=author.name,
        fields=_fields(worklog, issue_id) if issue_id else {},
        about=f"issue:{issue_id}" if issue_id else None,
    )
    return Reading(events=(event,))


def total(payload: Payload, delivery: Delivery) -> Reading:
    """Read Data Center's older `jira:worklog_updated`: no entry, but the issue's new total.

    A deletion names the entry, which is told as removed before the total.
    """
    issue = read_issue(payload["issue"])
    version = changed_at(payload, payload["issue"].optional("fields"))
    changed = changes(payload)
    actor = person(payload.optional("user"))
    time_spent = changed.get("timespent")
    now = Event(
        kind="time.total",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"issue-time:{issue.id}",
        version=version,
        occurred_at=moment_of(version),
        on=local_day(payload.optional("user"), version),
        project=issue.project,
        item=issue.key,
        title=issue.title,
        person=actor.id,
        person_name=actor.name,
        seconds=_seconds(time_spent, "to") if time_spent else None,
        seconds_before=_seconds(time_spent, "from") if time_spent else None,
        labels=issue.labels,
        fields=issue.fields,
        about=issue.about,
    )
    events = (now,) if time_spent else ()
    entry = changed.get("worklogid")
    if entry is not None and entry.has("from") and not entry.has("to"):
        subject = f"worklog:{entry.identifier('from')}"
        gone = replace(now, kind="time.removed", subject=subject, seconds=None, seconds_before=None)
        events = (gone, *events)
    ignored = None if events else "a worklog changed, but not the time that was spent"
    return Reading(events=events, facts=issue.facts(version), ignored=ignored)


def _seconds(time_spent: Payload, name: str) -> int:
    """Return the total of a changelog item, `from` or `to`; without any worklog it is null."""
    if not time_spent.has(name):
        return 0
    seconds = time_spent.integer_text(name)
    if seconds > MOST_SECONDS:
        raise PayloadError(time_spent.path_of(name), f"must be at most {MOST_SECONDS}")
    return seconds


def _fields(worklog: Payload, issue_id: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"issue_id": issue_id}
    comment = _plain_text(worklog.raw("comment")).strip()
    if comment:
        fields["comment"] = comment
    return fields


def _plain_text(comment: object) -> str:
    """Return a comment without its form: plain text, or a document in Atlassian's format.

    https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
    """
    if isinstance(comment, str):
        return comment
    if isinstance(comment, list):
        return "".join(_plain_text(node) for node in comment)
    if not isinstance(comment, dict):
        return ""
    attributes = comment.get("attrs")
    text = comment.get("text")
    if not isinstance(text, str):
        # Mentions, emoji and status marks keep what they show in their attributes.
        text = attributes.get("text") if isinstance(attributes, dict) else None
    ending = "\n" if comment.get("type") in ("paragraph", "heading", "hardBreak") else ""
    return (text if isinstance(text, str) else "") + _plain_text(comment.get("content")) + ending
