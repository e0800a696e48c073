"""Recorded payments: what people and bank statements tell, where no billing system knows it.

For billing systems that learn of payments by themselves theirs is the truth, and nothing is
recorded. Elsewhere the payments recorded here are: the amounts that an invoice shows follow from
them (`sync.recount`), in the transaction that records one. Each is recorded once, taken back at
most, and never deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, update

from .amending import is_amended
from .auditlog import note
from .bank import MOST_TEXT, digest, recorded_on
from .database import insert_for
from .errors import BillhookError
from .events import as_utc_text
from .money import Money
from .payments import Recorded
from .releasing import VOID
from .sync import recount, said_there
from .tables import invoice, payment, recorded_payment

BY_HAND: Final = ("hand", "api")
"""The sources of payments that a person has written, or a program of his."""


class PaymentError(BillhookError):
    """A payment cannot be recorded, assigned or taken back like this; the message says why."""


class NoInvoiceError(PaymentError):
    """There is no invoice of this reference."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who records, and by which rules."""

    actor: str
    source: str
    """One of `BY_HAND`, or the format of a statement."""
    connectors: Collection[str]
    """The connectors whose payments are recorded here."""
    told: Sequence[str]
    """The endpoints whose tools are told of it."""
    now: datetime


def record(
    connection: Connection,
    reference: str,
    amount: Money,
    on: date,
    text: str,
    by: Recorder,
) -> tuple[int, bool]:
    """Record a payment on an invoice; return its number, and whether it is new.

    What was recorded before, with the same day, amount and text, is not recorded again. Below zero
    it is a refund. Raise PaymentError if it cannot be.
    """
    row = _invoice(connection, reference)
    _must_fit(connection, row, amount, by)
    identity = digest("by hand", reference, str(amount), on.isoformat(), text)
    known = connection.execute(
        select(recorded_payment.c.id, recorded_payment.c.state).where(
            recorded_payment.c.identity == identity
        )
    ).first()
    if known is not None and known.state != "counted":
        raise PaymentError(
            f"{reference}: this is payment {known.id}, which is {known.state} - count it with "
            f"`flask payments assign {known.id} {reference}`, or give another one its own reference"
        )
    if known is not None:
        return known.id, False
    number = add(
        connection,
        {
            "identity": identity,
            "source": by.source,
            "account": "",
            "entry_reference": "",
            "amount": amount.minor,
            "currency": amount.currency,
            "on": on,
            "text": text[:MOST_TEXT],
            "state": "counted",
            "invoice_id": row["id"],
        },
        by,
    )
    if number is None:
        raise PaymentError(
            f"{reference}: it is being recorded just now - see `flask payments list`"
        )
    count(connection, number, row, by)
    return number, True


def add(connection: Connection, values: Mapping[str, Any], by: Recorder) -> int | None:
    """Store a payment; return its number, None if its identity is there already."""
    number = connection.execute(
        insert_for(connection, recorded_payment)
        .values(recorded_by=by.actor, recorded_at=by.now, **values)
        .on_conflict_do_nothing(index_elements=["identity"])
        .returning(recorded_payment.c.id)
    ).scalar()
    return None if number is None else int(number)


def assign(connection: Connection, number: int, reference: str, by: Recorder) -> None:
    """Count a payment on an invoice that a person names: what waits, or was taken back or aside."""
    found = find(connection, number)
    if found["state"] == "counted":
        raise PaymentError(
            f"payment {number}: is counted - take it back first: "
            f"`flask payments take-back {number}`"
        )
    if found["state"] == "takes back":
        raise PaymentError(f"payment {number}: takes another one back - assign that one")
    row = _invoice(connection, reference)
    amount = Money(found["amount"], found["currency"])
    _must_fit(connection, row, amount, by)
    _change(connection, number, "counted", None, invoice_id=row["id"], about_id=None)
    count(connection, number, row, by)


def take_back(
    connection: Connection, number: int, by: Recorder, *, reason: str | None = None
) -> None:
    """Let a payment that is counted not be counted any more."""
    found = find(connection, number)
    if found["state"] != "counted":
        raise PaymentError(f"payment {number}: is {found['state']} - only what is counted can be")
    row = _locked(connection, invoice.c.id == found["invoice_id"])
    left = recorded_on(connection, row["id"])
    left = Recorded(left.paid - max(found["amount"], 0), left.refunded - max(-found["amount"], 0))
    _must_stand(row)
    _must_be_refundable(row, left, number)
    _change(connection, number, "taken back", reason or f"by {by.actor}")
    note(
        connection,
        by.now,
        actor=by.actor,
        action="payment.taken_back",
        entity=f"payment:{number}",
        invoice=row["reference"],
        amount=found["amount"],
        currency=found["currency"],
        reason=reason,
    )
    recount(connection, row["id"], by.actor, by.told, by.now)


def set_aside(connection: Connection, number: int, by: Recorder) -> None:
    """Note that an entry pays no invoice: it does not wait any more."""
    found = find(connection, number)
    if found["state"] != "waiting":
        raise PaymentError(f"payment {number}: is {found['state']} - only what waits is set aside")
    _change(connection, number, "set aside", f"by {by.actor}")
    note(
        connection,
        by.now,
        actor=by.actor,
        action="payment.set_aside",
        entity=f"payment:{number}",
        amount=found["amount"],
        currency=found["currency"],
    )


def count(connection: Connection, number: int, row: RowMapping, by: Recorder) -> None:
    """Let an invoice show a payment that was just stored as counted; the caller holds its row."""
    found = find(connection, number)
    note(
        connection,
        by.now,
        actor=by.actor,
        action="payment.counted",
        entity=f"payment:{number}",
        invoice=row["reference"],
        amount=found["amount"],
        currency=found["currency"],
        source=found["source"],
    )
    recount(connection, row["id"], by.actor, by.told, by.now)


def obstacle(connection: Connection, row: RowMapping, connectors: Collection[str]) -> str | None:
    """Return why no payment can be recorded on an invoice, and what to do; None if it can be."""
    if row["kind"] != "invoice":
        return "is a credit note - name the invoice that it credits"
    if row["connector"] not in connectors:
        return (
            f"{row['connector']} knows itself what was paid, and that counts - note it there, then "
            "run `flask sync`"
        )
    if row["state"] != "pushed" and not (is_amended(row) and row["state"] != "approved"):
        return f"is {row['state']} and not at {row['connector']} - try again when it is pushed"
    if row["payment"] in VOID:
        return f"is {row['payment']} at {row['connector']}: nobody owes it - pay the money back"
    last = connection.execute(
        select(payment)
        .where(payment.c.invoice_id == row["id"])
        .order_by(payment.c.id.desc())
        .limit(1)
    ).first()
    said = None if last is None else said_there(last)
    if said is not None and (said.paid or said.refunded):
        return (
            f"its payments are noted at {row['connector']} - note this one there too, so that none "
            "is counted twice"
        )
    return None


def find(connection: Connection, number: int) -> RowMapping:
    """Return a recorded payment and hold its row; raise PaymentError if there is none."""
    row = (
        connection.execute(
            select(recorded_payment).where(recorded_payment.c.id == number).with_for_update()
        )
        .mappings()
        .first()
    )
    if row is None:
        raise PaymentError(f"payment {number}: there is none - see `flask payments list`")
    return row


def list_recorded(
    connection: Connection,
    *,
    reference: str | None = None,
    state: str | None = None,
    after: int | None = None,
    limit: int = 50,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Return a page of recorded payments; `reference` is that of an invoice."""
    table = recorded_payment
    query = select(table, invoice.c.reference).outerjoin(
        invoice, invoice.c.id == table.c.invoice_id
    )
    if reference is not None:
        query = query.where(invoice.c.reference == reference)
    if state is not None:
        query = query.where(table.c.state == state)
    if after is not None:
        query = query.where(table.c.id < after if newest_first else table.c.id > after)
    order = table.c.id.desc() if newest_first else table.c.id
    return [
        payment_json(row)
        for row in connection.execute(query.order_by(order).limit(limit)).mappings()
    ]


def payment_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a recorded payment as the API and the command tell it."""
    amount = Money(row["amount"], row["currency"])
    return {
        "id": row["id"],
        "invoice": row["reference"],
        "state": row["state"],
        "reason": row["reason"],
        "amount": amount.as_json(),
        "on": row["on"].isoformat(),
        "text": row["text"],
        "payer": row["payer"],
        "source": row["source"],
        "account": row["account"] or None,
        "bank_reference": row["entry_reference"] or None,
        "about": row["about_id"],
        "recorded_by": row["recorded_by"],
        "recorded_at": as_utc_text(row["recorded_at"]),
    }


def _must_fit(connection: Connection, row: RowMapping, amount: Money, by: Recorder) -> None:
    reference = row["reference"]
    problem = obstacle(connection, row, by.connectors)
    if problem is not None:
        raise PaymentError(f"{reference}: {problem}")
    if amount.minor == 0:
        raise PaymentError(f"{reference}: nothing was paid - name an amount")
    if amount.currency != row["currency"]:
        raise PaymentError(
            f"{reference}: is in {row['currency']}, and {amount} came in - record what it is in "
            f"{row['currency']}"
        )
    already = recorded_on(connection, row["id"])
    after = Recorded(already.paid + max(amount.minor, 0), already.refunded + max(-amount.minor, 0))
    _must_be_refundable(row, after, None)


def _must_be_refundable(row: RowMapping, after: Recorded, number: int | None) -> None:
    if after.refunded > after.paid:
        paid = Money(after.paid, row["currency"])
        raise PaymentError(
            f"{row['reference']}: more would be refunded than the {paid} that were paid - "
            + ("record the payment first" if number is None else "take the refund back first")
        )


def _must_stand(row: RowMapping) -> None:
    if row["state"] == "approved":
        raise PaymentError(f"{row['reference']}: is being pushed just now - try again in a minute")


def _invoice(connection: Connection, reference: str) -> RowMapping:
    return _locked(connection, invoice.c.reference == reference, reference)


def _locked(connection: Connection, condition: Any, reference: str = "invoice") -> RowMapping:
    row = connection.execute(select(invoice).where(condition).with_for_update()).mappings().first()
    if row is None:
        raise NoInvoiceError(f"{reference}: no such invoice - see `flask invoices list`")
    return row


def _change(
    connection: Connection, number: int, state: str, reason: str | None, **values: Any
) -> None:
    connection.execute(
        update(recorded_payment)
        .where(recorded_payment.c.id == number)
        .values(state=state, reason=reason, **values)
    )
