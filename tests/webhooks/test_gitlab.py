"""GitLab: what its two shapes of the same thing have in common, and which id a repetition keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import webhooks
from ledger.errors import PayloadError, SignatureError
from ledger.events import Delivery, Event
from webhooks.gitlab.source import GitLabSource

SOURCE = GitLabSource()
NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
PAYLOADS = Path(next(iter(webhooks.__path__))) / "gitlab" / "payloads"


def told(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


def events(body: Any, headers: dict[str, str] | None = None) -> tuple[Event, ...]:
    delivery = Delivery(headers or {}, json.dumps(body).encode(), NOW, "gitlab")
    return SOURCE.normalize(delivery).events


def found(name: str) -> tuple[Event, ...]:
    return events(told(name)["body"], told(name)["headers"])


@pytest.mark.parametrize(
    ("webhook", "polled"),
    [
        ("issue.close", "found-issue"),
        ("milestone.close", "found-milestone"),
        ("release.create", "found-release"),
    ],
)
def test_what_a_poll_finds_is_what_the_webhook_would_have_told(webhook: str, polled: str) -> None:
    assert found(webhook)[0] == found(polled)[0]


def test_a_polled_total_is_what_the_webhook_told() -> None:
    _, by_webhook = found("issue.close-with-time")
    (by_poll,) = found("found-issue-time")
    assert by_webhook == by_poll


def test_a_work_item_and_an_issue_of_one_id_are_one_subject() -> None:
    (issue,), (item,) = found("issue.close"), found("work_item.close")
    assert issue.subject == item.subject


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("https://git.acme.example/groups/acme/-/epics/7", "acme"),
        ("https://acme.example/gitlab/groups/acme/groups/web/-/work_items/7", "acme/groups/web"),
        ("https://git.acme.example/acme/web/portal/-/work_items/7", None),
        (None, None),
    ],
)
def test_an_epics_project_is_its_group(url: str | None, project: str | None) -> None:
    body = told("work_item.close-epic")["body"]
    body["object_attributes"]["url"] = url
    (event,) = events(body)
    assert event.project == project


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("2026-03-05T16:20:01Z", 1772727601000),
        ("2026-03-05T16:20:01.999Z", 1772727601000),
        ("2026-03-05 16:20:01 UTC", 1772727601000),
        ("2026-03-05 18:20:01 +0200", 1772727601000),
        ("2026-03-05T11:20:01-05:00", 1772727601000),
    ],
)
def test_each_way_of_writing_a_moment_is_read(written: str, version: int) -> None:
    body = told("milestone.close")["body"]
    body["object_attributes"]["updated_at"] = written
    assert events(body)[0].version == version


@pytest.mark.parametrize(
    "written", ["2026-03-05 16:20:01", "2026-03-05 16:20:01 CET", "2026-03-05", "", "UTC"]
)
def test_a_moment_without_its_offset_is_refused_by_name(written: str) -> None:
    body = told("milestone.close")["body"]
    body["object_attributes"]["updated_at"] = written
    with pytest.raises(PayloadError, match=r"object_attributes\.updated_at"):
        events(body)


def test_the_total_stands_for_the_change_not_the_change_itself() -> None:
    body = told("issue.update-time")["body"]
    body["object_attributes"].update(total_time_spent=9000, time_change=1800)
    body["changes"]["total_time_spent"] = {"previous": 7200, "current": 9000}
    assert [event.seconds for event in events(body)] == [9000]


def test_a_change_of_the_total_counts_without_a_time_change() -> None:
    body = told("issue.update-time")["body"]
    del body["object_attributes"]["time_change"]
    assert [event.kind for event in events(body)] == ["time.total"]


def test_one_action_that_causes_many_webhooks_gives_each_its_own_id() -> None:
    first, second = (told(name)["headers"] for name in ("issue.close", "issue.reopen"))
    assert first["X-Gitlab-Event-UUID"] == second["X-Gitlab-Event-UUID"]
    ids = {
        SOURCE.delivery_id(Delivery({k.lower(): v for k, v in each.items()}, b"{}", NOW))
        for each in (first, second)
    }
    assert ids == {first["Idempotency-Key"], second["Idempotency-Key"]}


def test_only_the_event_uuid_is_no_id() -> None:
    delivery = Delivery({"x-gitlab-event-uuid": "5b0f"}, b"{}", NOW)
    assert SOURCE.delivery_id(delivery) is None
    assert SOURCE.delivery_id(replace(delivery, headers={"webhook-id": "a"})) == "a"


def test_a_good_token_does_not_save_a_bad_signature() -> None:
    headers = {"x-gitlab-token": "whsec_c2VjcmV0", "webhook-signature": "v1,AAAA"}
    delivery = Delivery(headers, b"{}", NOW)
    with pytest.raises(SignatureError):
        SOURCE.verify(delivery, ["whsec_c2VjcmV0"], now=NOW)
