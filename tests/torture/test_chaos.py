"""The parts of the storm that can be tried without one: its work, its truth, its judge, its care.

A small month is played in process, and the judge must be content; then it is spoiled, and the
judge must say so. The storm itself is run by `make torture`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection, insert, select, update

import worker
from connectors.http import Http, Request, Response
from connectors.jira.stand_in import TOKEN, JiraStandIn
from connectors.registry import BILLING
from connectors.stand_in import InProcess
from ledger import claims, versions
from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery
from ledger.tables import delivery, invoice, line_item
from line import Line
from mappings.book import Book
from settings import Settings
from tests.journeys.house import TestClock, approve_all, client
from torture.billing.connector import register
from torture.billing.faults import OrderedPlan
from torture.billing.port import InProcessBilling
from torture.billing.profiles import PROFILES, SCALED
from torture.billing.store import Store
from torture.billing.system import TOKEN as BILLING_TOKEN
from torture.billing.system import BillingSystem
from torture.chaos import coverage, scaled, watch
from torture.chaos.bodies import Posting
from torture.chaos.firm import SECRETS, Rules
from torture.chaos.judge import Key, Verdict, judge_ledger
from torture.chaos.nemesis import KILLS, Nemesis
from torture.chaos.person import Person
from torture.chaos.play import Storm
from torture.chaos.processes import Processes, children_of, kill, state_of
from torture.chaos.site import PROFILES as SYSTEMS
from torture.chaos.site import connectors_of
from torture.chaos.truth import Truth
from torture.chaos.workload import CHANGES, OTHERS, STATES, Workload
from webhooks.registry import sources

ROOT = Path(__file__).parent.parent.parent
JIRA = "https://jira.storm.example"
SECRET = "only-the-tests-of-the-storm-know-this"


def workload(seed: int = 1) -> Workload:
    """Return the work of a storm, without a storm."""
    return Workload(random.Random(seed), Truth(), JiraStandIn(), where=dict)


class SmallStorm:
    """The firm of the storm in this process, with its project tool and its billing systems."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = TestClock()
        self.clock.moment = datetime.now(UTC)
        self.work = workload()
        self.systems = {
            name: BillingSystem(
                Store(), PROFILES[name], SCALED, OrderedPlan(), lambda: self.clock.now().timestamp()
            )
            for name in SYSTEMS
        }
        rules = Rules(folder / "rules", connectors_of(SYSTEMS), SYSTEMS)
        rules.write()
        environ = {
            "DATABASE_URL": database_url.replace("postgresql+psycopg", "postgresql"),
            "BILLHOOK_SECRET_KEY": "k" * 40,
            "BILLHOOK_RULES": str(rules.folder),
            "JIRA_URL": JIRA,
            "JIRA_TOKEN": TOKEN,
            "SCRIPTS_SECRET": SECRET,
            "BILLING_TOKEN": BILLING_TOKEN,
            **dict.fromkeys(SECRETS, SECRET),
            **{
                f"BILLING_{name.replace('-', '_').upper()}": f"https://{name}.example"
                for name in SYSTEMS
            },
        }
        self.line = Line(
            Settings.from_env(environ), environ=environ, clock=self.clock, http=self._outside()
        )
        self.line.database.write(self._activate)
        self.client = client(self.line)
        self.acked: set[Key] = set()

    def post(self, postings: list[Posting]) -> None:
        """Post deliveries, which are accepted, and let the worker run."""
        for each in postings:
            answer = self.client.post(
                f"/webhooks/{each.endpoint}", data=each.body, headers=each.headers(SECRET)
            )
            assert answer.status_code == 202
            self.acked.add((each.endpoint, each.known_as, each.body_hash))
        worker.work_off(self.line)

    def play(self, changes: int) -> None:
        """Let people work; what no webhook tells is told here all the same, at the end."""
        postings = [each for _ in range(changes) for each in self.work.next_postings()]
        self.post([*postings, *self.work.rest()])

    def bill(self) -> None:
        """Approve all drafts and push them."""
        approve_all(self.line)
        worker.work_off(self.line)

    def verdict(self, connection: Connection) -> Verdict:
        """Return what the judge says."""
        billed = {name: system.truth() for name, system in self.systems.items()}
        return judge_ledger(connection, self.work.truth, self.acked, billed)

    def _activate(self, connection: Connection) -> None:
        book = Book.read_folder(self.line.settings.rules)
        now = self.clock.now()
        versions.activate(connection, book.version, book.files, by="test", now=now)

    def _outside(self) -> Http:
        sites: dict[str, Http] = {JIRA: InProcess(self.work.jira)}
        for name, system in self.systems.items():
            sites[f"https://{name}.example"] = InProcessBilling(system)
        return _Outside(sites)


class _Outside:
    """Outgoing HTTP that finds each stand-in by its address."""

    def __init__(self, sites: dict[str, Http]) -> None:
        self._sites = sites

    def send(self, request: Request) -> Response:
        """Return the answer of the site that the address names."""
        return next(
            site for address, site in self._sites.items() if request.url.startswith(address)
        ).send(request)


@pytest.fixture
def storm(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SmallStorm]:
    """Give a small storm that has billed once and corrected afterwards."""
    monkeypatch.setattr("torture.chaos.workload.NEVER_TOLD", 0.0)
    # What is registered for the storm is there for nobody else.
    with mock.patch.dict(BILLING):
        register()
        storm = SmallStorm(tmp_path, database_url)
        storm.post(storm.work.begin())
        storm.play(60)
        storm.bill()
        storm.play(60)
        yield storm
    storm.line.database.close()


def test_the_judge_is_content_with_what_billhook_makes_of_the_storms_work(
    storm: SmallStorm,
) -> None:
    with storm.line.database.read() as connection:
        verdict = storm.verdict(connection)
    assert verdict.failures == []
    assert verdict.compared["invoices at billing systems"] > 3
    assert verdict.compared["entries and milestones"] > 30


def _forget_delivery(storm: SmallStorm, connection: Connection) -> None:
    body_hash = next(iter(storm.acked))[2]
    of_it = delivery.c.body_hash == body_hash
    connection.execute(update(delivery).where(of_it).values(body_hash="gone"))


def _forget_line(_: SmallStorm, connection: Connection) -> None:
    is_new_work = (line_item.c.state == "open") & line_item.c.corrects_id.is_(None)
    first = connection.scalar(select(line_item.c.id).where(is_new_work).limit(1))
    connection.execute(update(line_item).where(line_item.c.id == first).values(state="withdrawn"))


def _repeat_line(_: SmallStorm, connection: Connection) -> None:
    row = connection.execute(select(line_item).where(line_item.c.state == "billed").limit(1))
    connection.execute(insert(line_item).values({**row.mappings().one(), "id": 999_999}))


def _take_back_push(_: SmallStorm, connection: Connection) -> None:
    connection.execute(
        update(invoice)
        .where(invoice.c.pushed_content.is_not(None))
        .values(state="draft", pushed_content=None)
    )


def _bill_twice(storm: SmallStorm, _: Connection) -> None:
    store = storm.systems["worst"].store
    there = storm.systems["worst"].truth()[0]
    with store.transaction():
        store.add_lines(store.add_invoice(there, 0.0), there["lines"])


def _charge_a_cent_more(storm: SmallStorm, _: Connection) -> None:
    store = storm.systems["stripe-like"].store
    with store.transaction():
        store.rows("UPDATE line SET amount = amount + 1 WHERE id = 1")


SPOILED: Sequence[tuple[Callable[[SmallStorm, Connection], None], str]] = (
    (_forget_delivery, "lost: delivery"),
    (_forget_line, "lost: jira"),
    (_repeat_line, "doubled: jira"),
    (_take_back_push, "is at the billing system, and draft here"),
    # These two stay: the billing systems have no transaction that a test could take back.
    (_bill_twice, "2 invoices have it"),
    (_charge_a_cent_more, "doubled: acme owes"),
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_judge_sees_what_is_lost_and_what_is_doubled(storm: SmallStorm) -> None:
    for spoil, told in SPOILED:
        with storm.line.database.engine.connect() as connection, connection.begin() as spoiled:
            spoil(storm, connection)
            failures = storm.verdict(connection).failures
            spoiled.rollback()
        assert any(told in each for each in failures), (told, failures)


def test_the_same_seed_invents_the_same_work_and_another_seed_does_not() -> None:
    def played(seed: int) -> list[str]:
        work = workload(seed)
        work.begin()
        for _ in range(200):
            work.next_postings()
        return [f"{e.subject} {e.issue} {e.seconds} {e.on}" for e in work.truth.entries.values()]

    assert played(1) == played(1) != played(2)


def test_everything_of_the_storms_work_happens_and_only_poison_cannot_be_read() -> None:
    work = workload()
    postings = [*work.begin(), *work.bulk()]
    for _ in range(2500):
        postings += work.next_postings()
    postings += work.rest()
    assert {change for _, change in work.hits} == set(CHANGES)
    assert all(work.told[way] >= coverage.LEAST for way in (*coverage.TELLING, *OTHERS))
    assert {each.what for each in postings} == {"event", "repeated", "renamed", "poison"}
    for each in postings:
        headers = {name.lower(): value for name, value in each.headers(SECRET).items()}
        read = Delivery(headers, each.body, datetime.now(UTC), each.endpoint)
        source = sources()["jira" if each.endpoint == "jira" else "generic"]
        if each.what == "poison":
            with pytest.raises((PayloadError, UnsupportedEventTypeError)):
                source.normalize(read)
        else:
            source.normalize(read)


def test_changes_are_steered_to_the_states_that_must_be_tried() -> None:
    states = [*STATES, "blocked", "canceled"]
    work = workload()

    def where() -> dict[str, str]:
        return {name: states[each.number % 7] for name, each in work.truth.entries.items()}

    work.where = where
    work.begin()
    for _ in range(1500):
        work.next_postings()
    met = Counter(state for state, _ in work.hits.elements())
    assert set(met) == set(states)
    assert min(met[state] for state in STATES) > 2 * max(met["blocked"], met["canceled"])


def test_the_nemesis_strikes_each_in_its_turn_and_again_what_was_in_vain() -> None:
    nothing = mock.Mock()
    nemesis = Nemesis(mock.Mock(kind="services"), nothing, nothing, random.Random(1))
    tried: list[str] = []

    def kill(what: str) -> bool:
        tried.append(what)
        return tried.count(what) > 1

    turns = KILLS["services"]
    for _ in range(sum(turns.values()) + len(turns)):
        nemesis._next("kills", KILLS, kill, nemesis.kills)
    assert nemesis.kills == turns
    assert nemesis.in_vain == dict.fromkeys(turns, 1)


def test_the_clock_never_jumps_ahead_by_more_than_the_quiet_period_has_to_spare(
    tmp_path: Path,
) -> None:
    nothing, offset = mock.Mock(), tmp_path / "offset"
    nemesis = Nemesis(mock.Mock(offset=offset), nothing, nothing, random.Random(1))
    offset.write_text("0")
    seen = [0.0]
    for _ in range(200):
        assert nemesis._happen("clock set")
        seen.append(float(offset.read_text()))
    nemesis.rest()
    seen.append(float(offset.read_text()))
    # What is late is shown a second before the quiet period is over, see `scaled.shrink`.
    assert max(after - before for before, after in pairwise(seen)) <= 0.5
    assert -2 <= min(seen) < -1
    assert 0 < max(seen) <= 2


def test_one_draft_of_three_is_left_alone_at_its_billing_system_and_paid_all_the_same() -> None:
    person = Person("http://web.example", "", [], random.Random(1), ["finalize"])
    invoices: list[dict[str, Any]] = [
        {"reference": f"acme-{number}", "state": state, "lines": [], "header": {"lines": 0}}
        for state in ("draft", "open")
        for number in range(300)
    ]
    drafts = [person._fits("finalize", each) for each in invoices[:300]]
    assert 70 < drafts.count(False) < 130
    assert all(person._fits("pay", {**each, "paid": 0}) for each in invoices[300:])


def test_the_watch_sees_what_waits_and_what_is_held(storm: SmallStorm) -> None:
    posting = storm.work.begin()[0]
    storm.client.post("/webhooks/jira", data=posting.body, headers=posting.headers(SECRET))
    now = storm.clock.now()

    def taken(connection: Connection) -> claims.Claim:
        assert watch._waiting(connection)["normalize"] == 1
        return claims.claim(connection, delivery, "waiting", now, 10)

    claimed = storm.line.database.write(taken)
    with storm.line.database.read() as connection:
        assert list(watch._held(connection)) == [("delivery", claimed.ids[0], claimed.token)]


def test_a_run_that_missed_a_case_is_not_valid() -> None:
    every = coverage.wanted([_storm()])
    assert "edit: pushed, paid" in every
    assert "billing fault late_commit" in every
    assert "valkey, emptied" in every
    assert len(coverage.missed([_storm()])) == len(every)
    seen = _storm(faults={"late_commit": coverage.LEAST}, hits={("pushed, paid", "edit"): 4})
    missed = coverage.missed([seen])
    assert not any("late_commit" in each for each in missed)
    assert "edit: pushed, paid (4 of 5)" in missed


def _storm(
    faults: Mapping[str, int] | None = None, hits: Mapping[tuple[str, str], int] | None = None
) -> Storm:
    none: Counter[str] = Counter()
    return Storm(
        kind="services",
        seed=1,
        folder=Path(),
        verdict=Verdict(),
        kills=none,
        in_vain=none,
        accidents=none,
        faults=dict(faults or {}),
        told=none,
        hits=Counter(hits or {}),
        sent=none,
        person=none,
        recovered=[],
        fenced=0,
        settled_in=0.0,
    )


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Give processes of which none outlives the test."""
    with Processes(tmp_path) as processes:
        yield processes


def _soon(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_that_is_killed_is_started_again_and_ends_with_the_run(
    processes: Processes,
) -> None:
    program = processes.add(
        "sleeper", sys.executable, "-c", "import time; time.sleep(60)", environ={}
    )
    first = program.pid
    assert kill(first)
    _soon(lambda: not kill(first))

    def is_back() -> bool:
        processes.look_after()
        return program.starts == 2 and program.is_running

    _soon(is_back)
    assert program.exits == [-signal.SIGKILL]
    second = program.pid
    assert second != first
    processes.stop_all()
    assert state_of(second) is None


def test_what_a_program_has_started_ends_with_it(processes: Processes) -> None:
    forks = "import os, time; os.fork() or os.setpgid(0, 0); time.sleep(60)"
    program = processes.add("parent", sys.executable, "-c", forks, environ={})
    _soon(lambda: children_of(program.pid))
    (child,) = children_of(program.pid)
    processes.stop_all()
    _soon(lambda: state_of(child) in (None, "Z"))


def test_a_claim_tells_which_process_has_made_it() -> None:
    token = scaled._token(16)
    assert len(token) == 32
    assert scaled.owner_of(token) == os.getpid()


def test_a_wait_that_the_product_no_longer_has_is_not_shortened_in_silence() -> None:
    with pytest.raises(AttributeError):
        scaled.override(claims, "LEASE_MINUTES", 1)


def test_the_programs_of_the_storm_are_those_of_the_product_with_shorter_waits() -> None:
    told = (
        "import torture.chaos.programs, stages, worker as w; print(stages.LEASE_SECONDS, w.OUTAGE)"
    )
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == [str(scaled.LEASE_SECONDS), "0:00:06"]


def test_the_clock_of_the_storm_is_wrong_by_what_its_file_says(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("-3600")
    clock = scaled.TortureClock(offset)
    assert 3500 < (datetime.now(UTC) - clock.now()).total_seconds() < 3700
    offset.write_text("0")
    assert abs((datetime.now(UTC) - clock.now()).total_seconds()) < 60
