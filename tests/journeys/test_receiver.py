"""What comes in is stored or refused, and nothing in between: the one door of the web process."""

from __future__ import annotations

import gzip
import json
from typing import Any
from unittest import mock

import pytest
from sqlalchemy.exc import OperationalError

from ledger import tables
from ledger.database import Database
from tests.journeys.house import issue, worklog
from tests.journeys.office import OLD_SECRET, PATH_TOKEN, SECRET, Office, milestone
from webhooks.jira.source import JiraSource

BODY = json.dumps(issue(7)).encode()
GARBAGE = (
    b"",
    b"\x00\xff\xfe",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"1e999999",
    b"[" * 100_000,
    b'{"id": "evt\\u0000"}',
    b'{"id": "\\ud800", "type": "\\ud800"}',
    b'{"id": {"id": []}, "type": 7}',
    b'{"webhookEvent": "worklog_created", "worklog": null}',
    b"payload=%7B%ff",
)


def send(office: Office, endpoint: str = "jira", body: bytes = BODY, *, path: str = "") -> Any:
    """Post a signed body; return the answer."""
    headers = office.signed(body, endpoint, "delivery")
    return office.client.post(f"/webhooks/{endpoint}{path}", data=body, headers=headers)


def refusals(office: Office) -> dict[str, int]:
    """Return how often was refused what."""
    return {row["reason"]: row["count"] for row in office.rows(tables.refusal)}


def test_a_delivery_is_accepted_once_and_repeated_afterwards(office: Office) -> None:
    answers = [send(office) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert [answer.json["status"] for answer in answers] == ["accepted", "repeated", "repeated"]
    assert len(office.rows(tables.delivery)) == 1


def test_a_tool_that_takes_only_a_200_for_success_gets_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JiraSource, "accepted_status", 200)
    assert [send(office).status_code for _ in range(2)] == [200, 200]
    assert len(office.rows(tables.delivery)) == 1


def test_a_repeated_id_does_not_hide_another_body(office: Office) -> None:
    send(office)
    assert send(office, body=json.dumps(issue(8)).encode()).json["status"] == "accepted"


def test_an_endpoint_that_the_rules_do_not_name_is_not_there(office: Office) -> None:
    for name in ("nowhere", "Jira", "jira.", "a" * 65, "files"):
        assert send(office, name).status_code == 404
    assert send(office, path="/more").status_code == 404
    assert office.rows(tables.delivery) == []


def test_what_nobody_signed_is_refused_counted_and_not_stored(office: Office) -> None:
    plain: dict[str, str] = {}
    forged = office.signed(BODY, "jira", "delivery", secret="a-secret-of-somebody-else")
    empty = office.signed(BODY, "jira", "delivery", secret="")
    for headers in (plain, forged, empty, {"X-Hub-Signature": ""}):
        answer = office.client.post("/webhooks/jira", data=BODY, headers=headers)
        assert answer.status_code == 401
        assert SECRET not in answer.text
    assert refusals(office) == {"signature": 4}
    assert office.rows(tables.delivery) == []


def test_both_secrets_are_good_while_they_are_changed_over(office: Office) -> None:
    for secret in (SECRET, OLD_SECRET):
        headers = office.signed(BODY, "jira", secret, secret=secret)
        answer = office.client.post("/webhooks/jira", data=BODY, headers=headers)
        assert answer.json == {"status": "accepted"}
    office.change("workspace.yaml", ', "${OLD_SECRET}"', "")
    office.activate()
    headers = office.signed(BODY, "jira", "delivery", secret=OLD_SECRET)
    assert office.client.post("/webhooks/jira", data=BODY, headers=headers).status_code == 401


def test_an_endpoint_without_its_secret_accepts_nothing(office: Office) -> None:
    office.line.environ = {**office.line.environ, "SECRET": ""}
    answer = send(office)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert office.rows(tables.delivery) == []


def test_too_large_or_compressed_bodies_are_refused(office: Office) -> None:
    assert send(office, body=b" " * 1_000_001).status_code == 413
    body = gzip.compress(BODY)
    headers = office.signed(body, "jira", "delivery") | {"Content-Encoding": "gzip"}
    assert office.client.post("/webhooks/jira", data=body, headers=headers).status_code == 415
    assert refusals(office) == {"too large": 1, "compressed": 1}
    assert office.rows(tables.delivery) == []


def test_an_unsigned_endpoint_opens_to_its_path_only(office: Office) -> None:
    event = {"kind": "time.logged", "subject": "1", "on": "2026-10-03", "seconds": 60}
    body = json.dumps(event).encode()
    for path in ("", "/", "/wrong", f"/{PATH_TOKEN}x", f"/{PATH_TOKEN}/"):
        assert office.client.post(f"/webhooks/scripts{path}", data=body).status_code == 404
    assert office.client.post(f"/webhooks/scripts/{PATH_TOKEN}", data=body).status_code == 202
    office.settle()
    (delivery,) = office.rows(tables.delivery)
    assert delivery["state"] == "normalized"


def test_githubs_ping_is_answered_and_not_stored(office: Office) -> None:
    body = b'{"zen": "Keep it simple"}'
    headers = office.signed(body, "github", "delivery") | {"X-GitHub-Event": "ping"}
    answer = office.client.post("/webhooks/github", data=body, headers=headers)
    assert answer.status_code == 200
    assert office.rows(tables.delivery) == []


def test_a_database_that_cannot_write_asks_the_sender_to_come_again(office: Office) -> None:
    away = OperationalError("insert", {}, Exception("the disk is full"))
    with mock.patch.object(Database, "write", side_effect=away):
        for body in (BODY, b"forged"):
            headers = office.signed(BODY, "jira", "delivery")
            answer = office.client.post("/webhooks/jira", data=body, headers=headers)
            # What is refused is refused, even where the refusal cannot be counted.
            assert answer.status_code == (503 if body == BODY else 401)
            assert ("Retry-After" in answer.headers) is (body == BODY)
            assert "disk" not in answer.text
    assert send(office).json == {"status": "accepted"}


@pytest.mark.parametrize("endpoint", ["jira", "github", "stripe", "scripts"])
def test_a_signed_body_of_garbage_is_kept_and_waits_with_its_reason(
    office: Office, endpoint: str
) -> None:
    path = f"/{PATH_TOKEN}" if endpoint == "scripts" else ""
    for body in GARBAGE:
        assert send(office, endpoint, body, path=path).status_code == 202, body
    office.settle()
    rows = office.rows(tables.delivery)
    assert len(rows) == len(GARBAGE)
    assert {row["state"] for row in rows} <= {"unreadable", "unsupported", "ignored"}
    assert all(row["reason"] for row in rows)
    # And it holds up nothing that comes with it.
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {"acme-2026-10": ("draft", 12000)}


def test_a_text_that_no_database_can_hold_is_refused_before_it_gets_there(office: Office) -> None:
    for number, title in enumerate(("\x00", "\ud800", "a\x00b")):
        bad = issue(7, title=title)
        assert office.post(bad, delivery_id=str(number)) == 202
    told = milestone("closed", at="2026-10-05T08:00:00Z")
    told["milestone"]["title"] = "Phase \x00"
    office.tell(told, endpoint="github")
    states = {row["state"] for row in office.rows(tables.delivery)}
    assert "waiting" not in states
    assert "failed" not in states


def test_credentials_in_headers_are_not_stored(office: Office) -> None:
    doors = {"Authorization": "Bearer abc", "Cookie": "a=b", "X-Forwarded-For": "10.0.0.1"}
    headers = office.signed(BODY, "jira", "delivery") | doors
    assert office.client.post("/webhooks/jira", data=BODY, headers=headers).status_code == 202
    (delivery,) = office.rows(tables.delivery)
    assert not {"authorization", "cookie", "x-forwarded-for"} & set(delivery["headers"])
