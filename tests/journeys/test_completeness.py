"""Completeness: whatever webhooks a tool loses, doubles or mixes up, the certificate names it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from click.testing import Result
from flask import Flask

from connectors.connector import ProjectConnector
from connectors.registry import project_connectors
from console.commands.sources import sources as sources_command
from ledger import auditlog, tables
from ledger.audit import audit
from ledger.errors import TransientError
from ledger.events import Found
from tests.journeys.office import PATH_TOKEN, Office, open_office

OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


class Timesheet(ProjectConnector):
    """A simulated tool without its HTTP: entries that people write, and webhooks of our own form.

    It counts whole seconds, like many a real one, so that two changes may bear the same time.
    """

    key = "generic"
    name = "Timesheet"
    docs_url = "https://timesheet.example"
    settings = ()
    lists_entries = True
    site: ClassVar[TimesheetSite]

    def check(self) -> str:
        """Return the account's name."""
        return "Timesheet"

    def entries(self, first: date, last: date) -> Iterator[Found]:
        """Yield what is there."""
        if self.site.is_away:
            raise TransientError("timesheet: cannot be reached")
        for entry in self.site.entries.values():
            if first <= date.fromisoformat(entry["on"]) <= last and not self.site.is_closed:
                yield Found(body=entry, headers={})

    def look_up(self, about: str) -> Sequence[Found]:
        """Return one entry."""
        entry = self.site.entries.get(about)
        return [] if entry is None or self.site.is_closed else [Found(body=entry, headers={})]


@dataclass
class TimesheetSite:
    """The simulated tool's state, and the webhooks that it would send."""

    now: Callable[[], datetime]
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    is_away: bool = False
    is_closed: bool = False
    """The token sees nothing any more."""

    def write(self, number: int, seconds: int, on: date, **other: Any) -> None:
        """Write or change an entry, and tell of it."""
        entry = {
            "kind": "time.logged",
            "subject": f"entry:{number}",
            "on": on.isoformat(),
            "changed_at": self._moment(),
            "project": "ACME",
            "item": f"ACME-{number % 5}",
            "title": "Search",
            "person": "acc-ana",
            "seconds": seconds,
            **other,
        }
        self.entries[entry["subject"]] = entry
        self.outbox.append(entry)

    def delete(self, number: int, *, silently: bool = False) -> None:
        """Delete an entry."""
        entry = self.entries.pop(f"entry:{number}")
        gone = {"kind": "time.removed", "changed_at": self._moment()}
        if not silently:
            self.outbox.append({**entry, **gone, "seconds": None})

    def _moment(self) -> str:
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    """Give an office whose scripts are a tool that can be asked."""
    registry = {**project_connectors(), "generic": Timesheet}
    with (
        mock.patch("line.project_connectors", return_value=registry),
        mock.patch("reconciliation.project_connectors", return_value=registry),
        open_office(tmp_path, database_url) as office,
    ):
        office.change(
            "workspace.yaml",
            'path_token: "${PATH_TOKEN}"',
            'path_token: "${PATH_TOKEN}", token: "${JIRA_TOKEN}"',
        )
        office.change("workspace.yaml", "{jira: acc-ana}", "{jira: acc-ana, scripts: acc-ana}")
        office.activate()
        Timesheet.site = TimesheetSite(office.clock.now)
        yield office


@pytest.fixture
def site(office: Office) -> TimesheetSite:
    """Give the simulated tool."""
    return Timesheet.site


def post_all(office: Office, bodies: Sequence[Mapping[str, Any]]) -> None:
    for body in bodies:
        answer = office.client.post(f"/webhooks/scripts/{PATH_TOKEN}", data=json.dumps(body))
        assert answer.status_code == 202


def send(office: Office, site: TimesheetSite) -> None:
    """Let every webhook arrive."""
    post_all(office, site.outbox)
    site.outbox.clear()
    office.settle()


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


def test_what_a_careless_tool_lost_is_named_and_healed(office: Office, site: TimesheetSite) -> None:
    """10 % of the webhooks are lost, 10 % come twice, all in disorder; some are never sent."""
    chance = random.Random(41)
    arriving: list[dict[str, Any]] = []
    for number in range(60):
        day = OCTOBER[0] + timedelta(days=chance.randrange(31))
        site.write(number, chance.randrange(60, 30000), day)
    office.clock.go_on(60)
    for number in chance.sample(range(60), 25):
        on = date.fromisoformat(site.entries[f"entry:{number}"]["on"])
        on = chance.choice([on, on, date(2026, 9, 30), date(2026, 11, 1)])
        site.write(number, chance.randrange(60, 30000), on)
    office.clock.go_on(60)
    for number in chance.sample(range(60), 6):
        site.delete(number, silently=number % 2 == 0)
    for body in site.outbox:
        arriving += [body] * (0 if (luck := chance.random()) < 0.1 else 2 if luck < 0.2 else 1)
    chance.shuffle(arriving)
    post_all(office, arriving)
    office.settle()
    office.bill("acme-2026-10")

    held: dict[str, dict[str, Any]] = {}
    for body in sorted(arriving, key=lambda body: str(body["changed_at"])):
        held[body["subject"]] = body
    held = {name: body for name, body in held.items() if body["kind"] == "time.logged"}
    expected: dict[str, set[str]] = {"missing": set(), "differing": set(), "removed": set()}
    for name in site.entries.keys() | held.keys():
        there, here = site.entries.get(name), held.get(name)
        is_in = {
            side: body is not None and str(body["on"]).startswith("2026-10")
            for side, body in (("there", there), ("here", here))
        }
        if there is not None and here is None and is_in["there"]:
            expected["missing"].add(name)
        elif here is not None and is_in["here"] and (there is None or not is_in["there"]):
            # Where an entry moved to is learned when it is asked for.
            expected["removed"].add(name)
        elif there is not None and here is not None and is_in["there"] and there != here:
            expected["differing"].add(name)
    assert all(len(some) >= 2 for some in expected.values()), "the tool was too careful"

    office.clock.go_on(60)
    found = certificate(office)
    assert named(found) == expected
    assert (found["equation"]["holds"], found["clean"]) == (True, False)
    before = len(office.rows(tables.delivery))
    result = reconcile(office, "--heal")
    assert result.exit_code == 0, result.output
    assert len(office.rows(tables.delivery)) - before == sum(map(len, expected.values()))
    (log,) = office.log("entries.healed")
    assert log["first"] == "2026-10-01"
    assert log["missing"] + log["differing"] + log["removed"] == sum(map(len, expected.values()))

    found = certificate(office)
    assert (found["clean"], named(found)) == (True, {part: set() for part in expected})
    in_october = [
        body["seconds"] for body in site.entries.values() if body["on"].startswith("2026-10")
    ]
    assert found["in_tool"] == {"entries": len(in_october), "seconds": sum(in_october)}
    # What moved out of October stands where it moved to; nothing stands twice.
    for month in ("2026-09", "2026-11"):
        assert certificate(office, "--period", month, "--heal")["clean"]
    assert office.seconds_billed() == sum(body["seconds"] for body in site.entries.values())
    assert_good(office)


def test_a_second_change_within_the_same_second_is_healed(
    office: Office, site: TimesheetSite
) -> None:
    for number in range(8):
        site.write(number, 3600 + number, OCTOBER[0])
    send(office, site)
    for number in range(8):
        site.write(number, 7200 + number, OCTOBER[0])
    site.outbox.clear()
    assert len(certificate(office)["differing"]) == 8
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == sum(7200 + number for number in range(8))
    assert_good(office)


def test_an_entry_taken_for_deleted_by_mistake_comes_back(
    office: Office, site: TimesheetSite
) -> None:
    site.write(1, 3600, OCTOBER[0])
    send(office, site)
    office.bill("acme-2026-10")
    site.is_closed = True
    office.clock.go_on(60)
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == 0
    site.is_closed = False
    office.clock.go_on(60)
    assert named(certificate(office))["missing"] == {"entry:1"}
    assert reconcile(office, "--heal").exit_code == 0
    assert office.seconds_billed() == 3600
    assert_good(office)


def test_a_token_that_lost_its_access_takes_nothing_back(
    office: Office, site: TimesheetSite
) -> None:
    for number in range(4):
        site.write(number, 3600, OCTOBER[0])
    send(office, site)
    site.is_closed = True
    result = reconcile(office, "--heal")
    assert (result.exit_code, "4 of 4 entries" in result.stderr) == (1, True)
    assert "--even-removals" in result.stderr
    assert office.seconds_billed() == 4 * 3600
    assert office.log("entries.healed") == []
    assert certificate(office, "--heal")["refused"]
    assert reconcile(office, "--heal", "--even-removals").exit_code == 0
    assert office.seconds_billed() == 0


def test_waiting_webhooks_are_named_and_worked_off_before_healing(
    office: Office, site: TimesheetSite
) -> None:
    site.write(1, 3600, OCTOBER[0])
    post_all(office, site.outbox)
    result = reconcile(office)
    assert (result.exit_code, "1 delivery waits to be read" in result.stdout) == (1, True)
    result = reconcile(office, "--heal")
    assert (result.exit_code, "There was nothing to heal." in result.stdout) == (0, True)
    assert len(office.rows(tables.delivery)) == 1


def test_what_cannot_be_read_is_brought_in_once_to_wait_in_plain_sight(
    office: Office, site: TimesheetSite
) -> None:
    site.write(1, 3600, OCTOBER[0])
    send(office, site)
    site.write(2, -5, OCTOBER[0])
    for _ in range(2):
        office.clock.go_on(60)
        result = reconcile(office, "--heal")
        assert (result.exit_code, "it cannot be read: seconds" in result.stdout) == (1, True)
    assert [row["state"] for row in office.rows(tables.delivery)] == ["normalized", "unreadable"]


def test_a_billed_entry_that_was_deleted_is_taken_back_on_a_draft(
    office: Office, site: TimesheetSite
) -> None:
    site.write(1, 3600, OCTOBER[0])
    site.write(2, 1800, OCTOBER[0])
    send(office, site)
    office.bill("acme-2026-10")
    site.delete(1, silently=True)
    result = reconcile(office)
    assert result.exit_code == 1
    assert "Not in the tool's list of this period:" in result.stdout
    assert "1800 in the tool = 5400 billed - 3600 removed. The equation holds." in result.stdout
    assert reconcile(office, "--heal").exit_code == 0
    assert office.invoices()["acme-2026-11"] == ("blocked", -12000)
    assert "Clean: every entry is here, to the second." in reconcile(office).stdout


def test_a_certificate_can_be_read_by_people(office: Office, site: TimesheetSite) -> None:
    site.write(1, 3600, OCTOBER[0])
    site.write(2, 1800, OCTOBER[0], project="NOBODY")
    send(office, site)
    site.write(3, 90, OCTOBER[1], person_name="Ben\x1b[31m")
    site.write(1, 3661, OCTOBER[0])
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
    [("nowhere", "no such endpoint"), ("jira", "add a `token:`"), ("stripe", "does not list")],
)
def test_a_tool_that_cannot_be_asked_exits_2(office: Office, endpoint: str, told: str) -> None:
    result = reconcile(office, endpoint=endpoint)
    assert (result.exit_code, told in result.stderr) == (2, True), result.output


def test_a_tool_that_is_away_exits_2_and_changes_nothing(
    office: Office, site: TimesheetSite
) -> None:
    site.write(1, 3600, OCTOBER[0])
    site.is_away = True
    result = reconcile(office, "--heal")
    assert (result.exit_code, result.stderr) == (2, "timesheet: cannot be reached\n")
    assert office.rows(tables.delivery) == []


def test_periods_are_months_weeks_or_days(office: Office, site: TimesheetSite) -> None:
    for number, day in enumerate((4, 5, 11, 12)):
        site.write(number, 60, date(2026, 10, day))
    send(office, site)
    week = certificate(office, "--period", "2026-W41")
    assert (week["from"], week["to"], week["in_tool"]["entries"]) == (
        "2026-10-05",
        "2026-10-11",
        2,
    )
    days = certificate(office, "--period", "2026-10-05..2026-10-12")
    assert (days["in_tool"]["entries"], days["clean"]) == (3, True)
