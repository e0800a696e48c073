"""The stand-in's objects in the shape of Stripe's: the fields that Billhook reads, and a few more.

A test holds every field against the `stripe` package's own object types.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..transport import API_VERSION

Row = dict[str, Any]


def customer(row_id: str, created: int, params: Row) -> Row:
    """Return a new customer."""
    return {
        "id": row_id,
        "object": "customer",
        "created": created,
        "livemode": False,
        "email": params.get("email"),
        "name": params.get("name"),
        "address": params.get("address") or None,
        "preferred_locales": params.get("preferred_locales") or [],
        "metadata": dict(params.get("metadata") or {}),
    }


def invoice(row_id: str, created: int, params: Row, of: Row) -> Row:
    """Return a new draft, without the amounts that follow from its lines and payments."""
    return {
        "id": row_id,
        "object": "invoice",
        "created": created,
        "livemode": False,
        "auto_advance": params.get("auto_advance", False),
        "billing_reason": "manual",
        "collection_method": params.get("collection_method", "charge_automatically"),
        "currency": params.get("currency", "usd"),
        "custom_fields": params.get("custom_fields") or None,
        "customer": of["id"],
        "customer_address": of["address"],
        "customer_email": of["email"],
        "customer_name": of["name"],
        "description": params.get("description"),
        "due_date": params.get("due_date"),
        "footer": params.get("footer"),
        "hosted_invoice_url": None,
        "metadata": dict(params.get("metadata") or {}),
        "number": None,
        "payment_settings": params.get("payment_settings") or {"payment_method_types": None},
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
    }


def invoice_with_amounts(row: Row, lines: list[Row], parts: list[Row]) -> Row:
    """Return an invoice as Stripe answers it: ten lines at most, and its amounts."""
    subtotal = sum(one["amount"] for one in lines)
    taxes = [tax for one in lines for tax in one["taxes"]]
    beside = [tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive"]
    total = subtotal + sum(beside)
    due = max(total - row["pre_payment_credit_notes_amount"], 0)
    paid = sum(part["amount_paid"] or 0 for part in parts if part["status"] == "paid")
    return {
        **row,
        "amount_due": due,
        "amount_overpaid": max(paid - due, 0),
        "amount_paid": paid,
        "amount_remaining": max(due - paid, 0),
        "lines": page(lines[:10], f"/v1/invoices/{row['id']}/lines", has_more=len(lines) > 10),
        "payments": page(parts, "/v1/invoice_payments"),
        "subtotal": subtotal,
        "total": total,
        "total_excluding_tax": total - sum(tax["amount"] for tax in taxes),
        "total_taxes": taxes,
    }


def line(row_id: str, of: Row, params: Row, amount: int) -> Row:
    """Return a new line."""
    price: Row = params.get("price_data") or {}
    quantity: Decimal = params.get("quantity_decimal", Decimal(1))
    unit: Decimal = price.get("unit_amount_decimal", Decimal(amount))
    return {
        "id": row_id,
        "object": "line_item",
        "amount": amount,
        "currency": of["currency"],
        "description": params.get("description"),
        "invoice": of["id"],
        "livemode": False,
        "metadata": dict(params.get("metadata") or {}),
        "pricing": {"type": "price_details", "unit_amount_decimal": f"{unit:f}"},
        "quantity": int(quantity),
        "quantity_decimal": f"{quantity:f}",
        "subtotal": amount,
        "taxes": [_tax(one) for one in params.get("tax_amounts") or ()],
    }


def _tax(params: Row) -> Row:
    data = params["tax_rate_data"]
    return {
        "amount": params["amount"],
        "tax_behavior": "inclusive" if data["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": params["tax_rate"]},
        "taxability_reason": params.get("taxability_reason", "not_available"),
        "taxable_amount": params["taxable_amount"],
        "type": "tax_rate_details",
    }


def payment_intent(row_id: str, created: int, amount: int, currency: str) -> Row:
    """Return a new payment intent that waits for money."""
    return {
        "id": row_id,
        "object": "payment_intent",
        "created": created,
        "livemode": False,
        "amount": amount,
        "amount_received": 0,
        "currency": currency,
        "latest_charge": None,
        "metadata": {},
        "status": "requires_payment_method",
    }


def invoice_payment(
    row_id: str, created: int, invoice_id: str, intent: Row, *, is_default: bool
) -> Row:
    """Return a new part of an invoice's payment."""
    return {
        "id": row_id,
        "object": "invoice_payment",
        "created": created,
        "livemode": False,
        "amount_paid": None,
        "amount_requested": intent["amount"],
        "currency": intent["currency"],
        "invoice": invoice_id,
        "is_default": is_default,
        "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def charge(row_id: str, created: int, intent: Row) -> Row:
    """Return the charge of a payment intent that succeeded."""
    return {
        "id": row_id,
        "object": "charge",
        "created": created,
        "livemode": False,
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "captured": True,
        "currency": intent["currency"],
        "disputed": False,
        "metadata": {},
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def refund(row_id: str, created: int, of: Row, amount: int) -> Row:
    """Return a refund of a charge."""
    return {
        "id": row_id,
        "object": "refund",
        "created": created,
        "amount": amount,
        "charge": of["id"],
        "currency": of["currency"],
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "status": "succeeded",
    }


def dispute(row_id: str, created: int, of: Row, amount: int) -> Row:
    """Return a dispute about a charge."""
    return {
        "id": row_id,
        "object": "dispute",
        "created": created,
        "livemode": False,
        "amount": amount,
        "charge": of["id"],
        "currency": of["currency"],
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "reason": "general",
        "status": "needs_response",
    }


def credit_note(
    row_id: str,
    created: int,
    of: Row,
    amount: int,
    *,
    pre_payment: int,
    metadata: Row | None = None,
    number: str = "",
) -> Row:
    """Return a credit note on an invoice; `pre_payment` is the part of what was still due."""
    kinds = ("pre_payment", pre_payment), ("post_payment", amount - pre_payment)
    named = [kind for kind, part in kinds if part] or ["pre_payment"]
    return {
        "id": row_id,
        "object": "credit_note",
        "created": created,
        "livemode": False,
        "amount": amount,
        "currency": of["currency"],
        "customer": of["customer"],
        "invoice": of["id"],
        "metadata": dict(metadata or {}),
        "number": number or f"{of['number']}-CN-{row_id[-2:]}",
        "post_payment_amount": amount - pre_payment,
        "pre_payment_amount": pre_payment,
        "status": "issued",
        "total": amount,
        "type": named[0] if len(named) == 1 else "mixed",
    }


def tax_rate(row_id: str, created: int, data: Row) -> Row:
    """Return the tax rate that a line's own data make; nobody can use it for anything new."""
    return {
        "id": row_id,
        "object": "tax_rate",
        "active": False,
        "created": created,
        "description": data.get("description"),
        "display_name": data["display_name"],
        "inclusive": data["inclusive"],
        "livemode": False,
        "metadata": {},
        "percentage": data["percentage"],
    }


def event(row_id: str, created: int, kind: str, about: Row) -> Row:
    """Return an event about an object as it is now."""
    return {
        "id": row_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def page(rows: list[Row], url: str, *, has_more: bool = False) -> Row:
    """Return a list as Stripe answers it."""
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}
