"""What became of an invoice's payments: refunds, disputes and payments that are on their way.

Since 2025 an invoice does not name its charge any more and a charge not its invoice; the
invoice's payments stand between them: https://docs.stripe.com/api/invoice-payment. Asked by
the connector for every open, paid or written-off invoice.
"""

from __future__ import annotations

from typing import Any, Final

import stripe

from .reading import PaymentFacts
from .transport import Api

SETTLED_FOR_US: Final = frozenset({"won", "warning_closed", "prevented"})
"""Disputes that take no money; a lost one keeps counting, because the money is gone.
https://docs.stripe.com/api/disputes/object#dispute_object-status"""


def facts(api: Api, invoice: stripe.Invoice) -> PaymentFacts:
    """Return what was refunded and disputed of the invoice's payments: one call for each."""
    refunded = disputed = 0
    is_settling = False
    for part in _parts(api, invoice):
        paid, payment = part.amount_paid or 0, part.payment
        charge: stripe.Charge | None = None
        # Only the field that the type names is there; the others are missing, not null.
        if payment.type == "payment_record":
            record = _record(api, _id(payment.payment_record))
            refunded += min(record.amount_refunded.value, paid)
        elif payment.type == "charge":
            charge = _charge(api, _id(payment.charge))
        elif payment.type == "payment_intent":
            intent = _intent(api, _id(payment.payment_intent))
            is_settling = is_settling or intent.status == "processing"
            latest = intent.latest_charge
            charge = latest if isinstance(latest, stripe.Charge) else None
        if charge:
            # One payment may pay several invoices: no more than this invoice's part went back.
            refunded += min(charge.amount_refunded, paid)
            disputed += min(_disputed(api, charge), paid)
    return PaymentFacts(refunded, disputed, is_settling)


def invoices_paid_by(api: Api, payment: str) -> list[str]:
    """Return the ids of the invoices that a payment intent, a charge or a record pays."""
    if payment.startswith(("ch_", "py_")):
        intent = _charge(api, payment).payment_intent
        if not intent:
            return []
        payment = _id(intent)
    kind = "payment_intent" if payment.startswith("pi_") else "payment_record"
    by: Any = {"type": kind, kind: payment}

    def listed() -> list[str]:
        found = api.v1.invoice_payments.list(params={"payment": by, "limit": 100})
        return [_id(part.invoice) for part in found.auto_paging_iter()]

    return api.read(f"looking for the invoices of {payment}", listed)


def hint(event: stripe.Event) -> str:
    """Return what an event is about, in the words of `BillingConnector.invoices_for`."""
    about: dict[str, Any] = event.data.object.to_dict()
    if event.type.startswith("invoice."):
        return f"invoice:{about['id']}"
    if event.type.startswith(("invoice_payment.", "credit_note.")):
        return f"invoice:{about['invoice']}"
    # A refund or a dispute names its payment; a payment intent is one; a charge may have none.
    return f"payment:{about.get('payment_intent') or about.get('charge') or about['id']}"


def _parts(api: Api, invoice: stripe.Invoice) -> list[stripe.InvoicePayment]:
    first = invoice.payments
    if first is not None and not first.has_more:
        return [part for part in first.data if part.status != "canceled"]

    def listed() -> list[stripe.InvoicePayment]:
        found = api.v1.invoice_payments.list(params={"invoice": invoice.id, "limit": 100})
        return [part for part in found.auto_paging_iter() if part.status != "canceled"]

    return api.read(f"reading the payments of {invoice.id}", listed)


def _intent(api: Api, remote_id: str) -> stripe.PaymentIntent:
    return api.read(
        f"reading {remote_id}",
        lambda: api.v1.payment_intents.retrieve(remote_id, params={"expand": ["latest_charge"]}),
    )


def _charge(api: Api, remote_id: str) -> stripe.Charge:
    return api.read(f"reading {remote_id}", lambda: api.v1.charges.retrieve(remote_id))


def _record(api: Api, remote_id: str) -> stripe.PaymentRecord:
    return api.read(f"reading {remote_id}", lambda: api.v1.payment_records.retrieve(remote_id))


def _disputed(api: Api, charge: stripe.Charge) -> int:
    if not charge.disputed:
        return 0

    def listed() -> int:
        found = api.v1.disputes.list(params={"charge": charge.id, "limit": 100})
        every = list(found.auto_paging_iter())
        return sum(one.amount for one in every if one.status not in SETTLED_FOR_US)

    return api.read(f"reading the disputes of {charge.id}", listed)


def _id(field: Any) -> str:
    """Return the id of a field that may or may not have been expanded."""
    return field if isinstance(field, str) else str(field.id)
