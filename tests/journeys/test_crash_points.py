"""The process may die before or after every single commit and every request to the outside.

A small month is played once to count the effects; then once for each of them, with a crash
there and a new process afterwards. The invoices are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import worker
from connectors.http import Http, Request, Response
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.rig import BASE, InProcessHttp
from ledger import auditlog
from ledger.claims import LEASE_SECONDS
from ledger.database import Database
from ledger.errors import OutcomeUnknownError
from ledger.tables import invoice
from line import Line
from tests.databases import copy_sqlite
from tests.journeys.house import (
    House,
    TestClock,
    approve_all,
    client,
    invoices,
    issue,
    post,
    worklog,
)

KEY = "sk_test_for_the_crash_points"
CONNECTORS = f'  stripe: {{system: stripe, api_key: "${{STRIPE_API_KEY}}", api_base: "{BASE}"}}'


class Crash(BaseException):
    """The process is gone: nothing after this line happens."""


class Effects:
    """Counts what leaves the process and, at one of them, lets it go wrong.

    A crash after an effect is a crash before the next one: between two effects there is
    nothing but memory. What else can go wrong is that the reply to a request is lost.
    """

    def __init__(self, fault_at: int | None = None, fault: str = "crash") -> None:
        self.count = 0
        self.names: list[str] = []
        self.faults = 0
        self.fault_at = fault_at
        self.fault = fault

    def through(self, name: str, effect: Callable[[], object]) -> object:
        """Let an effect happen, unless it is the one that goes wrong."""
        self.count += 1
        self.names.append(name)
        if self.count != self.fault_at:
            return effect()
        self.faults += 1
        if self.fault == "crash":
            raise Crash(name)
        effect()
        raise OutcomeUnknownError(f"{name}: the reply was lost")


class CountedDatabase(Database):
    """A database whose commits are effects."""

    def __init__(self, url: str, effects: Effects) -> None:
        super().__init__(url)
        self.effects = effects

    def commit(self, commit: Callable[[], None]) -> None:
        """Commit, as an effect."""
        self.effects.through("commit", commit)


class CountedHttp:
    """Outgoing HTTP whose requests are effects."""

    def __init__(self, inner: Http, effects: Effects) -> None:
        self._inner = inner
        self._effects = effects

    def send(self, request: Request) -> Response:
        """Send, as an effect."""
        answer = self._effects.through(
            f"{request.method} {request.url.partition('/v1')[2]}", lambda: self._inner.send(request)
        )
        assert isinstance(answer, Response)
        return answer


class Played:
    """One firm whose process may crash, on a database and a Stripe that survive it."""

    def __init__(self, folder: Path, template: Path, effects: Effects) -> None:
        self.effects = effects
        self.clock = TestClock()
        self.stripe = StripeStandIn(api_key=KEY, now=lambda: int(self.clock.now().timestamp()))
        url = copy_sqlite(template, folder / "billhook.sqlite3")
        environ = {"STRIPE_API_KEY": KEY}
        self.house = House(folder, url, connectors=CONNECTORS, send_to="stripe", environ=environ)
        self.house.activate(self.house.line(clock=self.clock))
        self.start()

    def start(self) -> None:
        """Start a new process: nothing of the old one's memory is left."""
        self.line = self.house.line(
            clock=self.clock,
            database=CountedDatabase(self.house.environ["DATABASE_URL"], self.effects),
            http=CountedHttp(InProcessHttp(self.stripe), self.effects),
        )

    def survive(self, step: Callable[[Line], object]) -> None:
        """Do a step, and do it again in a new process if the process crashed."""
        try:
            step(self.line)
        except Crash:
            self.line.database.close()
            self.clock.go_on(LEASE_SECONDS + 1)
            self.start()
            step(self.line)

    def play(self) -> None:
        """Play a small month: late facts, an edit, a deletion, a push, and its amendment."""
        first = [worklog(1, seconds=3000), worklog(2, seconds=1200, account="acc-ben")]
        second = [
            worklog(3, seconds=7200),
            worklog(1, seconds=6000, version=2, kind="worklog_updated"),
            worklog(3, seconds=7200, version=3, kind="worklog_deleted"),
        ]
        self._post_all([*first, issue(7)])
        self.survive(worker.work_off)
        self._post_all(second)
        self.survive(worker.work_off)
        self.survive(approve_all)
        self._until_pushed("acme-2026-10")
        self._post_all([worklog(2, seconds=2400, version=4, account="acc-ben")])
        self.survive(worker.work_off)
        self.survive(approve_all)
        self._until_pushed("acme-2026-10")
        # What went wrong at the very end is made up for, too.
        self.clock.go_on(LEASE_SECONDS + 1)
        self.survive(worker.work_off)
        self.survive(lambda line: line.database.write(auditlog.seal))

    def _post_all(self, bodies: list[Mapping[str, Any]]) -> None:
        for number, body in enumerate(bodies):
            # The sender was told nothing, so it sends the same delivery again.
            self.survive(partial(_post, body, f"{body['timestamp']}-{number}"))

    def _until_pushed(self, reference: str) -> None:
        for _ in range(4):
            self.survive(worker.work_off)
            if invoices(self.line)[reference][0] == "pushed":
                return
            self.clock.go_on(LEASE_SECONDS + 1)
        with self.line.database.read() as connection:
            problem = connection.scalar(
                select(invoice.c.problem).where(invoice.c.reference == reference)
            )
        pytest.fail(f"{reference} was not pushed: {problem}")

    def remote(self) -> list[tuple[str, int, int]]:
        """Return what Stripe holds: reference, total and number of lines of each invoice."""
        book = self.stripe.book
        held = [book.invoice(remote_id) for remote_id in book.table("invoices")]
        return sorted(
            (row["metadata"]["billhook_reference"], row["total"], len(row["lines"]["data"]))
            for row in held
        )


def _post(body: Mapping[str, Any], delivery_id: str, line: Line) -> int:
    return post(client(line), body, delivery_id)


def test_the_small_month_comes_to_the_right_invoices(tmp_path: Path, sqlite_template: Path) -> None:
    played = Played(tmp_path, sqlite_template, Effects())
    played.play()
    assert {
        reference: (state, content["total"])
        for reference, (state, _, content) in invoices(played.line).items()
    } == {"acme-2026-10": ("pushed", 27000)}
    assert [(name, total) for name, total, _ in played.remote()] == [("acme-2026-10", 27000)]
    assert "/add_lines" in str(played.effects.names)
    assert "/remove_lines" in str(played.effects.names)


SHARES = 4
"""The points are dealt out to as many tests, which may run side by side."""


@pytest.mark.parametrize("share", range(SHARES))
def test_a_crash_at_any_effect_changes_no_invoice(
    tmp_path: Path, sqlite_template: Path, share: int
) -> None:
    calm = _calm(tmp_path, sqlite_template)
    assert calm.effects.count > 60
    for point in range(1 + share, calm.effects.count + 1, SHARES):
        _play_with_fault(tmp_path, sqlite_template, calm, Effects(point))


def test_a_lost_reply_to_any_request_changes_no_invoice(
    tmp_path: Path, sqlite_template: Path
) -> None:
    calm = _calm(tmp_path, sqlite_template)
    requests = [point for point, name in enumerate(calm.effects.names, 1) if name != "commit"]
    assert len(requests) > 5
    for point in requests:
        _play_with_fault(tmp_path, sqlite_template, calm, Effects(point, "lost reply"))


def _calm(folder: Path, template: Path) -> Played:
    (folder / "calm").mkdir()
    calm = Played(folder / "calm", template, Effects())
    calm.play()
    return calm


def _play_with_fault(folder: Path, template: Path, calm: Played, effects: Effects) -> None:
    here = folder / f"point-{effects.fault_at}"
    here.mkdir()
    played = Played(here, template, effects)
    played.play()
    where = f"{effects.fault} at effect {effects.fault_at}"
    where += f" ({calm.effects.names[(effects.fault_at or 1) - 1]})"
    assert effects.faults == 1, f"no {where}"
    assert invoices(played.line) == invoices(calm.line), where
    assert played.remote() == calm.remote(), where
    played.line.database.close()
