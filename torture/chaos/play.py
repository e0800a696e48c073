"""One storm over one site, from the first posting to the verdict."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from .admin import Admin
from .disk import Disk, NoDiskError
from .judge import Verdict, judge
from .nemesis import Nemesis
from .person import NoAnswerError, Person
from .sender import History, Sender
from .site import Site
from .truth import Truth
from .watch import Recovered, Watch
from .workload import Workload

FAULTY_SHARE: Final = 0.28
"""Of the requests to a billing system. A push makes half a dozen, so most meet a fault;
with many more, most invoices would wait for others, and few would be there to be corrected."""
EVENTS_A_SECOND: Final = {"services": 17.0, "embedded": 11.0}
SETTLE_SECONDS: Final = 60
"""How long a site may take to come to rest once nobody posts and nothing strikes."""
LAST_ROUNDS: Final = 2
"""How often all drafts are approved in the end: a conflict that is decided makes another one."""
AT_REST_LOOKS: Final = 3
"""How many looks in a row must find nothing waiting."""
VISIBLE: Final = timedelta(seconds=2)
"""How long after the last change the project tool surely tells about it."""
HAPPENINGS: Final = (
    *("finalize", "finalize", "finalize", "pay", "pay", "pay"),
    *("void", "delete", "touch"),
)


@dataclass
class Storm:
    """What happened in one storm, and the verdict."""

    kind: str
    seed: int
    folder: Path
    verdict: Verdict
    kills: Counter[str]
    in_vain: Counter[str]
    accidents: Counter[str]
    """By kind, those of the admin included."""
    faults: dict[str, int]
    """Of the billing systems, by kind."""
    told: Counter[str]
    hits: Counter[tuple[str, str]]
    sent: Counter[str]
    person: Counter[str]
    recovered: list[Recovered]
    fenced: int
    """How often a process that had lost its claim was kept from committing."""
    settled_in: float
    up_in: float = 0.0
    left_out: list[str] = field(default_factory=list)


def play(folder: Path, *, kind: str, seed: int, seconds: float) -> Storm:
    """Let a storm of some seconds pass over a new site; return what came of it."""
    dice = random.Random(f"{seed}-{kind}")
    left_out: list[str] = []
    with ExitStack() as ending:
        disk: Disk | None = None
        if kind == "embedded":
            try:
                disk = Disk(folder / "ledger")
                ending.callback(disk.close)
            except NoDiskError as error:
                left_out.append(f"disk full: {error}")
        site = ending.enter_context(Site(folder, kind=kind, seed=seed, faulty_share=FAULTY_SHARE))
        truth, history = Truth(), History(folder / "history.jsonl")
        ending.callback(history.close)
        watch = Watch(site.database_url)
        admin = Admin(site, watch)
        workload = Workload(
            random.Random(dice.random()),
            truth,
            site.jira,
            where=lambda: watch.states,
            raises=lambda: admin.raises,
        )
        sender = Sender(site.port, history, site.secret_of)
        person = Person(
            site.web, site.token, [*site.billing.values()], random.Random(dice.random()), HAPPENINGS
        )
        nemesis = Nemesis(site, watch, sender, random.Random(dice.random()), disk)
        for part in (watch, sender, person, admin):
            part.start()
        rate = EVENTS_A_SECOND[kind]
        worker = _Worker(workload, sender, rate)
        worker.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            site.processes.look_after()
            nemesis.strike()
            time.sleep(0.02)
        nemesis.rest()
        for stop in (worker.stop, admin.stop, person.stop):
            _meanwhile(site, stop)
        faults = _faults(site)
        site.calm()
        settled_in, waits = _settle(site, watch, sender, admin)
        for _ in range(LAST_ROUNDS):
            # What is amended is at its end once it was approved anew, or is blocked.
            _meanwhile(site, person.finish)
            waits = waits or _settle(site, watch, sender, admin)[1]
        for stop in (sender.stop, watch.stop):
            _meanwhile(site, stop)
        verdict = judge(site, truth, history)
        verdict.wrong += [f"not at rest after {SETTLE_SECONDS} s: {each}" for each in waits]
        verdict.wrong += admin.wrong
        if disk and verdict.failures:
            # The disk is gone in a moment.
            shutil.copytree(folder / "ledger", folder / "ledger-kept")
        return Storm(
            kind=kind,
            seed=seed,
            folder=folder,
            verdict=verdict,
            kills=nemesis.kills,
            in_vain=nemesis.in_vain,
            accidents=nemesis.accidents + admin.done,
            faults=faults,
            told=workload.told,
            hits=workload.hits,
            sent=history.counts,
            person=person.done,
            recovered=watch.recovered,
            fenced=_fenced(folder / "logs"),
            settled_in=settled_in,
            up_in=site.up_in,
            left_out=left_out,
        )


class _Worker:
    """The thread in which people work: it makes changes at a steady pace and has them posted."""

    def __init__(self, workload: Workload, sender: Sender, rate: float) -> None:
        self._workload, self._sender, self._rate = workload, sender, rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="people", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Post what was not posted yet, then stop."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        first = [*self._workload.begin(), *self._workload.bulk()]
        begun, done = time.monotonic(), 0
        for posting in first:
            self._sender.post(posting)
        while not self._stopping.is_set():
            for posting in self._workload.next_postings():
                self._sender.post(posting)
            done += 1
            # Whoever had to wait makes up for it, up to twice the usual pace.
            ahead = done / self._rate - (time.monotonic() - begun)
            self._stopping.wait(max(ahead, 0.5 / self._rate))
        for posting in self._workload.rest():
            self._sender.post(posting)


def _meanwhile(site: Site, stop: Callable[[], None]) -> None:
    """Stop a part while the processes are looked after, which it may need to come to its end."""
    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    while stopping.is_alive():
        site.processes.look_after()
        stopping.join(0.05)


def _settle(site: Site, watch: Watch, sender: Sender, admin: Admin) -> tuple[float, list[str]]:
    """Wait until nothing waits; return the seconds that took, and what waits all the same."""
    begun, since = time.monotonic(), datetime.now(UTC) + VISIBLE
    quiet, waits = 0, ["not looked yet"]
    while time.monotonic() - begun < SETTLE_SECONDS:
        site.processes.look_after()
        waits = watch.unsettled(since)
        if sender.waiting:
            waits.append(f"{sender.waiting} deliveries are not taken")
        if watch.stopped() or watch.in_conflict():
            waits.append("an invoice waits until somebody has looked")
            _meanwhile(site, admin.go_on)
        quiet = 0 if waits else quiet + 1
        if quiet == 1:
            settled_in = time.monotonic() - begun
        if quiet >= AT_REST_LOOKS:
            return settled_in, []
        time.sleep(0.3)
    return time.monotonic() - begun, waits


def _faults(site: Site) -> dict[str, int]:
    """Return the faults of the billing systems, one of which may be on its way up again."""
    for _ in range(100):
        site.processes.look_after()
        try:
            return site.faults_of_billing()
        except NoAnswerError:
            time.sleep(0.1)
    return {}


def _fenced(logs: Path) -> int:
    return sum(path.read_bytes().count(b"claim_lost") for path in logs.glob("worker-*.log"))
