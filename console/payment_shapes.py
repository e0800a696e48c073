"""The shapes of the API about recorded payments."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from ledger.bank import STATES

from .shapes import Asked, Page, RecordedPayment, Word

_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_SIGNED: Final = r"^-?([1-9][0-9]{0,11}(\.[0-9]{1,4})?|0\.[0-9]{0,3}[1-9])$"


class PaymentsAsked(Page):
    """Which recorded payments; `invoice` is a reference."""

    invoice: Word = None
    state: Annotated[
        Literal["counted", "waiting", "taken back", "takes back", "same", "set aside"] | None,
        WithJsonSchema({"type": "string", "enum": list(STATES)}),
    ] = None


class NewPayment(Asked):
    """A payment on an invoice; below zero: a refund. `reference` is the payer's own.

    The same once more (invoice, amount, day and reference) is the same payment, not another one.
    """

    invoice: Annotated[str, Field(pattern=r"^[^\x00]+$", max_length=128)]
    amount: Annotated[str, Field(pattern=_SIGNED)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    on: Annotated[
        str,
        Field(pattern=_DAY),
        WithJsonSchema({"type": "string", "format": "date", "pattern": _DAY}),
    ]
    reference: Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=140)] = ""


class RecordedPayments(BaseModel):
    """A page of recorded payments."""

    payments: list[RecordedPayment]
    next: int | None
