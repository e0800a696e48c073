"""An invoice draft as people and billing systems see it, and its fingerprint.

Pure data: how drafts come about is `assembly.py`, where they go is `connectors/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from .events import canonical_json
from .layouts import Layout, layout_from_json
from .money import Money, printed
from .timesheets import TimesheetRow, as_json, timesheet_from_json


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One line as it stands on the paper: amount = quantity x unit price, rounded once."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    """Major units of the invoice's currency; may have more decimals than the currency."""
    amount: int
    """Minor units."""
    line_items: tuple[int, ...] = ()
    """The ledger's line items that are summed up here."""

    def as_json(self) -> dict[str, Any]:
        """Return the line as JSON, decimals as text."""
        return {
            "description": self.description,
            "quantity": printed(self.quantity),
            "unit_price": f"{self.unit_price:f}",
            "amount": self.amount,
        }


@dataclass(frozen=True, slots=True)
class BilledCustomer:
    """Who pays."""

    key: str
    """Our stable key of the customer: the `customer:` of its rule file."""
    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice before anybody owes it: everything that a billing system needs to know."""

    reference: str
    """Our own number, unique for ever: `acme-2026-10`. Written at the remote side when created."""
    customer: BilledCustomer
    currency: str
    lines: tuple[PrintedLine, ...]
    period_from: date
    period_to: date
    """The last day of the billing period, included."""
    days_until_due: int | None = None
    purchase_order: str | None = None
    memo: str | None = None
    footer: str | None = None
    send_to: str = "file"
    """The connector's name in `workspace.yaml`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    """How its lines are arranged."""
    timesheet: tuple[TimesheetRow, ...] | None = None
    """The entries behind it, where the customer is shown them."""

    @property
    def total(self) -> Money:
        """Return the sum of the printed amounts."""
        return Money(sum(line.amount for line in self.lines), self.currency)

    def as_json(self) -> dict[str, Any]:
        """Return everything that an approval signs, as JSON."""
        return {
            "reference": self.reference,
            "customer": {
                "key": self.customer.key,
                "name": self.customer.name,
                "email": self.customer.email,
            },
            "currency": self.currency,
            "lines": [line.as_json() for line in self.lines],
            "total": self.total.minor,
            "period_from": self.period_from.isoformat(),
            "period_to": self.period_to.isoformat(),
            "days_until_due": self.days_until_due,
            "purchase_order": self.purchase_order,
            "memo": self.memo,
            "footer": self.footer,
            "send_to": self.send_to,
            "metadata": dict(self.metadata),
            # Only where there is one, so that drafts without it keep their hash.
            **({"layout": layout} if (layout := self.layout.as_json()) else {}),
            **({} if self.timesheet is None else {"timesheet": as_json(self.timesheet)}),
        }

    def content_hash(self) -> str:
        """Return the SHA-256 that an approval is bound to."""
        return hashlib.sha256(canonical_json(self.as_json()).encode()).hexdigest()


def draft_from_json(content: Mapping[str, Any]) -> InvoiceDraft:
    """Return the draft that `as_json` wrote down (without the line items behind the lines)."""
    return InvoiceDraft(
        reference=content["reference"],
        customer=BilledCustomer(**content["customer"]),
        currency=content["currency"],
        lines=tuple(
            PrintedLine(
                description=line["description"],
                quantity=Decimal(line["quantity"]),
                unit_price=Decimal(line["unit_price"]),
                amount=line["amount"],
            )
            for line in content["lines"]
        ),
        period_from=date.fromisoformat(content["period_from"]),
        period_to=date.fromisoformat(content["period_to"]),
        days_until_due=content["days_until_due"],
        purchase_order=content["purchase_order"],
        memo=content["memo"],
        footer=content["footer"],
        send_to=content["send_to"],
        metadata=content["metadata"],
        layout=layout_from_json(content),
        timesheet=timesheet_from_json(content),
    )
