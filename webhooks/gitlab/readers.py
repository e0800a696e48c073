"""What GitLab's bodies say, its webhooks' and its API's, which tell the same things in two shapes.

Webhooks write moments to the second, the API to the millisecond; all are cut to the second here, so
that a missed webhook and what the poll finds instead give equal events.
https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "gitlab"
MOST_SECONDS: Final = 2**31 - 1
DUPLICATE: Final = "the issue was closed as a duplicate: no work was completed"
_GROUP: Final = re.compile(r"https?://[^/]+/(?:[^?#]*?/)?groups/(?P<path>[^?#]+?)/-/")
MOVED: Final = "the issue goes on in another project, which tells about it"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue or another work item, however it was told."""

    id: str
    number: int
    title: str
    project: str | None
    updated_at: datetime
    closed_at: datetime
    """When it was closed; when it changed where GitLab does not say it."""
    person: str | None
    person_name: str | None
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    not_done: str | None
    """Why its being closed completes no work, None if it does."""

    def event(self, kind: str, delivery: Delivery) -> Event:
        """Return that it was completed or opened again."""
        at = self.closed_at if kind == "work.completed" else self.updated_at
        return Event(
            kind=kind,
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"issue:{self.id}",
            version=milliseconds(self.updated_at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=self.project,
            item=f"#{self.number}",
            title=self.title,
            person=self.person,
            person_name=self.person_name,
            labels=self.labels,
            fields=self.fields,
        )

    def time(
        self,
        seconds: tuple[int | None, int],
        user: Payload | None,
        at: datetime,
        delivery: Delivery,
    ) -> Event:
        """Return how much time it had before and has by now, and who changed that last."""
        return Event(
            kind="time.total",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"issue-time:{self.id}",
            version=milliseconds(self.updated_at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=self.project,
            item=f"#{self.number}",
            title=self.title,
            person=user.optional_text("username") if user else None,
            person_name=user.optional_text("name") if user else None,
            seconds=seconds[1],
            seconds_before=seconds[0],
            labels=self.labels,
            fields=self.fields,
        )


def issue(payload: Payload, delivery: Delivery) -> Reading:
    """Read a webhook about an issue or a work item: closed, reopened, its time changed, or none.

    One delivery may say both that it was closed and that time was spent (`/spend 1h` beside
    `/close`). A body without an action is no report of anything: GitLab's test button sends it.
    """
    told = payload["object_attributes"]
    issue = _issue_told(payload, told)
    action = told.text("action")
    events: list[Event] = []
    ignored = "the issue changed, but was neither closed nor reopened, and its time is as it was"
    if action == "close":
        if issue.not_done is None:
            events.append(issue.event("work.completed", delivery))
        else:
            ignored = issue.not_done
    if action == "reopen":
        events.append(issue.event("work.reopened", delivery))
    if (seconds := _new_total(payload, told)) is not None:
        events.append(issue.time(seconds, payload.optional("user"), issue.updated_at, delivery))
    return Reading(events=tuple(events), ignored=None if events else ignored)


def found_issue(payload: Payload, delivery: Delivery) -> Reading:
    """Read an issue as `GET /projects/:id/issues` tells it.

    One that was moved or is a duplicate takes back that it was completed, if it ever was. Time
    above zero is told as a thing of its own (`found_time`), because this answer does not say who
    spent it and when. No time at all takes back what was told before.
    https://docs.gitlab.com/api/issues/
    """
    told = payload["issue"]
    issue = _issue_found(payload, told)
    is_done = told.text("state") == "closed" and issue.not_done is None
    events = [issue.event("work.completed" if is_done else "work.reopened", delivery)]
    if told["time_stats"].integer("total_time_spent", least=0) == 0:
        events.append(
            Event(
                kind="time.removed",
                source=KEY,
                endpoint=delivery.endpoint,
                subject=f"issue-time:{issue.id}",
                version=milliseconds(issue.updated_at),
                occurred_at=issue.updated_at.astimezone(UTC),
                on=issue.updated_at.date(),
            )
        )
    return Reading(events=tuple(events))


def found_time(payload: Payload, delivery: Delivery) -> Reading:
    """Read an issue's total with the newest of its time logs, which says who and when.

    `spentAt` has the date that was meant: `/spend 1h 2026-03-04`.
    """
    issue = _issue_found(payload, payload["issue"])
    newest = payload["timelog"]
    now = payload.integer("totalTimeSpent", least=0, most=MOST_SECONDS)
    added = newest.integer("timeSpent") if newest.has("timeSpent") else None
    seconds = (None if added is None else max(now - added, 0), now)
    at = newest.moment("spentAt").replace(microsecond=0)
    return _one(issue.time(seconds, newest.optional("user"), at, delivery))


def milestone(payload: Payload, delivery: Delivery) -> Reading:
    """Read `milestone.close` and `milestone.reopen`. GitLab does not say when it was closed."""
    is_closed = action_of(payload) == "close"
    return _milestone(payload, payload["object_attributes"], delivery, is_closed=is_closed)


def found_milestone(payload: Payload, delivery: Delivery) -> Reading:
    """Read a milestone as `GET /projects/:id/milestones` tells it."""
    told = payload["milestone"]
    return _milestone(payload, told, delivery, is_closed=told.text("state") == "closed")


def _milestone(payload: Payload, told: Payload, delivery: Delivery, *, is_closed: bool) -> Reading:
    at = moment(told, "updated_at")
    return _one(
        Event(
            kind="milestone.completed" if is_closed else "milestone.reopened",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"milestone:{told.identifier('id')}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            title=told.text("title"),
            fields={
                "number": told.integer("iid"),
                "due_date": told.day("due_date").isoformat() if told.has("due_date") else None,
            },
        )
    )


def release(payload: Payload, delivery: Delivery) -> Reading:
    """Read `release.create`."""
    return _release(payload, payload, "tag", delivery)


def found_release(payload: Payload, delivery: Delivery) -> Reading:
    """Read a release as `GET /projects/:id/releases` tells it: without the webhook's id."""
    return _release(payload, payload["release"], "tag_name", delivery)


def _release(payload: Payload, told: Payload, tag_name: str, delivery: Delivery) -> Reading:
    at, tag = moment(told, "released_at"), told.text(tag_name)
    return _one(
        Event(
            kind="release.published",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"release:{payload['project'].identifier('id')}:{tag}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            title=told.optional_text("name") or tag,
            fields={"tag": tag},
        )
    )


def deployment(payload: Payload, delivery: Delivery) -> Reading:
    """Read `deployment`: only the status `success` counts."""
    status = payload.text("status")
    if status != "success":
        reason = f"the deployment's status is {status:.60}: it counts when it succeeds"
        return Reading(ignored=reason)
    at = moment(payload, "status_changed_at")
    environment = payload.text("environment")
    user = payload.optional("user")
    return _one(
        Event(
            kind="deployment.succeeded",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"deployment:{payload.identifier('deployment_id')}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.date(),
            project=_project(payload),
            title=environment,
            person=user.optional_text("username") if user else None,
            person_name=user.optional_text("name") if user else None,
            fields={
                "environment": environment,
                "tier": payload.optional_text("environment_tier"),
                "sha": payload.optional_text("short_sha"),
                "ref": payload.optional_text("ref"),
            },
        )
    )


def action_of(payload: Payload) -> str | None:
    """Return what was done: a milestone says it at the top, an issue in its attributes."""
    if payload.has("action"):
        return payload.text("action")
    told = payload.optional("object_attributes")
    return told.optional_text("action") if told else None


def moment(told: Payload, name: str) -> datetime:
    """Return a moment cut to the second, in its own offset.

    GitLab writes RFC 3339, `2026-03-04 12:30:00 UTC` and `2026-03-04 14:30:00 +0200`.
    """
    text = told.text(name)
    if text[10:11] == " " and len(text) <= 40:
        day, _, rest = text.partition(" ")
        text = f"{day}T{rest.replace(' UTC', 'Z').replace(' ', '')}"
        # Read once more through the same checks, under the same name.
        told = _renamed(told, name, text)
    return told.moment(name).replace(microsecond=0)


def _renamed(told: Payload, name: str, text: str) -> Payload:
    return Payload({name: text}, told.path_of(name).removesuffix(name).removesuffix("."))


def _issue_told(payload: Payload, told: Payload) -> Issue:
    updated_at = moment(told, "updated_at")
    labels = payload if payload.has("labels") else told
    not_done = DUPLICATE if told.has("duplicated_to_id") else None
    return Issue(
        id=told.identifier("id"),
        number=told.integer("iid"),
        title=told.text("title"),
        project=_project(payload) or _group_in(told),
        updated_at=updated_at,
        closed_at=moment(told, "closed_at") if told.has("closed_at") else updated_at,
        person=_assignee(payload, "username"),
        person_name=_assignee(payload, "name"),
        labels=_titles(labels),
        fields=_fields(told, "type"),
        not_done=MOVED if told.has("moved_to_id") else not_done,
    )


def _issue_found(payload: Payload, told: Payload) -> Issue:
    updated_at = moment(told, "updated_at")
    links = told.optional("_links")
    is_duplicate = links is not None and links.has("closed_as_duplicate_of")
    not_done = DUPLICATE if is_duplicate else None
    return Issue(
        id=told.identifier("id"),
        number=told.integer("iid"),
        title=told.text("title"),
        project=_project(payload),
        updated_at=updated_at,
        closed_at=moment(told, "closed_at") if told.has("closed_at") else updated_at,
        person=_assignee(told, "username"),
        person_name=_assignee(told, "name"),
        labels=tuple(sorted(told.texts("labels"))),
        fields=_fields(told, "issue_type"),
        not_done=MOVED if told.has("moved_to_id") else not_done,
    )


def _fields(told: Payload, type_name: str) -> dict[str, Any]:
    milestone = told.optional("milestone")
    named = milestone.identifier("id") if milestone else None
    if milestone is None and told.has("milestone_id"):
        named = told.identifier("milestone_id")
    kind = told.optional_text(type_name)
    return {
        "number": told.integer("iid"),
        "milestone_id": named,
        "type": kind.lower().replace(" ", "_") if kind else None,
    }


def _titles(told: Payload) -> tuple[str, ...]:
    """Return the labels' names; webhooks and API have them in different orders."""
    if not told.has("labels"):
        return ()
    return tuple(sorted(label.text("title") for label in told.items("labels")))


def _assignee(told: Payload, name: str) -> str | None:
    """Return the first assignee's `username` or `name`."""
    if told.has("assignees"):
        first = next(told.items("assignees"), None)
    else:
        first = told.optional("assignee")
    return first.optional_text(name) if first else None


def _new_total(payload: Payload, told: Payload) -> tuple[int | None, int] | None:
    """Return the total before (None: not said) and after, None if it is about no change of it.

    `changes.total_time_spent` says so, or `time_change`, which is what was added just now.
    """
    changes = payload.optional("changes")
    changed = changes.optional("total_time_spent") if changes else None
    was_changed = told.has("time_change") and told.integer("time_change") != 0
    if changed is not None and changed.has("current"):
        before = (
            changed.integer("previous", least=0, most=MOST_SECONDS)
            if changed.has("previous")
            else 0
        )
        now = changed.integer("current", least=0, most=MOST_SECONDS)
        # Servers of 2018 tell a change from null to 0 with whatever happens to the issue.
        is_told = bool(now) or changed.has("previous") or was_changed
        return (before, now) if is_told else None
    if changed is None and not was_changed:
        return None
    now = told.integer("total_time_spent", least=0, most=MOST_SECONDS)
    added = told.integer("time_change") if told.has("time_change") else None
    return (None if added is None else max(now - added, 0)), now


def _project(payload: Payload) -> str | None:
    """Return the project's path; that of the group for what belongs to a whole group."""
    project = payload.optional("project")
    if project is not None:
        # Servers before 8.5 know no path.
        return project.optional_text("path_with_namespace")
    group = payload.optional("group")
    return None if group is None else _path_of(group)


def _group_in(told: Payload) -> str | None:
    """Return the group's path from the address of an epic, whose body names it nowhere else."""
    match = _GROUP.match((told.optional_text("url") or "")[:2000])
    return match["path"] if match else None


def _path_of(group: Payload) -> str | None:
    return group.optional_text("full_path") or group.optional_text("group_path")


def _one(event: Event) -> Reading:
    return Reading(events=(event,))
