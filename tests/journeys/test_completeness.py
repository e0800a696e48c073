"""Completeness: whatever webhooks a tool loses, doubles or mixes up, the certificate names it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import Result
from flask import Flask

from connectors.registry import project_connectors
from console.commands.reconcile import reconcile as _reconcile  # noqa: F401 - joins the group
from console.commands.sources import sources as sources_command
from ledger import auditlog, tables
from ledger.audit import audit
from tests.journeys.office import JIRA_ASKED, TOGGL_ASKED, Office, open_office
from tests.journeys.tools import TOOLS, Message, Timesheet, TimesheetConnector, Tool

OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    """Give an office whose tools can be asked for their entries."""
    registry = {**project_connectors(), "generic": TimesheetConnector}
    with (
        mock.patch("line.project_connectors", return_value=registry),
        mock.patch("reconciliation.project_connectors", return_value=registry),
        open_office(tmp_path, database_url) as office,
    ):
        office.change(
            "workspace.yaml",
            "  scripts: {tool: generic,",
            f'  toggl: {{tool: toggl, secret: "${{SECRET}}"{TOGGL_ASKED}}}\n'
            '  silent: {tool: toggl, secret: "${SECRET}"}\n'
            '  scripts: {tool: generic, token: "${JIRA_TOKEN}",',
        )
        office.change("workspace.yaml", '"${OLD_SECRET}"]', f'"${{OLD_SECRET}}"]{JIRA_ASKED}')
        office.change(
            "workspace.yaml",
            "{jira: acc-ana}",
            '{jira: acc-ana, scripts: acc-ana, toggl: "61"}',
        )
        office.activate()
        yield office


@pytest.fixture
def tool(office: Office) -> Timesheet:
    """Give the simulated tool that is not another's."""
    return Timesheet(office)


def reconcile(office: Office, *words: str, endpoint: str = "scripts") -> Result:
    app = Flask("billhook")
    app.extensions["billhook"] = office.line
    app.cli.add_command(sources_command)
    period = () if "--period" in words else ("--period", "2026-10")
    return app.test_cli_runner().invoke(args=["sources", "reconcile", endpoint, *period, *words])


def certificate(office: Office, *words: str, endpoint: str = "scripts") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(reconcile(office, "--json", *words, endpoint=endpoint).stdout)
    return told


def named(found: dict[str, Any]) -> dict[str, set[str]]:
    return {
        part: {gap["subject"] for gap in found[part]}
        for part in ("missing", "differing", "removed")
    }


def assert_good(office: Office) -> None:
    while office.line.database.write(auditlog.seal):
        pass
    with office.line.database.read() as connection:
        assert audit(connection, office.clock.now()) == []


@pytest.mark.parametrize("made", TOOLS)
def test_what_a_careless_tool_lost_is_named_and_healed(office: Office, made: type[Tool]) -> None:
    """10 % of the webhooks are lost, 10 % come twice, all in disorder; some are never sent."""
    tool, chance, entries = made(office), random.Random(41), 120
    for number in range(entries):
        day = OCTOBER[0] + timedelta(days=chance.randrange(31))
        tool.write(number, chance.randrange(60, 30000), day)
    for number in chance.sample(range(entries), 40):
        day = date.fromisoformat(tool.standing[tool.subject(number)][0])
        day = chance.choice([day, day, date(2026, 9, 30), date(2026, 11, 1)])
        tool.write(number, chance.randrange(60, 30000), day)
    for number in chance.sample(range(entries), 12):
        tool.delete(number, silently=number % 2 == 0)
    arriving: list[tuple[int, Message]] = []
    for place, message in enumerate(tool.outbox):
        luck = chance.random()
        arriving += [(place, message)] * (0 if luck < 0.1 else 2 if luck < 0.2 else 1)
    chance.shuffle(arriving)
    tool.send(*(message for _, message in arriving))
    office.bill("acme-2026-10")

    told = {message.subject: message.stands for _, message in sorted(arriving, key=_place)}
    expected: dict[str, set[str]] = {"missing": set(), "differing": set(), "removed": set()}
    for name in tool.standing.keys() | told.keys():
        there, here = tool.standing.get(name), told.get(name)
        if there is not None and not there[0].startswith("2026-10"):
            there = None
        if there is None and here is not None and here[0].startswith("2026-10"):
            # That it moved, not that it is gone, is learned when it is asked for.
            expected["removed"].add(name)
        elif there is not None and there != here:
            expected["missing" if here is None else "differing"].add(name)
    assert all(len(some) >= 2 for some in expected.values()), "the tool was too careful"
    count = sum(map(len, expected.values()))

    office.clock.go_on(60)
    found = certificate(office, endpoint=tool.endpoint)
    assert named(found) == expected
    assert (found["equation"]["holds"], found["clean"]) == (True, False)
    before = len(office.rows(tables.delivery))
    result = reconcile(office, "--heal", endpoint=tool.endpoint)
    assert result.exit_code == 0, result.output
    assert len(office.rows(tables.delivery)) - before == count
    (log,) = office.log("entries.healed")
    assert (log["first"], log["last"]) == ("2026-10-01", "2026-10-31")
    assert log["missing"] + log["differing"] + log["removed"] == count

    found = certificate(office, endpoint=tool.endpoint)
    assert (found["clean"], named(found)) == (True, {part: set() for part in expected})
    in_october = [seconds for on, seconds in tool.standing.values() if on.startswith("2026-10")]
    assert found["in_tool"] == {"entries": len(in_october), "seconds": sum(in_october)}
    # What moved out of October stands where it moved to; nothing stands twice.
    for month in ("2026-09", "2026-11"):
        words = ("--period", month, "--heal")
        assert certificate(office, *words, endpoint=tool.endpoint)["clean"]
    assert office.seconds_billed() == sum(seconds for _, seconds in tool.standing.values())
    assert office.held() == {}
    assert_good(office)


def _place(arrived: tuple[int, Message]) -> int:
    return arrived[0]


def test_a_second_change_within_the_same_second_is_healed(office: Office, tool: Timesheet) -> None:
    for number in range(8):
        tool.write(number, 3600 + number, OCTOBER[0])
    tool.send()
    tool.seconds_between = 0
    for number in range(8):
        tool.write(number, 3600 + number, OCTOBER[0])
        tool.write(number, 7200 + number, OCTOBER[0])
    tool.send(*tool.outbox[::2])
    assert len(certificate(office)["differing"]) == 8
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == sum(7200 + number for number in range(8))
    assert_good(office)


def test_an_entry_taken_for_deleted_by_mistake_comes_back(office: Office, tool: Timesheet) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.send()
    office.bill("acme-2026-10")
    tool.site.is_closed = True
    office.clock.go_on(60)
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == 0
    tool.site.is_closed = False
    office.clock.go_on(60)
    assert named(certificate(office))["missing"] == {"entry:1"}
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == 3600
    assert_good(office)


def test_a_token_that_lost_its_access_takes_nothing_back(office: Office, tool: Timesheet) -> None:
    for number in range(4):
        tool.write(number, 3600, OCTOBER[0])
    tool.send()
    tool.site.is_closed = True
    result = reconcile(office, "--heal")
    assert (result.exit_code, "4 of 4 entries" in result.stderr) == (1, True)
    assert "--even-removals" in result.stderr
    assert office.seconds_billed() == 4 * 3600
    assert office.log("entries.healed") == []
    assert certificate(office, "--heal")["refused"]
    assert reconcile(office, "--heal", "--even-removals").exit_code == 0
    assert office.seconds_billed() == 0


@pytest.mark.parametrize("is_new_one", [True, False])
def test_a_webhook_that_overtakes_the_list_is_not_overruled(
    office: Office, tool: Timesheet, is_new_one: bool
) -> None:
    for number in range(3):
        tool.write(number, 3600, OCTOBER[0])
    tool.send()

    def overtake() -> None:
        tool.site.before_answer = lambda: None
        tool.write(0, 7200, OCTOBER[0])
        tool.delete(1)
        if is_new_one:
            tool.write(3, 60, OCTOBER[0])
        tool.send()

    tool.site.before_answer = overtake
    result = reconcile(office, "--heal")
    assert (result.exit_code, "There was nothing to heal." in result.stdout) == (0, True)
    assert office.seconds_billed() == 7200 + 3600 + 60 * is_new_one
    assert len(office.rows(tables.delivery)) == 5 + is_new_one


@pytest.mark.parametrize("day", [date(2026, 8, 20), date(2026, 11, 5)])
def test_an_entry_that_moved_away_is_not_taken_for_deleted(
    office: Office, tool: Timesheet, day: date
) -> None:
    for number in range(3):
        tool.write(number, 3600, OCTOBER[0])
    tool.send()
    office.bill("acme-2026-10")
    tool.write(0, 3600, day)
    tool.outbox.clear()
    assert named(certificate(office))["removed"] == {"entry:0"}
    assert reconcile(office, "--heal").exit_code == 0
    assert [row["kind"] for row in office.rows(tables.subject)] == ["time.logged"] * 3
    (log,) = office.log("entries.healed")
    assert (log["differing"], log["removed"]) == (1, 0)
    assert certificate(office, "--period", f"{day:%Y-%m}")["in_tool"]["seconds"] == 3600
    assert office.seconds_billed() == 3 * 3600


def test_a_deletion_counts_where_the_clock_of_the_tool_is_ahead(
    office: Office, tool: Timesheet
) -> None:
    tool.said = {"changed_at": "2027-01-01T00:00:00Z"}
    tool.write(1, 3600, OCTOBER[0])
    tool.send()
    tool.delete(1, silently=True)
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == 0


def test_waiting_webhooks_are_named_and_worked_off_before_healing(
    office: Office, tool: Timesheet
) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.post()
    result = reconcile(office)
    assert (result.exit_code, "1 delivery waits to be read" in result.stdout) == (1, True)
    result = reconcile(office, "--heal")
    assert (result.exit_code, "There was nothing to heal." in result.stdout) == (0, True)
    assert len(office.rows(tables.delivery)) == 1


def test_what_cannot_be_read_is_brought_in_once_to_wait_in_plain_sight(
    office: Office, tool: Timesheet
) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.send()
    # It may be the very entry that is not listed readably any more.
    tool.write(1, -5, OCTOBER[0])
    for _ in range(2):
        office.clock.go_on(60)
        result = reconcile(office, "--heal")
        assert (result.exit_code, "it cannot be read: seconds" in result.stdout) == (1, True)
    assert [row["state"] for row in office.rows(tables.delivery)] == ["normalized", "unreadable"]
    assert office.seconds_billed() == 3600


def test_a_billed_entry_that_was_deleted_is_taken_back_on_a_draft(
    office: Office, tool: Timesheet
) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.write(2, 1800, OCTOBER[0])
    tool.send()
    office.bill("acme-2026-10")
    tool.delete(1, silently=True)
    result = reconcile(office)
    assert result.exit_code == 1
    assert "Not in the tool's list of this period:" in result.stdout
    assert "1800 in the tool = 5400 billed - 3600 removed. The equation holds." in result.stdout
    result = reconcile(office, "--heal")
    assert (result.exit_code, result.stdout.splitlines()[-2:]) == (
        0,
        [
            "Clean: every entry is here, to the second.",
            "Healed: 0 missing, 0 differing, 1 removed.",
        ],
    )
    assert office.invoices()["acme-2026-11"] == ("blocked", -12000)


def test_a_certificate_can_be_read_by_people(office: Office, tool: Timesheet) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.said = {"project": "NOBODY"}
    tool.write(2, 1800, OCTOBER[0])
    tool.send()
    tool.said = {}
    tool.write(1, 3661, OCTOBER[0])
    tool.said = {"person_name": "Ben\x1b[31m"}
    tool.write(3, 90, OCTOBER[1])
    shown = reconcile(office).stdout.splitlines()
    assert shown[0] == "Time entries of scripts, 2026-10-01 to 2026-10-31"
    rows = [" ".join(line.split()) for line in shown]
    assert "drafted 1 3600 1:00:00 on drafts" in rows
    assert any(row.startswith("held 1 1800 0:30:00 ") for row in rows)
    assert "The tool lists 3 entries: 5551 seconds (1:32:31)." in rows
    equation = "5551 in the tool = 3600 drafted + 1800 held + 90 missing + 61 differing."
    assert f"{equation} The equation holds." in rows
    assert "entry:3 2026-10-31 Ben [31m ACME ACME-3 90 - -" in rows
    assert "entry:1 2026-10-01 acc-ana ACME ACME-1 3661 3600 seconds" in rows
    assert rows[-1] == "Not clean."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--period", "October"), '"October" is no period'),
        (("--period", "2026-13"), '"2026-13" is no period'),
        (("--period", "2026-W54"), '"2026-W54" is no period'),
        (("--period", "2026-10-02..2026-10-01"), "write the first day first"),
        (("--period", "2025-01-01..2026-10-01"), "longer than a year"),
        (("--even-removals",), "belongs to --heal"),
    ],
)
def test_a_mistake_in_the_words_is_told(office: Office, words: tuple[str, ...], told: str) -> None:
    result = reconcile(office, *words)
    assert (result.exit_code, told in result.stderr) == (2, True), result.output


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [("nowhere", "no such endpoint"), ("silent", "add a `token:`"), ("stripe", "does not list")],
)
def test_a_tool_that_cannot_be_asked_exits_2(office: Office, endpoint: str, told: str) -> None:
    result = reconcile(office, endpoint=endpoint)
    assert (result.exit_code, told in result.stderr) == (2, True), result.output


def test_a_tool_that_is_away_exits_2_and_changes_nothing(office: Office, tool: Timesheet) -> None:
    tool.write(1, 3600, OCTOBER[0])
    tool.site.is_away = True
    result = reconcile(office, "--heal")
    assert (result.exit_code, result.stderr) == (2, "timesheet: cannot be reached\n")
    assert office.rows(tables.delivery) == []


def test_periods_are_months_weeks_or_days(office: Office, tool: Timesheet) -> None:
    for number, day in enumerate((4, 5, 11, 12)):
        tool.write(number, 60, date(2026, 10, day))
    tool.send()
    week = certificate(office, "--period", "2026-W41")
    assert (week["from"], week["to"], week["in_tool"]["entries"]) == (
        "2026-10-05",
        "2026-10-11",
        2,
    )
    days = certificate(office, "--period", "2026-10-05..2026-10-12")
    assert (days["in_tool"]["entries"], days["clean"]) == (3, True)
