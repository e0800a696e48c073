"""Asana: which time is told at all, what a plan without time tracking means, how a note stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.asana import connector
from connectors.asana.connector import AsanaConnector
from connectors.asana.stand_in import (
    APP,
    INES,
    NOW,
    AsanaStandIn,
    ContractRig,
    contract_setup,
)
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Event, Found
from webhooks.registry import sources

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> AsanaStandIn:
    return rig.site


def connect(rig: ContractRig, **settings: str) -> AsanaConnector:
    return AsanaConnector({**rig.settings, **settings}, rig.http())


def read(found: Found) -> tuple[Event, ...]:
    return sources()["asana"].normalize(found.delivery("asana-agency", LATER)).events


def polled(connector: AsanaConnector, cursor: str | None) -> list[Event]:
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = connector.changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    return [event for each in found for event in read(each)]


def test_what_is_asked_about_a_task_is_what_its_own_event_says(rig: ContractRig) -> None:
    fact = connect(rig).enrich("task:1201")
    assert fact is not None
    (milestone,) = read(connect(rig).look_up("task:1201")[0])
    assert (fact.project, fact.item, fact.title, fact.labels) == (
        milestone.project,
        milestone.item,
        milestone.title,
        milestone.labels,
    )
    assert {**fact.fields, "task_gid": "1201"} == milestone.fields
    assert fact.version == milestone.version
    assert (milestone.project, milestone.item) == ("Acme webshop", "WEB-1201")


def test_an_entry_is_filled_in_from_its_task_but_not_with_its_assignee(rig: ContractRig) -> None:
    rig.site.entries["1501"]["created_by"] = None
    rig.site.entries["1501"]["attributable_to"] = None
    (entry,) = read(connect(rig).look_up("entry:1501")[0])
    assert entry.about == "task:1202"
    fact = connect(rig).enrich(entry.about)
    assert fact is not None
    whole = entry.filled_in(fact)
    assert (whole.project, whole.item, whole.labels) == (
        "Acme webshop",
        "WEB-1202",
        ("fixed price",),
    )
    assert (whole.person, whole.seconds, whole.billable) == (None, 5700, True)


def test_a_poll_does_not_tell_time_from_before_it_began(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.add_entry("1600", "1202", NOW.date() - timedelta(days=10), 30, at=LATER)
    assert [event.subject for event in polled(connect(rig), cursor)] == ["entry:1600"]


def test_a_changed_entry_is_told_again_as_it_now_is(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.add_entry("1600", "1202", NOW.date(), 30, at=LATER)
    rig.site.add_entry("1600", "1202", NOW.date(), 45, at=LATER)
    assert [event.seconds for event in polled(connect(rig), cursor)] == [2700]


def test_only_the_named_projects_are_polled(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.add_task("1301", "In the shop", LATER, is_done=True)
    rig.site.add_task("1302", "In the app", LATER, is_done=True, project=APP)
    everything = {event.subject for event in polled(connect(rig), cursor)}
    assert everything == {"task:1301", "task:1302"}
    some = polled(connect(rig, projects=f" {APP['gid']} , "[:-2]), cursor)
    assert [event.subject for event in some] == ["task:1302"]


def test_all_projects_are_polled_a_few_in_each_call(
    rig: ContractRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "PROJECTS_AT_ONCE", 1)
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.add_task("1301", "In the shop", LATER, is_done=True)
    rig.site.add_task("1302", "In the app", LATER, is_done=True, project=APP)
    assert {event.subject for event in polled(connect(rig), cursor)} == {"task:1301", "task:1302"}


def test_a_poll_reaches_back_a_little(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.add_task("1301", "Shown late", NOW - timedelta(minutes=14), is_done=True)
    rig.site.add_task("1302", "Told before", NOW - timedelta(minutes=16), is_done=True)
    assert [event.subject for event in polled(connect(rig), cursor)] == ["task:1301"]


def test_time_before_the_first_day_is_left_alone_everywhere(rig: ContractRig) -> None:
    asana = connect(rig, first_day="2026-10-31")
    asked = [event.subject for each in asana.look_up("task:1202") for event in read(each)]
    assert asked == ["task:1202", "entry:1502"]
    listed = [read(each)[0].on for each in asana.entries(date(2026, 8, 1), date(2026, 11, 30))]
    assert min(listed) == date(2026, 10, 31)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("first_day", ""),
        ("first_day", "November"),
        ("workspace", "../users/me"),
        ("projects", "12,x"),
    ],
)
def test_a_setting_that_cannot_be_is_named(rig: ContractRig, setting: str, value: str) -> None:
    asana = connect(rig, **{setting: value})
    with pytest.raises(PermanentError, match=f"`{setting}:`"):
        polled(asana, asana.changes_since(None, NOW).cursor)


def test_a_plan_without_time_tracking_has_no_entries(rig: ContractRig) -> None:
    rig.site.has_time_tracking = False
    asana = connect(rig)
    assert [event.kind for each in asana.look_up("task:1202") for event in read(each)] == [
        "work.reopened"
    ]
    assert list(asana.entries(date(2026, 10, 1), date(2026, 10, 31))) == []
    cursor = asana.changes_since(None, NOW).cursor
    rig.site.add_task("1301", "Done", LATER, is_done=True)
    assert [event.subject for event in polled(asana, cursor)] == ["task:1301"]


def test_a_note_that_somebody_copied_is_left_alone(rig: ContractRig) -> None:
    report = rig.reports()[0]
    connect(rig).report(report)
    (gid,) = rig.site.stories
    for number in range(120):
        copied = {**rig.site.stories[gid], "gid": str(9000 + number), "created_by": INES}
        rig.site.stories = {str(9000 + number): copied, **rig.site.stories}
    connect(rig).report(replace(report, state="paid"))
    assert "paid" in rig.site.stories[gid]["text"]
    assert sum("paid" in story["text"] for story in rig.site.stories.values()) == 1


def test_time_on_no_task_has_no_place_for_a_note(rig: ContractRig) -> None:
    report = rig.reports()[1]
    with pytest.raises(UnsupportedError, match="no task"):
        connect(rig).report(replace(report, fields={}, item=None))
    with pytest.raises(RejectedError, match="names no task"):
        connect(rig).report(replace(report, fields={"task_gid": "../users/me"}))
    assert rig.site.requests == []


def test_a_cursor_of_another_shape_says_what_to_do(rig: ContractRig) -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    for cursor in ("", "[]", '{"began": "2026-11-02T09:00:00Z"}', '{"began": 1, "since": 1}'):
        with pytest.raises(RejectedError, match="--anew"):
            connect(rig).changes_since(cursor, now)


def test_what_changes_during_a_poll_is_left_to_the_next_one(rig: ContractRig) -> None:
    changes = connect(rig).changes_since(None, NOW)
    at = LATER
    while not (changes := connect(rig).changes_since(changes.cursor, at)).is_all:
        at += timedelta(hours=1)
    assert at > LATER
    assert connector.Place.read(changes.cursor, "asana").since == LATER
