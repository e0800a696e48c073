"""`kill -9` of the worker between Stripe's commit and our record: one invoice each.

The stand-in of Stripe, in a process of its own, tells when it has committed and takes a few
milliseconds to answer; within them the worker, a real process too, is killed and started
again, until the invoice stands. `python -m torture.kills --times 100`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import select
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import structlog
from werkzeug.wrappers import Request

import worker
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.server import serve
from ledger import approvals, claims, database, versions
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.events import Delivery
from ledger.inbox import Inbox
from line import Line
from mappings.book import Book
from settings import Settings

from .crash_firm import CUSTOMER, SECRET, STRIPE_KEY, rules_read_once
from .crash_scenarios import worklog
from .results import LayerResult

NAME: Final = "kills while pushing"
TIMES: Final = 100
LEASE_SECONDS: Final = 0.4
"""What a killed worker held is free again after as long; 20 seconds in production."""
ANSWER_SECONDS: Final = 0.006
"""How long Stripe takes between its commit and its answer."""
COMMITS: Final = 4
"""How often Stripe commits for one invoice: customer, invoice, lines, finalized."""
PATIENCE_SECONDS: Final = 30
"""How long an invoice may take to stand before that is a failure."""
WORKSPACE: Final = """\
format: 1
name: Studio Nord
time_zone: Europe/Berlin
sources:
  jira: {{tool: jira, secret: "${{SECRET}}"}}
connectors:
  stripe: {{system: stripe, api_key: "${{STRIPE_KEY}}", api_base: "{url}"}}
people:
  - {{person: Ana, role: senior, accounts: {{jira: acc-ana}}}}
"""


def run(budget_seconds: float, seed: int) -> LayerResult:
    """Kill a worker a hundred times, or until the budget is used."""
    return kill_workers(TIMES, seed, until=time.monotonic() + budget_seconds)


def kill_workers(times: int, seed: int, *, until: float = float("inf")) -> LayerResult:
    """Kill a worker at as many random moments, each in the push of another invoice."""
    began_at, failures, caught = time.monotonic(), list[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, _quietly(), rules_read_once():
        site = _Stripe(Path(folder))
        firm = _Firm(Path(folder), site.url, times)
        dice, done = random.Random(seed), 0
        try:
            for number in range(1, times + 1):
                if time.monotonic() > until:
                    break
                caught += firm.kill_once(number, site, dice)
                done += 1
        except TimeoutError as error:
            failures.append(str(error))
        finally:
            firm.stop()
            site.stop()
        failures += firm.judge(site.invoices(), done)
    figures: dict[str, int | float | str] = {
        "kills": done,
        "in the middle of a change": sum(caught.values()),
        **{f"killed in {operation}": count for operation, count in sorted(caught.items())},
        "seconds": round(time.monotonic() - began_at, 1),
    }
    return LayerResult(NAME, figures, failures)


class _TellingStripe(StripeStandIn):
    """Stripe's stand-in; after each change it writes a byte to a pipe and takes its time."""

    tells: int
    _is_change = False

    def _answered(self, request: Request, *, is_broken: bool) -> tuple[int, dict[str, Any], bool]:
        self._is_change = request.method != "GET"
        return super()._answered(request, is_broken=is_broken)

    def _commit(self) -> None:
        super()._commit()
        if self._is_change:
            os.write(self.tells, b".")
            time.sleep(ANSWER_SECONDS)


class _Stripe:
    """The process of the stand-in."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / "stripe.json"
        self.committed, tells = os.pipe()
        hears_url, tells_url = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            app = _TellingStripe(state=self._state, api_key=STRIPE_KEY)
            app.tells = tells
            os.write(tells_url, f"{serve(app).url}\n".encode())
            threading.Event().wait()
        os.close(tells)
        os.close(tells_url)
        with os.fdopen(hears_url) as hears:
            self.url = hears.readline().strip()

    def has_committed(self, times: int) -> bool:
        """Wait for as many commits; return False if they do not come."""
        for _ in range(times):
            ready, _, _ = select.select([self.committed], [], [], 2)
            if not ready:
                return False
            os.read(self.committed, 1)
        return True

    def forget(self) -> None:
        """Forget the commits that nobody has waited for."""
        while select.select([self.committed], [], [], 0)[0]:
            os.read(self.committed, 1000)

    def stop(self) -> None:
        """End the process."""
        _kill(self._process)
        os.close(self.committed)

    def invoices(self) -> list[tuple[str, str, int]]:
        """Return reference, status and number of lines of all invoices that it has kept."""
        kept = json.loads(self._state.read_text())["tables"]
        return sorted(
            (row["metadata"]["billhook_reference"], row["status"], len(kept["lines"][key]["data"]))
            for key, row in kept["invoices"].items()
        )


class _Firm:
    """A firm with an approved invoice for each kill, and the worker that is killed."""

    def __init__(self, folder: Path, stripe: str, customers: int) -> None:
        self._path = folder / "billhook.sqlite3"
        self._environ = {
            "DATABASE_URL": f"sqlite:///{self._path}",
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "BILLHOOK_ALLOW_PRIVATE": "yes",
            "SECRET": SECRET,
            "STRIPE_KEY": STRIPE_KEY,
        }
        database.upgrade(self._environ["DATABASE_URL"])
        self._worker = 0
        with self._line() as line:
            self._activate(line, stripe, customers)
            self._log_hours(line, customers)
            worker.work_off(line)

    @contextmanager
    def _line(self) -> Iterator[Line]:
        line = Line(Settings.from_env(self._environ), environ=self._environ)
        yield line
        # No open file of the database is inherited by a worker.
        line.database.close()

    def _activate(self, line: Line, stripe: str, customers: int) -> None:
        acme = CUSTOMER.replace("{send_to}", "stripe").replace("{after_push}", "finalize")
        files = {"workspace.yaml": WORKSPACE.format(url=stripe)}
        for number in range(1, customers + 1):
            own = acme.replace("customer: acme", f"customer: c{number}")
            files[f"c{number}.yaml"] = own.replace("project: ACME", f"project: P{number}")
        book = Book.load(files)
        line.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="mia", now=line.clock.now()
            )
        )

    def _log_hours(self, line: Line, customers: int) -> None:
        inbox = Inbox(line.database, line.clock)
        for number in range(1, customers + 1):
            key = f"P{number}"
            fields = {"summary": "Login", "project": {"id": "1", "key": key}, "labels": []}
            issue = {"id": str(number), "key": f"{key}-1", "fields": fields}
            created = {"timestamp": 1, "webhookEvent": "jira:issue_created", "issue": issue}
            for body in (created, worklog(number, 3600, issue=number)):
                raw = json.dumps(body).encode()
                told = Delivery({}, raw, line.clock.now(), "jira")
                inbox.accept(told, source="jira", delivery_id=None)

    def kill_once(self, number: int, site: _Stripe, dice: random.Random) -> Counter[str]:
        """Have an invoice pushed and kill the worker in it; return in which operation it was.

        Raise TimeoutError if the invoice does not stand in the end.
        """
        if not self._worker:
            self._start_worker()
        site.forget()
        reference = f"c{number}-2026-10"
        self._approve(reference)
        if not site.has_committed(dice.randint(1, COMMITS)):
            raise TimeoutError(f"{reference}: nothing came to Stripe")
        time.sleep(dice.random() * 1.3 * ANSWER_SECONDS)
        self.stop()
        caught = [row[0] for row in self._rows("SELECT operation FROM intent WHERE state = 'sent'")]
        self._start_worker()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._rows("SELECT state FROM invoice WHERE reference = ?", reference) != [
            ("pushed",)
        ]:
            if time.monotonic() > deadline:
                problem = self._rows("SELECT problem FROM invoice WHERE reference = ?", reference)
                raise TimeoutError(f"{reference} does not stand: {problem}")
            time.sleep(0.01)
        return Counter(operation.partition(":")[0] for operation in caught)

    def judge(self, there: list[tuple[str, str, int]], pushed: int) -> list[str]:
        """Return every promise that was broken."""
        ours = sorted(f"c{number}-2026-10" for number in range(1, pushed + 1))
        broken = [
            f"Stripe has {name} {times} times"
            for name, times in Counter(each[0] for each in there).items()
            if times > 1
        ]
        if sorted({each[0] for each in there}) != ours:
            broken.append(f"Stripe has {sorted({each[0] for each in there})}, we pushed {ours}")
        broken += [f"Stripe has {each}" for each in there if each[1:] != ("open", 1)]
        with self._line() as line:
            while line.database.write(seal):
                pass
            with line.database.read() as connection:
                broken += [f"audit: {each}" for each in audit(connection, line.clock.now())]
        return broken

    def stop(self) -> None:
        """Kill the worker, if there is one."""
        if self._worker:
            _kill(self._worker)
        self._worker = 0

    def _start_worker(self) -> None:
        self._worker = os.fork()
        if self._worker == 0:
            # A real process, though one that has its modules loaded already.
            with mock.patch.object(claims, "LEASE_SECONDS", LEASE_SECONDS), self._line() as line:
                worker.loop(line, threading.Event())
            os._exit(1)

    def _approve(self, reference: str) -> None:
        with self._line() as line:
            approve = partial(
                approvals.approve, reference=reference, approved_by="mia", content_hash=None
            )
            line.database.write(partial(approve, now=line.clock.now()))

    def _rows(self, query: str, *values: object) -> list[Any]:
        connection = sqlite3.connect(self._path)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


@contextmanager
def _quietly() -> Iterator[None]:
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    yield
    structlog.configure(**before)


def main() -> int:
    """Kill as often as the command line says; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result = kill_workers(given.times, given.seed)
    for name, value in result.figures.items():
        print(f"{name:28} {value}")
    print("\n".join(result.failures) or "one invoice each")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
