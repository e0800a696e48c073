"""A stand-in for Invoice Ninja's API: invoices, clients, and numbers that are there only once.

A deleted invoice stays, under another number. Never for production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from werkzeug.exceptions import BadRequest, Forbidden, NotFound, UnprocessableEntity
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Request as Outgoing
from connectors.http import Response as Answer
from connectors.stand_in import InProcess, query, serve_for_ever
from connectors.stand_in_accounting import (
    DRAFT,
    OPEN,
    VOID,
    AccountingStandIn,
    Paper,
    Person,
    known,
    sent,
    told,
)
from ledger.money import exponent, line_amount

from .connector import InvoiceNinjaConnector

TOKEN: Final = "token-of-the-stand-in-4e696e6a61"  # noqa: S105
SETTINGS: Final = {"token": TOKEN}
CURRENCIES: Final = {
    "USD": ("1", 2),
    "EUR": ("3", 2),
    "CHF": ("17", 2),
    "JPY": ("45", 0),
    "KWD": ("51", 3),
    "ISK": ("63", 0),
}
"""Number and decimal places by code; the numbers of the last three are made up."""
_TAXES: Final = [f"tax_{word}{n}" for word in ("name", "rate") for n in (1, 2, 3)]
_INVOICE: Final = [
    *("client_id", "number", "private_notes", "date", "due_date", "po_number", "public_notes"),
    *("footer", "discount", "line_items", "uses_inclusive_taxes", *_TAXES),
]
_LINE: Final = ["product_key", "notes", "quantity", "cost", "discount", *_TAXES]
_CLIENT: Final = [
    *("name", "private_notes", "vat_number", "contacts", "settings", "address1", "address2"),
    *("city", "postal_code", "country_id"),
]


class InvoiceNinjaStandIn(AccountingStandIn):
    """One company, billing in EUR unless a client says otherwise."""

    routes = (
        Rule("/api/v1/invoices", endpoint="invoices", methods=["GET"]),
        Rule("/api/v1/invoices", endpoint="create", methods=["POST"]),
        Rule("/api/v1/invoices/<remote_id>", endpoint="show", methods=["GET"]),
        Rule("/api/v1/invoices/<remote_id>", endpoint="update", methods=["PUT"]),
        Rule("/api/v1/invoices/<remote_id>", endpoint="delete", methods=["DELETE"]),
        Rule("/api/v1/clients", endpoint="clients", methods=["GET"]),
        Rule("/api/v1/clients", endpoint="create_client", methods=["POST"]),
        Rule("/api/v1/clients/<remote_id>", endpoint="client", methods=["GET"]),
        Rule("/api/v1/companies/current", endpoint="company", methods=["POST"]),
        Rule("/api/v1/statics", endpoint="statics", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.deleted: set[int] = set()

    def authenticate(self, request: Request) -> None:
        if request.headers.get("X-API-TOKEN") != TOKEN:
            raise Forbidden("Invalid token")
        if request.headers.get("X-Requested-With") != "XMLHttpRequest":
            raise BadRequest("X-Requested-With is missing")

    def problem(self, description: str) -> dict[str, Any]:
        return {"message": description, "errors": {}}

    def invoices(self, request: Request) -> Response:
        """List invoices, deleted ones too."""
        asked = query(request, "per_page", "page", "sort", "include", "number", "updated_at")
        found = [
            each
            for each in self.papers.values()
            if asked.get("number") in (None, each.written["number"])
            and each.changed_at.timestamp() >= int(asked.get("updated_at", 0))
        ]
        return self._page(asked, [self._invoice(each) for each in found])

    def create(self, request: Request) -> Response:
        """Create a draft; a number that is taken is refused."""
        query(request, "include")
        written = sent(request, *_INVOICE)
        client = self.people.get(_number(written["client_id"]))
        if client is None:
            raise UnprocessableEntity("The selected client id is invalid.")
        if any(each.written["number"] == written["number"] for each in self.papers.values()):
            raise UnprocessableEntity("The number has already been taken.")
        currency = _code(client)
        lines, amounts, taxes = _lines(written, currency)
        paper = self.enter(written, lines, amounts, currency, taxes)
        return told({"data": self._invoice(paper)})

    def show(self, request: Request, remote_id: str) -> Response:
        """Return an invoice."""
        query(request, "include")
        return told({"data": self._invoice(self.paper(_number(remote_id)))})

    def update(self, request: Request, remote_id: str) -> Response:
        """Change an invoice that is not locked."""
        query(request, "include")
        paper = self._unlocked(remote_id)
        written = sent(request, *_INVOICE)
        lines, amounts, taxes = _lines(written, paper.currency)
        self.overwrite(paper, written, lines, amounts, taxes)
        return told({"data": self._invoice(paper)})

    def delete(self, request: Request, remote_id: str) -> Response:
        """Mark an invoice as deleted, and give its number free."""
        paper = self._unlocked(remote_id)
        self.remove(paper)
        return told({"data": self._invoice(paper)})

    def remove(self, paper: Paper) -> None:
        """Mark an invoice as deleted, and give its number free."""
        self.deleted.add(paper.number)
        paper.written["number"] += f"_deleted_{paper.number}"
        paper.changed_at = self.tick()

    def clients(self, request: Request) -> Response:
        """List clients."""
        asked = query(request, "per_page", "page", "sort", "is_deleted")
        return self._page(asked, [_client(each) for each in self.people.values()])

    def create_client(self, request: Request) -> Response:
        """Create a client."""
        return told({"data": _client(self.enter_person(sent(request, *_CLIENT)))})

    def client(self, request: Request, remote_id: str) -> Response:
        """Return a client."""
        found = self.people.get(_number(remote_id))
        if found is None:
            raise NotFound("Record not found")
        return told({"data": _client(found)})

    def company(self, request: Request) -> Response:
        """Return the company of the token."""
        return told({"data": {"settings": {"name": "Studio Nord", "currency_id": "3"}}})

    def statics(self, request: Request) -> Response:
        """Return what has a number of Invoice Ninja's own."""
        currencies = [
            {"id": number, "code": code, "precision": places}
            for code, (number, places) in CURRENCIES.items()
        ]
        countries = [{"id": "276", "iso_3166_2": "DE"}]
        return told({"currencies": currencies, "countries": countries})

    def _page(self, asked: Mapping[str, str], found: Sequence[object]) -> Response:
        size, page = int(asked.get("per_page", 20)), int(asked.get("page", 1))
        some = found[(page - 1) * size : page * size]
        pages = max(1, -(-len(found) // size))
        return told({"data": some, "meta": {"pagination": {"total_pages": pages}}})

    def _unlocked(self, remote_id: str) -> Paper:
        paper = self.paper(_number(remote_id))
        if paper.state != DRAFT or paper.number in self.deleted:
            raise UnprocessableEntity("The invoice is locked")
        return paper

    def _invoice(self, paper: Paper) -> dict[str, Any]:
        status = {DRAFT: "1", VOID: "5"}.get(paper.state, "2")
        if paper.state == OPEN and paper.remaining != paper.total:
            status = "3" if paper.remaining else "4"
            status = "6" if paper.credited else status
        client = self.people[_number(paper.written["client_id"])]
        return {
            **paper.written,
            "id": _hashed(paper.number),
            "amount": paper.decimal(paper.total),
            "total_taxes": paper.written["total_taxes"],
            "balance": paper.decimal(paper.remaining if paper.state == OPEN else 0),
            "status_id": status,
            "is_deleted": paper.number in self.deleted,
            "updated_at": int(paper.changed_at.timestamp()),
            "line_items": [
                {**line, "line_total": paper.decimal(amount), "type_id": "1"}
                for line, amount in zip(paper.lines, paper.amounts, strict=True)
            ],
            "client": _client(client),
        }


def _lines(written: dict[str, Any], currency: str) -> tuple[list[dict[str, Any]], list[int], int]:
    """Return lines, their amounts, and the tax that comes on top of them.

    Each line's tax is rounded to two decimals, half up, and counts if its name is no single letter.
    """
    lines = written["line_items"]
    for line in lines:
        known(line, *_LINE)
        if not all(isinstance(line[name], (int, Decimal)) for name in ("quantity", "cost")):
            raise UnprocessableEntity("a number is a number")
    amounts = [line_amount(each["quantity"], each["cost"], currency).minor for each in lines]
    total = Decimal(0)
    for line in lines:
        amount, rate = line["quantity"] * line["cost"], Decimal(line["tax_rate1"])
        if len(line["tax_name1"]) > 1:
            base = 100 + rate if written["uses_inclusive_taxes"] else Decimal(100)
            total += (amount * rate / base).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    written["total_taxes"] = total
    on_top = Decimal(0) if written["uses_inclusive_taxes"] else total
    return lines, amounts, int(on_top.scaleb(exponent(currency)))


def _client(person: Person) -> dict[str, Any]:
    empty = dict.fromkeys(_CLIENT, "")
    contacts = person.written.get("contacts") or [{"email": ""}]
    settings = person.written.get("settings") or {}
    return {
        **empty,
        **person.written,
        "id": _hashed(person.number),
        "display_name": person.written["name"],
        "contacts": contacts,
        "settings": settings,
    }


def _code(person: Person) -> str:
    wanted = (person.written.get("settings") or {}).get("currency_id", "3")
    return next(code for code, (number, _) in CURRENCIES.items() if number == wanted)


def _hashed(number: int) -> str:
    return f"Opnel{number:05}"


def _number(remote_id: str) -> int:
    number = remote_id.removeprefix("Opnel")
    return int(number) if number.isdecimal() and number != remote_id else 0


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = InvoiceNinjaStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {
                "name": each.name,
                "vat_number": each.tax_id or "",
                "contacts": [{"email": each.email or ""}],
            }
            for each in there
        )
        return [_hashed(site.enter_person(each).number) for each in entered]

    return ContractRig(
        connect=lambda http: InvoiceNinjaConnector({**SETTINGS, "tax_rounding": "line"}, http),
        http=InProcess(site),
        secret=TOKEN,
        happenings={
            **site.happenings("finalize", "pay", "credit", "void", number_of=_number),
            "delete": lambda remote_id, _minor: site.remove(site.paper(_number(remote_id))),
        },
        refusal=refusal,
        is_change=_is_change,
        customers=customers,
    )


def refusal(status: int) -> Answer:
    """Return a refusal as Invoice Ninja words it."""
    error = {"message": "The given data was invalid.", "errors": {"number": ["taken"]}}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


def _is_change(request: Outgoing) -> bool:
    return request.method != "GET" and not request.url.endswith("/companies/current")


if __name__ == "__main__":
    serve_for_ever(InvoiceNinjaStandIn())
