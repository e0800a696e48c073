"""Zoho Books: pushes a draft in one request, with our reference in its reference number.

The worker calls it through `connectors.connector.BillingConnector`; what it has in common with
other accounting systems stands in `connectors/accounting.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.accounting import (
    Api,
    Json,
    Sheet,
    closing,
    due_on,
    header,
    mark,
    marked,
    objects,
    texts,
    today,
)
from connectors.calculating import TAX_ROUNDING, CalculatingConnector
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number
from connectors.http import Http
from connectors.oauth import OAuth2
from connectors.rest import NotThereError
from connectors.taxes import TaxThere, is_all_inclusive, taxes_there
from ledger.errors import ConfigurationError, PermanentError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.money import Money, line_amount
from ledger.payments import Amounts
from ledger.shown import ShownLine

DATA_CENTERS: Final = {
    "com": "https://www.zohoapis.com",
    "eu": "https://www.zohoapis.eu",
    "in": "https://www.zohoapis.in",
    "com.au": "https://www.zohoapis.com.au",
    "jp": "https://www.zohoapis.jp",
    "ca": "https://www.zohoapis.ca",
    "sa": "https://www.zohoapis.sa",
    "com.cn": "https://www.zohoapis.com.cn",
}
"""Where an account lives: https://www.zoho.com/books/api/v3/introduction/"""
PAGE: Final = 200
DOCUMENTS: Final = {
    "draft": "draft",
    "pending_approval": "draft",
    **dict.fromkeys(("sent", "viewed", "unpaid", "overdue", "partially_paid", "paid"), "open"),
    "void": "void",
}
"""https://www.zoho.com/books/api/v3/invoices/"""


class ZohoBooksConnector(CalculatingConnector):
    """Zoho Books; it never marks anything as sent, and sends nothing."""

    key = "zoho_books"
    name = "Zoho Books"
    docs_url = "https://www.zoho.com/books/api/v3/invoices/"
    settings = (
        Setting("client_id", "The client id of your app at api-console.zoho.com"),
        Setting("client_secret", "Its client secret", secret=True),
        Setting(
            "organization_id", "The id of the organization; connecting shows it", required=False
        ),
        Setting("data_center", f"Where it lives: {', '.join(DATA_CENTERS)}", required=False),
        Setting("item", "The id of the item of lines that name none", required=False),
        Setting("account", "The id of the income account of such lines", required=False),
        Setting("tax_code", "The id of the tax of lines without ours: one of 0 %", required=False),
        TAX_ROUNDING,
        Setting("api_base", "Another address of the API, for a stand-in", required=False),
        Setting("token_url", "The token endpoint of another data center", required=False),
        Setting("authorize_url", "The consent page of another data center", required=False),
    )
    oauth: ClassVar[OAuth2 | None] = OAuth2(
        token_url="https://accounts.zoho.com/oauth/v2/token",  # noqa: S106 - an address
        authentication="body",
        lasts_seconds=3600,
        # Without these two no refresh token is given.
        authorize_url="https://accounts.zoho.com/oauth/v2/auth?access_type=offline&prompt=consent",
        # Zoho wants commas between them.
        scopes=("ZohoBooks.invoices.ALL,ZohoBooks.contacts.ALL,ZohoBooks.settings.READ",),
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=200,
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        books=frozenset(("customer", "create", "item", "account", "tax_code")),
        below_zero=False,
        taxes=True,
        calculates_taxes=True,
        settles_after=timedelta(minutes=2),
    )
    digits = Digits(quantity=2, price=None)

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        center = settings.get("data_center") or "com"
        if center not in DATA_CENTERS:
            raise ConfigurationError(
                [f"{self.key}: data_center: is one of {', '.join(DATA_CENTERS)}"]
            )
        self._base = (settings.get("api_base") or DATA_CENTERS[center]).rstrip("/")

    @cached_property
    def api(self) -> Api:
        return Api(
            self.http,
            f"{self._base}/books/v3",
            {},
            tool=self.key,
            is_refusal=lambda told: isinstance(told, dict) and {"code", "message"} <= set(told),
            advice={
                400: "Zoho finds fault with it: look at customer, item, account, tax and currency",
                401: "connect it again; look whether data_center: and token_url: are of one place",
                403: "the user who connected it may not enter invoices there",
                404: "check organization_id: and data_center: in workspace.yaml; look whether it "
                "was deleted there",
            },
        )

    def check(self) -> str:
        organization = self._organization
        told = self._organizations()
        if organization not in told:
            raise PermanentError(
                f"{self.key}: the user who connected it has no organization {organization} - "
                f"choose one of {', '.join(sorted(told))} as organization_id: in workspace.yaml"
            )
        return "{name}, {currency_code}".format(**told[organization])

    def accounts(self) -> Mapping[str, str]:
        return {each: str(told["name"]) for each, told in self._organizations().items()}

    def _organizations(self) -> Mapping[str, Json]:
        told = self.api.get("/organizations")
        with self.api.reading("the organizations"):
            return {
                str(each["organization_id"]): {"currency_code": each["currency_code"], **each}
                for each in objects(told["organizations"])
            }

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        tax = f"{draft.tax}" if draft.tax.minor else None
        return header(notes=_notes(draft), terms=closing(draft), tax=tax)

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        # The list has no lines, and says which ones it found.
        for each in self._pages("invoices", reference_number=mark(reference)):
            with self.api.reading("invoices"):
                remote_id = str(each["invoice_id"])
            sheet = self._read(remote_id)
            if sheet is not None:
                yield sheet

    def _read(self, remote_id: str) -> Sheet | None:
        try:
            told = self.api.get(f"/invoices/{remote_id}", **self._query)
        except NotThereError:
            return None
        with self.api.reading(f"invoice {remote_id}"):
            return self._sheet(told["invoice"])

    def _changed(self, since: datetime) -> Iterable[str]:
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        for each in self._pages("invoices", last_modified_time=moment):
            with self.api.reading("invoices"):
                remote_id = str(each["invoice_id"])
            yield remote_id

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        written = {
            **self._written(draft),
            "customer_id": customer,
            "reference_number": mark(draft.reference),
        }
        told = self.api.write("POST", "/invoices", written, **self._query)
        return self._made(told, draft.reference)

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        remote_id = sheet.remote.remote_id
        told = self.api.write("PUT", f"/invoices/{remote_id}", self._written(draft), **self._query)
        return self._made(told, remote_id)

    def _erase(self, sheet: Sheet) -> None:
        remote_id = sheet.remote.remote_id
        self.api.delete(f"/invoices/{remote_id}", **self._query)
        self._erased(remote_id)

    def _made(self, told: Any, what: str) -> Sheet:
        with self.api.made(what):
            return self._sheet(told["invoice"])

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        currency = self._currency(draft.currency, draft.reference)
        self._must_be_kept(draft, int(number(currency["price_precision"])))
        dated = today()
        written: dict[str, Any] = {
            "currency_id": currency["currency_id"],
            "date": dated.isoformat(),
            "notes": _notes(draft),
            "terms": closing(draft),
            "is_inclusive_tax": self._is_inclusive(draft),
            "line_items": [
                self._line(line, tax, position)
                for position, (line, tax) in enumerate(self._taxed(draft), 1)
            ],
        }
        if due := due_on(draft, dated):
            written |= {"payment_terms": draft.days_until_due, "due_date": due}
        return written

    def _is_inclusive(self, draft: InvoiceDraft) -> bool:
        return is_all_inclusive(draft)

    def _found(self, draft: InvoiceDraft) -> list[TaxThere | None]:
        told = self.api.get("/settings/taxes", **self._query)
        with self.api.reading("taxes"):
            every = [
                TaxThere(str(each["tax_id"]), str(each["tax_name"]), number(each["tax_percentage"]))
                for each in objects(told["taxes"])
                # One on top of another tax takes more than its rate.
                if each.get("tax_type") != "compound_tax" and each.get("status") != "Inactive"
            ]
        return taxes_there(self.key, self.name, draft, every)

    def _line(self, line: PricedLine, tax: TaxThere | None, position: int) -> dict[str, Any]:
        written: dict[str, Any] = {
            "item_order": position,
            "description": line.description,
            "quantity": line.quantity,
            "rate": line.unit_price,
        }
        for word, field in (("item", "item_id"), ("account", "account_id"), ("tax_code", "tax_id")):
            if coded := self._coded(line.coding, word):
                written[field] = coded
        if tax is not None:
            written["tax_id"] = tax.id
        return written

    def _sheet(self, there: Json) -> Sheet:
        currency = str(there["currency_code"])
        document = DOCUMENTS.get(there["status"], "unknown")
        total, tax, owed, paid, credited, written_off = (
            minor(there.get(name), currency)
            for name in (
                *("total", "tax_total", "balance", "payment_made", "credits_applied"),
                "write_off_amount",
            )
        )
        is_inclusive = bool(there.get("is_inclusive_tax"))
        if written_off > 0 and document == "open":
            document = "written_off"
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=paid,
            credited=credited,
            remaining=owed if document == "open" else None,
            due_on=date.fromisoformat(there["due_date"]) if there.get("due_date") else None,
            version=str(there["last_modified_time"]),
        )
        remote_id = str(there["invoice_id"])
        items = sorted(
            objects(there["line_items"]), key=lambda each: number(each.get("item_order"))
        )
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=marked(there.get("reference_number")),
            amounts=amounts,
            lines=tuple(
                ShownLine(
                    str(each["description"]),
                    _amount(each, currency, is_inclusive=is_inclusive),
                    number(each["quantity"]),
                    number(each["rate"]),
                )
                for each in items
            ),
            header=header(
                notes=there.get("notes"),
                terms=there.get("terms"),
                tax=f"{Money(tax, currency)}" if tax else None,
            ),
            number=there.get("invoice_number") or None,
        )
        terms = there.get("payment_terms")
        return Sheet(there, remote, None if terms is None else int(number(terms)))

    # Contacts.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        found = []
        for each in self._pages("contacts", contact_type="customer"):
            with self.api.reading("contacts"):
                found += [
                    CustomerThere(
                        remote_id=str(each["contact_id"]),
                        name=name,
                        email=each.get("email") or None,
                    )
                    for name in {each["contact_name"], each.get("company_name")}
                    if name
                ]
        return found

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        name = customer.legal_name or customer.name
        written: dict[str, Any] = {
            "contact_name": name,
            "company_name": name,
            "contact_type": "customer",
            "currency_id": self._currency(currency, customer.key)["currency_id"],
            "notes": mark(customer.key),
        }
        if customer.email:
            person = {"email": customer.email, "is_primary_contact": True}
            written["contact_persons"] = [person]
        if address := customer.address:
            first, *others = address.lines
            written["billing_address"] = {
                "address": first,
                "street2": ", ".join(others),
                "city": address.city,
                "zip": address.postal_code or "",
                "country": address.country,
            }
        told = self.api.write("POST", "/contacts", written, **self._query)
        with self.api.made(f"customer {customer.key}"):
            return str(told["contact"]["contact_id"])

    # The API.

    @property
    def _organization(self) -> str:
        organization = self.configured.get("organization_id")
        if not organization:
            raise PermanentError(
                f"{self.key}: no organization is chosen - write its id as organization_id: under "
                "this connector in workspace.yaml; connecting it shows those that there are"
            )
        return organization

    @property
    def _query(self) -> dict[str, object]:
        return {"organization_id": self._organization}

    def _currency(self, code: str, what: str) -> Json:
        told = self.api.get("/settings/currencies", **self._query)
        with self.api.reading("currencies"):
            for each in objects(told["currencies"]):
                if each["currency_code"] == code:
                    return {"price_precision": 2, **each}
        raise UnsupportedError(
            f"{self.key}: {what}: {code} is no currency of the organization - add it in Zoho Books"
        )

    def _pages(self, kind: str, **query: object) -> Iterator[Json]:
        page = 1
        while True:
            told = self.api.get(f"/{kind}", page=page, per_page=PAGE, **query, **self._query)
            with self.api.reading(kind):
                some, is_last = objects(told[kind]), not told["page_context"]["has_more_page"]
            yield from some
            if is_last:
                return
            page += 1


def _amount(item: Json, currency: str, *, is_inclusive: bool) -> int:
    """Return a line's amount as its price is meant; Zoho's own is always without tax."""
    if not is_inclusive or number(item.get("discount_amount")):
        return minor(item["item_total"], currency)
    return line_amount(number(item["quantity"]), number(item["rate"]), currency).minor


def _notes(draft: InvoiceDraft) -> str:
    """Return the notes: the reference number, where an order would stand, is ours."""
    order = f"PO: {draft.purchase_order}" if draft.purchase_order else None
    return texts(order, draft.memo)
