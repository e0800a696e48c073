"""What is QuickBooks' own: what stands for a draft, versions and replays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from connectors.contract import ContractRig
from connectors.quickbooks.connector import QuickBooksConnector
from connectors.quickbooks.stand_in import QuickBooksStandIn, happenings
from connectors.quickbooks.stand_in.book import Book
from connectors.quickbooks.stand_in.rig import SETTINGS, contract_setup
from connectors.stand_in import InProcess
from ledger.errors import (
    ConfigurationError,
    ConnectorError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import Coding, PrintedLine
from tests.connectors.quickbooks_company import BOTH, INVOICES, Company
from tests.contracts import test_billing_amendments, test_billing_connectors, test_billing_limits
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line
from tests.contracts.spoiled_http import SpoiledHttp

# The shared promises again, for unsent invoices: the contract's own rig pushes estimates.


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path, draft_as=INVOICES)


@pytest.fixture
def connector(rig: ContractRig) -> QuickBooksConnector:
    assert rig.http
    connector = rig.connect(rig.http)
    assert isinstance(connector, QuickBooksConnector)
    return connector


@pytest.fixture
def http_rig(rig: ContractRig) -> ContractRig:
    return rig


@pytest.fixture
def spoiled(rig: ContractRig) -> SpoiledHttp:
    assert rig.http
    return SpoiledHttp(rig.http, rig.is_change)


def promises() -> Iterator[tuple[str, Callable[..., None]]]:
    for module in (test_billing_amendments, test_billing_connectors, test_billing_limits):
        for name, test in vars(module).items():
            if name.startswith("test_") and "key" not in inspect.signature(test).parameters:
                yield name, test


globals().update(promises())


def test_what_stands_for_a_draft_must_be_chosen() -> None:
    for told in ({}, {"draft_as": "draft"}):
        settings = {name: value for name, value in SETTINGS.items() if name != "draft_as"}
        with pytest.raises(ConfigurationError, match="draft_as: estimate"):
            QuickBooksConnector({**settings, **told}, InProcess(QuickBooksStandIn()))
    required = {each.name for each in QuickBooksConnector.settings if each.required}
    assert required == {"client_id", "client_secret", "realm", "draft_as"}


def test_a_realm_is_a_number() -> None:
    with pytest.raises(ConfigurationError, match="realmId"):
        QuickBooksConnector({**SETTINGS, "realm": "../1"}, InProcess(QuickBooksStandIn()))


@BOTH
def test_a_draft_becomes_just_one_document_of_its_kind(draft_as: str) -> None:
    company = Company(draft_as)
    company.push()
    kinds = {kind: company.entities(kind) for kind in ("Estimate", "Invoice")}
    assert kinds == {"Estimate": draft_as == "estimate", "Invoice": draft_as == INVOICES}


def test_what_is_carried_depends_on_the_settings() -> None:
    able = QuickBooksConnector.able
    assert able({"draft_as": INVOICES}).carries == {"memo", "due_date"}
    assert able({"draft_as": "estimate"}).carries == {"memo"}
    with_field = {"draft_as": "estimate", "purchase_order_field": "PO Number"}
    assert able(with_field).carries == {"memo", "purchase_order"}
    assert Company(purchase_order_field="").connector.abilities.carries == {"memo"}
    assert Company().connector.abilities.carries == {"memo", "purchase_order"}


def test_the_check_names_company_currency_and_sandbox() -> None:
    assert Company().connector.check() == "Studio Nord, EUR"
    site = QuickBooksStandIn()
    sandbox = {**SETTINGS, "api_base": "https://sandbox-quickbooks.api.intuit.com"}
    connector = QuickBooksConnector(sandbox, InProcess(site))
    assert connector.check() == "Studio Nord, EUR, a test account"
    wrong = QuickBooksConnector({**SETTINGS, "realm": "1"}, InProcess(site))
    with pytest.raises(PermanentError, match="realm:"):
        wrong.check()


@pytest.mark.parametrize("setting", ["item", "purchase_order_field"])
def test_the_check_looks_for_what_the_settings_name(setting: str) -> None:
    with pytest.raises(ConnectorError, match=f"Nowhere.*{setting}:"):
        Company("estimate", None, **{setting: "Nowhere"}).connector.check()


def test_without_a_number_of_its_own_an_item_is_found_by_name_or_id() -> None:
    company = Company()
    coded = replace(DRAFT.lines[0], coding=Coding(item="Travel", tax_code="5"))
    by_id = replace(DRAFT.lines[1], coding=Coding(item="1", tracking=(("Class", "77"),)))
    company.push(replace(DRAFT, lines=(coded, by_id, *DRAFT.lines[:1])))
    (made,) = company.book.every("Estimate")
    details = [one["SalesItemLineDetail"] for one in made["Line"] if "SalesItemLineDetail" in one]
    assert [one["ItemRef"]["value"] for one in details] == ["2", "1", "1"]
    assert (details[0]["TaxCodeRef"], details[1]["ClassRef"]) == ({"value": "5"}, {"value": "77"})
    assert made["GlobalTaxCalculation"] == "TaxExcluded"


@pytest.mark.parametrize(
    ("coding", "told"),
    [
        (Coding(account="200"), "account"),
        (Coding(tracking=(("Region", "North"),)), "Region"),
        (Coding(item="Nowhere"), "Nowhere"),
    ],
)
def test_what_the_books_cannot_say_is_refused(coding: Coding, told: str) -> None:
    company = Company()
    with pytest.raises(RejectedError, match=told):
        company.push(replace(DRAFT, lines=(replace(DRAFT.lines[0], coding=coding),)))
    assert company.entities("Estimate") == 0


def test_a_line_without_any_item_is_refused() -> None:
    with pytest.raises(RejectedError, match="item:"):
        Company(item="").push()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"memo": "x" * 1001}, "memo has 1001 characters"),
        ({"purchase_order": "x" * 32}, "purchase order has 32"),
        ({"lines": (line("1", "1.00", "EUR", "x" * 4001),)}, "line 1 has 4001"),
    ],
)
def test_what_is_too_long_is_refused_by_name(changed: dict[str, object], told: str) -> None:
    with pytest.raises(RejectedError, match=told):
        Company().push(replace(DRAFT, **changed))  # type: ignore[arg-type]


@BOTH
def test_decimals_are_numbers_exactly_as_they_stand(draft_as: str) -> None:
    company = Company(draft_as)
    company.push(draft_of(PrintedLine("Usage", Decimal("0.10"), Decimal("1234567.89"), 12345679)))
    sent = company.http.requests[-1].body or b""
    assert b'"Amount":123456.79' in sent
    assert b'"Qty":0.10' in sent
    assert b'"UnitPrice":1234567.89' in sent


def test_what_quickbooks_would_round_otherwise_is_sent_as_an_amount() -> None:
    company = Company()
    company.push(draft_of(line("0.5", "3001", "JPY"), currency="JPY"))
    (made,) = company.book.every("Estimate")
    assert made["Line"][0]["Description"] == "Engineering (0.50 x 3001 JPY)"
    assert "Qty" not in made["Line"][0]["SalesItemLineDetail"]
    assert made["TotalAmt"] == 1501


def test_a_customer_is_billed_in_its_own_currency_only() -> None:
    company = Company()
    company.push()
    other = replace(DRAFT, currency="USD", reference="acme-2")
    with pytest.raises(UnsupportedError, match="USD"):
        company.push(other)
    company.book.has_currencies = False
    with pytest.raises(UnsupportedError, match="multicurrency"):
        Company(book=company.book).push(other)


def test_the_due_day_counts_from_the_day_of_the_invoice() -> None:
    company = Company(INVOICES)
    remote_id = company.push()
    (made,) = company.book.every("Invoice")
    made["TxnDate"] = "2026-03-01"
    changed = replace(DRAFT, days_until_due=14)
    updated = company.connector.update_draft(changed, remote_id, idempotency_key="key-2")
    assert f"{updated.amounts.due_on}" == made["DueDate"] == "2026-03-15"


# Our reference there.


@pytest.mark.parametrize("reference", ["acme-1", "acme-with-a-long-name-2026-10"])
@pytest.mark.parametrize("counts_itself", [False, True])
@BOTH
def test_an_invoice_is_found_whoever_numbers_it(
    draft_as: str, reference: str, counts_itself: bool
) -> None:
    company = Company(draft_as, Book(counts_itself=counts_itself))
    remote_id = company.push(replace(DRAFT, reference=reference))
    for customer in (None, company.book.every("Customer")[0]["Id"]):
        found = company.connector.find_invoice(reference, remote_customer=customer)
        assert found is not None
        assert (found.remote_id, found.reference) == (remote_id, reference)
    assert found is not None
    has_ours = not counts_itself and len(reference) <= 21
    assert (found.number == reference) == has_ours
    assert company.connector.find_invoice(reference[:-1], remote_customer=None) is None


def test_a_number_of_somebody_else_is_not_taken_for_ours() -> None:
    company = Company()
    company.push()
    (made,) = company.book.every("Estimate")
    made["PrivateNote"] = "for Ana"
    assert company.connector.find_invoice("acme-1", remote_customer=None) is None
    with pytest.raises(RejectedError, match=r"6140.*number"):
        company.connector.create_draft(
            DRAFT, remote_customer=made["CustomerRef"]["value"], idempotency_key="key-2"
        )


def test_two_with_our_reference_are_a_persons_business() -> None:
    company = Company(book=Book(counts_itself=True))
    company.push()
    (made,) = company.book.every("Estimate")
    copy = company.book.add("Estimate", made)
    with pytest.raises(PermanentError, match=f"{made['Id']} and {copy['Id']}"):
        company.connector.find_invoice("acme-1", remote_customer=None)


def test_a_reference_is_asked_for_exactly() -> None:
    company = Company()
    odd = replace(DRAFT, reference="o'hara\\' OR 'x")
    company.push(odd)
    found = company.connector.find_invoice(odd.reference, remote_customer=None)
    assert found is not None
    assert found.reference == odd.reference
    assert any("DocNumber = 'o\\'hara\\\\\\' OR \\'x'" in asked for asked in company.site.queries)


def test_the_list_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.quickbooks.api.PAGE", 2)
    company = Company(book=Book(counts_itself=True))
    ids = [company.push(replace(DRAFT, reference=f"acme-{number}")) for number in range(5)]
    made = company.connector.made_since(datetime(2026, 1, 1, tzinfo=UTC))
    assert [each.remote_id for each in made] == ids


# Keys and versions.


@BOTH
def test_a_repeated_request_brings_the_first_answer_and_nothing_else(draft_as: str) -> None:
    company = Company(draft_as)
    connector, kind = company.connector, "Estimate" if draft_as == "estimate" else "Invoice"
    customer = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    create = partial(connector.create_draft, DRAFT, remote_customer=customer)
    first = create(idempotency_key="key-1")
    assert create(idempotency_key="key-1").remote_id == first.remote_id
    assert company.entities(kind) == 1
    # Every key fits into the 50 characters that a `requestid` has.
    keys = [one.url.partition("requestid=")[2].partition("&")[0] for one in company.http.requests]
    assert {len(key) for key in keys if key} == {48}


@BOTH
def test_what_was_changed_at_the_same_time_is_left_as_it_is(draft_as: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    company.http.at = 1
    company.http.spoil = company.http.after(lambda: happenings.edit(company.book, remote_id, 0))
    changed = replace(DRAFT, memo="Other")
    with pytest.raises(TransientError, match="at the same time"):
        company.connector.update_draft(changed, remote_id, idempotency_key="key-2")
    there = company.connector.fetch_invoice(remote_id)
    assert there.header["memo"] == "As we spoke on the phone"
    # The same key is no replay of a change of another version.
    updated = company.connector.update_draft(changed, remote_id, idempotency_key="key-2")
    assert_shows(company.connector, changed, updated)


@BOTH
def test_a_draft_that_was_changed_at_the_same_time_is_not_deleted(draft_as: str) -> None:
    company = Company(draft_as)
    remote_id = company.push()
    company.http.at = 1
    company.http.spoil = company.http.after(lambda: happenings.edit(company.book, remote_id, 0))
    with pytest.raises(TransientError, match="at the same time"):
        company.connector.delete_draft(remote_id, idempotency_key="key-2")
    assert company.word(remote_id) == "draft"


def test_what_people_have_added_stays_when_a_draft_is_brought_up_to_date() -> None:
    company = Company()
    remote_id = company.push()
    (made,) = company.book.every("Estimate")
    made["ShipDate"] = "2026-04-01"
    made["PrivateNote"] += " call Ana first"
    changed = replace(DRAFT, memo="Other")
    company.connector.update_draft(changed, remote_id, idempotency_key="key-2")
    assert (made["ShipDate"], made["PrivateNote"]) == (
        "2026-04-01",
        "[billhook acme-1] call Ana first",
    )
    assert company.connector.fetch_invoice(remote_id).reference == "acme-1"


# What becomes of it.
