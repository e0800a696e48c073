"""Jira: which worklogs are caught up on when their webhooks never came."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.jira import stand_in
from connectors.jira.connector import JiraConnector
from connectors.jira.stand_in import MINUTE_MS, ContractRig, JiraStandIn, contract_setup
from ledger.errors import PermanentError
from ledger.events import Delivery
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


def test_the_first_poll_bills_no_past(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.log(100, 10014, 3600, STARTED)
    clock[0] += HOUR_MS
    events, cursor = jira.missed_since(None)
    assert events == []
    assert cursor == str(clock[0])


def test_a_missed_entry_reads_the_same_as_its_delivery(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    site.log(100, 10014, 3600, STARTED, comment=" Vouchers \n")
    clock[0] += 2 * MINUTE_MS
    (polled,), _ = jira.missed_since(cursor)
    body = {
        "webhookEvent": "worklog_created",
        "timestamp": site.changed[100],
        "worklog": site.worklogs[100],
    }
    delivery = Delivery({}, json.dumps(body).encode(), datetime.now(UTC), "jira-agency")
    assert sources()["jira"].normalize(delivery).events == (polled,)
    assert polled.on == date(2026, 3, 4)
    assert polled.occurred_at == datetime(2026, 3, 5, 4, 30, tzinfo=UTC)
    assert polled.endpoint == "jira-agency"


def test_an_edit_and_a_deletion_are_caught_up_on(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    site.log(100, 10014, 3600, STARTED)
    site.log(101, 10014, 1800, STARTED)
    clock[0] += HOUR_MS
    _, cursor = jira.missed_since(None)
    site.log(100, 10014, 7200, STARTED)
    site.unlog(101)
    clock[0] += 2 * MINUTE_MS
    (edited, removed), _ = jira.missed_since(cursor)
    assert (edited.kind, edited.subject, edited.seconds) == ("time.logged", "worklog:100", 7200)
    assert (removed.kind, removed.subject) == ("time.removed", "worklog:101")
    assert removed.version == site.deleted[101]


def test_polls_overlap_so_that_nothing_falls_between_them(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    told: set[str] = set()
    # An entry every ten seconds, a poll every minute: Jira hides the last minute each time.
    for number in range(60):
        site.log(number, 10014, 60, STARTED)
        clock[0] += 10_000
        if number % 6 == 0:
            events, cursor = jira.missed_since(cursor)
            told |= {event.subject for event in events}
    clock[0] += 2 * MINUTE_MS
    events, _ = jira.missed_since(cursor)
    assert told | {event.subject for event in events} == {f"worklog:{n}" for n in range(60)}


def test_many_missed_entries_are_read_page_by_page(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    for number in range(2 * stand_in.PAGE_OF_WORKLOGS + 1):
        clock[0] += 1
        site.log(number, 10014, 60, STARTED)
    clock[0] += 2 * MINUTE_MS
    events, reached = jira.missed_since(cursor)
    assert len({event.subject for event in events}) == 2 * stand_in.PAGE_OF_WORKLOGS + 1
    assert reached == str(clock[0] - 2 * MINUTE_MS)


def test_entries_that_cannot_be_paged_are_reported_and_not_skipped(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    for number in range(stand_in.PAGE_OF_WORKLOGS + 1):
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
        jira.missed_since(cursor)


def test_a_poll_without_news_keeps_its_place(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    clock[0] += HOUR_MS
    assert jira.missed_since(cursor) == ([], cursor)


def test_data_center_names_people_by_key(
    jira: JiraConnector, site: JiraStandIn, clock: list[int]
) -> None:
    _, cursor = jira.missed_since(None)
    site.log(100, 10014, 60, STARTED, author={"key": "JIRAUSER1", "name": "ana"})
    clock[0] += 2 * MINUTE_MS
    (event,), _ = jira.missed_since(cursor)
    assert (event.person, event.person_name) == ("JIRAUSER1", None)
