"""Linear: what a poll leaves out, its limits, and its attachments."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.connector import Report
from connectors.http import Request, Response
from connectors.linear.connector import LinearConnector
from connectors.linear.stand_in import ContractRig, contract_setup
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
NOON = 1_793_620_800


class Answering:
    """A port that always gives one answer."""

    def __init__(self, status: int, content: Any, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answer = Response(status, names, json.dumps(content).encode())
        self.sent: list[Request] = []

    def send(self, request: Request) -> Response:
        self.sent.append(request)
        return self._answer


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def linear(rig: ContractRig) -> LinearConnector:
    return LinearConnector(rig.settings, rig.http())


def refused(code: str) -> dict[str, Any]:
    return {"errors": [{"message": "no", "extensions": {"code": code, "type": "x"}}]}


def subjects(linear: LinearConnector, cursor: str) -> list[str]:
    found: list[str] = []
    is_all = False
    while not is_all:
        changes = linear.changes_since(cursor, NOW + timedelta(hours=1))
        found += [str(each.body["id"]) for each in changes.found]
        cursor, is_all = changes.cursor, changes.is_all
    return found


def test_what_was_done_long_ago_is_not_told_when_it_is_archived(
    rig: ContractRig, linear: LinearConnector
) -> None:
    cursor = linear.changes_since(None, NOW).cursor
    rig.site.pass_time()
    rig.site.put("issue", 13, archivedAt=rig.site.moment)
    assert subjects(linear, cursor) == []
    done = rig.site.complete("issue", 14)
    assert subjects(linear, cursor) == [done]


def test_a_round_goes_on_where_it_began(rig: ContractRig, linear: LinearConnector) -> None:
    """What changes while a round is under way is found by the next one."""
    cursor = linear.changes_since(None, NOW).cursor
    after_issues = linear.changes_since(cursor, NOW + timedelta(minutes=30)).cursor
    rig.site.now = NOW + timedelta(minutes=31)
    done = rig.site.complete("issue", 14)
    later = NOW + timedelta(hours=3)
    after_projects = linear.changes_since(after_issues, later).cursor
    following = linear.changes_since(after_projects, later)
    assert following.is_all
    assert subjects(linear, following.cursor) == [done]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "RATELIMITED", TransientError),
        (200, "RATELIMITED", TransientError),
        (400, "AUTHENTICATION_ERROR", PermanentError),
        (400, "FORBIDDEN", PermanentError),
        (400, "INVALID_INPUT", RejectedError),
    ],
)
def test_refusals_are_told_by_their_code(
    rig: ContractRig, status: int, code: str, kind: type[ConnectorError]
) -> None:
    with pytest.raises(kind):
        LinearConnector(rig.settings, Answering(status, refused(code))).check()


@pytest.mark.parametrize("limit", ["requests", "complexity"])
def test_the_moment_of_a_limits_end_is_waited_for(rig: ContractRig, limit: str) -> None:
    headers = {
        "date": "Mon, 02 Nov 2026 12:00:00 GMT",
        f"x-ratelimit-{limit}-remaining": "0",
        f"x-ratelimit-{limit}-reset": str((NOON + 90) * 1000),
    }
    port = Answering(400, refused("RATELIMITED"), **headers)
    with pytest.raises(TransientError) as caught:
        LinearConnector(rig.settings, port).check()
    assert caught.value.retry_after == 90


@pytest.mark.parametrize(
    ("token", "sent"),
    [("lin_api_x", "lin_api_x"), ("lin_oauth_x", "Bearer lin_oauth_x")],
)
def test_a_key_stands_alone_and_a_token_is_a_bearers(token: str, sent: str) -> None:
    port = Answering(200, {"data": {"viewer": {"name": "B"}, "organization": {"name": "A"}}})
    LinearConnector({"token": token}, port).check()
    (request,) = port.sent
    assert request.headers["Authorization"] == sent
    assert request.url == "https://api.linear.app/graphql"


def test_a_note_links_the_invoice_and_can_be_read_by_scripts(
    rig: ContractRig, linear: LinearConnector
) -> None:
    linear.report(rig.reports()[0])
    attachment = list(rig.site.attachments.values())[-1]
    assert attachment["url"].startswith("https://billhook.agency.example/invoices/acme-2026-10#")
    assert attachment["metadata"]["invoice"] == "acme-2026-10"
    assert attachment["metadata"]["state"] == "draft"


def test_a_note_that_moved_to_another_address_is_still_the_one(
    rig: ContractRig, linear: LinearConnector
) -> None:
    linear.report(replace(rig.reports()[0], url=None))
    linear.report(rig.reports()[0])
    assert len(rig.notes()) == 1


def test_a_write_that_was_not_a_success_is_looked_at_again(rig: ContractRig) -> None:
    class Failing:
        def send(self, request: Request) -> Response:
            answer = rig.http().send(request)
            body = answer.body.replace(b'"success": true', b'"success": false')
            return Response(answer.status, answer.headers, body)

    with pytest.raises(OutcomeUnknownError):
        LinearConnector(rig.settings, Failing()).report(rig.reports()[0])


@pytest.mark.parametrize("subject", ["project:5", "cycle:5"])
def test_what_has_no_place_for_a_note_is_said(linear: LinearConnector, subject: str) -> None:
    with pytest.raises(UnsupportedError):
        linear.report(Report(subject, None, "Acme portal", {}, "acme-2026-10", "draft"))
