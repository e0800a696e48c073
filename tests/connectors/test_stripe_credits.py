"""What a credit note says to Stripe: lines and taxes, nothing mailed, nothing paid out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.stripe.connector import StripeConnector
from connectors.stripe.stand_in import StripeStandIn
from ledger.errors import PermanentError, UnsupportedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.taxes import TaxWords
from tests.connectors.test_stripe import DRAFT, RecordedHttp, connected, line, push

WORDS = {"DE19": TaxWords("VAT"), "DE7": TaxWords("VAT")}


@pytest.fixture
def app() -> StripeStandIn:
    return StripeStandIn()


@pytest.fixture
def http(app: StripeStandIn) -> RecordedHttp:
    return RecordedHttp(app)


@pytest.fixture
def connector(http: RecordedHttp) -> StripeConnector:
    return connected(http)


def note_of(*lines: PrintedLine) -> InvoiceDraft:
    return replace(DRAFT, reference="acme-1-credit", credits="acme-1", lines=lines, tax_words=WORDS)


def taxed(of: PrintedLine, tax: str = "DE19 19 %") -> PrintedLine:
    return replace(of, tax=tax)


def issued(
    connector: StripeConnector,
    app: StripeStandIn,
    http: RecordedHttp,
    note: InvoiceDraft,
    *,
    paid: int | None = None,
) -> dict[str, Any]:
    """Push, finalize and perhaps pay an invoice, credit it; return what Stripe was told."""
    billed = tuple(taxed(each) for each in DRAFT.lines) if note.taxes else DRAFT.lines
    invoice = push(connector, replace(DRAFT, lines=billed, tax_words=WORDS))
    app.happen("finalize", invoice)
    if paid is not None:
        app.happen("pay", invoice, paid)
    connector.credit(note, invoice, idempotency_key="key")
    return http.form("/v1/credit_notes")


def test_nothing_is_mailed_and_what_is_due_is_lowered(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    told = issued(connector, app, http, note_of(line("-0.5", "120.00")))
    assert told["email_type"] == "none"
    assert not {"credit_amount", "refund_amount", "out_of_band_amount"} & set(told)
    assert told["metadata"]["billhook_reference"] == "acme-1-credit"
    assert told["lines"] == [
        {
            "type": "custom_line_item",
            "description": "Work (-0.50 x 120.00 EUR)",
            "quantity": "1",
            "unit_amount": "6000",
        }
    ]


@pytest.mark.parametrize(("paid", "balance"), [(18000, "12000"), (10000, "4000")])
def test_what_was_paid_goes_to_the_customers_balance(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp, paid: int, balance: str
) -> None:
    told = issued(connector, app, http, note_of(line("-1", "120.00")), paid=paid)
    assert told["credit_amount"] == balance
    assert "refund_amount" not in told
    assert app.book.table("refunds") == {}


def test_a_tax_is_credited_at_the_rate_of_the_invoice(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    told = issued(connector, app, http, note_of(taxed(line("-1", "120.00"))))
    (rate,) = app.book.table("tax_rates")
    assert told["lines"][0]["tax_amounts"] == [
        {"amount": "2280", "taxable_amount": "12000", "tax_rate": rate}
    ]


def test_a_tax_that_is_not_on_the_invoice_is_refused(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    note = note_of(taxed(line("-1", "120.00")), taxed(line("-1", "1.00"), "DE7 7 %"))
    with pytest.raises(UnsupportedError, match="has no line with the tax DE7 of 7 %"):
        issued(connector, app, http, note)


def test_more_billed_than_taken_back_with_one_tax_is_refused(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    note = note_of(line("-1", "120.00"), taxed(line("0.5", "120.00")))
    with pytest.raises(UnsupportedError, match="a credit note only credits"):
        issued(connector, app, http, note)


def test_where_lines_are_set_against_each_other_all_texts_stand_on_one(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    note = note_of(line("-1.5", "120.00"), line("0.5", "120.00", text="Less work"))
    told = issued(connector, app, http, note)
    (only,) = told["lines"]
    assert only["description"] == "Work (-1.50 x 120.00 EUR); Less work (0.50 x 120.00 EUR)"
    assert only["unit_amount"] == "12000"
    many = [line("-1", "0.01", text=f"A long text of some work {n}") for n in range(40)]
    long = note_of(*many, line("0.1", "0.10", text="More"))
    connector.credit(long, next(iter(app.book.table("invoices"))), idempotency_key="other")
    assert [note["total"] for note in app.book.table("credit_notes").values()] == [12000, 39]


def test_two_notes_with_one_reference_are_left_to_a_person(
    connector: StripeConnector, app: StripeStandIn, http: RecordedHttp
) -> None:
    note = note_of(line("-0.1", "120.00"))
    issued(connector, app, http, note)
    invoice = next(iter(app.book.table("invoices")))
    connector.credit(note, invoice, idempotency_key="another")
    with pytest.raises(PermanentError, match='both have reference "acme-1-credit"'):
        connector.find_credit("acme-1-credit", invoice)
