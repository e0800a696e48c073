"""What is special about Odoo, against its stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.http import Request, Response
from connectors.odoo.connector import OdooConnector
from connectors.odoo.stand_in import SETTINGS, OdooStandIn
from connectors.stand_in import InProcess
from ledger.errors import ConfigurationError, RejectedError, TransientError
from ledger.invoices import Address, Coding
from tests.contracts.billing import DRAFT, draft_of, line, push


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
