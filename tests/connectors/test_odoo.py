"""What is special about Odoo, against its stand-in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.http import Request, Response
from connectors.odoo.connector import OdooConnector
from connectors.odoo.stand_in import SETTINGS, OdooStandIn
from connectors.stand_in import InProcess
from connectors.taxes import TaxesDifferError
from ledger.errors import ConfigurationError, RejectedError, TransientError
from ledger.invoices import Address, Coding, PrintedLine
from ledger.taxes import TaxWords
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push


@pytest.fixture
def site() -> OdooStandIn:
    return OdooStandIn()


@pytest.fixture
def connector(site: OdooStandIn) -> OdooConnector:
    return OdooConnector(SETTINGS, InProcess(site))


def test_a_draft_stands_there_in_odoos_words(site: OdooStandIn, connector: OdooConnector) -> None:
    site.now = site.now.replace(day=3)
    remote_id = push(connector, replace(DRAFT, memo="R&D <March>\nsecond line"))
    paper = site.papers[int(remote_id)]
    written = paper.written
    assert written["narration"] == "<p>R&amp;D &lt;March&gt;<br>second line</p><p>Thank you</p>"
    assert (written["ref"], written["invoice_origin"]) == ("PO-4471", "billhook:acme-1")
    assert written["invoice_payment_term_id"] is False
    # No tax of the product's or the account's own comes in.
    assert [each["tax_ids"] for each in paper.lines] == [[[6, 0, []]]] * 2
    there = connector.fetch_invoice(remote_id)
    assert there.header["text"].split() == ["R&D", "<March>", "second", "line", "Thank", "you"]
    assert there.url == f"https://acme.odoo.example/odoo/account.move/{remote_id}"


def test_a_line_says_where_it_stands_in_the_books(site: OdooStandIn) -> None:
    connector = OdooConnector({**SETTINGS, "account": "400", "item": "7"}, InProcess(site))
    coded = replace(line("1", "10.00", "EUR"), coding=Coding(item="9", tax_code="12"))
    remote_id = push(connector, draft_of(coded, line("2", "10.00", "EUR")))
    first, second = site.papers[int(remote_id)].lines
    assert (first["product_id"], first["account_id"], first["tax_ids"]) == (9, 400, [[6, 0, [12]]])
    assert (second["product_id"], second["account_id"]) == (7, 400)
    named = replace(line("1", "10.00", "EUR"), coding=Coding(account="Sales"))
    with pytest.raises(RejectedError, match='account: "Sales" is no id'):
        push(connector, draft_of(named, reference="acme-2"))


def test_more_decimals_go_out_as_numbers_where_odoo_keeps_them(site: OdooStandIn) -> None:
    settings = {**SETTINGS, "quantity_places": "4"}
    shown = OdooConnector(settings, InProcess(site)).shown(DRAFT).lines[1]
    assert (shown.description, f"{shown.quantity}") == ("Review", "0.3333")
    with pytest.raises(ConfigurationError, match="quantity_places"):
        OdooConnector({**SETTINGS, "quantity_places": "many"}, InProcess(site))


def test_a_new_customer_has_an_address(site: OdooStandIn, connector: OdooConnector) -> None:
    address = Address(("Ringstr. 1", "c/o Bell"), "Berlin", "DE", "10115")
    customer = replace(DRAFT.customer, address=address, tax_id="DE123456789")
    push(connector, replace(DRAFT, customer=customer))
    (person,) = site.people.values()
    assert person.written == {
        "name": "Acme GmbH",
        "is_company": True,
        "ref": "billhook:acme",
        "email": "ap@acme.example",
        "vat": "DE123456789",
        "street": "Ringstr. 1",
        "street2": "c/o Bell",
        "zip": "10115",
        "city": "Berlin",
        "country_id": 57,
    }


def test_one_company_of_several_is_named_with_every_request(site: OdooStandIn) -> None:
    connector = OdooConnector({**SETTINGS, "company": "3", "journal": "8"}, InProcess(site))
    written = site.papers[int(push(connector, DRAFT))].written
    assert (written["company_id"], written["journal_id"]) == (3, 8)
    assert connector.find_invoice(DRAFT.reference, remote_customer=None) is not None
    other = OdooConnector({**SETTINGS, "company": "4"}, InProcess(site))
    assert other.find_invoice(DRAFT.reference, remote_customer=None) is None


def test_part_payment_and_part_credit_are_told_apart(
    site: OdooStandIn, connector: OdooConnector
) -> None:
    remote_id = push(connector, DRAFT)
    happen = site.happenings("finalize", "pay", "credit")
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 1000)
    happen["credit"](remote_id, 333)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.credited, amounts.remaining) == (1000, 333, 20000)
    # Taken off again.
    happen["pay"](remote_id, -1000)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.credited, amounts.remaining) == (0, 333, 21000)


def test_an_empty_list_alone_does_not_prove_that_an_invoice_is_gone(site: OdooStandIn) -> None:
    class Hiding:
        def send(self, request: Request) -> Response:
            if request.url.endswith("account.move/search_read"):
                return Response(200, {}, b"[]")
            return InProcess(site).send(request)

    remote_id = push(OdooConnector(SETTINGS, InProcess(site)), DRAFT)
    with pytest.raises(TransientError, match="none came"):
        OdooConnector(SETTINGS, Hiding()).fetch_invoice(remote_id)


def taxed(tax: str, quantity: str = "1", price: str = "100.00", **coding: Any) -> PrintedLine:
    return replace(line(quantity, price, "EUR"), tax=tax, coding=Coding(**coding))


def tax_ids(site: OdooStandIn) -> list[list[int]]:
    (paper,) = site.papers.values()
    return [each["tax_ids"][0][2] for each in paper.lines]


def test_a_tax_is_found_by_code_name_or_rate(site: OdooStandIn, connector: OdooConnector) -> None:
    site.taxes[11] = ("DE7", Decimal(7), False)
    draft = replace(
        draft_of(
            *(taxed("DE19 19 %"), taxed("DE7 7 %"), taxed("X 7 %", tax_code="2")),
            *(taxed("G 19 % included"), taxed("RC reverse charge"), taxed("EX exempt"), taxed("")),
            taxed("Y exempt", tax_code="12"),
        ),
        tax_words={"RC": TaxWords("VAT", "You owe the tax.")},
    )
    there = connector.fetch_invoice(push(connector, draft))
    assert tax_ids(site) == [[1], [11], [2], [8], [10], [], [], [12]]
    assert_shows(connector, draft, there)
    assert (there.header["tax"], there.lines and there.lines[3].amount) == ("48.97 EUR", 10000)
    assert "You owe the tax." in there.header["text"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (taxed("V 20 %"), "has no tax of 20 % for prices without it"),
        (taxed("V 8.1 % included"), "has no tax of 8.1 % for prices that hold it"),
        (taxed("V 5 %"), "several taxes for V 5 %: 5% .5., 5% services .11."),
        (taxed("V 5 %", tax_code="1"), "takes 19 % there, and V 5 % is ours"),
        (taxed("V 19 %", tax_code="8"), 'has no tax "8"'),
        (taxed("RC reverse charge", tax_code="1"), "takes 19 % there"),
    ],
)
def test_no_tax_is_guessed(
    site: OdooStandIn, connector: OdooConnector, line: PrintedLine, told: str
) -> None:
    site.taxes[11] = ("5% services", Decimal(5), False)
    with pytest.raises(RejectedError, match=told):
        push(connector, draft_of(line))
    assert site.papers == {}


CENTS = [taxed("A 19 %", price="0.03")] * 10


def test_a_tax_that_odoo_would_round_otherwise_is_refused(
    site: OdooStandIn, connector: OdooConnector
) -> None:
    site.rounding = "round_per_line"
    told = (
        r"would come to 0.10 EUR of tax \(rounded on each line\), 0.04 EUR more than our 0.06 EUR "
        "- set Rounding Method to Round Globally"
    )
    with pytest.raises(TaxesDifferError, match=told):
        push(connector, draft_of(*CENTS))
    assert site.papers == {}
    remote_id = push(connector, DRAFT)
    with pytest.raises(TaxesDifferError):
        connector.update_draft(replace(DRAFT, lines=(*CENTS,)), remote_id, idempotency_key="key-2")
    assert connector.fetch_invoice(remote_id).amounts.total == DRAFT.total.minor
    site.rounding = "round_globally"
    there = connector.update_draft(
        replace(DRAFT, lines=(*CENTS,)), remote_id, idempotency_key="key-3"
    )
    assert there.amounts.total == 36


def test_prices_that_hold_their_tax_are_rounded_on_each_line_or_refused(
    site: OdooStandIn, connector: OdooConnector
) -> None:
    site.rounding = "round_per_line"
    # 1.596..., taken out of each, is 1.60; out of both together it is 3.19.
    draft = draft_of(*[taxed("G 19 % included", price="10.00")] * 2)
    with pytest.raises(TaxesDifferError, match=r"0\.01 EUR more than our 3\.19 EUR"):
        push(connector, draft)
    site.rounding = "round_globally"
    assert_shows(connector, draft, connector.fetch_invoice(push(connector, draft)))


def test_net_and_tax_that_may_both_be_rounded_up_are_refused(
    site: OdooStandIn, connector: OdooConnector
) -> None:
    site.taxes[11] = ("20 % incl.", Decimal(20), True)
    with pytest.raises(TaxesDifferError, match="just between two minor units"):
        push(connector, draft_of(taxed("G 20 % included", price="0.03")))
    draft = draft_of(taxed("G 20 % included", price="0.04"))
    assert connector.fetch_invoice(push(connector, draft)).amounts.total == 4


def test_a_taxed_line_is_of_whole_cents(site: OdooStandIn, connector: OdooConnector) -> None:
    lines = [taxed("A 19 %", "0.33", "0.31"), taxed("A 19 %", "0.50", "0.30")]
    push(connector, draft_of(*lines))
    (paper,) = site.papers.values()
    first, second = paper.lines
    assert (first["name"], first["price_unit"]) == (
        "Engineering (0.33 x 0.31 EUR)",
        Decimal("0.10"),
    )
    assert (second["quantity"], second["price_unit"]) == (Decimal("0.50"), Decimal("0.30"))


def test_what_is_paid_and_owed_is_with_the_tax(site: OdooStandIn, connector: OdooConnector) -> None:
    remote_id = push(connector, draft_of(taxed("A 19 %"), taxed("G 7 % included")))
    happen = site.happenings("finalize", "pay")
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 20000)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.total, amounts.paid, amounts.remaining) == (21900, 20000, 1900)


@pytest.mark.parametrize("rounding", ["round_globally", "round_per_line"])
def test_a_line_that_takes_back_takes_its_tax_back(
    site: OdooStandIn, connector: OdooConnector, rounding: str
) -> None:
    site.rounding = rounding
    backs = [taxed("A 19 %", "-1", "50.00"), taxed("G 19 % included", "-1", "11.90")]
    there = connector.fetch_invoice(push(connector, draft_of(taxed("A 19 %"), *backs)))
    assert (there.amounts.total, there.header["tax"]) == (5950 - 1190, "7.60 EUR")
