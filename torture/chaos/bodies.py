"""What Jira and a script post in a torture run, signed, with the headers that they send.

https://developer.atlassian.com/cloud/jira/platform/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from .truth import Entry, Issue, Milestone

Body = dict[str, Any]

PROJECTS: Final = {"ACME": 101, "SITE": 102, "KYO": 103, "GLF": 104, "INT": 105, "STRAY": 106}
"""Each project's id in Jira."""
CANARY: Final = "canary-in-every-body-that-no-log-may-hold"
"""Stands in bodies where the product has no use for it."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One delivery, as often as it is sent."""

    endpoint: str
    delivery_id: str
    body: bytes
    what: str
    """event, repeated, renamed (the same body under a new id) or poison."""

    def headers(self, secret: str) -> dict[str, str]:
        """Return the headers under a secret."""
        signature = "sha256=" + hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        given = {"Content-Type": "application/json"}
        if self.endpoint == "jira":
            named = {"X-Atlassian-Webhook-Identifier": self.delivery_id}
            return {**given, **named, "X-Hub-Signature": signature}
        return {**given, "X-Billhook-Signature": signature}

    @property
    def known_as(self) -> str:
        """Return the id under which the inbox keeps it: our scripts name none."""
        return self.delivery_id if self.endpoint == "jira" else ""

    @property
    def body_hash(self) -> str:
        """Return the hash by which the inbox tells bodies apart."""
        return hashlib.sha256(self.body).hexdigest()


def author(account: str) -> Body:
    """Return a user as Jira writes it."""
    return {"accountId": account, "displayName": account.title(), "accountType": "atlassian"}


def worklog(what: str, version: int, entry: Entry) -> Body:
    """Return the body of `worklog_created`, `worklog_updated` or `worklog_deleted`."""
    return {
        "timestamp": version,
        "webhookEvent": what,
        "worklog": {
            "id": str(entry.number),
            "issueId": str(entry.issue),
            "author": author(entry.account),
            "updateAuthor": {"accountId": "5d53", "displayName": CANARY},
            "comment": "",
            "started": entry.started,
            "timeSpentSeconds": entry.seconds,
        },
    }


def issue(what: str, version: int, about: Issue, moved_from: str | None = None) -> Body:
    """Return the body of `jira:issue_created` or `jira:issue_updated`."""
    items = [{"field": "Key", "fieldtype": "jira", "fromString": moved_from, "toString": about.key}]
    return {
        "timestamp": version,
        "webhookEvent": what,
        "issue": {"id": str(about.number), "key": about.key, "fields": issue_fields(about)},
        **({"changelog": {"id": "9", "items": items}} if moved_from else {}),
    }


def issue_fields(about: Issue) -> Body:
    """Return what both a webhook and the API say about an issue."""
    return {
        "summary": about.title,
        "project": {"id": str(PROJECTS[about.project]), "key": about.project},
        "labels": [],
        "issuetype": {"id": "10001", "name": "Task"},
        "status": {"name": "To Do", "statusCategory": {"key": "new"}},
    }


def version(version: int, milestone: Milestone) -> Body:
    """Return the body of `jira:version_released` or `jira:version_unreleased`."""
    told = "released" if milestone.is_done else "unreleased"
    return {
        "timestamp": version,
        "webhookEvent": f"jira:version_{told}",
        "version": {
            "id": str(milestone.number),
            "name": f"Phase {milestone.number}",
            "projectId": PROJECTS[milestone.project],
            "releaseDate": milestone.on.isoformat(),
        },
    }


def script_entries(changed_at: str, entries: Sequence[Entry]) -> Body:
    """Return what a script posts about entries of its own."""
    return {
        "events": [
            {
                "kind": "time.logged",
                "subject": entry.subject,
                "on": entry.on.isoformat(),
                "project": entry.project,
                "item": f"{entry.project}-{entry.number}",
                "title": "Migrated data",
                "person": "ana" if entry.account == "5a-ana" else "ben",
                "seconds": entry.seconds,
                "changed_at": changed_at,
            }
            for entry in entries
        ]
    }


def poison(dice: random.Random, number: int, at: int) -> bytes:
    """Return a body that is signed and cannot be read, or must not be."""
    body = worklog("worklog_created", at, Entry(900_000 + number, 1, "5a-ana", "never", 60))
    raw = json.dumps(body).encode()
    return dice.choice(
        [
            raw[: len(raw) // 2],
            raw.replace(b'"timeSpentSeconds": 60', b'"timeSpentSeconds": 1e1000000'),
            raw.replace(b'"timeSpentSeconds": 60', b'"timeSpentSeconds": -60'),
            raw.replace(b'"timeSpentSeconds": 60', b'"timeSpentSeconds": NaN'),
            raw.replace(b'"timeSpentSeconds": 60', '"timeSpentSeconds": "٦٠"'.encode()),
            raw.replace(b"worklog_created", b"worklog_praised"),
            raw.replace(b'"issueId": "1"', b'"issueId": "\\u0000"'),
            raw.replace(b'"issueId": "1"', b'"issueId": "\\ud800"'),
            b'{"timestamp": %d, "webhookEvent": "worklog_deleted"}' % at,
            b"[" * 5000 + b"%d" % number,
            b'{"a": 1, "a": %d}' % number,
            b"",
        ]
    )
