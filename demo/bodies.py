"""What Jira, GitHub and a script would post: bodies in their formats, invented contents.

Only fields that their documentation names, and those that a reader could stumble over.
https://developer.atlassian.com/cloud/jira/platform/webhooks/
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from .agency import PROJECTS, Issue, Person

Body = dict[str, Any]

TEA: Final = "sakura/booking"
GUIDE: Final = "brightwater/guide"
REPOSITORY_IDS: Final = {TEA: 710001, GUIDE: 710002}


def milliseconds(at: datetime) -> int:
    """Return a moment in Unix milliseconds."""
    return round(at.timestamp()) * 1000


def worklog(
    what: str,
    at: datetime,
    *,
    number: int,
    issue: Issue,
    person: Person,
    seconds: int,
    started: datetime,
) -> Body:
    """Return Jira's body of `worklog_created`, `worklog_updated` or `worklog_deleted`."""
    author = _jira_user(person, issue.endpoint)
    return {
        "timestamp": milliseconds(at),
        "webhookEvent": what,
        "worklog": {
            "id": str(number),
            "issueId": str(issue.number),
            "author": author,
            "updateAuthor": author,
            "comment": "",
            "created": jira_time(started),
            "updated": jira_time(at),
            "started": jira_time(started),
            "timeSpent": f"{seconds // 60}m",
            "timeSpentSeconds": seconds,
        },
    }


def issue_created(at: datetime, issue: Issue, by: Person) -> Body:
    """Return Jira's body of `jira:issue_created`."""
    return _issue_body("jira:issue_created", at, issue, by, ("To Do", "new"))


def issue_done(at: datetime, issue: Issue, by: Person) -> Body:
    """Return Jira's body of `jira:issue_updated` for an issue that moves to Done."""
    moved = {
        "field": "status",
        "fieldId": "status",
        "fieldtype": "jira",
        "from": "10000",
        "fromString": "To Do",
        "to": "10002",
        "toString": "Done",
    }
    body = _issue_body("jira:issue_updated", at, issue, by, ("Done", "done"))
    return {**body, "changelog": {"id": "9001", "items": [moved]}}


def issue_commented(at: datetime, issue: Issue, by: Person) -> Body:
    """Return Jira's body of `comment_created`, which earns nothing."""
    comment = {"id": "88001", "body": "Looks good to me", "author": _jira_user(by, issue.endpoint)}
    named = {"id": str(issue.number), "key": issue.key}
    event = "comment_created"
    return {
        "timestamp": milliseconds(at),
        "webhookEvent": event,
        "comment": comment,
        "issue": named,
    }


def jira_issue_fields(issue: Issue) -> Body:
    """Return what both Jira's webhooks and its API say about an issue."""
    project = {"id": str(PROJECTS[issue.project]), "key": issue.project}
    return {"project": project, "issuetype": {"id": "10001", "name": "Story"}, "labels": []}


def _issue_body(what: str, at: datetime, issue: Issue, by: Person, status: tuple[str, str]) -> Body:
    name, category = status
    return {
        "timestamp": milliseconds(at),
        "webhookEvent": what,
        "user": {**_jira_user(by, issue.endpoint), "timeZone": "Europe/Berlin"},
        "issue": {
            "id": str(issue.number),
            "key": issue.key,
            "fields": {
                "summary": issue.title,
                **jira_issue_fields(issue),
                "status": {"name": name, "statusCategory": {"key": category}},
                "updated": jira_time(at),
            },
        },
    }


def _jira_user(person: Person, endpoint: str) -> Body:
    if endpoint == "jira":
        return {"accountId": person.account, "displayName": person.name, "accountType": "atlassian"}
    # Data Center knows keys and names instead of account ids.
    name = person.name.lower()
    return {"name": name, "key": name, "displayName": person.name}


def jira_time(at: datetime) -> str:
    """Return a moment as Jira writes it: `2026-03-04T09:00:00.000+0100`."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000%z")


def github(repository: str, action: str, **content: Any) -> Body:
    """Return a GitHub body: what happened to what, in which repository."""
    owner, _, name = repository.partition("/")
    place = {"id": REPOSITORY_IDS[repository], "name": name, "full_name": repository}
    sender = {"login": "deniz-kite", "id": 90004, "type": "User"}
    told = {"action": action} if action else {}
    return {**told, **content, "repository": {**place, "owner": {"login": owner}}, "sender": sender}


def github_milestone(
    number: int, title: str, *, closed: datetime | None, updated: datetime
) -> Body:
    """Return a milestone as GitHub's bodies hold it."""
    return {
        "id": 1_000_000 + number,
        "number": number,
        "title": title,
        "state": "closed" if closed else "open",
        "created_at": github_time(updated),
        "updated_at": github_time(updated),
        "closed_at": github_time(closed) if closed else None,
    }


def github_issue(
    number: int,
    title: str,
    *,
    updated: datetime,
    labels: Sequence[str] = (),
    closed_as: str | None = None,
) -> Body:
    """Return an issue as GitHub's bodies hold it; `closed_as` is the reason if it is closed."""
    return {
        "id": 2_000_000 + number,
        "number": number,
        "title": title,
        "state": "closed" if closed_as else "open",
        "state_reason": closed_as,
        "labels": [{"id": 1, "name": label} for label in labels],
        "assignee": {"login": "ana-kite", "id": 90001},
        "milestone": None,
        "created_at": github_time(updated),
        "updated_at": github_time(updated),
        "closed_at": github_time(updated) if closed_as else None,
    }


def github_time(at: datetime) -> str:
    """Return a moment as GitHub writes it: `2026-03-04T08:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
