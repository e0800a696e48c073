"""What is special about Zoho Books, against its stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.http import Request, Response
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import Bearer
from connectors.zoho_books.connector import ZohoBooksConnector
from connectors.zoho_books.stand_in import ORGANIZATION, SETTINGS, TOKEN, ZohoBooksStandIn
from ledger.errors import ConfigurationError, PermanentError, RejectedError, UnsupportedError
from ledger.invoices import Address, Coding
from tests.contracts.billing import DRAFT, draft_of, line, push


@pytest.fixture
def site() -> ZohoBooksStandIn:
    return ZohoBooksStandIn()


@pytest.fixture
def connector(site: ZohoBooksStandIn) -> ZohoBooksConnector:
    return ZohoBooksConnector(SETTINGS, Bearer(InProcess(site), TOKEN))


def test_every_request_goes_to_the_data_center_and_names_the_organization(
    site: ZohoBooksStandIn,
) -> None:
    asked: list[str] = []

    class Noting:
        def send(self, request: Request) -> Response:
            asked.append(request.url)
            return Bearer(InProcess(site), TOKEN).send(request)

    push(ZohoBooksConnector(SETTINGS, Noting()), DRAFT)
    assert all(url.startswith("https://www.zohoapis.eu/books/v3/") for url in asked)
    assert all(f"organization_id={ORGANIZATION}" in url for url in asked)
    with pytest.raises(ConfigurationError, match="data_center"):
        ZohoBooksConnector({**SETTINGS, "data_center": "mars"}, Noting())


def test_a_draft_stands_there_in_zohos_words(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    push(connector, DRAFT)
    (paper,) = site.papers.values()
    assert paper.written["reference_number"] == "billhook:acme-1"
    assert paper.written["notes"] == "PO: PO-4471\n\nWork in March"
    assert (paper.written["terms"], paper.written["payment_terms"]) == ("Thank you", 30)
    assert paper.written["currency_id"] == "c-EUR"


def test_lines_say_where_they_stand_in_the_books(site: ZohoBooksStandIn) -> None:
    settings = {**SETTINGS, "account": "460-1", "item": "460-2"}
    connector = ZohoBooksConnector(settings, Bearer(InProcess(site), TOKEN))
    coded = replace(line("1", "10.00", "EUR"), coding=Coding(item="460-3", tax_code="460-4"))
    push(connector, draft_of(coded, line("2", "10.00", "EUR")))
    (paper,) = site.papers.values()
    first, second = paper.lines
    assert (first["item_id"], first["account_id"], first["tax_id"]) == ("460-3", "460-1", "460-4")
    assert (second["item_id"], "tax_id" in second) == ("460-2", False)


def test_before_an_organization_is_chosen_those_that_there_are_can_be_listed(
    site: ZohoBooksStandIn,
) -> None:
    settings = {name: told for name, told in SETTINGS.items() if name != "organization_id"}
    connector = ZohoBooksConnector(settings, Bearer(InProcess(site), TOKEN))
    assert connector.accounts() == {ORGANIZATION: "Studio Nord"}
    with pytest.raises(PermanentError, match="no organization is chosen"):
        connector.check()


def test_what_is_written_off_is_uncollectible_and_a_status_unknown_is_left_alone(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    remote_id = push(connector, DRAFT)

    class Approved:
        def send(self, request: Request) -> Response:
            answer = Bearer(InProcess(site), TOKEN).send(request)
            return replace(answer, body=answer.body.replace(b'"draft"', b'"approved"'))

    approved = ZohoBooksConnector(SETTINGS, Approved())
    assert approved.fetch_invoice(remote_id).amounts.document == "unknown"
    with pytest.raises(RejectedError, match="no draft any more"):
        approved.update_draft(replace(DRAFT, memo="Other"), remote_id, idempotency_key="key-2")
    happen = site.happenings("finalize", "pay", "write_off")
    for name, minor in (("finalize", 0), ("pay", 5000), ("write_off", 0)):
        happen[name](remote_id, minor)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.document, amounts.paid) == ("written_off", 5000)


def test_a_currency_that_the_organization_lacks_is_refused(connector: ZohoBooksConnector) -> None:
    with pytest.raises(UnsupportedError, match="SEK is no currency of the organization"):
        push(connector, draft_of(line("1", "10.00", "SEK"), currency="SEK"))


def test_a_new_customer_has_an_address_and_the_drafts_currency(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    address = Address(("Ringstr. 1",), "Berlin", "DE", "10115")
    push(connector, replace(DRAFT, customer=replace(DRAFT.customer, address=address)))
    (person,) = site.people.values()
    assert person.written["billing_address"]["city"] == "Berlin"
    assert person.written["contact_persons"][0]["email"] == "ap@acme.example"
    assert person.written["currency_id"] == "c-EUR"
