"""What an invoice says beside its lines, in words: the command line and the page show the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def invoice_facts(found: Mapping[str, Any]) -> dict[str, str | None]:
    """Return each fact of an invoice by its name; what nobody has said is empty or None."""
    return {
        "credit note for": found["credits"],
        "customer": f"{found['customer_name']} ({found['customer']}), {found['billing_email']}",
        "legal name": found["legal_name"],
        "address": _address(found["address"]),
        "tax id": found["tax_id"],
        "contact": found["contact"],
        "contract": found["contract"],
        "agreed": found["agreed"],
        "period": f"{found['period_from']} to {found['period_to']}",
        "purchase order": found["purchase_order"],
        "of its budget": _order_use(found["order_use"]),
        "payment methods": ", ".join(found["payment_methods"]),
        "late payment": found["late_payment"],
        "early payment": found["early_payment"],
    }


def _address(address: Mapping[str, Any] | None) -> str:
    if address is None:
        return ""
    city = " ".join(filter(None, (address["postal_code"], address["city"])))
    return ", ".join([*address["lines"], city, address["country"]])


def _order_use(use: Mapping[str, Any] | None) -> str:
    if use is None:
        return ""
    used, budget = (f"{use[name]['text']} {use[name]['currency']}" for name in ("used", "budget"))
    return f"{used} of {budget} are used"
