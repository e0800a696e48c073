"""Invoice Ninja v5: pushes a draft whose number is our reference, which can be there only once.

The worker calls it through `connectors.connector.BillingConnector`; what it has in common with
other accounting systems stands in `connectors/accounting.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.accounting import (
    Api,
    Json,
    Sheet,
    closing,
    days_between,
    due_on,
    header,
    mark,
    marked,
    objects,
    today,
)
from connectors.calculating import TAX_ROUNDING, CalculatingConnector
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number
from connectors.http import Http
from connectors.rest import NotThereError
from connectors.taxes import TaxThere, is_all_inclusive, named
from ledger.errors import TransientError, UnsupportedError
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.money import Money
from ledger.payments import Amounts
from ledger.shown import ShownLine

HOSTED: Final = "https://invoicing.co"
PAGE: Final = 100
DRAFT, SENT, PARTIAL, PAID, CANCELLED, REVERSED = "1", "2", "3", "4", "5", "6"
DOCUMENTS: Final = {
    DRAFT: "draft",
    SENT: "open",
    PARTIAL: "open",
    PAID: "open",
    CANCELLED: "void",
    REVERSED: "open",
}


class InvoiceNinjaConnector(CalculatingConnector):
    """Invoice Ninja; it never marks anything as sent, and sends nothing."""

    key = "invoice_ninja"
    name = "Invoice Ninja"
    docs_url = "https://invoiceninja.github.io/en/api-reference/invoice-ninja-api-reference"
    settings = (
        Setting("token", "An API token of the company", secret=True),
        Setting("url", f"The address of your own server; {HOSTED} without it", required=False),
        Setting("item", "The product key of lines that name none", required=False),
        TAX_ROUNDING,
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        # A number is there once; for Billhook that is a look-up, not a key that may be repeated.
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=1000,
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        books=frozenset(("customer", "create", "item")),
        taxes=True,
        calculates_taxes=True,
        settles_after=timedelta(minutes=2),
    )
    # They are kept as they are sent; more decimals would not survive a binary number for sure.
    digits = Digits(quantity=6, price=6)

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._url = (settings.get("url") or HOSTED).rstrip("/")

    @cached_property
    def api(self) -> Api:
        return Api(
            self.http,
            self._url + "/api/v1",
            {"X-API-TOKEN": self.configured["token"], "X-Requested-With": "XMLHttpRequest"},
            tool=self.key,
            is_refusal=lambda told: isinstance(told, dict) and "message" in told,
            advice={
                400: "Invoice Ninja finds fault with it: look whether another invoice has its "
                "number, or whether it is locked or archived there",
                401: "make a new API token in Invoice Ninja (Settings > Account Management)",
                403: "the token is not accepted, or its user may not do this: make a new API token "
                "in Invoice Ninja (Settings > Account Management)",
                404: "check url: in workspace.yaml; look whether it was deleted there",
            },
        )

    def check(self) -> str:
        company = self._company
        with self.api.reading("the company"):
            return f"{company['settings']['name']}, {self._code(company['settings'])}"

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        return self._invoices(number=reference)

    def _read(self, remote_id: str) -> Sheet | None:
        try:
            told = self.api.get(f"/invoices/{remote_id}", include="client")
        except NotThereError:
            return None
        with self.api.reading(f"invoice {remote_id}"):
            return self._sheet(told["data"])

    def _changed(self, since: datetime) -> Iterable[Sheet]:
        moment = int(since.timestamp())
        for sheet in self._invoices(updated_at=moment):
            # An older server does not know this filter and answers with all.
            if int(sheet.there["updated_at"]) >= moment:
                yield sheet

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        client = self.api.get(f"/clients/{customer}")
        with self.api.reading(f"client {customer}"):
            currency = self._currency(client["data"]["settings"])
        if currency["code"] != draft.currency:
            raise UnsupportedError(
                f"{self.key}: {draft.reference}: the client {customer} is billed in "
                f"{currency['code']}, and this is in {draft.currency} - name a client with this "
                "currency as books: {customer: ID} in the rule file"
            )
        self._must_be_kept(draft, int(currency["precision"]))
        written = {
            **self._written(draft),
            "client_id": customer,
            "number": draft.reference,
            "private_notes": mark(draft.reference),
        }
        told = self.api.write("POST", "/invoices", written, include="client")
        return self._made(told, draft.reference)

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        remote_id = sheet.remote.remote_id
        told = self.api.write(
            "PUT", f"/invoices/{remote_id}", self._written(draft), include="client"
        )
        return self._made(told, remote_id)

    def _erase(self, sheet: Sheet) -> None:
        remote_id = sheet.remote.remote_id
        self.api.delete(f"/invoices/{remote_id}")
        self._erased(remote_id)

    def _made(self, told: Any, what: str) -> Sheet:
        with self.api.made(what):
            return self._sheet(told["data"])

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        self._must_have_cents(draft)
        dated = today()
        return {
            "date": dated.isoformat(),
            "due_date": due_on(draft, dated) or "",
            "po_number": draft.purchase_order or "",
            "public_notes": draft.memo or "",
            "footer": closing(draft),
            "discount": 0,
            **_NO_TAX,
            "uses_inclusive_taxes": self._is_inclusive(draft),
            "line_items": [self._line(line, tax) for line, tax in self._taxed(draft)],
        }

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        tax = f"{draft.tax}" if draft.tax.minor else None
        return {**super()._header(draft), **header(tax=tax)}

    def _is_inclusive(self, draft: InvoiceDraft) -> bool:
        return is_all_inclusive(draft)

    def _found(self, draft: InvoiceDraft) -> list[TaxThere | None]:
        return named(draft)

    def _line(self, line: PricedLine, tax: TaxThere | None) -> dict[str, Any]:
        taken = {} if tax is None else {"tax_name1": _tax_name(tax), "tax_rate1": tax.rate}
        return {
            "product_key": self._coded(line.coding, "item") or "",
            "notes": line.description,
            "quantity": line.quantity,
            "cost": line.unit_price,
            "discount": 0,
            **_NO_TAX,
            **taken,
        }

    def _invoices(self, **query: object) -> Iterator[Sheet]:
        for each in self._pages("/invoices", include="client", **query):
            with self.api.reading("invoices"):
                sheet = self._sheet(each)
            yield sheet

    def _sheet(self, there: Json) -> Sheet:
        currency = self._code(there["client"]["settings"])
        status = str(there["status_id"])
        document = "deleted" if there["is_deleted"] else DOCUMENTS.get(status, "unknown")
        total, tax = minor(there["amount"], currency), minor(there.get("total_taxes"), currency)
        # What is owed counts from the day on that it is sent.
        owed = minor(there["balance"], currency) if document == "open" else None
        settled = 0 if owed is None else total - owed
        is_reversed = status == REVERSED
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=0 if is_reversed else settled,
            credited=total if is_reversed else 0,
            remaining=owed,
            due_on=date.fromisoformat(there["due_date"][:10]) if there["due_date"] else None,
            version=str(there["updated_at"]),
        )
        remote_id = str(there["id"])
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=marked(there["private_notes"]),
            amounts=amounts,
            lines=tuple(
                ShownLine(
                    str(each["notes"]),
                    minor(each["line_total"], currency),
                    number(each["quantity"]),
                    number(each["cost"]),
                )
                for each in objects(there["line_items"])
            ),
            header=header(
                purchase_order=there["po_number"],
                memo=there["public_notes"],
                footer=there["footer"],
                tax=f"{Money(tax, currency)}" if tax else None,
            ),
            number=there["number"] or None,
            url=f"{self._url}/#/invoices/{remote_id}/edit",
        )
        return Sheet(there, remote, days_between(there["date"], there["due_date"]))

    # Clients.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        """Return all clients, each once for every contact: only one spelling could be asked for."""
        found = []
        for each in self._pages("/clients", is_deleted="false"):
            with self.api.reading("clients"):
                emails = [contact["email"] for contact in each["contacts"] if contact["email"]]
                found += [
                    CustomerThere(
                        remote_id=str(each["id"]),
                        name=each["name"] or each["display_name"],
                        email=email,
                        tax_id=each["vat_number"] or None,
                        ours=marked(each["private_notes"]),
                    )
                    for email in emails or [None]
                ]
        return found

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        written: dict[str, Any] = {
            "name": customer.legal_name or customer.name,
            "private_notes": mark(customer.key),
            "vat_number": customer.tax_id or "",
            "contacts": [{"email": customer.email or "", "first_name": customer.contact or ""}],
            "settings": {"currency_id": self._currency_id(customer, currency)},
        }
        if address := customer.address:
            first, *others = address.lines
            written |= {
                "address1": first,
                "address2": ", ".join(others),
                "city": address.city,
                "postal_code": address.postal_code or "",
                "country_id": self._country_id(address.country),
            }
        told = self.api.write("POST", "/clients", written)
        with self.api.made(f"client {customer.key}"):
            return str(told["data"]["id"])

    # Currencies and countries have numbers of Invoice Ninja's own.

    @cached_property
    def _statics(self) -> Json:
        told: Json = self.api.get("/statics")
        with self.api.reading("currencies"):
            objects(told["currencies"])
            objects(told["countries"])
        return told

    @cached_property
    def _company(self) -> Json:
        told = self.api.ask("/companies/current", {})
        with self.api.reading("the company"):
            company: Json = told["data"]
            company["settings"]["currency_id"]
            return company

    def _currency(self, settings: Any) -> Json:
        """Return the currency of a client's settings, else of the company's."""
        own = settings.get("currency_id") if isinstance(settings, dict) else None
        wanted = str(own or self._company["settings"]["currency_id"])
        for each in self._statics["currencies"]:
            if str(each["id"]) == wanted:
                return dict(each)
        raise TransientError(f"{self.key}: there is no currency {wanted}")

    def _code(self, settings: Any) -> str:
        return str(self._currency(settings)["code"])

    def _currency_id(self, customer: BilledCustomer, currency: str) -> str:
        for each in self._statics["currencies"]:
            if each["code"] == currency:
                return str(each["id"])
        raise UnsupportedError(
            f"{self.key}: customer {customer.key}: Invoice Ninja has no currency {currency} - send "
            "it elsewhere with send_to:"
        )

    def _country_id(self, country: str) -> str:
        found = (each for each in self._statics["countries"] if each["iso_3166_2"] == country)
        return str(next(found, {"id": ""})["id"])

    def _pages(self, path: str, **query: object) -> Iterator[Json]:
        page = 1
        while True:
            told = self.api.get(path, per_page=PAGE, page=page, sort="id|asc", **query)
            with self.api.reading(path):
                some = objects(told["data"])
                last = int(told["meta"]["pagination"]["total_pages"])
            yield from some
            if page >= last:
                return
            page += 1


def _tax_name(tax: TaxThere) -> str:
    """Return a tax's name; a tax whose name has only one letter is left out of the sum there."""
    return tax.name if len(tax.name) > 1 else f"Tax {tax.name}"


_NO_TAX: Final = {
    f"{word}{place}": told
    for place in (1, 2, 3)
    for word, told in (("tax_name", ""), ("tax_rate", 0))
}
"""What keeps taxes of the company's or the product's own out."""
