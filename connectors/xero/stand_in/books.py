"""The books of one organisation at the stand-in, as Xero documents how they behave.

https://developer.xero.com/documentation/api/accounting/invoices, and for its arithmetic
https://developer.xero.com/documentation/guides/how-to-guides/rounding-in-xero
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID

Row = dict[str, Any]

CURRENCIES: Final = frozenset(
    ["BHD", "CHF", "EUR", "GBP", "ISK", "JPY", "KWD", "MGA", "UGX", "USD"]
)
"""Those that the organisation has subscribed to."""
ACCOUNTS: Final = frozenset(("200", "260"))
ITEMS: Final = frozenset(("Consulting",))
TAX_RATES: Final = {"NONE": 0, "OUTPUT": 19, "OUTPUT2": 20, "ECOUTPUTSERVICES": 0}
TRACKING: Final = {"Region": ("North", "South"), "Team": ("Blue",)}
INVOICE_FIELDS: Final = frozenset(
    [
        "BrandingThemeID",
        "Contact",
        "CurrencyCode",
        "Date",
        "DueDate",
        "InvoiceID",
        "InvoiceNumber",
        "LineAmountTypes",
        "LineItems",
        "Reference",
        "Status",
        "Type",
    ]
)
LINE_FIELDS: Final = frozenset(
    [
        "AccountCode",
        "Description",
        "ItemCode",
        "LineAmount",
        "Quantity",
        "TaxAmount",
        "TaxType",
        "Tracking",
        "UnitAmount",
    ]
)
CONTACT_FIELDS: Final = frozenset(
    ["Addresses", "ContactNumber", "EmailAddress", "Name", "TaxNumber"]
)
ADDRESS_FIELDS: Final = frozenset(
    [
        "AddressLine1",
        "AddressLine2",
        "AddressLine3",
        "AddressLine4",
        "AddressType",
        "AttentionTo",
        "City",
        "Country",
        "PostalCode",
    ]
)
OPEN_TO: Final = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
}
"""What the API may make of a status; of others nothing."""
_CENT: Final = Decimal("0.01")


class InvalidError(Exception):
    """What Xero calls a ValidationException; the message is worded as there."""


class Books:
    """Contacts and sales invoices of one organisation."""

    def __init__(self, now: Callable[[], datetime], rounding: str = ROUND_HALF_UP) -> None:
        self.contacts: dict[str, Row] = {}
        self.invoices: dict[str, Row] = {}
        self.overpayments: list[Row] = []
        """Money that came in beyond an invoice: it belongs to the contact."""
        self._now, self._rounding = now, rounding
        self._count = itertools.count(1)

    def create_contact(self, told: Row) -> Row:
        """Create a contact as PUT does; the name is unique."""
        _known(told, CONTACT_FIELDS)
        for address in told.get("Addresses", ()):
            _known(address, ADDRESS_FIELDS)
        if any(each["Name"] == told["Name"] for each in self.contacts.values()):
            raise InvalidError(
                f"The contact name {told['Name']} is already assigned to another contact. The "
                "contact name must be unique across all active contacts."
            )
        return self.enter_contact(told)

    def enter_contact(self, told: Row) -> Row:
        """Keep a contact as a person may enter it."""
        made = {**told, "ContactID": self._id(), "ContactStatus": "ACTIVE", **self._changed()}
        self.contacts[made["ContactID"]] = made
        return made

    def create_invoice(self, told: Row, *, app: str, places: int) -> Row:
        """Create an invoice as PUT does."""
        made: Row = {
            "InvoiceID": self._id(),
            "app": app,
            "Status": "DRAFT",
            "paid": [],
            "credits": [],
            "prepaid": [],
        }
        if told.get("Status", "DRAFT") not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
            raise InvalidError("Invoice status is not valid for a new invoice")
        made = self._written(made, told, places)
        self.invoices[made["InvoiceID"]] = made
        return made

    def update_invoice(self, remote_id: str, told: Row, *, places: int) -> Row:
        """Change an invoice as POST does; what is not sent stays as it was."""
        there = self.invoices[remote_id]
        status = told.get("Status", there["Status"])
        moves = OPEN_TO.get(self.status(there), ())
        has_money = there["paid"] or there["credits"] or there["prepaid"]
        if status not in moves or (self.status(there) == "AUTHORISED" and has_money):
            raise InvalidError("Invoice not of valid status for modification")
        changed = self._written(dict(there), told, places)
        self.invoices[remote_id] = changed
        return changed

    def pay(self, remote_id: str, amount: Decimal) -> str:
        """Let money come in; what is beyond the invoice is an overpayment of the contact."""
        there = self.invoices[remote_id]
        due = self.amounts(there)["AmountDue"]
        payment = {"PaymentID": self._id(), "Amount": min(amount, due), "Status": "AUTHORISED"}
        there["paid"].append(payment)
        there.update(self._changed())
        if amount > due:
            contact = there["Contact"]["ContactID"]
            self.overpayments.append({"contact": contact, "RemainingCredit": amount - due})
        return str(payment["PaymentID"])

    def delete_payment(self, remote_id: str, payment: str) -> None:
        """Take a payment back, as one does that was entered for the wrong invoice."""
        there = self.invoices[remote_id]
        for each in there["paid"]:
            if each["PaymentID"] == payment:
                each["Status"] = "DELETED"
        there.update(self._changed())

    def allocate(self, kind: str, remote_id: str, amount: Decimal) -> None:
        """Set a credit note ("credits") or a prepayment ("prepaid") against an invoice."""
        there = self.invoices[remote_id]
        there[kind].append({"ID": self._id(), "AppliedAmount": amount})
        there.update(self._changed())

    def status(self, there: Row) -> str:
        """Return the status: paid is what nothing is due of."""
        due = self.amounts(there)["AmountDue"]
        return "PAID" if there["Status"] == "AUTHORISED" and not due else str(there["Status"])

    def amounts(self, there: Row) -> dict[str, Decimal]:
        """Return what an invoice comes to."""
        rows = there["LineItems"]
        lines = sum((each["LineAmount"] for each in rows), Decimal(0))
        tax = sum((each["TaxAmount"] for each in rows), Decimal(0))
        net = lines - tax if there["LineAmountTypes"] == "Inclusive" else lines
        paid = sum(
            (each["Amount"] for each in there["paid"] if each["Status"] != "DELETED"), Decimal(0)
        )
        credited = sum(
            (each["AppliedAmount"] for each in (*there["credits"], *there["prepaid"])), Decimal(0)
        )
        is_owed = there["Status"] not in ("VOIDED", "DELETED")
        due = net + tax - paid - credited if is_owed else Decimal(0)
        return {
            "SubTotal": net,
            "TotalTax": tax,
            "Total": net + tax,
            "AmountPaid": paid,
            "AmountCredited": credited,
            "AmountDue": due,
        }

    def _written(self, there: Row, told: Row, places: int) -> Row:
        _known(told, INVOICE_FIELDS)
        given = {name: value for name, value in told.items() if name != "LineItems"}
        there = {"Date": self._now().date().isoformat(), **there, **given, **self._changed()}
        self._check(there)
        if "LineItems" in told:
            types = there.setdefault("LineAmountTypes", "Exclusive")
            there["LineItems"] = [self._line(each, types, places) for each in told["LineItems"]]
        if self.amounts(there)["Total"] < 0:
            raise InvalidError("The TotalAmount must be greater than or equal to zero")
        if there["Status"] == "AUTHORISED":
            self._check_approved(there)
        return there

    def _check(self, there: Row) -> None:
        if there.get("Type") != "ACCREC":
            raise InvalidError("Type is not known")
        contact = there.get("Contact", {})
        if set(contact) != {"ContactID"} or contact["ContactID"] not in self.contacts:
            raise InvalidError("The Contact is not known")
        currency = there.setdefault("CurrencyCode", "EUR")
        if currency not in CURRENCIES:
            raise InvalidError(f"Organisation is not subscribed to currency {currency}")
        number = there.get("InvoiceNumber")
        others = (each for each in self.invoices.values() if each["Status"] != "DELETED")
        if any(
            each["InvoiceNumber"] == number and each["InvoiceID"] != there["InvoiceID"]
            for each in others
        ):
            raise InvalidError("Invoice # must be unique.")
        for name in ("Date", "DueDate"):
            if name in there:
                date.fromisoformat(there[name])
        for name, most in (("InvoiceNumber", 255), ("Reference", 255)):
            if len(there.get(name) or "") > most:
                raise InvalidError(f"{name} exceeds its maximum length of {most}")

    def _check_approved(self, there: Row) -> None:
        if "DueDate" not in there:
            raise InvalidError("DueDate cannot be empty")
        for line in there["LineItems"]:
            if "UnitAmount" in line and not line.get("AccountCode"):
                raise InvalidError("Account code must be specified")

    def _line(self, told: Row, types: str, places: int) -> Row:
        _known(told, LINE_FIELDS)
        text = told.get("Description", "")
        if not 1 <= len(text) <= 4000:
            raise InvalidError("Description must be between 1 and 4000 characters")
        line: Row = {"Description": text, "LineItemID": self._id(), "Tracking": []}
        if not {"Quantity", "UnitAmount", "LineAmount"} & set(told):
            return {**line, "LineAmount": Decimal(0), "TaxAmount": Decimal(0)}
        quantity = _number(told, "Quantity").quantize(Decimal("0.0001"), self._rounding)
        price = _number(told, "UnitAmount").quantize(Decimal(1).scaleb(-places), self._rounding)
        amount = self._cents(quantity * price)
        if "LineAmount" in told and self._cents(_number(told, "LineAmount")) != amount:
            raise InvalidError(
                f"The line total {told['LineAmount']} does not match the expected line total "
                f"{amount}"
            )
        _one_of(told, "AccountCode", ACCOUNTS)
        _one_of(told, "ItemCode", ITEMS)
        kind = told.get("TaxType", "NONE") if types != "NoTax" else "NONE"
        if kind not in TAX_RATES:
            raise InvalidError(f"The TaxType code '{kind}' does not exist or cannot be used")
        if "TaxAmount" in told and types != "NoTax":
            tax = self._cents(_number(told, "TaxAmount"))
        else:
            percent = Decimal(TAX_RATES[kind])
            whole = 100 + percent if types == "Inclusive" else Decimal(100)
            tax = self._cents(amount * percent / whole)
        coding: Row = {name: told[name] for name in ("AccountCode", "ItemCode") if name in told}
        return {
            **line,
            **coding,
            "Quantity": quantity,
            "UnitAmount": price,
            "LineAmount": amount,
            "TaxType": kind,
            "TaxAmount": tax,
            "Tracking": [_tracked(each) for each in told.get("Tracking", ())],
        }

    def _cents(self, amount: Decimal) -> Decimal:
        return amount.quantize(_CENT, self._rounding)

    def _changed(self) -> Row:
        return {"changed_at": self._now()}

    def _id(self) -> str:
        return str(UUID(int=0xA0FFCD2_0000_4000_8000_000000000000 + next(self._count)))


def json_moment(moment: datetime) -> str:
    """Return a moment as Xero writes it."""
    return f"/Date({int(moment.timestamp() * 1000)}+0000)/"


def json_day(day: str) -> str:
    """Return a day as Xero writes it."""
    return json_moment(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC))


def _known(told: Mapping[str, Any], fields: frozenset[str]) -> None:
    if unknown := set(told) - fields:
        raise InvalidError(f"unknown fields: {sorted(unknown)}")


def _number(told: Row, name: str) -> Decimal:
    value = told.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidError(f"{name} is no number")
    return Decimal(value)


def _one_of(told: Row, name: str, known: frozenset[str]) -> None:
    if name in told and told[name] not in known:
        words = re.sub("C", " c", name, count=1)
        raise InvalidError(f"{words} '{told[name]}' is not a valid code for this document")


def _tracked(told: Row) -> Row:
    if set(told) != {"Name", "Option"} or told["Option"] not in TRACKING.get(told["Name"], ()):
        raise InvalidError("The TrackingCategory or its option is not known")
    return told
