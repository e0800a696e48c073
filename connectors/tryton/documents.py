"""How one of our drafts looks in Tryton. Pure: ids of Tryton's records are given.

Tryton makes a line's amount of quantity and unit price, rounding half to even, and keeps four
decimal places of a price. Where that may not be our amount, the line is one of the amount itself,
and its text tells how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import InvoiceDraft, PrintedLine
from ledger.money import Money, exponent, line_amount, places_of, printed
from ledger.shown import Shown, ShownLine
from ledger.taxes import line_taxes, tax_of

from .api import Number

PRICE_PLACES: Final = 4
"""Decimal places of a unit price: `price_decimal` of Tryton's own configuration, as it comes."""
SURE_DIGITS: Final = 15
"""Decimal digits that a binary number of 64 bits keeps."""
_HALF: Final = 2
ORDER: Final = "Purchase order"


@dataclass(frozen=True, slots=True)
class LineCoding:
    """Where a line stands in the books: ids of Tryton's records."""

    account: int
    product: int | None = None
    unit: int | None = None
    tax: int | None = None
    """A tax without an amount; the others stand on the invoice."""


@dataclass(frozen=True, slots=True)
class InvoiceTax:
    """A tax on the invoice with an amount of ours: what Tryton calls a manual one."""

    tax: int
    account: int
    description: str
    base: Decimal
    amount: Decimal

    def values(self, sequence: int) -> dict[str, Any]:
        """Return it as Tryton writes it."""
        return {
            "manual": True,
            "sequence": sequence,
            "tax": self.tax,
            "account": self.account,
            "description": self.description,
            "base": self.base,
            "amount": self.amount,
        }


def check(draft: InvoiceDraft) -> None:
    """Raise RejectedError or UnsupportedError for what no invoice in Tryton can be."""
    if not draft.lines:
        raise RejectedError(f"tryton: {draft.reference} has no lines - there is nothing to bill")
    for line in draft.lines:
        if line.coding.tracking:
            raise UnsupportedError(
                f'tryton: {draft.reference}: "{line.description}" has tracking:, which this '
                "connector does not write - take it out of books:"
            )


def shown(draft: InvoiceDraft) -> Shown:
    """Return what stands on the invoice there."""
    return Shown(draft.total, tuple(_shown_lines(draft)), header(draft))


def header(draft: InvoiceDraft) -> dict[str, str]:
    """Return what stands above and below the lines, by the names of Tryton's fields."""
    order = f"{ORDER} {draft.purchase_order}" if draft.purchase_order else None
    due = None if draft.days_until_due is None else f"{draft.days_until_due} days"
    return header_of(order, _comment(draft), due)


def header_of(description: str | None, comment: str | None, due: str | None) -> dict[str, str]:
    """Return a header without what is empty."""
    said = {"description": description, "comment": comment, "payment_term": due}
    return {name: value for name, value in said.items() if value}


def _comment(draft: InvoiceDraft) -> str:
    """Return what Tryton prints below the lines: memo, footer, and what taxes must say."""
    texts = [draft.memo, draft.footer, *(each.words.text for each in draft.taxes)]
    return "\n\n".join(text for text in texts if text)


def _shown_lines(draft: InvoiceDraft) -> list[ShownLine]:
    taxes = line_taxes([(line.tax, line.amount) for line in draft.lines])
    return [
        _shown_line(line, draft.currency, tax if _is_included(line) else None)
        for line, tax in zip(draft.lines, taxes, strict=True)
    ]


def _is_included(line: PrintedLine) -> bool:
    return bool(line.tax) and tax_of(line.tax).is_included


def _shown_line(line: PrintedLine, currency: str, tax_within: int | None) -> ShownLine:
    """Return a line as Tryton shows it: its amounts are always without tax."""
    if tax_within is None and _is_product(line, currency):
        return ShownLine(line.description, line.amount, line.quantity, line.unit_price)
    net = line.amount - (tax_within or 0)
    text = f"{line.description} ({printed(line.quantity)} x {line.unit_price:f} {currency}"
    text += ")" if tax_within is None else f" = {Money(line.amount, currency)} with tax)"
    return ShownLine(text, net, Decimal(1), Money(net, currency).decimal())


def _is_product(line: PrintedLine, currency: str) -> bool:
    """Return whether Tryton makes just our amount of a line's quantity and price."""
    if places_of(line.unit_price) > PRICE_PLACES:
        return False
    # A quantity is a binary number there, which keeps as many digits.
    if len(line.quantity.normalize().as_tuple().digits) > SURE_DIGITS:
        return False
    minor = Fraction(line.quantity) * Fraction(line.unit_price) * 10 ** exponent(currency)
    is_half_way = minor.denominator == _HALF
    ours = line_amount(line.quantity, line.unit_price, currency).minor
    return not is_half_way and ours == line.amount


def content(
    draft: InvoiceDraft,
    *,
    currency: int,
    payment_term: int | None,
    codings: Sequence[LineCoding],
    taxes: Sequence[InvoiceTax],
) -> dict[str, Any]:
    """Return the values of an invoice that follow from the draft's content."""
    there = header(draft)
    lines = [
        _line_values(line, coding, currency, number)
        for number, (line, coding) in enumerate(
            zip(_shown_lines(draft), codings, strict=True), start=1
        )
    ]
    return {
        "description": there.get("description"),
        "comment": there.get("comment"),
        "payment_term": payment_term,
        "lines": [["create", lines]],
        "taxes": [["create", [tax.values(number) for number, tax in enumerate(taxes, 1)]]]
        if taxes
        else [],
    }


def _line_values(
    line: ShownLine, coding: LineCoding, currency: int, number: int
) -> Mapping[str, Any]:
    return {
        "type": "line",
        "sequence": number,
        "currency": currency,
        "description": line.description,
        "quantity": Number(Decimal(1) if line.quantity is None else line.quantity),
        # Idle zeros count as digits there.
        "unit_price": None if line.unit_price is None else line.unit_price.normalize(),
        "account": coding.account,
        "product": coding.product,
        "unit": coding.unit,
        "taxes": [["add", [coding.tax]]] if coding.tax is not None else [],
    }
