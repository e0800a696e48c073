"""Stripe as a source of hints that an invoice changed there.

What a body says about money is not used: Stripe sends without order, so the invoice is
fetched afterwards. https://docs.stripe.com/webhooks#event-ordering
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Reading

from ..payload import Payload, moment_of
from ..signatures import Signature, StripeSignature
from ..source import Reader, SignedExample, Source

ABOUT_INVOICES: Final = (
    "invoice.",
    "invoice_payment.",
    "credit_note.",
    "refund.",
    "charge.refund",
    "charge.dispute.",
)
"""How the types begin that may be about an invoice; one that is not read below is unsupported."""


def _of_itself(payload: Payload, delivery: Delivery) -> Reading:
    invoice = payload["data"]["object"]
    return _hint(payload, delivery, f"invoice:{invoice.identifier('id')}")


def _of_its_invoice(payload: Payload, delivery: Delivery) -> Reading:
    changed = payload["data"]["object"]
    return _hint(payload, delivery, f"invoice:{_reference(changed, 'invoice')}")


def _of_its_payment(payload: Payload, delivery: Delivery) -> Reading:
    # Since API version 2025-03-31 charges no longer name their invoice, only the payment does.
    changed = payload["data"]["object"]
    if changed.has("invoice"):
        return _hint(payload, delivery, f"invoice:{_reference(changed, 'invoice')}")
    if changed.has("payment_intent"):
        return _hint(payload, delivery, f"payment:{_reference(changed, 'payment_intent')}")
    return Reading(ignored="it is about no payment intent, so it can be about no invoice")


def _reference(holder: Payload, name: str) -> str:
    """Return a referred id; an expanded reference is the object itself."""
    if isinstance(holder.raw(name), dict):
        return holder[name].identifier("id")
    return holder.identifier(name)


def _hint(payload: Payload, delivery: Delivery, subject: str) -> Reading:
    version = payload.unix_seconds("created") * 1000
    happened = moment_of(version)
    event = Event(
        kind="invoice.changed",
        source="stripe",
        endpoint=delivery.endpoint,
        subject=subject,
        version=version,
        occurred_at=happened,
        on=happened.date(),
    )
    return Reading(events=(event,))


class StripeSource(Source):
    """Stripe's event destinations, for what happens to invoices after they were pushed."""

    key = "stripe"
    name = "Stripe"
    docs_url = "https://docs.stripe.com/webhooks"
    signature: ClassVar[Signature | None] = StripeSignature()
    # Stripe publishes no signed delivery; this one was made by its own library's
    # `WebhookSignature.generate_signature_header`, which a test repeats.
    signed_example = SignedExample(
        secret="whsec_test_secret",  # noqa: S106 - the example secret of Stripe's own tests
        headers={
            "stripe-signature": "t=1790000000,v1="
            "765d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55a3"
        },
        body=b'{"id":"evt_1","object":"event"}',
        verify_at=datetime.fromtimestamp(1790000000, UTC),
        origin="https://github.com/stripe/stripe-python, stripe/_webhook.py, release 16.1.0",
    )
    kinds = ("invoice.changed",)
    replay = "the signed timestamp, 300 s"
    proven = "documented bodies, the stripe package, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "invoice.created": _of_itself,
        "invoice.updated": _of_itself,
        "invoice.deleted": _of_itself,
        "invoice.finalized": _of_itself,
        "invoice.finalization_failed": _of_itself,
        "invoice.sent": _of_itself,
        "invoice.paid": _of_itself,
        "invoice.payment_succeeded": _of_itself,
        "invoice.payment_failed": _of_itself,
        "invoice.payment_action_required": _of_itself,
        "invoice.payment_attempt_required": _of_itself,
        "invoice.overdue": _of_itself,
        "invoice.overpaid": _of_itself,
        "invoice.will_be_due": _of_itself,
        "invoice.voided": _of_itself,
        "invoice.marked_uncollectible": _of_itself,
        "invoice_payment.paid": _of_its_invoice,
        "credit_note.created": _of_its_invoice,
        "credit_note.updated": _of_its_invoice,
        "credit_note.voided": _of_its_invoice,
        "charge.refunded": _of_its_payment,
        "charge.refund.updated": _of_its_payment,
        "refund.created": _of_its_payment,
        "refund.updated": _of_its_payment,
        "refund.failed": _of_its_payment,
        "charge.dispute.created": _of_its_payment,
        "charge.dispute.updated": _of_its_payment,
        "charge.dispute.closed": _of_its_payment,
        "charge.dispute.funds_withdrawn": _of_its_payment,
        "charge.dispute.funds_reinstated": _of_its_payment,
    }
    ignored: ClassVar[Mapping[str, str]] = {
        "invoice.upcoming": "it is a preview: there is no invoice yet"
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return payload.text("type")

    def why_ignored(self, event_type: str) -> str | None:
        if event_type.startswith(ABOUT_INVOICES):
            return super().why_ignored(event_type)
        return "it is not about an invoice"

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            return self.opened(delivery).identifier("id")
        except PayloadError:
            # Still accepted and kept; normalizing says what is wrong with it.
            return None
