"""What the shared contract does not ask of Plane."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import webhooks
from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery
from webhooks.registry import sources

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
PLANE = sources()["plane"]
PAYLOADS = Path(next(iter(webhooks.__path__))) / "plane" / "payloads"


def recorded(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))["body"]
    return body


def delivery(body: dict[str, Any], **headers: str) -> Delivery:
    return Delivery(headers, json.dumps(body).encode(), NOW, "plane")


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("WORK_ITEM_UPDATED", "workitem.updated"),
        ("WORK_ITEM_COMMENT_CREATED", "workitem.comment.created"),
        ("WORK_ITEM_PAGE_LINK_DELETED", "workitem.page_link.deleted"),
        ("CYCLE_ISSUE_CREATED", "cycle_issue.created"),
    ],
)
def test_a_name_from_the_inside_of_plane_is_known(inside: str, outside: str) -> None:
    body = {**recorded("ignored"), "event": f"WebhookScope.ScopeChoices.{inside}"}
    assert PLANE.event_type(delivery(body)) == outside


@pytest.mark.parametrize("inside", ["WORK_ITEM_PAID", "FOUND:WORK_ITEM", ""])
def test_another_name_from_the_inside_of_plane_is_no_event_type(inside: str) -> None:
    body = recorded("workitem.updated-completed")
    body["event"] = f"WebhookScope.ScopeChoices.{inside}"
    with pytest.raises(UnsupportedEventTypeError):
        PLANE.normalize(delivery(body))


@pytest.mark.parametrize("where", ["data", "previous_attributes"])
def test_a_word_other_than_none_is_neither_a_moment_nor_null(where: str) -> None:
    body = recorded("workitem.updated-reopened")
    body[where]["completed_at"] = "never"
    with pytest.raises(PayloadError, match=rf"{where}\.completed_at"):
        PLANE.normalize(delivery(body))


def test_a_retry_has_the_same_id_although_its_delivery_id_is_another() -> None:
    first = recorded("workitem.updated-completed")
    again = {**first, "delivery_id": "0d9c3a10-ffff-4c2e-9a00-000000000001"}
    ids = {
        PLANE.delivery_id(delivery(first, **{"x-plane-delivery": "a"})),
        PLANE.delivery_id(delivery(again, **{"x-plane-delivery": "b"})),
    }
    assert ids == {first["event_id"]}
    assert PLANE.normalize(delivery(first)) == PLANE.normalize(delivery(again))


def test_both_versions_tell_of_the_same_subject() -> None:
    newer, older = recorded("workitem.updated-completed"), recorded("issue.updated-completed")
    older["data"]["id"] = newer["data"]["id"]
    (one,) = PLANE.normalize(delivery(newer)).events
    (other,) = PLANE.normalize(delivery(older)).events
    assert (one.subject, one.version, one.kind) == (other.subject, other.version, other.kind)


def test_what_is_found_equals_what_the_webhook_tells() -> None:
    (told,) = PLANE.normalize(delivery(recorded("workitem.updated-completed"))).events
    found = delivery(recorded("found-workitem-completed"), **{"billhook-found": "workitem"})
    assert PLANE.normalize(found).events == (told,)
