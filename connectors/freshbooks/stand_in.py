"""A stand-in for FreshBooks' accounting API: invoices and clients of one account.

Lines come only if they are asked for, deleted invoices stay, moments are New York's. Never for
production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

from .connector import ZONE, FreshBooksConnector

TOKEN: Final = "token-of-the-stand-in-66726573"  # noqa: S105
ACCOUNT: Final = "xZNQ1X"
SETTINGS: Final = {
    "client_id": "billhook-stand-in",
    "client_secret": "a-client-secret",
    "account_id": ACCOUNT,
}
CENT: Final = Decimal("0.01")
_INVOICE: Final = {
    *("customerid", "create_date", "currency_code", "po_number", "notes", "terms", "lines"),
    "due_offset_days",
}
_LINE: Final = {
    *("type", "name", "description", "qty", "unit_cost"),
    *("taxName1", "taxAmount1", "taxName2", "taxAmount2"),
}
_CLIENT: Final = {
    *("organization", "currency_code", "note", "email", "vat_number"),
    *("p_street", "p_street2", "p_city", "p_code"),
}
_ACCOUNT_PATH: Final = f"/accounting/account/{ACCOUNT}"


class FreshBooksStandIn(AccountingStandIn):
    """One account."""

    routes = (
        Rule("/auth/api/v1/users/me", endpoint="me", methods=["GET"]),
        Rule(f"{_ACCOUNT_PATH}/invoices/invoices", endpoint="invoices", methods=["GET"]),
        Rule(f"{_ACCOUNT_PATH}/invoices/invoices", endpoint="create", methods=["POST"]),
        Rule(f"{_ACCOUNT_PATH}/invoices/invoices/<int:number>", endpoint="show", methods=["GET"]),
        Rule(f"{_ACCOUNT_PATH}/invoices/invoices/<int:number>", endpoint="update", methods=["PUT"]),
        Rule(
            f"{_ACCOUNT_PATH}/invoices/invoices/<int:number>", endpoint="delete", methods=["DELETE"]
        ),
        Rule(f"{_ACCOUNT_PATH}/users/clients", endpoint="clients", methods=["GET"]),
        Rule(f"{_ACCOUNT_PATH}/users/clients", endpoint="create_client", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.is_rounded_by_line = False
        """How taxes are rounded: on each line, or on what has the same tax."""
        self.deleted: set[int] = set()
        self.disputed: set[int] = set()

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("The access token is invalid")

    def problem(self, description: str) -> dict[str, Any]:
        return {"response": {"errors": [{"errno": 1012, "message": description}]}}

    def me(self, request: Request) -> Response:
        """Return who has connected it, and the businesses of it."""
        businesses = [
            {"business": {"name": "Studio Nord", "account_id": ACCOUNT}},
            {"business": {"name": "A business without books", "account_id": None}},
        ]
        return told({"response": {"id": 1, "business_memberships": businesses}})

    def invoices(self, request: Request) -> Response:
        """List invoices, deleted ones too."""
        filters = ("search[customerid]", "search[updated_min]")
        asked = query(request, "page", "per_page", "include[]", *filters)
        found = [
            self._invoice(each, asked)
            for each in self.papers.values()
            if asked.get(filters[0]) in (None, str(each.written["customerid"]))
            and f"{each.changed_at.astimezone(ZONE):%Y-%m-%d}" >= asked.get(filters[1], "")
        ]
        return _page(asked, "invoices", found)

    def create(self, request: Request) -> Response:
        """Create a draft."""
        asked = query(request, "include[]")
        written = _wrapped(request, "invoice", _INVOICE)
        lines, amounts = _lines(written)
        if written["customerid"] not in self.people:
            raise UnprocessableEntity("Client not found.")
        taxes = self._taxes(lines, amounts)
        paper = self.enter(written, lines, amounts, written["currency_code"], taxes)
        return _result("invoice", self._invoice(paper, asked))

    def show(self, request: Request, number: int) -> Response:
        """Return an invoice."""
        asked = query(request, "include[]")
        return _result("invoice", self._invoice(self.paper(number), asked))

    def update(self, request: Request, number: int) -> Response:
        """Change an invoice."""
        asked = query(request, "include[]")
        paper = self.paper(number)
        written = _wrapped(request, "invoice", _INVOICE)
        lines, amounts = _lines(written)
        self.overwrite(paper, written, lines, amounts, self._taxes(lines, amounts))
        return _result("invoice", self._invoice(paper, asked))

    def delete(self, request: Request, number: int) -> Response:
        """Mark an invoice as deleted."""
        self.remove(self.paper(number))
        return told({"response": {}})

    def remove(self, paper: Paper) -> None:
        """Mark an invoice as deleted."""
        self.deleted.add(paper.number)
        paper.changed_at = self.tick()

    def clients(self, request: Request) -> Response:
        """List clients."""
        asked = query(request, "page", "per_page")
        return _page(asked, "clients", [*map(_client, self.people.values())])

    def create_client(self, request: Request) -> Response:
        """Create a client."""
        return _result("client", _client(self.enter_person(_wrapped(request, "client", _CLIENT))))

    def _taxes(self, lines: Sequence[Mapping[str, Any]], amounts: Sequence[int]) -> int:
        rates = [
            (line[f"taxName{place}"], Decimal(line[f"taxAmount{place}"]))
            for place in (1, 2)
            for line in lines
        ]
        if any(rate and not name for name, rate in rates):
            raise UnprocessableEntity("A tax needs a name.")
        exact = taxes_on([*amounts, *amounts], rates, by_line=self.is_rounded_by_line)
        return sum(int(tax.quantize(Decimal(1), rounding=ROUND_HALF_UP)) for tax in exact)

    def _invoice(self, paper: Paper, asked: Mapping[str, str]) -> dict[str, Any]:
        status = "draft" if paper.state == DRAFT else "sent"
        if paper.state != DRAFT and paper.remaining != paper.total:
            status = "partial" if paper.remaining else "paid"
        if paper.number in self.disputed:
            status = "disputed"

        def money(minor: int) -> dict[str, str]:
            return {"amount": f"{paper.decimal(minor)}", "code": paper.currency}

        lines = [
            {**line, "lineid": position, "amount": money(amount)}
            for position, (line, amount) in enumerate(
                zip(paper.lines, paper.amounts, strict=True), 1
            )
        ]
        return {
            "due_offset_days": 0,
            **paper.written,
            "id": paper.number,
            "invoice_number": f"{paper.number:07}",
            "v3_status": status,
            "vis_state": 1 if paper.number in self.deleted else 0,
            "amount": money(paper.total),
            "paid": money(paper.paid),
            "outstanding": money(paper.remaining),
            "updated": f"{paper.changed_at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}",
            **({"lines": lines} if asked.get("include[]") == "lines" else {}),
        }


def _wrapped(request: Request, name: str, fields: set[str]) -> dict[str, Any]:
    written: dict[str, Any] = sent(request, name)[name]
    known(written, *fields)
    return written


def _lines(written: dict[str, Any]) -> tuple[list[dict[str, Any]], list[int]]:
    lines, amounts = written.pop("lines"), []
    places = exponent(written["currency_code"])
    for line in lines:
        known(line, *_LINE)
        line["qty"] = _kept(line["qty"])
        cost = line["unit_cost"]
        if cost["code"] != written["currency_code"] or not isinstance(cost["amount"], str):
            raise UnprocessableEntity("unit_cost is an amount and a code")
        cost["amount"] = f"{_kept(cost['amount'])}"
        amounts.append(int(_kept(line["qty"] * Decimal(cost["amount"])).scaleb(places)))
    return lines, amounts


def _kept(number: Any) -> Decimal:
    return Decimal(number).quantize(CENT, rounding=ROUND_HALF_UP)


def _client(person: Person) -> dict[str, Any]:
    return {**person.written, "id": person.number, "vis_state": 0}


def _result(name: str, content: object) -> Response:
    return told({"response": {"result": {name: content}}})


def _page(asked: Mapping[str, str], name: str, found: Sequence[object]) -> Response:
    size, page = int(asked["per_page"]), int(asked["page"])
    some = found[(page - 1) * size : page * size]
    paging = {"page": page, "pages": -(-len(found) // size), "per_page": size, "total": len(found)}
    return told({"response": {"result": {name: some, **paging}}})


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = FreshBooksStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {"organization": each.name, "email": each.email, "vat_number": each.tax_id}
            for each in there
        )
        return [str(site.enter_person(each).number) for each in entered]

    return ContractRig(
        connect=lambda http: FreshBooksConnector(
            {**SETTINGS, "tax_rounding": "sum"}, Bearer(http, TOKEN)
        ),
        http=InProcess(site),
        secret=TOKEN,
        happenings={
            **site.happenings("finalize", "pay"),
            "delete": lambda remote_id, _minor: site.remove(site.paper(int(remote_id))),
            "dispute": lambda remote_id, _minor: site.disputed.add(int(remote_id)),
            "win_dispute": lambda remote_id, _minor: site.disputed.remove(int(remote_id)),
        },
        refusal=refusal,
        customers=customers,
    )


def refusal(status: int) -> Answer:
    """Return a refusal as FreshBooks words it."""
    error = {"response": {"errors": [{"errno": 1001, "field": "lines", "message": "No"}]}}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


if __name__ == "__main__":
    serve_for_ever(FreshBooksStandIn())
