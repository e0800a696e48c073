"""Tempo: days without a zone, pages that shift, deletions, and what Jira adds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.http import Request, Response
from connectors.stand_in import Fault
from connectors.tempo.connector import TempoConnector
from connectors.tempo.stand_in import NOW, ContractRig, TempoStandIn, contract_setup
from ledger.errors import PermanentError
from ledger.events import Event, Found
from webhooks.registry import sources


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> TempoStandIn:
    return rig.site


@pytest.fixture
def tempo(rig: ContractRig) -> TempoConnector:
    return TempoConnector(rig.settings, rig.http())


def read(found: Iterable[Found]) -> list[Event]:
    told = [sources()["tempo"].normalize(each.delivery("tempo-agency", NOW)) for each in found]
    return [event for reading in told for event in reading.events]


def poll(tempo: TempoConnector, cursor: str, now: datetime = NOW) -> tuple[list[Event], str]:
    """Turn all pages; return the events and the cursor reached."""
    events: list[Event] = []
    is_all = False
    while not is_all:
        changes = tempo.changes_since(cursor, now)
        events += read(changes.found)
        cursor, is_all = changes.cursor, changes.is_all
    return events, cursor


def test_what_is_billed_is_the_billable_time(tempo: TempoConnector, site: TempoStandIn) -> None:
    cursor = tempo.changes_since(None, NOW).cursor
    site.log(1, 5400, 3600, "2026-11-02")
    site.log(2, 1800, 0, "2026-11-02")
    site.log(3, 600, None, "2026-11-02")
    events, _ = poll(tempo, cursor)
    told = {event.subject: (event.seconds, event.billable) for event in events}
    assert told == {
        "worklog:1": (3600, True),
        "worklog:2": (1800, False),
        "worklog:3": (600, None),
    }


def test_only_what_changed_since_is_told_although_the_day_is_listed(
    tempo: TempoConnector, site: TempoStandIn
) -> None:
    site.now = lambda: NOW - timedelta(minutes=11)
    site.log(1, 60, 60, "2026-11-02")
    cursor = tempo.changes_since(None, NOW).cursor
    # Tempo's clock is behind ours.
    site.now = lambda: NOW - timedelta(minutes=9)
    site.log(2, 60, 60, "2026-11-02")
    assert [event.subject for event in poll(tempo, cursor)[0]] == ["worklog:2"]


def test_a_change_just_after_midnight_is_found_in_whatever_zone_the_date_is_meant(
    tempo: TempoConnector, site: TempoStandIn
) -> None:
    midnight = datetime(2026, 11, 2, 0, 0, 5, tzinfo=UTC)
    cursor = tempo.changes_since(None, midnight).cursor
    site.now = lambda: midnight + timedelta(minutes=1)
    site.log(1, 60, 60, "2026-11-02")
    site.unlog(200)
    events, _ = poll(tempo, cursor, midnight + timedelta(minutes=5))
    assert {event.subject for event in events} == {"worklog:1", "worklog:200"}


def test_a_worklog_that_is_deleted_between_two_pages_hides_no_other(
    tempo: TempoConnector, site: TempoStandIn
) -> None:
    site.most = 15
    cursor = tempo.changes_since(None, NOW).cursor
    for number in range(1000, 1040):
        site.log(number, 60, 60, "2026-11-02")
    first = tempo.changes_since(cursor, NOW)
    for number in range(1000, 1005):
        site.unlog(number)
    events, _ = poll(tempo, first.cursor)
    told = {event.subject for event in [*read(first.found), *events] if event.seconds}
    assert told == {f"worklog:{number}" for number in range(1000, 1040)}


def test_a_deletion_has_the_moment_of_the_audit_in_utc(
    tempo: TempoConnector, site: TempoStandIn
) -> None:
    cursor = tempo.changes_since(None, NOW).cursor
    site.unlog(200)
    ((event,), _) = poll(tempo, cursor)
    assert (event.kind, event.subject) == ("time.removed", "worklog:200")
    assert event.occurred_at == NOW + timedelta(milliseconds=639)


def test_what_happens_while_pages_are_turned_is_found_by_the_next_poll(
    tempo: TempoConnector, site: TempoStandIn
) -> None:
    cursor = tempo.changes_since(None, NOW).cursor
    site.now = lambda: NOW + timedelta(hours=2)
    site.log(1, 60, 60, "2026-11-02")
    first = tempo.changes_since(cursor, NOW + timedelta(hours=3))
    site.now = lambda: NOW + timedelta(hours=3, minutes=30)
    site.log(1, 120, 120, "2026-11-02")
    _, reached = poll(tempo, first.cursor, NOW + timedelta(hours=4))
    events, _ = poll(tempo, reached, NOW + timedelta(hours=4))
    assert [(event.subject, event.seconds) for event in events] == [("worklog:1", 120)]


def test_a_token_without_the_audit_can_do_without_it(rig: ContractRig, site: TempoStandIn) -> None:
    tempo = TempoConnector({**rig.settings, "deletions": "no"}, rig.http())
    cursor = tempo.changes_since(None, NOW).cursor
    site.log(1, 60, 60, "2026-11-02")
    site.unlog(200)
    assert [event.subject for event in poll(tempo, cursor)[0]] == ["worklog:1"]
    site.faults.append(Fault("403", "/audit/"))
    with pytest.raises(PermanentError, match="`deletions: no`"):
        poll(TempoConnector(rig.settings, rig.http()), cursor)


def test_jira_tells_what_tempo_leaves_out(rig: ContractRig, tempo: TempoConnector) -> None:
    fact = tempo.enrich("issue:10014")
    assert fact is not None
    assert (fact.project, fact.item) == ("ACME", "ACME-7")
    alone = {name: value for name, value in rig.settings.items() if "jira" not in name}
    without = TempoConnector(alone, rig.http())
    assert without.enrich("issue:10014") is None
    assert without.enrich_all(["issue:10014"]) == {"issue:10014": None}
    assert "without Jira" in without.check()


def test_no_address_of_an_answer_is_followed(rig: ContractRig, site: TempoStandIn) -> None:
    asked: list[str] = []
    http = rig.http()

    class Watching:
        def send(self, request: Request) -> Response:
            asked.append(request.url)
            return http.send(request)

    tempo = TempoConnector(rig.settings, Watching())
    assert len(list(tempo.entries(*rig.entry_period))) == len(rig.entries)
    assert len(asked) > 1
    assert all(url.startswith("https://api.tempo.io/4/worklogs?") for url in asked)
