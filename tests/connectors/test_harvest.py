"""Harvest: decimal hours, clocks that differ, pages, and who is calling."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.harvest.connector import HarvestConnector
from connectors.harvest.stand_in import NOW, ContractRig, HarvestStandIn, contract_setup
from connectors.http import Request, Response
from ledger.errors import PermanentError, TransientError
from ledger.events import Event, Found
from webhooks.registry import sources


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> HarvestStandIn:
    return rig.site


@pytest.fixture
def harvest(rig: ContractRig) -> HarvestConnector:
    return HarvestConnector(rig.settings, rig.http())


class Watching:
    """A port that notes what is sent and may change the answer."""

    def __init__(self, rig: ContractRig, body: bytes | None = None) -> None:
        self._http, self._body = rig.http(), body
        self.sent: list[Request] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        answer = self._http.send(request)
        return answer if self._body is None else Response(200, {}, self._body)


def read(found: Iterable[Found]) -> list[Event]:
    told = [sources()["harvest"].normalize(each.delivery("harvest-agency", NOW)) for each in found]
    return [event for reading in told for event in reading.events]


def poll(harvest: HarvestConnector, cursor: str, now: datetime) -> tuple[list[Event], str]:
    """Turn all pages; return the events and the cursor reached."""
    events: list[Event] = []
    is_all = False
    while not is_all:
        changes = harvest.changes_since(cursor, now)
        events += read(changes.found)
        cursor, is_all = changes.cursor, changes.is_all
    return events, cursor


@pytest.mark.parametrize(
    ("hours", "seconds"), [("0.01", 36), ("0.29", 1044), ("1.15", 4140), ("7.99", 28764)]
)
def test_decimal_hours_are_exact(
    harvest: HarvestConnector, site: HarvestStandIn, hours: str, seconds: int
) -> None:
    site.log(1, hours, "2026-11-02")
    (found,) = harvest.look_up("entry:1")
    (event,) = read([found])
    assert event.seconds == seconds


def test_an_entry_that_was_billed_there_is_not_billed_again(
    harvest: HarvestConnector, site: HarvestStandIn
) -> None:
    site.log(1, "2", "2026-11-02", is_billed=True)
    (event,) = read(harvest.look_up("entry:1"))
    assert (event.billable, event.fields["marked_billable"]) == (False, True)


def test_clocks_that_differ_hide_nothing(harvest: HarvestConnector, site: HarvestStandIn) -> None:
    cursor = harvest.changes_since(None, NOW).cursor
    site.now = lambda: NOW - timedelta(minutes=9)
    site.log(1, "1", "2026-11-02")
    events, _ = poll(harvest, cursor, NOW + timedelta(minutes=5))
    assert [event.subject for event in events] == ["entry:1"]


def test_the_next_poll_begins_where_this_one_began_not_where_it_ended(
    harvest: HarvestConnector, site: HarvestStandIn
) -> None:
    cursor = harvest.changes_since(None, NOW).cursor
    site.now = lambda: NOW + timedelta(hours=2)
    for number in range(1, 6):
        site.log(number, "1", "2026-11-02")
    first = harvest.changes_since(cursor, NOW + timedelta(hours=3))
    assert not first.is_all
    site.now = lambda: NOW + timedelta(hours=3, minutes=30)
    site.log(5, "2", "2026-11-02")
    _, reached = poll(harvest, first.cursor, NOW + timedelta(hours=4))
    events, _ = poll(harvest, reached, NOW + timedelta(hours=4))
    assert [(event.subject, event.seconds) for event in events] == [("entry:5", 7200)]


def test_only_the_name_of_the_next_page_is_taken_from_its_address(rig: ContractRig) -> None:
    port = Watching(rig)
    found = list(HarvestConnector(rig.settings, port).entries(*rig.entry_period))
    assert len(found) == 5
    assert len(port.sent) == 2
    for request in port.sent:
        assert request.url.startswith("https://api.harvestapp.com/v2/time_entries?from=2026-10-01")


def test_a_next_page_without_a_name_is_no_end(rig: ContractRig) -> None:
    body = b'{"time_entries": [], "links": {"next": "https://elsewhere.example/?ref=next"}}'
    with pytest.raises(TransientError, match="unexpected shape"):
        list(HarvestConnector(rig.settings, Watching(rig, body)).entries(*rig.entry_period))


def test_harvest_is_told_who_calls_and_for_which_account(rig: ContractRig) -> None:
    port = Watching(rig)
    HarvestConnector(rig.settings, port).check()
    assert port.sent[0].headers["User-Agent"] == "Billhook (it@agency.example)"
    other = {**rig.settings, "account_id": "1"}
    with pytest.raises(PermanentError):
        HarvestConnector(other, rig.http()).check()
