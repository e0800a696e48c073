"""What is Linear's own: the found and the told agree, and actions that are not listed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.events import Delivery, Event
from webhooks.registry import sources

LINEAR = sources()["linear"]
NOW = datetime(2026, 11, 9, tzinfo=UTC)
PAYLOADS = Path(__file__).parents[2] / "webhooks" / "linear" / "payloads"


def recorded(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return told


def read(name: str, **changes: Any) -> list[Event]:
    told = recorded(name)
    body = json.dumps({**told["body"], **changes}).encode()
    headers = {key.lower(): value for key, value in told["headers"].items()}
    return list(LINEAR.normalize(Delivery(headers, body, NOW, "linear")).events)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("Issue.update", "found-issue"),
        ("Issue.update-reopened", "found-issue-open"),
        ("Issue.remove", "found-issue-trashed"),
        ("Project.update", "found-project"),
        ("Cycle.update", "found-cycle"),
    ],
)
def test_what_is_found_is_equal_to_what_the_webhook_told(told: str, found: str) -> None:
    assert [event.digest() for event in read(told)] == [event.digest() for event in read(found)]


@pytest.mark.parametrize("name", ["Issue.restore", "Issue.update-restored"])
def test_what_comes_back_from_the_trash_is_newer_than_its_deletion(name: str) -> None:
    (removed,), (restored,) = read("Issue.remove"), read(name)
    assert restored.subject == removed.subject
    assert restored.version > removed.version


def test_an_update_without_the_former_values_says_what_the_issue_is_now() -> None:
    (event,) = read("Issue.update", updatedFrom=None)
    assert event.kind == "work.completed"


def test_what_was_never_set_is_no_change_although_an_older_body_lists_it() -> None:
    before = {"title": "Old title", "trashed": None, "canceledAt": None}
    assert read("Issue.update", updatedFrom=before) == []


@pytest.mark.parametrize(
    ("event_type", "word"), [("Comment.resolve", "comment"), ("AppUserNotification.new", "notice")]
)
def test_another_action_of_a_type_that_earns_nothing_is_ignored_too(
    event_type: str, word: str
) -> None:
    assert word in (LINEAR.why_ignored(event_type) or "")
    assert LINEAR.why_ignored("Issue.flown") is None


def test_a_delivery_is_answered_as_linear_wants_it() -> None:
    assert LINEAR.accepted_status == 200
