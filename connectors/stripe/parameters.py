"""An invoice draft as the parameters of Stripe's requests, checked against Stripe's limits.

Pure translation, called by the connector before anything is sent: what does not fit is
refused here, named and uncut.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from stripe.params import (
    InvoiceAddLinesParamsLine,
    InvoiceAddLinesParamsLinePriceData,
    InvoiceCreateParams,
    InvoiceUpdateParams,
)

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import printed

from .currencies import to_stripe, unit_amount

MOST_LINES: Final = 250
"""Per invoice, not per call: https://docs.stripe.com/api/invoices/add_lines."""
MOST_PLACES: Final = 12
"""Decimal places of `quantity_decimal` and `unit_amount_decimal`."""

MEMO, FOOTER, DESCRIPTION, FIELD_VALUE = 1500, 5000, 5000, 140
METADATA_KEYS, METADATA_KEY, METADATA_VALUE = 50, 40, 500

CUSTOMER: Final = "billhook_customer"
REFERENCE: Final = "billhook_reference"
CONTENT: Final = "billhook_content"
COMPLETE: Final = "billhook_lines"
"""Metadata keys. `billhook_lines` is written by the very call that adds the lines, so that a
look-up can tell a finished draft from one whose second call was never carried out."""


def check(draft: InvoiceDraft) -> None:
    """Raise RejectedError or UnsupportedError, naming the field, unless Stripe can take this."""
    if not draft.lines:
        raise RejectedError(f"stripe: {draft.reference} has no lines - there is nothing to bill")
    if len(draft.lines) > MOST_LINES:
        raise UnsupportedError(
            f"stripe: {draft.reference} has {len(draft.lines)} lines and Stripe takes {MOST_LINES} "
            "- group lines with `one_line_per` or invoice more often"
        )
    if draft.days_until_due is None:
        raise RejectedError(
            f"stripe: {draft.reference} has no payment terms - set `terms:` in the rule file"
        )
    _fits(draft, "memo", draft.memo, MEMO)
    _fits(draft, "footer", draft.footer, FOOTER)
    _fits(draft, "purchase order", draft.purchase_order, FIELD_VALUE)
    metadata = header_metadata(draft) | {COMPLETE: ""}
    if len(metadata) > METADATA_KEYS:
        raise RejectedError(
            f"stripe: {draft.reference}: {len(metadata)} metadata keys are more than "
            f"{METADATA_KEYS} - drop some"
        )
    for key, value in metadata.items():
        if set("[]") & set(key):
            raise RejectedError(
                f'stripe: {draft.reference}: metadata key "{key}" has square brackets - rename it'
            )
        _fits(draft, "a metadata key", key, METADATA_KEY)
        _fits(draft, f'metadata "{key}"', value, METADATA_VALUE)


def invoice(draft: InvoiceDraft, remote_customer: str) -> InvoiceCreateParams:
    """Return the parameters that create the invoice, without its lines."""
    created: InvoiceCreateParams = {
        "customer": remote_customer,
        "currency": draft.currency.lower(),
        "pending_invoice_items_behavior": "exclude",
        "collection_method": "send_invoice",
        "auto_advance": False,
        "metadata": header_metadata(draft),
    }
    # An empty text would be refused as an attempt to unset what was never set.
    if draft.days_until_due is not None:
        created["days_until_due"] = draft.days_until_due
    if draft.memo:
        created["description"] = draft.memo
    if draft.footer:
        created["footer"] = draft.footer
    if draft.purchase_order:
        created["custom_fields"] = [{"name": "PO", "value": draft.purchase_order}]
    return created


def invoice_update(draft: InvoiceDraft) -> InvoiceUpdateParams:
    """Return the parameters that bring an invoice up to this draft; "" unsets a field."""
    changed: InvoiceUpdateParams = {
        "description": draft.memo or "",
        "footer": draft.footer or "",
        "custom_fields": "",
        "metadata": header_metadata(draft),
    }
    if draft.days_until_due is not None:
        changed["days_until_due"] = draft.days_until_due
    if draft.purchase_order:
        changed["custom_fields"] = [{"name": "PO", "value": draft.purchase_order}]
    return changed


def header_metadata(draft: InvoiceDraft) -> dict[str, str]:
    """Return the metadata that is written when the invoice is created."""
    return {
        **draft.metadata,
        REFERENCE: draft.reference,
        CUSTOMER: draft.customer.key,
        CONTENT: draft.content_hash(),
    }


def lines(draft: InvoiceDraft, product: str | None) -> list[InvoiceAddLinesParamsLine]:
    """Return the draft's lines as parameters.

    Raise UnsupportedError for an amount that Stripe cannot express.
    """
    return [_line(draft, number, line, product) for number, line in enumerate(draft.lines, 1)]


def _line(
    draft: InvoiceDraft, number: int, line: PrintedLine, product: str | None
) -> InvoiceAddLinesParamsLine:
    amount = to_stripe(line.amount, draft.currency)
    price = unit_amount(line.unit_price, draft.currency)
    if _stripe_would_bill(line.quantity, price) == amount:
        text = line.description
        priced: InvoiceAddLinesParamsLinePriceData = {
            "currency": draft.currency.lower(),
            "unit_amount_decimal": _Plain(price),
        }
        if product:
            priced["product"] = product
        else:
            priced["product_data"] = {"name": text}
        parameters: InvoiceAddLinesParamsLine = {
            "quantity_decimal": _Plain(line.quantity),
            "price_data": priced,
        }
    else:
        # Stripe takes no negative quantity or price and no more than twelve decimals:
        # the amount is sent as it stands and the arithmetic goes into the text.
        rate = f"{printed(line.quantity)} x {line.unit_price:f} {draft.currency}"
        text = f"{line.description} ({rate})"
        parameters = {"amount": amount}
    _fits(draft, f"the description of line {number}", text, DESCRIPTION)
    return {"description": text, **parameters}


def _stripe_would_bill(quantity: Decimal, price: Decimal) -> int | None:
    """Return what Stripe makes of quantity x price, half up; None if it takes only an amount."""
    if quantity < 0 or price < 0 or max(_places(quantity), _places(price)) > MOST_PLACES:
        return None
    # Fractions, because a product of two long decimals may not fit a decimal context.
    product = Fraction(quantity) * Fraction(price)
    return (2 * product.numerator + product.denominator) // (2 * product.denominator)


class _Plain(Decimal):
    """A decimal that the package writes in plain digits: never 1E-7, which Stripe refuses."""

    def __str__(self) -> str:
        text = f"{self:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def _places(value: Decimal) -> int:
    return len(str(_Plain(value)).partition(".")[2])


def _fits(draft: InvoiceDraft, what: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise RejectedError(
            f"stripe: {draft.reference}: {what} has {len(text)} characters and Stripe takes {most} "
            "- shorten it"
        )
