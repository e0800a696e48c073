"""Xero's answers as our words: a sales invoice there as a `RemoteInvoice`.

Pure translation, called by the connector. A word of Xero's that is not known becomes "unknown",
never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from connectors.connector import RemoteInvoice
from connectors.customers import CustomerThere
from ledger.payments import Amounts

from .dates import day, moment
from .documents import header_and_lines, header_of, minor_units

DOCUMENTS: Final = {
    "DRAFT": "draft",
    # Waits for somebody's approval in Xero: nobody owes it yet.
    "SUBMITTED": "draft",
    "AUTHORISED": "open",
    # Paid is a matter of amounts; the paper itself stays an open invoice.
    "PAID": "open",
    "VOIDED": "void",
    "DELETED": "deleted",
}


def remote_invoice(there: Mapping[str, Any], *, asked_at: datetime) -> RemoteInvoice:
    """Return an invoice as the ledger sees it; `asked_at` is from before the request.

    Raise KeyError, TypeError or ValueError for an answer of another shape.
    """
    currency = str(there["CurrencyCode"])
    rows = there.get("LineItems")
    header, lines = header_and_lines(rows or (), currency)
    return RemoteInvoice(
        remote_id=str(there["InvoiceID"]),
        reference=there.get("InvoiceNumber"),
        amounts=_amounts(there, currency, asked_at),
        lines=None if rows is None else lines,
        header=header_of(there.get("Reference"), header),
        number=there.get("InvoiceNumber"),
        # It leads into the organisation at which whoever follows it looked last.
        url=f"https://go.xero.com/AccountsReceivable/View.aspx?InvoiceID={there['InvoiceID']}",
    )


def customer_there(contact: Mapping[str, Any]) -> CustomerThere:
    """Return a contact as a customer who may be ours."""
    return CustomerThere(
        remote_id=str(contact["ContactID"]),
        name=contact.get("Name") or "",
        email=contact.get("EmailAddress") or None,
        tax_id=contact.get("TaxNumber") or None,
        ours=contact.get("ContactNumber") or None,
    )


def _amounts(there: Mapping[str, Any], currency: str, asked_at: datetime) -> Amounts:
    def minor(name: str) -> int:
        return minor_units(there.get(name) or 0, currency)

    # Money of the customer that was there already: it pays, and is no credit of ours.
    applied = sum(
        minor_units(each.get("AppliedAmount") or 0, currency)
        for name in ("Overpayments", "Prepayments")
        for each in _listed(there, name)
    )
    due, changed = there.get("DueDate"), there.get("UpdatedDateUTC")
    return Amounts(
        document=DOCUMENTS.get(str(there["Status"]), "unknown"),
        currency=currency,
        total=minor("Total"),
        paid=minor("AmountPaid") + applied,
        credited=minor("AmountCredited") - applied,
        remaining=None if there.get("AmountDue") is None else minor("AmountDue"),
        due_on=day(due) if due else None,
        version=moment(changed).isoformat() if changed else "",
        observed_at=asked_at,
    )


def _listed(there: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return [each for each in there.get(name) or () if isinstance(each, dict)]
