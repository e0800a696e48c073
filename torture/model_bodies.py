"""What Jira and GitHub post about the work of the stateful test: bodies of their own shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .model_rules import START
from .model_truth import PROJECTS, Entry, Issue, Phase, Told


def body_of(number: int, told: Told, before: Told | None) -> tuple[str, dict[str, Any]]:
    """Return endpoint and body of the delivery with which a tool tells something."""
    if isinstance(told, Phase):
        moment = (START + timedelta(days=-40, minutes=told.version)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return "github", {
            "action": "closed" if told.is_closed else "opened",
            "milestone": {
                "id": 9000 + number,
                "number": number,
                "title": f"Phase {number}",
                "updated_at": moment,
                "closed_at": moment if told.is_closed else None,
            },
            "repository": {"id": 501, "full_name": "acme/site"},
        }
    if isinstance(told, Issue):
        return "jira", {
            "timestamp": 1_760_000_000_000 + told.version,
            "webhookEvent": "jira:issue_updated" if before else "jira:issue_created",
            "issue": {
                "id": str(number),
                "key": f"{told.project}-{number}",
                "fields": {
                    "summary": f"Login {told.version}",
                    "project": {"id": f"1{PROJECTS.index(told.project)}", "key": told.project},
                    "labels": [],
                    "issuetype": {"name": "Task"},
                    "status": {"name": "To Do", "statusCategory": {"key": "new"}},
                },
            },
        }
    return "jira", _worklog(number, told, before)


def _worklog(number: int, told: Entry, before: Told | None) -> dict[str, Any]:
    moment = f"{told.on}T10:00:00.000+0200"
    happened = "updated" if before else "created"
    return {
        "timestamp": 1_760_000_000_000 + told.version,
        "webhookEvent": f"worklog_{happened if told.is_there else 'deleted'}",
        "worklog": {
            "id": str(number),
            "issueId": str(told.issue),
            "author": {"accountId": told.person, "displayName": told.person.title()},
            "started": moment,
            "created": moment,
            "updated": moment,
            "timeSpentSeconds": told.seconds,
        },
    }


def as_bytes(body: Mapping[str, Any]) -> bytes:
    """Return a body as it is sent."""
    return json.dumps(body).encode()
