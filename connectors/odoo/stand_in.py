"""A stand-in for Odoo's JSON-2 API: invoices, partners and what a search may ask for.

It keeps to the documented shapes: empty is `false`, a reference to another record is an id and a
name, `create` answers with ids, and texts in HTML are cleaned. Never for production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from werkzeug.exceptions import NotFound, Unauthorized, UnprocessableEntity
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Request as Outgoing
from connectors.http import Response as Answer
from connectors.stand_in import InProcess, serve_for_ever
from connectors.stand_in_accounting import DRAFT, OPEN, AccountingStandIn, Paper, known, sent, told

from .connector import OdooConnector

KEY: Final = "key-of-the-stand-in-6578616d"
SETTINGS: Final = {"url": "https://acme.odoo.example", "api_key": KEY, "database": "acme"}
CURRENCIES: Final = {"USD": (1, 2), "EUR": (2, 2), "JPY": (25, 0), "KWD": (97, 3), "CHF": (5, 2)}
"""Which are active: id and decimal places."""
PLACES: Final = Decimal("0.01")
TAXES: Final[dict[int, tuple[str, Decimal, bool]]] = {
    number: (name, Decimal(rate), is_included)
    for number, name, rate, is_included in (
        *((1, "19%", "19", False), (2, "7%", "7", False), (3, "8.1%", "8.1", False)),
        *((4, "10%", "10", False), (5, "5%", "5", False), (6, "1%", "1", False)),
        *((7, "24%", "24", False), (8, "19% incl.", "19", True), (9, "7% incl.", "7", True)),
        *((10, "RC", "0", False), (12, "Exempt", "0", False)),
    )
}
"""On sales: name, percent, and whether prices hold it."""
_LINE: Final = {"sequence", "name", "quantity", "price_unit", "tax_ids", "product_id", "account_id"}
_MOVE: Final = {
    *("move_type", "partner_id", "invoice_origin", "currency_id", "ref", "narration", "company_id"),
    *("invoice_date", "invoice_date_due", "invoice_payment_term_id", "invoice_line_ids"),
    "journal_id",
}
_PARTNER: Final = {
    *("name", "is_company", "ref", "email", "vat", "street", "street2", "zip", "city"),
    "country_id",
}
_READ: Final = ("domain", "fields", "order", "offset", "limit", "context")


class OdooStandIn(AccountingStandIn):
    """One database of Odoo's with Invoicing installed."""

    routes = (Rule("/json/2/<model>/<method>", endpoint="call", methods=["POST"]),)

    def __init__(self) -> None:
        super().__init__()
        self.taxes = dict(TAXES)
        self.rounding = "round_globally"
        """How the company rounds taxes."""
        self.settling: set[int] = set()
        """Invoices whose payments the bank has not confirmed."""

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization") != f"bearer {KEY}":
            raise Unauthorized("Invalid apikey")
        if request.headers.get("X-Odoo-Database") != "acme":
            raise NotFound("no such database")

    def problem(self, description: str) -> dict[str, Any]:
        arguments = [description]
        return {
            "name": "odoo.exceptions.UserError",
            "message": description,
            "arguments": arguments,
            "context": {},
            "debug": "Traceback (most recent call last): ...",
        }

    def call(self, request: Request, model: str, method: str) -> Response:
        """Carry a method of a model out."""
        if method == "search_read":
            asked = sent(request, *_READ)
            found = [each for each in self._records(model) if _fits(each, asked["domain"])]
            found.sort(key=lambda each: [each.get(name, 0) for name in _order(asked)])
            first = asked.get("offset", 0)
            some = found[first : first + asked["limit"]] if "limit" in asked else found
            return told([{"id": each["id"], **_only(each, asked["fields"])} for each in some])
        if method == "search_count":
            domain = sent(request, "domain", "context")["domain"]
            return told(sum(_fits(each, domain) for each in self._records(model)))
        if method == "create":
            (values,) = sent(request, "vals_list", "context")["vals_list"]
            return told([self._create(model, values)])
        if (model, method) == ("account.move", "write"):
            asked = sent(request, "ids", "vals", "context")
            self._write(self._draft(asked["ids"]), asked["vals"])
            return told(True)
        if (model, method) == ("account.move", "unlink"):
            self.erase(self._draft(sent(request, "ids", "context")["ids"]).number)
            return told(True)
        raise NotFound(f"the model {model!r} has no {method}")

    def _create(self, model: str, values: Mapping[str, Any]) -> int:
        if model == "res.partner":
            known(values, *_PARTNER)
            return self.enter_person(values).number
        if model != "account.move":
            raise NotFound(f"the model {model!r} does not exist")
        known(values, *_MOVE)
        if values["partner_id"] not in self.people or values["move_type"] != "out_invoice":
            raise UnprocessableEntity("there is no such partner")
        currency = self._currency(values)
        lines = [self._line(values, each) for each in values["invoice_line_ids"]]
        amounts, taxes = self._amounts(lines, currency)
        return self.enter(values, lines, amounts, currency, taxes).number

    def _write(self, paper: Paper, values: Mapping[str, Any]) -> None:
        known(values, *_MOVE)
        clear, *commands = values["invoice_line_ids"]
        if clear != [5, 0, 0]:
            raise UnprocessableEntity("the old lines would stay")
        lines = [self._line(values, each) for each in commands]
        self.overwrite(paper, values, lines, *self._amounts(lines, paper.currency))

    def _amounts(self, lines: Sequence[Mapping[str, Any]], currency: str) -> tuple[list[int], int]:
        """Return the net of each line and the tax of all, in minor units.

        "Round Globally" rounds the sums of one tax, and lets a line of it take the difference;
        "Round per Line" rounds each line. The price holds the tax or it does not.
        """
        places = dict(CURRENCIES.values())
        digits = places[CURRENCIES[currency][0]]
        nets, taxes = [], 0
        groups: dict[object, list[tuple[int, Decimal, Decimal]]] = {}
        for at, line in enumerate(lines):
            price = Decimal(line["quantity"] * line["price_unit"]).scaleb(digits)
            (ids,) = (command[2] for command in line["tax_ids"])
            if not ids:
                nets.append(_whole(price))
                continue
            _, rate, is_included = self.taxes[ids[0]]
            tax = price * rate / (100 + rate if is_included else 100)
            net = price - tax if is_included else price
            nets.append(_whole(net))
            group = ids[0] if self.rounding == "round_globally" else f"line {at}"
            groups.setdefault(group, []).append((at, net, tax))
        for group in groups.values():
            taxes += _whole(sum(tax for _, _, tax in group))
            together = _whole(sum(net for _, net, _ in group))
            nets[group[-1][0]] += together - sum(nets[at] for at, _, _ in group)
        return nets, taxes

    def _line(self, values: Mapping[str, Any], command: Sequence[Any]) -> dict[str, Any]:
        if command[:2] != [0, 0]:
            raise UnprocessableEntity("only new lines are known")
        line = command[2]
        known(line, *_LINE)
        if not all(isinstance(line[name], (int, Decimal)) for name in ("quantity", "price_unit")):
            raise UnprocessableEntity("a number is a number")
        ((_, _, ids),) = line["tax_ids"]
        if not set(ids) <= set(self.taxes):
            raise UnprocessableEntity("there is no such tax")
        return {
            "id": self.next_number(),
            "discount": 0,
            **line,
            "quantity": _kept(line["quantity"]),
            "price_unit": _kept(line["price_unit"]),
        }

    def _currency(self, values: Mapping[str, Any]) -> str:
        for code, (number, _) in CURRENCIES.items():
            if number == values["currency_id"]:
                return code
        raise UnprocessableEntity("there is no such currency")

    def _draft(self, ids: Sequence[int]) -> Paper:
        (number,) = ids
        paper = self.paper(number)
        if paper.state != DRAFT:
            raise UnprocessableEntity("You cannot change a posted entry")
        return paper

    def _records(self, model: str) -> list[dict[str, Any]]:
        if model == "account.move":
            return [*map(self._move, self.papers.values()), *self._credit_notes()]
        if model == "account.move.line":
            return [record for paper in self.papers.values() for record in _lines(paper)]
        if model == "res.partner":
            empty = dict.fromkeys([*_PARTNER, "parent_id"], False)
            return [{**empty, **each.written, "id": each.number} for each in self.people.values()]
        if model == "res.currency":
            return [
                {"id": number, "name": code, "decimal_places": places}
                for code, (number, places) in CURRENCIES.items()
            ]
        if model == "account.tax":
            return [
                {
                    "id": number,
                    "name": name,
                    "amount": rate,
                    "price_include": is_included,
                    "amount_type": "percent",
                    "type_tax_use": "sale",
                    "active": True,
                }
                for number, (name, rate, is_included) in self.taxes.items()
            ]
        if model == "res.country":
            return [{"id": 57, "code": "DE"}]
        if model == "res.company":
            company = {"id": 1, "name": "Studio Nord", "currency_id": [2, "EUR"]}
            return [{**company, "tax_calculation_rounding_method": self.rounding}]
        raise NotFound(f"the model {model!r} does not exist")

    def _move(self, paper: Paper) -> dict[str, Any]:
        empty = dict.fromkeys(_MOVE, False)
        is_open = paper.state == OPEN
        owed = paper.remaining if is_open else paper.total
        if paper.number in self.settling:
            owed = 0
        payment = "not_paid"
        if is_open and owed != paper.total:
            payment = "partial" if owed else "paid"
            if paper.number in self.settling:
                payment = "in_payment"
            elif not owed and paper.credited:
                payment = "reversed"
        narration = paper.written.get("narration")
        return {
            **empty,
            **paper.written,
            "id": paper.number,
            "narration": narration.replace("<br>", "<br/>") if narration else False,
            "name": f"INV/2026/{paper.number:05}" if is_open else "/",
            "state": {"void": "cancel", OPEN: "posted"}.get(paper.state, paper.state),
            "payment_state": payment,
            "currency_id": [paper.written["currency_id"], paper.currency],
            "amount_tax": paper.decimal(paper.taxes),
            "amount_total": paper.decimal(paper.total),
            "amount_residual": paper.decimal(owed),
            "reversed_entry_id": False,
            "write_date": _moment(paper.made_at),
            "line_ids.matched_credit_ids.create_date": _moment(paper.changed_at),
        }

    def _credit_notes(self) -> list[dict[str, Any]]:
        return [
            {
                "id": 9000 + paper.number,
                "move_type": "out_refund",
                "state": "posted",
                "reversed_entry_id": [paper.number, "INV"],
                "amount_total": paper.decimal(paper.credited),
            }
            for paper in self.papers.values()
            if paper.credited
        ]


def _lines(paper: Paper) -> list[dict[str, Any]]:
    note = {"id": 0, "display_type": "line_note", "name": "A note of somebody's", "sequence": 99}
    move = {"move_id": [paper.number, f"Draft ({paper.number})"]}
    products = [
        {
            **line,
            **move,
            "display_type": "product",
            "price_subtotal": paper.decimal(amount),
            "tax_ids": line["tax_ids"][0][2],
        }
        for line, amount in zip(paper.lines, paper.amounts, strict=True)
    ]
    return [*products, {**note, **move}]


def _whole(minor: Decimal | int) -> int:
    return int(Decimal(minor).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _kept(number: int | Decimal) -> Decimal:
    return Decimal(number).quantize(PLACES, rounding=ROUND_HALF_UP)


def _order(asked: Mapping[str, Any]) -> list[str]:
    return str(asked.get("order", "id")).split(", ")


def _only(record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    if unknown := set(fields) - set(record) - {"amount_total"}:
        raise UnprocessableEntity(f"Invalid field {sorted(unknown)}")
    return {name: record[name] for name in fields}


def _fits(record: Mapping[str, Any], domain: Sequence[Any]) -> bool:
    """Return whether a record fits a domain: terms in Polish notation, joined by "and"."""
    rest = list(domain)

    def term() -> bool:
        first = rest.pop(0)
        if first == "|":
            left, right = term(), term()
            return left or right
        name, operator, value = first
        there = record.get(name, False)
        there = there[0] if isinstance(there, list) else there
        if operator == "=":
            return bool(there == value)
        if operator == "in":
            return there in value
        if operator == ">=":
            return bool(there) and there >= value
        if operator == "=ilike":
            return bool(there) and str(there).lower() == str(value).lower()
        raise UnprocessableEntity(f"Invalid operator {operator}")

    is_fitting = True
    while rest:
        is_fitting = term() and is_fitting
    return is_fitting


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = OdooStandIn()

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        entered = (
            {"name": each.name, "email": each.email or False, "vat": each.tax_id or False}
            for each in there
        )
        return [str(site.enter_person(each).number) for each in entered]

    def start_payment(remote_id: str, _minor: int) -> None:
        site.settling.add(int(remote_id))
        site.paper(int(remote_id)).changed_at = site.tick()

    return ContractRig(
        connect=lambda http: OdooConnector(SETTINGS, http),
        http=InProcess(site),
        secret=KEY,
        happenings={
            **site.happenings("finalize", "pay", "credit", "void", "delete"),
            "start_payment": start_payment,
        },
        refusal=refusal,
        is_change=_is_change,
        customers=customers,
    )


def refusal(status: int) -> Answer:
    """Return a refusal as Odoo words it."""
    error = {"name": "odoo.exceptions.UserError", "message": "No", "arguments": [], "debug": ""}
    return Answer(status, {"retry-after": "7"}, json.dumps(error).encode())


def _is_change(request: Outgoing) -> bool:
    return not request.url.endswith(("/search_read", "/search_count"))


if __name__ == "__main__":
    serve_for_ever(OdooStandIn())
