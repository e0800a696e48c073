"""One firm in this process for the stateful test: rules, line, clock, Stripe and its tools' bodies.

The database is SQLite in the memory on one shared connection, so that a run costs milliseconds.
The firm is made once a process and `begin` empties it. `torture/model_world.py` plays with it.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

from flask import Flask
from sqlalchemy import bindparam, create_engine, event, select
from sqlalchemy.pool import StaticPool

import recovery
import worker
from connectors.http import Http, Request, Response
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.hooks import Hooks, signature
from connectors.stripe.stand_in.rig import InProcessHttp
from ledger import approvals, replay, versions
from ledger import database as databases
from ledger.claims import LEASE_SECONDS, waits
from ledger.columns import UtcDateTime
from ledger.errors import OutcomeUnknownError
from ledger.inbox import Inbox
from line import Line
from mappings.book import Book
from settings import Settings
from stages import Stage
from webhooks.receiver import receiver

from .model_rules import SECRET, START, STRIPE_KEY, rules_of
from .model_truth import RATES


class Crash(BaseException):
    """The process is gone: nothing after this line happens."""


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        """Return the present moment of the firm."""
        return self.moment


class Effects:
    """Counts commits and requests on their way out; at an agreed one the process dies."""

    def __init__(self) -> None:
        self.until_crash: int | None = None
        self.lose_next_reply = False

    def pass_through(self) -> None:
        """Count one effect that is about to happen; raise Crash at the agreed one."""
        if self.until_crash is None:
            return
        self.until_crash -= 1
        if self.until_crash < 0:
            self.until_crash = None
            raise Crash


class MemoryDatabase(databases.Database):
    """SQLite in the memory: one connection that everything in this process shares."""

    def __init__(self, effects: Effects) -> None:
        self.url = "sqlite://"
        # As on disk: no transaction that the ledger has not begun, and foreign keys hold.
        self.raw = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.raw.execute("PRAGMA foreign_keys=ON")
        self._effects = effects
        self.engine = create_engine(
            "sqlite://",
            creator=lambda: self.raw,
            poolclass=StaticPool,
            hide_parameters=True,
            query_cache_size=5000,
        )
        event.listen(self.engine, "begin", databases._begin_sqlite)

    def commit(self, commit: Callable[[], None]) -> None:
        """Commit, unless the process dies before it."""
        self._effects.pass_through()
        commit()

    def copy(self) -> sqlite3.Connection:
        """Return a backup of everything that is committed."""
        kept = sqlite3.connect(":memory:", check_same_thread=False)
        self.raw.backup(kept)
        return kept

    def restore(self, kept: sqlite3.Connection) -> None:
        """Put a backup back, whatever happened since."""
        kept.backup(self.raw)


class Outside:
    """Outgoing HTTP to the present Stripe, whose every request is an effect."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self.site: Http | None = None

    def send(self, request: Request) -> Response:
        """Return Stripe's answer, or lose it."""
        assert self.site is not None
        self._effects.pass_through()
        answer = self.site.send(request)
        if self._effects.lose_next_reply and request.method != "GET":
            self._effects.lose_next_reply = False
            raise OutcomeUnknownError("stripe: the reply was lost")
        return answer


class Mailbox(Hooks):
    """Keeps what Stripe would post, so that the test decides what arrives and when."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def post(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        self.events.append(event)

    def wait(self) -> None:
        """Return at once: nothing is on its way."""


class Firm:
    """The product as one process runs it, and what surrounds it."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="billhook-model-")
        self.folder = Path(self._place.name)
        self.effects = Effects()
        self.clock = Clock()
        self.database = MemoryDatabase(self.effects)
        self.outside = Outside(self.effects)
        self._environ = {
            "DATABASE_URL": "sqlite:///nowhere",
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "SECRET": SECRET,
            "STRIPE_KEY": STRIPE_KEY,
        }
        self._books: dict[str, Book] = {}
        self.rules = [Book.load(rules_of(self.folder, rates)) for rates in range(len(RATES))]
        template = self.folder / "template.sqlite3"
        databases.upgrade(f"sqlite:///{template}")
        migrated = sqlite3.connect(template)
        self.database.restore(migrated)
        migrated.close()
        self.restart()
        self._activate(0)
        self._empty = self.database.copy()
        app = Flask("receiver")
        inbox = Inbox(self.database, self.clock)
        app.register_blueprint(
            receiver(
                inbox,
                lambda name: self.line.endpoint(name),
                self.clock,
                self.line.doorbell,
                most_bytes=1_000_000,
            )
        )
        self._client = app.test_client()
        self.begin()

    def begin(self) -> None:
        """Begin anew: nothing but the rules is in the ledger, and Stripe is empty."""
        self.database.restore(self._empty)
        self.clock.moment = START
        self.mailbox = Mailbox()
        self.stripe = StripeStandIn(
            hooks=self.mailbox, api_key=STRIPE_KEY, now=lambda: int(self.clock.now().timestamp())
        )
        self.outside.site = InProcessHttp(self.stripe)
        self.deleted: set[str] = set()
        """What was deleted at Stripe, by its id there."""
        self.touched: set[str] = set()
        """What somebody has changed at Stripe itself, by its id there."""
        self.approved: set[str] = set()
        """The contents that a person has approved, as they were shown."""
        for path in (self.folder / "out").glob("*"):
            path.unlink()
        self.effects.until_crash = None
        self.effects.lose_next_reply = False
        self.restart()

    def close(self) -> None:
        """Leave nothing behind."""
        self.database.close()
        self.database.raw.close()
        self._place.cleanup()

    def restart(self) -> None:
        """Start a new process: nothing of the old one's memory is left."""
        self.line = Line(
            Settings.from_env(self._environ),
            environ=self._environ,
            database=self.database,
            clock=self.clock,
            http=self.outside,
        )
        # Rules are immutable, and reading them is the one thing here that takes long.
        self.line._books = self._books

    def work(self) -> None:
        """Let the worker run until nothing waits; a process that dies is followed by another."""
        try:
            with _quickly():
                worker.work_off(self.line)
        except Crash:
            self.clock.moment += timedelta(seconds=LEASE_SECONDS + 1)
            self.restart()
        self.effects.until_crash = None

    def happen(self, what: str, remote_id: str, amount: int | None = None) -> None:
        """Let something happen to an invoice at Stripe, as its people or a bank would do it."""
        self.stripe.happen(what, remote_id, amount)
        if what == "delete":
            self.deleted.add(remote_id)

    def calm(self) -> None:
        """End all trouble that was to come at Stripe."""
        self.stripe.faults.clear()
        self.effects.lose_next_reply = False

    def recover(self) -> list[str]:
        """Compare a restored copy with the systems around it; return why it cannot push yet."""
        with _quickly():
            recovered = recovery.recover(self.line, actor="mia")
        return [*recovered.strays, *recovered.problems]

    def post(self, endpoint: str, body: bytes, delivery_id: str) -> int:
        """Post a signed delivery; return the status of the answer."""
        code = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
        headers = {"X-Hub-Signature": code, "X-Atlassian-Webhook-Identifier": delivery_id}
        if endpoint == "github":
            headers = {
                "X-Hub-Signature-256": code,
                "X-GitHub-Event": "milestone",
                "X-GitHub-Delivery": delivery_id,
            }
        if endpoint == "stripe":
            now = int(self.clock.now().timestamp())
            headers = {"Stripe-Signature": signature(body, SECRET, now)}
        return self._client.post(f"/webhooks/{endpoint}", data=body, headers=headers).status_code

    def activate(self, rates: int) -> None:
        """Activate one of the ways that the rules are written, and price again what may be."""
        self._activate(rates)
        self.remap()

    def _activate(self, rates: int) -> None:
        book = self.rules[rates]
        self._books[book.version] = book
        self.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="torture", now=self.clock.now()
            )
        )

    def remap(self) -> None:
        """Have everything priced again that is not billed."""
        self.database.write(
            lambda connection: replay.remap_all(connection, actor="torture", now=self.clock.now())
        )

    def read_again(self, delivery_id: int) -> None:
        """Have a stored delivery read again."""
        self.database.write(
            lambda connection: replay.replay(
                connection, [delivery_id], actor="torture", now=self.clock.now()
            )
        )

    def approve(self, reference: str) -> None:
        """Approve a draft as it is shown, if it can be."""
        query = "SELECT content, content_hash FROM invoice WHERE reference = ?"
        content, seen = self.database.raw.execute(query, (reference,)).fetchone()
        with suppress(approvals.ApprovalError):
            self.database.write(
                lambda connection: approvals.approve(
                    connection,
                    reference,
                    approved_by="mia",
                    content_hash=seen,
                    now=self.clock.now(),
                )
            )
            self.approved.add(content)


@contextmanager
def _quickly() -> Iterator[None]:
    """Spare the worker what costs time and means nothing here, for as long as the block runs.

    Its conditions become statements once and not at each look; and a keeper of its claims, which
    would write after five seconds, is not started, because the clock stands still.
    """
    with (
        mock.patch.object(worker, "busy_stages", _busy_stages),
        mock.patch.object(worker, "kept", return_value=nullcontext()),
    ):
        yield


def _busy_stages(line: Line) -> list[Stage]:
    now = {"now": line.clock.now()}
    with line.database.read() as connection:
        return [
            stage
            for stage in worker.STAGES
            if connection.execute(_look(stage), now).first() is not None
        ]


def _look(stage: Stage) -> Any:
    if stage.name not in _LOOKS:
        _LOOKS[stage.name] = _statement(stage)
    return _LOOKS[stage.name]


_LOOKS: Final[dict[str, Any]] = {}


def _statement(stage: Stage) -> Any:
    now: Any = bindparam("now", type_=UtcDateTime())
    condition = waits(stage.table, stage.state, now)
    if stage.only is not None:
        condition &= stage.only(now)
    return select(stage.table.c.id).where(condition).limit(1)
