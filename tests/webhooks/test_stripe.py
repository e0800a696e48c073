"""Stripe's hints: which types there are, and which invoice or payment each is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from stripe.params import WebhookEndpointCreateParams

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Reading
from webhooks.registry import sources
from webhooks.stripe.source import ABOUT_INVOICES

STRIPE = sources()["stripe"]


def delivery_of(body: Any) -> Delivery:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    return Delivery({}, json.dumps(body).encode(), now, "stripe")


def read(event_type: str, changed: Any) -> Reading:
    body = {"id": "evt_1", "type": event_type, "created": 1774958400, "data": {"object": changed}}
    return STRIPE.normalize(delivery_of(body))


def test_every_type_about_invoices_that_stripes_library_knows_is_read_or_ignored() -> None:
    (listed,) = get_args(WebhookEndpointCreateParams.__annotations__["enabled_events"])
    known = {name for name in get_args(listed) if name.startswith(ABOUT_INVOICES)}
    assert known == {*STRIPE.readers, *STRIPE.ignored}


@pytest.mark.parametrize(
    "event_type", ["customer.created", "charge.succeeded", "invoiceitem.created"]
)
def test_other_types_are_ignored(event_type: str) -> None:
    assert read(event_type, {"id": "x"}).ignored == "it is not about an invoice"


@pytest.mark.parametrize("event_type", ["invoice.dreamt_of", "charge.dispute.won"])
def test_a_new_type_about_invoices_is_kept_as_unsupported(event_type: str) -> None:
    with pytest.raises(UnsupportedEventTypeError, match=event_type):
        read(event_type, {"id": "x"})


@pytest.mark.parametrize(
    ("event_type", "changed", "subject"),
    [
        ("invoice.paid", {"id": "in_1"}, "invoice:in_1"),
        ("invoice_payment.paid", {"id": "inpay_1", "invoice": "in_1"}, "invoice:in_1"),
        ("credit_note.created", {"id": "cn_1", "invoice": {"id": "in_1"}}, "invoice:in_1"),
        ("refund.created", {"id": "re_1", "payment_intent": "pi_1"}, "payment:pi_1"),
        ("charge.refunded", {"id": "ch_1", "payment_intent": {"id": "pi_1"}}, "payment:pi_1"),
        ("charge.dispute.closed", {"id": "dp_1", "payment_intent": "pi_1"}, "payment:pi_1"),
    ],
)
def test_a_hint_names_the_invoice_or_else_the_payment(
    event_type: str, changed: Any, subject: str
) -> None:
    (event,) = read(event_type, changed).events
    assert (event.kind, event.subject) == ("invoice.changed", subject)
    assert event.version == 1774958400000


def test_an_invoice_without_an_id_is_refused_by_name() -> None:
    with pytest.raises(PayloadError, match=r"^data\.object\.id: is missing"):
        read("invoice.paid", {})


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": []}, []])
def test_an_event_without_an_id_is_accepted_all_the_same(body: Any) -> None:
    assert STRIPE.delivery_id(delivery_of(body)) is None
