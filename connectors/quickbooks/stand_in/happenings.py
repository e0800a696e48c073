"""What people do in QuickBooks itself: send, make an invoice of an estimate, take in money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from ledger.money import Money

from ..reading import entity_of
from .book import Book, Object


def document(book: Book, remote_id: str) -> Object:
    """Return what we have pushed."""
    return book.get(*entity_of(remote_id))


def invoice(book: Book, remote_id: str) -> Object:
    """Return the invoice that we have pushed, or that was made last of our estimate."""
    there = document(book, remote_id)
    made = [one["TxnId"] for one in there["LinkedTxn"] if one["TxnType"] == "Invoice"]
    return book.get("Invoice", made[-1]) if made else there


def finalize(book: Book, remote_id: str, _minor: int) -> None:
    """Make an invoice of the estimate, or send the invoice by e-mail."""
    entity, there_id = entity_of(remote_id)
    there = book.get(entity, there_id)
    if entity == "Estimate":
        convert(book, there)
        return
    sent = {"DeliveryType": "Email", "DeliveryTime": there["MetaData"]["LastUpdatedTime"]}
    there.update(EmailStatus="EmailSent", DeliveryInfo=sent)
    book.touch(there)


def convert(book: Book, estimate: Object, share: Decimal = Decimal(1)) -> Object:
    """Make an invoice of an estimate, or of a share of it ("progress invoicing")."""
    ours = ("TxnStatus", "DocNumber", "PrivateNote", "MetaData", "Id", "SyncToken")
    copied = {name: value for name, value in estimate.items() if name not in ours}
    total = estimate["TotalAmt"] * share
    link = {"TxnId": estimate["Id"], "TxnType": "Estimate"}
    made = book.add("Invoice", {**copied, "TotalAmt": total, "Balance": total, "LinkedTxn": [link]})
    estimate["TxnStatus"] = "Closed"
    estimate["LinkedTxn"].append({"TxnId": made["Id"], "TxnType": "Invoice"})
    book.touch(estimate)
    return made


def pay(book: Book, remote_id: str, minor: int) -> None:
    """Take in a payment; what is more than the invoice stays with the customer."""
    there = invoice(book, remote_id)
    _apply(book, there, _amount(minor, there), credit=Decimal(0))


def unpay(book: Book, remote_id: str, _minor: int) -> None:
    """Delete the last payment, say because it bounced: the invoice is open again."""
    there = invoice(book, remote_id)
    payments = [one["TxnId"] for one in there["LinkedTxn"] if one["TxnType"] == "Payment"]
    payment = book.get("Payment", payments[-1])
    there["Balance"] += sum((line["Amount"] for line in payment["Line"][:1]), Decimal(0))
    book.delete("Payment", payment)
    book.touch(there)


def credit(book: Book, remote_id: str, minor: int) -> None:
    """Apply a credit memo: QuickBooks links it and the invoice by a payment of nothing."""
    there = invoice(book, remote_id)
    _apply(book, there, Decimal(0), credit=_amount(minor, there))


def _apply(book: Book, there: Object, money: Decimal, *, credit: Decimal) -> None:
    applied = min(money + credit, there["Balance"])
    lines = [_applied(applied, there["Id"], "Invoice")]
    party = {"CustomerRef": there["CustomerRef"], "CurrencyRef": there["CurrencyRef"]}
    if credit:
        memo = book.add("CreditMemo", {**party, "TotalAmt": credit, "Balance": Decimal(0)})
        lines.append(_applied(credit, memo["Id"], "CreditMemo"))
    payment = book.add(
        "Payment",
        {
            **party,
            "TotalAmt": money,
            "UnappliedAmt": money + credit - applied,
            "TxnDate": "2026-03-20",
            "Line": lines,
        },
    )
    if credit:
        memo["LinkedTxn"] = [{"TxnId": payment["Id"], "TxnType": "Payment"}]
    there["Balance"] -= applied
    there["LinkedTxn"].append({"TxnId": payment["Id"], "TxnType": "Payment"})
    book.touch(there)


def void(book: Book, remote_id: str, _minor: int) -> None:
    """Void the invoice."""
    book.void(invoice(book, remote_id))


def delete(book: Book, remote_id: str, _minor: int) -> None:
    """Delete what we have pushed."""
    book.delete(entity_of(remote_id)[0], document(book, remote_id))


def edit(book: Book, remote_id: str, _minor: int) -> None:
    """Change the message to the customer."""
    there = document(book, remote_id)
    there["CustomerMemo"] = {"value": "As we spoke on the phone"}
    book.touch(there)


HAPPENINGS: Final[Mapping[str, Callable[[Book, str, int], None]]] = {
    "finalize": finalize,
    "pay": pay,
    "credit": credit,
    "void": void,
    "delete": delete,
    "edit": edit,
}


def _amount(minor: int, there: Object) -> Decimal:
    return Money(minor, there["CurrencyRef"]["value"]).decimal()


def _applied(amount: Decimal, there_id: str, kind: str) -> Object:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": there_id, "TxnType": kind}]}
