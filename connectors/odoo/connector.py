"""Odoo 19 and later: pushes a draft in one call of the JSON-2 API, which is one transaction there.

The worker calls it through `connectors.connector.BillingConnector`; what it has in common with
other accounting systems stands in `connectors/accounting.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.accounting import (
    Api,
    Json,
    Sheet,
    as_html,
    closing,
    days_between,
    due_on,
    from_html,
    header,
    mark,
    marked,
    objects,
    texts,
    today,
)
from connectors.calculating import CalculatingConnector
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number, places_setting
from connectors.http import Http
from connectors.taxes import BY_LINE, ON_SUM, TaxThere, taxes_there
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.money import Money, line_amount
from ledger.payments import Amounts
from ledger.shown import ShownLine

MOVE: Final = [
    *("name", "state", "payment_state", "partner_id", "currency_id", "ref", "invoice_origin"),
    *("narration", "invoice_date", "invoice_date_due", "amount_total", "amount_residual"),
    *("amount_tax", "write_date"),
]
LINE: Final = [
    *("move_id", "name", "quantity", "price_unit", "price_subtotal", "discount", "tax_ids"),
]
TAX: Final = ["name", "amount", "price_include"]
ROUNDINGS: Final = {"round_per_line": BY_LINE, "round_globally": ON_SUM}
"""Of a company, by the name that Odoo has for it."""
PARTNER: Final = ["name", "email", "vat", "ref"]
PAGE: Final = 100
DOCUMENTS: Final = {"draft": "draft", "posted": "open", "cancel": "void"}


class OdooConnector(CalculatingConnector):
    """Odoo; it never posts or sends anything."""

    key = "odoo"
    name = "Odoo"
    docs_url = "https://www.odoo.com/documentation/19.0/developer/reference/external_api.html"
    settings = (
        Setting("url", "The address of your Odoo: https://acme.odoo.com"),
        Setting("api_key", "An API key of the user who bills, made in Odoo", secret=True),
        Setting("database", "Its database, where one server has several", required=False),
        Setting("company", "The id of the company, where there are several", required=False),
        Setting("journal", "The id of the sales journal", required=False),
        Setting("item", "The id of the product of lines that name none", required=False),
        Setting("account", "The id of the income account of such lines", required=False),
        Setting("tax_code", "The id of the tax of lines without ours: one of 0 %", required=False),
        Setting("quantity_places", "Decimals that Odoo keeps of quantities: 2", required=False),
        Setting("price_places", "Decimals that Odoo keeps of unit prices: 2", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=1000,
        # What Odoo does not keep as numbers goes into the text of a line.
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        books=frozenset(("customer", "create", "item", "account", "tax_code")),
        below_zero=False,
        taxes=True,
        calculates_taxes=True,
        # A server gives a request up after two minutes, unless it is configured otherwise; a copy
        # of the database that answers questions may be a little behind.
        settles_after=timedelta(minutes=5),
    )

    rounding_advice: ClassVar[str] = (
        "set Rounding Method to Round Globally in Odoo's settings of Invoicing, put more work on a "
        "line with one_line_per:, or send it elsewhere with send_to:"
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self.digits = Digits(
            quantity=places_setting(self.key, settings, "quantity_places", 2),
            price=places_setting(self.key, settings, "price_places", 2),
        )

    @cached_property
    def api(self) -> Api:
        headers = {"Authorization": f"bearer {self.configured['api_key']}"}
        if database := self.configured.get("database"):
            headers["X-Odoo-Database"] = database
        return Api(
            self.http,
            self.configured["url"].rstrip("/") + "/json/2",
            headers,
            tool=self.key,
            is_refusal=lambda told: isinstance(told, dict) and {"name", "message"} <= set(told),
            advice={
                400: "Odoo's own rules forbid it: look whether accounts, taxes, journal and "
                "currency of it are as Odoo wants them",
                401: "make a new API key in Odoo (they last three months at most) and write it as "
                "api_key: into workspace.yaml",
                403: "give the user of the API key the right to bill",
                404: "check url:, database: and company: in workspace.yaml, and that Invoicing is "
                "installed",
            },
        )

    def check(self) -> str:
        company = self._company
        fields = ["name", "currency_id"]
        found = self._search("res.company", [["id", "=", company]] if company else [], fields)
        with self.api.reading("the company"):
            return f"{found[0]['name']}, {found[0]['currency_id'][1]}"

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        tax = f"{draft.tax}" if draft.tax.minor else None
        text = texts(draft.memo, closing(draft))
        return header(purchase_order=draft.purchase_order, text=text, tax=tax)

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        return self._some([["invoice_origin", "=", mark(reference)]])

    def _read(self, remote_id: str) -> Sheet | None:
        return next(iter(self._some([["id", "=", _id(remote_id)]])), None)

    def _some(self, domain: Sequence[Any]) -> list[Sheet]:
        """Return the invoices that fit; none only if Odoo counts none, for anybody says `[]`."""
        found = list(self._moves(domain))
        count = len(found) or self._count("account.move", [*self._kind, *domain])
        if count != len(found):
            raise TransientError(f"odoo: invoices: none came, and there are {count}")
        return found

    def _changed(self, since: datetime) -> Iterable[Sheet]:
        moment = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        # A payment need not touch the invoice itself; what matches both of them is new then.
        matched = ["line_ids.matched_credit_ids.create_date", ">=", moment]
        return self._moves(["|", ["write_date", ">=", moment], matched])

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        written = {
            **self._written(draft),
            "move_type": "out_invoice",
            "partner_id": _id(customer),
            "invoice_origin": mark(draft.reference),
        }
        if self._company:
            written["company_id"] = self._company
        if journal := self.configured.get("journal"):
            written["journal_id"] = _id(journal)
        told = self._call("account.move", "create", vals_list=[written])
        with self.api.made(draft.reference):
            (remote_id,) = told
        return self._again(str(remote_id))

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        written = self._written(draft)
        written["invoice_line_ids"] = [[5, 0, 0], *written["invoice_line_ids"]]
        self._call("account.move", "write", ids=[sheet.there["id"]], vals=written)
        return self._again(sheet.remote.remote_id)

    def _erase(self, sheet: Sheet) -> None:
        self._call("account.move", "unlink", ids=[sheet.there["id"]])
        self._erased(sheet.remote.remote_id)

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        """Return what a draft and its update have in common, in Odoo's words.

        What is not said is written as nothing, so that no default of Odoo's takes its place.
        """
        dated = today()
        text = texts(draft.memo, closing(draft))
        written: dict[str, Any] = {
            "currency_id": self._currency(draft),
            "ref": draft.purchase_order or False,
            "narration": as_html(text) if text else False,
            "invoice_date": dated.isoformat(),
            "invoice_line_ids": [
                [0, 0, self._line(line, tax, position)]
                for position, (line, tax) in enumerate(self._taxed(draft), 1)
            ],
        }
        if due := due_on(draft, dated):
            written |= {"invoice_payment_term_id": False, "invoice_date_due": due}
        return written

    def _line(self, line: PricedLine, there: TaxThere | None, position: int) -> dict[str, Any]:
        tax = self._coded(line.coding, "tax_code") if there is None else there.id
        written: dict[str, Any] = {
            "sequence": position,
            "name": line.description,
            "quantity": line.quantity,
            "price_unit": line.unit_price,
            "tax_ids": [[6, 0, [self._coded_id("tax_code", tax)] if tax else []]],
        }
        for word, field in (("item", "product_id"), ("account", "account_id")):
            if coded := self._coded(line.coding, word):
                written[field] = self._coded_id(word, coded)
        return written

    # Taxes: Odoo calculates them, as its company says.

    def _keeps_inside(self, draft: InvoiceDraft) -> bool:
        return True

    def _found(self, draft: InvoiceDraft) -> list[TaxThere | None]:
        every = self._taxes_on_sales()
        return taxes_there(self.key, self.name, draft, every, is_kept_inside=True)

    def _taxes_on_sales(self) -> list[TaxThere]:
        domain: list[Any] = [["type_tax_use", "=", "sale"], ["amount_type", "=", "percent"]]
        if self._company:
            domain.append(["company_id", "=", self._company])
        found = self._search("account.tax", domain, TAX)
        with self.api.reading("taxes"):
            return [
                TaxThere(
                    str(each["id"]),
                    str(each["name"]),
                    number(each["amount"]),
                    is_included=bool(each["price_include"]),
                )
                for each in found
            ]

    def _roundings(self) -> frozenset[str]:
        company = self._company
        fields = ["tax_calculation_rounding_method"]
        found = self._search("res.company", [["id", "=", company]] if company else [], fields)
        with self.api.reading("the company"):
            told = [ROUNDINGS[each["tax_calculation_rounding_method"]] for each in found]
            return frozenset(told)

    def _included(self, lines: Iterable[Json]) -> frozenset[int]:
        """Return the taxes on some lines that their prices hold."""
        ids = sorted({tax for line in lines for tax in line["tax_ids"]})
        if not ids:
            return frozenset()
        # Also those that are switched off meanwhile.
        domain = [["id", "in", ids], ["active", "in", [True, False]]]
        found = self._search("account.tax", domain, ["price_include"])
        with self.api.reading("taxes"):
            return frozenset(each["id"] for each in found if each["price_include"])

    def _coded_id(self, word: str, coded: str) -> int:
        if not coded.isdecimal():
            raise RejectedError(
                f'odoo: {word}: "{coded}" is no id - write the number at the end of its address in '
                "Odoo"
            )
        return int(coded)

    def _currency(self, draft: InvoiceDraft) -> int:
        """Return the id of the draft's currency; raise UnsupportedError if Odoo cannot bill in it.

        How many decimals a currency has is for Odoo's administrators to say.
        """
        fields = ["name", "decimal_places"]
        found = self._search("res.currency", [["name", "=", draft.currency]], fields)
        if not found:
            raise UnsupportedError(
                f"odoo: {draft.reference}: {draft.currency} is no active currency there - activate "
                "it in Odoo"
            )
        with self.api.reading("a currency"):
            remote_id, places = int(found[0]["id"]), int(found[0]["decimal_places"])
        self._must_be_kept(draft, places)
        return remote_id

    def _moves(self, domain: Sequence[Any]) -> Iterator[Sheet]:
        for moves in self._pages("account.move", [*self._kind, *domain], MOVE):
            with self.api.reading("invoices"):
                ids = [each["id"] for each in moves]
                paid = [each["id"] for each in moves if _is_lowered(each)]
            lines = self._of_moves(
                "account.move.line",
                "move_id",
                [["move_id", "in", ids], ["display_type", "=", "product"]],
                LINE,
            )
            notes = self._credits(paid) if paid else {}
            with self.api.reading("the lines of invoices"):
                included = self._included(line for some in lines.values() for line in some)
            for each in moves:
                with self.api.reading(f"invoice {each.get('id')}"):
                    remote_id = each["id"]
                    credits = notes.get(remote_id, [])
                    sheet = self._sheet(each, lines.get(remote_id, []), credits, included)
                yield sheet

    def _credits(self, ids: list[int]) -> dict[int, list[Json]]:
        posted = [["reversed_entry_id", "in", ids], ["state", "=", "posted"]]
        fields = ["reversed_entry_id", "amount_total"]
        return self._of_moves("account.move", "reversed_entry_id", posted, fields)

    def _of_moves(
        self, model: str, field: str, domain: list[Any], fields: list[str]
    ) -> dict[int, list[Json]]:
        """Return records by the id of the invoice that they belong to."""
        order = "sequence, id" if model == "account.move.line" else "id"
        found = self._search(model, domain, fields, order=order)
        by_move: dict[int, list[Json]] = {}
        with self.api.reading(model):
            for each in found:
                by_move.setdefault(each[field][0], []).append(each)
        return by_move

    def _sheet(
        self, there: Json, lines: Sequence[Json], credits: Sequence[Json], included: frozenset[int]
    ) -> Sheet:
        currency = str(there["currency_id"][1])
        total, owed, tax = (
            minor(there[name], currency)
            for name in ("amount_total", "amount_residual", "amount_tax")
        )
        document = DOCUMENTS.get(there["state"], "unknown")
        is_open = document == "open"
        settled = total - owed if is_open else 0
        credited = min(settled, sum(minor(each["amount_total"], currency) for each in credits))
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=settled - credited,
            credited=credited,
            remaining=owed if is_open else None,
            is_settling=there["payment_state"] == "in_payment",
            due_on=_day(there["invoice_date_due"]),
            version=str(there["write_date"]),
        )
        remote_id = str(there["id"])
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=marked(there["invoice_origin"]),
            amounts=amounts,
            lines=tuple(
                ShownLine(
                    each["name"] or "",
                    _amount(each, currency, included),
                    number(each["quantity"]),
                    number(each["price_unit"]),
                )
                for each in lines
            ),
            header=header(
                purchase_order=there["ref"] or None,
                text=from_html(there["narration"]),
                tax=f"{Money(tax, currency)}" if tax else None,
            ),
            number=there["name"] or None if is_open else None,
            url=f"{self.configured['url'].rstrip('/')}/odoo/account.move/{remote_id}",
        )
        return Sheet(there, remote, days_between(there["invoice_date"], there["invoice_date_due"]))

    # Customers.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        if customer.remote_id is not None:
            if not customer.remote_id.isdecimal():
                return []
            domain: list[Any] = [["id", "=", int(customer.remote_id)]]
        else:
            ways: list[list[Any]] = [["ref", "=", mark(customer.key)]]
            if customer.tax_id:
                plain = "".join(each for each in customer.tax_id if each.isalnum())
                ways.append(["vat", "in", [customer.tax_id, plain, plain.upper()]])
            if customer.email:
                ways.append(["email", "=ilike", customer.email])
            for name in (customer.name, customer.legal_name):
                if name:
                    ways.append(["name", "=ilike", name])
            # A contact of a company has a parent; the company is billed.
            domain = [["parent_id", "=", False], *["|"] * (len(ways) - 1), *ways]
        found = self._search("res.partner", domain, PARTNER)
        with self.api.reading("customers"):
            return [
                CustomerThere(
                    remote_id=str(each["id"]),
                    name=each["name"] or "",
                    email=each["email"] or None,
                    tax_id=each["vat"] or None,
                    ours=marked(each["ref"]),
                )
                for each in found
            ]

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        written: dict[str, Any] = {
            "name": customer.legal_name or customer.name,
            "is_company": True,
            "ref": mark(customer.key),
            "email": customer.email or False,
            "vat": customer.tax_id or False,
        }
        if address := customer.address:
            first, *others = address.lines
            written |= {
                "street": first,
                "street2": ", ".join(others) or False,
                "zip": address.postal_code or False,
                "city": address.city,
            }
            countries = self._search("res.country", [["code", "=", address.country]], ["code"])
            if countries:
                written["country_id"] = countries[0]["id"]
        told = self._call("res.partner", "create", vals_list=[written])
        with self.api.made(f"customer {customer.key}"):
            (remote_id,) = told
            return str(int(remote_id))

    # The API.

    @property
    def _kind(self) -> list[Any]:
        company = [["company_id", "=", self._company]] if self._company else []
        return [["move_type", "=", "out_invoice"], *company]

    @property
    def _company(self) -> int | None:
        company = self.configured.get("company")
        return _id(company) if company else None

    def _body(self, **parameters: Any) -> dict[str, Any]:
        company = self._company
        context = {"context": {"allowed_company_ids": [company]}} if company else {}
        return {**parameters, **context}

    def _call(self, model: str, method: str, **parameters: Any) -> Any:
        return self.api.write("POST", f"/{model}/{method}", self._body(**parameters))

    def _search(
        self, model: str, domain: Sequence[Any], fields: list[str], **more: Any
    ) -> Sequence[Json]:
        body = self._body(domain=domain, fields=fields, **more)
        told = self.api.ask(f"/{model}/search_read", body)
        with self.api.reading(model):
            return objects(told)

    def _count(self, model: str, domain: Sequence[Any]) -> int:
        told = self.api.ask(f"/{model}/search_count", self._body(domain=domain))
        with self.api.reading(model):
            if not isinstance(told, int) or isinstance(told, bool):
                raise TypeError("no count")
            return told

    def _pages(
        self, model: str, domain: Sequence[Any], fields: list[str]
    ) -> Iterator[Sequence[Json]]:
        offset = 0
        while True:
            page = self._search(model, domain, fields, order="id", offset=offset, limit=PAGE)
            if page:
                yield page
            if len(page) < PAGE:
                return
            offset += PAGE


def _amount(line: Json, currency: str, included: frozenset[int]) -> int:
    """Return a line's amount as its price is meant: with the tax that the price holds."""
    if included.isdisjoint(line["tax_ids"]) or number(line["discount"]):
        return minor(line["price_subtotal"], currency)
    return line_amount(number(line["quantity"]), number(line["price_unit"]), currency).minor


def _id(told: str) -> int:
    """Return an id; 0 is nobody's."""
    return int(told) if told.isdecimal() else 0


def _day(told: Any) -> Any:
    return datetime.fromisoformat(told).date() if told else None


def _is_lowered(there: Json) -> bool:
    return bool(there["state"] == "posted" and there["amount_residual"] != there["amount_total"])
