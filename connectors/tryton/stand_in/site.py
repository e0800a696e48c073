"""A small Tryton for tests: JSON-RPC with the books of a firm, and what becomes of its invoices.

The same contract tests run over it and over a real server (`make test-tryton`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from connectors.stand_in import StandIn, serve_for_ever

from .person import marked, unmarked
from .records import (
    FIELDS,
    INVOICE,
    LINE,
    MOVE_LINE,
    TAX,
    TERM,
    ConcurrencyError,
    Record,
    Store,
    UserError,
    rounded,
)

DATABASE, USER, PASSWORD = "books", "billhook", "correct-horse-battery"
SERVICES, SOFTWARE = "4.1.2", "4.2.2"
ACCOUNTS: Final = {
    "1.2.1": "receivable",
    "2.2.3": "liability",
    SERVICES: "revenue",
    SOFTWARE: "revenue",
}
CURRENCIES: Final = {
    **dict.fromkeys(("EUR", "USD", "CHF", "MGA"), 2),
    **dict.fromkeys(("JPY", "ISK", "UGX"), 0),
    "KWD": 3,
}
"""Decimal places by code. BHD is not kept in these books: a currency can be missing."""
JOURNALS: Final = {"REV": "revenue", "CASH": "cash", "EXC": "write-off"}
OWN_TERM: Final = 14
"""The days of a term that the firm has made for itself."""
TERMS: Final = {"Upon Receipt": 0, "Net 10 days": 10, "Net 30 days": 30, "14 days": OWN_TERM}
TAXES: Final = {
    f"VAT {rate} %": Decimal(rate) / 100
    for rate in ("19", "7", "8.1", "1", "5", "10", "20", "24", "0")
}
EDITABLE: Final = {"description", "comment", "reference"}
"""What may be written into an invoice that is no draft any more."""
PRICE_PLACES: Final = 4
ZERO: Final = Decimal(0)


class TrytonSite(StandIn):
    """One database with one company."""

    routes: ClassVar = (Rule("/<database>/rpc/", endpoint="rpc", methods=["POST"]),)

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(
            {
                (LINE, "amount"): self._line_amount,
                (INVOICE, "total_amount"): self._total,
                (INVOICE, "amount_to_pay"): self._to_pay,
            }
        )
        self._wizards: dict[int, dict[str, Any]] = {}
        self._fill()

    def _fill(self) -> None:
        make = self.store.make
        for code, digits in CURRENCIES.items():
            rounding = Decimal(1).scaleb(-digits)
            make("currency.currency", {"code": code, "digits": digits, "rounding": rounding})
        make("country.country", {"code": "DE"})
        party = make("party.party", {"name": "Studio Nord", "addresses": [["create", [{}]]]})
        make("company.company", {"party": party, "currency": 1, "cancel_invoice_out": False})
        for code, kind in ACCOUNTS.items():
            make("account.account", {"code": code, "type": kind, "company": 1})
        for code, kind in JOURNALS.items():
            make("account.journal", {"code": code, "type": kind})
        group = make("account.tax.group", {"kind": "sale"})
        for name, rate in TAXES.items():
            tax = {"name": name, "type": "percentage", "rate": rate, "group": group}
            accounts = {"invoice_account": 2, "credit_note_account": 2, "company": 1}
            make("account.tax", {**tax, **accounts})
        for name, days in TERMS.items():
            delta = {"days": days, "weeks": 0, "months": 0}
            deltas = [["create", [delta]]] if days else []
            line = {"type": "remainder", "relativedeltas": deltas}
            make(TERM, {"name": name, "lines": [["create", [line]]]})
        make(f"{INVOICE}.payment.method", {"name": "Bank transfer"})
        make("account.move.reconcile.write_off", {"name": "Bad debt"})

    def authenticate(self, request: WsgiRequest) -> None:
        """Let everybody in as far as the method, which only some may call."""

    def problem(self, description: str) -> dict[str, Any]:
        return {"problem": description}

    def rpc(self, request: WsgiRequest, database: str) -> WsgiResponse:
        """Call one method. Tryton's own errors come with status 200, others as a page."""
        try:
            told = json.loads(request.get_data(), object_hook=unmarked, parse_float=float)
            if set(told) != {"id", "method", "params"}:
                raise BadRequest
            if database != DATABASE:
                raise NotFound
            result = {"result": self._called(request, told["method"], told["params"])}
        except HTTPException as page:
            return WsgiResponse(page.get_body(), page.code, content_type="text/html; charset=utf-8")
        except UserError as error:
            result = {"error": ["UserError", [str(error), "", None]]}
        except ConcurrencyError:
            result = {"error": ["ConcurrencyException", "Records were modified in the meanwhile"]}
        except (KeyError, TypeError, AttributeError, LookupError) as error:
            result = {"error": [str(error), ""]}
        written = json.dumps({"id": told["id"], **result}, default=marked)
        return WsgiResponse(written, content_type="application/json")

    def _called(self, request: WsgiRequest, method: str, params: list[Any]) -> Any:
        if method == "common.db.login":
            if params[:2] != [USER, {"password": PASSWORD}]:
                raise Unauthorized
            return [1, "token", None]
        if not request.headers.get("Authorization", "").startswith("Session "):
            raise Unauthorized
        kind, _, rest = method.partition(".")
        about, _, action = rest.rpartition(".")
        *given, context = params
        if (about, action) == ("res.user", "get_preferences"):
            return {"companies": [1], "company": 1}
        if about == INVOICE and action == "on_change":
            return self._usual(given[0])
        called = getattr(self, f"_{kind}_{action}", None)
        if called is None or (kind == "model" and about not in FIELDS):
            raise Forbidden
        self.store.must_be_as_seen(context.get("_timestamp", {}))
        return called(about, *given, context=context)

    def _usual(self, begun: Mapping[str, Any]) -> dict[str, Any]:
        party = self.store.tables["party.party"][begun["party"]]
        address = next(iter(party["addresses"]), None)
        usual = {"account": 1, "invoice_address": address, "journal": 1}
        return {**usual, "payment_term": None, "party_tax_identifier": None}

    # What every model can do.

    def _model_search(
        self, model: str, domain: list[Any], offset: int, limit: int | None, *_: Any, context: Any
    ) -> list[int]:
        found = [record["id"] for record in self.store.search(model, domain)]
        return found[offset : None if limit is None else offset + limit]

    def _model_search_read(
        self,
        model: str,
        domain: list[Any],
        offset: int,
        limit: int | None,
        order: Any,
        fields: list[str],
        *,
        context: Any,
    ) -> list[Record]:
        found = self._model_search(model, domain, offset, limit, order, context=context)
        return self._model_read(model, found, fields, context=context)

    def _model_read(
        self, model: str, ids: list[int], fields: list[str], *, context: Any
    ) -> list[Record]:
        table = self.store.tables[model]
        return [self.store.read(model, table[number], fields) for number in ids]

    def _model_create(self, model: str, given: list[Record], *, context: Any) -> list[int]:
        made = []
        for values in given:
            if model == INVOICE:
                values = {"state": "draft", "company": context.get("company"), **values}
            number = self.store.make(model, values)
            if model == INVOICE:
                self._must_be_invoice(number)
            made.append(number)
        return made

    def _must_be_invoice(self, number: int) -> None:
        record = self.store.tables[INVOICE][number]
        for name in ("type", "company", "party", "invoice_address", "currency", "account"):
            if record[name] is None:
                self.store.tables[INVOICE].pop(number)
                raise UserError(f'A value is required for field "{name}" in "Invoice".')
        for line in (self.store.tables[LINE][each] for each in record["lines"]):
            price = line["unit_price"]
            if price is None or line["account"] is None or line["quantity"] is None:
                raise UserError('A value is required for a field in "Invoice Line".')
            if -price.as_tuple().exponent > PRICE_PLACES:
                raise UserError(f'The number of digits in the value "{price}" exceeds the limit.')

    def _model_write(self, model: str, ids: list[int], values: Record, *, context: Any) -> None:
        for number in ids:
            if model == INVOICE and set(values) - EDITABLE:
                self._must_be_draft(number)
            self.store.write(model, number, values)
            if model == INVOICE:
                self._must_be_invoice(number)

    def _must_be_draft(self, number: int) -> None:
        if self.store.tables[INVOICE][number]["state"] != "draft":
            raise UserError(f'You cannot modify invoice "{number}" because it is posted.')

    def _model_delete(self, model: str, ids: list[int], *, context: Any) -> None:
        for number in ids:
            record = self.store.tables[model][number]
            if model == INVOICE and (
                record["state"] not in ("draft", "cancelled") or record["number"]
            ):
                raise UserError(f'To delete invoice "{number}" you must cancel it.')
            self.store.tables[model].pop(number)

    # What happens to an invoice.

    def _line_amount(self, line: Record) -> Decimal:
        rounding = self.store.tables["currency.currency"][line["currency"]]["rounding"]
        return rounded(Decimal(str(line["quantity"])) * line["unit_price"], rounding)

    def _total(self, invoice: Record) -> Decimal:
        lines = (self._line_amount(self.store.tables[LINE][each]) for each in invoice["lines"])
        taxes = (self.store.tables[TAX][each]["amount"] for each in invoice["taxes"])
        return sum(lines, ZERO) + sum(taxes, ZERO)

    def _to_pay(self, invoice: Record) -> Decimal:
        if invoice["state"] != "posted":
            return ZERO
        lines = [self.store.tables[MOVE_LINE][each] for each in invoice["payment_lines"]]
        paid = sum((line["credit"] - line["debit"] for line in lines), ZERO)
        return self._total(invoice) - paid

    def _model_post(self, model: str, ids: list[int], *, context: Any) -> None:
        for number in ids:
            invoice = self.store.tables[INVOICE][number]
            if invoice["state"] in ("draft", "validated"):
                self._posted(invoice)

    def _posted(self, invoice: Record) -> int:
        today = self.store.now.date()
        days = 0
        if invoice["payment_term"] is not None:
            days = list(TERMS.values())[invoice["payment_term"] - 1]
        move, line = self._booked(
            invoice, "revenue", f"{INVOICE},{invoice['id']}", debit=self._total(invoice)
        )
        self.store.tables[MOVE_LINE][line]["maturity_date"] = today + timedelta(days=days)
        number = f"{1 + sum(1 for each in self.store.tables[INVOICE].values() if each['number'])}"
        self.store.write(INVOICE, invoice["id"], {"state": "posted", "number": number})
        invoice["lines_to_pay"] = [line]
        return move

    def _booked(
        self, invoice: Record, journal: str, origin: str | None, *, debit: Decimal
    ) -> tuple[int, int]:
        """Book an amount on the customer's account; return the move and its line there."""
        kinds = list(JOURNALS.values())
        move = self.store.make(
            "account.move", {"origin": origin, "journal": kinds.index(journal) + 1}
        )
        is_foreign = invoice["currency"] != 1
        line = {
            "move": move,
            "debit": max(debit, ZERO),
            "credit": max(-debit, ZERO),
            "second_currency": invoice["currency"] if is_foreign else None,
            "amount_second_currency": debit if is_foreign else None,
        }
        return move, self.store.make(MOVE_LINE, line)

    def _model_cancel(self, model: str, ids: list[int], *, context: Any) -> None:
        for number in ids:
            invoice = self.store.tables[INVOICE][number]
            if invoice["number"]:
                if not self.store.tables["company.company"][1]["cancel_invoice_out"]:
                    raise UserError(f'You cannot cancel customer invoice "{number}".')
                origin = "account.move,1"
                invoice["cancel_move"], _ = self._booked(invoice, "revenue", origin, debit=ZERO)
            self.store.write(INVOICE, number, {"state": "cancelled"})

    # Wizards: a session, the button of each step, and what was entered so far.

    def _wizard_create(self, name: str, *, context: Any) -> list[Any]:
        session = len(self._wizards) + 1
        self._wizards[session] = {"invoice": context["active_id"]}
        return [session, "start", "end"]

    def _wizard_delete(self, name: str, session: int, *, context: Any) -> None:
        del self._wizards[session]["invoice"]

    def _wizard_execute(
        self, name: str, session: int, entered: Mapping[str, Any], button: str, *, context: Any
    ) -> dict[str, Any]:
        invoice = self.store.tables[INVOICE][self._wizards[session]["invoice"]]
        if name == f"{INVOICE}.credit":
            self._credit(invoice)
        else:
            start, asked = entered["start"], entered.get("ask")
            if button == "pay" or start["amount"] == self._to_pay(invoice):
                self._pay(invoice, start["amount"], (asked or {}).get("type"))
        return {}

    def _pay(self, invoice: Record, amount: Decimal, kind: str | None) -> None:
        owed = self._to_pay(invoice)
        if amount > owed:
            raise UserError("The amount is greater than the amount to pay.")
        if amount:
            origin = f"{INVOICE},{invoice['id']}"
            _, line = self._booked(invoice, "cash", origin, debit=-amount)
            invoice["payment_lines"].append(line)
        if kind == "writeoff":
            _, line = self._booked(invoice, "write-off", None, debit=amount - owed)
            invoice["reconciliation_lines"].append(line)
        is_settled = amount == owed or kind == "writeoff"
        if is_settled:
            invoice["reconciliation_lines"] += invoice["payment_lines"]
        state = "paid" if is_settled else "posted"
        self.store.write(INVOICE, invoice["id"], {"state": state})

    def _credit(self, invoice: Record) -> None:
        if invoice["state"] != "posted":
            raise UserError("You cannot credit with refund an invoice that is not posted.")
        names = ("type", "company", "party", "invoice_address", "currency", "account", "journal")
        note = self.store.make(INVOICE, {name: invoice[name] for name in names})
        credit_note = self.store.tables[INVOICE][note]
        self.store.write(INVOICE, note, {"state": "draft"})
        invoice["cancel_move"] = self._posted(credit_note)
        self.store.write(INVOICE, invoice["id"], {"state": "cancelled"})


if __name__ == "__main__":
    serve_for_ever(TrytonSite())
