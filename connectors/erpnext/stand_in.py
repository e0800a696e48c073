"""A stand-in for ERPNext's REST API: sales invoices, customers, lists and the time of a change.

It rounds half to even and keeps three decimals of a quantity, as a new site does. Never for
production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from werkzeug.exceptions import HTTPException, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Response as Answer
from connectors.stand_in import InProcess, query, serve_for_ever
from connectors.stand_in_accounting import (
    DRAFT,
    OPEN,
    VOID,
    AccountingStandIn,
    Paper,
    Person,
    sent,
    told,
)
from ledger.money import exponent

from .connector import ErpnextConnector

KEY, SECRET = "key-of-the-stand-in", "secret-of-the-stand-in-6672"
SETTINGS: Final = {
    "url": "https://acme.erpnext.example",
    "api_key": KEY,
    "api_secret": SECRET,
    "item": "Consulting",
}
ZONE: Final = ZoneInfo("Asia/Kolkata")
FORMATS: Final = {
    "USD": "#,###.##",
    "EUR": "#,###.##",
    "CHF": "#'###.##",
    "JPY": "#,###",
    "KWD": "#,###.###",
    "ISK": "#,###",
}
"""Of the enabled currencies."""
_INVOICE: Final = [
    *("customer", "company", "currency", "set_posting_time", "posting_date", "due_date", "po_no"),
    *("terms", "remarks", "items", "ignore_pricing_rule", "disable_rounded_total", "modified"),
    *("taxes_and_charges", "ignore_default_payment_terms_template", "payment_schedule"),
    *("custom_billhook", "taxes"),
]
_ITEM: Final = {
    *("item_code", "description", "qty", "rate", "income_account", "item_tax_template"),
    "cost_center",
}
_TAX: Final = {"charge_type", "account_head", "description", "tax_amount"}
TAX_ACCOUNTS: Final = [
    *(("VAT 19 - SN", "VAT 19", 19), ("VAT 8.1 - SN", "VAT 8.1", Decimal("8.1"))),
    *(("VAT 7 - SN", "VAT 7", 7), ("Duty - SN", "Duty", 7), ("A - SN", "A", 0), ("B - SN", "B", 0)),
]
"""Accounts of taxes: name, account name, and rate, zero where none is kept."""
_CUSTOMER: Final = ["customer_name", "customer_type", "customer_details", "tax_id", "email_id"]


class ValidationError(HTTPException):
    """What Frappe answers with where a document is not as it should be."""

    code = 417


class ErpnextStandIn(AccountingStandIn):
    """One site of ERPNext."""

    routes = (
        Rule("/api/resource/<doctype>", endpoint="documents", methods=["GET"]),
        Rule("/api/resource/<doctype>", endpoint="create", methods=["POST"]),
        Rule("/api/resource/Sales Invoice/<name>", endpoint="show", methods=["GET"]),
        Rule("/api/resource/Sales Invoice/<name>", endpoint="update", methods=["PUT"]),
        Rule("/api/resource/Sales Invoice/<name>", endpoint="delete", methods=["DELETE"]),
        Rule("/api/method/frappe.client.get_time_zone", endpoint="time_zone", methods=["GET"]),
    )

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization") != f"token {KEY}:{SECRET}":
            raise Unauthorized("Invalid token")

    def problem(self, description: str) -> dict[str, Any]:
        kind = description if description.isidentifier() else "ValidationError"
        return {"exc_type": kind, "exception": f"frappe.exceptions.{kind}", "exc": "[]"}

    def time_zone(self, request: Request) -> Response:
        """Return the time zone of the site."""
        return told({"message": {"time_zone": ZONE.key}})

    def documents(self, request: Request, doctype: str) -> Response:
        """Return the fields asked for of the documents that fit."""
        asked = query(request, "filters", "fields", "order_by", "limit_start", "limit_page_length")
        filters, fields = json.loads(asked["filters"]), json.loads(asked["fields"])
        found = [each for each in self._records(doctype) if _fits(each, filters)]
        first = int(asked["limit_start"])
        some = found[first : first + int(asked["limit_page_length"])]
        return told({"data": [{name: each[name] for name in fields} for each in some]})

    def create(self, request: Request, doctype: str) -> Response:
        """Insert a document."""
        if doctype == "Customer":
            return told({"data": _customer(self.enter_person(sent(request, *_CUSTOMER)))})
        if doctype != "Sales Invoice":
            raise NotFound("DoesNotExistError")
        written = sent(request, *_INVOICE)
        if written["customer"] not in map(_customer_name, self.people.values()):
            raise ValidationError("LinkValidationError")
        lines, amounts = _items(written)
        taxes = self._taxes(written, written["currency"])
        paper = self.enter(written, lines, amounts, written["currency"], taxes)
        return told({"data": self._invoice(paper)})

    def show(self, request: Request, name: str) -> Response:
        """Return an invoice."""
        return told({"data": self._invoice(self.paper(_number(name)))})

    def update(self, request: Request, name: str) -> Response:
        """Save an invoice, if nobody else has saved it meanwhile."""
        paper = self.paper(_number(name))
        written = sent(request, *_INVOICE)
        if written.pop("modified") != self._moment(paper):
            raise ValidationError("TimestampMismatchError")
        if paper.state != DRAFT:
            raise ValidationError("UpdateAfterSubmitError")
        lines, amounts = _items(written)
        taxes = self._taxes({**paper.written, **written}, written["currency"])
        self.overwrite(paper, written, lines, amounts, taxes)
        return told({"data": self._invoice(paper)})

    def delete(self, request: Request, name: str) -> Response:
        """Delete a draft."""
        paper = self.paper(_number(name))
        if paper.state != DRAFT:
            raise ValidationError("ValidationError")
        self.erase(paper.number)
        return told({"data": "ok"}, 202)

    def paper(self, number: int) -> Paper:
        """Return an invoice; raise NotFound."""
        if number not in self.papers:
            raise NotFound("DoesNotExistError")
        return self.papers[number]

    def edit(self, number: int) -> None:
        """Change a text, as a person does."""
        paper = self.paper(number)
        paper.written["po_no"] = "PO-9999"
        paper.changed_at = self.tick()

    def _taxes(self, written: Mapping[str, Any], currency: str) -> int:
        """Return what the rows of taxes add: each as it stands, rounded as every amount is."""
        places, taxes = exponent(currency), Decimal(0)
        for row in written.get("taxes", ()):
            if unknown := set(row) - _TAX:
                raise ValidationError(f"unknown fields: {sorted(unknown)}")
            if row["charge_type"] != "Actual" or not row["description"]:
                raise ValidationError("MandatoryError")
            if row["account_head"] not in [name for name, *_ in TAX_ACCOUNTS]:
                raise ValidationError("LinkValidationError")
            taxes += _kept(row["tax_amount"], places)
        return int(taxes.scaleb(places))

    def _records(self, doctype: str) -> list[dict[str, Any]]:
        if doctype == "Sales Invoice":
            return [*map(self._invoice, self.papers.values()), *self._returns()]
        if doctype == "Customer":
            return [{**_customer(each), "disabled": 0} for each in self.people.values()]
        if doctype == "Currency":
            return [
                {"name": code, "number_format": told, "enabled": 1}
                for code, told in FORMATS.items()
            ]
        if doctype == "Account":
            return [
                {
                    "name": name,
                    "account_name": called,
                    "tax_rate": rate,
                    "account_type": "Tax",
                    "is_group": 0,
                    "disabled": 0,
                    "company": "Studio Nord",
                }
                for name, called, rate in TAX_ACCOUNTS
            ]
        if doctype == "Company":
            return [{"name": "Studio Nord", "default_currency": "EUR"}]
        raise NotFound("DoesNotExistError")

    def _returns(self) -> list[dict[str, Any]]:
        return [
            {
                "name": f"ACC-SINV-RET-{paper.number:05}",
                "is_return": 1,
                "return_against": _name(paper.number),
                "docstatus": 1,
                "grand_total": paper.decimal(-paper.credited),
            }
            for paper in self.papers.values()
            if paper.credited
        ]

    def _moment(self, paper: Paper) -> str:
        return paper.changed_at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S.000000")

    def _invoice(self, paper: Paper) -> dict[str, Any]:
        empty = dict.fromkeys(("remarks", "due_date", "po_no", "terms", "custom_billhook"))
        return {
            **empty,
            "company": "Studio Nord",
            **paper.written,
            "name": _name(paper.number),
            "is_return": 0,
            "return_against": None,
            "docstatus": {DRAFT: 0, OPEN: 1, VOID: 2}[paper.state],
            "modified": self._moment(paper),
            "grand_total": paper.decimal(paper.total),
            "base_grand_total": paper.decimal(paper.total),
            "outstanding_amount": paper.decimal(paper.remaining if paper.state == OPEN else 0),
            "party_account_currency": paper.currency,
            "items": [
                {**line, "idx": position, "amount": paper.decimal(amount)}
                for position, (line, amount) in enumerate(
                    zip(paper.lines, paper.amounts, strict=True), 1
                )
            ],
        }


def _items(written: dict[str, Any]) -> tuple[list[dict[str, Any]], list[int]]:
    items, amounts = [], []
    places = exponent(written["currency"])
    for item in written.pop("items"):
        if unknown := set(item) - _ITEM:
            raise ValidationError(f"unknown fields: {sorted(unknown)}")
        if not item["item_code"] or isinstance(item["qty"], str) or isinstance(item["rate"], str):
            raise ValidationError("MandatoryError")
        quantity, rate = _kept(item["qty"], 3), _kept(item["rate"], places)
        amount = _kept(quantity * rate, places)
        items.append({**item, "qty": quantity, "rate": rate})
        amounts.append(int(amount.scaleb(places)))
    return items, amounts


def _kept(number: int | Decimal, places: int) -> Decimal:
    return Decimal(number).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def _fits(record: Mapping[str, Any], filters: Sequence[tuple[str, str, Any]]) -> bool:
    there = ((record.get(name), operator, value) for name, operator, value in filters)
    return all(
        found == value if operator == "=" else bool(found) and found >= value
        for found, operator, value in there
    )


def _customer(person: Person) -> dict[str, Any]:
    empty = dict.fromkeys(_CUSTOMER)
    return {**empty, **person.written, "name": _customer_name(person)}


def _customer_name(person: Person) -> str:
    return f"CUST-2026-{person.number:05}"


def _name(number: int) -> str:
    return f"ACC-SINV-2026-{number:05}"


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = ErpnextStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {"customer_name": each.name, "tax_id": each.tax_id, "email_id": each.email}
            for each in there
        )
        return [_customer_name(site.enter_person(each)) for each in entered]

    return ContractRig(
        connect=lambda http: ErpnextConnector(SETTINGS, http),
        http=InProcess(site),
        secret=SECRET,
        happenings={
            **site.happenings("finalize", "pay", "credit", "void", "delete", number_of=_number),
            "edit": lambda name, _minor: site.edit(_number(name)),
        },
        refusal=refusal,
        customers=customers,
    )


def refusal(status: int) -> Answer:
    """Return a refusal as Frappe words it."""
    error = {"exc_type": "ValidationError", "exception": "frappe.exceptions.ValidationError"}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


if __name__ == "__main__":
    serve_for_ever(ErpnextStandIn())
