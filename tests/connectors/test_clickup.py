"""ClickUp: whose time is listed, what a poll passes over, how a note is kept in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connectors.clickup.connector import ClickUpConnector
from connectors.clickup.stand_in import ME, NOW, TEAM, TOM, ClickUpStandIn, contract_setup
from connectors.http import Request, Response
from connectors.stand_in import InProcess
from ledger.errors import PermanentError, RejectedError, TransientError, UnsupportedError
from ledger.events import Event, Found
from webhooks.registry import sources

SETTINGS = {"token": "pk_5599_stand_in_token", "team": TEAM, "endpoint": "clickup-agency"}
LATER = NOW + timedelta(hours=1)


class Listening:
    """A port that remembers what was sent, and may answer itself."""

    def __init__(self, site: ClickUpStandIn, answer: Response | None = None) -> None:
        self._http, self._answer = InProcess(site), answer
        self.sent: list[Request] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        return self._answer or self._http.send(request)


@pytest.fixture
def site(tmp_path: Path) -> ClickUpStandIn:
    return contract_setup(tmp_path).site


def connect(site: ClickUpStandIn, **settings: str) -> ClickUpConnector:
    return ClickUpConnector({**SETTINGS, **settings}, InProcess(site))


def polled(connector: ClickUpConnector, cursor: str | None) -> tuple[list[Event], str]:
    found: list[Found] = []
    is_all = False
    while not is_all:
        changes = connector.changes_since(cursor, LATER)
        found += changes.found
        cursor, is_all = changes.cursor, changes.is_all
    assert cursor is not None
    return [event for each in found for event in read(each)], cursor


def read(found: Found) -> tuple[Event, ...]:
    return sources()["clickup"].normalize(found.delivery("clickup-agency", LATER)).events


def webhook(body: Mapping[str, object]) -> Event:
    delivery = Found(body, {}).delivery("clickup-agency", LATER)
    (event,) = sources()["clickup"].normalize(delivery).events
    return event


def test_a_webhook_and_what_is_asked_for_it_say_what_a_poll_finds(site: ClickUpStandIn) -> None:
    connector = connect(site)
    entry = site.entries["4401"]
    item = {
        "id": "1",
        "date": entry["at"],
        "field": "time_spent",
        "parent_id": "901200077",
        "before": None,
        "after": {**entry, "time": entry["duration"]},
    }
    body = {"event": "taskTimeTrackedUpdated", "task_id": "9bqopen", "history_items": [item]}
    told = webhook(body)
    assert told.about is not None
    fact = connector.enrich(told.about)
    assert fact is not None
    ((found,),) = [read(each) for each in connector.look_up(told.about)]
    assert replace(told.filled_in(fact), about=None) == found
    assert found.person_name == TOM["username"]
    assert (found.project, found.fields["space"], found.billable) == ("Webshop", "Acme", True)


def test_a_status_and_what_is_asked_for_it_say_what_a_poll_finds(site: ClickUpStandIn) -> None:
    connector, task = connect(site), site.tasks["9bqdone"]
    item = {
        "id": "1",
        "date": task["date_updated"],
        "field": "status",
        "parent_id": "901200077",
        "before": {"status": "building", "type": "custom"},
        "after": task["status"],
    }
    told = webhook({"event": "taskStatusUpdated", "task_id": "9bqdone", "history_items": [item]})
    fact = connector.enrich("task:9bqdone")
    assert fact is not None
    ((found,),) = [read(each) for each in connector.look_up("task:9bqdone")]
    assert replace(told.filled_in(fact), about=None) == found


def test_a_task_in_no_folder_belongs_to_its_list(site: ClickUpStandIn) -> None:
    site.tasks["9bqdone"]["folder"] = {"id": "1", "name": "hidden", "hidden": True}
    fact = connect(site).enrich("task:9bqdone")
    assert fact is not None
    assert fact.project == "Sprint 1"
    assert "folder" not in fact.fields
    ((found,),) = [read(each) for each in connect(site).look_up("task:9bqdone")]
    assert found.project == "Sprint 1"


def test_a_poll_does_not_tell_time_from_before_it_began(site: ClickUpStandIn) -> None:
    cursor = connect(site).changes_since(None, NOW).cursor
    site.add_entry("4600", None, NOW - timedelta(days=10), 60_000, at=NOW + timedelta(minutes=1))
    site.add_task("9bold", "Long done", NOW - timedelta(days=1), is_done=True)
    events, _ = polled(connect(site), cursor)
    assert [event.subject for event in events] == ["entry:4600"]


def test_a_poll_begins_where_the_last_one_ended_and_a_little_before(site: ClickUpStandIn) -> None:
    _, cursor = polled(connect(site), connect(site).changes_since(None, NOW).cursor)
    site.add_task("9blate", "Told late", LATER - timedelta(minutes=9), is_done=True)
    site.add_task("9bpast", "Told before", LATER - timedelta(minutes=11), is_done=True)
    events, _ = polled(connect(site), cursor)
    assert [event.subject for event in events] == ["task:9blate"]


def test_the_time_of_all_people_is_asked_for_in_short_addresses(site: ClickUpStandIn) -> None:
    site.people += [{**TOM, "id": 6000 + number} for number in range(150)]
    site.add_entry("4700", None, NOW - timedelta(days=9), 60_000, user=site.people[-1])
    http = Listening(site)
    connector = ClickUpConnector(SETTINGS, http)
    found = list(connector.entries(date(2026, 10, 1), date(2026, 10, 31)))
    assert {each.body["user"]["id"] for each in found} == {5501, 5502, 6149}
    assert max(len(request.url) for request in http.sent) < 2000


def test_an_entry_on_the_bound_of_two_weeks_is_listed_once(site: ClickUpStandIn) -> None:
    for day in range(1, 32):
        site.add_entry(f"47{day:02}", None, datetime(2026, 10, day, tzinfo=UTC), 60_000)
    listed = connect(site).entries(date(2026, 10, 1), date(2026, 10, 31))
    subjects = [each.body["id"] for each in listed if each.body["id"].startswith("47")]
    assert sorted(subjects) == [f"47{day:02}" for day in range(1, 32)]


def test_a_personal_token_stands_alone_and_an_apps_token_after_a_word(
    site: ClickUpStandIn,
) -> None:
    http = Listening(site)
    ClickUpConnector(SETTINGS, http).check()
    with pytest.raises(PermanentError, match="token"):
        ClickUpConnector({**SETTINGS, "token": "12_oauth"}, http).check()
    told = [request.headers["Authorization"] for request in http.sent]
    assert (told[0], told[-1]) == (SETTINGS["token"], "Bearer 12_oauth")


@pytest.mark.parametrize("team", ["7777", "", "../user", "9001/8000"])
def test_a_workspace_that_cannot_be_seen_is_named(site: ClickUpStandIn, team: str) -> None:
    with pytest.raises(PermanentError, match="`team:`"):
        connect(site, team=team).check()
    with pytest.raises(PermanentError, match="`team:`"):
        list(connect(site, team=team).entries(date(2026, 10, 1), date(2026, 10, 2)))


def test_a_limit_is_waited_for_as_long_as_clickup_says(site: ClickUpStandIn) -> None:
    headers = {"date": "Mon, 02 Nov 2026 09:00:00 GMT", "x-ratelimit-reset": "1793610042"}
    http = Listening(site, Response(429, headers, b"{}"))
    with pytest.raises(TransientError) as caught:
        ClickUpConnector(SETTINGS, http).check()
    assert caught.value.retry_after == 42


def test_a_note_is_found_among_many_comments_and_a_copy_of_it_is_left_alone(
    site: ClickUpStandIn, tmp_path: Path
) -> None:
    report = contract_setup(tmp_path).reports()[0]
    connect(site).report(report)
    (text,) = [comment["comment_text"] for comment in site.comments.values()]
    for number in range(60):
        copied = {**site.comments[458_001], "id": str(459_000 + number), "user": TOM}
        site.comments[459_000 + number] = {**copied, "comment_text": f"Quoted: {text}"}
    connect(site).report(replace(report, state="paid"))
    assert "paid" in site.comments[458_001]["comment_text"]
    assert [each["user"] for each in site.comments.values()].count(ME) == 1
    assert all("draft" in site.comments[459_000 + n]["comment_text"] for n in range(60))


def test_a_note_that_somebody_resolved_stays_resolved(site: ClickUpStandIn, tmp_path: Path) -> None:
    report = contract_setup(tmp_path).reports()[0]
    connect(site).report(report)
    (note,) = site.comments.values()
    note["resolved"] = True
    connect(site).report(replace(report, state="paid"))
    assert "paid" in note["comment_text"]
    assert note["resolved"] is True


def test_time_on_no_task_has_no_place_for_a_note(site: ClickUpStandIn, tmp_path: Path) -> None:
    report = contract_setup(tmp_path).reports()[1]
    with pytest.raises(UnsupportedError, match="no task"):
        connect(site).report(replace(report, fields={}, item=None))
    with pytest.raises(RejectedError, match="names no task"):
        connect(site).report(replace(report, fields={"task_id": "../user"}))
    assert site.requests == []


def test_a_cursor_of_another_shape_says_what_to_do(site: ClickUpStandIn) -> None:
    now = datetime(2026, 11, 2, tzinfo=UTC)
    for cursor in ("", "[]", '{"began": 1}', '{"began": "1", "since": 1}'):
        with pytest.raises(RejectedError, match="--anew"):
            connect(site).changes_since(cursor, now)
