"""`flask rules check` looks into the ledger: what new rules would leave waiting, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner

from tests.ledger.seed import SmallFirm, logged

WORKSPACE = """\
format: 1
name: Studio
time_zone: Europe/Berlin
sources:
  jira-acme: {tool: jira, secret: "${JIRA_ACME_SECRET}"}
connectors:
  files: {system: file, folder: out}
people:
  - {person: Ana, role: senior, accounts: {jira: ana}}
"""
ACME = """\
format: 1
customer: acme
name: Acme GmbH
currency: EUR
send_to: files
invoice: monthly
takes: {project: ACME}
rates:
  - {role: senior, from: 2026-01-01, hourly: 120.00}
rules:
  - rule: Engineering hours
    when: {event: time.logged}
    bill: {description: "{item}", quantity: hours, unit_price: rate}
tests:
  - test: An hour is an hour
    given: {event: time.logged, project: ACME, item: A-1, person: Ana, seconds: 3600,
            on: 2026-11-02}
    expect: {rule: Engineering hours, amount: 120.00}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "new" / "acme.yaml").write_text(ACME)
    return tmp_path / "new"


@pytest.fixture
def stored(firm: SmallFirm) -> SmallFirm:
    """A ledger with one entry that fits, three of a stranger and two of a project of nobody."""
    firm.tell(
        logged("worklog:91", project="ACME", person="ana", seconds=3600),
        *(logged(f"worklog:9{n}", project="ACME", person="zoe", seconds=1800) for n in range(2, 5)),
        logged("worklog:95", project="MOON", person="ana", seconds=7200),
        logged("worklog:96", project="MOON", person="ana", seconds=60),
    )
    return firm


def test_projects_and_accounts_of_nobody_are_noted(
    stored: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    result = command_line.invoke(args=["rules", "check", str(folder)])
    assert result.exit_code == 0, result.output
    notes = [line for line in result.stderr.splitlines() if line.startswith("note: stored events")]
    assert any('"MOON"' in note and "(2 events, 2.016" in note for note in notes), notes
    assert any('account "zoe"' in note and "(3 events, 1.50 h)" in note for note in notes), notes
    assert not any('"ACME"' in note for note in notes)


def test_with_stored_the_events_that_would_wait_are_listed_by_reason(
    stored: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    result = command_line.invoke(args=["rules", "check", str(folder), "--stored"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = next(
        n
        for n, line in enumerate(lines)
        if "no customer takes project" in line and "M" in line and line.startswith("  ")
    )
    assert lines[at].startswith("  no customer: 2 events, 2.016")
    assert lines[at + 1].startswith("    first: ")
    assert any(line.startswith("  acme: 3 events, 1.50 h: ") for line in lines)


def test_as_json_every_event_that_would_wait_stands_there(
    stored: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    result = command_line.invoke(args=["rules", "check", str(folder), "--stored", "--json"])
    found = json.loads(result.stdout)
    assert found["mistakes"] == []
    moon = [row for row in found["stored"]["events"] if row["event"]["project"] == "MOON"]
    assert [row["event"]["seconds"] for row in moon] == [7200, 60]
    reasons = {(row["customer"], row["events"]) for row in found["stored"]["reasons"]}
    assert {(None, 2), ("acme", 3)} <= reasons
    ids = [row["id"] for row in moon]
    named = [row["first"] for row in found["stored"]["reasons"] if "MOON" in row["reason"]]
    assert named == [ids]
    waiting = sum(row["events"] for row in found["stored"]["reasons"])
    assert waiting == len(found["stored"]["events"]) < found["stored"]["looked_at"]


def test_strict_fails_on_notes(
    stored: SmallFirm, command_line: FlaskCliRunner, folder: Path
) -> None:
    assert command_line.invoke(args=["rules", "check", str(folder), "--strict"]).exit_code == 1
