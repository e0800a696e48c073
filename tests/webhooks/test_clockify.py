"""What is Clockify's own: the event's name, durations, the latest arrival, batches."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery, Event
from webhooks.registry import sources

CLOCKIFY = sources()["clockify"]
NOW = datetime(2026, 3, 31, tzinfo=UTC)
INTERVAL = {"start": "2026-03-04T14:40:20Z", "end": "2026-03-04T16:10:20Z", "duration": "PT1H30M"}
ENTRY = {"id": "65f0", "timeInterval": INTERVAL}
HEADER = "clockify-webhook-event-type"


def delivery_of(body: Any, at: datetime = NOW, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(named, json.dumps(body).encode(), at, "clockify")


def told(body: Any, event: str = "TIME_ENTRY_UPDATED", at: datetime = NOW) -> Event:
    (event_told,) = CLOCKIFY.normalize(delivery_of(body, at, billhook_event=event)).events
    return event_told


def with_interval(**changed: Any) -> dict[str, Any]:
    return {**ENTRY, "timeInterval": {**INTERVAL, **changed}}


def test_the_same_body_means_what_its_address_says() -> None:
    assert told(ENTRY, "NEW_TIME_ENTRY").kind == "time.logged"
    assert told(ENTRY, "TIME_ENTRY_DELETED").kind == "time.removed"


def test_without_an_event_the_error_says_what_to_do() -> None:
    with pytest.raises(PayloadError, match="/webhooks/<endpoint>/TIME_ENTRY_UPDATED"):
        CLOCKIFY.normalize(delivery_of(ENTRY))


def test_header_and_address_must_not_disagree() -> None:
    contrary = delivery_of(
        ENTRY, billhook_event="TIME_ENTRY_UPDATED", clockify_webhook_event_type="TIME_ENTRY_DELETED"
    )
    with pytest.raises(PayloadError, match="TIME_ENTRY_DELETED"):
        CLOCKIFY.normalize(contrary)


def test_the_latest_arrival_counts() -> None:
    later = told(ENTRY, at=NOW + timedelta(milliseconds=1))
    assert later.version == told(ENTRY).version + 1
    assert CLOCKIFY.orders_by_arrival


@pytest.mark.parametrize(
    ("duration", "end", "seconds"),
    [
        ("PT1H30M", "2026-03-04T16:10:20Z", 5400),
        ("PT90M", "2026-03-04T16:10:20Z", 5400),
        ("PT25H", "2026-03-05T15:40:20Z", 90_000),
        ("P1DT1H", "2026-03-05T15:40:20Z", 90_000),
        ("PT1S", "2026-03-04T14:40:21Z", 1),
        ("PT0S", "2026-03-04T14:40:20Z", 0),
        (None, "2026-03-04T15:40:21+01:00", 1),
    ],
)
def test_durations_are_exact(duration: str | None, end: str, seconds: int) -> None:
    assert told(with_interval(duration=duration, end=end)).seconds == seconds


@pytest.mark.parametrize(
    "changed",
    [
        {"duration": "PT"},
        {"duration": "P"},
        {"duration": "1:30"},
        {"duration": "PT1.5H"},
        {"duration": "PT1H30M1.5S"},
        {"duration": "-PT1H30M"},
        {"duration": "PT٣H"},
        {"duration": "PT1H"},
        {"duration": None, "end": "2026-03-04T14:40:19Z"},
        {"duration": None, "end": "2026-03-04T14:40:20.5Z"},
    ],
)
def test_a_duration_that_cannot_be_billed_exactly_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match=r"timeInterval\.(duration|end)"):
        told(with_interval(**changed))


def test_the_day_is_the_persons_own_where_it_is_told() -> None:
    late = {"start": "2026-04-01T01:30:00Z", "end": "2026-04-01T03:00:00Z"}
    assert told(with_interval(**late)).on.isoformat() == "2026-04-01"
    assert told(with_interval(**late, timeZone="America/Chicago")).on.isoformat() == "2026-03-31"
    assert told(with_interval(**late, timeZone="Mars/Olympus")).on.isoformat() == "2026-04-01"


@pytest.mark.parametrize(
    "body",
    [
        [{"id": "a"}, {"id": "b"}],
        {"timeEntries": [{"id": "a"}, {"id": "b"}]},
        {"timeEntryIds": ["a", "b"]},
    ],
)
def test_a_batch_takes_each_entry_back(body: Any) -> None:
    batch = delivery_of(body, billhook_event="TIME_ENTRY_BATCH_DELETED")
    events = CLOCKIFY.normalize(batch).events
    assert [(event.kind, event.subject) for event in events] == [
        ("time.removed", "entry:a"),
        ("time.removed", "entry:b"),
    ]


@pytest.mark.parametrize("body", [[], {"timeEntries": []}, {"ids": ["a"]}, {"timeEntryIds": [1]}])
def test_a_batch_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(PayloadError):
        CLOCKIFY.normalize(delivery_of(body, billhook_event="TIME_ENTRY_BATCH_DELETED"))


@pytest.mark.parametrize("state", ["PENDING", "REJECTED", "WITHDRAWN_APPROVAL"])
def test_a_timesheet_counts_only_when_it_is_approved(state: str) -> None:
    body = {"id": "a", "status": {"state": state, "updatedAt": "2026-03-09T23:15:00Z"}}
    reading = CLOCKIFY.normalize(
        delivery_of(body, billhook_event="APPROVAL_REQUEST_STATUS_UPDATED")
    )
    assert reading.events == ()
    assert "approved" in (reading.ignored or "")
