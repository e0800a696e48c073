"""A stand-in for FreeAgent's API: invoices and contacts, each named by its address.

Numbers come as texts; items stay unless they are taken off. Never for production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from werkzeug.exceptions import Unauthorized, UnprocessableEntity
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
    known,
    sent,
    taxes_on,
    told,
)
from ledger.money import exponent

from .connector import BASE, FreeAgentConnector

TOKEN: Final = "token-of-the-stand-in-66726565"  # noqa: S105
SETTINGS: Final = {"client_id": "billhook-stand-in", "client_secret": "a-client-secret"}
CENT: Final = Decimal("0.01")
_INVOICE: Final = {
    *("contact", "dated_on", "payment_terms_in_days", "currency", "po_reference", "comments"),
    "invoice_items",
}
_ITEM: Final = {
    *("position", "item_type", "description", "quantity", "price", "sales_tax_rate", "category"),
}
_CONTACT: Final = {
    *("organisation_name", "email", "sales_tax_registration_number", "address1", "address2"),
    *("address3", "town", "postcode"),
}


class FreeAgentStandIn(AccountingStandIn):
    """One company."""

    routes = (
        Rule("/v2/company", endpoint="company", methods=["GET"]),
        Rule("/v2/invoices", endpoint="invoices", methods=["GET"]),
        Rule("/v2/invoices", endpoint="create", methods=["POST"]),
        Rule("/v2/invoices/<int:number>", endpoint="show", methods=["GET"]),
        Rule("/v2/invoices/<int:number>", endpoint="update", methods=["PUT"]),
        Rule("/v2/invoices/<int:number>", endpoint="delete", methods=["DELETE"]),
        Rule("/v2/contacts", endpoint="contacts", methods=["GET"]),
        Rule("/v2/contacts", endpoint="create_contact", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.is_rounded_by_line = False
        """How sales taxes are rounded: on each item, or on what has the same rate."""

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("Access token not recognised")

    def problem(self, description: str) -> dict[str, Any]:
        return {"errors": {"error": {"message": description}}}

    def company(self, request: Request) -> Response:
        """Return the company."""
        return told({"company": {"name": "Studio Nord", "currency": "GBP"}})

    def invoices(self, request: Request) -> Response:
        """List invoices."""
        asked = query(
            *(request, "view", "nested_invoice_items", "contact", "updated_since"),
            *("page", "per_page", "sort"),
        )
        since = asked.get("updated_since", "2000-01-01T00:00:00Z")
        found = [
            self._invoice(each)
            for each in self.changed_since(datetime.fromisoformat(since))
            if asked.get("contact") in (None, each.written["contact"])
        ]
        return told({"invoices": _page(asked, found)})

    def create(self, request: Request) -> Response:
        """Create a draft."""
        written = _wrapped(request, "invoice", _INVOICE)
        items, amounts = self._items(written, [])
        if written["contact"] not in map(_contact_url, self.people.values()):
            raise UnprocessableEntity("Contact can't be blank")
        taxes = self._taxes(items, amounts)
        paper = self.enter(written, items, amounts, written["currency"], taxes)
        return told({"invoice": self._invoice(paper)}, 201)

    def show(self, request: Request, number: int) -> Response:
        """Return an invoice."""
        return told({"invoice": self._invoice(self.paper(number))})

    def update(self, request: Request, number: int) -> Response:
        """Change an invoice; the answer has no items."""
        paper = self.paper(number)
        written = _wrapped(request, "invoice", _INVOICE)
        items, amounts = self._items(written, paper.lines)
        self.overwrite(paper, written, items, amounts, self._taxes(items, amounts))
        return told({"invoice": {"url": _url(number)}})

    def delete(self, request: Request, number: int) -> Response:
        """Delete an invoice; the answer is empty."""
        if self.paper(number).state != DRAFT:
            raise UnprocessableEntity("Only drafts can be deleted")
        self.erase(number)
        return Response("", 200)

    def contacts(self, request: Request) -> Response:
        """List contacts."""
        asked = query(request, "view", "page", "per_page", "sort")
        return told({"contacts": _page(asked, [*map(_contact, self.people.values())])})

    def create_contact(self, request: Request) -> Response:
        """Create a contact."""
        person = self.enter_person(_wrapped(request, "contact", _CONTACT))
        return told({"contact": _contact(person)}, 201)

    def _taxes(self, items: Sequence[Mapping[str, Any]], amounts: Sequence[int]) -> int:
        rates = [("", Decimal(each["sales_tax_rate"])) for each in items]
        exact = taxes_on(amounts, rates, by_line=self.is_rounded_by_line)
        return sum(int(tax.quantize(Decimal(1), rounding=ROUND_HALF_UP)) for tax in exact)

    def _items(
        self, written: dict[str, Any], before: Sequence[Mapping[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[int]]:
        there = {each["url"]: dict(each) for each in before}
        for item in written.pop("invoice_items"):
            if item.get("_destroy"):
                there.pop(item["url"])
                continue
            known(item, *_ITEM)
            url = f"{BASE}/invoice_items/{self.next_number()}"
            kept = {name: f"{_kept(item[name])}" for name in ("quantity", "price")}
            there[url] = {**item, **kept, "url": url}
        items = [*there.values()]
        places = exponent(written["currency"])
        amounts = [_kept(Decimal(each["quantity"]) * Decimal(each["price"])) for each in items]
        return items, [int(amount.scaleb(places)) for amount in amounts]

    def _invoice(self, paper: Paper) -> dict[str, Any]:
        owed = paper.remaining if paper.state == OPEN and not paper.is_written_off else 0
        status = {DRAFT: "Draft", VOID: "Cancelled"}.get(paper.state, "Open")
        if paper.state == OPEN and owed <= 0:
            status = "Overpaid" if owed < 0 else "Paid"
        if paper.is_written_off:
            status = "Written-off"
        if paper.refunded:
            status = "Refunded"
        days = int(paper.written["payment_terms_in_days"])
        due_on = date.fromisoformat(paper.written["dated_on"]) + timedelta(days=days)
        return {
            **paper.written,
            "url": _url(paper.number),
            "reference": f"{paper.number:03}",
            "status": status,
            "due_on": due_on.isoformat(),
            "total_value": f"{paper.decimal(paper.total)}",
            "paid_value": f"{paper.decimal(paper.paid)}",
            "due_value": f"{paper.decimal(owed)}",
            "refunded_value": f"{paper.decimal(paper.refunded)}",
            "updated_at": paper.changed_at.isoformat(),
            "invoice_items": paper.lines,
        }


def _wrapped(request: Request, name: str, fields: set[str]) -> dict[str, Any]:
    written: dict[str, Any] = sent(request, name)[name]
    known(written, *fields)
    return written


def _page(asked: Mapping[str, str], found: Sequence[object]) -> Sequence[object]:
    size, page = int(asked.get("per_page", 25)), int(asked.get("page", 1))
    return found[(page - 1) * size : page * size]


def _kept(number: object) -> Decimal:
    return Decimal(str(number)).quantize(CENT, rounding=ROUND_HALF_UP)


def _contact(person: Person) -> dict[str, Any]:
    return {**person.written, "url": _contact_url(person), "first_name": None}


def _contact_url(person: Person) -> str:
    return f"{BASE}/contacts/{person.number}"


def _url(number: int) -> str:
    return f"{BASE}/invoices/{number}"


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = FreeAgentStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {
                "organisation_name": each.name,
                "billing_email": each.email,
                "sales_tax_registration_number": each.tax_id,
            }
            for each in there
        )
        return [str(site.enter_person(each).number) for each in entered]

    return ContractRig(
        connect=lambda http: FreeAgentConnector(
            {**SETTINGS, "tax_rounding": "sum"}, Bearer(http, TOKEN)
        ),
        http=InProcess(site),
        secret=TOKEN,
        happenings={
            **site.happenings("finalize", "pay", "overpay", "credit", "void", "delete"),
            **site.happenings("write_off", "refund"),
        },
        refusal=refusal,
        customers=customers,
    )


def refusal(status: int) -> Answer:
    """Return a refusal as FreeAgent words it."""
    error = {"errors": [{"message": "Dated on can't be blank"}]}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


if __name__ == "__main__":
    serve_for_ever(FreeAgentStandIn())
