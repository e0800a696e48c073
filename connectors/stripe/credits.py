"""Credit notes at Stripe: custom lines, our taxes; what was paid stays with the customer.

Called by the connector. https://docs.stripe.com/api/credit_notes/create
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import stripe
from stripe.params import (
    CreditNoteCreateParams,
    CreditNoteCreateParamsLine,
    CreditNoteCreateParamsLineTaxAmount,
)

from connectors.connector import RemoteCredit
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import Money, printed
from ledger.taxes import Tax, line_taxes, tax_of

from .currencies import from_stripe, step, to_stripe
from .parameters import DESCRIPTION, header_metadata
from .reading import metadata

CREDITABLE = ("open", "paid")
"""The states of invoices that Stripe takes a credit note for."""
Rates = Mapping[str, stripe.TaxRate]
"""The tax rates on an invoice, by their ids: Stripe has made them from what we sent."""


def rate_ids(lines: list[stripe.InvoiceLineItem]) -> list[str]:
    """Return the ids of the tax rates on some lines of an invoice."""
    details = [tax.tax_rate_details for line in lines for tax in line.taxes or ()]
    return sorted({each.tax_rate for each in details if each})


def content(draft: InvoiceDraft, invoice: stripe.Invoice, rates: Rates) -> CreditNoteCreateParams:
    """Return the parameters of a credit note.

    Raise RejectedError for an invoice that cannot be credited, UnsupportedError for amounts that
    Stripe cannot express.
    """
    if invoice.status not in CREDITABLE:
        raise RejectedError(
            f"stripe: {draft.reference}: {invoice.id} is {invoice.status}, and only open and paid "
            "invoices are credited - look at it in Stripe"
        )
    credited = _credited(draft)
    taxes = _taxes(draft, credited)
    created: CreditNoteCreateParams = {
        "invoice": invoice.id,
        "lines": [
            _line(draft, text, tax_key, amount, tax, rates)
            for (text, tax_key, amount), tax in zip(credited, taxes, strict=True)
        ],
        # Nothing is sent to anybody unless somebody says so.
        "email_type": "none",
        "metadata": header_metadata(draft),
    }
    # What was paid already goes to the customer's balance, never back to its bank.
    paid = to_stripe(-draft.total.minor, draft.currency) - invoice.amount_remaining
    if paid > 0:
        created["credit_amount"] = paid
    return created


def _credited(draft: InvoiceDraft) -> list[tuple[str, str, int]]:
    """Return text, tax and amount of each line, above zero.

    Stripe takes no line that credits less than nothing: where something is billed instead of what
    is taken back, the lines of that tax are one.
    """
    found = []
    for tax in sorted({line.tax for line in draft.lines}):
        lines = [line for line in draft.lines if line.tax == tax and line.amount]
        together = -sum(line.amount for line in lines)
        if together < 0:
            of = Money(-together, draft.currency)
            raise UnsupportedError(
                f"stripe: {draft.reference}: {of} more is billed with one of its taxes, and a "
                "credit note only credits - write corrections: next invoice"
            )
        if all(line.amount < 0 for line in lines):
            found += [(_text(draft, line), tax, -line.amount) for line in lines]
        elif together:
            text = "; ".join(_text(draft, line) for line in lines)
            most = DESCRIPTION - 1
            found.append((text if len(text) <= most else f"{text[:most]}…", tax, together))
    return found


def _text(draft: InvoiceDraft, line: PrintedLine) -> str:
    # A quantity here is a whole number, so ours stands in the text.
    price = f"{printed(line.quantity)} x {line.unit_price:f} {draft.currency}"
    return f"{line.description} ({price})"


def _taxes(draft: InvoiceDraft, credited: list[tuple[str, str, int]]) -> list[int]:
    try:
        lines = [(tax, amount) for _, tax, amount in credited]
        return line_taxes(lines, step(draft.currency))
    except ValueError:
        raise UnsupportedError(
            f"stripe: {draft.reference}: its taxes have more decimals than Stripe takes for "
            f"{draft.currency} - credit it there by hand"
        ) from None


def _line(
    draft: InvoiceDraft, text: str, tax_key: str, amount: int, tax: int, rates: Rates
) -> CreditNoteCreateParamsLine:
    line: CreditNoteCreateParamsLine = {
        "type": "custom_line_item",
        "description": text,
        "quantity": 1,
        "unit_amount": to_stripe(amount, draft.currency),
    }
    if tax_key:
        of = tax_of(tax_key)
        taxed: CreditNoteCreateParamsLineTaxAmount = {
            "amount": to_stripe(tax, draft.currency),
            "taxable_amount": to_stripe(amount - tax if of.is_included else amount, draft.currency),
            "tax_rate": _rate(draft, of, rates),
        }
        line["tax_amounts"] = [taxed]
    return line


def _rate(draft: InvoiceDraft, tax: Tax, rates: Rates) -> str:
    """Return the id of the rate that the invoice was billed with."""
    for rate_id, rate in rates.items():
        is_it = rate.description == tax.code and rate.inclusive == tax.is_included
        # The package says it as a binary number; its shortest spelling is the decimal.
        if is_it and Decimal(str(rate.percentage)) == tax.rate:
            return rate_id
    raise UnsupportedError(
        f"stripe: {draft.reference}: {draft.credits} has no line with the tax {tax.code} of "
        f"{tax.rate.normalize():f} % there - credit it there by hand"
    )


def remote_credit(note: stripe.CreditNote, reference_key: str) -> RemoteCredit:
    """Return a credit note as the ledger sees it."""
    currency = note.currency.upper()
    mode = "" if note.livemode else "test/"
    return RemoteCredit(
        remote_id=note.id,
        reference=metadata(note).get(reference_key),
        total=Money(from_stripe(note.total, currency), currency),
        number=note.number,
        url=f"https://dashboard.stripe.com/{mode}credit_notes/{note.id}",
    )


def only_one(found: list[stripe.CreditNote], reference: str) -> stripe.CreditNote | None:
    """Return the one that was found; raise PermanentError if there are several."""
    if len(found) > 1:
        raise PermanentError(
            f"stripe: {' and '.join(one.id for one in found)} both have reference "
            f'"{reference}" - void one of them'
        )
    return found[0] if found else None
