"""The same connector against a real Stripe sandbox; runs only with `STRIPE_API_KEY=sk_test_...`.

Creates one customer (once), and drafts that it deletes again. Nothing is finalized or sent.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.http import OutgoingHttp
from connectors.stripe.connector import StripeConnector
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import line_amount
from ledger.payments import payment_of

from .test_stripe import DRAFT, line

KEY = os.environ.get("STRIPE_API_KEY", "")

pytestmark = pytest.mark.skipif(
    not KEY.startswith(("sk_test_", "rk_test_")),
    reason="STRIPE_API_KEY is no sandbox key (sk_test_...): the real Stripe is not asked",
)


@pytest.fixture
def connector() -> StripeConnector:
    return StripeConnector({"api_key": KEY}, OutgoingHttp())


@pytest.fixture
def draft(connector: StripeConnector) -> Iterator[InvoiceDraft]:
    unique = f"sandbox-{uuid.uuid4()}"
    customer = BilledCustomer("billhook-sandbox", "Billhook Sandbox", "sandbox@billhook.example")
    yield replace(DRAFT, reference=unique, customer=customer)
    found = connector.find_invoice(unique, remote_customer=None)
    if found:
        connector.delete_draft(found.remote_id, idempotency_key=f"{unique}-delete")


def pushed(connector: StripeConnector, draft: InvoiceDraft) -> str:
    key = draft.reference
    customer = connector.resolve_customer(draft, idempotency_key=key)
    created = connector.create_draft(draft, remote_customer=customer, idempotency_key=key)
    again = connector.create_draft(draft, remote_customer=customer, idempotency_key=key)
    assert again.remote_id == created.remote_id
    found = connector.find_invoice(draft.reference, remote_customer=customer)
    assert found is not None
    assert (found.remote_id, found.is_complete) == (created.remote_id, True)
    return created.remote_id


def test_a_draft_is_pushed_once_and_found_again(
    connector: StripeConnector, draft: InvoiceDraft
) -> None:
    amounts = connector.fetch_invoice(pushed(connector, draft)).amounts
    assert (amounts.total, payment_of(amounts)) == (draft.total.minor, "draft")


@pytest.mark.parametrize(
    ("currency", "quantity", "price"),
    [("EUR", "0.005", "1.00"), ("EUR", "-1.5", "120.00"), ("JPY", "0.5", "3001")],
)
def test_stripe_rounds_each_line_as_we_do(
    connector: StripeConnector, draft: InvoiceDraft, currency: str, quantity: str, price: str
) -> None:
    amount = line_amount(Decimal(quantity), Decimal(price), currency).minor
    lines = (PrintedLine("Work", Decimal(quantity), Decimal(price), amount),)
    draft = replace(draft, currency=currency, lines=lines)
    assert connector.fetch_invoice(pushed(connector, draft)).amounts.total == amount


def test_250_lines_arrive(connector: StripeConnector, draft: InvoiceDraft) -> None:
    draft = replace(draft, lines=(line("0.3333", "100.00"),) * 250)
    assert connector.fetch_invoice(pushed(connector, draft)).amounts.total == draft.total.minor
