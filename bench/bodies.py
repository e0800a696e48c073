"""Deliveries as Jira sends them, 1-4 KB long, with real signatures; all of it invented."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

SECRET: Final = "the-bench-signs-with-this"
ENDPOINT: Final = "jira-bench"
CUSTOMERS: Final = 10
ISSUES: Final = 100
PEOPLE: Final = {"acc-ana": "Ana", "acc-ben": "Ben"}
_PROSE: Final = "Paired on the import of old orders and wrote down what is still open. "


def issue(number: int) -> dict[str, Any]:
    """Return the body about a new issue; every tenth one belongs to the same project."""
    project = number % CUSTOMERS
    fields = {
        "summary": f"Import of orders, part {number}",
        "project": {"id": str(project), "key": f"P{project}"},
        "labels": ["import"],
        "issuetype": {"name": "Task"},
        "status": {"name": "To Do", "statusCategory": {"key": "new"}},
    }
    return {
        "timestamp": 1_760_000_000_000,
        "webhookEvent": "jira:issue_created",
        "issue": {"id": str(number), "key": f"P{project}-{number}", "fields": fields},
    }


def worklog(number: int, *, month: int = 10, issue_id: int | None = None) -> dict[str, Any]:
    """Return the body about a new time entry of 50 minutes, with a comment of 1 to 3 KB."""
    moment = f"2026-{month:02d}-{number % 28 + 1:02d}T10:00:00.000+0200"
    account = "acc-ana" if number % 3 else "acc-ben"
    return {
        "timestamp": 1_760_000_000_001,
        "webhookEvent": "worklog_created",
        "worklog": {
            "id": str(number),
            "issueId": str(number % ISSUES if issue_id is None else issue_id),
            "comment": _PROSE * (15 + number % 25),
            "author": {"accountId": account, "displayName": PEOPLE[account]},
            "started": moment,
            "created": moment,
            "updated": moment,
            "timeSpentSeconds": 3000,
        },
    }


def signed(body: Mapping[str, Any], delivery_id: str) -> tuple[dict[str, str], bytes]:
    """Return the headers and the bytes of a delivery."""
    raw = json.dumps(body).encode()
    signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    return {
        "Host": "billhook.example",
        "Content-Type": "application/json",
        "User-Agent": "a-tool/1.0",
        "X-Hub-Signature": f"sha256={signature}",
        "X-Atlassian-Webhook-Identifier": delivery_id,
    }, raw


def as_rows(bodies: Mapping[str, Mapping[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Return deliveries (body by delivery id) as the inbox stores them."""
    rows = []
    for delivery_id, body in bodies.items():
        headers, raw = signed(body, delivery_id)
        rows.append(
            {
                "endpoint": ENDPOINT,
                "source": "jira",
                "delivery_id": delivery_id,
                "body_hash": hashlib.sha256(raw).hexdigest(),
                "headers": {name.lower(): value for name, value in headers.items()},
                "body": raw,
                "received_at": now,
                "state": "waiting",
                "events": 0,
                "attempts": 0,
                "next_at": now,
            }
        )
    return rows
