"""OpenProject's durations, statuses and links, beyond what the contract tries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery, Reading
from webhooks.openproject.source import OpenProjectSource
from webhooks.payload import Payload

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def read(body: Any, **headers: str) -> Reading:
    return OpenProjectSource().normalize(Delivery(headers, json.dumps(body).encode(), NOW, "op"))


def entry(**members: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "hours": "PT1H",
        "spentOn": "2026-03-04",
        "updatedAt": "2026-03-05T08:00:00.250Z",
        **members,
    }


def package(status: str, **members: Any) -> dict[str, Any]:
    return {
        "id": 40,
        "subject": "Plan",
        "updatedAt": "2026-03-05T23:30:00.250Z",
        "_links": {"status": {"href": "/api/v3/statuses/3", "title": status}},
        **members,
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT07H42M", 27_720),
        ("PT1H", 3600),
        ("PT0S", 0),
        ("PT45M30S", 2730),
        ("PT5H30M3.9S", 19_803),
        ("PT1.5H", 5400),
        ("PT0.0001H", 0),
        ("P1D", 86_400),
        ("P1DT2H", 93_600),
        ("P1W", 604_800),
    ],
)
def test_durations_are_read_to_the_second(text: str, seconds: int) -> None:
    (event,) = read({"action": "time_entry:created", "time_entry": entry(hours=text)}).events
    assert event.seconds == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "P1M", "P1Y", "-PT1H", "PT-1H", "PT1H30", "1:30", "PT1H 30M", "PT1H\n"),
        *("P1DT", "PT1S1H", "pt1h", "PT١H", "PT1,5H", "PT600000H"),
    ],
)
def test_what_is_no_certain_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read({"action": "time_entry:created", "time_entry": entry(hours=text)})
    assert caught.value.path == "time_entry.hours"


@pytest.mark.parametrize(
    ("name", "is_closed", "kind"),
    [
        ("Handed over", True, "work.completed"),
        ("Closed", False, "work.reopened"),
        ("Rejected", True, "work.reopened"),
        ("Abgelehnt", True, "work.reopened"),
        ("Closed", None, "work.completed"),
        ("closed", None, "work.completed"),
        ("On hold", None, "work.reopened"),
        ("Abgenommen", None, None),
        ("", None, None),
    ],
)
def test_the_status_itself_is_believed_before_its_name(
    name: str, is_closed: bool | None, kind: str | None
) -> None:
    told = {} if is_closed is None else {"_embedded": {"status": {"isClosed": is_closed}}}
    reading = read({"action": "work_package:updated", "work_package": package(name, **told)})
    assert [event.kind for event in reading.events] == ([] if kind is None else [kind])
    assert reading.asks == (("work_package:40",) if kind is None else ())


def test_what_was_asked_for_is_never_asked_for_again() -> None:
    with pytest.raises(PayloadError, match="closed one"):
        read(package("Abgenommen"), **{"billhook-found": "work_package"})


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"date": None}, "milestone"),
        ({"date": "2026-03-20"}, "milestone"),
        ({"startDate": None, "dueDate": None}, "work"),
        ({"date": None, "startDate": None}, "work"),
        ({"startDate": None, "_embedded": {"type": {"isMilestone": True}}}, "milestone"),
        ({"date": None, "_embedded": {"type": {"isMilestone": False}}}, "work"),
    ],
)
def test_a_milestone_is_known_by_its_type_or_its_one_date(
    members: dict[str, Any], word: str
) -> None:
    body = {"action": "work_package:updated", "work_package": package("Closed", **members)}
    (event,) = read(body).events
    assert event.kind == f"{word}.completed"


def test_ids_and_names_are_also_found_in_what_is_embedded() -> None:
    whole = {
        "project": {"id": 3, "name": "Shop"},
        "workPackage": {"id": 40, "subject": "Plan"},
        "user": {"id": 9, "name": "Ines"},
    }
    body = {"action": "time_entry:created", "time_entry": entry(_embedded=whole)}
    (event,) = read(body).events
    assert (event.project, event.item, event.title) == ("Shop", "#40", "Plan")
    assert (event.person, event.person_name) == ("9", "Ines")


def test_time_on_another_thing_than_a_work_package_has_no_item() -> None:
    links = {"entity": {"href": "/api/v3/meetings/40", "title": "Kick-off"}}
    (event,) = read({"action": "time_entry:created", "time_entry": entry(_links=links)}).events
    assert (event.item, event.title) == (None, None)


def test_the_action_names_the_type_and_nothing_else_does() -> None:
    source = OpenProjectSource()
    assert source.type_of(Payload({"action": "project:created"}), Delivery({}, b"", NOW)) == (
        "project:created"
    )


def test_a_deletion_that_names_only_the_id_counts_from_its_arrival() -> None:
    (event,) = read(
        {"action": "time_entry:deleted", "time_entry": {"_type": "TimeEntry", "id": 7}}
    ).events
    assert (event.kind, event.subject, event.seconds) == ("time.removed", "time_entry:7", None)
    assert (event.version, event.on) == (1_774_958_400_000, NOW.date())
    (logged,) = read({"action": "time_entry:updated", "time_entry": entry()}).events
    assert event.version > logged.version
