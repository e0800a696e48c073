"""Redmine: what cannot be asked for is listed, and whose note is changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.http import Http, Request, Response
from connectors.note import PLAIN
from connectors.redmine.connector import RedmineConnector
from connectors.redmine.stand_in import NOW, ContractRig, contract_setup
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.events import Event, Found, Reading
from webhooks.redmine.source import RedmineSource

LATER = NOW + timedelta(hours=1)
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


class Meanwhile:
    """A port that lets something happen in the tool before each request, and counts them."""

    def __init__(self, rig: ContractRig, happens: Any = None) -> None:
        self._http: Http = rig.http()
        self._happens = happens
        self.asked: list[str] = []

    def send(self, request: Request) -> Response:
        self.asked.append(request.url)
        if self._happens is not None:
            self._happens(len(self.asked))
        return self._http.send(request)


def connect(rig: ContractRig, http: Http | None = None) -> RedmineConnector:
    return RedmineConnector(rig.settings, http or rig.http())


def poll(connector: RedmineConnector, cursor: str | None) -> tuple[list[Found], str]:
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = connector.changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    assert cursor is not None
    return found, cursor


def reading(body: dict[str, Any], headers: dict[str, str]) -> Reading:
    return RedmineSource().normalize(Found(body, headers).delivery("here", LATER))


def event(found: Found) -> Event:
    (told,) = RedmineSource().normalize(found.delivery("here", LATER)).events
    return told


def test_only_what_changed_is_told_of_a_month_of_entries(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.pass_minute()
    rig.site.put_entry(7, "2026-10-08", 300)
    # Older than a month: its period is listed when it is certified.
    rig.site.put_entry(8, "2026-09-01", 300)
    found, cursor = poll(connect(rig), cursor)
    assert [each.body["id"] for each in found if "hours" in each.body] == [7]
    found, _ = poll(connect(rig), cursor)
    assert [each.body["id"] for each in found if "hours" in each.body] == [7]


def test_a_version_is_told_by_its_own_project_alone(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.pass_minute()
    rig.site.put_version(17, "Phase 1", "closed")
    http = Meanwhile(rig)
    found, _ = poll(connect(rig, http), cursor)
    versions = [each for each in found if each.headers["billhook-found"] == "version"]
    assert [event(each).subject for each in versions] == ["version:17"]
    # Project 13 has no issues, and 14 may not be seen, which is no reason to stop.
    asked = [url.rpartition("/projects/")[2] for url in http.asked if "/versions" in url]
    assert asked == ["12/versions.json", "14/versions.json"]


def test_a_list_that_changes_while_it_is_read_is_read_again(rig: ContractRig) -> None:
    def remove_one(asked: int) -> None:
        if asked == 2:
            del rig.site.time_entries[131]

    listed = {
        each.body["id"] for each in connect(rig, Meanwhile(rig, remove_one)).entries(*OCTOBER)
    }
    assert listed == set(range(1, 131))


def test_a_list_that_never_stands_still_is_not_taken_for_whole(rig: ContractRig) -> None:
    def remove_one(asked: int) -> None:
        rig.site.time_entries.pop(asked, None)

    with pytest.raises(TransientError, match="changed while"):
        list(connect(rig, Meanwhile(rig, remove_one)).entries(*OCTOBER))


def test_what_is_found_reads_as_the_webhook_of_the_same_state(rig: ContractRig) -> None:
    site = rig.site
    status = {"details": [{"prop_key": "status_id"}]}
    for number in (4402, 4403):
        data = {"issue": site.issues[number], "journal": status}
        told = reading({"type": "issue.updated", "data": data}, {})
        (found,) = connect(rig).look_up(f"issue:{number}")
        assert event(found) == told.events[0]
        assert told.facts == (connect(rig).enrich(f"issue:{number}"),)
    entry = {"time_entry": site.time_entries[1]}
    (told_entry,) = reading({"type": "time_entry.updated", "data": entry}, {}).events
    (found,) = connect(rig).look_up("time_entry:1")
    assert event(found) == told_entry
    assert told_entry.seconds == 1200


def test_many_issues_are_asked_about_at_once(rig: ContractRig) -> None:
    http = Meanwhile(rig)
    abouts = [f"issue:{number}" for number in range(4400, 4550)]
    facts = connect(rig, http).enrich_all([*abouts, "project:12"])
    assert len(http.asked) == 2
    assert {about for about, fact in facts.items() if fact} == {
        *("issue:4402", "issue:4403", "issue:4404")
    }


def test_a_copied_marker_of_somebody_else_is_left_alone(rig: ContractRig) -> None:
    (report, _) = rig.reports()
    rig.site.write_note(4402, PLAIN.text(report), 21)
    connect(rig).report(replace(report, state="paid"))
    (ours,) = rig.notes()
    assert "paid" in ours
    assert "draft" in rig.site.journals[700]["notes"]


def test_a_version_and_time_without_issue_have_no_place(rig: ContractRig) -> None:
    (report, _) = rig.reports()
    with pytest.raises(UnsupportedError):
        connect(rig).report(replace(report, subject="version:17", item=None))
    with pytest.raises(RejectedError):
        connect(rig).report(replace(report, subject="time_entry:131", item=None))
