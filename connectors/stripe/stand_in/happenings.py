"""What happens to an invoice without Billhook: paid, refunded, disputed, credited.

Called by the control endpoints (`/_control/...`) and by the contract tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from . import shapes
from .book import Book
from .credit_notes import keep_note
from .parameters import Refusal

Row = dict[str, Any]


def pay(book: Book, invoice_id: str, amount: int | None = None) -> Row:
    """Pay an open invoice, whole or in part; more than is due is kept as overpaid."""
    invoice = _open(book, invoice_id)
    part = book.payment_for(invoice_id, amount or invoice["amount_remaining"])
    intent = book.get("payment_intents", part["payment"]["payment_intent"])
    charge = book.add("charges", "ch", lambda new_id: shapes.charge(new_id, book.now(), intent))
    intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
    part.update(status="paid", amount_paid=intent["amount"])
    part["status_transitions"]["paid_at"] = book.now()
    book.emit("invoice_payment.paid", part)
    book.settle(invoice_id)
    return book.invoice(invoice_id)


def start_payment(book: Book, invoice_id: str, amount: int | None = None) -> Row:
    """Begin a payment that takes days, such as a bank debit."""
    invoice = _open(book, invoice_id)
    part = book.payment_for(invoice_id, amount or invoice["amount_remaining"])
    intent = book.get("payment_intents", part["payment"]["payment_intent"])
    intent["status"] = "processing"
    book.emit("payment_intent.processing", intent)
    return book.invoice(invoice_id)


def refund(book: Book, invoice_id: str, amount: int | None = None) -> Row:
    """Give money of the latest payment back."""
    charge = _charge(book, invoice_id)
    back = amount or charge["amount"] - charge["amount_refunded"]
    if back > charge["amount"] - charge["amount_refunded"]:
        raise Refusal(400, "A refund cannot be more than what is left of the charge")
    book.add("refunds", "re", lambda new_id: shapes.refund(new_id, book.now(), charge, back))
    charge["amount_refunded"] += back
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    book.emit("charge.refunded", charge)
    return book.invoice(invoice_id)


def dispute(book: Book, invoice_id: str, amount: int | None = None) -> Row:
    """Have the customer's bank dispute the latest payment."""
    charge = _charge(book, invoice_id)
    disputed = amount or charge["amount"]
    charge["disputed"] = True
    row = book.add(
        "disputes", "dp", lambda new_id: shapes.dispute(new_id, book.now(), charge, disputed)
    )
    book.emit("charge.dispute.created", row)
    return book.invoice(invoice_id)


def win_dispute(book: Book, invoice_id: str, _amount: int | None = None) -> Row:
    """Decide the latest dispute for the merchant."""
    charge = _charge(book, invoice_id)
    row = next(d for d in reversed(book.table("disputes").values()) if d["charge"] == charge["id"])
    row["status"] = "won"
    book.emit("charge.dispute.closed", row)
    return book.invoice(invoice_id)


def credit(book: Book, invoice_id: str, amount: int | None = None) -> Row:
    """Issue a credit note: it lowers what is due while the invoice is open."""
    invoice = book.invoice(invoice_id)
    if invoice["status"] not in ("open", "paid"):
        raise Refusal(400, f"The invoice is {invoice['status']}")
    credited = amount or (invoice["amount_remaining"] or invoice["total"])
    pre_payment = credited if invoice["status"] == "open" else 0
    keep_note(book, invoice, credited, pre_payment=pre_payment)
    return book.invoice(invoice_id)


def finalize(book: Book, invoice_id: str, _amount: int | None = None) -> Row:
    """Finalize the draft in Stripe's dashboard."""
    return book.finalize(invoice_id, {})


def void(book: Book, invoice_id: str, _amount: int | None = None) -> Row:
    """Void the invoice in Stripe's dashboard."""
    return book.void(invoice_id, {})


def write_off(book: Book, invoice_id: str, _amount: int | None = None) -> Row:
    """Mark the invoice as uncollectible in Stripe's dashboard."""
    return book.write_off(invoice_id, {})


def delete(book: Book, invoice_id: str, _amount: int | None = None) -> Row:
    """Delete the draft in Stripe's dashboard."""
    return book.delete_invoice(invoice_id)


HAPPENINGS: Final[dict[str, Callable[[Book, str, int | None], Row]]] = {
    "finalize": finalize,
    "pay": pay,
    "start_payment": start_payment,
    "refund": refund,
    "dispute": dispute,
    "win_dispute": win_dispute,
    "credit": credit,
    "void": void,
    "write_off": write_off,
    "delete": delete,
}
"""Every control endpoint that takes `{"invoice": ..., "amount": ...}`, amount in Stripe's unit."""


def _open(book: Book, invoice_id: str) -> Row:
    invoice = book.invoice(invoice_id)
    if invoice["status"] != "open":
        raise Refusal(400, f"The invoice is {invoice['status']}, not open")
    return invoice


def _charge(book: Book, invoice_id: str) -> Row:
    """Return the charge of the invoice's latest payment."""
    for part in reversed(book.table("invoice_payments").values()):
        if part["invoice"] == invoice_id and part["status"] == "paid":
            intent = book.get("payment_intents", part["payment"]["payment_intent"])
            return book.get("charges", intent["latest_charge"])
    raise Refusal(400, "Nothing was paid on this invoice yet")
