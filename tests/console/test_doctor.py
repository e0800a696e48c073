"""`flask doctor`: each part that is not in order is named, with what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from connectors.http import Request, Response
from console.commands.doctor import doctor
from ledger import versions
from ledger.database import Database
from ledger.errors import OutcomeUnknownError, TransientError
from ledger.heartbeats import beat
from ledger.tables import customer
from line import Line
from mappings.book import Book
from settings import Settings
from tests.ledger.seed import NOW, FixedClock

WORKSPACE = """
format: 1
name: Small firm
time_zone: Europe/Berlin
sources:
  jira-acme:
    tool: jira
    secret: ${JIRA_SECRET}
    url: https://jira.example
    user: ap@firm.example
    token: ${JIRA_TOKEN}
    write_back: yes
  scripts: {tool: generic, secret: ["${NEW_SECRET}", "${OLD_SECRET}"]}
connectors:
  books: {system: file, folder: "FOLDER"}
"""
SECRETS = {
    name: f"{name}-is-long-enough"
    for name in ("JIRA_SECRET", "JIRA_TOKEN", "NEW_SECRET", "OLD_SECRET")
}


class Jira:
    """The HTTP port: answers as a Jira that knows the account, or as `fails` says."""

    fails: Exception | None = None
    status = 200

    def send(self, request: Request) -> Response:
        """Answer one request."""
        if self.fails is not None:
            raise self.fails
        body = json.dumps({"displayName": "Billing at Firm"}).encode()
        return Response(self.status, {"content-type": "application/json"}, body)


class Patient:
    """A small deployment that the doctor looks at."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.http = Jira()
        self.environ = {
            "DATABASE_URL": database.url,
            "BILLHOOK_SECRET_KEY": "k" * 32,
            "BILLHOOK_RULES": str(folder),
            **SECRETS,
        }
        self.write_rules(WORKSPACE.replace("FOLDER", str(folder / "books")))
        self.activate()
        self.database.write(lambda connection: beat(connection, "clock", NOW))

    def write_rules(self, text: str) -> None:
        """Write the rule files."""
        (self.folder / "workspace.yaml").write_text(text)

    def activate(self) -> None:
        """Make the rule files the active version."""
        book = Book.read_folder(self.folder)
        self.database.write(
            lambda connection: versions.activate(
                connection, book.version, book.files, by="mia", now=NOW
            )
        )

    def examined(self, *arguments: str) -> Result:
        """Run `flask doctor`."""
        line = Line(
            Settings.from_env(self.environ),
            environ=self.environ,
            database=self.database,
            clock=FixedClock(),
            http=self.http,
        )
        app = Flask("billhook")
        app.extensions["billhook"] = line
        app.cli.add_command(doctor)
        return app.test_cli_runner().invoke(args=["doctor", *arguments])

    def findings(self, status: str) -> dict[str, str]:
        """Return what the doctor says about the parts with this status."""
        result = self.examined("--json")
        found = json.loads(result.stdout)
        assert result.exit_code == any(each["status"] == "fail" for each in found)
        assert all(each["todo"] for each in found if each["status"] != "ok")
        assert not any(secret in result.output for secret in SECRETS.values())
        return {each["what"]: each["detail"] for each in found if each["status"] == status}


@pytest.fixture
def patient(sqlite_url: str, tmp_path: Path) -> Iterator[Patient]:
    """Give a deployment with which nothing is wrong."""
    (tmp_path / "rules").mkdir()
    database = Database(sqlite_url)
    yield Patient(database, tmp_path / "rules")
    database.close()


def test_a_healthy_deployment_is_ok_throughout(patient: Patient) -> None:
    result = patient.examined()
    assert result.exit_code == 0
    assert {row.split()[0] for row in result.output.splitlines()} == {"ok"}
    assert "answers as Billing at Firm" in result.output
    assert "two live secrets" in result.output


def _set(name: str, value: str) -> Callable[[Patient], None]:
    return lambda patient: patient.environ.update({name: value})


def _jira_fails(error: Exception) -> Callable[[Patient], None]:
    return lambda patient: setattr(patient.http, "fails", error)


def _another_rule_file(patient: Patient) -> None:
    text = (patient.folder / "workspace.yaml").read_text()
    patient.write_rules(text.replace("Small firm", "Smaller firm"))


def _unknown_tool(patient: Patient) -> None:
    text = (patient.folder / "workspace.yaml").read_text()
    patient.write_rules(text.replace("tool: generic", "tool: abacus"))
    patient.activate()


def _unknown_system(patient: Patient) -> None:
    text = (patient.folder / "workspace.yaml").read_text()
    patient.write_rules(text.replace("system: file", "system: ledgerbooks"))
    patient.activate()


def _without_folder(patient: Patient) -> None:
    patient.write_rules(WORKSPACE.replace(', folder: "FOLDER"', ""))
    patient.activate()


def _without_token(patient: Patient) -> None:
    text = (patient.folder / "workspace.yaml").read_text()
    patient.write_rules(text.replace("    token: ${JIRA_TOKEN}\n", ""))
    patient.activate()


def _old_clock(patient: Patient) -> None:
    patient.database.write(lambda connection: beat(connection, "clock", NOW - timedelta(minutes=2)))


def _idle_worker(patient: Patient) -> None:
    long_ago = NOW - timedelta(minutes=2)
    row = {"key": "acme", "state": "waiting", "attempts": 0, "next_at": long_ago}
    patient.database.write(lambda connection: connection.execute(customer.insert().values(row)))


FAILURES = {
    "a short secret": (_set("JIRA_SECRET", "short"), "endpoint jira-acme", "shorter than 16"),
    "a missing secret": (_set("OLD_SECRET", ""), "endpoint scripts", "OLD_SECRET: is not set"),
    "a missing token": (_set("JIRA_TOKEN", ""), "tool jira-acme", "JIRA_TOKEN: is not set"),
    "no Redis": (_set("REDIS_URL", "redis://127.0.0.1:1/0"), "queue", "does not answer"),
    "a bad rule file": (
        lambda patient: patient.write_rules("format: 2\n"),
        "rule files",
        "mistakes",
    ),
    "an unknown tool": (_unknown_tool, "endpoint scripts", 'no tool is called "abacus"'),
    "an unknown system": (_unknown_system, "connector books", '"ledgerbooks"'),
    "a connector without its settings": (_without_folder, "connector books", "has no folder"),
    "a tool that cannot be told": (_without_token, "tool jira-acme", "cannot be called"),
    "refused credentials": (
        lambda patient: setattr(patient.http, "status", 401),
        "tool jira-acme",
        "HTTP 401",
    ),
    "a clock that stands still": (_old_clock, "clock", "120 s ago"),
    "work that nobody takes": (_idle_worker, "worker", "waits for assemble"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_not_in_order_fails_with_what_to_do(patient: Patient, failure: str) -> None:
    spoil, what, said = FAILURES[failure]
    spoil(patient)
    assert said in patient.findings("fail")[what]


WARNINGS = {
    "files that were not activated": (_another_rule_file, "rule files", "differs"),
    "a tool that is away for a moment": (
        _jira_fails(TransientError("cannot connect")),
        "tool jira-acme",
        "cannot connect",
    ),
    "a reply that was lost": (
        _jira_fails(OutcomeUnknownError("no answer")),
        "tool jira-acme",
        "no answer",
    ),
    "private addresses": (_set("BILLHOOK_ALLOW_PRIVATE", "yes"), "settings", "private"),
}


@pytest.mark.parametrize("warning", WARNINGS)
def test_what_may_be_meant_only_warns(patient: Patient, warning: str) -> None:
    spoil, what, said = WARNINGS[warning]
    spoil(patient)
    assert patient.findings("fail") == {}
    assert said in patient.findings("warn")[what]


def test_a_fresh_database_says_what_comes_next(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    environ = {"DATABASE_URL": sqlite_url, "BILLHOOK_SECRET_KEY": "k" * 32}
    line = Line(Settings.from_env(environ), environ=environ, database=database)
    app = Flask("billhook")
    app.extensions["billhook"] = line
    app.cli.add_command(doctor)
    result = app.test_cli_runner().invoke(args=["doctor"])
    assert (result.exit_code, "run `flask rules activate`" in result.output) == (1, True)
    assert "start it with `python clock.py`" in result.output
    database.close()


def test_a_database_that_was_never_migrated_fails_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'blank.sqlite3'}")
    environ = {"DATABASE_URL": database.url, "BILLHOOK_SECRET_KEY": "k" * 32}
    line = Line(Settings.from_env(environ), environ=environ, database=database)
    app = Flask("billhook")
    app.extensions["billhook"] = line
    app.cli.add_command(doctor)
    result = app.test_cli_runner().invoke(args=["doctor"])
    assert (result.exit_code, "run `flask db upgrade`" in result.output) == (1, True)
    assert "rules" not in result.output
    database.close()
