"""A small firm for the journeys: one customer, Jira, real signatures and no mocks."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from connectors.http import Http
from ledger import approvals, versions
from ledger.database import Database
from ledger.inbox import Inbox
from ledger.invoices import draft_from_json
from ledger.ports import Clock
from ledger.tables import invoice, line_item, subject
from line import Line
from mappings.book import Book
from webhooks.receiver import receiver

SECRET = "only-the-tests-know-this"
WORKSPACE = """\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
  jira-acme: {{tool: jira, secret: "${{JIRA_ACME_SECRET}}"}}
connectors:
{connectors}
people:
  - {{person: Ana, role: senior, accounts: {{jira: acc-ana}}}}
  - {{person: Ben, role: junior, accounts: {{jira: acc-ben}}}}
"""
ACME = """\
format: 1
customer: acme
name: Acme GmbH
billing_email: ap@acme.example
currency: EUR
send_to: {send_to}
terms: net 30
invoice: monthly
approval: {approval}
takes: {{project: ACME}}
rates:
  - {{role: senior, from: 2026-01-01, hourly: 120.00}}
  - {{role: junior, from: 2026-01-01, hourly: 80.00}}
rules:
  - rule: Engineering hours
    when: {{event: time.logged}}
    bill:
      description: "{{role}} engineering, {{item}} {{title}}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
"""


class TestClock:
    """A clock that stands still until it is told to go on."""

    __test__ = False

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the moment that the test has set."""
        return self.moment

    def go_on(self, seconds: int) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class House:
    """One installation on one database, with the means to post to it and to look into it."""

    folder: Path
    database_url: str
    connectors: str = ""
    send_to: str = "files"
    approval: str = "by hand"
    redis_url: str | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.folder / "rules"
        rules.mkdir(parents=True, exist_ok=True)
        connectors = self.connectors or f"  files: {{system: file, folder: {self.folder}/out}}"
        (rules / "workspace.yaml").write_text(WORKSPACE.format(connectors=connectors))
        acme = ACME.format(send_to=self.send_to, approval=self.approval)
        (rules / "acme.yaml").write_text(acme)
        self.environ |= {
            "DATABASE_URL": self.database_url.replace("postgresql+psycopg", "postgresql"),
            "BILLHOOK_RULES": str(rules),
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "BILLHOOK_ALLOW_PRIVATE": "yes",
            "JIRA_ACME_SECRET": SECRET,
        }
        if self.redis_url:
            self.environ["REDIS_URL"] = self.redis_url

    def line(
        self,
        *,
        clock: Clock | None = None,
        database: Database | None = None,
        http: Http | None = None,
    ) -> Line:
        """Return a new process's line."""
        from settings import Settings

        settings = Settings.from_env(self.environ)
        return Line(settings, environ=self.environ, clock=clock, database=database, http=http)

    def activate(self, line: Line) -> None:
        """Activate the rules of the folder."""
        book = Book.read_folder(line.settings.rules)
        line.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="test", now=line.clock.now()
            )
        )


def client(line: Line) -> FlaskClient:
    """Return a client of the receiver alone."""
    app = Flask("receiver")
    inbox = Inbox(line.database, line.clock)
    blueprint = receiver(inbox, line.endpoint, line.clock, line.doorbell, most_bytes=1_000_000)
    app.register_blueprint(blueprint)
    return app.test_client()


def signed(body: Mapping[str, Any], delivery_id: str) -> tuple[bytes, dict[str, str]]:
    """Return a delivery as Jira sends it: body and headers."""
    raw = json.dumps(body).encode()
    signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    return raw, {
        "Content-Type": "application/json",
        "X-Hub-Signature": f"sha256={signature}",
        "X-Atlassian-Webhook-Identifier": delivery_id,
    }


def post(to: FlaskClient, body: Mapping[str, Any], delivery_id: str) -> int:
    """Post a delivery; return the status of the answer."""
    raw, headers = signed(body, delivery_id)
    return to.post("/webhooks/jira-acme", data=raw, headers=headers).status_code


def issue(number: int, *, version: int = 1, title: str = "Login", project: str = "ACME") -> Any:
    """Return the body of a webhook about a new issue."""
    fields = {
        "summary": title,
        "project": {"id": "1", "key": project},
        "labels": [],
        "issuetype": {"name": "Task"},
        "status": {"name": "To Do", "statusCategory": {"key": "new"}},
    }
    return {
        "timestamp": 1_760_000_000_000 + version,
        "webhookEvent": "jira:issue_created",
        "issue": {"id": str(number), "key": f"{project}-{number}", "fields": fields},
    }


def worklog(
    number: int,
    *,
    seconds: int,
    version: int = 1,
    kind: str = "worklog_created",
    account: str = "acc-ana",
    issue_id: int = 7,
    day: int = 3,
) -> Any:
    """Return the body of a webhook about an hour worked in October 2026."""
    moment = f"2026-10-{day:02d}T10:00:00.000+0200"
    return {
        "timestamp": 1_760_000_000_000 + version,
        "webhookEvent": kind,
        "worklog": {
            "id": str(number),
            "issueId": str(issue_id),
            "author": {"accountId": account, "displayName": account.title()},
            "started": moment,
            "created": moment,
            "updated": moment,
            "timeSpentSeconds": seconds,
        },
    }


def approve_all(line: Line) -> list[str]:
    """Approve every draft; return their references."""
    with line.database.read() as connection:
        drafts = list(
            connection.scalars(select(invoice.c.reference).where(invoice.c.state == "draft"))
        )
    for reference in drafts:
        line.database.write(
            partial(
                approvals.approve,
                reference=reference,
                approved_by="test",
                content_hash=None,
                now=line.clock.now(),
            )
        )
    return drafts


def invoices(line: Line) -> dict[str, tuple[str, str, Any]]:
    """Return state, payment and content of each invoice: what a customer would see."""
    with line.database.read() as connection:
        rows = connection.execute(select(invoice).order_by(invoice.c.reference)).all()
    return {
        row.reference: (row.state, row.payment or "", draft_from_json(row.content).as_json())
        for row in rows
        if row.state != "canceled"
    }


def seconds_on_lines(line: Line) -> int:
    """Return the time on all line items that stand."""
    with line.database.read() as connection:
        rows = connection.scalars(
            select(line_item.c.seconds).where(line_item.c.state != "withdrawn")
        )
        return sum(rows)


def states(line: Line) -> dict[str, str]:
    """Return the state of each subject."""
    with line.database.read() as connection:
        return {row.name: row.state for row in connection.execute(select(subject))}
