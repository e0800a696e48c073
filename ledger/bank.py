"""What a bank says: the entries of an account, and the payments that were recorded from them.

A recorded payment comes from a bank statement or from a person. Which entry it was is part of it,
so that the same entry is counted once, however often and in whichever format it comes in.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    bindparam,
    case,
    func,
    select,
)

from .columns import Id, UtcDateTime, metadata
from .events import canonical_json
from .payments import Recorded

STATES: Final = ("counted", "waiting", "taken back", "takes back", "same", "set aside")
"""Of recorded payments. Only what is counted is paid; what waits is a question to a person.

taken back: it was counted, and is not any more. takes back: the bank's entry that did so. same: it
is the payment that it is about, told once more. set aside: a person says that it is none.
"""
MOST_TEXT: Final = 1000
"""Characters of an entry's text that are kept."""

recorded_payment = Table(
    "recorded_payment",
    metadata,
    Column("id", Id, primary_key=True),
    # Of the bank's entry, or of what a person has written: nothing is counted twice.
    Column("identity", String(64), nullable=False, unique=True),
    Column("source", String(16), nullable=False),  # hand, api, csv, mt940, camt.053.001.08
    Column("account", String(64), nullable=False),  # see `account_key`; "" where it is not known
    Column("entry_reference", String(64), nullable=False),  # the bank's own, "" without
    Column("amount", BigInteger, nullable=False),  # below zero: money that went out
    Column("currency", String(3), nullable=False),
    Column("on", Date, nullable=False),
    Column("text", Text, nullable=False),
    Column("payer", Text),
    Column("state", String(16), nullable=False),
    Column("reason", Text),  # why it is not counted
    Column("invoice_id", ForeignKey("invoice.id")),
    Column("about_id", ForeignKey("recorded_payment.id"), index=True),  # which it takes back, is
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Index("ix_recorded_payment_invoice_id", "invoice_id", "state"),
    Index("ix_recorded_payment_state", "state", "id"),
    Index("ix_recorded_payment_entry", "on", "amount", "currency"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a bank account, as a statement tells it."""

    source: str
    """The format of the statement: `camt.053.001.08`, `mt940`, `csv`."""
    account: str
    """See `account_key`."""
    amount: int
    """Minor units; below zero: money that went out."""
    currency: str
    on: date
    """The day from which the money counts."""
    texts: tuple[str, ...]
    """All in which the payer may have written what he pays for."""
    payer: str | None = None
    entry_reference: str = ""
    """By which the bank knows this entry for ever; "" where it does not tell one."""
    number: str = ""
    """What else tells it from others: a number that holds in its statement alone."""
    is_reversal: bool = False
    """It undoes an earlier entry of the other sign."""
    ordinal: int = 0
    """Which one of several equal ones in one statement, where the bank tells no reference."""

    @property
    def text(self) -> str:
        """Return its texts as one, as they are kept."""
        return " ".join(each for each in self.texts if each)[:MOST_TEXT]

    def content(self) -> tuple[str, ...]:
        """Return what it says: equal for the same entry, spaces aside."""
        words = re.sub(r"\s+", "", "".join((*self.texts, self.payer or "")))
        return (self.number, words, "reversal" if self.is_reversal else "")

    def identity(self) -> str:
        """Return what tells it from every other entry.

        Day and amount count beside the bank's reference, because some banks begin again at 1.
        """
        money = (self.account, self.on.isoformat(), str(self.amount), self.currency)
        if self.entry_reference:
            return digest("entry", *money, self.entry_reference)
        return digest("content", *money, *self.content(), str(self.ordinal))


def digest(*parts: str) -> str:
    """Return the SHA-256 of some words."""
    return hashlib.sha256(canonical_json(list(parts)).encode()).hexdigest()


_GERMAN_IBAN: Final = re.compile(r"DE\d\d(\d{18})")
_GERMAN_ACCOUNT: Final = re.compile(r"(\d{8})/(\d{1,10})")


def account_key(text: str) -> str:
    """Return a bank account as it is compared: without spaces, and without its currency.

    A German account is told as IBAN or as bank code and number, which is the end of its IBAN.

    >>> account_key("DE89 3704 0044 0532 0130 00"), account_key("37040044/532013000EUR")
    ('370400440532013000', '370400440532013000')
    """
    key = re.sub(r"\s+", "", text).upper()
    key = re.sub(r"(?<=\d)(EUR|USD|GBP|CHF)$", "", key)
    if found := _GERMAN_IBAN.fullmatch(key):
        return found[1]
    if found := _GERMAN_ACCOUNT.fullmatch(key):
        return found[1] + found[2].zfill(10)
    return key[:64]


def recorded_on(connection: Connection, invoice_id: int) -> Recorded:
    """Return what the payments come to that are counted on an invoice."""
    row = connection.execute(_RECORDED, {"invoice_id": invoice_id}).one()
    return Recorded(int(row.paid or 0), int(row.refunded or 0))


_AMOUNT: Final = recorded_payment.c.amount
_RECORDED: Final = select(
    func.sum(case((_AMOUNT > 0, _AMOUNT), else_=0)).label("paid"),
    func.sum(case((_AMOUNT < 0, -_AMOUNT), else_=0)).label("refunded"),
).where(
    recorded_payment.c.invoice_id == bindparam("invoice_id"),
    recorded_payment.c.state == "counted",
)
