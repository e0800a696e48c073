"""What is special about ERPNext, against its stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.erpnext.connector import ErpnextConnector
from connectors.erpnext.stand_in import SETTINGS, ErpnextStandIn
from connectors.http import Request, Response
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import told
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.invoices import Coding, PrintedLine
from ledger.taxes import TaxWords
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push


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


def taxed(tax: str, quantity: str = "1", price: str = "100.00", **coding: Any) -> PrintedLine:
    return replace(line(quantity, price, "EUR"), tax=tax, coding=Coding(**coding))


def rows(site: ErpnextStandIn) -> list[tuple[str, str, Decimal]]:
    """Return account, description and amount of the taxes of the only invoice there."""
    (paper,) = site.papers.values()
    return [
        (each["account_head"], each["description"], each["tax_amount"])
        for each in paper.written["taxes"]
    ]


def test_taxes_stand_there_as_amounts_one_for_each_account(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    # Each line for itself would be 0.01.
    cents = [taxed("A 19 %", price="0.03")] * 10
    coded = taxed("B 7 %", tax_code="Duty - SN")
    words = {"A": TaxWords("VAT"), "RC": TaxWords("VAT", "You owe the tax.")}
    draft = replace(draft_of(*cents, coded, taxed("RC reverse charge")), tax_words=words)
    remote_id = push(connector, draft)
    assert rows(site) == [
        ("A - SN", "VAT 19 %", Decimal("0.06")),
        ("Duty - SN", "B 7 %", Decimal("7.00")),
    ]
    (paper,) = site.papers.values()
    assert "item_tax_template" not in paper.lines[10]
    assert "<p>You owe the tax.</p>" in paper.written["terms"]
    there = connector.fetch_invoice(remote_id)
    assert there.amounts.total == 20030 + 706
    assert_shows(connector, draft, there)


def test_of_a_price_with_tax_in_it_the_net_is_sent_with_the_arithmetic(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    draft = draft_of(taxed("A 19 % included", "3", "11.90"), taxed("A 19 %", price="0.05"))
    remote_id = push(connector, draft)
    (paper,) = site.papers.values()
    first, second = paper.lines
    assert first["description"] == "<p>Engineering (3.00 x 11.90 EUR with tax)</p>"
    assert (first["rate"], second["rate"]) == (Decimal("30.00"), Decimal("0.05"))
    assert [amount for *_, amount in rows(site)] == [Decimal("5.70"), Decimal("0.01")]
    assert_shows(connector, draft, connector.fetch_invoice(remote_id))


@pytest.mark.parametrize(
    ("tax", "settings", "account"),
    [
        ("VAT 8.1 %", {}, "VAT 8.1 - SN"),
        ("DE19 19 %", {}, "VAT 19 - SN"),
        ("DE19 19 %", {"tax_account": "A - SN"}, "A - SN"),
        ("B 19 %", {"tax_account": "A - SN"}, "B - SN"),
    ],
)
def test_the_account_of_a_tax_is_found(
    site: ErpnextStandIn, tax: str, settings: dict[str, str], account: str
) -> None:
    push(ErpnextConnector({**SETTINGS, **settings}, InProcess(site)), draft_of(taxed(tax)))
    assert [found for found, *_ in rows(site)] == [account]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (taxed("VAT 20 %"), "has no tax of 20 % for prices without it"),
        (taxed("VAT 7 %"), "several taxes for VAT 7 %: VAT 7 .*Duty"),
        (taxed("VAT 7 %", tax_code="VAT 19 - SN"), "takes 19 % there, and VAT 7 % is ours"),
        (taxed("VAT 7 %", tax_code="Sales - SN"), 'has no tax "Sales - SN"'),
    ],
)
def test_no_account_of_a_tax_is_guessed(
    site: ErpnextStandIn, connector: ErpnextConnector, line: PrintedLine, told: str
) -> None:
    with pytest.raises(RejectedError, match=told):
        push(connector, draft_of(line))
    assert site.papers == {}


def test_taxes_come_and_go_when_a_draft_is_brought_up_to_date(site: ErpnextStandIn) -> None:
    connector = ErpnextConnector({**SETTINGS, "tax_code": "None"}, InProcess(site))
    remote_id = push(connector, DRAFT)
    with_tax = replace(DRAFT, lines=tuple(replace(each, tax="A 19 %") for each in DRAFT.lines))
    for draft, template in ((with_tax, ""), (DRAFT, "None")):
        updated = connector.update_draft(draft, remote_id, idempotency_key=f"key-{template}")
        assert updated.amounts.total == draft.total.minor
        assert_shows(connector, draft, updated)
        (paper,) = site.papers.values()
        assert paper.written["taxes_and_charges"] == template


def test_what_is_paid_and_owed_is_with_the_tax(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    remote_id = push(connector, draft_of(taxed("A 19 %")))
    happen = site.happenings("finalize", "pay", number_of=lambda _: next(iter(site.papers)))
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 10000)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.total, amounts.paid, amounts.remaining) == (11900, 10000, 1900)


def test_a_line_that_takes_back_takes_its_tax_back(
    site: ErpnextStandIn, connector: ErpnextConnector
) -> None:
    backs = [taxed("A 19 %", "-1", "50.00"), taxed("B 7 %", "-1", "10.00")]
    remote_id = push(connector, draft_of(taxed("A 19 %"), *backs))
    assert [amount for *_, amount in rows(site)] == [Decimal("9.50"), Decimal("-0.70")]
    assert connector.fetch_invoice(remote_id).amounts.total == 4000 + 880
