"""FreeAgent: pushes a draft in one request, with our reference in the last line of its comments.

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
    header,
    objects,
    texts,
    today,
    with_mark,
    without_mark,
)
from connectors.calculating import TAX_ROUNDING, CalculatingConnector
from connectors.connector import ANY_PLACES, Abilities, RemoteInvoice, Setting
from connectors.customers import CustomerThere
from connectors.digits import Digits, PricedLine, minor, number
from connectors.oauth import OAuth2
from connectors.rest import NotThereError
from connectors.taxes import TaxThere, named
from ledger.events import as_utc_text
from ledger.invoices import BilledCustomer, InvoiceDraft
from ledger.payments import Amounts
from ledger.shown import ShownLine

BASE: Final = "https://api.freeagent.com/v2"
PAGE: Final = 100
PLACES: Final = 2
"""Decimals of every amount, whatever the currency."""
NO_UNIT: Final = "-no unit-"
DOCUMENTS: Final = {
    "Draft": "draft",
    "Scheduled To Email": "draft",
    "Open": "open",
    "Overdue": "open",
    "Zero Value": "open",
    "Paid": "open",
    "Overpaid": "open",
    "Refunded": "open",
    "Part written-off": "open",
    "Written-off": "written_off",
    "Cancelled": "void",
}
"""https://dev.freeagent.com/docs/invoices"""


class FreeAgentConnector(CalculatingConnector):
    """FreeAgent; it never marks anything as sent, and sends nothing."""

    key = "freeagent"
    name = "FreeAgent"
    docs_url = "https://dev.freeagent.com/docs/invoices"
    settings = (
        Setting("client_id", "The OAuth identifier of your app at dev.freeagent.com"),
        Setting("client_secret", "Its OAuth secret", secret=True),
        Setting("account", "The income category of lines that name none: 001", required=False),
        Setting("item", f"The unit of lines that name none: Hours; else {NO_UNIT}", required=False),
        TAX_ROUNDING,
        Setting("api_base", "Another address of the API, for the sandbox", required=False),
        Setting("token_url", "Another token endpoint, for the sandbox", required=False),
    )
    oauth: ClassVar[OAuth2 | None] = OAuth2(
        token_url="https://api.freeagent.com/v2/token_endpoint",  # noqa: S106 - an address
        lasts_seconds=3600,
        authorize_url="https://api.freeagent.com/v2/approve_app",
    )
    abilities: ClassVar[Abilities] = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=500,
        quantity_places=ANY_PLACES,
        price_places=ANY_PLACES,
        books=frozenset(("customer", "create", "item", "account")),
        # An invoice below zero is a credit note there.
        below_zero=False,
        taxes=True,
        calculates_taxes=True,
        settles_after=timedelta(minutes=2),
    )
    digits = Digits(quantity=2, price=PLACES)

    @cached_property
    def api(self) -> Api:
        return Api(
            self.http,
            self._base,
            {},
            tool=self.key,
            is_refusal=lambda told: isinstance(told, dict) and "errors" in told,
            advice={
                400: "FreeAgent finds fault with it: look at the contact, the category and the "
                "currency of it",
                401: "connect it again",
                403: 'the user who connected it needs the access level "Estimates and Invoices"',
                404: "check api_base: in workspace.yaml; look whether it was deleted there",
            },
        )

    @property
    def _base(self) -> str:
        return (self.configured.get("api_base") or BASE).rstrip("/")

    def check(self) -> str:
        told = self.api.get("/company")
        with self.api.reading("the company"):
            return f"{told['company']['name']}, {told['company']['currency']}"

    def _header(self, draft: InvoiceDraft) -> Mapping[str, str]:
        return header(purchase_order=draft.purchase_order, text=texts(draft.memo, closing(draft)))

    # Invoices.

    def _with_reference(self, reference: str, customer: str | None) -> Iterable[Sheet]:
        # No filter knows our reference; without a contact this reads every invoice.
        contact = None if customer is None else self._url("contacts", customer)
        return self._invoices(contact=contact)

    def _read(self, remote_id: str) -> Sheet | None:
        try:
            told = self.api.get(f"/invoices/{remote_id}")
        except NotThereError:
            return None
        with self.api.reading(f"invoice {remote_id}"):
            return self._sheet(told["invoice"])

    def _changed(self, since: datetime) -> Iterable[Sheet]:
        return self._invoices(updated_since=as_utc_text(since))

    def _enter(self, draft: InvoiceDraft, customer: str) -> Sheet:
        written = {**self._written(draft), "contact": self._url("contacts", customer)}
        told = self.api.write("POST", "/invoices", {"invoice": written})
        with self.api.made(draft.reference):
            return self._sheet(told["invoice"])

    def _overwrite(self, draft: InvoiceDraft, sheet: Sheet) -> Sheet:
        remote_id = sheet.remote.remote_id
        written = self._written(draft)
        # What is there stays unless it is taken off by its own address.
        old = [{"url": each["url"], "_destroy": 1} for each in sheet.there["invoice_items"]]
        written["invoice_items"] = [*old, *written["invoice_items"]]
        self.api.write("PUT", f"/invoices/{remote_id}", {"invoice": written})
        return self._again(remote_id)

    def _erase(self, sheet: Sheet) -> None:
        remote_id = sheet.remote.remote_id
        self.api.delete(f"/invoices/{remote_id}")
        self._erased(remote_id)

    def _written(self, draft: InvoiceDraft) -> dict[str, Any]:
        self._must_be_kept(draft, PLACES)
        self._must_have_cents(draft)
        text = texts(draft.memo, closing(draft))
        return {
            "dated_on": today().isoformat(),
            # It has to be said; 0 is due on receipt.
            "payment_terms_in_days": draft.days_until_due or 0,
            "currency": draft.currency,
            "po_reference": draft.purchase_order or "",
            "comments": with_mark(text, draft.reference),
            "invoice_items": [
                self._line(line, tax, position)
                for position, (line, tax) in enumerate(self._taxed(draft), 1)
            ],
        }

    def _found(self, draft: InvoiceDraft) -> list[TaxThere | None]:
        return named(draft)

    def _line(self, line: PricedLine, tax: TaxThere | None, position: int) -> dict[str, Any]:
        written = {
            "position": position,
            "item_type": self._coded(line.coding, "item") or NO_UNIT,
            "description": line.description,
            "quantity": f"{line.quantity:f}",
            "price": f"{line.unit_price:f}",
            "sales_tax_rate": "0.0" if tax is None else f"{tax.rate:f}",
        }
        if account := self._coded(line.coding, "account"):
            written["category"] = self._url("categories", account)
        return written

    def _invoices(self, **query: object) -> Iterator[Sheet]:
        pages = self._pages("invoices", view="all", nested_invoice_items="true", **query)
        for each in pages:
            with self.api.reading("invoices"):
                sheet = self._sheet(each)
            yield sheet

    def _sheet(self, there: Json) -> Sheet:
        currency, status = str(there["currency"]), there["status"]
        document = DOCUMENTS.get(status, "unknown")
        total, paid, owed, refunded = (
            minor(there.get(f"{name}_value"), currency)
            for name in ("total", "paid", "due", "refunded")
        )
        if status == "Refunded" and not refunded:
            refunded = paid
        is_open = document == "open"
        amounts = Amounts(
            document=document,
            currency=currency,
            total=total,
            paid=paid,
            # What neither came in nor is owed was credited, or written off in part.
            credited=max(0, total - paid + refunded - owed) if is_open and not refunded else 0,
            refunded=refunded,
            overpaid=max(0, paid - total) if is_open else 0,
            remaining=owed if is_open else None,
            due_on=date.fromisoformat(there["due_on"]) if there.get("due_on") else None,
            version=str(there["updated_at"]),
        )
        text, reference = without_mark(there.get("comments"))
        items = sorted(objects(there["invoice_items"]), key=lambda each: number(each["position"]))
        remote_id = _id(there["url"])
        remote = RemoteInvoice(
            remote_id=remote_id,
            reference=reference,
            amounts=amounts,
            lines=tuple(_shown(each, currency) for each in items),
            header=header(purchase_order=there.get("po_reference"), text=text),
            number=there.get("reference") or None,
        )
        return Sheet(there, remote, int(number(there["payment_terms_in_days"])))

    # Contacts.

    def _candidates(self, customer: BilledCustomer) -> list[CustomerThere]:
        found = []
        for each in self._pages("contacts", view="all"):
            with self.api.reading("contacts"):
                person = f"{each.get('first_name') or ''} {each.get('last_name') or ''}"
                emails = {each.get("email"), each.get("billing_email")}
                found += [
                    CustomerThere(
                        remote_id=_id(each["url"]),
                        name=each.get("organisation_name") or person,
                        email=email,
                        tax_id=each.get("sales_tax_registration_number") or None,
                    )
                    for email in sorted(filter(None, emails)) or [None]
                ]
        return found

    def _enter_customer(self, customer: BilledCustomer, currency: str) -> str:
        written: dict[str, Any] = {"organisation_name": customer.legal_name or customer.name}
        if customer.email:
            written["email"] = customer.email
        if customer.tax_id:
            written["sales_tax_registration_number"] = customer.tax_id
        if address := customer.address:
            lines = zip(("address1", "address2", "address3"), address.lines, strict=False)
            written |= {**dict(lines), "town": address.city, "postcode": address.postal_code or ""}
        told = self.api.write("POST", "/contacts", {"contact": written})
        with self.api.made(f"customer {customer.key}"):
            return _id(told["contact"]["url"])

    # The API: everything is named by its address.

    def _url(self, kind: str, remote_id: str) -> str:
        return f"{self._base}/{kind}/{remote_id}"

    def _pages(self, kind: str, **query: object) -> Iterator[Json]:
        page = 1
        while True:
            told = self.api.get(f"/{kind}", page=page, per_page=PAGE, sort="created_at", **query)
            with self.api.reading(kind):
                some = objects(told[kind])
            yield from some
            if len(some) < PAGE:
                return
            page += 1


def _shown(item: Json, currency: str) -> ShownLine:
    quantity, price = number(item["quantity"]), number(item["price"])
    return ShownLine(str(item["description"]), minor(quantity * price, currency), quantity, price)


def _id(url: object) -> str:
    """Return the number at the end of an address; raise ValueError if there is none."""
    return str(int(str(url).rpartition("/")[2]))
