"""What webhooks missed is found by asking, once, and billed as if it had been told."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import update

import clock
import worker
from connectors.http import Request
from connectors.stand_in import Fault, serve
from console.commands import upkeep
from ledger import polls, tables
from ledger.claims import LEASE_SECONDS
from ledger.errors import PermanentError
from line import Line
from mappings.book import Book
from tests.databases import copy_sqlite
from tests.journeys.office import JIRA, JIRA_ASKED, Office, open_office

POLL_SECONDS = 3600
"""Longer than any connector waits between two polls."""


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def asked(office: Office) -> Office:
    """Give an office whose Jira has begun to be polled and knows two issues."""
    begin(office)
    return office


def begin(office: Office) -> None:
    office.jira.add_project(10000, "ACME", "Acme")
    office.jira.add_issue(7, "ACME-7", "Login")
    office.jira.add_issue(8, "ACME-8", "Logout")
    jira = 'jira: {tool: jira, secret: ["${SECRET}", "${OLD_SECRET}"]'
    office.change("workspace.yaml", jira, jira + JIRA_ASKED)
    office.activate()
    clock.tick(office.line, 1)
    office.settle()


def log(office: Office, number: int, seconds: int, issue: int = 7) -> dict[str, Any]:
    """Log time in Jira; return the webhook that it sends, or would send."""
    office.clock.go_on(60)
    author = {"accountId": "acc-ana", "displayName": "Ana"}
    office.jira.log(number, issue, seconds, "2026-11-20T10:00:00.000+0100", author=author)
    return webhook(office, number, "worklog_created")


def webhook(office: Office, number: int, event: str) -> dict[str, Any]:
    worklog = dict(office.jira.worklogs[number])
    return {"timestamp": office.jira.now(), "webhookEvent": event, "worklog": worklog}


def poll(office: Office) -> None:
    office.clock.go_on(POLL_SECONDS)
    office.settle()


def changes(office: Office) -> Any:
    return next(row for row in office.rows(tables.poll) if row["what"] == polls.CHANGES)


def test_the_clock_has_every_tool_asked_that_can_be(asked: Office) -> None:
    rows = {(row["endpoint"], row["what"]): row for row in asked.rows(tables.poll)}
    assert set(rows) == {("jira", "changes"), ("jira", "entries")}
    assert all(row["polled_at"] for row in rows.values())
    asked.change("workspace.yaml", JIRA_ASKED, JIRA_ASKED + ", poll: no")
    asked.activate()
    clock.tick(asked.line, 1)
    assert {row["state"] for row in asked.rows(tables.poll)} == {"off"}
    asked.change("workspace.yaml", ", poll: no", "")
    asked.activate()
    clock.tick(asked.line, 1)
    assert {row["state"] for row in asked.rows(tables.poll)} == {"waiting"}


def test_nothing_from_before_the_first_poll_is_billed(office: Office) -> None:
    office.jira.add_project(10000, "ACME", "Acme")
    office.jira.add_issue(7, "ACME-7", "Login")
    log(office, 1, 3600)
    office.clock.go_on(600)
    begin(office)
    poll(office)
    assert office.rows(tables.event) == []


def test_a_missed_entry_is_found_priced_and_explained_by_what_the_tool_told(asked: Office) -> None:
    log(asked, 1, 3600)
    poll(asked)
    assert asked.seconds_billed() == 3600
    (delivery,) = asked.rows(tables.delivery)
    assert delivery["headers"] == {"billhook-found": "worklog"}
    assert b"timeSpentSeconds" in delivery["body"]
    assert changes(asked)["found"] == 1
    poll(asked)
    assert len(asked.rows(tables.delivery)) == 1, "what is known is not stored again"


@pytest.mark.parametrize("is_told_first", [True, False])
def test_what_was_told_and_found_is_billed_once(asked: Office, is_told_first: bool) -> None:
    body = log(asked, 1, 3600)
    if is_told_first:
        asked.tell(body)
        poll(asked)
    else:
        poll(asked)
        asked.tell(body)
    assert asked.seconds_billed() == 3600
    assert len(asked.rows(tables.subject)) == 1
    assert len(asked.rows(tables.line_item)) == 1


def test_a_deletion_that_nobody_told_takes_the_entry_back(asked: Office) -> None:
    asked.tell(log(asked, 1, 3600))
    asked.clock.go_on(60)
    asked.jira.unlog(1)
    poll(asked)
    assert asked.seconds_billed() == 0
    (subject,) = asked.rows(tables.subject)
    assert (subject["state"], subject["kind"]) == ("gone", "time.removed")


def test_a_refusal_is_shown_to_people_and_the_next_answer_ends_it(asked: Office) -> None:
    log(asked, 1, 3600)
    asked.jira.faults.append(Fault("401", path="worklog/updated"))
    poll(asked)
    assert "token was refused" in changes(asked)["reason"]
    assert asked.seconds_billed() == 0
    asked.clock.go_on(900)
    asked.settle()
    assert changes(asked)["reason"] is None
    assert asked.seconds_billed() == 3600


def test_a_limit_is_obeyed(asked: Office) -> None:
    log(asked, 1, 3600)
    asked.jira.faults.append(Fault("429", path="worklog/updated", wait=1800))
    asked.clock.go_on(POLL_SECONDS)
    asked.settle()
    assert changes(asked)["next_at"] >= asked.clock.now() + timedelta(seconds=1800)
    sent = _asked_for_worklogs(asked)
    asked.clock.go_on(1000)
    asked.settle()
    assert _asked_for_worklogs(asked) == sent
    asked.clock.go_on(1000)
    asked.settle()
    assert asked.seconds_billed() == 3600


def test_a_crash_at_any_effect_of_a_poll_loses_and_doubles_nothing(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, is_finished = 0, False
    while not is_finished:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        with open_office(folder, copy_sqlite(sqlite_template, folder / "db.sqlite3")) as office:
            begin(office)
            asked = [log(office, number, 600 * number) for number in range(1, 4)]
            office.tell(asked[1])
            left = at

            def effect(left_at: Any = None) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Crash

            office.clock.go_on(POLL_SECONDS)
            with monkeypatch.context() as patch:
                send, commit = office.line.http.send, office.line.database.commit

                def sending(request: Request, send: Any = send) -> Any:
                    effect()
                    return send(request)

                def committing(done: Any, commit: Any = commit) -> None:
                    effect()
                    commit(done)

                patch.setattr(office.line.http, "send", sending)
                patch.setattr(office.line.database, "commit", committing)
                try:
                    worker.work_off(office.line)
                    is_finished = True
                except Crash:
                    pass
            office.clock.go_on(LEASE_SECONDS + 1)
            office.settle()
            assert office.seconds_billed() == 600 + 1200 + 1800, f"effect {at}"
            assert len(office.rows(tables.subject)) == 3
    assert at > 10


def _asked_for_worklogs(office: Office) -> int:
    return sum("worklog/updated" in line for line in office.jira.requests)


def test_what_was_deleted_while_nobody_looked_is_found_by_listing_the_period(asked: Office) -> None:
    asked.tell(log(asked, 1, 3600), log(asked, 2, 1800))
    # As if Jira had forgotten the deletion too: only the list shows it.
    asked.jira.unlog(1)
    asked.jira.deleted.clear()
    poll(asked)
    assert asked.seconds_billed() == 5400
    asked.clock.go_on(6 * 3600)
    asked.settle()
    assert asked.seconds_billed() == 1800


def test_an_entry_from_before_is_left_outside_by_the_list_too(office: Office) -> None:
    office.jira.add_project(10000, "ACME", "Acme")
    office.jira.add_issue(7, "ACME-7", "Login")
    log(office, 1, 3600)
    office.clock.go_on(600)
    begin(office)
    office.clock.go_on(7 * 3600)
    office.settle()
    assert office.rows(tables.event) == []


def test_a_token_that_lost_its_access_deletes_nothing(asked: Office) -> None:
    asked.tell(*(log(asked, number, 600) for number in range(1, 6)))
    for number in range(1, 6):
        asked.jira.unlog(number)
    asked.jira.deleted.clear()
    asked.clock.go_on(7 * 3600)
    asked.settle()
    assert asked.seconds_billed() == 3000
    entries = next(row for row in asked.rows(tables.poll) if row["what"] == polls.ENTRIES)
    assert "may have lost its access" in entries["reason"]


def own_line(office: Office) -> Line:
    """Return a line whose requests really leave the process."""
    line = office.line
    return Line(line.settings, environ=line.environ, database=line.database)


def test_a_tool_in_the_own_network_is_called_only_where_the_admin_says_so(office: Office) -> None:
    office.jira.add_project(10000, "ACME", "Acme")
    jira = 'jira: {tool: jira, secret: ["${SECRET}", "${OLD_SECRET}"]'
    with serve(office.jira) as address:
        office.change("workspace.yaml", jira, jira + JIRA_ASKED.replace(JIRA, address))
        book = Book.load(office.rules)
        office.activate()
        line = own_line(office)
        connector = line.project("jira")
        assert connector is not None
        with pytest.raises(PermanentError, match="private_address: yes"):
            connector.check()
        office.change("workspace.yaml", ', token: "${J', ', private_address: yes, token: "${J')
        assert Book.load(office.rules).version != book.version
        office.activate()
        connector = own_line(office).project("jira")
        assert connector is not None
        assert connector.check()


def sync(office: Office, *words: str) -> Result:
    app = Flask("sync")
    app.extensions["billhook"] = office.line
    app.cli.add_command(upkeep.sync)
    return app.test_cli_runner().invoke(args=["sync", *words])


def test_sync_asks_at_once_and_shows_how_far_it_has_come(asked: Office) -> None:
    log(asked, 1, 3600)
    log(asked, 2, 1800)
    asked.clock.go_on(120)  # Jira leaves out the last minute.
    result = sync(asked)
    assert result.exit_code == 0, result.output
    assert "jira: changes: 2 new" in result.output
    asked.settle()
    assert asked.seconds_billed() == 5400
    told = json.loads(sync(asked, "--json").stdout)
    found = {(each["endpoint"], each["what"]): each["found"] for each in told["polls"]}
    assert found == {("jira", "changes"): 2, ("jira", "entries"): 0}


def test_sync_says_what_could_not_be_asked_and_goes_on_there_later(asked: Office) -> None:
    log(asked, 1, 3600)
    asked.jira.faults.append(Fault("401", path="worklog/updated"))
    result = sync(asked, "jira")
    assert result.exit_code == 1
    assert "token was refused" in result.output
    assert sync(asked, "jira").exit_code == 0
    asked.settle()
    assert asked.seconds_billed() == 3600


def test_sync_knows_the_endpoints_of_the_rules(asked: Office) -> None:
    result = sync(asked, "nowhere")
    assert result.exit_code == 2
    assert "there are: github, jira" in result.output
    # One that cannot be asked what it missed may have been hinted at or told in vain.
    assert sync(asked, "github").exit_code == 0


def test_a_question_whose_place_cannot_be_read_is_begun_anew_by_hand(asked: Office) -> None:
    log(asked, 1, 3600)
    spoil = update(tables.poll).where(tables.poll.c.what == "changes").values(cursor="odd")
    asked.line.database.write(lambda connection: connection.execute(spoil))
    result = sync(asked, "jira")
    assert result.exit_code == 1
    assert "--anew" in result.output
    assert sync(asked, "--anew").exit_code == 2
    asked.clock.go_on(3600)
    assert sync(asked, "jira", "--anew").exit_code == 0
    log(asked, 2, 1800)
    poll(asked)
    assert asked.seconds_billed() == 5400, "the list of the period finds what was done before"
