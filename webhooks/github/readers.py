"""What GitHub's bodies say. Its moments are UTC, so the date that counts is the UTC date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "github"


def milestone_closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `milestone.closed`."""
    milestone = payload["milestone"]
    at = milestone.moment("closed_at")
    return _milestone("milestone.completed", payload, delivery, at)


def milestone_reopened(payload: Payload, delivery: Delivery) -> Reading:
    """Read `milestone.opened`, which despite its name is sent when a closed one is reopened."""
    at = payload["milestone"].moment("updated_at")
    return _milestone("milestone.reopened", payload, delivery, at)


def found_milestone(payload: Payload, delivery: Delivery) -> Reading:
    """Read a milestone as `GET /repos/{owner}/{repo}/milestones` tells it."""
    is_closed = payload["milestone"].text("state") == "closed"
    return (milestone_closed if is_closed else milestone_reopened)(payload, delivery)


def _milestone(kind: str, payload: Payload, delivery: Delivery, at: datetime) -> Reading:
    milestone = payload["milestone"]
    return _one(
        Event(
            kind=kind,
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"milestone:{milestone.identifier('id')}",
            version=milliseconds(milestone.moment("updated_at")),
            occurred_at=at.astimezone(UTC),
            on=at.astimezone(UTC).date(),
            project=_project(payload),
            title=milestone.text("title"),
            fields={"number": milestone.integer("number")},
        )
    )


def issue_closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issues.closed`: completed, unless it was closed for another reason.

    Servers that know no reasons (before 2022) leave it out; there closed means completed.
    """
    issue = payload["issue"]
    reason = issue.optional_text("state_reason") or "completed"
    if reason != "completed":
        words = reason.replace("_", " ")
        return Reading(ignored=f"the issue was closed as {words:.60}: no work was completed")
    return _issue("work.completed", payload, delivery, issue.moment("closed_at"))


def issue_reopened(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issues.reopened`."""
    return _issue("work.reopened", payload, delivery, payload["issue"].moment("updated_at"))


def found_issue(payload: Payload, delivery: Delivery) -> Reading:
    """Read an issue as `GET /repos/{owner}/{repo}/issues` tells it.

    One that was closed for another reason takes back that it was completed, if it ever was.
    """
    if payload["issue"].text("state") == "closed":
        reading = issue_closed(payload, delivery)
        if reading.events:
            return reading
    return issue_reopened(payload, delivery)


def _issue(kind: str, payload: Payload, delivery: Delivery, at: datetime) -> Reading:
    issue = payload["issue"]
    number = issue.integer("number")
    milestone = issue.optional("milestone")
    assignee = issue.optional("assignee")
    labels = issue.items("labels") if issue.has("labels") else ()
    return _one(
        Event(
            kind=kind,
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"issue:{issue.identifier('id')}",
            version=milliseconds(issue.moment("updated_at")),
            occurred_at=at.astimezone(UTC),
            on=at.astimezone(UTC).date(),
            project=_project(payload),
            item=f"#{number}",
            title=issue.text("title"),
            person=assignee.optional_text("login") if assignee else None,
            labels=tuple(label.text("name") for label in labels),
            fields={
                "number": number,
                "milestone": milestone.text("title") if milestone else None,
            },
        )
    )


def release_published(payload: Payload, delivery: Delivery) -> Reading:
    """Read `release.published`. GitHub tells one release up to three times; this one counts."""
    release = payload["release"]
    if release.has("draft") and release.boolean("draft"):
        return Reading(ignored="the release is a draft: it counts when it is published")
    at = release.moment("published_at").astimezone(UTC)
    tag = release.text("tag_name")
    is_prerelease = release.has("prerelease") and release.boolean("prerelease")
    return _one(
        Event(
            kind="release.published",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"release:{release.identifier('id')}",
            version=milliseconds(at),
            occurred_at=at,
            on=at.date(),
            project=_project(payload),
            title=release.optional_text("name") or tag,
            fields={"tag": tag, "prerelease": is_prerelease},
        )
    )


def deployment_status(payload: Payload, delivery: Delivery) -> Reading:
    """Read `deployment_status.created`: only the state `success` counts."""
    status = payload["deployment_status"]
    deployment = payload["deployment"]
    state = status.text("state")
    if state != "success":
        return Reading(ignored=f"the deployment's state is {state:.60}: it counts when it succeeds")
    environment = status.optional_text("environment") or deployment.text("environment")
    at = status.moment("created_at").astimezone(UTC)
    return _one(
        Event(
            kind="deployment.succeeded",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"deployment:{deployment.identifier('id')}",
            version=milliseconds(at),
            occurred_at=at,
            on=at.date(),
            project=_project(payload),
            title=environment,
            fields={
                "environment": environment,
                "sha": deployment.optional_text("sha"),
                "ref": deployment.optional_text("ref"),
            },
        )
    )


def _project(payload: Payload) -> str:
    return payload["repository"].text("full_name")


def _one(event: Event) -> Reading:
    return Reading(events=(event,))
