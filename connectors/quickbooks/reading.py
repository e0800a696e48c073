"""QuickBooks' estimates, invoices and payments in our words. Pure.

An invoice there has no status: what became of it follows from its amounts, its links and its note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from connectors.connector import RemoteInvoice
from connectors.customers import CustomerThere
from ledger.errors import PermanentError, TransientError
from ledger.money import to_minor
from ledger.payments import Amounts
from ledger.shown import ShownLine

from .api import Json, number
from .documents import customer_in, header_of, reference_in

ESTIMATE, INVOICE = "Estimate", "Invoice"
APP: Final = "https://app.qbo.intuit.com/app"
SANDBOX_APP: Final = "https://app.sandbox.qbo.intuit.com/app"
_PREFIX: Final = "estimate-"
_STATES: Final = {"Pending": "draft", "Accepted": "draft", "Rejected": "void"}
"""What an estimate is that was not made an invoice. One that is closed without an invoice is
"unknown": a person looks why."""


def remote_id_of(entity: str, there: Json) -> str:
    """Return our remote id, which tells estimates from invoices: the setting may change."""
    return f"{_PREFIX if entity == ESTIMATE else ''}{there['Id']}"


def entity_of(remote_id: str) -> tuple[str, str]:
    """Return the kind and the id there of a remote id."""
    if remote_id.startswith(_PREFIX):
        return ESTIMATE, remote_id.removeprefix(_PREFIX)
    return INVOICE, remote_id


def links(there: Json, kind: str) -> list[str]:
    """Return the ids of the transactions of a kind that one is linked with."""
    linked = there.get("LinkedTxn") or []
    return [str(each["TxnId"]) for each in linked if each.get("TxnType") == kind]


def paid_invoices(payment: Json) -> list[str]:
    """Return the ids of the invoices that a payment is applied to."""
    return [one for line in payment.get("Line") or [] for one in links(line, INVOICE)]


def is_void(there: Json) -> bool:
    """Return whether it was voided: its amounts are zero, and its private note says so."""
    note = str(there.get("PrivateNote") or "")
    return number(there.get("TotalAmt", 0)) == 0 and note.startswith("Voided")


def was_sent(invoice: Json) -> bool:
    """Return whether an invoice has left the house, as far as QuickBooks knows."""
    return (
        invoice.get("EmailStatus") == "EmailSent"
        or invoice.get("PrintStatus") in ("PrintComplete", "PRINT_COMPLETE")
        or bool(invoice.get("DeliveryInfo"))
    )


def invoice_amounts(
    invoice: Json, payments: Sequence[Json], currency: str, asked_at: datetime
) -> Amounts:
    """Return what an invoice amounts to; `payments` are those that it is linked with."""
    total, owed = (
        minor(number(invoice.get(name, 0)), currency) for name in ("TotalAmt", "Balance")
    )
    there_id = str(invoice["Id"])
    settled = total - owed
    credited = sum(minor(_credit(each, there_id), currency) for each in payments)
    credited = max(0, min(credited, settled))
    # What had been paid of a voided one is the customer's, and no longer this invoice's.
    linked = () if is_void(invoice) else payments
    overpaid = sum(minor(_over(each, there_id), currency) for each in linked)
    document = "open" if was_sent(invoice) or owed != total else "draft"
    return Amounts(
        document="void" if is_void(invoice) else document,
        currency=currency,
        total=total,
        # What is not owed any more and was not credited has been paid: a deposit counts, too.
        paid=settled - credited + overpaid,
        credited=credited,
        overpaid=overpaid,
        remaining=owed,
        due_on=_day(invoice.get("DueDate")),
        version=str(invoice.get("SyncToken", "")),
        observed_at=asked_at,
    )


def estimate_amounts(
    estimate: Json, invoices: Sequence[Amounts], currency: str, asked_at: datetime
) -> Amounts:
    """Return what an estimate amounts to: what the invoices do that were made of it, if any."""
    standing = [each for each in invoices if each.document != "void"]
    if invoices:
        # An invoice was made of it by a person, so it is no draft any more, sent or not.
        return Amounts(
            document="open" if standing else "void",
            currency=currency,
            total=sum(each.total for each in standing),
            paid=sum(each.paid for each in standing),
            credited=sum(each.credited for each in standing),
            overpaid=sum(each.overpaid for each in standing),
            remaining=sum(each.owed for each in standing),
            due_on=max((each.due_on for each in standing if each.due_on), default=None),
            version=" ".join(each.version for each in invoices),
            observed_at=asked_at,
        )
    return Amounts(
        document=_STATES.get(str(estimate.get("TxnStatus") or "Pending"), "unknown"),
        currency=currency,
        total=minor(number(estimate.get("TotalAmt", 0)), currency),
        version=str(estimate.get("SyncToken", "")),
        observed_at=asked_at,
    )


def remote_invoice(
    entity: str, there: Json, amounts: Amounts, *, field: str | None, app: str
) -> RemoteInvoice:
    """Return an estimate or an invoice. `field` is the id of the purchase order's field."""
    memo = (there.get("CustomerMemo") or {}).get("value")
    number_there = there.get("DocNumber")
    return RemoteInvoice(
        remote_id=remote_id_of(entity, there),
        reference=reference_in(there.get("PrivateNote")),
        amounts=amounts,
        lines=tuple(_lines(there.get("Line") or [], amounts.currency)),
        header=header_of(memo, _field(there, field)),
        number=str(number_there) if number_there else None,
        url=f"{app}/{entity.lower()}?txnId={there['Id']}",
    )


def customer(there: Json) -> CustomerThere:
    """Return a customer. Its tax id comes masked, so it is found by other things."""
    return CustomerThere(
        remote_id=str(there["Id"]),
        name=str(there.get("DisplayName") or there.get("CompanyName") or ""),
        email=(there.get("PrimaryEmailAddr") or {}).get("Address"),
        tax_id=there.get("PrimaryTaxIdentifier"),
        ours=customer_in(there.get("Notes")),
    )


def minor(amount: Decimal, currency: str) -> int:
    """Return an amount in minor units; raise PermanentError if the currency has no such amount."""
    try:
        return to_minor(amount, currency)
    except ValueError as error:
        raise PermanentError(f"quickbooks: {error} - mend it there") from error


def moment(text: object) -> datetime:
    """Return a moment of an answer; raise TransientError if it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise TransientError("quickbooks: the answer tells no time as it should")
    return found


def _lines(lines: Iterable[Json], currency: str) -> Iterator[ShownLine]:
    for line in lines:
        kind = line.get("DetailType")
        if kind == "SubTotalLineDetail":
            continue
        amount = minor(number(line.get("Amount") or 0), currency)
        detail: Mapping[str, Any] = line.get("SalesItemLineDetail") or {}
        quantity, price = detail.get("Qty"), detail.get("UnitPrice")
        if quantity is None or price is None:
            quantity = price = None
        yield ShownLine(
            str(line.get("Description") or ""),
            -amount if kind == "DiscountLineDetail" else amount,
            None if quantity is None else number(quantity),
            None if price is None else number(price),
        )


def _field(there: Json, definition: str | None) -> str | None:
    for each in there.get("CustomField") or []:
        if definition and str(each.get("DefinitionId")) == definition:
            return str(each.get("StringValue") or "")
    return None


def _credit(payment: Json, invoice: str) -> Decimal:
    """Return what of a payment's credit memos goes to an invoice.

    A payment links credit memos and invoices without saying which goes to which: they are used up
    in the order of its lines.
    """
    lines = payment.get("Line") or []
    left = sum(
        (number(each.get("Amount", 0)) for each in lines if links(each, "CreditMemo")), Decimal(0)
    )
    for each in lines:
        for one in links(each, INVOICE):
            used = min(left, number(each.get("Amount", 0)))
            if one == invoice:
                return used
            left -= used
    return Decimal(0)


def _over(payment: Json, invoice: str) -> Decimal:
    """Return what a payment is more than its only invoice; of several, nobody can say whose."""
    if paid_invoices(payment) != [invoice]:
        return Decimal(0)
    return number(payment.get("UnappliedAmt") or 0)


def _day(text: object) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError as error:
        raise TransientError("quickbooks: the answer tells no day as it should") from error
