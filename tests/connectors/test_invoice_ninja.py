"""What is special about Invoice Ninja, against its stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.invoice_ninja.connector import InvoiceNinjaConnector
from connectors.invoice_ninja.stand_in import SETTINGS, InvoiceNinjaStandIn
from connectors.stand_in import Fault, InProcess
from ledger.errors import OutcomeUnknownError, RejectedError, UnsupportedError
from ledger.invoices import Address, Coding
from ledger.payments import payment_of
from tests.contracts.billing import DRAFT, draft_of, line, push


@pytest.fixture
def site() -> InvoiceNinjaStandIn:
    return InvoiceNinjaStandIn()


@pytest.fixture
def connector(site: InvoiceNinjaStandIn) -> InvoiceNinjaConnector:
    return InvoiceNinjaConnector(SETTINGS, InProcess(site))


def test_a_number_that_is_taken_is_never_billed_twice(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    push(connector, DRAFT)
    (paper,) = site.papers.values()
    assert paper.written["number"] == "acme-1"
    # Somebody has taken our mark away, so it is not found; the number still guards it.
    paper.written["private_notes"] = "Call them first"
    assert connector.find_invoice("acme-1", remote_customer=None) is None
    with pytest.raises(RejectedError, match="another invoice has its number"):
        push(connector, DRAFT)
    assert len(site.papers) == 1


def test_notes_below_our_mark_do_no_harm(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    remote_id = push(connector, DRAFT)
    (paper,) = site.papers.values()
    paper.written["private_notes"] += "\nCall them first"
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    assert found.remote_id == remote_id


def test_a_deleted_draft_gives_its_number_free(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    first = push(connector, DRAFT)
    connector.delete_draft(first, idempotency_key="key-2")
    second = push(connector, DRAFT, key="key-3")
    assert second != first
    assert connector.fetch_invoice(first).amounts.document == "deleted"
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    assert found.remote_id == second


def test_a_deletion_whose_reply_was_lost_is_open(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    remote_id = push(connector, DRAFT)
    site.faults.append(Fault("500_after", method="DELETE"))
    with pytest.raises(OutcomeUnknownError):
        connector.delete_draft(remote_id, idempotency_key="key-2")
    connector.delete_draft(remote_id, idempotency_key="key-3")
    assert len([each for each in site.requests if each.startswith("DELETE")]) == 1


def test_a_client_in_another_currency_is_refused(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    push(connector, DRAFT)
    other = draft_of(line("1", "10.00", "USD"), currency="USD", reference="acme-2")
    with pytest.raises(UnsupportedError, match="billed in EUR, and this is in USD"):
        push(connector, other)
    assert len(site.papers) == 1


def test_no_tax_of_the_companys_own_comes_in_and_products_go_by_their_key(
    site: InvoiceNinjaStandIn,
) -> None:
    connector = InvoiceNinjaConnector({**SETTINGS, "item": "hours"}, InProcess(site))
    coded = replace(line("1", "10.00", "EUR"), coding=Coding(item="design"))
    push(connector, draft_of(coded, line("2", "10.00", "EUR")))
    (paper,) = site.papers.values()
    assert [each["product_key"] for each in paper.lines] == ["design", "hours"]
    for written in (paper.written, *paper.lines):
        assert [written[f"tax_{word}1"] for word in ("name", "rate")] == ["", 0]


def test_a_new_client_has_an_address_and_the_drafts_currency(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    address = Address(("Ringstr. 1",), "Berlin", "DE", "10115")
    customer = replace(DRAFT.customer, address=address)
    draft = draft_of(line("1", "1500", "JPY"), currency="JPY")
    connector.resolve_customer(replace(draft, customer=customer), idempotency_key="key-1")
    (person,) = site.people.values()
    assert person.written["settings"] == {"currency_id": "45"}
    assert (person.written["country_id"], person.written["city"]) == ("276", "Berlin")
    assert person.written["private_notes"] == "billhook:acme"


def test_a_payment_that_is_taken_back_opens_the_invoice_again(
    site: InvoiceNinjaStandIn, connector: InvoiceNinjaConnector
) -> None:
    remote_id = push(connector, DRAFT)
    (paper,) = site.papers.values()
    paper.state, paper.paid = "open", 21333
    assert payment_of(connector.fetch_invoice(remote_id).amounts) == "paid"
    paper.paid = 0
    assert payment_of(connector.fetch_invoice(remote_id).amounts) == "open"
