"""An older copy of the ledger is put back: nothing is billed twice, and what it forgot comes back.

Stripe and Jira go on while the ledger goes back in time: that is what a restore is.
"""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

import clock
from connectors.stand_in import Fault
from console.commands import copies as commands
from console.commands import upkeep
from console.commands.doctor import doctor
from console.commands.invoices import settle
from ledger import tables
from ledger.audit import audit
from ledger.auditlog import seal
from ledger.backup import BackupError, back_up
from ledger.database import Database
from tests.databases import PostgresDatabases, database_name, plain_address
from tests.journeys.office import JIRA_ASKED, Office
from tests.services import postgres_programs

OCTOBER, NOVEMBER = "acme-2026-10", "acme-2026-11"
POLL_SECONDS = 3600


class Restorable:
    """An office whose ledger may be put back to where it was."""

    def __init__(self, office: Office, folder: Path, request: pytest.FixtureRequest) -> None:
        self.office = office
        self._folder = folder
        self._request = request
        self._copies = 0

    def run(self, command: Any, *words: str) -> Result:
        """Run a command in the office."""
        app = Flask("commands")
        app.extensions["billhook"] = self.office.line
        return app.test_cli_runner().invoke(command, words)

    def back_up(self) -> Callable[[], None]:
        """Make a backup as an admin does; return what restores it."""
        self._copies += 1
        copy = self._folder / f"copy-{self._copies}.sqlite3"
        done = self.run(commands.backup, str(copy))
        if self.office.line.database.is_sqlite:
            assert done.exit_code == 0, done.output
            return lambda: self._use(f"sqlite:///{copy}")
        assert done.exit_code == 1
        assert "pg_dump" in done.output
        # A database like it is what a dump of it restores, and is there at once.
        url = self.office.line.database.url
        self.office.line.database.close()
        return self._restoring(self._another(template=database_name(url)))

    def dump(self) -> Callable[[], None]:
        """Dump a PostgreSQL ledger as the operations guide says; return what restores it."""
        file = self._folder / "billhook.dump"
        source = plain_address(self.office.line.database.url)
        run_program("pg_dump", "--format=custom", f"--file={file}", source)
        target = self._another()
        run_program("pg_restore", f"--dbname={plain_address(target)}", str(file))
        return self._restoring(target)

    def _another(self, template: str = "template0") -> str:
        server: PostgresDatabases = self._request.getfixturevalue("postgres_server")
        url = server.create(template)
        self._request.addfinalizer(lambda: server.drop(url))
        return url

    def _restoring(self, url: str) -> Callable[[], None]:
        def restore() -> None:
            self._use(url)
            assert self.run(commands.restored).exit_code == 0

        return restore

    def _use(self, url: str) -> None:
        self.office.line.database.close()
        self.office.line.database = Database(url)
        self.office.line._looked_at = float("-inf")


def run_program(name: str, *words: str) -> None:
    """Run one of PostgreSQL's programs; what it complains of fails the test."""
    command = [str(postgres_programs() / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def firm(office: Office, tmp_path: Path, request: pytest.FixtureRequest) -> Restorable:
    """Give an office that bills by Stripe and asks its Jira."""
    office.jira.add_project(10000, "ACME", "Acme")
    office.jira.add_issue(7, "ACME-7", "Login")
    jira = 'jira: {tool: jira, secret: ["${SECRET}", "${OLD_SECRET}"]'
    office.change("workspace.yaml", jira, jira + JIRA_ASKED)
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    clock.tick(office.line, 1)
    office.settle()
    return Restorable(office, tmp_path, request)


def log(office: Office, number: int, seconds: int, on: str = "2026-10-20") -> None:
    """Log time in Jira and let its poll find it."""
    office.clock.go_on(60)
    author = {"accountId": "acc-ana", "displayName": "Ana"}
    office.jira.log(number, 7, seconds, f"{on}T10:00:00.000+0100", author=author)
    office.clock.go_on(POLL_SECONDS)
    office.settle()


def amended_after_a_copy(firm: Restorable) -> Callable[[], None]:
    """Have a draft of 120 EUR amended to 360 EUR after a copy was made; return what restores it."""
    office = firm.office
    log(office, 1, 3600)
    office.bill(OCTOBER)
    office.clock.go_on(3 * 86_400)
    restore = firm.back_up()
    log(office, 1, 10_800)
    office.bill(OCTOBER)
    assert stripes(office) == [(OCTOBER, 36000, "draft")]
    return restore


def stripes(office: Office) -> list[tuple[str, int, str]]:
    """Return reference, total and status of every invoice that Stripe holds."""
    book = office.stripe.book
    held = [book.invoice(remote_id) for remote_id in book.table("invoices")]
    return sorted(
        (one["metadata"]["billhook_reference"], one["total"], one["status"]) for one in held
    )


def promises_are_kept(office: Office) -> None:
    office.line.database.write(seal)
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now()) == []


def test_what_was_pushed_after_the_copy_is_taken_over_and_not_made_again(firm: Restorable) -> None:
    office = firm.office
    log(office, 1, 3600)
    # One draft is there when the copy is made, the other one is not.
    restore = firm.back_up()
    office.bill(OCTOBER)
    log(office, 2, 7200, on="2026-11-20")
    office.bill(NOVEMBER)
    before = stripes(office)
    assert before == [(OCTOBER, 12000, "draft"), (NOVEMBER, 24000, "draft")]

    restore()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    office.approve(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "approved"
    assert stripes(office) == before

    told = firm.run(upkeep.sync, "--restored")
    assert told.exit_code == 0, told.output
    assert "2 invoices had gone out already" in told.output
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000), NOVEMBER: ("pushed", 24000)}
    assert stripes(office) == before
    promises_are_kept(office)
    # And from then on everything is as ever.
    log(office, 3, 3600)
    assert office.invoices()[OCTOBER] == ("pushed", 12000)


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_a_dump_that_is_put_back_as_the_guide_says_bills_nothing_twice(firm: Restorable) -> None:
    office = firm.office
    log(office, 1, 3600)
    restore = firm.dump()
    office.bill(OCTOBER)
    restore()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert stripes(office) == [(OCTOBER, 12000, "draft")]
    # What is new gets numbers of its own: the dump has kept the counters.
    log(office, 2, 7200, on="2026-11-20")
    office.bill(NOVEMBER)
    promises_are_kept(office)


def test_a_draft_that_was_amended_after_the_copy_is_named_before_anything_is_pushed(
    firm: Restorable,
) -> None:
    office, restore = firm.office, amended_after_a_copy(firm)
    # What is told again comes to something else by now.
    log(office, 1, 7200)

    restore()
    for _ in range(2):
        told = firm.run(upkeep.sync, "--restored")
        assert told.exit_code == 1
        (named,) = office.rows(tables.stray)
        assert named["reference"] == OCTOBER
        assert "(360.00 EUR there, 120.00 EUR here)" in named["reason"]
    firm.run(settle, OCTOBER)
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    office.settle()
    assert stripes(office) == [(OCTOBER, 36000, "draft")]


def test_a_draft_that_was_amended_to_what_is_told_again_needs_nobody(firm: Restorable) -> None:
    office, restore = firm.office, amended_after_a_copy(firm)
    restore()
    # The work of that time is told again, and comes to what stands there.
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    assert office.rows(tables.stray) == []
    office.bill(OCTOBER)
    assert office.invoices() == {OCTOBER: ("pushed", 36000)}
    assert stripes(office) == [(OCTOBER, 36000, "draft")]
    promises_are_kept(office)


def test_pushing_waits_and_says_so_until_the_systems_were_asked(firm: Restorable) -> None:
    office = firm.office
    log(office, 1, 3600)
    restore = firm.back_up()
    restore()
    office.approve(OCTOBER)
    office.settle()
    assert stripes(office) == []
    assert "flask sync --restored" in firm.run(doctor).output
    promises_are_kept(office)
    office.clock.go_on(120)
    promises_are_kept(office)
    office.stripe.faults.append({"path": "/v1/invoices", "do": "500_before"})
    told = firm.run(upkeep.sync, "--restored")
    assert told.exit_code == 1
    assert "Could not be asked: stripe" in told.output
    assert stripes(office) == []
    told = firm.run(upkeep.sync, "--restored")
    assert "Pushing goes on." in told.output
    office.settle()
    assert stripes(office) == [(OCTOBER, 12000, "draft")]
    promises_are_kept(office)


def test_a_tool_that_cannot_be_asked_keeps_pushing_waiting(firm: Restorable) -> None:
    office = firm.office
    log(office, 1, 3600)
    restore = firm.back_up()
    restore()
    office.jira.faults.append(Fault("401", path="worklog/updated"))
    told = firm.run(upkeep.sync, "--restored")
    assert told.exit_code == 1
    assert "Could not be asked: jira: changes" in told.output
    assert firm.run(upkeep.sync, "--restored").exit_code == 0


def test_an_invoice_that_changed_meanwhile_is_shown_and_not_pushed_over(firm: Restorable) -> None:
    office = firm.office
    log(office, 1, 3600)
    restore = firm.back_up()
    office.bill(OCTOBER)
    # Work that comes after the push goes onto the next invoice; the copy puts it on the first.
    log(office, 2, 3600)
    before = stripes(office)
    restore()
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    office.settle()
    bill = office.invoice(OCTOBER)
    assert (bill["state"], bill["total"]) == ("draft", 24000)
    assert "and other content (120.00 EUR there, 240.00 EUR here)" in bill["problem"]
    office.approve(OCTOBER)
    office.settle()
    assert stripes(office) == before
    assert "was pushed with other content" in office.invoice(OCTOBER)["problem"]


def test_an_invoice_that_nobody_here_knows_is_named_until_a_person_has_settled_it(
    firm: Restorable,
) -> None:
    office = firm.office
    restore = firm.back_up()
    log(office, 1, 3600)
    office.bill(OCTOBER)
    # The entry has gone from the tool meanwhile: nothing brings this invoice back.
    del office.jira.worklogs[1]
    restore()
    told = firm.run(upkeep.sync, "--restored")
    assert told.exit_code == 1
    assert f"flask invoices settle {OCTOBER}" in told.output
    (stray,) = office.rows(tables.stray)
    assert (stray["reference"], stray["total"], stray["currency"]) == (OCTOBER, 12000, "EUR")
    assert firm.run(settle, OCTOBER).exit_code == 0
    assert firm.run(settle, OCTOBER).exit_code == 1
    assert firm.run(upkeep.sync, "--restored").exit_code == 0


def test_after_a_restore_every_first_push_looks_before_it_creates(firm: Restorable) -> None:
    office = firm.office
    restore = firm.back_up()
    log(office, 1, 3600)
    office.bill(OCTOBER)
    gone, office.jira.worklogs = dict(office.jira.worklogs), {}
    restore()
    firm.run(upkeep.sync, "--restored")
    firm.run(settle, OCTOBER)
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    # Long afterwards somebody has the tool tell its work once more.
    office.jira.worklogs = gone
    log(office, 2, 60, on="2026-11-20")
    office.approve(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "pushed"
    assert [one for one in stripes(office) if one[0] == OCTOBER] == [(OCTOBER, 12000, "draft")]


def test_an_invoice_that_was_sent_is_not_sent_again(firm: Restorable) -> None:
    office = firm.office
    office.change("acme.yaml", "approval: by hand", "approval: by hand\nafter_push: send")
    office.activate()
    log(office, 1, 3600)
    restore = firm.back_up()
    office.bill(OCTOBER)
    assert times_sent(office) == 1
    restore()
    assert firm.run(upkeep.sync, "--restored").exit_code == 0
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "pushed"
    assert times_sent(office) == 1


def times_sent(office: Office) -> int:
    """Return how often Stripe was asked to send an invoice."""
    return sum(n for name, n in office.stripe.requests.items() if name.endswith("/send"))


def test_a_backup_is_one_moment_that_only_its_owner_may_read(
    office: Office, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    firm = Restorable(office, tmp_path, request)
    copy = tmp_path / "copy.sqlite3"
    if not office.line.database.is_sqlite:
        told = firm.run(commands.backup, str(copy))
        assert told.exit_code == 1
        assert f'pg_dump --format=custom --file={copy} "$DATABASE_URL"' in told.output
        assert not copy.exists()
        return
    assert firm.run(commands.backup, str(copy)).exit_code == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    before = copy.read_bytes()
    again = firm.run(commands.backup, str(copy))
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert copy.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} >= {"copy.sqlite3"}
    assert not list(tmp_path.glob(".copy*"))
    with closing(Database(f"sqlite:///{copy}")) as opened, opened.read() as connection:
        assert audit(connection, office.clock.now()) == []
        assert connection.execute(tables.restoration.select()).one().ended_at is None
    assert office.rows(tables.restoration) == []


def test_a_damaged_ledger_gives_no_backup(tmp_path: Path, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("INSERT INTO approval VALUES (1, 99, 'h', 1, 'mia', '2026')")
    copy = tmp_path / "copy.sqlite3"
    with pytest.raises(BackupError, match="approval 1 refers to nothing"):
        back_up(database, copy, datetime.now(UTC))
    assert not list(tmp_path.glob("*copy*"))
    database.close()
