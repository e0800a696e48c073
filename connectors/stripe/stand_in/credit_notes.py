"""Credit notes of the stand-in, with the rules that Stripe documents for them.

https://docs.stripe.com/api/credit_notes/create
"""

from __future__ import annotations

from typing import Any

from . import shapes
from .book import Book, divides
from .parameters import Refusal

Row = dict[str, Any]


def create(book: Book, _id: str, given: Row) -> Row:
    """Issue a credit note with custom lines; nothing else is known here."""
    invoice = book.invoice(given["invoice"])
    if invoice["status"] not in ("open", "paid"):
        raise Refusal(400, f"The invoice is {invoice['status']}", param="invoice")
    if "lines" not in given or "amount" in given or "shipping_cost" in given:
        raise Refusal(400, "The stand-in credits by lines only", param="lines")
    total = sum(_amount(book, invoice, line) for line in given["lines"])
    noted = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    if not 0 < total <= invoice["total"] - noted:
        raise Refusal(400, "A credit note is above zero and credits no more than was billed")
    pre_payment = min(total, invoice["amount_remaining"])
    parts = ("credit_amount", "refund_amount", "out_of_band_amount")
    if sum(given.get(part, 0) for part in parts) != total - pre_payment:
        raise Refusal(
            400, f"Of this {total - pre_payment} were paid: say what becomes of just these"
        )
    metadata = given.get("metadata")
    return keep_note(book, invoice, total, pre_payment=pre_payment, metadata=metadata)


def keep_note(
    book: Book, invoice: Row, total: int, *, pre_payment: int, metadata: Row | None = None
) -> Row:
    """Keep a credit note, lower its invoice, tell of it, and return it."""
    row = book.get("invoices", invoice["id"])
    row["pre_payment_credit_notes_amount"] += pre_payment
    row["post_payment_credit_notes_amount"] += total - pre_payment
    note = book.add(
        "credit_notes",
        "cn",
        lambda new_id: shapes.credit_note(
            new_id, book.now(), invoice, total, pre_payment=pre_payment, metadata=metadata
        ),
    )
    book.emit("credit_note.created", note)
    book.settle(invoice["id"])
    return note


def _amount(book: Book, invoice: Row, line: Row) -> int:
    """Return what a line credits, with taxes that are beside it."""
    if line["type"] != "custom_line_item" or {"amount", "invoice_line_item"} & set(line):
        raise Refusal(400, "The stand-in knows custom lines only", param="lines")
    unit, quantity = line.get("unit_amount"), line.get("quantity", 1)
    if unit is None or unit < 0 or quantity < 1 or not line.get("description"):
        raise Refusal(400, "A line has a description, a quantity and an amount", param="lines")
    divides(unit, invoice["currency"])
    beside = 0
    for tax in line.get("tax_amounts") or ():
        rate = book.get("tax_rates", tax["tax_rate"])
        for name in ("amount", "taxable_amount"):
            divides(tax[name], invoice["currency"])
        beside += 0 if rate["inclusive"] else tax["amount"]
    return int(unit * quantity + beside)
