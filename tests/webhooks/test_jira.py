"""What is Jira's own: when an issue counts as done, comments in two formats, odd time zones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Reading
from webhooks.registry import sources

JIRA = sources()["jira"]


def read(body: Any) -> Reading:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    return JIRA.normalize(Delivery({}, json.dumps(body).encode(), now, "jira"))


def change(field: str, before: str | None, after: str | None, **more: str) -> dict[str, Any]:
    return {
        "field": field,
        "fieldtype": "jira",
        "from": before and "1",
        "fromString": before,
        "to": after and "2",
        "toString": after,
        **more,
    }


def moved(
    *items: dict[str, Any], category: str | None, user: dict[str, Any] | None = None
) -> Reading:
    status: dict[str, Any] = {"name": "Somewhere"}
    if category is not None:
        status["statusCategory"] = {"key": category}
    return read(
        {
            "timestamp": 1772663400000,
            "webhookEvent": "jira:issue_updated",
            "user": user,
            "issue": {"id": "1", "key": "ACME-1", "fields": {"status": status}},
            "changelog": {"items": list(items)},
        }
    )


def kinds(reading: Reading) -> list[str]:
    return [event.kind for event in reading.events]


@pytest.mark.parametrize(
    ("items", "category", "kind"),
    [
        ([change("status", "Review", "Abgenommen")], "done", "work.completed"),
        ([change("status", "Resolved", "Closed")], "done", "work.completed"),
        ([change("Status", None, "Done")], "done", "work.completed"),
        ([change("STATE", "Review", "Done", fieldId="status")], "done", "work.completed"),
        ([change("summary", "a", "b")], "done", None),
        ([change("resolution", None, "Done")], "done", None),
        ([change("status", "Open", "Done", fieldtype="custom")], "done", None),
        ([], "done", None),
        ([change("status", "To Do", "In Progress")], "indeterminate", None),
        ([change("status", "Done", "In Progress")], "indeterminate", "work.reopened"),
        ([change("status", "ERLEDIGT", "Offen")], "new", "work.reopened"),
        ([change("status", "Terminé", "En cours")], "new", "work.reopened"),
        ([change("status", "Done", "Closed")], "new", None),
        (
            [change("status", "Abgenommen", "Offen"), change("resolution", "Fertig", None)],
            "new",
            "work.reopened",
        ),
        (
            [change("status", "Abgenommen", "Offen"), change("resolution", "A", "B")],
            "new",
            None,
        ),
        ([change("resolution", "Fertig", None)], "new", None),
        ([change("resolution", None, "Fixed")], None, "work.completed"),
        ([change("resolution", "Fixed", None)], None, "work.reopened"),
        ([change("status", "Open", "Resolved")], None, None),
        ([change("status", "Resolved", "Reopened")], None, "work.reopened"),
        ([change("priority", "Low", "High")], None, None),
    ],
)
def test_an_issue_is_done_by_its_category_and_was_done_by_what_was_cleared(
    items: list[dict[str, Any]], category: str | None, kind: str | None
) -> None:
    reading = moved(*items, category=category)
    assert kinds(reading) == ([kind] if kind else [])
    assert [fact.about for fact in reading.facts] == ["issue:1"], "facts are told in any case"


def test_a_move_that_earns_nothing_says_from_where_to_where() -> None:
    reading = moved(change("status", "To Do", "In Progress"), category="indeterminate")
    assert reading.ignored == "the issue moved from To Do to In Progress: not done yet"


@pytest.mark.parametrize(
    ("zone", "on"),
    [
        ("Europe/Vienna", "2026-03-04"),
        ("Asia/Kolkata", "2026-03-05"),
        ("GMT", "2026-03-04"),
        ("Mars/Olympus", "2026-03-04"),
        ("../../etc/passwd", "2026-03-04"),
        ("/etc/passwd", "2026-03-04"),
        ("Europe", "2026-03-04"),
        ("\u0001", "2026-03-04"),
        ("", "2026-03-04"),
        (None, "2026-03-04"),
    ],
)
def test_the_day_is_the_one_where_the_person_lives_and_else_utc(zone: str | None, on: str) -> None:
    user = {"accountId": "5b10", "timeZone": zone}
    (event,) = moved(change("status", "A", "B"), category="done", user=user).events
    assert event.on.isoformat() == on
    assert event.as_json()["occurred_at"] == "2026-03-04T22:30:00Z"


def worklog(**changes: Any) -> Reading:
    entry = {
        "id": "7",
        "issueId": "10014",
        "started": "2026-03-02T14:00:00.000+0100",
        "timeSpentSeconds": 60,
        "updated": "2026-03-02T15:00:00.000+0100",
        **changes,
    }
    return read({"webhookEvent": "worklog_created", "worklog": entry})


def test_an_entry_without_a_timestamp_has_the_version_of_its_last_change() -> None:
    (event,) = worklog().events
    assert event.version == 1772460000000


def test_an_entry_of_nobody_is_still_an_entry() -> None:
    (event,) = worklog(author=None).events
    assert (event.person, event.person_name, event.seconds) == (None, None, 60)


@pytest.mark.parametrize("seconds", [-1, 1.5, "60", True, None, 2**31, 1e300])
def test_seconds_are_a_whole_number_that_is_not_negative(seconds: object) -> None:
    with pytest.raises(PayloadError) as refusal:
        worklog(timeSpentSeconds=seconds)
    assert refusal.value.path in ("worklog.timeSpentSeconds", "body")


def paragraph(*texts: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        ("Login", "Login"),
        ("", None),
        (None, None),
        (7, None),
        ({"type": "doc", "content": [paragraph("a", "b"), paragraph("c")]}, "ab\nc"),
        (
            {"type": "doc", "content": [{"type": "bulletList", "content": [paragraph("x")]}]},
            "x",
        ),
        ({"type": "doc", "content": "odd"}, "odd"),
        ({"type": "doc", "content": [None, 1, {"text": 5}, {"attrs": []}]}, None),
    ],
)
def test_a_comment_is_told_as_plain_text(comment: object, text: str | None) -> None:
    (event,) = worklog(comment=comment).events
    assert event.fields.get("comment") == text


def test_a_workflows_post_function_is_told_apart_from_a_webhook() -> None:
    with pytest.raises(UnsupportedEventTypeError, match="post function"):
        read({"transition": {"to_status": "Done"}, "issue": {}, "timestamp": 1})


def test_an_automation_rules_issue_is_told_apart_from_a_webhook() -> None:
    with pytest.raises(UnsupportedEventTypeError, match="automation rule"):
        read({"id": 10014, "key": "WEB-7", "fields": {"summary": "Login"}})


def test_a_total_beyond_what_is_possible_is_refused() -> None:
    body = {
        "timestamp": 1,
        "webhookEvent": "jira:worklog_updated",
        "issue": {"id": "1", "key": "A-1"},
        "changelog": {"items": [change("timespent", None, None, to="9999999999")]},
    }
    with pytest.raises(PayloadError, match=r"changelog\.items\[0\]\.to"):
        read(body)
