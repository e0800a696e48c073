"""`flask rules plan`, `activate` and `events remap --plan`: what an admin sees before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from console.commands import COMMANDS
from ledger import tables, versions
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

RATE = ("hourly: 120.00", "hourly: 130.00")


class Desk:
    """An office with a command line, and its rule files in a folder."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office = office
        self.folder = folder
        app = Flask("billhook", static_folder=None, template_folder=None)
        app.extensions["billhook"] = office.line
        for command in COMMANDS:
            app.cli.add_command(command)
        self._runner: FlaskCliRunner = app.test_cli_runner()
        folder.mkdir()
        self.write()

    def write(self) -> None:
        """Write the office's rules into the folder."""
        for name, text in self.office.rules.items():
            (self.folder / name).write_text(text)

    def change(self, old: str, new: str, file: str = "acme.yaml") -> None:
        """Change a rule file in the folder."""
        self.office.change(file, old, new)
        self.write()

    def run(self, *words: str, code: int = 0, typed: str | None = None) -> str:
        """Run a command; return what it prints."""
        result = self._runner.invoke(args=words, input=typed)
        assert result.exit_code == code, result.output
        return result.stdout

    def rules(self, command: str, *words: str, code: int = 0, typed: str | None = None) -> str:
        return self.run("rules", command, str(self.folder), *words, code=code, typed=typed)

    @property
    def active(self) -> str | None:
        """Return the active version."""
        with self.office.line.database.read() as connection:
            return versions.active(connection)


@pytest.fixture
def desk(tmp_path: Path, sqlite_url: str) -> Iterator[Desk]:
    """Give an office with two entries of October on a draft, and one that is held."""
    with open_office(tmp_path, sqlite_url) as office:
        office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, day=20))
        office.tell(worklog(3, seconds=3600, account="acc-zoe"))
        yield Desk(office, tmp_path / "rules")


def test_a_plan_says_what_changes_by_how_much_and_why_and_changes_nothing(desk: Desk) -> None:
    before = desk.active
    desk.change(*RATE)
    assert desk.rules("plan").splitlines() == [
        "No draft changes.",
        "",
        "Held for a person: 1 before, 1 after.",
    ]
    assert desk.rules("plan", "--since", "2026-10-01").splitlines() == [
        "acme",
        "  acme-2026-10, draft: 240.00 -> 260.00 EUR (+20.00)",
        "    2 lines: unit price 120.00 -> 130.00; 240.00 -> 260.00 EUR (+20.00)",
        "      such as senior engineering, ACME-7 Login",
        "      was: rate 120.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:12)",
        "      was: 1.00 x 120.00 = 120.00 EUR",
        "      now: rate 130.00 EUR per hour: role senior, from 2026-01-01 (acme.yaml:12)",
        "      now: 1.00 x 130.00 = 130.00 EUR",
        "",
        "In all, acme: 240.00 -> 260.00 EUR (+20.00)",
        "Held for a person: 1 before, 1 after.",
    ]
    assert desk.active == before
    assert desk.office.invoices() == {"acme-2026-10": ("draft", 24000)}


def test_each_line_is_shown_on_request(desk: Desk) -> None:
    desk.change(*RATE)
    told = desk.rules("plan", "--since", "2026-10-01", "--lines")
    assert told.count("1 line: unit price 120.00 -> 130.00; 120.00 -> 130.00 EUR (+10.00)") == 2
    assert "such as" not in told


def test_a_plan_of_one_customer_leaves_the_others_out(desk: Desk) -> None:
    desk.change("net 30", "net 14")
    assert "No draft changes." in desk.rules("plan", "--customer", "beta")
    assert "30 -> 14" in desk.rules("plan", "--customer", "acme")
    desk.change(*RATE)
    planned = desk.rules("plan", "--customer", "beta", "--since", "2026-10-01")
    assert "In all" not in planned
    desk.rules("plan", "--customer", "gamma", code=1)


def test_a_plan_as_json_is_one_document(desk: Desk) -> None:
    desk.change(*RATE)
    for words in ((), ("--since", "2026-10-01")):
        told = json.loads(desk.rules("plan", "--json", *words))
        assert told["since"] == (words[1] if words else None)
        assert told["subjects"]["after"] == {"held": 1, "priced": 2}
        assert told["unread_deliveries"] == 0
    (draft,) = told["drafts"]
    assert (draft["customer"], draft["reference"]) == ("acme", "acme-2026-10")
    assert draft["difference"] == {"minor": 2000, "text": "20.00", "currency": "EUR"}
    (change,) = draft["changes"]
    assert (change["count"], change["why"]) == (2, ["unit price 120.00 -> 130.00"])
    assert told["totals"][0]["after"]["minor"] == 26000


def test_rules_with_mistakes_have_no_plan(desk: Desk) -> None:
    desk.change("hourly: 120.00", "hourly: much")
    assert desk.rules("plan", code=1) == ""


def test_a_strangers_title_cannot_play_with_the_terminal(desk: Desk) -> None:
    desk.office.tell(issue(8, title="red\x1b[31m\nnext"), worklog(8, seconds=60, issue_id=8))
    desk.change(*RATE)
    told = desk.rules("plan", "--since", "2026-10-01", "--lines")
    assert "\x1b" not in told
    assert "red [31m next" in told


def test_activating_since_a_day_prices_again_what_is_not_billed(desk: Desk) -> None:
    desk.change(*RATE)
    told = desk.rules("activate", "--since", "2026-10-15")
    assert told.splitlines()[1] == "1 subjects from 2026-10-15 on are priced again."
    desk.office.settle()
    assert desk.office.invoices() == {"acme-2026-10": ("draft", 25000)}
    assert desk.office.log("events.remapped") == [{"count": 1}]
    assert desk.office.log("rules.activated")[-1] == {"judged_again": 1}
    noted = [row["entity"] for row in desk.office.rows(tables.audit_entry)]
    assert "subjects:since 2026-10-15" in noted
    # The day counts also where the rules are active already.
    told = desk.rules("activate", "--since", "2026-10-01", "--json")
    assert json.loads(told) == {
        "version": desk.active,
        "activated": False,
        "priced_again": 3,
    }


def test_a_release_step_neither_plans_nor_asks(desk: Desk) -> None:
    desk.change(*RATE)
    with mock.patch("planning.scratch_copy", side_effect=AssertionError("no plan is wanted")):
        told = desk.rules("activate")
    assert told.splitlines() == [f"Version {str(desk.active)[:12]} is active now."]


def test_a_plan_can_be_had_where_nobody_watches(desk: Desk) -> None:
    desk.change("net 30", "net 14")
    told = desk.rules("activate", "--plan")
    assert "days until it is due: 30 -> 14" in told
    assert told.splitlines()[-1] == f"Version {str(desk.active)[:12]} is active now."


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Have commands believe that somebody watches them."""
    with mock.patch("console.commands.rules.is_watched", return_value=True):
        yield


@pytest.mark.usefixtures("at_a_terminal")
def test_on_a_terminal_the_plan_is_shown_and_a_no_changes_nothing(desk: Desk) -> None:
    before = desk.active
    desk.change("net 30", "net 14")
    told = desk.rules("activate", typed="n\n", code=1)
    assert "days until it is due: 30 -> 14" in told
    assert desk.active == before
    told = desk.rules("activate", typed="y\n")
    assert told.splitlines()[-1] == f"Version {str(desk.active)[:12]} is active now."
    assert desk.active != before


@pytest.mark.usefixtures("at_a_terminal")
def test_who_is_sure_is_not_asked_and_who_wants_no_plan_gets_none(desk: Desk) -> None:
    desk.change("net 30", "net 14")
    told = desk.rules("activate", "--yes", "--no-plan")
    assert told.splitlines() == [f"Version {str(desk.active)[:12]} is active now."]
    desk.change("net 14", "net 10")
    assert "days until it is due: 14 -> 10" not in desk.rules("activate", "--no-plan", typed="y\n")


def test_a_remap_can_be_planned(desk: Desk) -> None:
    desk.change(*RATE)
    desk.rules("activate")
    desk.office.settle()
    assert "No draft changes." in desk.run("events", "remap", "--plan")
    planned = desk.run("events", "remap", "--since", "2026-10-15", "--plan")
    assert "In all, acme: 240.00 -> 250.00 EUR (+10.00)" in planned
    told = json.loads(desk.run("events", "remap", "--all", "--plan", "--json"))
    assert told["totals"][0]["after"]["minor"] == 26000
    assert desk.office.invoices() == {"acme-2026-10": ("draft", 24000)}
    assert json.loads(desk.run("events", "remap", "--since", "2026-10-15", "--json")) == {
        "subjects": 1
    }
    desk.office.settle()
    assert desk.office.invoices() == {"acme-2026-10": ("draft", 25000)}


def test_a_day_is_written_as_a_day(desk: Desk) -> None:
    desk.rules("plan", "--since", "yesterday", code=2)
