"""An invoice draft as people and billing systems see it, and its fingerprint.

Pure data: how drafts come about is `assembly.py`, where they go is `connectors/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from .events import canonical_json
from .layouts import Layout, layout_from_json
from .money import Money, printed
from .taxes import TaxTotal, TaxWords, tax_totals
from .timesheets import TimesheetRow, as_json, timesheet_from_json

USUAL_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Coding:
    """Where something stands in the books of an accounting system, in that system's own words.

    What is None is as the connector's settings say.
    """

    item: str | None = None
    """The item, product or service."""
    account: str | None = None
    """The revenue account."""
    tax_code: str | None = None
    tracking: tuple[tuple[str, str], ...] = ()
    """Tracking categories, classes or cost centres: name and value."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON; what is not said is left out."""
        said = {"item": self.item, "account": self.account, "tax_code": self.tax_code}
        return _said({**said, "tracking": dict(self.tracking)})

    @property
    def key(self) -> str:
        """Return it as one text, as line items keep it; empty where nothing is said."""
        said = self.as_json()
        return canonical_json(said) if said else ""

    def over(self, usual: Coding) -> Coding:
        """Return what this says, and for what it does not say, what is usual.

        >>> Coding(account="493").over(Coding(account="200", item="Work"))
        Coding(item='Work', account='493', tax_code=None, tracking=())
        """
        return Coding(
            item=self.item or usual.item,
            account=self.account or usual.account,
            tax_code=self.tax_code or usual.tax_code,
            tracking=tuple(sorted({**dict(usual.tracking), **dict(self.tracking)}.items())),
        )


def coding_of(key: str) -> Coding:
    """Return what `Coding.key` wrote down."""
    return coding_from_json(json.loads(key)) if key else Coding()


def coding_from_json(said: Mapping[str, Any]) -> Coding:
    """Return what `Coding.as_json` wrote down."""
    return Coding(**{**said, "tracking": tuple(sorted(said.get("tracking", {}).items()))})


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """One line as it stands on the paper: amount = quantity x unit price, rounded once."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    """Major units of the invoice's currency; may have more decimals than the currency."""
    amount: int
    """Minor units."""
    line_items: tuple[int, ...] = ()
    """The ledger's line items that are summed up here."""
    tax: str = ""
    """Its tax, as `taxes.Tax.key` writes it; empty: none is agreed."""
    coding: Coding = Coding()
    """Where it stands in the books."""

    def as_json(self) -> dict[str, Any]:
        """Return the line as JSON, decimals as text."""
        line = {
            "description": self.description,
            "quantity": printed(self.quantity),
            "unit_price": f"{self.unit_price:f}",
            "amount": self.amount,
        }
        return {**line, **_said({"tax": self.tax, "coding": self.coding.as_json()})}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a customer has its seat."""

    lines: tuple[str, ...]
    """Street and number, building, department."""
    city: str
    country: str
    """ISO 3166-1: two capital letters."""
    postal_code: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the address as JSON."""
        return {
            "lines": list(self.lines),
            "postal_code": self.postal_code,
            "city": self.city,
            "country": self.country,
        }


@dataclass(frozen=True, slots=True)
class BilledCustomer:
    """Who pays."""

    key: str
    """Our stable key of the customer: the `customer:` of its rule file."""
    name: str
    email: str | None = None
    legal_name: str | None = None
    """The name in the register of companies, where it is another one."""
    address: Address | None = None
    tax_id: str | None = None
    contact: str | None = None
    """The person who gets the invoices."""
    language: str = USUAL_LANGUAGE
    """The language of invoices: a code like de or pt-BR."""
    remote_id: str | None = None
    """Its id in the billing system, where an admin has named it."""
    may_be_created: bool = False
    """Whether it is created in an accounting system that does not have it."""

    def as_json(self) -> dict[str, Any]:
        """Return the customer as JSON; what the rules do not say is left out.

        How it is found at the billing system stands on no invoice: it is no part of what is
        approved (docs/adr/0044).
        """
        said = {
            "legal_name": self.legal_name,
            "address": self.address.as_json() if self.address else None,
            "tax_id": self.tax_id,
            "contact": self.contact,
            "language": None if self.language == USUAL_LANGUAGE else self.language,
        }
        return {"key": self.key, "name": self.name, "email": self.email, **_said(said)}


@dataclass(frozen=True, slots=True)
class Particulars:
    """What else was agreed and stands on the invoice."""

    contract: str | None = None
    """The reference of the contract."""
    agreed: str | None = None
    """Who agreed to the terms, and when: "2026-01-15, Jane Doe"."""
    late_payment: str | None = None
    """The clause about paying late."""
    payment_methods: tuple[str, ...] = ()
    early_payment: str | None = None
    """What the customer may take off who pays early."""

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON; what the rules do not say is left out."""
        return _said(
            {
                "contract": self.contract,
                "agreed": self.agreed,
                "late_payment": self.late_payment,
                "early_payment": self.early_payment,
                "payment_methods": list(self.payment_methods),
            }
        )


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has a value: a draft that says no more than before keeps its fingerprint."""
    return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class InvoiceDraft:
    """An invoice before anybody owes it: everything that a billing system needs to know."""

    reference: str
    """Our own number, unique for ever: `acme-2026-10`. Written at the remote side when created."""
    customer: BilledCustomer
    currency: str
    lines: tuple[PrintedLine, ...]
    period_from: date
    period_to: date
    """The last day of the billing period, included."""
    days_until_due: int | None = None
    purchase_order: str | None = None
    memo: str | None = None
    footer: str | None = None
    send_to: str = "file"
    """The connector's name in `workspace.yaml`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    credits: str | None = None
    """Of a credit note: the reference of the invoice that it credits. Its amounts are below zero.
    """
    tax_words: Mapping[str, TaxWords] = field(default_factory=dict)
    """How each tax is called, by its code."""
    particulars: Particulars = field(default_factory=Particulars)

    @property
    def taxes(self) -> tuple[TaxTotal, ...]:
        """Return what each tax comes to; empty if no line has one."""
        return tax_totals(((line.tax, line.amount) for line in self.lines), self.tax_words)

    @property
    def tax(self) -> Money:
        """Return the sum of all taxes."""
        return Money(sum(each.amount for each in self.taxes), self.currency)

    @property
    def net(self) -> Money:
        """Return the total without taxes."""
        return self.total - self.tax

    layout: Layout = field(default_factory=Layout)
    """How its lines are arranged."""
    timesheet: tuple[TimesheetRow, ...] | None = None
    """The entries behind it, where the customer is shown them."""

    @property
    def total(self) -> Money:
        """Return what the customer pays: the printed amounts, and the taxes that are not in them.

        Net and taxes sum to it, to the last minor unit.
        """
        beside = sum(each.amount for each in self.taxes if not each.tax.is_included)
        return Money(sum(line.amount for line in self.lines) + beside, self.currency)

    def as_json(self) -> dict[str, Any]:
        """Return everything that an approval signs, as JSON."""
        particulars = self.particulars.as_json()
        return {
            "reference": self.reference,
            "customer": self.customer.as_json(),
            "currency": self.currency,
            "lines": [line.as_json() for line in self.lines],
            **self._taxes_as_json(),
            "total": self.total.minor,
            "period_from": self.period_from.isoformat(),
            "period_to": self.period_to.isoformat(),
            "days_until_due": self.days_until_due,
            "purchase_order": self.purchase_order,
            "memo": self.memo,
            "footer": self.footer,
            "send_to": self.send_to,
            "metadata": dict(self.metadata),
            **({"credits": self.credits} if self.credits else {}),
            **({"particulars": particulars} if particulars else {}),
            # Only where there is one, so that drafts without it keep their hash.
            **({"layout": layout} if (layout := self.layout.as_json()) else {}),
            **({} if self.timesheet is None else {"timesheet": as_json(self.timesheet)}),
        }

    def _taxes_as_json(self) -> dict[str, Any]:
        if not self.taxes:
            return {}
        taxes = [
            {
                "tax": each.tax.key,
                "code": each.tax.code,
                "rate": f"{each.tax.rate.normalize():f}",
                "name": each.words.name,
                "text": each.words.text,
                "net": each.net,
                "amount": each.amount,
            }
            for each in self.taxes
        ]
        return {"taxes": taxes, "net": self.net.minor, "tax": self.tax.minor}

    def content_hash(self) -> str:
        """Return the SHA-256 that an approval is bound to."""
        return hashlib.sha256(canonical_json(self.as_json()).encode()).hexdigest()


def draft_from_json(content: Mapping[str, Any]) -> InvoiceDraft:
    """Return the draft that `as_json` wrote down (without the line items behind the lines)."""
    return InvoiceDraft(
        reference=content["reference"],
        customer=_customer_from_json(content["customer"]),
        currency=content["currency"],
        lines=tuple(
            PrintedLine(
                description=line["description"],
                quantity=Decimal(line["quantity"]),
                unit_price=Decimal(line["unit_price"]),
                amount=line["amount"],
                tax=line.get("tax", ""),
                coding=coding_from_json(line.get("coding", {})),
            )
            for line in content["lines"]
        ),
        period_from=date.fromisoformat(content["period_from"]),
        period_to=date.fromisoformat(content["period_to"]),
        days_until_due=content["days_until_due"],
        purchase_order=content["purchase_order"],
        memo=content["memo"],
        footer=content["footer"],
        send_to=content["send_to"],
        metadata=content["metadata"],
        credits=content.get("credits"),
        tax_words={
            each["code"]: TaxWords(each["name"], each["text"]) for each in content.get("taxes", ())
        },
        particulars=_particulars_from_json(content.get("particulars", {})),
        layout=layout_from_json(content),
        timesheet=timesheet_from_json(content),
    )


def _customer_from_json(said: Mapping[str, Any]) -> BilledCustomer:
    address = said.get("address")
    if address is None:
        return BilledCustomer(**said)
    lines = tuple(address["lines"])
    return BilledCustomer(**{**said, "address": Address(**{**address, "lines": lines})})


def _particulars_from_json(said: Mapping[str, Any]) -> Particulars:
    return Particulars(**{**said, "payment_methods": tuple(said.get("payment_methods", ()))})
