"""A whole firm for the journeys: two customers, three tools and Stripe, all in this process.

Deliveries are really signed and posted, the stages of `worker.py` do the work, and the tools
and Stripe are their stand-ins. Only the clock is the test's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection, RowMapping, select

import worker
from connectors.file.payments import PAYMENTS_FILE
from connectors.github.stand_in import TOKEN as GITHUB_TOKEN
from connectors.github.stand_in import GitHubStandIn
from connectors.http import Http, Request, Response
from connectors.jira.stand_in import TOKEN as JIRA_TOKEN
from connectors.jira.stand_in import USER, JiraStandIn
from connectors.stand_in import InProcess
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.hooks import Hooks, signature
from connectors.stripe.stand_in.rig import BASE, InProcessHttp
from connectors.toggl.stand_in import TOKEN as TOGGL_TOKEN
from connectors.toggl.stand_in import WORKSPACE as TOGGL_WORKSPACE
from connectors.toggl.stand_in import TogglStandIn
from console.commands.audit import _price_again as price_again
from ledger import approvals, tables, versions
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.facts import ask_again
from ledger.money import Money
from ledger.sync import ask_held, look_at_all
from line import Line
from mappings.book import Book
from mappings.judging import sum_up
from settings import Settings
from tests.journeys.house import TestClock, client, issue

SECRET = "only-the-tests-know-this"
OLD_SECRET = "the-tests-knew-this-before"
PATH_TOKEN = "an-end-of-a-url-that-nobody-guesses"
STRIPE_KEY = "sk_test_for_the_journeys"
JIRA, GITHUB = "https://jira.agency.example", "https://github.agency.example"
TOGGL = "https://toggl.agency.example"
WORKSPACE = f"""\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
  jira: {{tool: jira, secret: ["${{SECRET}}", "${{OLD_SECRET}}"]}}
  github: {{tool: github, secret: "${{SECRET}}"}}
  stripe: {{tool: stripe, secret: "${{SECRET}}"}}
  scripts: {{tool: generic, unsigned: yes, path_token: "${{PATH_TOKEN}}"}}
connectors:
  files: {{system: file, folder: FOLDER}}
  stripe: {{system: stripe, api_key: "${{STRIPE_KEY}}", api_base: "{BASE}"}}
people:
  - {{person: Ana, role: senior, accounts: {{jira: acc-ana}}}}
  - {{person: Ben, role: junior, accounts: {{jira: acc-ben}}}}
"""
JIRA_ASKED = f', url: "{JIRA}", user: {USER}, token: "${{JIRA_TOKEN}}"'
GITHUB_ASKED = f', api_url: "{GITHUB}", token: "${{GITHUB_TOKEN}}"'
TOGGL_ASKED = f', api_url: "{TOGGL}", workspace: "{TOGGL_WORKSPACE}", token: "${{TOGGL_TOKEN}}"'
CUSTOMER = """\
format: 1
customer: acme
name: Acme GmbH
billing_email: ap@acme.example
currency: EUR
send_to: files
terms: net 30
invoice: monthly
approval: by hand
takes: {project: [ACME, "acme/*"]}
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {role: junior, from: 2026-01-01, hourly: 80.00}
rules:
  - rule: A finished phase
    when: {event: milestone.completed, title: "Phase *"}
    bill: {description: "{title}", quantity: 1, unit_price: 4500.00}
    invoice: at once
  - rule: Engineering hours
    when: {event: [time.logged, time.total]}
    bill:
      description: "{role} engineering, {item} {title}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
"""


class Outside:
    """Outgoing HTTP that finds each stand-in by its address."""

    def __init__(self, sites: Mapping[str, Http]) -> None:
        self._sites = dict(sites)
        self.after: Callable[[Request], None] = lambda request: None
        """Called after each request, before its answer is heard."""

    def add(self, address: str, site: Http) -> None:
        """Let a site be found under an address."""
        self._sites[address] = site

    def send(self, request: Request) -> Response:
        """Return the answer of the site that the address names."""
        answer = next(
            site for address, site in self._sites.items() if request.url.startswith(address)
        ).send(request)
        self.after(request)
        return answer


class Mailbox(Hooks):
    """Keeps what Stripe would post, so that a test decides what arrives and when."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def post(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        self.events.append(event)

    def wait(self) -> None:
        """Return at once: nothing is on its way."""


class Office:
    """One installation, its rule files, its customers' tools and its billing system."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.clock = TestClock()
        self.mailbox = Mailbox()
        self.jira = JiraStandIn(now=lambda: int(self.clock.now().timestamp() * 1000))
        self.github = GitHubStandIn()
        self.toggl = TogglStandIn()
        self.stripe = StripeStandIn(
            hooks=self.mailbox,
            api_key=STRIPE_KEY,
            now=lambda: int(self.clock.now().timestamp()),
        )
        environ = {
            "DATABASE_URL": database_url.replace("postgresql+psycopg", "postgresql"),
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "SECRET": SECRET,
            "OLD_SECRET": OLD_SECRET,
            "PATH_TOKEN": PATH_TOKEN,
            "STRIPE_KEY": STRIPE_KEY,
            "JIRA_TOKEN": JIRA_TOKEN,
            "GITHUB_TOKEN": GITHUB_TOKEN,
            "TOGGL_TOKEN": TOGGL_TOKEN,
        }
        sites: dict[str, Http] = {
            BASE: InProcessHttp(self.stripe),
            JIRA: InProcess(self.jira),
            GITHUB: InProcess(self.github),
            TOGGL: InProcess(self.toggl),
        }
        self.outside = Outside(sites)
        self.line = Line(
            Settings.from_env(environ), environ=environ, clock=self.clock, http=self.outside
        )
        self.client = client(self.line)
        self.rules = {
            "workspace.yaml": WORKSPACE.replace("FOLDER", str(folder / "out")),
            "acme.yaml": CUSTOMER,
            "beta.yaml": CUSTOMER.replace("Acme", "Beta").replace("acme", "beta"),
        }
        self.rules["beta.yaml"] = self.rules["beta.yaml"].replace("[ACME", "[BETA")
        self._posted = 0

    def change(self, file: str, old: str, new: str) -> None:
        """Replace a text in a rule file; it must be there."""
        assert old in self.rules[file]
        self.rules[file] = self.rules[file].replace(old, new)

    def activate(self) -> None:
        """Activate the rule files as they stand, as `flask rules activate` does, and settle."""
        book = Book.load(self.rules)
        assert self.line.missing(book) == []

        def activate(connection: Connection) -> None:
            ask_again(connection, self.line.askable(book), self.clock.now())
            ask_held(connection, self.line.askable(book), self.clock.now())
            versions.activate(connection, book.version, book.files, by="test", now=self.clock.now())

        self.line.database.write(activate)
        self.settle()

    def settle(self) -> None:
        """Let the worker run until nothing waits for it."""
        worker.work_off(self.line)

    def post(
        self, body: Mapping[str, Any], endpoint: str = "jira", delivery_id: str | None = None
    ) -> int:
        """Post a signed delivery; return the status of the answer."""
        self._posted += 1
        raw = json.dumps(body).encode()
        headers = self.signed(raw, endpoint, delivery_id or f"delivery-{self._posted}")
        return self.client.post(f"/webhooks/{endpoint}", data=raw, headers=headers).status_code

    def signed(
        self, raw: bytes, endpoint: str, delivery_id: str, secret: str = SECRET
    ) -> dict[str, str]:
        """Return the headers with which a tool sends these bytes."""
        code = f"sha256={hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}"
        if endpoint == "stripe":
            now = int(self.clock.now().timestamp())
            return {"Stripe-Signature": signature(raw, secret, now)}
        if endpoint == "github":
            return {
                "X-Hub-Signature-256": code,
                "X-GitHub-Event": "milestone",
                "X-GitHub-Delivery": delivery_id,
            }
        return {"X-Hub-Signature": code, "X-Atlassian-Webhook-Identifier": delivery_id}

    def tell(self, *bodies: Mapping[str, Any], endpoint: str = "jira") -> None:
        """Post deliveries that are accepted, and settle."""
        for body in bodies:
            assert self.post(body, endpoint) == 202
        self.settle()

    def deliver_mail(self) -> None:
        """Post what Stripe has to say, and settle."""
        events, self.mailbox.events = self.mailbox.events, []
        for event in events:
            assert self.post(event, "stripe") == 202
        self.settle()

    def approve(self, reference: str, *, by: str = "mia", content_hash: str | None = None) -> None:
        """Approve a draft; raise ApprovalError if that cannot be."""
        self.line.database.write(
            lambda connection: approvals.approve(
                connection,
                reference,
                approved_by=by,
                content_hash=content_hash,
                now=self.clock.now(),
            )
        )

    def bill(self, reference: str, *, is_sent: bool = True) -> None:
        """Approve a draft and have it pushed; what goes into a folder is sent, or stays a draft."""
        self.approve(reference)
        self.settle()
        invoice = self.invoice(reference)
        assert invoice["state"] == "pushed", invoice["problem"]
        if is_sent and invoice["connector"] == "files":
            self.note_payment(reference, 0)

    def note_payment(self, reference: str, minor: int) -> None:
        """Write into `payments.csv` that an invoice was sent (0) or paid, and have it looked at."""
        invoice = self.invoice(reference)
        path = self.folder / "out" / PAYMENTS_FILE
        if not path.exists():
            path.write_text("reference,date,amount\n")
        amount = Money(minor, invoice["currency"]).decimal()
        with path.open("a") as file:
            file.write(f"{reference},2026-11-22,{amount:f}\n")
        self.look()

    def look(self) -> None:
        """Have every invoice looked at that stands at its billing system."""
        self.line.database.write(lambda connection: look_at_all(connection, self.clock.now()))
        self.settle()

    def rows(self, table: Any) -> list[RowMapping]:
        """Return all rows of a table, oldest first."""
        with self.line.database.read() as connection:
            query = select(table).order_by(*table.primary_key)
            return list(connection.execute(query).mappings())

    def invoice(self, reference: str) -> RowMapping:
        """Return an invoice."""
        return next(row for row in self.rows(tables.invoice) if row["reference"] == reference)

    def invoices(self) -> dict[str, tuple[str, int]]:
        """Return state and total of each invoice that was not canceled."""
        return {
            row["reference"]: (row["state"], row["total"])
            for row in self.rows(tables.invoice)
            if row["state"] != "canceled"
        }

    def printed(self, reference: str) -> list[tuple[str, str, int]]:
        """Return description, quantity and amount of each line on an invoice."""
        return [
            (line["description"], line["quantity"], line["amount"])
            for line in self.invoice(reference)["content"]["lines"]
        ]

    def held(self) -> dict[str, str]:
        """Return what waits for a person, with the reason."""
        return {
            row["name"]: row["reason"]
            for row in self.rows(tables.subject)
            if row["state"] == "held"
        }

    def seconds_billed(self) -> int:
        """Return the time on all line items that stand, billed or open."""
        return sum(
            row["seconds"] for row in self.rows(tables.line_item) if row["state"] != "withdrawn"
        )

    def remote(self, reference: str) -> list[dict[str, Any]]:
        """Return the invoices with our reference that Stripe holds."""
        book = self.stripe.book
        every = [book.invoice(remote_id) for remote_id in book.table("invoices")]
        return [one for one in every if one["metadata"]["billhook_reference"] == reference]

    def violations(self) -> list[str]:
        """Return what `flask audit` says of this ledger, its audit log sealed."""
        while self.line.database.write(seal):
            pass
        with self.line.database.read() as connection:
            found = audit(
                connection,
                self.clock.now(),
                price_again=price_again(self.line),
                sum_again=lambda key, version, lines: sum_up(
                    self.line.book_of(version), key, lines
                ),
            )
        return [f"{each.invariant}: {each.entity}: {each.detail}" for each in found]

    def log(self, action: str) -> list[Any]:
        """Return what the audit log says of an action, oldest first."""
        rows = self.rows(tables.audit_entry)
        return [row["detail"] for row in rows if row["action"] == action]


@contextmanager
def open_office(folder: Path, database_url: str) -> Iterator[Office]:
    """Give an office with its rules active; lock it afterwards.

    The rules that a web process has seen are relied on for a second, which a test cannot wait:
    here they are always looked up.
    """
    with mock.patch("line.RULES_SECONDS", -1.0):
        office = Office(folder, database_url)
        office.activate()
        yield office
        office.line.database.close()


def moved(number: int, *, version: int, project: str, title: str = "Login") -> Any:
    """Return the body of a webhook about an issue that changed its title or its project."""
    body = issue(number, version=version, project=project, title=title)
    return {**body, "webhookEvent": "jira:issue_updated"}


def total(
    seconds: int | None, *, version: int, deleted_entry: int | None = None, before: int = 0
) -> Any:
    """Return the body of Data Center's older webhook: the total time of issue 7 by now.

    Where an entry was deleted it names that; the total is left out if it is None. `before` is
    what it was, in seconds.
    """
    items: list[dict[str, Any]] = []
    if seconds is not None:
        changed = {"from": str(before) if before else None, "to": str(seconds)}
        items.append({"field": "timespent", "fieldtype": "jira", **changed})
    if deleted_entry is not None:
        items.append({"field": "WorklogId", "fieldtype": "jira", "from": str(deleted_entry)})
    return {
        "timestamp": 1_792_000_000_000 + version,
        "webhookEvent": "jira:worklog_updated",
        "user": {"accountId": "acc-ana", "displayName": "Ana", "timeZone": "Europe/Berlin"},
        "issue": {"id": "7", "key": "ACME-7", "fields": {"summary": "Login", "labels": []}},
        "changelog": {"items": items},
    }


def milestone(action: str, *, at: str, number: int = 3) -> Any:
    """Return the body of a webhook about a milestone that was closed or reopened."""
    return {
        "action": action,
        "milestone": {
            "id": 9000 + number,
            "number": number,
            "title": f"Phase {number}",
            "updated_at": at,
            "closed_at": at if action == "closed" else None,
        },
        "repository": {"id": 501, "full_name": "acme/site"},
    }
