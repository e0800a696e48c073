"""The API: who may do what, pages that end, approvals bound to what was seen, one error shape."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from ledger import tables
from ledger.access import create_token, revoke_token
from ledger.held import ALL_KINDS
from tests.console.conftest import RecordingDoorbell, bearer, console_of
from tests.ledger.seed import NOW, SmallFirm, logged

DRAFT = "acme-2026-11"
APPROVE = f"/api/v1/invoices/{DRAFT}/approve"
PATHS = ("events", "lines", "invoices", f"invoices/{DRAFT}", "held", "payments")


def _pages(
    client: FlaskClient, path: str, name: str, headers: dict[str, str], **query: Any
) -> list[list[dict[str, Any]]]:
    """Return all pages of a list."""
    pages: list[list[dict[str, Any]]] = []
    after = None
    while len(pages) < 100:
        given = {**query, **({} if after is None else {"after": after})}
        answer = client.get(f"/api/v1/{path}", query_string=given, headers=headers)
        assert answer.status_code == 200, answer.text
        pages.append(answer.get_json()[name])
        after = answer.get_json()["next"]
        if after is None:
            return pages
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_a_token(client: FlaskClient, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        answer = client.get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert set(answer.get_json()["error"]) == {"where", "what", "todo"}


def test_a_revoked_token_and_an_expired_one_let_nobody_in(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    short = firm.database.write(
        lambda connection: create_token(
            connection,
            "short",
            "viewer",
            actor="test",
            now=firm.now,
            expires_at=firm.now + timedelta(days=1),
        )
    )
    until_tomorrow = {"Authorization": f"Bearer {short}"}
    assert client.get("/api/v1/held", headers=until_tomorrow).status_code == 200
    assert client.get("/api/v1/held", headers=viewer).status_code == 200
    firm.clock.moment = NOW + timedelta(days=1)
    firm.database.write(
        lambda connection: revoke_token(connection, "vera", actor="test", now=firm.now)
    )
    assert client.get("/api/v1/held", headers=until_tomorrow).status_code == 401
    assert client.get("/api/v1/held", headers=viewer).status_code == 401


def test_a_token_is_not_stored(firm: SmallFirm, viewer: dict[str, str]) -> None:
    text = viewer["Authorization"].removeprefix("Bearer ")
    assert len(text) == 43
    assert all(text not in str(row) for row in firm.rows(tables.api_token))
    assert all(text not in str(row) for row in firm.rows(tables.audit_entry))


def test_the_last_use_of_a_token_is_written_at_most_once_a_minute(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    seen = []
    for seconds in (0, 30, 59, 60, 90):
        firm.clock.moment = NOW + timedelta(seconds=seconds)
        client.get("/api/v1/held", headers=viewer)
        seen.append(firm.rows(tables.api_token)[-1]["last_used_at"])
    assert [(each - NOW).total_seconds() for each in seen] == [0, 0, 0, 60, 60]


@pytest.mark.parametrize(
    ("path", "name"), [("events", "events"), ("lines", "lines"), ("invoices", "invoices")]
)
def test_pages_give_every_row_once_whatever_their_length(
    client: FlaskClient, viewer: dict[str, str], path: str, name: str
) -> None:
    whole = _pages(client, path, name, viewer, limit=200)
    assert len(whole) == 1
    for limit in (1, 2, 3):
        pages = _pages(client, path, name, viewer, limit=limit)
        assert [row for page in pages for row in page] == whole[0]
        assert all(len(page) <= limit for page in pages)


def test_held_things_of_all_kinds_are_paged_too(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    def hold(connection: Any) -> None:
        subjects = update(tables.subject).where(tables.subject.c.id < 4)
        connection.execute(subjects.values(state="held", reason="why"))
        deliveries = update(tables.delivery).where(tables.delivery.c.id < 3)
        connection.execute(deliveries.values(state="unreadable", reason="why"))
        drafts = update(tables.invoice).where(tables.invoice.c.reference == DRAFT)
        connection.execute(drafts.values(state="blocked", reasons=["no contact", "no terms"]))

    firm.database.write(hold)
    whole = _pages(client, "held", "held", viewer, limit=200)[0]
    kinds = ["delivery"] * 2 + ["subject"] * 4 + ["invoice"]
    assert [row["kind"] for row in whole] == kinds
    assert whole[-1]["reason"] == "no contact; no terms"
    assert [
        row for page in _pages(client, "held", "held", viewer, limit=2) for row in page
    ] == whole
    counts = client.get("/api/v1/held", headers=viewer).get_json()["counts"]
    assert (counts["delivery"], counts["subject"], counts["invoice"]) == (2, 4, 1)


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({"project": "BETA"}, ["worklog:7"]),
        ({"kind": "milestone.completed"}, ["milestone:1"]),
        ({"since": "2026-11-01"}, ["worklog:9"]),
        ({"endpoint": "github"}, []),
        ({"kind": "time.removed", "project": "ACME"}, ["worklog:8", "worklog:2"]),
    ],
)
def test_events_are_found_by_each_filter(
    client: FlaskClient, viewer: dict[str, str], query: dict[str, str], subjects: list[str]
) -> None:
    found = client.get("/api/v1/events", query_string=query, headers=viewer).get_json()["events"]
    assert list(dict.fromkeys(each["subject"] for each in found)) == subjects


def test_line_items_are_found_by_customer_state_and_invoice(
    client: FlaskClient, viewer: dict[str, str]
) -> None:
    def total(**query: str) -> int:
        answer = client.get("/api/v1/lines", query_string=query, headers=viewer)
        return sum(line["amount"]["minor"] for line in answer.get_json()["lines"])

    assert total(invoice="acme-2026-10") == total(customer="acme", state="billed") == 489111
    assert total(invoice=DRAFT) == total(state="open") == 20000
    assert total(customer="beta") == 240
    assert total(invoice="no-such") == 0


def test_an_amount_is_minor_units_and_text_in_its_own_currency(
    client: FlaskClient, viewer: dict[str, str]
) -> None:
    found = client.get("/api/v1/invoices", headers=viewer).get_json()["invoices"]
    totals = {each["reference"]: each["total"] for each in found}
    assert totals["beta-2026-10"] == {"minor": 240, "text": "240", "currency": "JPY"}
    assert totals["acme-2026-10"] == {"minor": 489111, "text": "4891.11", "currency": "EUR"}


def test_one_invoice_comes_with_lines_approvals_and_payments(
    client: FlaskClient, viewer: dict[str, str]
) -> None:
    found = client.get("/api/v1/invoices/acme-2026-10", headers=viewer).get_json()
    assert sum(line["amount"]["minor"] for line in found["lines"]) == found["total"]["minor"]
    assert [each["approved_by"] for each in found["approvals"]] == ["mia"]
    assert [each["payment"] for each in found["payments"]] == ["open", "partially_paid"]
    assert found["payments"][-1]["paid"]["text"] == "100.00"


@pytest.mark.parametrize("reference", ["no-such", "x" * 400, "%00", "..%2e", "%F0%9F"])
def test_an_unknown_invoice_is_not_found(
    client: FlaskClient, viewer: dict[str, str], reference: str
) -> None:
    answer = client.get(f"/api/v1/invoices/{reference}", headers=viewer)
    assert answer.status_code == 404
    assert answer.get_json()["error"]["what"]


def _hash(client: FlaskClient, headers: dict[str, str]) -> str:
    return str(client.get(f"/api/v1/invoices/{DRAFT}", headers=headers).get_json()["content_hash"])


def test_an_approver_approves_what_was_seen_and_the_push_is_rung(
    client: FlaskClient, firm: SmallFirm, approver: dict[str, str], doorbell: RecordingDoorbell
) -> None:
    seen = {"content_hash": _hash(client, approver)}
    answer = client.post(APPROVE, json=seen, headers=approver)
    assert answer.status_code == 200
    assert answer.get_json()["state"] == "approved"
    signed = answer.get_json()["approvals"][-1]
    assert (signed["approved_by"], signed["content_hash"]) == ("mia", seen["content_hash"])
    assert doorbell.rung == ["push"]
    again = client.post(APPROVE, json=seen, headers=approver)
    assert again.status_code == 409
    assert firm.invoices()[DRAFT]["state"] == "approved"


def test_a_draft_that_changed_after_it_was_seen_is_not_approved(
    client: FlaskClient, firm: SmallFirm, approver: dict[str, str], doorbell: RecordingDoorbell
) -> None:
    seen = {"content_hash": _hash(client, approver)}
    firm.tell(logged("worklog:30", 3600))
    answer = client.post(APPROVE, json=seen, headers=approver)
    assert answer.status_code == 409
    assert answer.get_json()["error"]["where"] == DRAFT
    assert firm.invoices()[DRAFT]["state"] == "draft"
    assert doorbell.rung == []


def test_a_viewer_may_not_approve(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    seen = {"content_hash": _hash(client, viewer)}
    answer = client.post(APPROVE, json=seen, headers=viewer)
    assert answer.status_code == 403
    assert "vera" in answer.get_json()["error"]["what"]
    assert firm.invoices()[DRAFT]["state"] == "draft"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 422),
        (b"", "application/json", 422),
        (b"[" * 500, "application/json", 422),
        (b'{"content_hash": null}', "application/json", 422),
        (b'{"content_hash": "\\ud800"}', "application/json", 422),
        (b'{"content_hash": "' + b"0" * 64 + b'", "force": true}', "application/json", 422),
        (b"{" + b" " * 5000 + b"}", "application/json", 413),
        (b"content_hash=" + b"0" * 64, "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
)
def test_an_approval_that_does_not_say_what_is_refused(
    client: FlaskClient, approver: dict[str, str], body: bytes, content_type: str, status: int
) -> None:
    answer = client.post(APPROVE, data=body, content_type=content_type, headers=approver)
    assert answer.status_code == status
    assert set(answer.get_json()["error"]) == {"where", "what", "todo"}


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "after=-1", f"after={2**63}", "kind=%00"),
        *("since=2026-13-01", "since=", "unknown=1", "limit=1e400", "limit=", "after=1.5"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    client: FlaskClient, viewer: dict[str, str], query: str
) -> None:
    answer = client.get(f"/api/v1/events?{query}", headers=viewer)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["where"] == query.partition("=")[0]


@pytest.mark.parametrize("after", ["", "subject", "subject:", "subject:x", "other:1", ":1"])
def test_a_place_in_the_held_list_that_is_none_is_refused(
    client: FlaskClient, viewer: dict[str, str], after: str
) -> None:
    answer = client.get("/api/v1/held", query_string={"after": after}, headers=viewer)
    assert answer.status_code == 422


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_list_goes_on_behind_whatever_is_held(
    client: FlaskClient, viewer: dict[str, str], kind: str
) -> None:
    answer = client.get("/api/v1/held", query_string={"after": f"{kind}:1"}, headers=viewer)
    assert answer.status_code == 200


def test_an_unknown_path_and_a_wrong_method_are_answered_in_json(
    client: FlaskClient, viewer: dict[str, str]
) -> None:
    assert client.get("/api/v1/nothing", headers=viewer).get_json()["error"]["what"] == "not found"
    answer = client.delete("/api/v1/events", headers=viewer)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert client.get("/nothing").mimetype == "text/html"


def test_a_database_that_is_away_is_said_with_503(
    client: FlaskClient, firm: SmallFirm, viewer: dict[str, str]
) -> None:
    firm.database.write(lambda connection: tables.metadata.drop_all(connection))
    answer = client.get("/api/v1/events", headers=viewer)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"


def test_the_api_is_the_same_on_both_databases(any_firm: SmallFirm) -> None:
    client = console_of(any_firm, RecordingDoorbell()).test_client()
    headers = bearer(any_firm, "approver")
    for path in PATHS:
        assert client.get(f"/api/v1/{path}", headers=headers).status_code == 200
    for query in (
        "endpoint=jira&kind=time.logged&project=ACME&since=2026-10-01&after=2",
        "limit=1",
    ):
        assert client.get(f"/api/v1/events?{query}", headers=headers).get_json()["events"]
    assert client.get("/api/v1/invoices/%00", headers=headers).status_code == 404
    seen = {"content_hash": _hash(client, headers)}
    assert client.post(APPROVE, json=seen, headers=headers).status_code == 200


def test_the_openapi_document_names_every_answer(app: Flask, client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    views = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi"
    }
    assert set(document["paths"]) == views
    for path in document["paths"].values():
        for operation in path.values():
            assert {"200", "401", "422", "503"} <= set(operation["responses"])
