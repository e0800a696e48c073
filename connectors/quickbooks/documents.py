"""A draft as the JSON of an estimate or of an invoice, checked against QuickBooks' limits.

Pure translation, called before anything is sent: what does not fit is refused here, by its name.
https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/invoice
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money, line_amount, places_of, printed
from ledger.shown import Shown, ShownLine

from .taxes import AMOUNT_PLACES, TaxCode, detail, nets

MOST_LINES: Final = 750
MOST_PLACES: Final = 5
"""Decimal places of a number: "15 digits in 10.5 format"."""
NUMBER, DESCRIPTION, NOTE, MEMO, FIELD, NAME = 21, 4000, 4000, 1000, 31, 500
"""The most characters of each text."""
_MARK: Final = re.compile(r"\[billhook ([^\]\n]+)\]")
_CUSTOMER_MARK: Final = re.compile(r"\[billhook customer ([^\]\n]+)\]")


@dataclass(frozen=True, slots=True)
class Books:
    """What settings and the company's preferences say about how its books are kept."""

    home_currency: str
    has_currencies: bool
    """Multicurrency is on."""
    takes_numbers: bool
    """Custom transaction numbers are on: else QuickBooks counts by itself."""
    tax_code: str | None
    field: tuple[str, str] | None = None
    """Id and name of the custom field that holds the purchase order."""


def check(draft: InvoiceDraft) -> None:
    """Raise RejectedError or UnsupportedError, naming what is wrong, unless it can be written."""
    if not draft.lines:
        raise RejectedError(
            f"quickbooks: {draft.reference} has no lines - there is nothing to bill"
        )
    _fits(draft, "memo", draft.memo, MEMO)
    _fits(draft, "purchase order", draft.purchase_order, FIELD)
    for position, (line, net) in enumerate(zip(draft.lines, nets(draft), strict=True), 1):
        if places_of(Money(line.amount, draft.currency).decimal()) > AMOUNT_PLACES:
            raise UnsupportedError(
                f"quickbooks: {draft.reference}: {Money(line.amount, draft.currency)} has more "
                f"than {AMOUNT_PLACES} decimal places, which QuickBooks does not keep - send it "
                "elsewhere with send_to:"
            )
        _fits(draft, f"the description of line {position}", _text(line, net, draft), DESCRIPTION)
        if line.coding.account:
            raise RejectedError(
                f"quickbooks: {draft.reference}: line {position} names an account, and QuickBooks "
                "books by the item - take account: out and write item:"
            )
        if unknown := {name for name, _ in line.coding.tracking} - {"Class"}:
            raise RejectedError(
                f"quickbooks: {draft.reference}: line {position} has tracking {sorted(unknown)}, "
                "and QuickBooks has Class - write tracking: {Class: ID}"
            )


def document(
    draft: InvoiceDraft,
    books: Books,
    items: Mapping[str | None, str],
    codes: Mapping[str, TaxCode],
    *,
    is_invoice: bool,
    on: date,
) -> dict[str, Any]:
    """Return all of a document that is ours.

    `items` are their ids by what a line calls them, `codes` the tax codes by the key of our tax.
    `on` is the day of the document, from which its due day counts.
    """
    tax_codes = [
        codes[line.tax].id if line.tax else line.coding.tax_code or books.tax_code
        for line in draft.lines
    ]
    taxed = any(tax_codes)
    lines = zip(draft.lines, nets(draft), tax_codes, strict=True)
    told: dict[str, Any] = {
        "Line": [
            _line(draft, line, net, items[line.coding.item], tax_code)
            for line, net, tax_code in lines
        ],
        # Outside of the US a document says how taxes are meant; in the US this is passed over.
        "GlobalTaxCalculation": "TaxExcluded" if taxed else "NotApplicable",
        "CustomerMemo": {"value": draft.memo or ""},
    }
    if draft.taxes:
        told["TxnTaxDetail"] = detail(draft, codes)
    if draft.customer.email:
        told["BillEmail"] = {"Address": draft.customer.email}
    if is_invoice and draft.days_until_due is not None:
        told["DueDate"] = due(draft, on).isoformat()
    if books.field:
        definition, name = books.field
        told["CustomField"] = [
            {
                "DefinitionId": definition,
                "Name": name,
                "Type": "StringType",
                "StringValue": draft.purchase_order or "",
            }
        ]
    return told


def created(draft: InvoiceDraft, books: Books, remote_customer: str, on: date) -> dict[str, Any]:
    """Return what is written once, when the document is created."""
    told: dict[str, Any] = {
        "CustomerRef": {"value": remote_customer},
        "TxnDate": on.isoformat(),
        "PrivateNote": f"[billhook {draft.reference}]",
        "EmailStatus": "NotSet",
    }
    if books.has_currencies:
        told["CurrencyRef"] = {"value": draft.currency}
    if books.takes_numbers and len(draft.reference) <= NUMBER:
        told["DocNumber"] = draft.reference
    return told


def due(draft: InvoiceDraft, on: date) -> date:
    """Return the day by which a document of this day is to be paid."""
    return on + timedelta(days=draft.days_until_due or 0)


def reference_in(note: object) -> str | None:
    """Return our reference in a private note; None if it is none of ours."""
    found = _MARK.search(note) if isinstance(note, str) else None
    return found[1] if found else None


def customer_in(notes: object) -> str | None:
    """Return our key of a customer, as we wrote it into its notes."""
    found = _CUSTOMER_MARK.search(notes) if isinstance(notes, str) else None
    return found[1] if found else None


def customer(of: BilledCustomer, books: Books, currency: str) -> dict[str, Any]:
    """Return a new customer."""
    name = of.legal_name or of.name
    if len(name) > NAME or set(":\t\n") & set(name):
        raise RejectedError(
            f"quickbooks: customer {of.key}: its name cannot be a display name there, which has no "
            f'":" and at most {NAME} characters - write books: {{customer: ID}} into its rule file'
        )
    told: dict[str, Any] = {
        "DisplayName": name,
        "CompanyName": name[:100],
        "Notes": f"[billhook customer {of.key}]",
    }
    if of.email:
        told["PrimaryEmailAddr"] = {"Address": of.email}
    if of.tax_id:
        told["PrimaryTaxIdentifier"] = of.tax_id
    if books.has_currencies:
        told["CurrencyRef"] = {"value": currency}
    if of.address:
        lines = {f"Line{at}": text for at, text in enumerate(of.address.lines[:5], 1)}
        told["BillAddr"] = {**lines, "City": of.address.city, "Country": of.address.country}
        if of.address.postal_code:
            told["BillAddr"]["PostalCode"] = of.address.postal_code
    return told


def shown(draft: InvoiceDraft, *, has_field: bool) -> Shown:
    """Return how QuickBooks shows a draft."""
    lines = (
        ShownLine(_text(line, net, draft), net, line.quantity, line.unit_price)
        if _is_priced(line, net, draft.currency)
        else ShownLine(_text(line, net, draft), net)
        for line, net in zip(draft.lines, nets(draft), strict=True)
    )
    purchase_order = draft.purchase_order if has_field else None
    return Shown(draft.total, tuple(lines), header_of(draft.memo, purchase_order))


def header_of(memo: str | None, purchase_order: str | None) -> dict[str, str]:
    """Return what stands above and below the lines."""
    said = {"memo": memo, "purchase_order": purchase_order}
    return {name: value for name, value in said.items() if value}


def _line(
    draft: InvoiceDraft, line: PrintedLine, net: int, item: str, tax_code: str | None
) -> dict[str, Any]:
    told: dict[str, Any] = {"ItemRef": {"value": item}}
    if _is_priced(line, net, draft.currency):
        told |= {"Qty": line.quantity, "UnitPrice": line.unit_price}
    if tax_code:
        told["TaxCodeRef"] = {"value": tax_code}
    for _, value in line.coding.tracking:
        told["ClassRef"] = {"value": value}
    return {
        "Description": _text(line, net, draft),
        "Amount": Money(net, draft.currency).decimal(),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": told,
    }


def _is_priced(line: PrintedLine, net: int, currency: str) -> bool:
    """Return whether QuickBooks makes the same of quantity x price as we send.

    It rounds to two places in every currency, and refuses another amount (fault 6070).
    """
    if max(places_of(line.quantity), places_of(line.unit_price)) > MOST_PLACES:
        return False
    # Any currency with two places rounds as QuickBooks does.
    theirs = line_amount(line.quantity, line.unit_price, "USD").decimal()
    return theirs == Money(net, currency).decimal()


def _text(line: PrintedLine, net: int, draft: InvoiceDraft) -> str:
    """Return the text of a line; where only its amount is sent, the arithmetic stands in it."""
    if _is_priced(line, net, draft.currency):
        return line.description
    gross = "" if net == line.amount else " with tax"
    rate = f"{printed(line.quantity)} x {_plain(line.unit_price)} {draft.currency}{gross}"
    return f"{line.description} ({rate})"


def _plain(number: Decimal) -> str:
    return f"{number:f}"


def _fits(draft: InvoiceDraft, what: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise RejectedError(
            f"quickbooks: {draft.reference}: {what} has {len(text)} characters and QuickBooks "
            f"takes {most} - shorten it"
        )
