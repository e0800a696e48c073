"""Azure DevOps and Linear from the delivery to the invoice and back into the tool."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

import clock
from connectors.azure_devops import stand_in as azure
from connectors.http import Http, Request, Response
from connectors.linear import stand_in as linear
from connectors.stand_in import InProcess
from ledger import tables
from tests.journeys.office import SECRET, Office
from webhooks.azure_devops.source import HEADER
from webhooks.linear.source import LinearSource

AZURE, LINEAR = "https://dev.azure.example", "https://api.linear.example"
SOURCES = f"""sources:
  azure: {{tool: azure_devops, secret: "${{SECRET}}", url: "{AZURE}/agency", token: "${{AZURE}}",
    write_back: yes}}
  linear: {{tool: linear, secret: "${{SECRET}}", api_url: "{LINEAR}/graphql", token: "${{LINEAR}}",
    write_back: yes}}
"""
FIXED = """rules:
  - rule: A finished issue
    when: {event: work.completed, source: linear}
    bill: {description: "{title}", quantity: 1, unit_price: 100.00}
"""


class Boards:
    """An office whose customer's work stands in Azure DevOps and Linear."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.azure, self.linear = azure.AzureDevOpsStandIn(), linear.LinearStandIn()
        self.azure.now = self.linear.now = office.clock.now()
        sites: dict[str, Http] = {
            AZURE: InProcess(self.azure),
            LINEAR: InProcess(self.linear),
        }
        elsewhere = office.line.http

        class Everywhere:
            def send(self, request: Request) -> Response:
                known = (site for start, site in sites.items() if request.url.startswith(start))
                return next(known, elsewhere).send(request)

        office.line.http = Everywhere()
        tokens = {"AZURE": azure.TOKEN, "LINEAR": linear.TOKEN}
        office.line.environ = {**office.line.environ, **tokens}
        office.change("workspace.yaml", "sources:\n", SOURCES)
        accounts = "accounts: {jira: acc-ana"
        office.change("workspace.yaml", accounts, accounts + ", azure_devops: ana@agency.example")
        office.change("acme.yaml", "[ACME,", '["Acme*", ACME,')
        office.change("acme.yaml", "rules:\n", FIXED)
        office.activate()

    def work_item(self, item: int, number: int, **more: Any) -> Any:
        """Return what Azure DevOps posts about an update of a work item."""
        update = self.azure.updates[item][number - 1]
        revision = {"id": item, "rev": number, "fields": self.azure.revisions[item][number - 1]}
        return {
            "id": f"event-{item}-{number}",
            "eventType": "workitem.updated",
            "createdDate": "2026-10-31T12:00:00Z",
            "resource": {**update, "revision": revision, **more},
        }

    def post(self, endpoint: str, body: Any) -> int:
        """Post a signed delivery and settle; return the status of the answer."""
        raw, now = json.dumps(body).encode(), self.office.clock.now()
        headers = {HEADER: SECRET}
        if endpoint == "linear":
            signature = LinearSource.signature
            assert signature is not None
            raw = signature.stamped(raw, now)
            headers = signature.sign(raw, SECRET, delivery_id="1", now=now)
        answer = self.office.client.post(f"/webhooks/{endpoint}", data=raw, headers=headers)
        self.office.settle()
        return answer.status_code


@pytest.fixture
def boards(office: Office) -> Boards:
    return Boards(office)


def test_hours_on_a_work_item_are_billed_by_their_change_and_the_item_is_told(
    boards: Boards,
) -> None:
    site, office = boards.azure, boards.office
    site.add_item(7, "Login")
    for hours in (2, 5.5):
        site.pass_time()
        site.change(7, {azure.HOURS: hours})
        assert boards.post("azure", boards.work_item(7, len(site.updates[7]))) == 202
    assert office.seconds_billed() == 19_800
    assert office.held() == {}
    (reference,) = office.invoices()
    office.bill(reference)
    (comment,) = site.comments.values()
    assert comment["workItemId"] == 7
    assert reference in comment["text"]


def test_what_a_minimal_hook_only_names_is_looked_up(boards: Boards) -> None:
    site = boards.azure
    site.add_item(7, "Login")
    site.pass_time()
    site.change(7, {azure.HOURS: 2})
    body = boards.work_item(7, 2)
    body["resource"] = {"id": 2, "workItemId": 7, "url": "https://dev.azure.com/x"}
    assert boards.post("azure", body) == 202
    assert boards.office.seconds_billed() == 7200


def test_hours_that_no_hook_told_are_found_once(boards: Boards) -> None:
    site, office = boards.azure, boards.office
    site.add_item(7, "Login")
    clock.tick(office.line, 1)
    office.clock.go_on(600)
    site.now = office.clock.now()
    office.settle()
    site.change(7, {azure.HOURS: 2})
    office.clock.go_on(3600)
    site.now = office.clock.now()
    office.settle()
    assert office.seconds_billed() == 7200
    assert boards.post("azure", boards.work_item(7, 2)) == 202
    assert office.seconds_billed() == 7200
    assert len([row for row in office.rows(tables.event) if row["kind"] == "time.total"]) == 1


def test_basic_authentication_with_another_password_is_refused(boards: Boards) -> None:
    wrong = {"Authorization": "Basic " + b64encode(b"billhook:wrong").decode()}
    answer = boards.office.client.post("/webhooks/azure", data=b"{}", headers=wrong)
    assert answer.status_code == 401


def test_a_finished_issue_is_billed_until_it_is_opened_again(boards: Boards) -> None:
    site, office = boards.linear, boards.office

    def told(**before: Any) -> Any:
        issue = next(iter(site.things["issue"].values()))
        data = {**issue, "labels": issue["labels"]["nodes"]}
        about = {"type": "Issue", "action": "update", "createdAt": site.moment}
        return {**about, "data": data, "updatedFrom": before, "webhookTimestamp": 1}

    site.pass_time()
    site.complete("issue", 7)
    for _ in range(2):
        assert boards.post("linear", told(completedAt=None)) == 200
    assert [total for _, total in office.invoices().values()] == [10_000]
    site.pass_time()
    site.put("issue", 7, completedAt=None, state=linear.STARTED)
    assert boards.post("linear", told(completedAt="2026-10-31T12:00:00.000Z")) == 200
    assert office.invoices() == {}
    site.pass_time()
    site.complete("issue", 7)
    boards.post("linear", told(completedAt=None))
    (reference,) = office.invoices()
    office.bill(reference)
    (attachment,) = site.attachments.values()
    assert attachment["title"] == f"Invoice {reference}"
