"""OpenProject: polling without gaps, lists that move, and whose comment is changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.http import Http, Request, Response
from connectors.note import MARKDOWN
from connectors.openproject.connector import OpenProjectConnector
from connectors.openproject.stand_in import NOW, ContractRig, contract_setup
from ledger.errors import (
    OutcomeUnknownError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.events import Event, Found
from webhooks.openproject.source import OpenProjectSource

LATER = NOW + timedelta(hours=1)
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


class Meanwhile:
    """A port that lets something happen in the tool before each request."""

    def __init__(self, rig: ContractRig, happens: Any) -> None:
        self._http: Http = rig.http()
        self._happens = happens
        self.asked = 0

    def send(self, request: Request) -> Response:
        self.asked += 1
        self._happens(self.asked)
        return self._http.send(request)


def connect(rig: ContractRig, http: Http | None = None) -> OpenProjectConnector:
    return OpenProjectConnector(rig.settings, http or rig.http())


def poll(connector: OpenProjectConnector, cursor: str | None) -> tuple[list[Found], str]:
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = connector.changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    assert cursor is not None
    return found, cursor


def read(found: Found) -> Event:
    (event,) = OpenProjectSource().normalize(found.delivery("here", LATER)).events
    return event


def hook(kind: str, body: dict[str, Any]) -> Event:
    return read(Found({"action": f"{kind}:updated", kind: body}, {}))


def test_what_is_older_than_the_overlap_is_not_told_again(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.happen()
    _, reached = poll(connect(rig), cursor)
    again, same = poll(connect(rig), reached)
    assert same == reached
    # Of each kind the last five minutes: work of minutes 24 to 29, all that was moved at once.
    assert {each.body["_type"] for each in again} == {"TimeEntry", "WorkPackage", "Version"}
    told = {each.body["id"] for each in again}
    assert 201 not in told
    assert 2401 not in told
    assert {1, 15, 230, 2412, 2207, 5} <= told


def test_a_tool_in_which_nothing_changed_tells_nothing(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    assert poll(connect(rig), cursor) == ([], cursor)


def test_our_clock_may_be_wrong_once_polling_has_begun(rig: ContractRig) -> None:
    cursor = connect(rig).changes_since(None, NOW).cursor
    rig.site.pass_minute()
    rig.site.put_entry(300, "2026-11-02", "PT1H")
    _, cursor = poll(connect(rig), cursor)
    rig.site.pass_minute()
    rig.site.put_entry(301, "2026-11-02", "PT1H")
    found, _ = poll(connect(rig), cursor)
    assert 301 in {each.body["id"] for each in found}


def test_a_change_while_pages_are_read_hides_no_other_change(rig: ContractRig) -> None:
    site = rig.site
    cursor = connect(rig).changes_since(None, NOW).cursor
    for number in range(301, 326):
        site.pass_minute()
        site.put_entry(number, "2026-11-02", "PT1H")

    def move_one(asked: int) -> None:
        if asked == 2:
            # An entry of the first page moves to the end, and all others move up.
            site.pass_minute()
            site.put_entry(301, "2026-11-02", "PT3H")

    found, _ = poll(connect(rig, Meanwhile(rig, move_one)), cursor)
    told = {read(each).subject for each in found if each.body["_type"] == "TimeEntry"}
    assert told == {f"time_entry:{number}" for number in range(301, 326)}


def test_a_period_that_changes_while_it_is_listed_is_listed_again(rig: ContractRig) -> None:
    def remove_one(asked: int) -> None:
        if asked == 2:
            del rig.site.time_entries[1]

    http = Meanwhile(rig, remove_one)
    listed = {each.body["id"] for each in connect(rig, http).entries(*OCTOBER)}
    assert listed == set(range(2, 26))
    # Three pages, the last of which no longer fits the first, and three more.
    assert http.asked == 6


def test_a_period_that_never_stands_still_is_no_complete_list(rig: ContractRig) -> None:
    def remove_one(asked: int) -> None:
        rig.site.time_entries.pop(asked, None)

    with pytest.raises(TransientError, match="changed while"):
        list(connect(rig, Meanwhile(rig, remove_one)).entries(*OCTOBER))


def test_what_is_found_reads_as_the_webhook_of_the_same_state(rig: ContractRig) -> None:
    site = rig.site
    cursor = connect(rig).changes_since(None, NOW - timedelta(hours=3)).cursor
    found, _ = poll(connect(rig), cursor)
    events = {read(each).subject: read(each) for each in found if not each.body.get("ongoing")}
    for number in (2207, 2208, 2300):
        told = hook("work_package", site.single(number))
        assert told == events[told.subject]
        (looked_up,) = connect(rig).look_up(f"work_package:{number}")
        assert read(looked_up) == told
    entry = hook("time_entry", site.time_entries[1])
    assert entry == events["time_entry:1"]


def test_a_copied_marker_of_somebody_else_is_left_alone(rig: ContractRig) -> None:
    (report, _) = rig.reports()
    copied = rig.site.comment(2207, MARKDOWN.text(report), 56)
    connect(rig).report(replace(report, state="paid"))
    assert "draft" in copied["comment"]["raw"]
    (ours,) = rig.notes()
    assert "paid" in ours


def test_watchers_get_no_mail_and_hostile_words_no_form(rig: ContractRig) -> None:
    sent: list[Request] = []

    class Watched:
        def send(self, request: Request) -> Response:
            sent.append(request)
            return rig.http().send(request)

    (report, _) = rig.reports()
    odd = replace(report, invoice="a`@all`", state="**paid** <b>", url="https://x.example/a b>c")
    connect(rig, Watched()).report(odd)
    (written,) = [each for each in sent if each.method == "POST"]
    assert written.url.endswith("/work_packages/2207/activities?notify=false")
    raw = json.loads(written.body or b"")["comment"]["raw"]
    assert "Invoice `a'@all'`: **paid b**" in raw
    assert "<https://x.example/a%20b%3Ec>" in raw


def test_a_version_and_time_without_work_package_have_no_place(rig: ContractRig) -> None:
    (report, _) = rig.reports()
    with pytest.raises(UnsupportedError):
        connect(rig).report(replace(report, subject="version:5", item=None))
    with pytest.raises(RejectedError):
        connect(rig).report(replace(report, subject="time_entry:24", item=None))


def test_an_answer_without_id_leaves_the_outcome_unknown(rig: ContractRig) -> None:
    class Silent:
        def send(self, request: Request) -> Response:
            answer = rig.http().send(request)
            return Response(201, {}, b"{}") if request.method == "POST" else answer

    with pytest.raises(OutcomeUnknownError):
        connect(rig, Silent()).report(rig.reports()[0])


@pytest.mark.parametrize(
    "cursor",
    [
        *("[1, 2, 3]", '{"reached": [1, 2]}', '{"reached": [true, 2, 3]}'),
        *('{"reached": [1, 2, 3], "kind": 3}', '{"reached": [1, 2, 3], "page": 0}'),
    ],
)
def test_a_cursor_that_is_none_says_what_to_do(rig: ContractRig, cursor: str) -> None:
    with pytest.raises(RejectedError, match="--anew"):
        connect(rig).changes_since(cursor, LATER)
