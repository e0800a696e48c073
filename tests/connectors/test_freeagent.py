"""What is special about FreeAgent, against its stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.freeagent.connector import BASE, FreeAgentConnector
from connectors.freeagent.stand_in import SETTINGS, TOKEN, FreeAgentStandIn
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import Bearer
from ledger.errors import UnsupportedError
from ledger.invoices import Address, Coding
from ledger.payments import payment_of
from tests.contracts.billing import DRAFT, draft_of, line, push


@pytest.fixture
def site() -> FreeAgentStandIn:
    return FreeAgentStandIn()


@pytest.fixture
def connector(site: FreeAgentStandIn) -> FreeAgentConnector:
    return FreeAgentConnector(SETTINGS, Bearer(InProcess(site), TOKEN))


def test_our_reference_is_the_last_line_of_the_comments(
    site: FreeAgentStandIn, connector: FreeAgentConnector
) -> None:
    remote_id = push(connector, DRAFT)
    (paper,) = site.papers.values()
    assert paper.written["comments"] == "Work in March\n\nThank you\n\nbillhook:acme-1"
    there = connector.fetch_invoice(remote_id)
    # FreeAgent counts on by itself.
    assert (there.reference, there.number) == ("acme-1", f"{paper.number:03}")
    # Somebody has put another text in its place: it is ours no more.
    paper.written["comments"] = "Work in March"
    assert connector.fetch_invoice(remote_id).reference is None


def test_a_look_up_reads_the_invoices_of_the_contact_alone(
    site: FreeAgentStandIn, connector: FreeAgentConnector
) -> None:
    other = replace(
        DRAFT.customer, key="bell", name="Bell SA", email="ap@bell.example", tax_id=None
    )
    for number in range(101):
        push(connector, replace(DRAFT, reference=f"acme-{number}"), key=f"key-{number}")
    push(connector, replace(DRAFT, customer=other, reference="bell-1"))
    bell = connector.resolve_customer(replace(DRAFT, customer=other), idempotency_key="key-1")
    site.requests.clear()
    assert connector.find_invoice("bell-1", remote_customer=bell) is not None
    assert len(site.requests) == 1
    # Without the contact all pages are read.
    assert connector.find_invoice("acme-100", remote_customer=None) is not None
    assert len(site.requests) == 3


def test_lines_say_where_they_stand_in_the_books(site: FreeAgentStandIn) -> None:
    settings = {**SETTINGS, "account": "001", "item": "Hours"}
    connector = FreeAgentConnector(settings, Bearer(InProcess(site), TOKEN))
    coded = replace(line("1", "10.00", "GBP"), coding=Coding(account="002", item="Days"))
    push(connector, draft_of(coded, line("2", "10.00", "GBP"), currency="GBP"))
    (paper,) = site.papers.values()
    first, second = paper.lines
    assert (first["category"], first["item_type"]) == (f"{BASE}/categories/002", "Days")
    assert (second["category"], second["item_type"]) == (f"{BASE}/categories/001", "Hours")
    assert first["sales_tax_rate"] == "0.0"


def test_due_is_brought_up_to_date_alone(
    site: FreeAgentStandIn, connector: FreeAgentConnector
) -> None:
    remote_id = push(connector, DRAFT)
    connector.update_draft(replace(DRAFT, days_until_due=7), remote_id, idempotency_key="key-2")
    assert site.papers[int(remote_id)].written["payment_terms_in_days"] == 7
    writes = len([each for each in site.requests if each.startswith("PUT")])
    connector.update_draft(replace(DRAFT, days_until_due=7), remote_id, idempotency_key="key-3")
    assert len([each for each in site.requests if each.startswith("PUT")]) == writes == 1


def test_a_part_that_was_credited_is_neither_paid_nor_owed(
    site: FreeAgentStandIn, connector: FreeAgentConnector
) -> None:
    remote_id = push(connector, DRAFT)
    happen = site.happenings("finalize", "pay", "credit")
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 1000)
    happen["credit"](remote_id, 333)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.credited, amounts.remaining) == (1000, 333, 20000)
    happen["pay"](remote_id, -1000)
    assert payment_of(connector.fetch_invoice(remote_id).amounts) == "partially_paid"


def test_fils_that_freeagent_does_not_keep_are_refused(connector: FreeAgentConnector) -> None:
    with pytest.raises(UnsupportedError, match="KWD"):
        push(connector, draft_of(line("1", "1.234", "KWD"), currency="KWD"))


def test_a_new_contact_has_an_address(
    site: FreeAgentStandIn, connector: FreeAgentConnector
) -> None:
    address = Address(("Ringstr. 1", "2nd floor"), "Berlin", "DE", "10115")
    customer = replace(DRAFT.customer, address=address, tax_id="GB1")
    push(connector, replace(DRAFT, customer=customer))
    (person,) = site.people.values()
    assert person.written == {
        "organisation_name": "Acme GmbH",
        "email": "ap@acme.example",
        "sales_tax_registration_number": "GB1",
        "address1": "Ringstr. 1",
        "address2": "2nd floor",
        "town": "Berlin",
        "postcode": "10115",
    }
