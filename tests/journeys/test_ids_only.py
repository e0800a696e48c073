"""A tool that only says that something changed is asked, and what it answers is billed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from connectors.asana.stand_in import NOW, TOKEN, AsanaStandIn
from connectors.http import Request, Response
from connectors.stand_in import Fault, InProcess
from ledger import tables
from ledger.claims import MOST_ATTEMPTS
from ledger.held import list_held
from tests.journeys.office import SECRET, Office
from tests.journeys.test_missed import sync
from webhooks.asana.source import AsanaSource

ASANA = "https://app.asana.example/api/1.0"
SOURCE = """sources:
  asana: {tool: asana, secret: "${SECRET}"}
"""
ASKED = (
    f', api_url: "{ASANA}", token: "${{ASANA}}", workspace: 1207000000000001, first_day: 2026-10-01'
)


class Studio:
    """An office whose customer's work stands in Asana."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.site = AsanaStandIn()
        site, elsewhere = InProcess(self.site), office.line.http

        class Everywhere:
            def send(self, request: Request) -> Response:
                return (site if request.url.startswith(ASANA) else elsewhere).send(request)

        office.line.http = Everywhere()
        office.line.environ = {**office.line.environ, "ASANA": TOKEN}
        office.change("workspace.yaml", "sources:\n", SOURCE)
        office.change("acme.yaml", "[ACME,", '["Acme*", ACME,')
        office.activate()

    def set(self, old: str, new: str) -> None:
        """Change the endpoint's settings."""
        self.office.change("workspace.yaml", old, new)
        self.office.activate()

    def post(self, body: Any, **headers: str) -> Any:
        """Post a delivery; one without headers is signed."""
        raw = json.dumps(body).encode()
        signature = AsanaSource.signature
        assert signature is not None
        signed = signature.sign(raw, SECRET, delivery_id="1", now=self.office.clock.now())
        answer = self.office.client.post("/webhooks/asana", data=raw, headers=headers or signed)
        self.office.settle()
        return answer

    def changed(self, gid: str, minute: int) -> int:
        """Post that a task was completed or opened again; return the status of the answer."""
        event = {
            "action": "changed",
            "created_at": f"2026-11-02T09:{minute:02d}:00.000Z",
            "resource": {"gid": gid, "resource_type": "task", "resource_subtype": "milestone"},
            "change": {"field": "completed", "action": "changed"},
            "user": None,
        }
        return int(self.post({"events": [event]}).status_code)


@pytest.fixture
def studio(office: Office) -> Studio:
    return Studio(office)


def test_what_cannot_be_asked_is_held_and_asked_once_it_can_be(studio: Studio) -> None:
    office = studio.office
    studio.site.add_task("1201", "Phase 1", NOW, is_done=True, subtype="milestone")
    assert studio.changed("1201", 1) == 202
    assert office.invoices() == {}
    with office.line.database.read() as connection:
        held = list_held(connection, office.clock.now(), limit=10)
    assert [(each.kind, each.what) for each in held] == [("hint", "task:1201")]
    assert "has no token" in held[0].reason
    (delivery,) = office.rows(tables.delivery)
    assert delivery["state"] == "asked"
    studio.set('"${SECRET}"}\n', f'"${{SECRET}}"{ASKED}}}\n')
    assert [total for _, total in office.invoices().values()] == [450000]


def test_a_change_is_looked_up_and_the_latest_state_counts(studio: Studio) -> None:
    studio.set('"${SECRET}"}\n', f'"${{SECRET}}"{ASKED}}}\n')
    office = studio.office
    studio.site.add_task("1201", "Phase 1", NOW, is_done=True, subtype="milestone")
    studio.changed("1201", 1)
    assert [total for _, total in office.invoices().values()] == [450000]
    studio.site.add_task("1201", "Phase 1", NOW + timedelta(minutes=5), subtype="milestone")
    studio.changed("1201", 2)
    assert office.invoices() == {}
    (subject,) = office.rows(tables.subject)
    assert (subject["kind"], subject["state"]) == ("milestone.reopened", "gone")
    assert [row["state"] for row in office.rows(tables.hint)] == ["followed"]


def test_a_tool_that_is_away_is_asked_again(studio: Studio) -> None:
    studio.set('"${SECRET}"}\n', f'"${{SECRET}}"{ASKED}}}\n')
    office = studio.office
    studio.site.add_task("1201", "Phase 1", NOW, is_done=True, subtype="milestone")
    studio.site.faults += [Fault("503"), Fault("drop_reply")]
    studio.changed("1201", 1)
    assert office.invoices() == {}
    for _ in range(3):
        office.clock.go_on(60)
        office.settle()
    assert [total for _, total in office.invoices().values()] == [450000]


def test_a_long_outage_shows_in_the_reason_and_what_it_held_up_is_asked_again_by_sync(
    studio: Studio,
) -> None:
    studio.set('"${SECRET}"}\n', f'"${{SECRET}}"{ASKED}}}\n')
    office = studio.office
    studio.site.add_task("1201", "Phase 1", NOW, is_done=True, subtype="milestone")
    studio.site.faults += [Fault("503") for _ in range(MOST_ATTEMPTS + 1)]
    studio.changed("1201", 1)
    for _ in range(MOST_ATTEMPTS):
        office.clock.go_on(300)
        office.settle()
    (hint,) = office.rows(tables.hint)
    # The tool's outage is not the hint's doing: it goes on waiting, and people see for what.
    assert hint["state"] == "waiting"
    assert "HTTP 503" in hint["reason"]
    assert hint["since_at"] is not None
    assert sync(office, "asana").exit_code == 0
    office.settle()
    assert [total for _, total in office.invoices().values()] == [450000]


def test_a_handshake_is_answered_only_while_it_is_expected_and_changes_nothing(
    studio: Studio,
) -> None:
    offered = {"X-Hook-Secret": "b" * 64}
    assert studio.post({}, **offered).status_code == 401
    studio.set('"${SECRET}"}\n', '"${SECRET}", handshake: yes}\n')
    answer = studio.post({}, **offered)
    assert answer.status_code in (200, 204)
    assert answer.headers["X-Hook-Secret"] == offered["X-Hook-Secret"]
    forged = {"events": [{"action": "changed"}]}
    sign = AsanaSource.signature
    assert sign is not None
    now = studio.office.clock.now()
    headers = sign.sign(json.dumps(forged).encode(), "b" * 64, delivery_id="1", now=now)
    assert studio.post(forged, **headers).status_code == 401, "what was echoed is no secret"
    studio.set(", handshake: yes", "")
    assert studio.post({}, **offered).status_code == 401
    assert studio.office.rows(tables.delivery) == []
