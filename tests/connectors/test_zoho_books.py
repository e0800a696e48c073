"""What is special about Zoho Books, against its stand-in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.http import Request, Response
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import Bearer
from connectors.taxes import TaxesDifferError
from connectors.zoho_books.connector import ZohoBooksConnector
from connectors.zoho_books.stand_in import ORGANIZATION, SETTINGS, TOKEN, ZohoBooksStandIn
from ledger.errors import ConfigurationError, PermanentError, RejectedError, UnsupportedError
from ledger.invoices import Address, Coding, PrintedLine
from ledger.taxes import TaxWords
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push


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


def taxed(tax: str, quantity: str = "1", price: str = "100.00", **coding: Any) -> PrintedLine:
    return replace(line(quantity, price, "EUR"), tax=tax, coding=Coding(**coding))


def test_a_tax_is_found_by_code_name_or_rate(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    site.taxes["t-7b"] = ("Books", "7")
    draft = replace(
        draft_of(
            *(taxed("DE19 19 %"), taxed("BOOKS 7 %"), taxed("X 7 %", tax_code="t-7")),
            *(taxed("RC reverse charge"), taxed("EX exempt"), taxed("")),
        ),
        tax_words={"RC": TaxWords("VAT", "You owe the tax.")},
    )
    there = connector.fetch_invoice(push(connector, draft))
    (paper,) = site.papers.values()
    found = [each.get("tax_id") for each in paper.lines]
    assert found == ["t-19", "t-7b", "t-7", "t-0", None, None]
    assert_shows(connector, draft, there)
    assert there.header["terms"] == "Thank you\n\nYou owe the tax."


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (taxed("V 20 %"), "has no tax of 20 %"),
        (taxed("V 7 %"), r"several taxes for V 7 %: VAT 7 .t-7., Books .t-7b."),
        (taxed("V 7 %", tax_code="VAT 19"), "takes 19 % there, and V 7 % is ours"),
    ],
)
def test_no_tax_is_guessed(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector, line: PrintedLine, told: str
) -> None:
    site.taxes["t-7b"] = ("Books", "7")
    with pytest.raises(RejectedError, match=told):
        push(connector, draft_of(line))
    assert site.papers == {}


@pytest.mark.parametrize("rounding", ["line", "sum"])
def test_how_zoho_rounds_is_said_or_both_ways_must_come_to_ours(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector, rounding: str
) -> None:
    site.is_rounded_by_line = rounding == "line"
    http = Bearer(InProcess(site), TOKEN)
    told = ZohoBooksConnector({**SETTINGS, "tax_rounding": rounding}, http)
    cents = draft_of(*[taxed("A 19 %", price="0.03")] * 10)
    with pytest.raises(TaxesDifferError, match=r"on each line\), 0\.04 EUR more .*tax_rounding:"):
        push(connector, cents)
    if rounding == "line":
        with pytest.raises(TaxesDifferError, match=r"0\.10 EUR of tax"):
            push(told, cents)
        assert site.papers == {}
    else:
        assert_shows(told, cents, told.fetch_invoice(push(told, cents)))
    with pytest.raises(ConfigurationError, match="tax_rounding: is line or sum"):
        ZohoBooksConnector({**SETTINGS, "tax_rounding": "up"}, http)


def test_prices_with_tax_in_them_make_the_whole_invoice_inclusive(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    draft = draft_of(taxed("G 19 % included", "3", "11.90"), taxed("RC reverse charge"))
    there = connector.fetch_invoice(push(connector, draft))
    (paper,) = site.papers.values()
    assert paper.written["is_inclusive_tax"] is True
    assert (paper.lines[0]["quantity"], paper.lines[0]["rate"]) == (3, Decimal("11.90"))
    assert there.amounts.total == 3570 + 10000
    assert_shows(connector, draft, there)


def test_where_only_some_prices_hold_their_tax_their_net_is_sent(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    draft = draft_of(taxed("G 19 % included", "3", "11.90"), taxed("A 7 %"))
    there = connector.fetch_invoice(push(connector, draft))
    (paper,) = site.papers.values()
    assert paper.written["is_inclusive_tax"] is False
    first = paper.lines[0]
    assert (first["description"], first["rate"]) == (
        "Engineering (3.00 x 11.90 EUR with tax)",
        Decimal("30.00"),
    )
    assert_shows(connector, draft, there)


def test_what_is_paid_and_owed_is_with_the_tax(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    remote_id = push(connector, draft_of(taxed("A 19 %")))
    happen = site.happenings("finalize", "pay")
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 10000)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.total, amounts.paid, amounts.remaining) == (11900, 10000, 1900)


@pytest.mark.parametrize("rounding", ["line", "sum"])
def test_a_line_that_takes_back_takes_its_tax_back(site: ZohoBooksStandIn, rounding: str) -> None:
    http = Bearer(InProcess(site), TOKEN)
    connector = ZohoBooksConnector({**SETTINGS, "tax_rounding": rounding}, http)
    backs = [taxed("A 19 %", "-1", "50.00"), taxed("A 19 %", "-1", "10.00")]
    there = connector.fetch_invoice(push(connector, draft_of(taxed("A 19 %"), *backs)))
    assert (there.amounts.total, there.header["tax"]) == (4760, "7.60 EUR")


def test_taxes_come_and_go_when_a_draft_is_brought_up_to_date(
    site: ZohoBooksStandIn, connector: ZohoBooksConnector
) -> None:
    remote_id = push(connector, DRAFT)
    for lines in ([taxed("G 19 % included")], [taxed("A 7 %")], [taxed("")]):
        draft = draft_of(*lines)
        updated = connector.update_draft(draft, remote_id, idempotency_key=f"key-{lines[0].tax}")
        assert_shows(connector, draft, updated)
        assert updated.amounts.total == draft.total.minor
