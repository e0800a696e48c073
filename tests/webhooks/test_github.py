"""What is GitHub's own: form-encoded bodies, pings, and bodies without their header."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest

from ledger.errors import PayloadError
from ledger.events import Delivery
from webhooks.registry import sources

GITHUB = sources()["github"]
NOW = datetime(2026, 3, 31, tzinfo=UTC)
MILESTONE = {
    "action": "closed",
    "milestone": {
        "id": 1,
        "number": 2,
        "title": "Phase 1 & 2 = 100 % déjà",
        "updated_at": "2026-03-06T09:00:00Z",
        "closed_at": "2026-03-06T09:00:00Z",
    },
    "repository": {"full_name": "acme/portal"},
}


def delivery_of(body: bytes, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery(headers=named, body=body, received_at=NOW, endpoint="github")


def form(*payloads: Any) -> bytes:
    return "&".join(f"payload={quote_plus(json.dumps(one))}" for one in payloads).encode()


def test_a_form_encoded_body_says_the_same_as_json() -> None:
    as_json = delivery_of(json.dumps(MILESTONE).encode(), x_github_event="milestone")
    as_form = delivery_of(
        form(MILESTONE),
        x_github_event="milestone",
        content_type="application/x-www-form-urlencoded",
    )
    assert GITHUB.normalize(as_form) == GITHUB.normalize(as_json)


def test_the_signature_of_a_form_covers_its_text_as_sent() -> None:
    body = form(MILESTONE)
    assert GITHUB.signature is not None
    headers = GITHUB.signature.sign(body, "secret", delivery_id="", now=NOW)
    signed = Delivery({name.lower(): value for name, value in headers.items()}, body, NOW)
    GITHUB.verify(signed, ["secret"], now=NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"payload=",
        b"payload=%7B",
        b"payload=%ff",
        b"payload=\xff",
        b"payload={}&",
        form(MILESTONE, MILESTONE),
        b"payload=" + b"%5B" * 100_000,
        b"payload=" + b"a&" * 100_000,
    ],
)
def test_a_mangled_form_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(PayloadError, match=r"^(body|action)"):
        GITHUB.normalize(delivery_of(body, x_github_event="milestone"))


def test_a_ping_is_answered_and_bills_nothing() -> None:
    ping = delivery_of(b'{"zen": "Keep it simple.", "hook_id": 1}', x_github_event="ping")
    answer = GITHUB.handshake(ping)
    assert answer is not None
    assert answer.status == 200
    assert GITHUB.normalize(ping).ignored == "it is GitHub's test of the address"


def test_other_deliveries_have_no_handshake() -> None:
    assert GITHUB.handshake(delivery_of(b"{}", x_github_event="milestone")) is None


@pytest.mark.parametrize(
    ("body", "event_type"),
    [
        ({"zen": "x"}, "ping"),
        ({"action": "closed", "milestone": {}}, "milestone.closed"),
        ({"action": "milestoned", "issue": {}, "milestone": {}}, "issues.milestoned"),
        ({"action": "closed", "issue": {}}, "issues.closed"),
        ({"action": "created", "issue": {}, "comment": {}}, "issue_comment"),
        ({"action": "published", "release": {}}, "release.published"),
        (
            {"action": "created", "deployment": {}, "deployment_status": {}},
            "deployment_status.created",
        ),
        ({"action": "created", "deployment": {}, "workflow_run": {}}, "deployment"),
        ({"ref": "refs/heads/main", "commits": []}, "push"),
        ({"action": "closed", "pull_request": {}}, "pull_request"),
        ({"action": "submitted", "pull_request": {}, "review": {}}, "pull_request_review"),
        ({"action": "created", "label": {}}, "label"),
        ({"forkee": {}}, "fork"),
        ({"action": "started"}, "watch"),
        ({"sha": "1", "state": "success", "context": "ci"}, "status"),
        ({"deployment": {}, "deployment_status": {}}, "deployment_status.created"),
        ({"action": "deleted", "starred_at": None}, "star"),
        ({"ref": "v1", "ref_type": "tag", "master_branch": "main"}, "create"),
        ({"ref": "v1", "ref_type": "tag"}, "delete"),
        ({"action": "approved", "approver": {}, "workflow_run": {}}, "deployment_review"),
        ({"action": "sub_issue_added", "sub_issue": {}, "parent_issue": {}}, "sub_issues"),
        ({"action": "created", "comment": {}}, "commit_comment"),
        ({"action": "added", "scope": "team", "member": {}, "team": {}}, "membership"),
        ({"action": "closed", "project": {}}, "project"),
        ({"action": "created", "alert": {}}, "secret_scanning_alert"),
        ({"action": "revoked", "sender": {}}, "github_app_authorization"),
        ({"action": "archived", "sender": {}, "repository": {}}, "repository"),
    ],
)
def test_without_its_header_the_shape_tells_the_event(body: Any, event_type: str) -> None:
    assert GITHUB.event_type(delivery_of(json.dumps(body).encode())) == event_type


def test_the_header_wins_over_the_shape() -> None:
    body = json.dumps({"action": "created", "issue": {}}).encode()
    assert GITHUB.event_type(delivery_of(body, x_github_event="issue_comment")) == "issue_comment"


def test_a_body_that_tells_no_event_asks_for_the_header() -> None:
    with pytest.raises(PayloadError, match="X-GitHub-Event: is missing"):
        GITHUB.normalize(delivery_of(b'{"repository": {}}'))


@pytest.mark.parametrize("reason", ["not_planned", "duplicate", "something_new"])
def test_only_completed_issues_are_work_that_is_billed(reason: str) -> None:
    body = {"action": "closed", "issue": {"state_reason": reason}}
    reading = GITHUB.normalize(delivery_of(json.dumps(body).encode()))
    assert reading.events == ()
    assert reason.replace("_", " ") in (reading.ignored or "")
