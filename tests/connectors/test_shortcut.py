"""What the shared contracts do not ask of the connector to Shortcut."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.shortcut import connector as shortcut
from connectors.shortcut.connector import ShortcutConnector
from connectors.shortcut.stand_in import NOW, ContractRig, contract_setup
from ledger.events import Found
from webhooks.registry import sources


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


def connect(rig: ContractRig) -> ShortcutConnector:
    return rig.connector(rig.settings, rig.http())


def poll(rig: ContractRig, cursor: str) -> tuple[list[Found], list[str]]:
    """Poll to the end; return what was found and each place on the way."""
    found: list[Found] = []
    places = [cursor]
    for _ in range(200):
        changes = connect(rig).changes_since(places[-1], rig.site.clock)
        found += changes.found
        places.append(changes.cursor)
        if changes.is_all:
            return found, places
    raise AssertionError("no end")


def subjects(found: list[Found]) -> set[str]:
    return {f"{each.headers['billhook-found']}:{each.body['id']}" for each in found}


def test_a_long_outage_is_asked_for_a_day_at_a_time_without_a_gap(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    expected = set()
    for number in range(500, 560):
        rig.site.clock += timedelta(hours=1, minutes=11, seconds=number % 7)
        rig.site.put("stories", number, completed=True)
        rig.site.put("epics", number, completed=True)
        expected |= {f"story:{number}", f"epic:{number}"}
    found, places = poll(rig, cursor)
    assert subjects(found) == expected
    assert len(places) > 3
    assert places == sorted(places)


def test_an_answer_that_may_be_a_part_is_asked_for_in_halves(
    rig: ContractRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcut, "MANY", 5)
    cursor = connect(rig).changes_since(None, NOW).cursor
    for number in range(600, 623):
        rig.site.put("stories", number, completed=True)
    found, _ = poll(rig, cursor)
    assert subjects(found) == {f"story:{number}" for number in range(600, 623)}


def test_what_is_asked_about_is_what_is_found(rig: ContractRig) -> None:
    """Else a poll would price a story in another way than the question before it."""
    for about in rig.facts:
        (found,) = connect(rig).look_up(about)
        (fact,) = sources()["shortcut"].normalize(found.delivery("here", NOW)).facts
        assert connect(rig).enrich(about) == fact, about


def test_the_project_comes_first_else_the_team_counts(rig: ContractRig) -> None:
    projects = [getattr(connect(rig).enrich(about), "project", "?") for about in rig.facts]
    assert projects == ["Acme shop", "Web team", None]


def test_a_comment_that_was_deleted_is_written_anew(rig: ContractRig) -> None:
    report = rig.reports()[0]
    connect(rig).report(report)
    rig.site.things["stories"][311]["comments"][-1]["deleted"] = True
    connect(rig).report(report)
    assert len(rig.notes()) == 2


def test_the_poll_begins_ten_minutes_before_the_last_one_ended(rig: ContractRig) -> None:
    rig.site.clock = NOW - timedelta(minutes=10)
    rig.site.put("stories", 700, completed=True)
    changes = connect(rig).changes_since(json.dumps({"since": "2026-11-02T09:00:00Z"}), NOW)
    assert subjects(list(changes.found)) == {"story:700"}
    # And the next one reaches back as far.
    assert json.loads(changes.cursor) == {"since": "2026-11-02T09:00:00Z"}
