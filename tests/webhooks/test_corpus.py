"""Bodies that the tools really sent. They stay outside: BILLHOOK_CORPUS names their folder."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery
from webhooks.registry import sources
from webhooks.signatures import lower_case

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
TOOLS = {"jira_cloud": "jira", "jira_dc": "jira", "github": "github"}

# Everything in the corpus that is worth something, and everything that cannot be read.
EVENTS: dict[str, list[tuple[str, str]]] = {
    "jira_cloud/zulip.worklog_created.json": [("time.logged", "worklog:10066")],
    "jira_cloud/mattermost.issue-updated-resolved.json": [("work.completed", "issue:10040")],
    "jira_cloud/putit.version_released.json": [("milestone.completed", "version:10000")],
    "jira_cloud/sample.sprint_closed.json": [("milestone.completed", "sprint:123")],
    "jira_dc/mattermost.issue-updated-closed.json": [("work.completed", "issue:10300")],
    "jira_dc/zulip.worklog_updated__deleted.json": [
        ("time.removed", "worklog:10201"),
        ("time.total", "issue-time:10022"),
    ],
    "github/milestone.closed.json": [("milestone.completed", "milestone:4317517")],
    "github/derived.issues.closed_completed.json": [("work.completed", "issue:444500041")],
    "github/issues.reopened.json": [("work.reopened", "issue:444500041")],
    "github/release.published.json": [("release.published", "release:17372790")],
    "github/goplayground.release.json": [("release.published", "release:1261438")],
    "github/deployment_status.json": [("deployment.succeeded", "deployment:145988746")],
    "github/deployment_status.with-installation.json": [
        ("deployment.succeeded", "deployment:145988746")
    ],
}
ERRORS: dict[str, type[Exception]] = {
    "jira_cloud/huginn.search_api.json": PayloadError,
    "jira_cloud/zulip.example_anomalous_payload.json": PayloadError,
    "jira_dc/zulip.change_status_v1.json": UnsupportedEventTypeError,
    "jira_dc/zulip.unknown_v2.json": UnsupportedEventTypeError,
}


def corpus() -> list[Any]:
    folder = os.environ.get("BILLHOOK_CORPUS")
    if not folder:
        skip = pytest.mark.skip("BILLHOOK_CORPUS does not name the folder of recorded payloads")
        return [pytest.param({}, b"", marks=skip, id="no corpus")]
    payloads = Path(folder) / "payloads"
    manifest = json.loads((payloads / "manifest.json").read_text(encoding="utf-8"))
    return [
        pytest.param(entry, (payloads / entry["file"]).read_bytes(), id=entry["file"])
        for entry in manifest
        if entry["tool"] in TOOLS
    ]


CORPUS = corpus()


def delivery_of(entry: Any, body: bytes, *, with_headers: bool = True) -> Delivery:
    headers = lower_case(entry["headers"]) if with_headers else {}
    return Delivery(headers=headers, body=body, received_at=NOW, endpoint=TOOLS[entry["tool"]])


@pytest.mark.parametrize(("entry", "body"), CORPUS)
@pytest.mark.parametrize("with_headers", [True, False], ids=["headers", "bare"])
def test_each_recorded_body_is_read_ignored_or_refused_as_it_should(
    entry: Any, body: bytes, with_headers: bool
) -> None:
    source = sources()[TOOLS[entry["tool"]]]
    delivery = delivery_of(entry, body, with_headers=with_headers)
    if entry["file"] in ERRORS:
        with pytest.raises(ERRORS[entry["file"]]):
            source.normalize(delivery)
        return
    reading = source.normalize(delivery)
    told = [(event.kind, event.subject) for event in reading.events]
    assert told == EVENTS.get(entry["file"], [])
    assert bool(reading.ignored) is not bool(told)
    assert source.normalize(delivery) == reading


@pytest.mark.parametrize(("entry", "body"), CORPUS)
def test_what_the_manifest_says_must_not_bill_gives_no_event(entry: Any, body: bytes) -> None:
    source = sources()[TOOLS[entry["tool"]]]
    note, delivery = entry["note"], delivery_of(entry, body)
    if "must be ignored" in note or "must not bill" in note:
        assert source.normalize(delivery).events == ()
    if "handshake" in note:
        answer = source.handshake(delivery)
        assert answer is not None
        assert answer.status == 200
    else:
        assert source.handshake(delivery) is None


@pytest.mark.parametrize(("entry", "body"), CORPUS)
def test_the_moment_of_arrival_changes_nothing(entry: Any, body: bytes) -> None:
    source = sources()[TOOLS[entry["tool"]]]
    if entry["file"] in ERRORS:
        return
    first = delivery_of(entry, body)
    later = Delivery(first.headers, body, datetime(2030, 1, 1, tzinfo=UTC), first.endpoint)
    assert source.normalize(first) == source.normalize(later)


def one(file: str) -> Any:
    found = [parameter for parameter in CORPUS if parameter.id == file]
    if not found:
        pytest.skip("BILLHOOK_CORPUS does not name the folder of recorded payloads")
    entry, body = found[0].values
    return sources()[TOOLS[entry["tool"]]].normalize(delivery_of(entry, body))


def test_a_recorded_cloud_worklog_is_read_whole() -> None:
    (event,) = one("jira_cloud/zulip.worklog_created.json").events
    told = event.as_json()
    assert (told["on"], told["occurred_at"]) == ("2026-09-21", "2026-09-21T02:46:58Z")
    assert (event.seconds, event.version) == (144_000, 1_790_102_915_652)
    assert event.person == "99:27935d01-92a7-4687-8272-a9b8d3b2ae2e"
    assert (event.project, event.item, event.title, event.billable) == (None, None, None, None)
    assert (event.about, dict(event.fields)) == ("issue:10014", {"issue_id": "10014"})


def test_a_recorded_data_center_deletion_is_a_total_of_zero() -> None:
    removed, total = one("jira_dc/zulip.worklog_updated__deleted.json").events
    assert (total.seconds, total.project, total.item) == (0, "SCRUM", "SCRUM-23")
    assert total.person == "admin"
    assert total.on.isoformat() == "2022-10-27"
    assert removed.seconds is None


def test_recorded_custom_fields_can_be_asked_for_by_rules() -> None:
    issue, project = one("jira_cloud/mattermost.cloud-issue-created-many-fields.json").facts
    assert (issue.item, issue.labels) == ("KT-22", ("Label1", "Label2"))
    assert issue.fields["customfield_10071"] == ["value1", "value2"]
    assert issue.fields["customfield_10072"] == 23
    assert issue.fields["customfield_10074"] == "A"
    assert issue.fields["customfield_10075"] == ["1", "2"]
    assert issue.fields["fix_versions"] == ["version1", "version2"]
    assert "customfield_10060" not in issue.fields
    assert (project.about, project.project) == ("project:10008", "KT")
