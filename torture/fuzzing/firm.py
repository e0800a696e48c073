"""A firm that takes deliveries of every tool and bills whatever they say.

Each source of `webhooks/registry.py` is an endpoint, and the rules price everything, so that what
a stranger writes gets as far down the line as it can. `Firm.post` signs, so that nothing is turned
away at the door for its signature alone.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

from sqlalchemy import func, select

import webhooks
import worker
from app import create_app
from ledger import tables, versions
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.database import Database, upgrade
from ledger.events import FOUND, Delivery
from ledger.inbox import Inbox
from line import Line
from mappings.book import Book
from mappings.judging import judge
from settings import Settings
from stages import Stage
from webhooks.registry import sources
from webhooks.signatures import AnyOf, Signature
from webhooks.source import Source

SECRET: Final = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="
SITE: Final = "https://billhook.example"
MOST_CPU_SECONDS: Final = 0.25
"""What one delivery may cost at the door, in reading, and in pricing: each."""
NOW: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_KNOWN_STATES: Final = frozenset(("normalized", "ignored", "unsupported", "unreadable", "asked"))
_WITH_REASON: Final = frozenset(("ignored", "unsupported", "unreadable", "failed"))

WORKSPACE: Final = """\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
{sources}
connectors:
  files: {{system: file, folder: {folder}}}
"""
CUSTOMER: Final = """\
format: 1
customer: anybody
name: Anybody
billing_email: ap@anybody.example
currency: EUR
send_to: files
terms: net 30
invoice: monthly
approval: by hand
takes: {project: "*"}
rules:
  - rule: Hours
    when: {event: [time.logged, time.total]}
    bill:
      description: "{item} {title} {person} {labels} {activity} {project}"
      quantity: hours
      round: up to 15 minutes per entry
      unit_price: 123.45
  - rule: Expenses
    when: {event: expense.logged}
    bill: {description: "{title}, {date}", quantity: 1, unit_price: cost, markup: 10 %}
  - rule: Usage
    when: {event: usage.recorded}
    bill: {description: "{title}, {month}", quantity: units, unit_price: 4500.00}
  - rule: Everything else
    when: {}
    bill: {description: "{title} {item} {date}", quantity: 1, unit_price: 4500.00}
    invoice: at once
when_no_rule_fits: hold
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A recorded delivery of a source, to be spoiled."""

    source: Source
    name: str
    headers: Mapping[str, str]
    body: Any

    @property
    def is_found(self) -> bool:
        """Return whether a tool's API told it, so that it never comes through the door."""
        return FOUND in {name.lower() for name in self.headers}


def examples(source: Source) -> list[Example]:
    """Return every payload that stands beside a source, one of those that differ by a name."""
    folder = Path(next(iter(webhooks.__path__))) / source.key / "payloads"
    found = []
    for file in sorted(folder.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        one = json.loads(text).get("each", [""])[0]
        told = json.loads(text.replace("$each", one))
        found.append(Example(source, file.stem, told["headers"], told["body"]))
    return found


@dataclass
class Cost:
    """The most CPU seconds that one delivery took, by what was done with it."""

    most: dict[str, float] = field(default_factory=dict)
    dear: list[str] = field(default_factory=list)
    """What took longer than it may."""

    @contextmanager
    def of(self, what: str, told: Callable[[], str]) -> Iterator[None]:
        """Measure a block; `told` says which delivery it was."""
        begun = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - begun
            self.most[what] = max(self.most.get(what, 0.0), spent)
            if spent > MOST_CPU_SECONDS:
                self.dear.append(f"{what} took {spent:.2f} s: {told()}")


class StillClock:
    """A clock that goes on by one second with each delivery."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment


class Firm:
    """One installation on one database, with the means to post to it and to judge it."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = StillClock()
        self.cost = Cost()
        self.broken: list[str] = []
        """What broke in a stage, which nothing that a stranger sends may do."""
        environ = {
            "DATABASE_URL": database_url.replace("postgresql+psycopg", "postgresql"),
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "BILLHOOK_URL": SITE,
            "SECRET": SECRET,
        }
        settings = Settings.from_env(environ)
        self.line = Line(settings, environ=environ, clock=self.clock)
        self.app = create_app(self.line)
        self.client = self.app.test_client()
        self.inbox = Inbox(self.line.database, self.clock)
        named = "".join(
            f'  {_endpoint(key)}: {{tool: {key}, secret: "${{SECRET}}"}}\n'
            for key, source in sources().items()
            if source.signature is not None
        )
        polled = "".join(
            f"  {_endpoint(key)}: {{tool: {key}, only_polled: yes}}\n"
            for key, source in sources().items()
            if source.signature is None
        )
        workspace = WORKSPACE.format(sources=named + polled, folder=folder / "out")
        book = Book.load({"workspace.yaml": workspace, "anybody.yaml": CUSTOMER})
        self.line.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="fuzz", now=self.clock.now()
            )
        )

    def post(self, example: Example, body: bytes, headers: Mapping[str, str], told: str) -> int:
        """Post a body as its tool would, signed; return the status. What the API tells is stored.

        `told` says how to make the body again, for a failure.
        """
        self.clock.moment += timedelta(seconds=1)
        source = example.source
        if example.is_found or source.signature is None:
            lower = {name.lower(): value for name, value in headers.items()}
            delivery = Delivery(lower, body, self.clock.now(), _endpoint(source.key))
            self.inbox.accept(delivery, source=source.key, delivery_id=None)
            return 202
        now = self.clock.now()
        path, body, signed = signed_as(source.signature, source.key, body, headers, now)
        event = next((word for word in headers.values() if word in source.url_events), None)
        if event is not None:
            path = path.replace(f"/{_endpoint(source.key)}", f"/{_endpoint(source.key)}/{event}", 1)
        with self.cost.of("receiving", lambda: told):
            answer = self.client.post(path, data=body, headers=signed)
        return answer.status_code

    def settle(self) -> None:
        """Let the line run until nothing waits; remember what broke and what was dear."""
        self.clock.moment += timedelta(seconds=60)
        with (
            mock.patch.object(worker, "_read", self._timed("reading", worker._read, _delivery)),
            mock.patch.object(worker, "judge", self._timed("pricing", judge, _present)),
            mock.patch.object(worker, "_give_back", self._note_broken),
        ):
            worker.work_off(self.line)
        self.line.database.write(seal)

    def states(self) -> Counter[str]:
        """Return how many deliveries and subjects are in each state."""
        found: Counter[str] = Counter()
        with self.line.database.read() as connection:
            for table in (tables.delivery, tables.subject):
                query = select(table.c.state, func.count()).group_by(table.c.state)
                found.update({f"{table.name} {state}": n for state, n in connection.execute(query)})
        return found

    def _timed(
        self, what: str, work: Callable[..., Any], told: Callable[..., str]
    ) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            with self.cost.of(what, lambda: told(*given)):
                return work(*given)

        return timed

    def _note_broken(self, line: Line, stage: Stage, claimed: Any, error: Exception) -> None:
        self.broken.append(
            f"{stage.name} of {list(claimed.ids)[:5]}: {type(error).__name__}: {error}"
        )
        _GIVE_BACK(line, stage, claimed, error)

    def wrong(self) -> list[str]:
        """Return what is not as it must be, whatever was posted: empty if all is well."""
        wrong = [*self.broken, *self.cost.dear]
        with self.line.database.read() as connection:
            for row in connection.execute(
                select(tables.delivery.c.id, tables.delivery.c.state, tables.delivery.c.reason)
            ):
                if row.state not in _KNOWN_STATES:
                    wrong.append(f"delivery {row.id} is {row.state}: {row.reason}")
                if row.state in _WITH_REASON and not row.reason:
                    wrong.append(f"delivery {row.id} is {row.state} without a reason")
            held = select(tables.subject.c.name, tables.subject.c.state, tables.subject.c.reason)
            wrong += [
                f"subject {row.name!r} is {row.state}: {row.reason}"
                for row in connection.execute(held)
                if row.state == "failed" or (row.state == "held" and not row.reason)
            ]
            blocked = select(tables.invoice.c.reference).where(
                tables.invoice.c.problem.is_not(None)
            )
            wrong += [f"invoice {reference}" for reference in connection.scalars(blocked)]
            wrong += [
                f"audit: {each.invariant} {each.entity}: {each.detail}"
                for each in audit(connection, self.clock.now())
            ]
        return wrong

    def close(self) -> None:
        """Close the database."""
        self.line.database.close()


_GIVE_BACK: Final = worker._give_back


def new_firm(folder: Path) -> Firm:
    """Return a firm on a new SQLite file in a folder."""
    url = f"sqlite:///{folder / 'billhook.sqlite3'}"
    upgrade(url)
    Database(url).close()
    return Firm(folder, url)


def signed_as(
    signature: Signature, key: str, body: bytes, headers: Mapping[str, str], now: datetime
) -> tuple[str, bytes, dict[str, str]]:
    """Return where a tool posts to, which bytes, and with which headers."""
    scheme = signature.schemes[0] if isinstance(signature, AnyOf) else signature
    body = scheme.stamped(body, now)
    url = scheme.addressed(f"{SITE}/webhooks/{_endpoint(key)}", SECRET)
    unsigned = {
        name: value for name, value in headers.items() if name.lower() not in signature.headers
    }
    number = unsigned.get("webhook-id", f"msg_{abs(hash(body)) % 10**12}")
    added = scheme.sign(body, SECRET, delivery_id=number, now=now, url=url)
    return url.removeprefix(SITE), body, {"Content-Type": "application/json", **unsigned, **added}


def _endpoint(key: str) -> str:
    return key.replace("_", "-")


def _delivery(stored: Any) -> str:
    return f"{stored.source} {stored.request.body[:300]!r}"


def _present(*given: Any) -> str:
    return f"{given[1:]!r:.600}"
