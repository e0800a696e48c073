"""Real worker and clock processes, killed and robbed of their Redis: nothing is lost or doubled.

One suite for both ways of waking a worker: by RQ on a real Valkey, and by looking into the
database. Waiting is for a state and not for a time; `PATIENCE` only ends a test that fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
import rq
from sqlalchemy import func, select

from ledger import auditlog
from ledger.audit import audit
from ledger.doorbell import QUEUE
from ledger.tables import delivery, line_item
from line import Line
from tests.journeys.house import House, client, invoices, issue, post, worklog
from tests.services import Service

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60
ENTRIES = 120
WITH_SHORT_LEASES = """
import runpy, sys
from ledger import claims
claims.LEASE_SECONDS = 3
runpy.run_path(sys.argv[1], run_name="__main__")
"""
"""Runs a program whose claims end soon: a test need not wait 20 seconds for what was killed."""


class Firm:
    """A firm on a real database with real processes."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.line: Line = house.line()
        house.activate(self.line)
        self.client = client(self.line)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, program: str) -> subprocess.Popen[bytes]:
        """Start `worker.py` or `clock.py`."""
        log = (self.house.folder / f"{program}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_SHORT_LEASES, str(ROOT / program)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self.house.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        self._running.append(process)
        return process

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self._running:
            process.kill()
            process.wait()
        self.line.database.close()

    def post_entries(self, first: int = 1, last: int = ENTRIES) -> None:
        """Post time entries of 30 minutes each, and the issue that they belong to."""
        assert post(self.client, issue(7), f"issue-{first}") == 202
        for number in range(first, last + 1):
            body = worklog(number, seconds=1800, day=number % 28 + 1)
            assert post(self.client, body, f"entry-{number}") == 202

    def count(self, state: str = "normalized") -> int:
        """Return how many deliveries have come as far as a state."""
        with self.line.database.read() as connection:
            query = select(func.count()).where(delivery.c.state == state)
            return connection.scalar(query) or 0

    def has_read_more_than(self, count: int) -> bool:
        """Return whether more deliveries have been read than a moment ago."""
        return self.count() > count

    def priced(self) -> int:
        """Return how many line items stand."""
        with self.line.database.read() as connection:
            query = select(func.count()).where(line_item.c.state != "withdrawn")
            return connection.scalar(query) or 0

    def are_up(self, program: str, count: int) -> bool:
        """Return whether as many processes of a program have said that they are up."""
        log = (self.house.folder / f"{program}.log").read_text()
        return log.count("_started") >= count

    def total(self) -> int:
        """Return the total of all drafts, in cents."""
        return sum(content["total"] for _, _, content in invoices(self.line).values())


def until(happened: Callable[[], bool], what: str) -> None:
    """Return as soon as something has happened; fail if it does not."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.02)


@pytest.fixture(params=["rings", "looks"])
def firm(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Firm]:
    """Give a firm whose workers are rung by Valkey, and one whose workers look by themselves."""
    redis_url = request.getfixturevalue("redis_url") if request.param == "rings" else None
    firm = Firm(House(tmp_path, sqlite_url, redis_url=redis_url))
    yield firm
    firm.end()


@pytest.fixture
def rung(tmp_path: Path, sqlite_url: str, redis_server: Service) -> Iterator[Firm]:
    """Give a firm with a Valkey of its own, which the test may stop."""
    firm = Firm(House(tmp_path, sqlite_url, redis_url=redis_server.url))
    yield firm
    firm.end()


def everything_is_billed(firm: Firm) -> bool:
    """Return whether each entry is on a draft, once; then every promise must be kept, too."""
    if firm.priced() != ENTRIES or firm.total() != ENTRIES * 6000:
        return False
    firm.line.database.write(auditlog.seal)
    with firm.line.database.read() as connection:
        assert audit(connection, firm.line.clock.now()) == []
    return True


def test_deliveries_become_a_draft_by_themselves(firm: Firm) -> None:
    firm.start("worker.py")
    firm.post_entries()
    until(lambda: everything_is_billed(firm), "all entries on the draft")


def test_two_workers_and_two_clocks_bill_everything_once_and_stop_when_asked(firm: Firm) -> None:
    programs = ("worker.py", "worker.py", "clock.py", "clock.py")
    processes = [firm.start(program) for program in programs]
    firm.post_entries()
    until(lambda: everything_is_billed(firm), "all entries on the draft, once")
    # Who is asked to stop while it still starts ends by the signal itself.
    for program in ("worker.py", "clock.py"):
        until(partial(firm.are_up, program, 2), f"both of {program} are up")
    for process in processes:
        process.terminate()
    assert [process.wait(PATIENCE) for process in processes] == [0, 0, 0, 0]


def test_workers_that_are_killed_in_the_middle_lose_and_double_nothing(firm: Firm) -> None:
    firm.start("clock.py")
    for share in range(3):
        worker = firm.start("worker.py")
        before = firm.count()
        firm.post_entries(share * 40 + 1, share * 40 + 40)
        until(partial(firm.has_read_more_than, before), "the worker is at work")
        worker.kill()
        worker.wait()
    firm.start("worker.py")
    until(lambda: everything_is_billed(firm), "what the killed workers held is made up for")


@pytest.mark.postgres
def test_postgresql_serves_real_workers(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    firm = Firm(House(tmp_path, postgres_url, redis_url=redis_url))
    try:
        for program in ("worker.py", "worker.py", "clock.py"):
            firm.start(program)
        firm.post_entries()
        until(lambda: everything_is_billed(firm), "all entries on the draft")
    finally:
        firm.end()


def test_an_emptied_redis_costs_nothing_but_a_moment(rung: Firm) -> None:
    rung.post_entries()
    connection = redis.Redis.from_url(rung.house.environ["REDIS_URL"])
    assert connection.llen(f"rq:queue:{QUEUE}") > 0
    connection.flushall()
    rung.start("worker.py")
    rung.start("clock.py")
    until(lambda: everything_is_billed(rung), "the clock has rung again")


def test_deliveries_are_taken_while_redis_is_away(rung: Firm, redis_server: Service) -> None:
    rung.start("worker.py")
    rung.start("clock.py")
    rung.post_entries(1, ENTRIES // 2)
    # A worker that is answering a ring is the harder case: RQ then gives up.
    until(lambda: rung.count() > 0, "the worker is at work")
    redis_server.stop()
    rung.post_entries(ENTRIES // 2 + 1, ENTRIES)
    redis_server.start()
    until(lambda: everything_is_billed(rung), "worker and clock have come back")


def test_a_job_that_names_another_function_is_not_run(rung: Firm) -> None:
    trace = rung.house.folder / "trace"
    connection = redis.Redis.from_url(rung.house.environ["REDIS_URL"])
    hostile = rq.Queue(QUEUE, connection=connection, serializer="json")
    job = hostile.enqueue("os.system", f"touch {trace}")
    rung.start("worker.py")
    rung.post_entries()
    until(lambda: everything_is_billed(rung), "rings are answered all the same")
    until(lambda: not connection.exists(job.key) or job.is_failed, "the job was refused")
    assert not trace.exists()
