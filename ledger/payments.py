"""What became of an invoice: amounts are stored, the payment word is derived from them.

One pure function, `payment_of`, turns what a billing system reports into our word.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

DOCUMENTS: Final = ("draft", "open", "void", "deleted", "written_off", "unknown")
"""The document states of a billing system, in our words."""

PAYMENTS: Final = (
    "draft",
    "open",
    "processing",
    "partially_paid",
    "paid",
    "overpaid",
    "partially_refunded",
    "refunded",
    "credited",
    "disputed",
    "uncollectible",
    "void",
    "deleted",
    "unknown",
)

NO_CURRENCY: Final = "XXX"
"""ISO 4217 for "no currency": of an invoice that is not there any more none is known."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a billing system reports about one invoice, in minor units of its currency."""

    document: str
    """One of `DOCUMENTS`."""
    currency: str
    total: int
    paid: int = 0
    credited: int = 0
    refunded: int = 0
    disputed: int = 0
    overpaid: int = 0
    remaining: int | None = None
    """What is still owed; None lets it follow from the others."""
    is_settling: bool = False
    """A payment is on its way but not yet certain."""
    due_on: date | None = None
    version: str = ""
    """The remote's own version or time of change, where it has one."""
    observed_at: datetime | None = None
    """When it was read: aware, UTC."""

    @property
    def owed(self) -> int:
        """Return what is still owed, as reported or else as it follows; below zero is overpaid."""
        if self.remaining is not None:
            return self.remaining
        return self.total - self.paid - self.credited


def gone_there(asked_at: datetime) -> Amounts:
    """Return what is known of an invoice that its billing system does not have any more."""
    return Amounts("deleted", currency=NO_CURRENCY, total=0, observed_at=asked_at)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the payments come to that were recorded on an invoice here, in minor units."""

    paid: int = 0
    refunded: int = 0

    def __bool__(self) -> bool:
        return bool(self.paid or self.refunded)


def together(said: Amounts, recorded: Recorded) -> Amounts:
    """Return what a billing system says, with the payments that were recorded here.

    A draft on which money has come in was sent by somebody: it is open.
    """
    if not recorded:
        return said
    return replace(
        said,
        document="open" if said.document == "draft" else said.document,
        paid=said.paid + recorded.paid,
        refunded=said.refunded + recorded.refunded,
        remaining=None if said.remaining is None else said.remaining - recorded.paid,
    )


def payment_of(amounts: Amounts) -> str:
    """Return the payment word for reported amounts: the first case that holds.

    A draft that is finalized with a total of zero counts as paid, as Stripe does it.
    """
    if amounts.document not in DOCUMENTS or amounts.document == "unknown":
        return "unknown"
    if amounts.document in ("deleted", "void", "draft"):
        return amounts.document
    if amounts.disputed > 0:
        return "disputed"
    if amounts.refunded > 0:
        return "refunded" if amounts.refunded >= amounts.paid else "partially_refunded"
    if amounts.credited > 0 and amounts.credited >= amounts.total:
        return "credited"
    if amounts.document == "written_off":
        return "uncollectible"
    if amounts.overpaid > 0 or amounts.owed < 0:
        return "overpaid"
    if amounts.owed == 0:
        return "processing" if amounts.is_settling else "paid"
    if amounts.paid + amounts.credited > 0:
        return "partially_paid"
    return "processing" if amounts.is_settling else "open"


def is_overdue(amounts: Amounts, today: date) -> bool:
    """Return whether the due day has passed and money is still owed."""
    return (
        amounts.due_on is not None
        and amounts.due_on < today
        and payment_of(amounts) in ("open", "partially_paid", "processing")
    )


FINAL: Final = frozenset({"void", "deleted", "refunded", "credited"})
"""Words after which the periodic poll looks only rarely."""
