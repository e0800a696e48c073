"""Who the customers are at each billing system: the ids there, as their invoices remember them.

An id is kept with the invoice that it was found for, so the last one counts for the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, bindparam, select, update

from .auditlog import note
from .tables import invoice

if TYPE_CHECKING:
    from .pushing import Push


def last_id(connection: Connection, row: Mapping[Any, Any]) -> str | None:
    """Return the customer's id on its last invoice at the connector of an invoice (a row).

    That invoice itself does not count.
    """
    of = {name: row[name] for name in ("customer", "connector", "id")}
    last: str | None = connection.scalar(_LAST_ID, of)
    return last


_LAST_ID: Final = (
    select(invoice.c.remote_customer)
    .where(
        invoice.c.customer == bindparam("customer"),
        invoice.c.connector == bindparam("connector"),
        invoice.c.id != bindparam("id"),
        invoice.c.remote_customer.is_not(None),
    )
    .order_by(invoice.c.id.desc())
    .limit(1)
)


def save(connection: Connection, push: Push, remote_customer: str, now: datetime) -> None:
    """Remember the customer's id at the billing system, for this invoice and the next ones."""
    before = push.remote_customer or push.known_customer
    if before not in (None, remote_customer):
        note(
            connection,
            now,
            actor="billhook",
            action="invoice.other_customer",
            entity=f"invoice:{push.reference}",
            before=before,
            customer=remote_customer,
        )
    connection.execute(
        update(invoice)
        .where(invoice.c.id == push.invoice_id)
        .values(remote_customer=remote_customer)
    )
