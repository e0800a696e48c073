"""ERPNext: pushes a draft as a Sales Invoice with docstatus 0, and never over somebody's changes.

The worker calls it through `connectors.connector.BillingConnector`; what it has in common with
other accounting systems stands in `connectors/accounting.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.accounting import (
    AccountingConnector,
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
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number, places_setting
from connectors.http import Http, Response
from connectors.rest import NotThereError, content
from connectors.taxes import TaxThere, takes_tax, taxes_there
from ledger.errors import ConnectorError, TransientError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.money import Money, exact_amount
from ledger.payments import Amounts
from ledger.shown import ShownLine
from ledger.taxes import line_taxes, tax_of

INVOICE: Final = "Sales Invoice"
CUSTOMER: Final = ["name", "customer_name", "email_id", "tax_id", "customer_details"]
PAGE: Final = 500
DOCUMENTS: Final = {0: "draft", 1: "open", 2: "void"}
DECIMALS: Final = {"#.###": 0, "#,###": 0, "#,###.###": 3}
"""Of a currency, by its number format; the others have two."""
HOUR: Final = timedelta(hours=1)


class ErpnextApi(Api):
    """Frappe's REST API: every refusal names an exception."""

    def refused(self, answer: Response, where: str) -> ConnectorError:
        if content(answer).get("exc_type") == "TimestampMismatchError":
            return TransientError(f"{where}: somebody has changed it at the same time")
        return super().refused(answer, where)


class ErpnextConnector(AccountingConnector):
    """ERPNext; it never submits anything."""

    key = "erpnext"
    name = "ERPNext"
    docs_url = "https://docs.frappe.io/framework/user/en/api/rest"
    settings = (
        Setting("url", "The address of your site: https://acme.erpnext.com"),
        Setting("api_key", "The API key of the user who bills", secret=True),
        Setting("api_secret", "Its API secret", secret=True),
        Setting("item", "The code of the item of lines that name none"),
        Setting("company", "The name of the company, where there are several", required=False),
        Setting("account", "The income account of lines that name none", required=False),
        Setting("tax_code", "A taxes and charges template that adds nothing", required=False),
        Setting("tax_account", "The account of taxes that name none", required=False),
        Setting("reference_field", "A field for our reference; remarks without it", required=False),
        Setting("quantity_places", "The site's float precision: 3", required=False),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=1000,
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        # A return is a document of another kind.
        below_zero=False,
        taxes=True,
        # A server gives a request up after two minutes, unless it is configured otherwise.
        settles_after=timedelta(minutes=5),
    )

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self.digits = Digits(
            quantity=places_setting(self.key, settings, "quantity_places", 3), price=None
        )
        self._field = settings.get("reference_field") or "remarks"

    @cached_property
    def api(self) -> Api:
        keys = f"{self.configured['api_key']}:{self.configured['api_secret']}"
        return ErpnextApi(
            self.http,
            self.configured["url"].rstrip("/") + "/api",
            {"Authorization": f"token {keys}"},
            tool=self.key,
            is_refusal=lambda told: isinstance(told, dict) and "exc_type" in told,
            advice={
                400: "ERPNext's own rules forbid it: look whether item, accounts, exchange rate "
                "and fiscal year of it are as ERPNext wants them",
                401: "make a new API key and secret for the user in ERPNext",
                403: "give the user of the API key the right to enter sales invoices",
                404: "check url: in workspace.yaml; look whether it was deleted there",
            },
        )

    def check(self) -> str:
        company = self.configured.get("company")
        filters = [["name", "=", company]] if company else []
        found = list(self._list("Company", filters, ["name", "default_currency"]))
        with self.api.reading("the company"):
            return f"{found[0]['name']}, {found[0]['default_currency']}"

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        return header(purchase_order=draft.purchase_order, text=texts(draft.memo, closing(draft)))

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        for name in self._names([[self._field, "=", mark(reference)]]):
            sheet = self._read(name)
            if sheet is not None:
                yield sheet

    def _read(self, remote_id: str) -> Sheet | None:
        try:
            told = self.api.get(_path(INVOICE, remote_id))
        except NotThereError:
            return None
        with self.api.reading(f"invoice {remote_id}"):
            there = told["data"]
            credited = self._credited(remote_id) if there["docstatus"] == 1 else 0
            return self._sheet(there, credited)

    def _changed(self, since: datetime) -> Iterable[str]:
        # Moments are in the site's own time; in autumn an hour of it comes twice.
        moment = (since - HOUR).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")
        return self._names([["modified", ">=", moment]])

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        written = {
            **self._written(draft),
            "customer": customer,
            self._field: mark(draft.reference),
        }
        if company := self.configured.get("company"):
            written["company"] = company
        told = self.api.write("POST", _path(INVOICE), written)
        with self.api.made(draft.reference):
            return self._sheet(told["data"], 0)

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        remote_id = sheet.remote.remote_id
        # By this ERPNext sees whether somebody has written meanwhile.
        written = {**self._written(draft), "modified": sheet.there["modified"]}
        told = self.api.write("PUT", _path(INVOICE, remote_id), written)
        with self.api.made(remote_id):
            return self._sheet(told["data"], 0)

    def _erase(self, sheet: Sheet) -> None:
        remote_id = sheet.remote.remote_id
        self.api.delete(_path(INVOICE, remote_id))
        self._erased(remote_id)

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        self._must_be_kept(draft, self._decimals(draft))
        dated = today()
        text = texts(draft.memo, closing(draft))
        written: dict[str, Any] = {
            "currency": draft.currency,
            "set_posting_time": 1,
            "posting_date": dated.isoformat(),
            "po_no": draft.purchase_order or "",
            "terms": as_html(text) if text else "",
            "ignore_pricing_rule": 1,
            "disable_rounded_total": 1,
            "items": [self._line(line) for line in self._priced(draft)],
            "taxes": self._tax_rows(draft),
        }
        if template := self.configured.get("tax_code"):
            # Rows of a template would come on top of ours.
            written["taxes_and_charges"] = "" if written["taxes"] else template
        if due := due_on(draft, dated):
            written |= {
                "due_date": due,
                "ignore_default_payment_terms_template": 1,
                "payment_schedule": [],
            }
        return written

    def _line(self, line: PricedLine) -> dict[str, Any]:
        written: dict[str, Any] = {
            "item_code": self._coded(line.coding, "item"),
            "description": as_html(line.description),
            "qty": line.quantity,
            "rate": line.unit_price,
        }
        if account := self._coded(line.coding, "account"):
            written["income_account"] = account
        if line.coding.tax_code and not takes_tax(line):
            written["item_tax_template"] = line.coding.tax_code
        for name, value in line.coding.tracking:
            written[_field_of(name)] = value
        return written

    def _tax_rows(self, draft: InvoiceDraft) -> list[dict[str, Any]]:
        """Return the taxes as amounts, one row for each tax and account; raise RejectedError.

        ERPNext takes a row of the type "Actual" as it stands, and calculates nothing.
        """
        taxed = replace(draft, lines=tuple(line for line in draft.lines if takes_tax(line)))
        if not taxed.lines:
            return []
        accounts = taxes_there(
            *(self.key, self.name, taxed, list(self._tax_accounts())),
            usual=self.configured.get("tax_account"),
        )
        taxes = line_taxes([(line.tax, line.amount) for line in taxed.lines])
        names = {total.tax.key: total.words.name for total in draft.taxes}
        together: dict[tuple[str, str], int] = {}
        for line, account, amount in zip(taxed.lines, accounts, taxes, strict=True):
            if account is not None:
                row = (account.id, line.tax)
                together[row] = together.get(row, 0) + amount
        return [
            {
                "charge_type": "Actual",
                "account_head": account,
                "description": f"{names[key]} {tax_of(key).rate.normalize():f} %",
                "tax_amount": Money(amount, draft.currency).decimal(),
            }
            for (account, key), amount in together.items()
        ]

    def _tax_accounts(self) -> Iterator[TaxThere]:
        company = self.configured.get("company")
        filters: list[list[object]] = [
            ["account_type", "=", "Tax"],
            ["is_group", "=", 0],
            ["disabled", "=", 0],
        ]
        if company:
            filters.append(["company", "=", company])
        for each in self._list("Account", filters, ["name", "account_name", "tax_rate"]):
            with self.api.reading("tax accounts"):
                rate = number(each.get("tax_rate"))
                yield TaxThere(str(each["name"]), str(each["account_name"]), rate or None)

    def _decimals(self, draft: InvoiceDraft) -> int:
        """Return the decimals of the draft's currency; raise UnsupportedError if it is not used."""
        wanted: list[list[object]] = [["name", "=", draft.currency], ["enabled", "=", 1]]
        found = list(self._list("Currency", wanted, ["name", "number_format"]))
        if not found:
            raise UnsupportedError(
                f"{self.key}: {draft.reference}: {draft.currency} is no enabled currency there - "
                "enable it in ERPNext"
            )
        return DECIMALS.get(found[0].get("number_format") or "", 2)

    def _credited(self, remote_id: str) -> Fraction:
        returns: list[list[object]] = [["return_against", "=", remote_id], ["docstatus", "=", 1]]
        found = self._list(INVOICE, returns, ["name", "grand_total"])
        return -sum((Fraction(number(each["grand_total"])) for each in found), Fraction(0))

    def _sheet(self, there: Json, credited: Fraction | int) -> Sheet:
        currency = str(there["currency"])
        document = DOCUMENTS.get(there["docstatus"], "unknown")
        total = minor(there["grand_total"], currency)
        lowered = exact_amount(Fraction(credited), currency).minor
        owed = self._owed(there, currency) if document == "open" else None
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=0 if owed is None else max(0, total - owed - lowered),
            credited=lowered,
            remaining=owed,
            due_on=date.fromisoformat(there["due_date"]) if there.get("due_date") else None,
            version=str(there["modified"]),
        )
        remote_id = str(there["name"])
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=marked(there.get(self._field)),
            amounts=amounts,
            lines=tuple(
                ShownLine(
                    from_html(each["description"]),
                    minor(each["amount"], currency),
                    number(each["qty"]),
                    number(each["rate"]),
                )
                for each in objects(there["items"])
            ),
            header=header(purchase_order=there.get("po_no"), text=from_html(there.get("terms"))),
            number=remote_id if document == "open" else None,
            url=f"{self.configured['url'].rstrip('/')}/app/sales-invoice/{quote(remote_id)}",
        )
        return Sheet(there, remote, days_between(there["posting_date"], there.get("due_date")))

    def _owed(self, there: Json, currency: str) -> int:
        """Return what is owed in the invoice's currency; it is kept in that of the account."""
        owed = number(there["outstanding_amount"])
        total, in_books = number(there["grand_total"]), number(there.get("base_grand_total"))
        if there.get("party_account_currency") in (None, "", currency) or not in_books:
            return minor(owed, currency)
        return exact_amount(Fraction(owed) * Fraction(total) / Fraction(in_books), currency).minor

    # Customers.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        found = self._list("Customer", [["disabled", "=", 0]], CUSTOMER)
        with self.api.reading("customers"):
            return [
                CustomerThere(
                    remote_id=str(each["name"]),
                    name=each["customer_name"] or "",
                    email=each["email_id"] or None,
                    tax_id=each["tax_id"] or None,
                    ours=marked(each["customer_details"]),
                )
                for each in found
            ]

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        written = {
            "customer_name": customer.legal_name or customer.name,
            "customer_type": "Company",
            "customer_details": mark(customer.key),
            "tax_id": customer.tax_id or "",
            "email_id": customer.email or "",
        }
        told = self.api.write("POST", _path("Customer"), written)
        with self.api.made(f"customer {customer.key}"):
            return str(told["data"]["name"])

    # The API.

    @cached_property
    def _zone(self) -> ZoneInfo:
        told = self.api.get("/method/frappe.client.get_time_zone")
        with self.api.reading("the time zone"):
            return ZoneInfo(told["message"]["time_zone"])

    def _names(self, filters: Sequence[Sequence[object]]) -> Iterator[str]:
        company = self.configured.get("company")
        ours: list[list[object]] = [["company", "=", company]] if company else []
        for each in self._list(INVOICE, [["is_return", "=", 0], *ours, *filters], ["name"]):
            yield str(each["name"])

    def _list(
        self, doctype: str, filters: Sequence[Sequence[object]], fields: list[str]
    ) -> Iterator[Json]:
        start = 0
        while True:
            told = self.api.get(
                _path(doctype),
                filters=json.dumps(filters),
                fields=json.dumps(fields),
                order_by="creation asc, name asc",
                limit_start=start,
                limit_page_length=PAGE,
            )
            with self.api.reading(doctype):
                some = objects(told["data"])
                for each in some:
                    each["name"]
            yield from some
            if len(some) < PAGE:
                return
            start += PAGE


def _path(doctype: str, name: str | None = None) -> str:
    path = f"/resource/{quote(doctype)}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _field_of(name: str) -> str:
    """Return the field of an accounting dimension: "Cost Center" is cost_center."""
    return "_".join(name.lower().split())
