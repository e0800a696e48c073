"""Jira: what is caught up on when its webhooks never came, and the entries of a period."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.jira.connector import JiraConnector
from connectors.jira.stand_in import ContractRig, JiraStandIn, contract_setup
from connectors.jira.stand_in_search import MINUTE_MS
from connectors.stand_in import Fault
from ledger.errors import PermanentError, RejectedError
from ledger.events import Delivery, Event, Found
from webhooks.registry import sources

STARTED = "2026-03-04T23:30:00.000-0500"
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def site(rig: ContractRig) -> JiraStandIn:
    return rig.site


@pytest.fixture
def jira(rig: ContractRig) -> JiraConnector:
    return JiraConnector(rig.settings, rig.http())


@pytest.fixture
def clock(site: JiraStandIn) -> list[int]:
    """Let the test set the site's clock."""
    now = [1_772_600_000_000]
    site.now = lambda: now[0]
    return now


def read(found: Iterable[Found]) -> list[Event]:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    told = [sources()["jira"].normalize(each.delivery("jira-agency", now)) for each in found]
    return [event for reading in told for event in reading.events]


def poll(jira: JiraConnector, cursor: str | None) -> tuple[list[Event], str]:
    """Turn all pages; return the events and the cursor reached."""
    events: list[Event] = []
    is_all = False
    while not is_all:
        changes = jira.changes_since(cursor, datetime(2026, 3, 31, tzinfo=UTC))
        events += read(changes.found)
        cursor, is_all = changes.cursor, changes.is_all
    assert cursor is not None
    return events, cursor


def told_by_webhook(**body: Any) -> Event:
    delivery = Delivery({}, json.dumps(body).encode(), datetime.now(UTC), "jira-agency")
    (event,) = sources()["jira"].normalize(delivery).events
    return event


def test_the_first_poll_bills_no_past(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.log(100, 10014, 3600, STARTED)
    clock[0] += HOUR_MS
    events, cursor = poll(jira, None)
    assert events == []
    assert json.loads(cursor)["updated"] == clock[0]


def test_a_missed_entry_reads_the_same_as_its_delivery(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    site.log(100, 10014, 3600, STARTED, comment=" Vouchers \n")
    clock[0] += 2 * MINUTE_MS
    (polled,), _ = poll(jira, cursor)
    told = told_by_webhook(
        webhookEvent="worklog_created", timestamp=site.changed[100], worklog=site.worklogs[100]
    )
    assert told == polled
    assert polled.on == date(2026, 3, 4)
    assert polled.occurred_at == datetime(2026, 3, 5, 4, 30, tzinfo=UTC)
    assert polled.endpoint == "jira-agency"


def test_an_edit_and_a_deletion_are_caught_up_on(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.log(100, 10014, 3600, STARTED)
    site.log(101, 10014, 1800, STARTED)
    clock[0] += HOUR_MS
    _, cursor = poll(jira, None)
    site.log(100, 10014, 7200, STARTED)
    site.unlog(101)
    clock[0] += 2 * MINUTE_MS
    (edited, removed), _ = poll(jira, cursor)
    assert (edited.kind, edited.subject, edited.seconds) == ("time.logged", "worklog:100", 7200)
    assert (removed.kind, removed.subject) == ("time.removed", "worklog:101")
    assert removed.version == site.deleted[101]


def test_polls_overlap_so_that_nothing_falls_between_them(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    told: set[str] = set()
    # An entry every ten seconds, a poll every minute: Jira hides the last minute each time.
    for number in range(60):
        site.log(number, 10014, 60, STARTED)
        clock[0] += 10_000
        if number % 6 == 0:
            events, cursor = poll(jira, cursor)
            told |= {event.subject for event in events}
    clock[0] += 2 * MINUTE_MS
    events, _ = poll(jira, cursor)
    assert told | {event.subject for event in events} == {f"worklog:{n}" for n in range(60)}


def test_many_missed_entries_are_read_page_by_page(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    for number in range(6 * site.page_of_worklogs + 1):
        clock[0] += 1
        site.log(number, 10014, 60, STARTED)
    clock[0] += 2 * MINUTE_MS
    events, reached = poll(jira, cursor)
    assert len({event.subject for event in events}) == 6 * site.page_of_worklogs + 1
    assert json.loads(reached)["updated"] == clock[0] - 2 * MINUTE_MS


def test_entries_that_cannot_be_paged_are_reported_and_not_skipped(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    for number in range(site.page_of_worklogs + 1):
        site.log(number, 10014, 60, STARTED)
    # All of them bear one time of change; a page that ends inside it cannot be continued.
    clock[0] += 2 * MINUTE_MS
    page = site._changes

    def inclusive(request: Any, changes: dict[int, int]) -> Any:
        answer = page(request, changes)
        content = json.loads(answer.get_data())
        content["until"], content["lastPage"] = content["since"], False
        answer.set_data(json.dumps(content))
        return answer

    site._changes = inclusive  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="same time"):
        poll(jira, cursor)


def test_a_poll_without_news_keeps_its_place(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    clock[0] += HOUR_MS
    events, reached = poll(jira, cursor)
    assert events == []
    assert json.loads(reached)["issues"] == clock[0]
    assert {**json.loads(reached), "issues": 0} == {**json.loads(cursor), "issues": 0}


def test_data_center_names_people_by_key(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    site.log(100, 10014, 60, STARTED, author={"key": "JIRAUSER1", "name": "ana"})
    clock[0] += 2 * MINUTE_MS
    (event,), _ = poll(jira, cursor)
    assert (event.person, event.person_name) == ("JIRAUSER1", None)


# --- issues ------------------------------------------------------------------------------------


def test_a_missed_completion_reads_the_same_as_its_delivery(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    clock[0] += MINUTE_MS
    site.issues[10014]["fields"] |= {"customfield_10004": 12.5, "customfield_10005": "12.5"}
    site.move(10014, "Abgenommen", "done")
    moved = site.histories[10014][0]
    told = told_by_webhook(
        webhookEvent="jira:issue_updated",
        timestamp=clock[0] + 30,
        user=moved["author"],
        issue=site.issues[10014],
        changelog={"items": moved["items"]},
    )
    (polled,), _ = poll(jira, cursor)
    # A number stays one, exactly, so that rules can compare it.
    assert polled.fields["customfield_10004"] == Decimal("12.5")
    assert polled.version == told.version - 30
    assert replace(polled, version=told.version, occurred_at=told.occurred_at) == told


def test_what_changes_later_in_an_issue_touches_no_old_completion(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.move(10014, "Done", "done")
    clock[0] += HOUR_MS
    _, cursor = poll(jira, None)
    clock[0] += MINUTE_MS
    site.change(10014, "labels", "shop", "shop gold", labels=["shop", "gold"])
    site.change(10014, "resolution", "Done", "Won't do", resolution={"name": "Won't do"})
    clock[0] += MINUTE_MS
    assert poll(jira, cursor)[0] == []


def test_a_note_of_ours_makes_the_poll_tell_nothing(
    jira: JiraConnector, site: JiraStandIn, rig: ContractRig, clock: list[int]
) -> None:
    site.move(10014, "Done", "done")
    clock[0] += HOUR_MS
    _, cursor = poll(jira, None)
    clock[0] += MINUTE_MS
    jira.report(rig.reports()[0])
    site.change(10014, "Comment", "", "")
    assert poll(jira, cursor)[0] == []


def test_a_move_that_fell_out_of_a_cut_history_is_still_found(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    clock[0] += MINUTE_MS
    site.move(10014, "Done", "done")
    for number in range(250):
        site.change(10014, "labels", "", str(number))
    (event,), _ = poll(jira, cursor)
    assert (event.kind, event.subject) == ("work.completed", "issue:10014")
    assert event.version == clock[0]


def test_an_issue_that_was_created_as_done_is_found_and_an_open_one_is_not(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    clock[0] += MINUTE_MS
    done = {"name": "Done", "statusCategory": {"key": "done"}}
    site.add_issue(10020, "ACME-20", "Fixed at once", status=done)
    site.add_issue(10021, "ACME-21", "Still to do")
    (event,), _ = poll(jira, cursor)
    assert (event.kind, event.subject) == ("work.completed", "issue:10020")


def test_data_center_searches_page_by_page_and_loses_none(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.is_cloud = False
    site.page_of_issues = 15
    _, cursor = poll(jira, None)
    for number in range(20_000, 20_060):
        clock[0] += 1000
        site.add_issue(number, f"ACME-{number}", "Do it")
        site.move(number, "Done", "done")
    first = jira.changes_since(cursor, datetime(2026, 3, 31, tzinfo=UTC))
    # Somebody deletes an issue between two pages, so that all others move up.
    del site.issues[20_003]
    events, _ = poll(jira, first.cursor)
    told = {event.subject for event in [*read(first.found), *events]}
    assert told == {f"issue:{number}" for number in range(20_000, 20_060)}


def test_a_page_whose_name_expired_is_searched_for_again(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = poll(jira, None)
    for number in (10014, 10015, 10016):
        clock[0] += 1000
        site.move(number, "Done", "done")
    first = jira.changes_since(cursor, datetime(2026, 3, 31, tzinfo=UTC))
    assert not first.is_all
    site.faults.append(Fault("400", "search/jql"))
    events, _ = poll(jira, first.cursor)
    assert {event.subject for event in events} == {"issue:10014", "issue:10015", "issue:10016"}
    site.faults.append(Fault("400", "search/jql"))
    with pytest.raises(RejectedError):
        poll(jira, cursor)


# --- the entries of a period, and many facts ---------------------------------------------------


@pytest.mark.parametrize("is_cloud", [True, False], ids=["Cloud", "Data Center"])
def test_the_entries_of_a_period_are_the_same_in_both(
    jira: JiraConnector, site: JiraStandIn, rig: ContractRig, is_cloud: bool
) -> None:
    site.is_cloud = is_cloud
    found = read(jira.entries(*rig.entry_period))
    assert {event.subject: event.seconds for event in found} == rig.entries
    assert len(found) == len(rig.entries)


def test_an_entry_belongs_to_the_day_of_its_author(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    raj = {"accountId": "712020:raj", "displayName": "Raj", "timeZone": "Asia/Kolkata"}
    site.log(900, 10015, 60, "2026-12-31T20:00:00.000+0000", author=raj)
    site.log(901, 10014, 60, "2026-11-30T20:00:00.000+0000", author=raj)
    (found,) = read(jira.entries(date(2026, 12, 1), date(2026, 12, 31)))
    assert (found.subject, found.on) == ("worklog:901", date(2026, 12, 1))


def test_many_issues_are_asked_for_at_once_also_where_one_is_gone(
    jira: JiraConnector, site: JiraStandIn
) -> None:
    for number in range(30_000, 30_150):
        site.add_issue(number, f"ACME-{number}", "Do it")
    site.page_of_issues = 100
    abouts = [f"issue:{number}" for number in (*range(30_000, 30_150), 99_999)]
    for site.is_cloud in (True, False):
        asked = len(site.requests)
        told = jira.enrich_all(abouts)
        assert len(site.requests) - asked <= 4
        assert told["issue:99999"] is None
        fact = told["issue:30149"]
        assert fact is not None
        assert fact.item == "ACME-30149"
        assert all(told[about] for about in abouts[:-1])
