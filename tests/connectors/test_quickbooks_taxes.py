"""Our taxes in QuickBooks: which tax code is meant, and that no other total goes by unnoticed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.quickbooks.connector import QuickBooksConnector
from connectors.quickbooks.stand_in import QuickBooksStandIn
from connectors.quickbooks.stand_in.rig import SETTINGS
from connectors.stand_in import InProcess
from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import Coding, InvoiceDraft, PrintedLine
from ledger.shown import differences
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push


class Company:
    """A connector and the company that it is connected with."""

    def __init__(self, **more: str) -> None:
        self.site = QuickBooksStandIn()
        self.connector = QuickBooksConnector({**SETTINGS, **more}, InProcess(self.site))

    def push(self, draft: InvoiceDraft) -> str:
        return push(self.connector, draft)

    def made(self) -> dict[str, Any]:
        return self.site.book.every("Estimate")[-1]

    def codes(self) -> list[str | None]:
        """Return the names of the tax codes on the lines."""
        book = self.site.book
        details = [one.get("SalesItemLineDetail", {}) for one in self.made()["Line"][:-1]]
        ids = [one.get("TaxCodeRef", {}).get("value") for one in details]
        return [book.get("TaxCode", one)["Name"] if one else None for one in ids]


def taxed(tax: str, price: str = "100.00", **coding: Any) -> PrintedLine:
    return replace(line("1", price, "EUR"), tax=tax, coding=Coding(**coding))


def test_a_tax_code_is_found_by_the_name_of_our_tax_with_or_without_its_rate() -> None:
    company = Company()
    company.push(draft_of(taxed("A 19 %"), taxed("DE19 19 %"), taxed("RC reverse charge")))
    assert company.codes() == ["A 19 %", "DE19", "RC"]
    assert (company.made()["TxnTaxDetail"]["TotalTax"], company.made()["TotalAmt"]) == (38, 338)


def test_a_tax_code_that_the_rules_name_is_taken() -> None:
    company = Company()
    company.push(draft_of(taxed("VAT 19 %", tax_code="1"), taxed("V2 19 %", tax_code="DE19")))
    assert company.codes() == ["A 19 %", "DE19"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([taxed("VAT 19 %")], "VAT 19 % and VAT"),
        ([taxed("DE19 20 %")], "takes 19 % there, and DE19 20 % is ours"),
        ([taxed("A 19 %", tax_code="9")], "takes 7 %"),
        ([taxed("A 19 %", tax_code="1"), taxed("A 19 %", tax_code="13")], "1 and 13"),
    ],
)
def test_no_tax_code_is_guessed(lines: list[PrintedLine], told: str) -> None:
    company = Company()
    with pytest.raises(RejectedError, match=told):
        company.push(draft_of(*lines))
    assert company.site.book.every("Estimate") == []


def test_a_tax_code_that_is_switched_off_is_not_taken() -> None:
    company = Company()
    company.site.book.get("TaxCode", "13")["Active"] = False
    with pytest.raises(RejectedError, match="DE19"):
        company.push(draft_of(taxed("DE19 19 %")))


def test_of_a_price_with_tax_in_it_the_net_is_sent_with_the_arithmetic() -> None:
    company = Company()
    draft = draft_of(
        replace(line("3", "11.90", "EUR"), tax="A 19 % included"), taxed("A 19 %", "0.05")
    )
    remote_id = company.push(draft)
    first, second, _ = company.made()["Line"]
    assert first["Description"] == "Engineering (3.00 x 11.90 EUR with tax)"
    assert (first["Amount"], second["Amount"]) == (Decimal("30.00"), Decimal("0.05"))
    # Both are of one rate there, whose tax is the sum of ours.
    (told,) = company.made()["TxnTaxDetail"]["TaxLine"]
    assert (told["Amount"], told["TaxLineDetail"]["NetAmountTaxable"]) == (
        Decimal("5.71"),
        Decimal("30.05"),
    )
    assert_shows(company.connector, draft, company.connector.fetch_invoice(remote_id))


def test_taxes_come_and_go_when_a_draft_is_brought_up_to_date() -> None:
    company = Company()
    remote_id = company.push(DRAFT)
    with_tax = replace(DRAFT, lines=tuple(replace(each, tax="A 19 %") for each in DRAFT.lines))
    for draft in (with_tax, DRAFT):
        updated = company.connector.update_draft(
            draft, remote_id, idempotency_key=f"key-{draft.total.minor}"
        )
        assert updated.amounts.total == draft.total.minor
        assert_shows(company.connector, draft, updated)


def test_a_tax_that_quickbooks_adds_by_itself_does_not_go_by_unnoticed() -> None:
    company = Company(tax_code="1")
    there = company.connector.fetch_invoice(company.push(DRAFT))
    assert there.shown is not None
    (told,) = differences(company.connector.shown(DRAFT), there.shown)
    assert told == "the total is 253.86 EUR where we sent 213.33 EUR"


def test_a_tax_with_more_decimals_than_are_kept_is_refused() -> None:
    draft = draft_of(replace(line("1", "0.100", "KWD"), tax="A 5 %"), currency="KWD")
    with pytest.raises(UnsupportedError, match="KWD"):
        Company().push(draft)
