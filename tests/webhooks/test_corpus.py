"""Bodies that the tools really sent. They stay outside: BILLHOOK_CORPUS names their folder."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Reading
from webhooks.registry import sources
from webhooks.signatures import lower_case
from webhooks.source import Source

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
EXPECTED = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parent / "corpus").glob("*.json"))
}
"""By the tool's folder in the corpus: `source`; `events`, kind and subject (and seconds, if given)
of each body that is worth something; `asks`, what a body only names; `errors`, each body that is
"unreadable" or "unsupported"; `by_arrival`, true where bodies have no time of change. Every other
body is ignored with a reason."""
ERRORS = {"unreadable": PayloadError, "unsupported": UnsupportedEventTypeError}


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
        if entry["tool"] in EXPECTED
    ]


CORPUS = corpus()


def source_of(entry: Any) -> Source:
    return sources()[EXPECTED[entry["tool"]]["source"]]


def expected(entry: Any, what: str) -> Any:
    return EXPECTED[entry["tool"]].get(what, {}).get(entry["file"].partition("/")[2])


def delivery_of(entry: Any, body: bytes, *, with_headers: bool = True) -> Delivery:
    headers = lower_case(entry["headers"]) if with_headers else {}
    return Delivery(headers, body, NOW, source_of(entry).key)


def told_by(reading: Reading, wanted: Any) -> list[list[Any]]:
    """Return kinds and subjects, and the seconds where the expectation names them."""
    with_seconds = {len(each) for each in wanted} == {3}
    return [
        [event.kind, event.subject, *([event.seconds] if with_seconds else [])]
        for event in reading.events
    ]


@pytest.mark.parametrize(("entry", "body"), CORPUS)
@pytest.mark.parametrize("with_headers", [True, False], ids=["headers", "bare"])
def test_each_recorded_body_is_read_ignored_or_refused_as_it_should(
    entry: Any, body: bytes, with_headers: bool
) -> None:
    source, error = source_of(entry), expected(entry, "errors")
    if not with_headers and EXPECTED[entry["tool"]].get("needs_headers"):
        return
    delivery = delivery_of(entry, body, with_headers=with_headers)
    if error is not None:
        with pytest.raises(ERRORS[error]):
            source.normalize(delivery)
        return
    reading = source.normalize(delivery)
    wanted = expected(entry, "events") or []
    assert told_by(reading, wanted) == wanted
    assert list(reading.asks) == (expected(entry, "asks") or [])
    assert bool(reading.ignored) is not bool(reading.events or reading.asks)
    assert source.normalize(delivery) == reading


@pytest.mark.parametrize(("entry", "body"), CORPUS)
def test_what_the_manifest_says_must_not_bill_gives_no_event(entry: Any, body: bytes) -> None:
    source = source_of(entry)
    note, delivery = entry["note"], delivery_of(entry, body)
    if "must be ignored" in note or "must not bill" in note or "must not be billed" in note:
        assert source.normalize(delivery).events == ()
    answer = source.handshake(delivery) or source.greeting(delivery)
    if re.search(r"(^|; |docs example: the |synthetic )handshake", note) or "handshake:" in note:
        assert answer is not None
        assert answer.status in (200, 204)
    else:
        assert answer is None


@pytest.mark.parametrize(("entry", "body"), CORPUS)
def test_the_moment_of_arrival_changes_nothing(entry: Any, body: bytes) -> None:
    source = source_of(entry)
    if expected(entry, "errors") is not None or source.orders_by_arrival:
        return
    first = delivery_of(entry, body)
    later = Delivery(first.headers, body, datetime(2030, 1, 1, tzinfo=UTC), first.endpoint)
    assert source.normalize(first) == source.normalize(later)


def one(file: str) -> Any:
    found = [parameter for parameter in CORPUS if parameter.id == file]
    if not found:
        pytest.skip("BILLHOOK_CORPUS does not name the folder of recorded payloads")
    entry, body = found[0].values
    return source_of(entry).normalize(delivery_of(entry, body))


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
