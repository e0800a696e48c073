"""What the shared contracts do not ask of the connector to Trello."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.trello.connector import TrelloConnector
from connectors.trello.stand_in import BOARDS, MIRA, NOW, ContractRig, contract_setup, oid
from ledger.errors import PermanentError
from ledger.events import Event, Found
from webhooks.registry import sources

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


def connect(rig: ContractRig) -> TrelloConnector:
    return rig.connector(rig.settings, rig.http())


def poll(rig: ContractRig, cursor: str) -> tuple[list[Found], str]:
    found: list[Found] = []
    for _ in range(50):
        changes = connect(rig).changes_since(cursor, LATER)
        found += changes.found
        cursor = changes.cursor
        if changes.is_all:
            return found, cursor
    raise AssertionError("no end")


def events(bodies: list[Found]) -> list[Event]:
    read = [sources()["trello"].normalize(each.delivery("here", LATER)) for each in bodies]
    return [event for reading in read for event in reading.events]


def test_what_is_polled_equals_what_the_webhook_told(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    before = len(rig.site.webhooks)
    rig.happen()
    told = [Found(sent, {}) for sent in rig.site.webhooks[before:]]
    polled = {event.digest() for event in events(poll(rig, cursor)[0])}
    assert polled == {event.digest() for event in events(told)}
    assert len(polled) == 131


def test_each_poll_reaches_back_ten_minutes_before_the_last_one_began(rig: ContractRig) -> None:
    _, cursor = poll(rig, connect(rig).changes_since(None, NOW).cursor)
    first = next(iter(BOARDS))
    for minutes, number in ((-11, 700), (-9, 701)):
        rig.site.clock = LATER + timedelta(minutes=minutes)
        rig.site.mark(first, oid(number), is_complete=True)
    assert {event.subject for event in events(poll(rig, cursor)[0])} == {f"card:{oid(701)}"}


@pytest.mark.parametrize("boards", ["", " , ", "../members", "aB3dE5fG,x", "a b c d e f"])
def test_boards_that_are_none_are_a_matter_for_a_person(rig: ContractRig, boards: str) -> None:
    rig.settings["boards"] = boards
    with pytest.raises(PermanentError, match="boards"):
        connect(rig).changes_since(connect(rig).changes_since(None, NOW).cursor, LATER)
    assert rig.site.requests == []


def test_our_comment_is_found_behind_many_others(rig: ContractRig) -> None:
    report = rig.reports()[0]
    connect(rig).report(report)
    for number in range(230):
        rig.site.act("commentCard", list(BOARDS)[1], oid(311), who=MIRA, text=f"talk {number}")
    connect(rig).report(report)
    assert len(rig.notes()) == 1


def test_the_token_stands_in_no_address(rig: ContractRig) -> None:
    rig.happen()
    poll(rig, connect(rig).changes_since(None, NOW).cursor)
    connect(rig).report(rig.reports()[0])
    assert not any(rig.settings["token"] in line for line in rig.site.requests)
