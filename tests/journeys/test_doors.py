"""Tools that sign in odd ways reach the line through the one door, and leave no key behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger import tables
from tests.journeys.office import SECRET, Office

TOKENS = ("a-token-that-clockify-made-1", "a-token-that-clockify-made-2")
SOURCES = """sources:
  clockify: {tool: clockify, secret: ["${CLOCKIFY_1}", "${CLOCKIFY_2}"]}
  kanboard: {tool: kanboard, secret: "${SECRET}"}
  toggl: {tool: toggl, secret: "${SECRET}"}
  trello: {tool: trello, secret: "${SECRET}"}
  monday: {tool: monday, secret: "${SECRET}"}
  harvest: {tool: harvest, only_polled: yes}
"""
ENTRY: dict[str, Any] = {
    "id": "64c0ffee5eedf00d12345678",
    "userId": "64c0ffee5eedf00d00000001",
    "workspaceId": "64c0ffee5eedf00d00000002",
    "billable": True,
    "description": "Vouchers",
    "projectId": "64c0ffee5eedf00d00000003",
    "project": {"id": "64c0ffee5eedf00d00000003", "name": "ACME", "clientName": "Acme"},
    "timeInterval": {
        "start": "2026-11-20T09:00:00Z",
        "end": "2026-11-20T10:00:00Z",
        "duration": "PT1H",
    },
}


@pytest.fixture
def doors(office: Office) -> Office:
    tokens = dict(zip(("CLOCKIFY_1", "CLOCKIFY_2"), TOKENS, strict=True))
    office.line.environ = {**office.line.environ, **tokens}
    office.change("workspace.yaml", "sources:\n", SOURCES)
    office.activate()
    return office


def posted(office: Office, path: str, body: Any, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = office.client.post(f"/webhooks/{path}", data=json.dumps(body), headers=sent)
    office.settle()
    return answer


def test_the_address_says_what_happened_and_each_webhook_has_its_own_token(doors: Office) -> None:
    for token, event in zip(TOKENS, ("NEW_TIME_ENTRY", "TIME_ENTRY_DELETED"), strict=True):
        doors.clock.go_on(1)
        answer = posted(doors, f"clockify/{event}", ENTRY, clockify_signature=token)
        assert answer.status_code == 202
    told = [(row["kind"], row["seconds"]) for row in doors.rows(tables.event)]
    assert told == [("time.logged", 3600), ("time.removed", None)]
    for row in doors.rows(tables.delivery):
        assert not any(token in json.dumps(row["headers"]) for token in TOKENS)
        assert row["headers"]["billhook-event"] in ("NEW_TIME_ENTRY", "TIME_ENTRY_DELETED")


def test_a_state_that_comes_back_is_news(doors: Office) -> None:
    """Clockify's bodies hold no time of change: what is equal to an older one is no repetition."""
    longer = {**ENTRY, "timeInterval": {**ENTRY["timeInterval"], "duration": "PT2H"}}
    longer["timeInterval"]["end"] = "2026-11-20T11:00:00Z"
    for body in (ENTRY, longer, ENTRY):
        doors.clock.go_on(1)
        posted(doors, "clockify/TIME_ENTRY_UPDATED", body, clockify_signature=TOKENS[0])
    (subject,) = doors.rows(tables.subject)
    assert subject["seconds"] == 3600
    assert len(doors.rows(tables.delivery)) == 3


@pytest.mark.parametrize("path", ["clockify/NO_SUCH_EVENT", "clockify/..", "jira/NEW_TIME_ENTRY"])
def test_an_address_that_the_tool_does_not_have_is_not_there(doors: Office, path: str) -> None:
    assert posted(doors, path, ENTRY, clockify_signature=TOKENS[0]).status_code == 404
    assert doors.rows(tables.delivery) == []


def test_nobody_says_from_outside_that_billhook_found_something(doors: Office) -> None:
    gone = {"subject": "entry:64c0ffee5eedf00d12345678", "version": 9_999_999_999_999}
    answer = posted(doors, "clockify", gone, clockify_signature=TOKENS[0], Billhook_Found="gone")
    assert answer.status_code == 202
    (delivery,) = doors.rows(tables.delivery)
    assert "billhook-found" not in delivery["headers"]
    assert doors.rows(tables.event) == []


def test_a_token_in_the_address_opens_the_door_and_is_kept_nowhere(doors: Office) -> None:
    task = {
        "id": "4",
        "title": "My task",
        "project_name": "ACME",
        "date_modification": "1795300000",
    }
    body = {"event_name": "task.close", "event_data": {"task_id": "4", "task": task}}
    for query in ("", "?token=wrong", f"?token={SECRET}&token={SECRET}"):
        assert posted(doors, f"kanboard{query}", body).status_code == 401
    assert posted(doors, f"kanboard?token={SECRET}", body).status_code == 202
    (delivery,) = doors.rows(tables.delivery)
    assert SECRET not in json.dumps(delivery["headers"])


def test_a_ping_that_is_signed_is_answered_with_its_code_and_not_stored(doors: Office) -> None:
    body = {"payload": "ping", "validation_code": "89627dd73f2044f2f73815d665bbce33"}
    raw = json.dumps(body).encode()
    headers = doors.signed(raw, "jira", "1")
    signed = {"X-Webhook-Signature-256": headers["X-Hub-Signature"]}
    answer = doors.client.post("/webhooks/toggl", data=raw, headers=signed)
    assert (answer.status_code, answer.json) == (200, {"validation_code": body["validation_code"]})
    assert doors.client.post("/webhooks/toggl", data=raw).status_code == 401
    assert doors.rows(tables.delivery) == []


@pytest.mark.parametrize("method", ["head", "get"])
def test_a_tool_that_asks_whether_the_address_is_there_hears_yes(
    doors: Office, method: str
) -> None:
    ask = getattr(doors.client, method)
    answer = ask("/webhooks/trello")
    assert (answer.status_code, answer.data) == (200, b"")
    for name in ("jira", "nobody", "harvest"):
        assert ask(f"/webhooks/{name}").status_code == 404


def test_a_challenge_is_echoed_only_while_the_webhook_is_made(doors: Office) -> None:
    body = {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
    assert posted(doors, "monday", body).status_code == 401
    doors.change("workspace.yaml", "tool: monday,", "tool: monday, handshake: yes,")
    doors.activate()
    answer = posted(doors, "monday", body)
    assert (answer.status_code, answer.json) == (200, body)
    assert answer.mimetype == "application/json"
    assert doors.rows(tables.delivery) == []


def test_nothing_is_posted_to_a_tool_that_is_only_polled(doors: Office) -> None:
    assert posted(doors, "harvest", {"hours": 1}).status_code == 404
