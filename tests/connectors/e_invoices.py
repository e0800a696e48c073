"""Drafts for the tests of e-invoices, and what stands in the XML and the PDF made of them."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from typing import Any

import pypdf
from lxml import etree

from connectors.einvoice import pdf
from connectors.einvoice.connector import EInvoiceConnector
from connectors.einvoice.seller import seller_of
from connectors.einvoice.stand_in import SETTINGS
from connectors.einvoice.terms import Terms
from connectors.einvoice.validation import as_xml
from connectors.http import Request, Response
from ledger.invoices import Address, BilledCustomer, InvoiceDraft, Particulars, PrintedLine
from ledger.money import line_amount
from ledger.taxes import TaxWords

REVERSE = "Reverse charge: the customer owes the tax."
DAY = date(2026, 4, 1)


class NoHttp:
    def send(self, request: Request) -> Response:
        raise AssertionError(f"{request.url} was asked")


def line(
    quantity: str, price: str, tax: str = "DE19 19 %", text: str = "Work", currency: str = "EUR"
) -> PrintedLine:
    amount = line_amount(Decimal(quantity), Decimal(price), currency).minor
    return PrintedLine(text, Decimal(quantity), Decimal(price), amount, tax=tax)


def draft_of(*lines: PrintedLine, **more: Any) -> InvoiceDraft:
    content: dict[str, Any] = {
        "reference": "acme-2026-03",
        "customer": BilledCustomer(
            *("acme", "Acme", "ap@acme.example"),
            legal_name="Acme GmbH",
            address=Address(("Ring 1", "Top 4"), "Wien", "AT", "1010"),
            tax_id="ATU12345678",
            contact="Jane Doe",
        ),
        "currency": "EUR",
        "lines": lines,
        "period_from": date(2026, 3, 1),
        "period_to": date(2026, 3, 31),
        "days_until_due": 30,
        "purchase_order": "PO-4471",
        "memo": "Work in March",
        "tax_words": {
            "RC": TaxWords("VAT", REVERSE),
            "EX": TaxWords("VAT", "Exempt: training."),
            "DE19": TaxWords("VAT", "Austrian work at the German rate."),
        },
        "particulars": Particulars(contract="MSA 2026-01", late_payment="Nine points of interest."),
    }
    return InvoiceDraft(**{**content, **more})


DRAFT = draft_of(
    line("1.5", "120.00"), line("-0.5", "120.00"), line("1", "80.00", "RC reverse charge")
)


def terms_of(draft: InvoiceDraft, **settings: str) -> Terms:
    return Terms(draft, seller_of({**SETTINGS, **settings}), issued_on=DAY, tax_code="Z")


def xml_of(draft: InvoiceDraft, form: str, **settings: str) -> bytes:
    terms = terms_of(draft, **settings)
    return as_xml(terms.as_dict(pdf.payment_words(terms)), form)


def value(xml: bytes, *names: str) -> list[str]:
    """Return the texts of elements by their path of local names, in order."""
    path = "//" + "/".join(f"*[local-name()='{name}']" for name in names)
    found = etree.fromstring(xml).xpath(path)
    return [each.text for each in found]


def text_of(content: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    text = "\n".join(page.extract_text() for page in pages)
    return " ".join(text.replace("\u200b", "").replace("\u202f", " ").split())


def push(connector: EInvoiceConnector, draft: InvoiceDraft = DRAFT) -> None:
    connector.create_draft(draft, remote_customer="acme", idempotency_key="key")


def issue(connector: EInvoiceConnector, draft: InvoiceDraft = DRAFT) -> None:
    push(connector, draft)
    connector.finalize(draft.reference, send=False, idempotency_key="key")
