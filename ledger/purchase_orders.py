"""A customer's purchase order and how much of its budget is used.

Invoices are counted without taxes, in the order of their periods: what went out, and the drafts
before this one. Called by `assembly.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select, tuple_

from .money import Money
from .tables import invoice

WARN_AT: Final = Decimal(80)
"""Percent of a budget from which a person looks at every draft."""
_GONE: Final = ("void", "deleted")
"""What became of an invoice that uses nothing up any more."""


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """What a customer has ordered."""

    number: str
    budget: int | None = None
    """Minor units of the customer's currency, without taxes; None: no limit is known."""
    warn_at: Decimal = WARN_AT
    """Percent of the budget."""
    until: date | None = None
    """The last day of work that it is for."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of an order is used up once a draft is paid: minor units, without taxes."""

    order: PurchaseOrder
    before: int
    """What other invoices have used."""
    this: int
    currency: str

    @property
    def used(self) -> int:
        """Return what is used with this draft."""
        return self.before + self.this

    def reasons(self) -> list[str]:
        """Return why the draft must not go out; empty if it is within the budget."""
        over = self.used - (self.order.budget or 0)
        # A draft that adds nothing never makes it worse.
        if self.order.budget is None or over <= 0 or self.this <= 0:
            return []
        return [
            f"{self._told()}, {Money(over, self.currency)} more than was ordered - ask the "
            "customer for a new order, and write it under purchase_order: in its rule file"
        ]

    def warnings(self) -> list[str]:
        """Return what a person should know; empty while enough of the budget is left."""
        budget = self.order.budget
        if budget is None or self.used * 100 < budget * self.order.warn_at:
            return []
        return [f"{self._told()} ({self.used * 100 // budget} %)"]

    def as_json(self) -> dict[str, Any] | None:
        """Return the use of the budget as JSON, None without a budget."""
        if self.order.budget is None:
            return None
        return {"budget": self.order.budget, "before": self.before, "used": self.used}

    def _told(self) -> str:
        used, budget = (Money(each, self.currency) for each in (self.used, self.order.budget or 0))
        return f"purchase order {self.order.number}: with this invoice {used} of {budget} are used"


def use_of(
    connection: Connection,
    order: PurchaseOrder,
    customer: str,
    net: Money,
    place: tuple[date, str, int],
    own_id: int | None = None,
) -> Use | None:
    """Return how much of an order is used once a draft is paid, None if it has no budget.

    `place` says where the draft stands among the others: period, schedule, sequence. What went out
    counts, wherever it stands; of drafts those before this one do, so that it is always the later
    one that is too much. `own_id` is the draft itself, where it is stored already.
    """
    if order.budget is None:
        return None
    stands = tuple_(invoice.c.period_from, invoice.c.schedule, invoice.c.sequence)
    before = connection.scalar(
        select(func.sum(invoice.c.net)).where(
            invoice.c.customer == customer,
            invoice.c.currency == net.currency,
            invoice.c.purchase_order == order.number,
            invoice.c.state != "canceled",
            func.coalesce(invoice.c.payment, "").not_in(_GONE),
            invoice.c.id != (own_id or 0),
            or_(
                invoice.c.is_frozen.is_(True), invoice.c.pushed_content.is_not(None), stands < place
            ),
        )
    )
    return Use(order, int(before or 0), net.minor, net.currency)


def not_counted(order: PurchaseOrder, currency: str, usual: str) -> list[str]:
    """Return what a person should know of a draft in another currency than the order's budget."""
    if order.budget is None or currency == usual:
        return []
    return [
        f"purchase order {order.number} has its budget in {usual}: this draft in {currency} is "
        "not counted - see that the order is for it too"
    ]


def too_late(order: PurchaseOrder, days: Iterable[date]) -> list[str]:
    """Return why work of these days must not go out on an order; empty if it is valid for all."""
    late = sorted(day for day in days if order.until is not None and day > order.until)
    if not late:
        return []
    return [
        f"purchase order {order.number} is for work until {order.until}, and there is work of "
        f"{late[-1]} - ask the customer for a new order, and write it under purchase_order: in its "
        "rule file"
    ]
