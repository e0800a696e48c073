"""What billing connectors promise that take credit notes, tried against their own stand-ins."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.connector import BillingConnector
from connectors.contract import ContractRig
from connectors.registry import billing_connectors
from ledger.errors import OutcomeUnknownError, RejectedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import Money
from ledger.payments import payment_of
from ledger.taxes import TaxWords
from tests.contracts.billing import DRAFT, OVER_HTTP, draft_of, line, push, setup_of
from tests.contracts.spoiled_http import NoHttp, SpoiledHttp

ABLE = sorted(key for key, each in billing_connectors().items() if each.abilities.credit)
NOTE = "acme-1-credit"
WORDS = {"DE19": TaxWords("VAT"), "DE7": TaxWords("VAT"), "G19": TaxWords("VAT")}


@pytest.fixture(params=ABLE)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> ContractRig:
    return setup_of(request.param)(tmp_path)


def note_of(*lines: PrintedLine, currency: str = "EUR") -> InvoiceDraft:
    draft = draft_of(*lines, currency=currency, reference=NOTE)
    return replace(draft, credits="acme-1", tax_words=WORDS)


def final(rig: ContractRig, connector: BillingConnector, draft: InvoiceDraft) -> str:
    """Push an invoice and make it final; return its remote id."""
    remote_id = push(connector, draft)
    rig.happenings["finalize"](remote_id, draft.total.minor)
    return remote_id


def taxed(of: PrintedLine, tax: str) -> PrintedLine:
    return replace(of, tax=tax)


@pytest.mark.parametrize(
    ("currency", "quantity", "price"),
    [("EUR", "-0.3333", "100.00"), ("JPY", "-1", "1500"), ("KWD", "-1", "1.230")],
)
def test_a_credit_arrives_to_the_last_minor_unit_and_is_found_again(
    rig: ContractRig, currency: str, quantity: str, price: str
) -> None:
    connector = rig.connect(rig.http or NoHttp())
    billed = line("2", price, currency)
    invoice = final(rig, connector, draft_of(billed, currency=currency))
    assert connector.find_credit(NOTE, invoice) is None
    note = note_of(line(quantity, price, currency), currency=currency)
    issued = connector.credit(note, invoice, idempotency_key="key-1")
    assert (issued.reference, issued.total) == (NOTE, -note.total)
    assert connector.credit(note, invoice, idempotency_key="key-1") == issued
    assert connector.find_credit(NOTE, invoice) == issued
    assert connector.find_credit(f"{NOTE}-2", invoice) is None
    amounts = connector.fetch_invoice(invoice).amounts
    assert (amounts.credited, amounts.total) == (-note.total.minor, billed.amount)


@pytest.mark.parametrize("tax", ["DE19 19 %", "G19 19 % included", "DE7 8.1 %"])
def test_a_credit_takes_back_its_tax(rig: ContractRig, tax: str) -> None:
    connector = rig.connect(rig.http or NoHttp())
    lines = (
        taxed(line("3", "33.33", "EUR"), tax),
        taxed(line("1", "0.05", "EUR", "Other"), "DE19 19 %"),
    )
    invoice = final(rig, connector, replace(draft_of(*lines), tax_words=WORDS))
    note = note_of(taxed(line("-1.5", "33.33", "EUR"), tax), taxed(line("-1", "0.05", "EUR"), tax))
    issued = connector.credit(note, invoice, idempotency_key="key-1")
    assert issued.total == -note.total
    assert connector.fetch_invoice(invoice).amounts.credited == -note.total.minor


def test_what_is_billed_instead_is_set_against_what_is_taken_back(rig: ContractRig) -> None:
    connector = rig.connect(rig.http or NoHttp())
    invoice = final(rig, connector, DRAFT)
    note = note_of(line("-1.5", "120.00", "EUR"), line("0.5", "120.00", "EUR"))
    assert connector.credit(note, invoice, idempotency_key="key-1").total == Money(12000, "EUR")


def test_of_what_was_paid_nothing_is_paid_out(rig: ContractRig) -> None:
    connector = rig.connect(rig.http or NoHttp())
    invoice = final(rig, connector, DRAFT)
    rig.happenings["pay"](invoice, DRAFT.total.minor)
    connector.credit(note_of(line("-1.5", "120.00", "EUR")), invoice, idempotency_key="key-1")
    amounts = connector.fetch_invoice(invoice).amounts
    assert (amounts.paid, amounts.refunded, amounts.credited) == (DRAFT.total.minor, 0, 18000)
    assert payment_of(amounts) in ("paid", "overpaid", "credited")


@pytest.mark.parametrize("key", sorted({*ABLE} & {*OVER_HTTP}))
@pytest.mark.parametrize("lost", ["lose_reply", "lose_request"])
def test_a_credit_whose_reply_was_lost_is_found_if_it_was_carried_out(
    key: str, lost: str, tmp_path: Path
) -> None:
    rig = setup_of(key)(tmp_path)
    assert rig.http is not None
    invoice = final(rig, rig.connect(rig.http), DRAFT)
    spoiled = SpoiledHttp(rig.http, rig.is_change)
    connector = rig.connect(spoiled)
    spoiled.at, spoiled.spoil = 1, getattr(spoiled, lost)
    note = note_of(line("-1", "120.00", "EUR"))
    with pytest.raises(OutcomeUnknownError):
        connector.credit(note, invoice, idempotency_key="key-1")
    found = connector.find_credit(NOTE, invoice)
    assert (found is None) == (lost == "lose_request")
    again = found or connector.credit(note, invoice, idempotency_key="key-1")
    assert again.total == Money(12000, "EUR")
    assert connector.fetch_invoice(invoice).amounts.credited == 12000


def test_a_draft_is_not_credited_at_stripe(tmp_path: Path) -> None:
    rig = setup_of("stripe")(tmp_path)
    connector = rig.connect(rig.http or NoHttp())
    invoice = push(connector, DRAFT)
    with pytest.raises(RejectedError, match="only open and paid invoices are credited"):
        connector.credit(note_of(line("-1", "120.00", "EUR")), invoice, idempotency_key="key-1")
    assert connector.find_credit(NOTE, invoice) is None


def test_a_price_with_many_decimals_is_credited_as_it_was_billed(rig: ContractRig) -> None:
    connector = rig.connect(rig.http or NoHttp())
    billed = PrintedLine("Usage", Decimal("1000"), Decimal("0.0235"), 2350)
    invoice = final(rig, connector, draft_of(billed))
    note = note_of(PrintedLine("Usage", Decimal("-333"), Decimal("0.0235"), -783))
    issued = connector.credit(note, invoice, idempotency_key="key-1")
    assert issued.total == Money(783, "EUR")
