"""The firm of the crash points: a whole installation in one process's memory.

Its database is SQLite in memory on one connection, so that `os.fork` copies the world as it
stands. What survives the death of a process is the database, the other systems and the clock;
`start` makes all the rest anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Final
from unittest import mock

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

import clock
import worker
from connectors.jira.stand_in import TOKEN as JIRA_TOKEN
from connectors.jira.stand_in import USER, JiraStandIn
from connectors.stand_in import InProcess
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.hooks import Hooks, signature
from connectors.stripe.stand_in.rig import BASE as STRIPE
from ledger import amending, approvals, pushing, tables, versions
from ledger.claims import LEASE_SECONDS, NEVER
from ledger.inbox import Inbox
from line import Line
from mappings.book import Book
from settings import Settings
from webhooks.receiver import receiver

from .billing.connector import CONNECTORS
from .billing.faults import OrderedPlan
from .billing.port import InProcessBilling
from .billing.profiles import PROFILES, REAL
from .billing.store import Store
from .billing.system import TOKEN, BillingSystem
from .crash_database import fresh_database
from .crash_sites import MisbehavingBilling, Proxied, ProxiedStripe
from .effects import CountedDoorbell, CountedHttp, Crash, Effects, Site

SECRET: Final = "only-torture-knows-this"
STRIPE_KEY: Final = "sk_test_of_the_crash_points"
JIRA: Final = "https://jira.agency.example"
BILLING: Final = "https://billing.example"
WORKSPACE: Final = f"""\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
  jira:
    tool: jira
    secret: "${{SECRET}}"
    url: "{JIRA}"
    user: {USER}
    token: "${{JIRA_TOKEN}}"
    write_back: {{write_back}}
  stripe: {{tool: stripe, secret: "${{SECRET}}"}}
connectors:
  stripe: {{system: stripe, api_key: "${{STRIPE_KEY}}", api_base: "{STRIPE}"}}
{{billing}}
people:
  - {{person: Ana, role: senior, accounts: {{jira: acc-ana}}}}
  - {{person: Ben, role: junior, accounts: {{jira: acc-ben}}}}
"""
BILLING_SYSTEM: Final = """\
  billing:
    system: {key}
    url: "{url}"
    token: "${{BILLING_TOKEN}}"
"""
CUSTOMER: Final = """\
format: 1
customer: acme
name: Acme GmbH
billing_email: ap@acme.example
currency: EUR
send_to: {send_to}
terms: net 30
invoice: monthly
approval: by hand
after_push: {after_push}
takes: {project: ACME}
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
  - {role: junior, from: 2026-01-01, hourly: 80.00}
rules:
  - rule: Engineering hours
    when: {event: time.logged}
    bill:
      description: "{role} engineering, {item} {title}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: rate
      one_line_per: [item, person]
when_no_rule_fits: hold
"""
MOST_ROUNDS: Final = 40
"""How often the worker and the clock take turns before a firm that never rests is a failure."""
HORIZON: Final = timedelta(hours=6)
"""What is due within it is waited for; what is due later is no longer the same event."""


class NotQuietError(AssertionError):
    """Something goes on and on, or waits for a person who cannot know it."""


class Time:
    """The clock of the whole world; it goes on when it is told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the present moment."""
        return self.moment

    def seconds(self) -> float:
        """Return the present moment as Unix time."""
        return self.moment.timestamp()

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds)


class Mailbox(Hooks):
    """Keeps what Stripe would post, so that a scenario decides when it arrives."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def post(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        self.events.append(event)

    def wait(self) -> None:
        """Return at once: nothing is on its way."""


class _EmptyError(BaseException):
    """The queue of the inbox is empty: its writer may rest."""


class _InboxInThread(Inbox):
    """The inbox without its thread: a fork copies only the thread that forks."""

    def _ensure_writer(self) -> None:
        waiting = self._queue

        class Once:
            def get(self) -> Any:
                if waiting.empty():
                    raise _EmptyError
                return waiting.get()

            def empty(self) -> bool:
                return waiting.empty()

        with mock.patch.object(self, "_queue", Once()):
            try:
                self._write()
            except _EmptyError:
                return


class Firm:
    """One installation, its customer, its Jira and its billing system."""

    def __init__(
        self,
        *,
        send_to: str = "stripe",
        after_push: str = "leave as draft",
        write_back: bool = False,
        edit: Callable[[str], str] = str,
    ) -> None:
        """Open a firm; `send_to` is stripe or a profile of `torture.billing`."""
        self.time = Time()
        self.effects = Effects()
        self.effects.stall = self._stall
        self.mailbox = Mailbox()
        self.stripe = StripeStandIn(
            hooks=self.mailbox, api_key=STRIPE_KEY, now=lambda: int(self.time.seconds())
        )
        self.jira = JiraStandIn(now=lambda: int(self.time.seconds() * 1000))
        self.jira.add_project(1, "ACME", "The shop")
        plan = OrderedPlan()
        profile = send_to if send_to in PROFILES else "stripe-like"
        self.billing = BillingSystem(Store(), PROFILES[profile], REAL, plan, self.time.seconds)
        port = InProcessBilling(self.billing, self.time.go_on)
        self.proxied_stripe = ProxiedStripe(self.stripe, self.time.seconds)
        self.sites: dict[str, Site] = {
            STRIPE: self.proxied_stripe,
            JIRA: Proxied(InProcess(self.jira)),
            BILLING: MisbehavingBilling(port, plan),
        }
        self.environ = {
            "DATABASE_URL": "sqlite:///never-opened.sqlite3",
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "SECRET": SECRET,
            "STRIPE_KEY": STRIPE_KEY,
            "JIRA_TOKEN": JIRA_TOKEN,
            "BILLING_TOKEN": TOKEN,
        }
        billing = BILLING_SYSTEM.format(key=CONNECTORS[profile].key, url=BILLING)
        named = "stripe" if send_to == "stripe" else "billing"
        customer = CUSTOMER.replace("{send_to}", named).replace("{after_push}", after_push)
        self.rules = {
            "workspace.yaml": WORKSPACE.replace("{billing}", billing).replace(
                "{write_back}", "yes" if write_back else "no"
            ),
            "acme.yaml": edit(customer),
        }
        self.acknowledged: list[tuple[str, str]] = []
        """Endpoint and hash of each body whose sender has heard a 2xx."""
        self.database = fresh_database(self.effects)
        self.start()
        self._activate()

    def start(self) -> None:
        """Start a new process: nothing of the old one's memory is left."""
        self.line = Line(
            Settings.from_env(self.environ),
            environ=self.environ,
            database=self.database,
            clock=self.time,
            http=CountedHttp(self.sites, self.effects),
            doorbell=CountedDoorbell(self.effects),
        )
        self._client: FlaskClient | None = None

    def survive(self, step: Callable[[], object], name: str) -> None:
        """Do a step; if the process dies in it, do it again in a new one.

        Where the database went away the process is still there and does it again: the worker
        looks again by itself, a sender and a person try again.
        """
        while True:
            try:
                step()
                self.effects.end_of_step(name)
            except DBAPIError:
                self.time.go_on(1)
            except Crash:
                self.time.go_on(LEASE_SECONDS + 1)
                self.start()
            else:
                return

    def post(self, body: Mapping[str, Any], endpoint: str, delivery_id: str) -> None:
        """Post a signed delivery as its sender does: again until it hears a 2xx."""
        raw = json.dumps(body).encode()
        if endpoint == "stripe":
            headers = {"Stripe-Signature": signature(raw, SECRET, int(self.time.seconds()))}
        else:
            code = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
            headers = {
                "X-Hub-Signature": f"sha256={code}",
                "X-Atlassian-Webhook-Identifier": delivery_id,
            }
        for _ in range(5):
            answer = self._web().post(f"/webhooks/{endpoint}", data=raw, headers=headers)
            if 200 <= answer.status_code < 300:
                self.acknowledged.append((endpoint, hashlib.sha256(raw).hexdigest()))
                return
            self.time.go_on(5)
        raise NotQuietError(f"{endpoint} was answered {answer.status_code} five times")

    def settle(self) -> None:
        """Let worker, clock and people do their work until nothing more happens by itself."""
        for _ in range(MOST_ROUNDS):
            worker.work_off(self.line)
            if self._help() or self._wait():
                continue
            return
        raise NotQuietError("the firm does not come to rest")

    def tick(self) -> None:
        """Let the clock tick once, as its process does."""
        clock.tick(self.line, 1)

    def approve_all(self) -> None:
        """Approve every draft, as a person does."""
        with self.line.database.read() as connection:
            query = select(tables.invoice.c.reference).where(tables.invoice.c.state == "draft")
            drafts = list(connection.scalars(query))
        for reference in drafts:
            approve = partial(
                approvals.approve,
                reference=reference,
                approved_by="mia",
                content_hash=None,
                now=self.time.now(),
            )
            self.line.database.write(approve)

    def decide(self) -> None:
        """Let what somebody else has made of a draft stand, as a person does who was asked."""
        with self.line.database.read() as connection:
            rows = connection.execute(select(tables.invoice)).mappings().all()
        asked = [row["reference"] for row in rows if amending.is_undecided(row)]
        for reference in asked:
            decide = partial(amending.resolve, reference=reference, keep="theirs", actor="mia")
            self.line.database.write(partial(decide, now=self.time.now()))

    def deliver_mail(self) -> None:
        """Post what Stripe has to say; what was answered is not posted again."""
        while self.mailbox.events:
            self.post(self.mailbox.events[0], "stripe", "")
            del self.mailbox.events[0]

    def catch_up(self) -> None:
        """Let the other systems do what they were to do late."""
        self.time.go_on(REAL.client_timeout + REAL.late)
        self.proxied_stripe.catch_up()
        self.billing.catch_up()

    def _help(self) -> bool:
        """Do what an invoice that has stopped asks a person to do; return whether one did."""
        with self.line.database.read() as connection:
            references = list(connection.scalars(_STOPPED))
        for reference in references:
            again = partial(pushing.try_again, reference=reference, actor="mia")
            self.line.database.write(partial(again, now=self.time.now()))
        return bool(references)

    def _wait(self) -> bool:
        """Let time pass until the next row is due; return False if none is."""
        with self.line.database.read() as connection:
            due = connection.exec_driver_sql(_due(), {"now": _as_text(self.time.now())}).scalar()
        if due is None or due > _as_text(self.time.now() + HORIZON):
            return False
        self.time.moment = datetime.fromisoformat(due) + timedelta(seconds=1)
        return True

    def _stall(self) -> None:
        """Let the lease of a process run out while it stands still; others do its work."""
        standing = self.line, self._client
        self.time.go_on(LEASE_SECONDS + 1)
        self.start()
        self.survive(self.settle, "others work")
        self.line, self._client = standing

    def _web(self) -> FlaskClient:
        if self._client is None:
            app = Flask("receiver")
            inbox = _InboxInThread(self.line.database, self.line.clock)
            app.register_blueprint(
                receiver(
                    inbox,
                    self.line.endpoint,
                    self.line.clock,
                    self.line.doorbell,
                    most_bytes=1_000_000,
                )
            )
            self._client = app.test_client()
        return self._client

    def _activate(self) -> None:
        book = Book.load(self.rules)
        if mistakes := self.line.missing(book):
            raise AssertionError(mistakes)
        self.line.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="mia", now=self.time.now()
            )
        )


@cache
def _due() -> str:
    """Return the query for when the next row is due that has failed or that a dead process holds,
    or when a billing system has rested.

    What is looked at or asked again every hour is no unfinished work. A draft that is approved
    by itself rests a little before.
    """
    unfinished = "attempts > 0 OR lease_until IS NOT NULL"
    waiting = {
        (stage.table.name, state)
        for stage in worker.STAGES
        for state in ((stage.state,) if isinstance(stage.state, str) else stage.state)
    }
    rows = " UNION ALL ".join(
        f"SELECT max(next_at, ifnull(lease_until, '')) AS at FROM {table} "
        f"WHERE state = '{state}' AND ({unfinished}{_OR_BY_ITSELF if state == 'draft' else ''})"
        for table, state in sorted(waiting)
    )
    rows += " UNION ALL SELECT max(rests_until, ifnull(probe_until, '')) FROM breaker"
    return f"SELECT min(at) FROM ({rows}) WHERE at > :now"


_STOPPED: Final = select(tables.invoice.c.reference).where(
    tables.invoice.c.state == "approved", tables.invoice.c.next_at == NEVER
)
_OR_BY_ITSELF: Final = " OR approval = 'automatic' AND warnings = '[]' AND due_at <= :now"


def _as_text(moment: datetime) -> str:
    """Return a moment as SQLite keeps it."""
    return str(tables.UtcDateTime().process_bind_param(moment, sqlite.dialect()))


@contextmanager
def rules_read_once() -> Iterator[None]:
    """Spare new processes reading the same rules again, which are the same for ever."""
    loaded: dict[tuple[tuple[str, str], ...], Book] = {}
    load = Book.load

    def load_once(files: Mapping[str, str]) -> Book:
        key = tuple(sorted(files.items()))
        if key not in loaded:
            loaded[key] = load(files)
        return loaded[key]

    with mock.patch.object(Book, "load", load_once):
        yield


@contextmanager
def quick_processes() -> Iterator[None]:
    """Spare a process what changes nothing here: reading rules again, and renewing leases.

    A lease is renewed in a thread, which no fork would copy; in a play that takes no time it
    would never be.
    """

    @contextmanager
    def held(*_: object) -> Iterator[None]:
        yield

    with (
        rules_read_once(),
        mock.patch.object(worker, "kept", held),
        # The rules that a process has seen are not relied on for a second of a clock that stands.
        mock.patch("line.RULES_SECONDS", -1.0),
    ):
        yield
