"""A row that kills whoever works on it is set aside after five tries; nothing else waits for it.

Each try is a process of its own, forked here or by RQ, that really ends by `os._exit`. The lease
of a dead worker is the test's clock's, so nothing is waited for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rq.serializers import JSONSerializer
from sqlalchemy import Connection, update
from sqlalchemy.exc import OperationalError

import worker
from ledger import deliveries, replay, tables
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.claims import LEASE_SECONDS, MOST_ATTEMPTS, NEVER, claim
from ledger.doorbell import RedisDoorbell, Ring, RingWorker, bell_queue, connect
from stages import Stage
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"
POISON = "Drop everything"


class Mortal:
    """An office whose worker's processes die of what a test has poisoned."""

    def __init__(self, office: Office, try_once: Callable[[], None], deaths: Path) -> None:
        self.office = office
        self.try_once = try_once
        self._deaths = deaths

    def die(self) -> None:
        """End this process at once, as the kernel does where memory runs out."""
        with self._deaths.open("ab") as file:
            file.write(b".")
        os._exit(1)

    @property
    def deaths(self) -> int:
        """Return how many processes have died."""
        return self._deaths.stat().st_size if self._deaths.exists() else 0

    def try_on(self, times: int = 2 * MOST_ATTEMPTS) -> None:
        """Let worker after worker try, each when the one before has lost its lease."""
        for _ in range(times):
            self.try_once()
            self.office.clock.go_on(LEASE_SECONDS + 1)


@pytest.fixture(params=["looks", "rings"])
def mortal(
    request: pytest.FixtureRequest,
    office: Office,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Mortal:
    """Give an office whose workers look by themselves, and one whose workers are rung by RQ."""
    if request.param == "looks":
        return Mortal(office, lambda: _forked(office), tmp_path / "deaths")
    url = request.getfixturevalue("redis_url")
    monkeypatch.setattr(office.line, "doorbell", RedisDoorbell(url))
    monkeypatch.setattr(worker, "_line", lambda: office.line)

    def try_once() -> None:
        office.line.doorbell.ring("normalize")
        redis = connect(url)
        RingWorker(
            [bell_queue(redis)], connection=redis, job_class=Ring, serializer=JSONSerializer
        ).work(burst=True, logging_level="CRITICAL")

    return Mortal(office, try_once, tmp_path / "deaths")


def _forked(office: Office) -> None:
    child = os.fork()
    if child == 0:
        try:
            office.line.database.forget_connections()
            worker.work_off(office.line)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def poison_reading(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whoever reads the poisoned delivery die."""
    read = worker._read

    def deadly(stored: Any) -> Any:
        if POISON.encode() in stored.request.body:
            mortal.die()
        return read(stored)

    monkeypatch.setattr(worker, "_read", deadly)


def test_a_delivery_that_kills_its_reader_is_set_aside_and_the_others_are_billed(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = mortal.office
    poison_reading(mortal, monkeypatch)
    bodies = [issue(7), issue(8, title=POISON), worklog(1, seconds=3600)]
    for body in bodies:
        assert office.post(body) == 202
    mortal.try_on()
    assert mortal.deaths == MOST_ATTEMPTS == 5
    states = [row["state"] for row in office.rows(tables.delivery)]
    assert states == ["ignored", "failed", "normalized"]
    poisoned = office.rows(tables.delivery)[1]
    assert poisoned["reason"].startswith("normalize has stopped the worker 5 times in a row")
    assert poisoned["since_at"] is not None
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    office.line.database.write(seal)
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now()) == []


def test_one_that_was_set_aside_gets_five_new_tries_when_a_person_asks(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = mortal.office
    poison_reading(mortal, monkeypatch)
    assert office.post(issue(7, title=POISON)) == 202
    mortal.try_on(MOST_ATTEMPTS + 1)
    (row,) = office.rows(tables.delivery)

    def again() -> None:
        office.line.database.write(
            lambda connection: replay.replay(
                connection, [row["id"]], actor="mia", now=office.clock.now()
            )
        )

    again()
    mortal.try_on(MOST_ATTEMPTS + 1)
    assert mortal.deaths == 2 * MOST_ATTEMPTS
    # And where a release has mended what was deadly, it goes on as if nothing had been.
    monkeypatch.undo()
    again()
    office.settle()
    (row,) = office.rows(tables.delivery)
    assert (row["state"], row["reason"], row["unended"]) == ("ignored", row["reason"], 0)
    assert "killed" not in row["reason"]


def test_what_a_killed_worker_held_is_claimed_in_ever_smaller_batches(office: Office) -> None:
    for number in range(1, 10):
        assert office.post(worklog(number, seconds=3600)) == 202
    normalize = next(stage for stage in worker.STAGES if stage.name == "normalize")
    line = office.line

    def claimed() -> int:
        """Claim a batch whose worker dies."""
        return len(
            line.database.write(
                lambda connection: claim(
                    connection, normalize.table, "waiting", office.clock.now(), normalize.most
                )
            ).ids
        )

    # 500 at most at the first try, then 62, 7, and one by one.
    for batches in ([9], [9], [7, 2], [1] * 9):
        assert [claimed() for _ in (*batches, "one more")] == [*batches, 0]
        office.clock.go_on(LEASE_SECONDS + 1)


@pytest.mark.parametrize("stage", worker.STAGES, ids=lambda stage: stage.name)
def test_every_stage_sets_aside_what_has_stopped_the_worker_five_times(
    office: Office, stage: Stage
) -> None:
    begin(office)
    now = office.clock.now()
    state = stage.state if isinstance(stage.state, str) else "pushed"
    values: dict[str, Any] = {"state": state, "next_at": now, "attempts": 5}
    values["unended"] = MOST_ATTEMPTS
    table = stage.table
    if table is tables.invoice:
        values |= {"sync_at": now, "approval": "automatic", "due_at": now, "warnings": []}
    office.line.database.write(
        lambda connection: connection.execute(update(table).values(**values))
    )
    assert worker.run(office.line, stage) == 0
    for row in office.rows(table):
        told = row["problem"] if table is tables.invoice else row["reason"]
        assert told.startswith(f"{stage.name} has stopped the worker 5 times")
        assert row["since_at"] == now
        assert row["next_at"] == NEVER or row["state"] != state
    assert stage not in worker.busy_stages(office.line)


def begin(office: Office) -> None:
    """Have a row in the table of each stage."""
    office.tell(issue(7), worklog(1, seconds=3600))
    (bill,) = office.rows(tables.invoice)
    rows: dict[Any, dict[str, Any]] = {
        tables.fact: {"endpoint": "jira", "about": "issue:9", "version": 0, "digest": ""},
        tables.hint: {"endpoint": "stripe", "subject": "invoice:in_1"},
        tables.poll: {"endpoint": "jira", "what": "changes"},
        tables.report: {"endpoint": "jira", "marker": "m", "invoice_id": bill["id"]},
    }
    rows[tables.fact] |= {"labels": [], "fields": {}}
    rows[tables.report] |= {"subject": "worklog:1", "content": {}}

    def keep(connection: Connection) -> None:
        for table, values in rows.items():
            leased = {"next_at": office.clock.now(), "state": "told"}
            connection.execute(table.insert().values(**leased, **values))

    office.line.database.write(keep)


def test_a_broken_database_is_no_rows_doing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for minutes must not set aside what happens to be at hand."""
    office.tell(issue(7), worklog(1, seconds=3600))

    def full(*_: object, **__: object) -> None:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    monkeypatch.setattr(deliveries, "load", full)
    assert office.post(worklog(2, seconds=3600)) == 202
    for _ in range(2 * MOST_ATTEMPTS):
        with pytest.raises(OperationalError):
            office.settle()
        office.clock.go_on(2)
    row = office.rows(tables.delivery)[-1]
    assert (row["state"], row["attempts"], row["unended"]) == ("waiting", 0, 0)
    monkeypatch.undo()
    office.settle()
    assert office.rows(tables.delivery)[-1]["state"] == "normalized"
