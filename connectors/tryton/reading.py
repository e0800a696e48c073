"""Tryton's records as our words. A state that is not known becomes "unknown", never a guess."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from connectors.connector import RemoteInvoice
from connectors.customers import CustomerThere
from ledger.invoices import BilledCustomer
from ledger.money import to_minor
from ledger.payments import Amounts
from ledger.shown import ShownLine

from .api import Json
from .documents import header_of

OURS: Final = "billhook:"
"""Begins the identifier that holds our key of a party that we have created."""
_LINE: Final = ("debit", "credit", "amount_second_currency", "second_currency", "move.journal.type")
FIELDS: Final = (
    *("number", "reference", "state", "description", "comment", "write_date", "_timestamp"),
    *("total_amount", "amount_to_pay", "currency", "currency.code", "company.currency"),
    "cancel_move.origin",
    *("payment_term", "lines_to_pay.maturity_date"),
    *(f"lines.{name}" for name in ("type", "description", "quantity", "unit_price", "amount")),
    *("lines._timestamp", "taxes._timestamp"),
    *(f"payment_lines.{name}" for name in _LINE),
    *(f"reconciliation_lines.{name}" for name in _LINE),
)
PARTY_FIELDS: Final = (
    *("name", "identifiers.code", "contact_mechanisms.type", "contact_mechanisms.value"),
)


def remote_invoice(there: Json, *, due: str | None, url: str, asked_at: datetime) -> RemoteInvoice:
    """Return an invoice as the ledger sees it; `due` is its payment term in our words."""
    currency = there["currency."]["code"]
    return RemoteInvoice(
        remote_id=str(there["id"]),
        reference=there["reference"] or None,
        amounts=_amounts(there, asked_at),
        lines=tuple(_line(line, currency) for line in there["lines."]),
        header=header_of(there["description"], there["comment"], due),
        number=there["number"] or None,
        url=url,
    )


def _line(line: Json, currency: str) -> ShownLine:
    quantity = line["quantity"]
    return ShownLine(
        line["description"] or "",
        to_minor(line["amount"], currency),
        None if quantity is None else Decimal(quantity),
        line["unit_price"],
    )


def _amounts(there: Json, asked_at: datetime) -> Amounts:
    currency = there["currency."]["code"]
    total = to_minor(there["total_amount"], currency)
    due = [each["maturity_date"] for each in there["lines_to_pay."] if each["maturity_date"]]
    paid, credited, written_off = _settled(there, currency)
    document, remaining = "unknown", None
    match there["state"]:
        case "draft" | "validated":
            document = "draft"
        case "posted":
            document, remaining = "open", to_minor(there["amount_to_pay"], currency)
        case "paid":
            # A few cents are written off every day; only what brought in nothing is lost.
            is_lost = written_off > 0 and paid + credited <= 0
            document, remaining = "written_off" if is_lost else "open", 0
        case "cancelled" if _is_credited(there):
            document, paid, credited, remaining = "open", 0, total, 0
        case "cancelled":
            # Its own move is taken back by another one, which is no credit to anybody.
            document, paid, credited = "void", 0, 0
    return Amounts(
        document=document,
        currency=currency,
        total=total,
        paid=paid,
        credited=credited,
        remaining=remaining,
        due_on=min(due, default=None),
        version=there["_timestamp"] or "",
        observed_at=asked_at,
    )


def _is_credited(there: Json) -> bool:
    """Return whether a cancelled invoice was credited by another one, with a number of its own."""
    move = there["cancel_move."] or {}
    return (move.get("origin") or "").startswith("account.invoice,")


def _settled(there: Json, currency: str) -> tuple[int, int, int]:
    """Return what was paid, credited and written off, told apart by the journals of the moves."""
    lines = {line["id"]: line for line in there["payment_lines."]}
    lines |= {line["id"]: line for line in there["reconciliation_lines."]}
    sums = {"revenue": 0, "write-off": 0, "": 0}
    for line in lines.values():
        if line["second_currency"] == there["currency"]:
            amount = -line["amount_second_currency"]
        elif there["company."]["currency"] == there["currency"]:
            amount = line["credit"] - line["debit"]
        else:
            # What exchange rates have made of it is in the company's own currency.
            continue
        journal = line["move."]["journal."]["type"]
        sums[journal if journal in sums else ""] += to_minor(amount, currency)
    return sums[""], sums["revenue"], sums["write-off"]


def customer_there(party: Json, customer: BilledCustomer) -> CustomerThere:
    """Return a party as a customer that may be meant.

    A party has any number of addresses and identifiers: those count that are our customer's.
    """
    codes = [each["code"] or "" for each in party["identifiers."]]
    mails = [
        each["value"] or "" for each in party["contact_mechanisms."] if each["type"] == "email"
    ]
    ours = [code.removeprefix(OURS) for code in codes if code.startswith(OURS)]
    wanted = compact(customer.tax_id)
    email = (customer.email or "").casefold()
    return CustomerThere(
        remote_id=str(party["id"]),
        name=party["name"] or "",
        email=next((mail for mail in mails if mail.casefold() == email), None),
        tax_id=next((code for code in codes if compact(code) == wanted), None),
        ours=customer.key if customer.key in ours else next(iter(ours), None),
    )


def compact(code: str | None) -> str:
    """Return a number without what people put between its characters."""
    return "".join(each for each in code or "" if each.isalnum()).upper()
