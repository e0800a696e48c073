"""What the shared contracts do not ask of the connector to Plane."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.plane.connector import PlaneConnector
from connectors.plane.stand_in import NOW, ContractRig, contract_setup, uuid
from ledger.errors import UnsupportedError
from ledger.events import Found


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


def connect(rig: ContractRig) -> PlaneConnector:
    return rig.connector(rig.settings, rig.http())


def poll(rig: ContractRig, cursor: str) -> list[Found]:
    found: list[Found] = []
    for _ in range(50):
        changes = connect(rig).changes_since(cursor, NOW + timedelta(hours=1))
        found += changes.found
        cursor = changes.cursor
        if changes.is_all:
            return found
    raise AssertionError("no end")


def begun(rig: ContractRig) -> str:
    return connect(rig).changes_since(None, NOW).cursor


def test_a_project_that_is_deleted_while_its_turn_comes_does_not_stop_the_others(
    rig: ContractRig,
) -> None:
    listed = connect(rig).changes_since(begun(rig), NOW + timedelta(hours=1))
    rig.site.put(uuid(12), 500, is_done=True)
    del rig.site.projects[uuid(11)]
    assert [each.body["id"] for each in poll(rig, listed.cursor)] == [uuid(500)]


def test_a_project_whose_member_the_account_is_not_is_passed_over(rig: ContractRig) -> None:
    poll(rig, begun(rig))
    assert [line for line in rig.site.requests if uuid(13) in line] == []
    assert [line for line in rig.site.requests if uuid(12) in line]


def test_a_workspace_without_projects_has_nothing_to_tell(rig: ContractRig) -> None:
    rig.site.projects.clear()
    assert poll(rig, begun(rig)) == []


def test_what_is_old_is_not_asked_for_page_by_page(rig: ContractRig) -> None:
    cursor = begun(rig)
    rig.site.clock = NOW - timedelta(days=30)
    for number in range(2000, 2250):
        rig.site.put(uuid(11), number)
    poll(rig, cursor)
    assert len([line for line in rig.site.requests if uuid(11) in line]) == 1


def test_a_server_that_knows_no_order_is_read_to_the_end(
    rig: ContractRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = begun(rig)
    rig.site.clock = NOW - timedelta(days=30)
    for number in range(2000, 2250):
        rig.site.put(uuid(11), number)
    rig.site.clock = NOW
    rig.site.put(uuid(11), 2249, is_done=True)
    # As if `order_by` were not there: oldest change first.
    monkeypatch.setattr(
        "connectors.plane.stand_in.sorted",
        lambda items, key, reverse: sorted(items, key=key),
        raising=False,
    )
    assert [each.body["id"] for each in poll(rig, cursor)] == [uuid(2249)]


def test_each_poll_reaches_back_ten_minutes_before_the_last_one_began(rig: ContractRig) -> None:
    for minutes, number in ((-12, 700), (-10, 701)):
        rig.site.clock = NOW + timedelta(minutes=minutes)
        rig.site.put(uuid(12), number, is_done=True)
    assert [each.body["id"] for each in poll(rig, begun(rig))] == [uuid(701)]


def test_a_module_has_no_place_for_a_note(rig: ContractRig) -> None:
    report = replace(rig.reports()[0], subject=f"module:{uuid(5)}")
    with pytest.raises(UnsupportedError):
        connect(rig).report(report)
    assert rig.site.requests == []
