"""An invoice draft as a Xero sales invoice, checked against Xero's limits.

Pure translation, called by the connector before anything is sent: what does not fit is refused
here, named and uncut. https://developer.xero.com/documentation/api/accounting/invoices
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money, exponent, places_of, printed, to_minor
from ledger.shown import Shown, ShownLine
from ledger.taxes import line_taxes, tax_of

from .dates import day

MOST_LINES: Final = 500
"""Xero names no number, but 3.5 MB for a request: so many lines of full length stay below."""
PLACES: Final = 4
"""Decimal places of `Quantity`, and with `unitdp=4` of `UnitAmount`."""
AMOUNT_PLACES: Final = 2
"""Decimal places of every amount, whatever the currency."""
NUMBER, REFERENCE, DESCRIPTION, NAME, SHORT = 255, 255, 4000, 255, 50
MOST_TRACKING: Final = 2
NO_TAX: Final = "NONE"
"""The tax type of a line on which no tax is taken, in every country."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """Where lines stand in the books if neither the rule nor the customer says it."""

    account: str | None = None
    item: str | None = None
    tax_code: str | None = None
    no_tax_code: str = NO_TAX
    branding_theme: str | None = None


def check(draft: InvoiceDraft, defaults: Defaults) -> None:
    """Raise RejectedError or UnsupportedError, naming the field, unless Xero can take this."""
    if not draft.lines:
        raise RejectedError(f"xero: {draft.reference} has no lines - there is nothing to bill")
    _fits(draft, "the reference", draft.reference, NUMBER)
    if "," in draft.reference:
        raise RejectedError(f"xero: {draft.reference}: a number with a comma cannot be looked up")
    _fits(draft, "the purchase order", draft.purchase_order, REFERENCE)
    _fits(draft, "the memo", draft.memo, DESCRIPTION)
    _fits(draft, "the footer", footer(draft), DESCRIPTION)
    for number, line in enumerate(draft.lines, 1):
        if len(line.coding.tracking) > MOST_TRACKING:
            raise RejectedError(
                f"xero: {draft.reference}: line {number} has {len(line.coding.tracking)} tracking "
                f"categories and Xero takes {MOST_TRACKING} - mend tracking: in its rule"
            )
        if _is_taxed(line) and not (line.coding.tax_code or defaults.tax_code):
            raise RejectedError(
                f"xero: {draft.reference}: line {number} has the tax {line.tax}, and Xero's own "
                "type of it is not known - write tax_code: under books: or into the rule"
            )


def invoice(
    draft: InvoiceDraft,
    defaults: Defaults,
    *,
    contact: str,
    on: date,
    status: str = "DRAFT",
) -> dict[str, Any]:
    """Return the whole invoice as it is written there; `on` is the day that it is dated."""
    written: dict[str, Any] = {
        "Type": "ACCREC",
        "Status": status,
        # With its id alone nothing of the contact is changed.
        "Contact": {"ContactID": contact},
        "InvoiceNumber": draft.reference,
        # An empty text takes off what stood there before.
        "Reference": draft.purchase_order or "",
        "CurrencyCode": draft.currency,
        "Date": on.isoformat(),
        "LineAmountTypes": amount_types(draft),
        "LineItems": lines(draft, defaults),
    }
    if draft.days_until_due is not None:
        written["DueDate"] = (on + timedelta(days=draft.days_until_due)).isoformat()
    if defaults.branding_theme:
        written["BrandingThemeID"] = defaults.branding_theme
    return written


def amount_types(draft: InvoiceDraft) -> str:
    """Return how the amounts of the lines are meant: without taxes, with them, or neither.

    Xero knows one way for a whole invoice. Where ours has both, each line is without its tax.
    """
    if not any(line.tax or line.coding.tax_code for line in draft.lines):
        return "NoTax"
    taxed = [line for line in draft.lines if _is_taxed(line)]
    return "Inclusive" if taxed and all(map(_is_included, taxed)) else "Exclusive"


def footer(draft: InvoiceDraft) -> str:
    """Return all that has to stand on the invoice and has no field of its own there."""
    particulars = draft.particulars
    texts = [
        draft.footer,
        *(total.words.text for total in draft.taxes),
        f"Contract: {particulars.contract}" if particulars.contract else None,
        f"{', '.join(particulars.payment_methods)}." if particulars.payment_methods else None,
        particulars.early_payment,
        particulars.late_payment,
    ]
    return "\n\n".join(text for text in texts if text)


def lines(draft: InvoiceDraft, defaults: Defaults) -> list[dict[str, Any]]:
    """Return the lines: the memo first, the footer last, both as lines of nothing but text."""
    taxes = _taxes(draft)
    types = amount_types(draft)
    told: list[dict[str, Any]] = []
    if draft.memo:
        told.append({"Description": draft.memo})
    for number, (line, tax) in enumerate(zip(draft.lines, taxes, strict=True), 1):
        is_made_net = types == "Exclusive" and line.tax != "" and _is_included(line)
        amount = line.amount - tax if is_made_net else line.amount
        written = _priced(draft, line, amount, is_made_net=is_made_net)
        _fits(draft, f"the description of line {number}", written["Description"], DESCRIPTION)
        if account := line.coding.account or defaults.account:
            written["AccountCode"] = account
        if item := line.coding.item or defaults.item:
            written["ItemCode"] = item
        if types != "NoTax":
            default = defaults.tax_code if _is_taxed(line) else defaults.no_tax_code
            written["TaxType"] = line.coding.tax_code or default
            written["TaxAmount"] = _amount(tax, draft)
        if line.coding.tracking:
            written["Tracking"] = [
                {"Name": name, "Option": option} for name, option in line.coding.tracking
            ]
        told.append(written)
    if text := footer(draft):
        told.append({"Description": text})
    return told


def shown(draft: InvoiceDraft, defaults: Defaults) -> Shown:
    """Return how Xero shows a draft."""
    header, rows = header_and_lines(lines(draft, defaults), draft.currency)
    return Shown(draft.total, rows, header_of(draft.purchase_order, header))


def header_of(purchase_order: str | None, header: Mapping[str, str]) -> dict[str, str]:
    """Return what stands above and below the lines, by our words for it."""
    said = {"purchase order": purchase_order, **header}
    return {name: value for name, value in said.items() if value}


def header_and_lines(
    there: Sequence[Mapping[str, Any]], currency: str
) -> tuple[dict[str, str], tuple[ShownLine, ...]]:
    """Return memo and footer, and the lines between them, of the lines of an invoice there."""
    rows = list(there)
    memo: list[str] = []
    below: list[str] = []
    while rows and _is_text(rows[0]):
        memo.append(str(rows.pop(0).get("Description") or ""))
    while rows and _is_text(rows[-1]):
        below.insert(0, str(rows.pop().get("Description") or ""))
    header = {"memo": "\n\n".join(memo), "footer": "\n\n".join(below)}
    return header, tuple(_shown_line(row, currency) for row in rows)


def is_written(written: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Return whether an invoice there stands in the books as this one, besides what it shows."""
    due = there.get("DueDate")
    rows = list(there.get("LineItems") or ())
    return (
        written.get("DueDate") in (None, day(due).isoformat() if due else "")
        and all(written[name] == there.get(name) for name in ("CurrencyCode", "LineAmountTypes"))
        and len(written["LineItems"]) == len(rows)
        and all(map(_has_same_coding, written["LineItems"], rows))
    )


def _has_same_coding(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    tracking = [(each.get("Name"), each.get("Option")) for each in theirs.get("Tracking") or ()]
    return (
        all(
            mine.get(name) in (None, theirs.get(name))
            for name in ("AccountCode", "ItemCode", "TaxType")
        )
        and Decimal(str(mine.get("TaxAmount") or 0)) == Decimal(str(theirs.get("TaxAmount") or 0))
        and [(each["Name"], each["Option"]) for each in mine.get("Tracking") or ()] == tracking
    )


def minor_units(amount: object, currency: str) -> int:
    """Return an amount of Xero's in minor units; raise ValueError unless it is exact."""
    return to_minor(Decimal(str(amount)), currency)


def contact(of: BilledCustomer) -> dict[str, Any]:
    """Return a contact as it is created; raise RejectedError for what is too long."""
    name = of.legal_name or of.name
    limits = (
        ("name", name, NAME),
        ("key", of.key, SHORT),
        ("e-mail address", of.email, NAME),
        ("tax id", of.tax_id, SHORT),
    )
    for what, text, most in limits:
        if text is not None and len(text) > most:
            raise RejectedError(
                f"xero: customer {of.key}: its {what} has {len(text)} characters and Xero takes "
                f"{most} - create it there by hand and write books: {{customer: ID}}"
            )
    created: dict[str, Any] = {"Name": name, "ContactNumber": of.key}
    if of.email:
        created["EmailAddress"] = of.email
    if of.tax_id:
        created["TaxNumber"] = of.tax_id
    if of.address:
        street = {f"AddressLine{at}": text for at, text in enumerate(of.address.lines[:3], 1)}
        if len(of.address.lines) > len(street):
            street["AddressLine4"] = ", ".join(of.address.lines[3:])
        address = {
            # The postal address is the one that stands on invoices.
            "AddressType": "POBOX",
            **street,
            "City": of.address.city,
            "Country": of.address.country,
        }
        if of.address.postal_code:
            address["PostalCode"] = of.address.postal_code
        if of.contact:
            address["AttentionTo"] = of.contact
        created["Addresses"] = [address]
    return created


def _priced(
    draft: InvoiceDraft, line: PrintedLine, amount: int, *, is_made_net: bool
) -> dict[str, Any]:
    """Return quantity, price and amount of a line.

    What Xero would round otherwise than we do is sent as the amount, with the rate in the text.
    """
    sent = _amount(amount, draft)
    if not is_made_net and _is_certain(line, sent):
        quantity, price, text = line.quantity, line.unit_price, line.description
    else:
        rate = f"{printed(line.quantity)} x {line.unit_price:f} {draft.currency}"
        quantity, price, text = Decimal(1), sent, f"{line.description} ({rate})"
    return {"Description": text, "Quantity": quantity, "UnitAmount": price, "LineAmount": sent}


def _is_certain(line: PrintedLine, amount: Decimal) -> bool:
    """Return whether Xero makes just this amount of quantity and price, however it rounds halves.

    It takes four decimal places of both, and rounds to two, also for yen.
    """
    if line.quantity < 0 or line.unit_price < 0:
        return False
    if max(places_of(line.quantity), places_of(line.unit_price)) > PLACES:
        return False
    off = abs(Fraction(line.quantity) * Fraction(line.unit_price) - Fraction(amount))
    return off < Fraction(1, 2 * 10**AMOUNT_PLACES)


def _amount(minor: int, draft: InvoiceDraft) -> Decimal:
    """Return minor units as an amount of Xero's; raise UnsupportedError for a third decimal."""
    amount = Money(minor, draft.currency).decimal()
    if places_of(amount) > AMOUNT_PLACES:
        raise UnsupportedError(
            f"xero: {draft.reference}: {amount:f} {draft.currency} has more than {AMOUNT_PLACES} "
            "decimal places, and Xero keeps no more - send it elsewhere with send_to:"
        )
    return amount


def _taxes(draft: InvoiceDraft) -> list[int]:
    """Return the tax on each line, so that they sum to ours; refuse what Xero cannot express."""
    step = 10 ** max(0, exponent(draft.currency) - AMOUNT_PLACES)
    try:
        return line_taxes([(line.tax, line.amount) for line in draft.lines], step)
    except ValueError:
        taxes = ", ".join(f"{Money(total.amount, draft.currency)}" for total in draft.taxes)
        raise UnsupportedError(
            f"xero: {draft.reference}: the taxes ({taxes}) have more decimals than Xero keeps for "
            f"{draft.currency} - send it elsewhere with send_to:"
        ) from None


def _is_taxed(line: PrintedLine) -> bool:
    """Return whether a tax is taken on a line; it is not where it is zero, or somebody else's."""
    return line.tax != "" and tax_of(line.tax).rate != 0


def _is_included(line: PrintedLine) -> bool:
    return tax_of(line.tax).is_included


def _is_text(row: Mapping[str, Any]) -> bool:
    """Return whether a line is nothing but text."""
    numbers = ("Quantity", "UnitAmount", "LineAmount", "AccountCode", "ItemCode")
    return not any(row.get(name) for name in numbers)


def _shown_line(row: Mapping[str, Any], currency: str) -> ShownLine:
    quantity, price = row.get("Quantity"), row.get("UnitAmount")
    amount = minor_units(row.get("LineAmount") or 0, currency)
    is_priced = quantity is not None and price is not None
    return ShownLine(
        description=str(row.get("Description") or ""),
        amount=amount,
        quantity=Decimal(str(quantity)) if is_priced else None,
        unit_price=Decimal(str(price)) if is_priced else None,
    )


def _fits(draft: InvoiceDraft, what: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise RejectedError(
            f"xero: {draft.reference}: {what} has {len(text)} characters and Xero takes {most} - "
            "shorten it"
        )
