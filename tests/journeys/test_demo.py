"""The demo: a real run ends well, a lost webhook is noticed, and any order gives the same money."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select
from werkzeug.test import Client

import worker
from connectors.github.stand_in import TOKEN as GITHUB_TOKEN
from connectors.github.stand_in import GitHubStandIn
from connectors.http import Http, OutgoingHttp, Request, Response
from connectors.jira.stand_in import TOKEN as JIRA_TOKEN
from connectors.jira.stand_in import JiraStandIn
from connectors.stand_in import InProcess
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.rig import BASE, InProcessHttp
from demo.checks import Checks, check_month
from demo.folder import MARKER, Folder
from demo.furniture import furniture
from demo.problems import DemoError
from demo.processes import free_ports, is_free
from demo.world import ZONE, Posting, World, month, world
from ledger import versions
from ledger.database import Database
from ledger.money import Money
from ledger.tables import invoice
from line import Line
from mappings.book import Book
from settings import Settings
from tests.journeys.house import client

TODAY = date(2026, 11, 22)
SECRETS = {
    "JIRA_SECRET": "only-jira-knows-this",
    "JIRA_MUSEUM_SECRET": "only-the-museum-knows",
    "GITHUB_SECRET": "only-github-knows-this",
    "SCRIPTS_SECRET": "whsec_b25seS10aGUtc2NyaXB0cy1rbm93",
    "STRIPE_WEBHOOK_SECRET": "whsec_only-stripe-knows",
    "STRIPE_API_KEY": "sk_test_of_the_journey",
    "JIRA_TOKEN": JIRA_TOKEN,
    "GITHUB_TOKEN": GITHUB_TOKEN,
    "JIRA_URL": "https://jira.stand-in.example",
    "GITHUB_URL": "https://github.stand-in.example",
    "STRIPE_URL": BASE,
}


@dataclass
class Town:
    """The HTTP port, with the three stand-ins behind it in this process."""

    jira: JiraStandIn
    github: GitHubStandIn
    stripe: StripeStandIn

    def __post_init__(self) -> None:
        self._ports: dict[str | None, Http] = {
            "jira.stand-in.example": InProcess(self.jira),
            "github.stand-in.example": InProcess(self.github),
            "stripe.stand-in.example": InProcessHttp(self.stripe),
        }
        sites = {"jira": Client(self.jira), "github": Client(self.github)}
        for stand_in, path, content in furniture():
            assert sites[stand_in].post(f"/_control/{path}", json=content).status_code == 201

    def send(self, request: Request) -> Response:
        """Send a request to the stand-in that it is meant for."""
        return self._ports[urlsplit(request.url).hostname].send(request)


@dataclass
class Played:
    """A Billhook in this process, to which a month is posted."""

    line: Line
    world: World

    def post(self, postings: list[Posting]) -> Counter[str]:
        """Post in this order, work everything off now and then; count the answers."""
        receiver, answers = client(self.line), Counter[str]()
        for number, posting in enumerate(postings):
            secret = SECRETS[posting.endpoint.upper().replace("-", "_") + "_SECRET"]
            headers = posting.signed(secret, datetime.now(UTC))
            url = f"/webhooks/{posting.endpoint}"
            answer = receiver.post(url, data=posting.body, headers=headers)
            told = {200: "pong", 401: "refused"}
            answers[told.get(answer.status_code) or answer.get_json()["status"]] += 1
            if number % 50 == 0:
                worker.work_off(self.line)
        worker.work_off(self.line)
        return answers

    def invoices(self) -> dict[str, tuple[str, str, Any]]:
        """Return state, total and content of each invoice by its reference."""
        with self.line.database.read() as connection:
            rows = connection.execute(select(invoice)).all()
        return {
            row.reference: (row.state, str(Money(row.total, row.currency)), row.content)
            for row in rows
        }

    def mismatches(self, answers: Counter[str]) -> list[str]:
        """Return what the demo itself would complain about."""
        checks = Checks()
        with self.line.database.read() as connection:
            check_month(checks, connection, self.world.truth, answers)
        return checks.mismatches


@pytest.fixture
def played(sqlite_url: str, tmp_path: Path) -> Iterator[Played]:
    """Give a Billhook with the demo's rules, and the month that it has not been told yet."""
    played_world = world(TODAY)
    with Folder(tmp_path / "demo") as folder:
        folder.copy_rules(played_world.first)
    environ = {
        "DATABASE_URL": sqlite_url,
        "BILLHOOK_RULES": str(folder.rules),
        "BILLHOOK_SECRET_KEY": "k" * 40,
        **SECRETS,
    }
    town = Town(JiraStandIn(), GitHubStandIn(), StripeStandIn(api_key=SECRETS["STRIPE_API_KEY"]))
    line = Line(
        Settings.from_env(environ), environ=environ, http=town, database=Database(sqlite_url)
    )
    book = Book.read_folder(folder.rules)
    line.database.write(
        lambda connection: versions.activate(
            connection, book.version, book.files, by="test", now=line.clock.now()
        )
    )
    yield Played(line, played_world)
    line.database.close()


def test_the_rules_of_the_demo_pass_their_own_tests() -> None:
    book = Book.read_folder(Path("demo/rules"))
    results = book.run_tests()
    assert len(results) >= len(book.customers)
    assert [result.name for result in results if not result.passed] == []


@pytest.mark.parametrize("number", range(1, 13))
def test_every_month_can_be_played(number: int) -> None:
    today = date(2028, number, 1)
    played_month = month(today)
    assert 150 <= len(played_month) <= 300
    assert played_month == month(today)
    assert world(today).truth.correction[2] > 0


def test_the_truth_of_the_month_is_what_the_ledger_says(played: Played) -> None:
    answers = played.post(list(played.world.postings))
    assert played.mismatches(answers) == []


def test_a_lost_worklog_is_noticed(played: Played) -> None:
    postings = list(played.world.postings)
    lost = postings.pop(worklog_to_lose(postings) - 1)
    wrong = "\n".join(played.mismatches(played.post(postings)))
    assert lost.endpoint == "jira"
    assert "total of halden-2026-10" in wrong


def test_any_order_and_three_times_over_gives_the_same_invoices(
    played: Played,
) -> None:
    expected = played.world.truth.totals
    postings = list(played.world.postings) * 3
    random.Random(7).shuffle(postings)
    answers = played.post(postings)
    invoices = played.invoices()
    totals = {reference: told[1] for reference, told in invoices.items()}
    assert totals == {
        reference: f"{amount:,f} {currency}" for reference, (currency, amount) in expected.items()
    }
    assert answers["refused"] == 3 * played.world.truth.answers["refused"]
    played.post(list(played.world.postings))
    assert played.invoices() == invoices


def test_the_demo_empties_only_a_folder_that_it_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("five years of work")
    with pytest.raises(DemoError, match="was not made by the demo"):
        Folder(tmp_path)
    (tmp_path / MARKER).touch()
    with Folder(tmp_path):
        assert not (tmp_path / "thesis.txt").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with Folder(tmp_path / "demo") as first:
        with pytest.raises(DemoError, match="another demo runs in it"):
            Folder(tmp_path / "demo")
        assert first.log("web").parent.is_dir()


def test_a_run_that_lost_a_webhook_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # Its workers are killed besides; that an honest run ends well is seen by `.ci/run`.
    today = datetime.now(ZONE).date()
    place = _place(tmp_path)
    wrong = ["--lose", str(worklog_to_lose(month(today))), "--kill", "2"]
    with _started([sys.executable, "-m", "demo", *place, *wrong]) as demo:
        told = list(_until(demo, "The logs are in"))
        web = f"http://127.0.0.1:{place[-1]}"
        alive = OutgoingHttp(allow_private=True).send(Request("GET", f"{web}/healthz"))
        demo.send_signal(signal.SIGTERM)
        code = demo.wait(timeout=60)
    totals = [line for line in told if line.startswith("WRONG  total of ")]
    assert totals
    assert all(line.startswith("WRONG  total of halden-") for line in totals), totals
    assert sum("it is started again" in line for line in told) == 2
    assert "\x1b" not in "".join(told)
    assert [line for line in told if len(line) > 101 and "/signin?link=" not in line] == []
    assert alive.status == 200
    assert code == 1
    assert _children_in(tmp_path) == []
    assert is_free(int(place[-1]))


def worklog_to_lose(postings: list[Posting]) -> int:
    """Return the number of a posting that nothing else makes up for: a worklog of the shop."""
    bodies = Counter(posting.body for posting in postings)
    for number, posting in enumerate(postings, 1):
        if b'"worklog_created"' in posting.body and b'"issueId": "11002"' in posting.body:
            worklog = posting.body.partition(b'"worklog": {')[2][:13]
            told = sum(worklog in other.body for other in postings)
            if bodies[posting.body] == told == 1 and b"5a-zoe" not in posting.body:
                return number
    raise AssertionError("every worklog of the shop is told twice")


def _place(folder: Path) -> list[str]:
    return ["--folder", str(folder / "demo"), "--port", str(free_ports(1)[0])]


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(process: subprocess.Popen[str], text: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if text in line:
            return
    raise AssertionError(f'the demo ended before it said "{text}"')


def _children_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder, as Linux knows them by their environment."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("only Linux tells the environment of other processes")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"BILLHOOK_RULES={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
