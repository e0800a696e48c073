"""What is Clockify's own: whole entries written back, who has left, what a poll lists."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.clockify.connector import ClockifyConnector
from connectors.clockify.stand_in import ContractRig, contract_setup, object_id
from ledger.errors import PermanentError, RejectedError

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


def connect(rig: ContractRig) -> ClockifyConnector:
    return rig.connector(rig.settings, rig.http())


def test_a_tag_changes_nothing_else_of_the_entry(rig: ContractRig) -> None:
    before = copy.deepcopy(rig.site.time_entries[object_id(1001)])
    (report,) = rig.reports()
    connect(rig).report(report)
    after = rig.site.time_entries[object_id(1001)]
    assert len(after["tagIds"]) == len(before["tagIds"]) + 1
    assert {**after, "tagIds": before["tagIds"]} == before


def test_an_invoice_has_one_tag_on_all_its_entries(rig: ContractRig) -> None:
    connector = connect(rig)
    (first,) = rig.reports()
    second = replace(first, subject=f"entry:{object_id(1002)}", marker="billhook:other")
    for report in (first, second):
        connector.report(report)
    connector.report(replace(first, state="paid"))
    assert rig.notes() == ["billhook: acme-2026-10 paid"] * 2
    sent = len(rig.site.requests)
    connector.report(replace(second, state="paid"))
    assert all(line.startswith("GET ") for line in rig.site.requests[sent:])


def test_a_locked_entry_is_a_matter_for_a_person(rig: ContractRig) -> None:
    rig.site.time_entries[object_id(1001)]["isLocked"] = True
    (report,) = rig.reports()
    with pytest.raises(RejectedError, match="locked"):
        connect(rig).report(report)


def test_a_timer_that_runs_again_is_not_written_to(rig: ContractRig) -> None:
    rig.site.time_entries[object_id(1001)]["timeInterval"]["end"] = None
    (report,) = rig.reports()
    with pytest.raises(RejectedError, match="running"):
        connect(rig).report(report)
    assert not any(line.startswith("PUT ") for line in rig.site.requests)


@pytest.mark.parametrize("workspace", ["", "agency", object_id(1) + "/..", object_id(1).upper()])
def test_a_workspace_that_is_no_id_is_named(rig: ContractRig, workspace: str) -> None:
    connector = ClockifyConnector({**rig.settings, "workspace": workspace}, rig.http())
    with pytest.raises(PermanentError, match="workspace"):
        list(connector.entries(date(2026, 10, 1), date(2026, 10, 31)))
    assert rig.site.requests == []


def test_a_poll_does_not_reach_back_behind_the_day_it_began(rig: ContractRig) -> None:
    connector = connect(rig)
    cursor = connector.changes_since(None, NOW).cursor
    assert list(connector.changes_since(cursor, LATER).found) == []
    rig.site.log(3000, 60, "2026-11-01T10:00:00+00:00")
    rig.site.log(3001, 60, "2026-11-02T00:30:00+00:00")
    found = connector.changes_since(cursor, LATER).found
    assert [each.body["id"] for each in found] == [object_id(3001)]


def test_a_change_some_days_later_is_found(rig: ContractRig) -> None:
    connector = connect(rig)
    cursor = connector.changes_since(None, NOW).cursor
    rig.site.log(3000, 60, "2026-11-02T10:00:00+00:00")
    cursor = connector.changes_since(cursor, NOW + timedelta(days=1)).cursor
    rig.site.log(3000, 90, "2026-11-02T10:00:00+00:00")
    (found,) = connector.changes_since(cursor, NOW + timedelta(days=13)).found
    assert found.body["timeInterval"]["duration"] == "PT0H1M30S"
    assert list(connector.changes_since(cursor, NOW + timedelta(days=15)).found) == []


def test_who_has_left_is_listed_but_asked_for_one_by_one(rig: ContractRig) -> None:
    listed = [found.body["id"] for found in connect(rig).entries(*rig.entry_period)]
    assert object_id(1506) in listed
    singles = [line for line in rig.site.requests if "/time-entries/" in line]
    assert singles == [f"GET /api/v1/workspaces/{object_id(1)}/time-entries/{object_id(1506)}"]


def test_what_grows_by_itself_is_not_told(rig: ContractRig) -> None:
    (first,) = connect(rig).look_up(f"entry:{object_id(1001)}")
    (again,) = connect(rig).look_up(f"entry:{object_id(1001)}")
    assert first == again
    assert "duration" not in first.body["project"]
