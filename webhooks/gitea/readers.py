"""What Gitea's and Forgejo's bodies say, their webhooks' and their API's, which have one shape.

Their moments are written in the server's own time zone, so the date that counts is the server's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "gitea"
MOST_SECONDS: Final = 2**31 - 1


def issue_closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issues.closed`."""
    issue = payload["issue"]
    # Gitea before 1.5 does not say when; closing is a change.
    closed_at = issue.moment("closed_at" if issue.has("closed_at") else "updated_at")
    return _issue("work.completed", payload, delivery, closed_at)


def issue_reopened(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issues.reopened`."""
    return _issue("work.reopened", payload, delivery, payload["issue"].moment("updated_at"))


def found_issue(payload: Payload, delivery: Delivery) -> Reading:
    """Read an issue as `GET /repos/{owner}/{repo}/issues` tells it."""
    is_closed = payload["issue"].text("state") == "closed"
    return (issue_closed if is_closed else issue_reopened)(payload, delivery)


def found_milestone(payload: Payload, delivery: Delivery) -> Reading:
    """Read a milestone, which no webhook tells when it is closed."""
    milestone = payload["milestone"]
    is_closed = milestone.text("state") == "closed"
    changed_at = milestone.moment("updated_at")
    at = milestone.moment("closed_at") if is_closed else changed_at
    return _one(
        Event(
            kind="milestone.completed" if is_closed else "milestone.reopened",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"milestone:{milestone.identifier('id')}",
            version=milliseconds(changed_at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            title=milestone.text("title"),
        )
    )


def found_time(payload: Payload, delivery: Delivery) -> Reading:
    """Read a tracked time, as `GET /repos/{owner}/{repo}/times` tells it. It never changes."""
    time, issue = payload["time"], payload["time"]["issue"]
    at = time.moment("created")
    return _one(
        Event(
            kind="time.logged",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"time:{time.identifier('id')}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            item=f"#{issue.integer('number')}",
            title=issue.text("title"),
            person=time.optional_text("user_name"),
            seconds=time.integer("time", least=0, most=MOST_SECONDS),
            labels=_labels(issue),
            fields=_fields(issue),
        )
    )


def release_published(payload: Payload, delivery: Delivery) -> Reading:
    """Read `release.published`."""
    release = payload["release"]
    if release.has("draft") and release.boolean("draft"):
        return Reading(ignored="the release is a draft: it counts when it is published")
    at, tag = release.moment("published_at"), release.text("tag_name")
    return _one(
        Event(
            kind="release.published",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"release:{release.identifier('id')}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            title=release.optional_text("name") or tag,
            fields={
                "tag": tag,
                "prerelease": release.has("prerelease") and release.boolean("prerelease"),
            },
        )
    )


def _issue(kind: str, payload: Payload, delivery: Delivery, at: datetime) -> Reading:
    issue = payload["issue"]
    assignee = issue.optional("assignee")
    return _one(
        Event(
            kind=kind,
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"issue:{issue.identifier('id')}",
            version=milliseconds(issue.moment("updated_at")),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            item=f"#{issue.integer('number')}",
            title=issue.text("title"),
            person=assignee.optional_text("login") if assignee else None,
            person_name=assignee.optional_text("full_name") if assignee else None,
            labels=_labels(issue),
            fields=_fields(issue),
        )
    )


def _fields(issue: Payload) -> dict[str, Any]:
    milestone = issue.optional("milestone")
    return {
        "number": issue.integer("number"),
        "milestone": milestone.text("title") if milestone else None,
    }


def _labels(issue: Payload) -> tuple[str, ...]:
    if not issue.has("labels"):
        return ()
    return tuple(sorted(label.text("name") for label in issue.items("labels")))


def _project(payload: Payload) -> str:
    return payload["repository"].text("full_name")


def _one(event: Event) -> Reading:
    return Reading(events=(event,))
