"""A stand-in for Zoho Books' API: invoices and contacts of one organization.

Lists say less than a single read, and lines that an update leaves out are gone. Never for
production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from werkzeug.exceptions import BadRequest, Unauthorized
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
    Bearer,
    Paper,
    Person,
    sent,
    told,
)

from .connector import ZohoBooksConnector

TOKEN: Final = "1000.token-of-the-stand-in-7a6f686f"  # noqa: S105
ORGANIZATION: Final = "10234695"
SETTINGS: Final = {
    "client_id": "1000.BILLHOOK",
    "client_secret": "a-client-secret",
    "organization_id": ORGANIZATION,
    "data_center": "eu",
}
CURRENCIES: Final = {"USD": 2, "EUR": 2, "CHF": 2, "JPY": 0, "KWD": 3}
"""Decimal places of those that the organization has; its ids are made of the code."""
TAXES: Final = {
    "t-19": ("VAT 19", "19"),
    "t-7": ("VAT 7", "7"),
    "t-81": ("VAT 8.1", "8.1"),
    "460-4": ("None", "0"),
    "t-10": ("Sales 10", "10"),
    "t-5": ("GST", "5"),
    "t-1": ("Levy", "1"),
    "t-0": ("RC", "0"),
}
"""Name and percentage, by id."""
_INVOICE: Final = [
    *("customer_id", "reference_number", "currency_id", "date", "due_date", "payment_terms"),
    *("notes", "terms", "is_inclusive_tax", "line_items"),
]
_LINE: Final = {
    *("item_order", "description", "quantity", "rate", "item_id", "account_id", "tax_id"),
}
_CONTACT: Final = [
    *("contact_name", "company_name", "contact_type", "currency_id", "notes"),
    *("contact_persons", "billing_address"),
]


class ZohoBooksStandIn(AccountingStandIn):
    """One organization."""

    first_number = 460000000026001
    routes = (
        Rule("/books/v3/organizations", endpoint="organizations", methods=["GET"]),
        Rule("/books/v3/settings/currencies", endpoint="currencies", methods=["GET"]),
        Rule("/books/v3/settings/taxes", endpoint="tax_list", methods=["GET"]),
        Rule("/books/v3/invoices", endpoint="invoices", methods=["GET"]),
        Rule("/books/v3/invoices", endpoint="create", methods=["POST"]),
        Rule("/books/v3/invoices/<int:number>", endpoint="show", methods=["GET"]),
        Rule("/books/v3/invoices/<int:number>", endpoint="update", methods=["PUT"]),
        Rule("/books/v3/invoices/<int:number>", endpoint="delete", methods=["DELETE"]),
        Rule("/books/v3/contacts", endpoint="contacts", methods=["GET"]),
        Rule("/books/v3/contacts", endpoint="create_contact", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.taxes = dict(TAXES)
        self.is_rounded_by_line = False
        """How the organization rounds taxes: on each line item, or for the whole transaction."""

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("You are not authorized to perform this operation")
        is_any = request.path.endswith("/organizations")
        if not is_any and request.args.get("organization_id") != ORGANIZATION:
            raise BadRequest("This user is not associated with the company")

    def problem(self, description: str) -> dict[str, Any]:
        return {"code": 1002, "message": description}

    def organizations(self, request: Request) -> Response:
        """List organizations."""
        there = {"organization_id": ORGANIZATION, "name": "Studio Nord", "currency_code": "EUR"}
        return _told({"organizations": [there]})

    def currencies(self, request: Request) -> Response:
        """List currencies."""
        there = [
            {"currency_id": f"c-{code}", "currency_code": code, "price_precision": places}
            for code, places in CURRENCIES.items()
        ]
        return _told({"currencies": there})

    def tax_list(self, request: Request) -> Response:
        """List taxes."""
        there = [
            {"tax_id": each, "tax_name": name, "tax_percentage": Decimal(rate), "tax_type": "tax"}
            for each, (name, rate) in self.taxes.items()
        ]
        return _told({"taxes": there})

    def _taxed(self, written: dict[str, Any]) -> tuple[list[dict[str, Any]], list[int], str, int]:
        """Return lines, their amounts without tax, the currency, and the tax of all."""
        lines, amounts, currency = _lines(written)
        gross = sum(amounts)
        by_tax: dict[object, Decimal] = {}
        for at, line in enumerate(lines):
            rate = Decimal(self.taxes[line["tax_id"]][1]) if line.get("tax_id") else Decimal(0)
            tax = amounts[at] * rate / (100 + rate if written["is_inclusive_tax"] else 100)
            if written["is_inclusive_tax"]:
                amounts[at] -= _whole(tax)
            group = at if self.is_rounded_by_line else line.get("tax_id")
            by_tax[group] = by_tax.get(group, Decimal(0)) + tax
        taxes = sum(map(_whole, by_tax.values()))
        if written["is_inclusive_tax"]:
            # The items sum to what is left of the prices.
            amounts[-1] += gross - taxes - sum(amounts)
        return lines, amounts, currency, taxes

    def invoices(self, request: Request) -> Response:
        """List invoices, without their lines."""
        filters = ("reference_number", "last_modified_time")
        asked = query(request, "organization_id", "page", "per_page", *filters)
        since = datetime.fromisoformat(asked.get(filters[1], "2000-01-01T00:00:00+0000"))
        found = [
            {"invoice_id": str(each.number), "status": self._invoice(each)["status"]}
            for each in self.changed_since(since)
            if asked.get(filters[0]) in (None, each.written["reference_number"])
        ]
        return _page(asked, "invoices", found)

    def create(self, request: Request) -> Response:
        """Create a draft."""
        written = sent(request, *_INVOICE)
        lines, amounts, currency, taxes = self._taxed(written)
        if int(written["customer_id"]) not in self.people:
            raise BadRequest("Customer does not exist.")
        paper = self.enter(written, lines, amounts, currency, taxes)
        return _told({"invoice": self._invoice(paper)}, 201)

    def show(self, request: Request, number: int) -> Response:
        """Return an invoice."""
        return _told({"invoice": self._invoice(self.paper(number))})

    def update(self, request: Request, number: int) -> Response:
        """Change an invoice."""
        paper = self.paper(number)
        written = sent(request, *_INVOICE)
        lines, amounts, _, taxes = self._taxed(written)
        self.overwrite(paper, written, lines, amounts, taxes)
        return _told({"invoice": self._invoice(paper)})

    def delete(self, request: Request, number: int) -> Response:
        """Delete an invoice without payments."""
        if self.paper(number).paid:
            raise BadRequest("Invoices with payments cannot be deleted.")
        self.erase(number)
        return _told({})

    def contacts(self, request: Request) -> Response:
        """List contacts, without what identifies them for taxes."""
        asked = query(request, "organization_id", "page", "per_page", "contact_type")
        return _page(asked, "contacts", [*map(_contact, self.people.values())])

    def create_contact(self, request: Request) -> Response:
        """Create a contact; its name is there only once."""
        written = sent(request, *_CONTACT)
        if any(each.written["contact_name"] == written["contact_name"] for each in self._people()):
            raise BadRequest("The customer already exists.")
        return _told({"contact": _contact(self.enter_person(written))}, 201)

    def _people(self) -> Sequence[Person]:
        return [*self.people.values()]

    def _invoice(self, paper: Paper) -> dict[str, Any]:
        is_open = paper.state == OPEN
        owed = 0 if paper.state == VOID or paper.is_written_off else paper.remaining
        status = {DRAFT: "draft", VOID: "void"}.get(paper.state, "sent")
        if is_open and owed != paper.total:
            status = "partially_paid" if owed else "paid"
        written_off = paper.remaining if paper.is_written_off else 0
        return {
            "payment_terms": 0,
            "due_date": paper.written["date"],
            **paper.written,
            "invoice_id": str(paper.number),
            "invoice_number": f"INV-{paper.number % 1000:06}",
            "status": status,
            "currency_code": paper.currency,
            "tax_total": paper.decimal(paper.taxes),
            "total": paper.decimal(paper.total),
            "balance": paper.decimal(owed),
            "payment_made": paper.decimal(paper.paid),
            "credits_applied": paper.decimal(paper.credited),
            "write_off_amount": paper.decimal(written_off),
            "last_modified_time": paper.changed_at.isoformat(),
            "line_items": [
                {**line, "item_total": paper.decimal(amount)}
                for line, amount in zip(paper.lines, paper.amounts, strict=True)
            ],
        }


def _lines(written: dict[str, Any]) -> tuple[list[dict[str, Any]], list[int], str]:
    currency = str(written["currency_id"]).removeprefix("c-")
    lines, amounts = written.pop("line_items"), []
    places = CURRENCIES[currency]
    for line in lines:
        if unknown := set(line) - _LINE:
            raise BadRequest(f"Invalid Element {sorted(unknown)}")
        line["quantity"], line["rate"] = _kept(line["quantity"], 2), _kept(line["rate"], places)
        amounts.append(int(_kept(line["quantity"] * line["rate"], places).scaleb(places)))
    return lines, amounts, currency


def _whole(minor: Decimal) -> int:
    return int(minor.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _kept(number: Any, places: int) -> Decimal:
    return Decimal(number).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def _contact(person: Person) -> dict[str, Any]:
    persons = person.written.get("contact_persons") or [{}]
    return {
        "contact_id": str(person.number),
        "contact_name": person.written["contact_name"],
        "company_name": person.written.get("company_name", ""),
        "email": persons[0].get("email", ""),
    }


def _told(content: Mapping[str, object], status: int = 200) -> Response:
    return told({"code": 0, "message": "success", **content}, status)


def _page(asked: Mapping[str, str], name: str, found: Sequence[object]) -> Response:
    size, page = int(asked["per_page"]), int(asked["page"])
    some = found[(page - 1) * size : page * size]
    return _told({name: some, "page_context": {"has_more_page": page * size < len(found)}})


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = ZohoBooksStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {"contact_name": each.name, "contact_persons": [{"email": each.email or ""}]}
            for each in there
        )
        return [str(site.enter_person(each).number) for each in entered]

    return ContractRig(
        connect=lambda http: ZohoBooksConnector(
            {**SETTINGS, "tax_rounding": "sum"}, Bearer(http, TOKEN)
        ),
        http=InProcess(site),
        secret=TOKEN,
        happenings=site.happenings("finalize", "pay", "credit", "void", "write_off", "delete"),
        refusal=refusal,
        customers=customers,
        known_by=("email", "name"),
    )


def refusal(status: int) -> Answer:
    """Return a refusal as Zoho words it."""
    error = {"code": 4, "message": "Invalid value passed for line_items"}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


if __name__ == "__main__":
    serve_for_ever(ZohoBooksStandIn())
