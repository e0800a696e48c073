"""Stripe's answers as our words: an invoice there as a `RemoteInvoice`, all amounts in ISO units.

Pure translation, called by the connector. A word of Stripe's that is not known becomes
"unknown", never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import stripe
from stripe.params import InvoiceAddLinesParamsLine

from connectors.connector import RemoteInvoice
from ledger.payments import Amounts
from ledger.shown import ShownLine

from .currencies import from_stripe, major_units
from .parameters import COMPLETE, REFERENCE, header_of

DOCUMENTS: Final = {
    "draft": "draft",
    "open": "open",
    # Paid is a matter of amounts; the paper itself stays an open invoice.
    "paid": "open",
    "uncollectible": "written_off",
    "void": "void",
}


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """What became of an invoice's payments; Stripe does not say it on the invoice itself.

    Amounts in Stripe's unit. https://docs.stripe.com/changelog/basil/2025-03-31
    """

    refunded: int = 0
    disputed: int = 0
    is_settling: bool = False


def metadata(invoice: stripe.Invoice | stripe.Customer | stripe.CreditNote) -> dict[str, str]:
    """Return the metadata as a plain dictionary, empty if there is none."""
    return dict(invoice.metadata.to_dict()) if invoice.metadata else {}


def remote_invoice(
    invoice: stripe.Invoice,
    *,
    asked_at: datetime,
    payments: PaymentFacts | None = None,
    lines: Sequence[stripe.InvoiceLineItem] | None = None,
) -> RemoteInvoice:
    """Return the invoice as the ledger sees it; `asked_at` is from before the request.

    `lines` are all its lines: the invoice itself shows the first ten.
    """
    facts = payments or PaymentFacts()
    written = metadata(invoice)
    return RemoteInvoice(
        remote_id=invoice.id,
        reference=written.get(REFERENCE),
        amounts=_amounts(invoice, facts, asked_at),
        lines=None if lines is None else tuple(shown_line(line) for line in lines),
        header=_header(invoice),
        content_hash=written.get(COMPLETE),
        is_complete=COMPLETE in written,
        number=invoice.number,
        url=_url(invoice),
    )


def same_taxes(ours: InvoiceAddLinesParamsLine, theirs: stripe.InvoiceLineItem) -> bool:
    """Return whether a line there has the taxes that we would send with it."""
    mine = [(tax["amount"], tax["taxable_amount"]) for tax in ours.get("tax_amounts") or ()]
    return mine == [(tax.amount, tax.taxable_amount) for tax in theirs.taxes or ()]


def shown_line(line: stripe.InvoiceLineItem) -> ShownLine:
    """Return a line as the ledger sees it."""
    currency = line.currency.upper()
    quantity = line.quantity_decimal if line.quantity_decimal is not None else line.quantity
    unit = line.pricing.unit_amount_decimal if line.pricing else None
    return ShownLine(
        description=line.description or "",
        amount=from_stripe(line.amount, currency),
        quantity=None if quantity is None else Decimal(quantity),
        unit_price=None if unit is None else major_units(Decimal(unit), currency),
    )


def _header(invoice: stripe.Invoice) -> dict[str, str]:
    fields = {field.name: field.value for field in invoice.custom_fields or ()}
    return header_of(invoice.description, invoice.footer, fields)


def _amounts(invoice: stripe.Invoice, facts: PaymentFacts, asked_at: datetime) -> Amounts:
    currency = invoice.currency.upper()

    def minor(amount: int) -> int:
        return from_stripe(amount, currency)

    due = invoice.due_date
    return Amounts(
        document=DOCUMENTS.get(invoice.status or "", "unknown"),
        currency=currency,
        total=minor(invoice.total),
        paid=minor(invoice.amount_paid),
        credited=minor(
            invoice.pre_payment_credit_notes_amount + invoice.post_payment_credit_notes_amount
        ),
        refunded=minor(facts.refunded),
        disputed=minor(facts.disputed),
        overpaid=minor(invoice.amount_overpaid),
        remaining=minor(invoice.amount_remaining),
        is_settling=facts.is_settling,
        due_on=datetime.fromtimestamp(due, UTC).date() if due else None,
        observed_at=asked_at,
    )


def _url(invoice: stripe.Invoice) -> str:
    mode = "" if invoice.livemode else "test/"
    return f"https://dashboard.stripe.com/{mode}invoices/{invoice.id}"
