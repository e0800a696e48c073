"""What is special about ERPNext, against its stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.erpnext.connector import ErpnextConnector
from connectors.erpnext.stand_in import SETTINGS, ErpnextStandIn
from connectors.http import Request, Response
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import told
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.invoices import Coding
from tests.contracts.billing import DRAFT, draft_of, line, push


@pytest.fixture
def site() -> ErpnextStandIn:
    return ErpnextStandIn()


@pytest.fixture
def connector(site: ErpnextStandIn) -> ErpnextConnector:
    return ErpnextConnector(SETTINGS, InProcess(site))


def test_a_draft_stands_there_in_erpnexts_words(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    remote_id = push(connector, replace(DRAFT, memo="R&D"))
    (paper,) = site.papers.values()
    assert paper.written["remarks"] == "billhook:acme-1"
    assert paper.written["terms"] == "<p>R&amp;D</p><p>Thank you</p>"
    assert (paper.written["po_no"], paper.written["disable_rounded_total"]) == ("PO-4471", 1)
    # 0.3333 hours would become 0.333 there.
    assert (paper.lines[1]["qty"], paper.lines[1]["rate"]) == (Decimal(1), Decimal("33.33"))
    assert remote_id == f"ACC-SINV-2026-{paper.number:05}"


def test_lines_say_where_they_stand_in_the_books(site: ErpnextStandIn) -> None:
    settings = {**SETTINGS, "account": "Sales - SN", "company": "Studio Nord", "tax_code": "None"}
    connector = ErpnextConnector(settings, InProcess(site))
    coding = Coding(item="Design", tax_code="Exempt", tracking=(("Cost Center", "Main - SN"),))
    coded = replace(line("1", "10.00", "EUR"), coding=coding)
    push(connector, draft_of(coded, line("2", "10.00", "EUR")))
    (paper,) = site.papers.values()
    first, second = paper.lines
    assert (first["item_code"], first["item_tax_template"]) == ("Design", "Exempt")
    assert (first["income_account"], first["cost_center"]) == ("Sales - SN", "Main - SN")
    assert (second["item_code"], "item_tax_template" in second) == ("Consulting", False)
    assert (paper.written["company"], paper.written["taxes_and_charges"]) == ("Studio Nord", "None")


def test_a_field_of_ones_own_holds_the_reference(site: ErpnextStandIn) -> None:
    settings = {**SETTINGS, "reference_field": "custom_billhook"}
    connector = ErpnextConnector(settings, InProcess(site))
    push(connector, DRAFT)
    (paper,) = site.papers.values()
    assert paper.written["custom_billhook"] == "billhook:acme-1"
    assert "remarks" not in paper.written
    assert connector.find_invoice("acme-1", remote_customer=None) is not None


def test_a_poll_asks_in_the_time_of_the_site(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    remote_id = push(connector, DRAFT)
    # 9:00 UTC is 14:30 there; an hour is left for the clocks of autumn.
    before = str(int(datetime(2026, 11, 2, 9, 50, tzinfo=UTC).timestamp()))
    after = str(int(datetime(2026, 11, 2, 10, 10, tzinfo=UTC).timestamp()))
    assert connector.changes_since(before)[0] == [remote_id]
    assert connector.changes_since(after)[0] == []


def test_what_is_owed_in_another_currency_is_converted_back(site: ErpnextStandIn) -> None:
    class InBooks:
        """The customer's account is kept in INR, at 90 for one EUR."""

        def send(self, request: Request) -> Response:
            answer = InProcess(site).send(request)
            if request.method != "GET" or "Sales%20Invoice/" not in request.url:
                return answer
            (paper,) = site.papers.values()
            there = site._invoice(paper) | {
                "party_account_currency": "INR",
                "base_grand_total": paper.decimal(paper.total) * 90,
                "outstanding_amount": paper.decimal(paper.remaining) * 90,
            }
            return Response(200, answer.headers, told({"data": there}).get_data())

    remote_id = push(ErpnextConnector(SETTINGS, InProcess(site)), DRAFT)
    happen = site.happenings("finalize", "pay", number_of=lambda _: next(iter(site.papers)))
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 5000)
    amounts = ErpnextConnector(SETTINGS, InBooks()).fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.remaining) == (5000, 16333)


def test_what_is_saved_right_after_our_look_is_not_overwritten(site: ErpnextStandIn) -> None:
    class Busy:
        """Somebody saves the invoice as soon as it has been read for the first time."""

        is_read = False

        def send(self, request: Request) -> Response:
            answer = InProcess(site).send(request)
            if "Sales%20Invoice/" in request.url and not self.is_read:
                self.is_read = True
                site.edit(next(iter(site.papers)))
            return answer

    remote_id = push(ErpnextConnector(SETTINGS, InProcess(site)), DRAFT)
    with pytest.raises(TransientError, match="at the same time"):
        ErpnextConnector(SETTINGS, Busy()).update_draft(
            replace(DRAFT, memo="Other"), remote_id, idempotency_key="key-2"
        )
    (paper,) = site.papers.values()
    assert (paper.written["po_no"], paper.written["terms"]) == (
        "PO-9999",
        "<p>Work in March</p><p>Thank you</p>",
    )


def test_a_currency_that_is_not_enabled_is_refused(connector: ErpnextConnector) -> None:
    with pytest.raises(UnsupportedError, match="SEK is no enabled currency"):
        push(connector, draft_of(line("1", "10.00", "SEK"), currency="SEK"))


def test_a_submitted_invoice_is_not_deleted(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    remote_id = push(connector, DRAFT)
    next(iter(site.papers.values())).state = "open"
    with pytest.raises(RejectedError, match="no draft any more"):
        connector.delete_draft(remote_id, idempotency_key="key-2")
    assert len(site.papers) == 1
