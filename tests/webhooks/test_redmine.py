"""Redmine's hours, journals and older bodies, beyond what the contract tries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Reading
from webhooks.redmine.source import RedmineSource

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def read(body: Any) -> Reading:
    return RedmineSource().normalize(Delivery({}, json.dumps(body).encode(), NOW, "redmine"))


def logged(hours: object) -> Any:
    entry = {
        "id": 7,
        "hours": hours,
        "spent_on": "2026-03-04",
        "updated_on": "2026-03-05T08:00:00Z",
    }
    return {"type": "time_entry.created", "data": {"time_entry": entry}}


def changed(journal: Any, *, is_closed: bool = True) -> Any:
    issue = {
        "id": 5,
        "status": {"id": 8, "name": "Done", "is_closed": is_closed},
        "updated_on": "2026-03-05T08:00:00Z",
        "closed_on": "2026-03-04T23:59:59Z",
    }
    return {"type": "issue.updated", "data": {"issue": issue, "journal": journal}}


@pytest.mark.parametrize(
    ("hours", "seconds"),
    [
        (0, 0),
        (2.5, 9000),
        (7.75, 27_900),
        (8, 28_800),
        ("0.33", 1200),
        (0.17, 600),
        (0.67, 2400),
        (0.02, 60),
        (0.34, 1224),
        (0.01, 36),
        (1.005, 3618),
        (0.3333, 1200),
    ],
)
def test_hours_are_the_minutes_that_redmine_counts_or_what_they_say(
    hours: object, seconds: int
) -> None:
    (event,) = read(logged(hours)).events
    assert event.seconds == seconds


def test_every_number_of_minutes_of_a_day_comes_back_from_its_two_decimals() -> None:
    for minutes in range(24 * 60 + 1):
        hours = (Decimal(minutes) / 60).quantize(Decimal("0.01"), ROUND_HALF_UP)
        (event,) = read(logged(str(hours))).events
        assert event.seconds == minutes * 60


@pytest.mark.parametrize("hours", [-1, "2:30", "8/1", None, True, 10**7, "1e3"])
def test_what_are_no_certain_hours_are_refused_by_name(hours: object) -> None:
    with pytest.raises(PayloadError) as caught:
        read(logged(hours))
    assert caught.value.path == "data.time_entry.hours"


def test_a_journal_without_the_status_changes_nothing_even_of_a_closed_issue() -> None:
    note = {"id": 1, "notes": "Thank you", "details": []}
    other = {"id": 1, "details": [{"property": "attr", "prop_key": "done_ratio"}]}
    for journal in (note, other):
        reading = read(changed(journal))
        assert reading.events == ()
        assert reading.ignored == "the issue changed, but not its status"
        assert [fact.about for fact in reading.facts] == ["issue:5"]


def test_completed_work_counts_on_the_day_when_it_was_closed() -> None:
    journal = {"id": 1, "details": [{"property": "attr", "prop_key": "status_id"}]}
    (event,) = read(changed(journal)).events
    assert (event.kind, event.on.isoformat()) == ("work.completed", "2026-03-04")
    (event,) = read(changed(journal, is_closed=False)).events
    assert (event.kind, event.on.isoformat()) == ("work.reopened", "2026-03-05")


def test_bodies_of_the_plugin_for_older_servers_are_named() -> None:
    with pytest.raises(UnsupportedEventTypeError, match="webhook plugin"):
        read({"payload": {"action": "updated", "issue": {"id": 5}}})


@pytest.mark.parametrize("status", ["Closed", "Rejected"])
def test_a_closing_told_under_two_names_gives_equal_events(status: str) -> None:
    body = changed({"id": 1, "details": [{"property": "attr", "prop_key": "status_id"}]})
    body["data"]["issue"]["status"]["name"] = status
    updated, closed = read(body), read({**body, "type": "issue.closed"})
    assert updated == closed
    assert len(closed.events) == 1
