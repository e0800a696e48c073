"""A draft goes into QuickBooks as an estimate, becomes an invoice there, and is paid.

Tokens are renewed on the way, and webhooks of both shapes tell what happened, also to others.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectors.customers import CustomerThere
from connectors.quickbooks.stand_in import QuickBooksStandIn, happenings
from connectors.quickbooks.stand_in.rig import BASE, SETTINGS, entered
from connectors.quickbooks.stand_in.server import REALM
from connectors.stand_in import InProcess
from connectors.stand_in_identity import CLIENT, TOKEN_PATH, IdentityStandIn
from ledger import tables, tokens
from ledger.sync import POLL
from ledger.tokens import Pair
from tests.journeys.house import issue, worklog
from tests.journeys.office import SECRET, Office, open_office

OCTOBER = "acme-2026-10"
IDENTITY = "https://id.intuit.example"
FOREIGN = "9341453000000002"
CONNECTOR = f"""
  books:
    system: quickbooks
    client_id: {CLIENT[0]}
    client_secret: "${{CLIENT_SECRET}}"
    realm: "{REALM}"
    draft_as: DRAFT_AS
    item: Consulting
    api_base: {BASE}
    token_url: {IDENTITY}{TOKEN_PATH}
people:
"""


class Studio:
    """An office that keeps its books in QuickBooks."""

    def __init__(self, office: Office, draft_as: str) -> None:
        self.office = office
        self.identity = IdentityStandIn(office.clock, lasts_seconds=3600)
        self.site = QuickBooksStandIn(identity=self.identity)
        self.book = self.site.book
        more = {IDENTITY: InProcess(self.identity), BASE: InProcess(self.site)}
        office.outside._sites = {**office.outside._sites, **more}
        office.line.environ = {**office.line.environ, "CLIENT_SECRET": CLIENT[1]}
        told = CONNECTOR.replace("DRAFT_AS", draft_as)
        office.change("workspace.yaml", "\npeople:\n", told)
        hears = '  quickbooks: {tool: quickbooks, secret: "${SECRET}"}\n'
        office.change("workspace.yaml", "connectors:\n", f"{hears}connectors:\n")
        office.change("acme.yaml", "send_to: files", "send_to: books")
        office.activate()
        entered(self.book, CustomerThere("", "Acme GmbH", "ap@acme.example"))
        self.connect()
        office.tell(issue(7), worklog(1, seconds=3600))
        office.bill(OCTOBER)
        self.remote_id = str(office.invoice(OCTOBER)["remote_id"])

    def connect(self) -> None:
        """Do what a person does who connects the company."""
        line, now = self.office.line, self.office.clock.now()
        pair = Pair("", self.identity.consent(), now)
        line.database.write(
            lambda connection: tokens.store(
                connection, line.vault, "books", pair, actor="mia", now=now
            )
        )

    def happen(self, step: str, minor: int = 0) -> None:
        getattr(happenings, step)(self.book, self.remote_id, minor)

    def last(self, kind: str) -> str:
        return str(self.book.every(kind)[-1]["Id"])

    def hear(self, body: Any) -> None:
        """Post a webhook as Intuit signs it, and let the worker run."""
        raw = json.dumps(body).encode()
        code = base64.b64encode(hmac.digest(SECRET.encode(), raw, hashlib.sha256)).decode()
        answer = self.office.client.post(
            "/webhooks/quickbooks", data=raw, headers={"intuit-signature": code}
        )
        assert answer.status_code == 202
        self.office.settle()

    def payment(self) -> str:
        return str(self.office.invoice(OCTOBER)["payment"])

    def hints(self) -> dict[str, tuple[str, str | None]]:
        return {
            row["subject"]: (row["state"], row["reason"]) for row in self.office.rows(tables.hint)
        }


@pytest.fixture(params=["estimate", "unsent invoice"])
def studio(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Studio]:
    with open_office(tmp_path, sqlite_url) as office:
        yield Studio(office, request.param)


def cloud_event(kind: str, there_id: str, *, realm: str = REALM, second: int = 0) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"88cd52aa-33b6-4351-9aa4-{second:012d}",
        "source": "intuit.invented",
        "type": f"qbo.{kind}.updated.v1",
        "datacontenttype": "application/json",
        "time": f"2026-11-22T10:00:{second:02d}.179851517Z",
        "intuitentityid": there_id,
        "intuitaccountid": realm,
        "data": {},
    }


def test_an_invoice_is_followed_by_webhooks_of_both_shapes(studio: Studio) -> None:
    assert studio.payment() == "draft"
    studio.happen("finalize")
    # Companies of others come in the same delivery; their ids may be those of ours.
    foreign = cloud_event("payment", "1", realm=FOREIGN)
    studio.hear([cloud_event("invoice", studio.last("Invoice"), second=1), foreign])
    assert studio.payment() == "open"
    studio.happen("pay", 5000)
    entity = {
        "name": "Payment",
        "id": studio.last("Payment"),
        "operation": "Create",
        "lastUpdated": "2026-11-22T10:01:00.000Z",
    }
    elsewhere = {"realmId": FOREIGN, "dataChangeEvent": {"entities": [entity]}}
    ours = {"realmId": REALM, "dataChangeEvent": {"entities": [entity]}}
    studio.hear({"eventNotifications": [elsewhere, ours]})
    assert studio.payment() == "partially_paid"
    studio.happen("credit", 7000)
    studio.hear([cloud_event("creditmemo", studio.last("CreditMemo"), second=2)])
    assert studio.payment() == "paid"
    studio.happen("void")
    studio.hear([cloud_event("invoice", studio.last("Invoice"), second=3)])
    assert studio.payment() == "void"
    told = studio.hints()
    foreign_ones = {told[subject] for subject in told if FOREIGN in subject}
    assert foreign_ones == {("unmatched", "it is about no invoice of ours")}
    assert {told[subject][0] for subject in told if REALM in subject} == {"followed"}
    assert studio.office.violations() == []


def test_a_payment_that_no_webhook_told_is_found_within_the_hour(studio: Studio) -> None:
    studio.happen("finalize")
    studio.happen("pay", 12000)
    studio.office.clock.go_on(POLL.seconds)
    studio.office.settle()
    assert studio.payment() == "paid"
    assert (studio.identity.renewals, studio.identity.reuses) == (2, 0)


def test_of_two_workers_with_a_token_that_ended_one_renews(studio: Studio) -> None:
    studio.office.clock.go_on(3600)
    renewed = studio.identity.renewals
    barrier = threading.Barrier(2)

    def look(_: int) -> str:
        connector = studio.office.line.billing("books")
        barrier.wait()
        return connector.fetch_invoice(studio.remote_id).amounts.document

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(look, range(2))) == ["draft", "draft"]
    assert (studio.identity.renewals, studio.identity.reuses) == (renewed + 1, 0)


def test_a_company_that_is_cut_off_is_connected_again(studio: Studio) -> None:
    studio.identity._families.clear()
    studio.office.clock.go_on(POLL.seconds)
    studio.office.settle()
    assert studio.payment() == "draft"
    studio.happen("finalize")
    studio.connect()
    studio.office.clock.go_on(POLL.seconds)
    studio.office.look()
    assert studio.payment() == "open"


def test_the_settings_of_the_journey_are_those_of_the_rig() -> None:
    assert {name for name in SETTINGS if f"    {name}: " not in CONNECTOR} == {
        "purchase_order_field"
    }
