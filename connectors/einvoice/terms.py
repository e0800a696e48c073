"""One of our drafts in the business terms of EN 16931: BT-1 is its number, BG-25 are its lines.

The standard's model is the same for UBL and CII, so that both are written from one description.
Terms and their rules: https://docs.peppol.eu/poacc/billing/3.0/. Amounts are text, exactly as they
will stand there; nothing is rounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.errors import RejectedError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from ledger.money import Money
from ledger.taxes import line_taxes, tax_of

from .seller import Seller

INVOICE: Final = "380"
CREDIT_NOTE: Final = "381"
SEPA_CREDIT_TRANSFER: Final = "58"
CREDIT_TRANSFER: Final = "30"
ONE: Final = "C62"
STANDARD: Final = "S"
NOT_SUBJECT: Final = "O"
INTRA_COMMUNITY: Final = "K"
REASON_CODES: Final = {
    "AE": "VATEX-EU-AE",
    "K": "VATEX-EU-IC",
    "G": "VATEX-EU-G",
    "O": "VATEX-EU-O",
}
"""The code of the reason why no VAT is taken, by category; exempt (E) has its text only."""
NEEDS_NO_REASON: Final = ("S", "Z", "L", "M")
"""Categories that must not have a reason (BR-S-10, BR-Z-10); their sentences are notes."""
CATEGORIES: Final = ("S", "Z", "E", "AE", "K", "G", "O", "L", "M")
MOST_DECIMALS: Final = 2
"""Of an amount, in every currency: BR-DEC-01 to BR-DEC-28."""
_VAT_ID: Final = re.compile(r"[A-Z]{2}[0-9A-Z+*]{2,13}")
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is escaped: https://www.w3.org/TR/xml/#charsets."""


def clean(text: str) -> str:
    """Return a text without what XML cannot hold.

    >>> clean("Fix\\x00 it\\x1b")
    'Fix  it '
    """
    return _ILLEGAL.sub(" ", text)


@dataclass(slots=True)
class TaxGroup:
    """What one VAT category with one rate comes to, in minor units."""

    category: str
    rate: Decimal | None
    """Percent; None where the category has none."""
    net: int = 0
    amount: int = 0
    texts: dict[str, None] = field(default_factory=dict)
    """The sentences that must stand on the invoice."""


@dataclass(frozen=True, slots=True)
class NetLine:
    """A line as EN 16931 has it: without taxes, and with a price that is not below zero."""

    line: PrintedLine
    group: TaxGroup
    net: int

    @property
    def numbers(self) -> tuple[Decimal, Decimal, Decimal | None]:
        """Return quantity, price, and the quantity that the price is for (None: one)."""
        quantity, price = self.line.quantity, self.line.unit_price
        if self.net == self.line.amount:
            if price >= 0:
                return quantity, price, None
            return quantity.copy_negate(), price.copy_negate(), None
        # A gross price has no net price that is exact, but what the whole quantity costs is.
        size = quantity.copy_abs()
        return size.copy_negate() if self.net < 0 else size, Decimal(abs(self.net)), size or None


class Terms:
    """A draft for a seller, issued on a day."""

    def __init__(
        self,
        draft: InvoiceDraft,
        seller: Seller,
        *,
        issued_on: date,
        tax_code: str = "",
        unit: str = "",
        credited_on: date | None = None,
    ) -> None:
        """Take a draft; raise RejectedError naming the word to write if something is missing.

        `tax_code` is the category of lines without a tax, `credited_on` the date of the invoice
        that a credit note is about. Raise UnsupportedError for an amount that cannot be written.
        """
        self.draft = draft
        self.seller = seller
        self.issued_on = issued_on
        self._unit = unit or ONE
        self._usual = tax_code
        self._credited_on = credited_on
        self._sign = -1 if draft.credits else 1
        if draft.customer.address is None:
            raise self._rejected("the customer has no address", "address: in the customer's file")
        if draft.days_until_due is None and not draft.credits:
            raise self._rejected("nothing says when it is due", "terms: in the customer's file")
        self.groups: dict[tuple[str, Decimal | None], TaxGroup] = {}
        self.lines = tuple(self._net_lines())
        has_reverse_charge = any(group.category == "AE" for group in self.groups.values())
        if has_reverse_charge and not draft.customer.tax_id:
            raise self._rejected(
                "reverse charge, and the customer has no tax number",
                "tax_id: in the customer's file",
            )

    @property
    def due_on(self) -> date | None:
        """Return the day on which it is due; None for a credit note."""
        days = self.draft.days_until_due
        if days is None or self.draft.credits:
            return None
        return self.issued_on + timedelta(days=days)

    def amount(self, minor: int) -> str:
        """Return an amount as text: a credit note's are above zero."""
        text = f"{Money(minor * self._sign, self.draft.currency).decimal():f}"
        whole, _, decimals = text.partition(".")
        kept, lost = decimals[:MOST_DECIMALS], decimals[MOST_DECIMALS:]
        if lost.strip("0"):
            raise UnsupportedError(
                f"einvoice: {self.draft.reference}: an amount of {text} {self.draft.currency} has "
                f"more than {MOST_DECIMALS} decimals, which EN 16931 cannot say (BR-DEC) - send it "
                "elsewhere with send_to:, or bill in amounts without them"
            )
        return f"{whole}.{kept}" if kept else whole

    def as_dict(self, words: str) -> dict[str, Any]:
        """Return it keyed by business term; `words` are the terms of payment (BT-20)."""
        draft = self.draft
        net = sum(each.net for each in self.lines)
        tax = sum(group.amount for group in self.groups.values())
        total = self.amount(net + tax)
        return _said(
            {
                "BT-1": draft.reference,
                "BT-2": self.issued_on,
                "BT-3": CREDIT_NOTE if draft.credits else INVOICE,
                "BT-5": draft.currency,
                "BT-9": self.due_on,
                "BT-12": clean(draft.particulars.contract or ""),
                "BT-13": clean(draft.purchase_order or ""),
                "BT-20": clean(words),
                "BT-72": draft.period_to,
                "BT-73": draft.period_from,
                "BT-74": draft.period_to,
                **self._payment(),
                "BT-106": self.amount(net),
                "BT-109": self.amount(net),
                "BT-110": self.amount(tax),
                "BT-112": total,
                "BT-115": total,
                "BG-1": [{"BT-22": clean(text)} for text in self._notes() if text],
                "BG-3": [_said({"BT-25": draft.credits, "BT-26": self._credited_on})]
                if draft.credits
                else None,
                "BG-4": self._seller(),
                "BG-7": self._buyer(draft.customer),
                "BG-13": self._delivered_to(),
                "BG-23": [self._breakdown(group) for group in self.groups.values()],
                "BG-25": [self._line(number, each) for number, each in enumerate(self.lines, 1)],
            }
        )

    def _notes(self) -> list[str | None]:
        taxed = [group for group in self.groups.values() if group.category in NEEDS_NO_REASON]
        return [
            self.draft.memo,
            *(text for group in taxed for text in group.texts),
            self.draft.footer,
        ]

    def _net_lines(self) -> Iterator[NetLine]:
        lines = self.draft.lines
        taxes = line_taxes([(line.tax, line.amount) for line in lines])
        for number, (line, amount) in enumerate(zip(lines, taxes, strict=True), 1):
            if not clean(line.description).strip():
                raise self._rejected(f"line {number} has no text", "description: in its rule")
            tax = tax_of(line.tax) if line.tax else None
            category = self._category(line)
            rate = None if category == NOT_SUBJECT else (tax.rate if tax else Decimal(0))
            group = self.groups.setdefault((category, rate), TaxGroup(category, rate))
            net = line.amount - amount if tax and tax.is_included else line.amount
            group.net += net
            group.amount += amount
            words = self.draft.tax_words.get(tax.code) if tax else None
            if words and words.text:
                group.texts[words.text] = None
            yield NetLine(line, group, net)

    def _category(self, line: PrintedLine) -> str:
        """Return the VAT category of a line: as `books:` says, else as its tax does."""
        tax = tax_of(line.tax) if line.tax else None
        if tax is None:
            category = line.coding.tax_code or self._usual
            if not category:
                raise self._rejected(
                    f'no tax is agreed for "{line.description[:40]}"',
                    "taxes: in the customer's file, or tax_code: under the connector",
                )
        elif tax.why_none:
            usual = "AE" if tax.why_none == "reverse charge" else "E"
            category = line.coding.tax_code or usual
        else:
            category = line.coding.tax_code or (STANDARD if tax.rate else "Z")
        takes_tax = category in (STANDARD, "L", "M")
        if category not in CATEGORIES or takes_tax != bool(tax and tax.rate):
            raise self._rejected(
                f'the VAT category "{category}" does not go with the tax "{line.tax or "none"}"',
                f"another tax_code: (one of {' '.join(CATEGORIES)})",
            )
        return category

    def _rejected(self, problem: str, what: str) -> RejectedError:
        return RejectedError(f"einvoice: {self.draft.reference}: {problem} - write {what}")

    def _payment(self) -> dict[str, Any]:
        if not self.seller.iban or self.draft.credits:
            return {}
        in_euros = self.draft.currency == "EUR"
        return {
            "BT-81": SEPA_CREDIT_TRANSFER if in_euros else CREDIT_TRANSFER,
            "BT-83": self.draft.reference,
            "BT-84": self.seller.iban,
            "BT-85": clean(self.seller.name),
            "BT-86": self.seller.bic,
        }

    @property
    def _names_vat_ids(self) -> bool:
        """Return whether VAT numbers stand there: not where VAT is none of its concern, BR-O-02."""
        return all(group.category != NOT_SUBJECT for group in self.groups.values())

    def _seller(self) -> dict[str, Any]:
        seller = self.seller
        scheme, _, endpoint = seller.electronic_address.partition(":")
        contact = {"name": seller.contact, "phone": seller.phone, "email": seller.email}
        return _cleaned(
            {
                "name": seller.name,
                "biz_name": seller.trading_name,
                "vat_identifier": seller.vat_id if self._names_vat_ids else "",
                "tax_identifier": seller.tax_number if self._names_vat_ids else "",
                "legal_identifier": seller.registration,
                "einvoicing_addr": endpoint,
                "einvoicing_addr_schemeid": scheme,
                **_address(seller.lines, seller.postal_code, seller.city, seller.country),
                "contacts": [_cleaned(contact)] if any(contact.values()) else None,
            }
        )

    def _buyer(self, customer: BilledCustomer) -> dict[str, Any]:
        tax_id = "".join((customer.tax_id or "").split()).upper()
        is_vat_id = _VAT_ID.fullmatch(tax_id) is not None
        contact = {"name": customer.contact or "", "email": customer.email or ""}
        legal_name = customer.legal_name or customer.name
        return _cleaned(
            {
                "name": legal_name,
                "biz_name": "" if customer.name == legal_name else customer.name,
                "vat_identifier": tax_id if is_vat_id and self._names_vat_ids else "",
                "identifiers": {None: clean(tax_id)} if tax_id and not is_vat_id else None,
                "einvoicing_addr": customer.email or "",
                "einvoicing_addr_schemeid": "EM" if customer.email else "",
                **self._customer_address(),
                "contacts": [_cleaned(contact)] if customer.contact else None,
            }
        )

    def _customer_address(self) -> dict[str, str]:
        address = self.draft.customer.address
        if address is None:
            return {}
        return _address(address.lines, address.postal_code or "", address.city, address.country)

    def _delivered_to(self) -> dict[str, Any] | None:
        # BR-IC-12: what is supplied to another member state says where it went.
        if any(group.category == INTRA_COMMUNITY for group in self.groups.values()):
            name = self.draft.customer.legal_name or self.draft.customer.name
            return _cleaned({"name": name, **self._customer_address()})
        return None

    def _breakdown(self, group: TaxGroup) -> dict[str, Any]:
        return _said(
            {
                "BT-116": self.amount(group.net),
                "BT-117": self.amount(group.amount),
                "BT-118": group.category,
                "BT-119": _percent(group.rate),
                "BT-120": "" if group.category in NEEDS_NO_REASON else clean(" ".join(group.texts)),
                "BT-121": REASON_CODES.get(group.category),
            }
        )

    def _line(self, number: int, each: NetLine) -> dict[str, Any]:
        quantity, price, of = each.numbers
        is_net = of is None and each.net == each.line.amount
        return _said(
            {
                "BT-126": str(number),
                "BT-129": _plain(quantity.copy_negate() if self.draft.credits else quantity),
                "BT-130": self._unit,
                "BT-131": self.amount(each.net),
                "BT-146": _plain(price) if is_net else self.amount(int(price) * self._sign),
                "BT-149": None if of is None else _plain(of),
                "BT-151": each.group.category,
                "BT-152": _percent(each.group.rate),
                "BT-153": clean(" ".join(each.line.description.split())),
                "BT-155": clean(each.line.coding.item or ""),
            }
        )


def _address(lines: Iterable[str], postal_code: str, city: str, country: str) -> dict[str, str]:
    first, second, *others = [*lines, "", ""]
    third = ", ".join(each for each in others if each)
    names = ("addr_l1", "addr_l2", "addr_l3", "postcode", "city", "country_code")
    return dict(zip(names, (first, second, third, postal_code, city, country), strict=True))


def _said(terms: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in terms.items() if value}


def _cleaned(terms: dict[str, Any]) -> dict[str, Any]:
    texts = {name: clean(each) if isinstance(each, str) else each for name, each in terms.items()}
    return _said(texts)


def _percent(rate: Decimal | None) -> str | None:
    return None if rate is None else _plain(rate)


def _plain(number: Decimal) -> str:
    """Return a number without idle zeros and without an exponent.

    >>> _plain(Decimal("120.00")), _plain(Decimal("-0.50")), _plain(Decimal("1E+2"))
    ('120', '-0.5', '100')
    """
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if not number else text
