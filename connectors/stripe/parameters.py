"""An invoice draft as the parameters of Stripe's requests, checked against Stripe's limits.

Pure translation, called by the connector before anything is sent: what does not fit is
refused here, named and uncut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, cast

from stripe import Customer
from stripe.params import (
    CustomerCreateParams,
    CustomerCreateParamsAddress,
    CustomerUpdateParams,
    InvoiceAddLinesParamsLine,
    InvoiceAddLinesParamsLinePriceData,
    InvoiceAddLinesParamsLineTaxAmount,
    InvoiceCreateParams,
    InvoiceCreateParamsCustomField,
    InvoiceUpdateParams,
)

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import USUAL_LANGUAGE, BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money, places_of, printed
from ledger.shown import Shown, ShownLine
from ledger.taxes import TaxTotal, line_taxes

from .currencies import step, to_stripe, unit_amount

MOST_LINES: Final = 250
"""Per invoice, not per call: https://docs.stripe.com/api/invoices/add_lines."""
MOST_PLACES: Final = 12
"""Decimal places of `quantity_decimal` and `unit_amount_decimal`."""

MEMO, FOOTER, DESCRIPTION, FIELD_VALUE, TAX_NAME = 1500, 5000, 5000, 140, 50
METADATA_KEYS, METADATA_KEY, METADATA_VALUE = 50, 40, 500

CUSTOMER: Final = "billhook_customer"
REFERENCE: Final = "billhook_reference"
CONTENT: Final = "billhook_content"
COMPLETE: Final = "billhook_lines"
"""Metadata keys. `billhook_lines` is written by the very call that adds the lines, so that a
look-up can tell a finished draft from one whose second call was never carried out."""


PAYMENT_METHODS: Final = {
    "card": "card",
    "paypal": "paypal",
    "sepa direct debit": "sepa_debit",
}
"""Our admin's words for ways to pay that Stripe offers without any further agreement with it."""
REASONS: Final = {"reverse charge": "reverse_charge", "exempt": "product_exempt"}
"""Stripe's words for why no tax is taken."""


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
    _fits(draft, "footer", footer(draft), FOOTER)
    _fits(draft, "purchase order", draft.purchase_order, FIELD_VALUE)
    for field in custom_fields(draft):
        _fits(draft, f'the field "{field["name"]}"', field["value"], FIELD_VALUE)
    for total in draft.taxes:
        _fits(draft, f"the name of tax {total.tax.code}", total.words.name, TAX_NAME)
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
    if text := footer(draft):
        created["footer"] = text
    if fields := custom_fields(draft):
        created["custom_fields"] = fields
    if methods := payment_methods(draft):
        created["payment_settings"] = {"payment_method_types": [*methods]}
    return created


def invoice_update(draft: InvoiceDraft) -> InvoiceUpdateParams:
    """Return the parameters that bring an invoice up to this draft; "" unsets a field."""
    changed: InvoiceUpdateParams = {
        "description": draft.memo or "",
        "footer": footer(draft),
        "custom_fields": [*custom_fields(draft)] or "",
        "payment_settings": {"payment_method_types": [*payment_methods(draft)] or ""},
        # Its lines are not those of this draft until the last call says so.
        "metadata": {**header_metadata(draft), COMPLETE: ""},
    }
    if draft.days_until_due is not None:
        changed["days_until_due"] = draft.days_until_due
    return changed


def custom_fields(draft: InvoiceDraft) -> list[InvoiceCreateParamsCustomField]:
    """Return the fields in the head of the invoice: four, the most that Stripe takes."""
    fields = {
        "PO": draft.purchase_order,
        "Contract": draft.particulars.contract,
        "Your tax ID": draft.customer.tax_id,
        "Attention": draft.customer.contact,
    }
    return [{"name": name, "value": value} for name, value in fields.items() if value]


def footer(draft: InvoiceDraft) -> str:
    """Return all that has to stand on the invoice and has no field of its own there."""
    methods = draft.particulars.payment_methods
    texts = [
        draft.footer,
        *(total.words.text for total in draft.taxes),
        f"{', '.join(methods)}." if len(payment_methods(draft)) < len(methods) else None,
        draft.particulars.early_payment,
        draft.particulars.late_payment,
    ]
    return "\n\n".join(text for text in texts if text)


def payment_methods(draft: InvoiceDraft) -> list[str]:
    """Return those of the agreed ways to pay that Stripe can offer, in its own words."""
    agreed = (method.casefold() for method in draft.particulars.payment_methods)
    return [PAYMENT_METHODS[method] for method in agreed if method in PAYMENT_METHODS]


def customer(of: BilledCustomer) -> CustomerCreateParams:
    """Return the parameters that create a customer."""
    created: CustomerCreateParams = {
        "name": of.legal_name or of.name,
        "metadata": {CUSTOMER: of.key},
    }
    if of.email:
        created["email"] = of.email
    if of.address:
        created["address"] = _address(of)
    if of.language != USUAL_LANGUAGE:
        created["preferred_locales"] = [of.language]
    return created


def customer_update(of: BilledCustomer, there: Customer) -> CustomerUpdateParams:
    """Return the parameters that bring a customer up to what our rules say; empty: nothing to do.

    What they do not say is left as it is: somebody may have written it there by hand.
    """
    changed: CustomerUpdateParams = {}
    if of.legal_name and there.name != of.legal_name:
        changed["name"] = of.legal_name
    if of.address:
        wanted = _address(of)
        known = dict(there.address.to_dict()) if there.address else {}
        if any(known.get(name) != value for name, value in wanted.items()):
            changed["address"] = wanted
    if of.language != USUAL_LANGUAGE and list(there.preferred_locales or ()) != [of.language]:
        changed["preferred_locales"] = [of.language]
    return changed


def _address(of: BilledCustomer) -> CustomerCreateParamsAddress:
    if of.address is None:
        return {}
    first, *others = of.address.lines
    # What is left out would stay as it was there.
    return {
        "line1": first,
        "line2": ", ".join(others),
        "postal_code": of.address.postal_code or "",
        "city": of.address.city,
        "country": of.address.country,
    }


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
    taxes = _taxes(draft)
    totals = {total.tax.key: total for total in draft.taxes}
    translated = []
    for number, line in enumerate(draft.lines, 1):
        told = _line(draft, number, line, product)
        if line.tax:
            amount = taxes[number - 1]
            told["tax_amounts"] = [_tax_amount(line.amount, amount, totals[line.tax], draft)]
        translated.append(told)
    return translated


def shown(draft: InvoiceDraft) -> Shown:
    """Return how Stripe shows a draft."""
    told = [_line(draft, number, line, None) for number, line in enumerate(draft.lines, 1)]
    lines = tuple(
        # Where the amount was sent as it is, Stripe's own quantity and price say nothing.
        ShownLine(each["description"], line.amount, line.quantity, line.unit_price)
        if "price_data" in each
        else ShownLine(each["description"], line.amount)
        for each, line in zip(told, draft.lines, strict=True)
    )
    fields = {field["name"]: field["value"] for field in custom_fields(draft)}
    return Shown(draft.total, lines, header_of(draft.memo, footer(draft), fields))


def header_of(
    memo: str | None, footer_text: str | None, fields: Mapping[str, str]
) -> dict[str, str]:
    """Return what stands above and below the lines, by our words for it."""
    said = {"memo": memo, "footer": footer_text, **fields}
    return {name: value for name, value in said.items() if value}


def _taxes(draft: InvoiceDraft) -> Sequence[int]:
    """Return the tax on each line, so that they sum to ours; refuse what Stripe cannot express."""
    try:
        return line_taxes([(line.tax, line.amount) for line in draft.lines], step(draft.currency))
    except ValueError:
        taxes = ", ".join(f"{Money(total.amount, draft.currency)}" for total in draft.taxes)
        raise UnsupportedError(
            f"stripe: {draft.reference}: the taxes ({taxes}) have more decimals than Stripe takes "
            f"for {draft.currency} - send it elsewhere with send_to:"
        ) from None


def _tax_amount(
    amount: int, tax: int, total: TaxTotal, draft: InvoiceDraft
) -> InvoiceAddLinesParamsLineTaxAmount:
    taxable = amount - tax if total.tax.is_included else amount
    told: InvoiceAddLinesParamsLineTaxAmount = {
        "amount": to_stripe(tax, draft.currency),
        "taxable_amount": to_stripe(taxable, draft.currency),
        "tax_rate_data": {
            "display_name": total.words.name,
            "description": total.tax.code,
            "inclusive": total.tax.is_included,
            # The package calls it a binary number; a decimal is written into the request as it is.
            "percentage": cast(Any, _Plain(total.tax.rate)),
        },
    }
    if total.tax.why_none:
        told["taxability_reason"] = REASONS[total.tax.why_none]
    return told


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
    if quantity < 0 or price < 0 or max(places_of(quantity), places_of(price)) > MOST_PLACES:
        return None
    # Fractions, because a product of two long decimals may not fit a decimal context.
    product = Fraction(quantity) * Fraction(price)
    return (2 * product.numerator + product.denominator) // (2 * product.denominator)


class _Plain(Decimal):
    """A decimal that the package writes in plain digits: never 1E-7, which Stripe refuses."""

    def __str__(self) -> str:
        text = f"{self:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def _fits(draft: InvoiceDraft, what: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise RejectedError(
            f"stripe: {draft.reference}: {what} has {len(text)} characters and Stripe takes {most} "
            "- shorten it"
        )
