"""Which requests the stand-in answers, each with the package's type of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from stripe import params

from . import shapes
from .book import Book
from .credit_notes import create
from .parameters import Refusal

Row = dict[str, Any]


class NoParams(TypedDict):
    """A request that takes no parameters."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request: `{}` in the path stands for an id."""

    method: str
    path: str
    params: Any
    """The package's TypedDict."""
    carry_out: Callable[[Book, str, Row], Row]

    def matches(self, method: str, path: str) -> re.Match[str] | None:
        """Return the match, whose first group is the id, if there is one in the path."""
        pattern = self.path.replace("{}", "([A-Za-z0-9_-]+)")
        return re.fullmatch(pattern, path) if method == self.method else None


def _listing(table: str, url: str, *equal: str) -> Callable[[Book, str, Row], Row]:
    """Return an operation that lists a table, newest first, by equality of these fields."""

    def carry_out(book: Book, _id: str, given: Row) -> Row:
        rows = [
            row
            for row in reversed(book.table(table).values())
            if all(row.get(name) == given[name] for name in equal if name in given)
            and _created_fits(row, given.get("created"))
        ]
        if table == "invoices":
            rows = [book.invoice(row["id"]) for row in rows]
        return paged(rows, given, url)

    return carry_out


def _created_fits(row: Row, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return wanted is None or row["created"] == wanted
    tests = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    return all(tests[name](row["created"], value) for name, value in wanted.items())


def paged(rows: list[Row], given: Row, url: str) -> Row:
    """Return the page of a list that `limit` and `starting_after` ask for."""
    limit = given.get("limit", 10)
    if not 1 <= limit <= 100:
        raise Refusal(400, "limit is between 1 and 100", param="limit")
    start = 0
    if after := given.get("starting_after"):
        ids = [row["id"] for row in rows]
        if after not in ids:
            raise Refusal(400, f"No such object: '{after}'", param="starting_after")
        start = ids.index(after) + 1
    return shapes.page(rows[start : start + limit], url, has_more=start + limit < len(rows))


def _account(_book: Book, _id: str, _given: Row) -> Row:
    profile = {"name": "Stand-in for Stripe"}
    return {"id": "acct_standin", "object": "account", "business_profile": profile}


def _intent(book: Book, row_id: str, given: Row) -> Row:
    row = dict(book.get("payment_intents", row_id))
    if "latest_charge" in given.get("expand", []) and row["latest_charge"]:
        row["latest_charge"] = book.get("charges", row["latest_charge"])
    return row


def _invoice_payments(book: Book, _id: str, given: Row) -> Row:
    wanted = given.get("payment", {}).get("payment_intent")
    rows = [
        row
        for row in reversed(book.table("invoice_payments").values())
        if wanted in (None, row["payment"]["payment_intent"])
        and given.get("invoice") in (None, row["invoice"])
    ]
    return paged(rows, given, "/v1/invoice_payments")


def _events(book: Book, _id: str, given: Row) -> Row:
    rows = [
        row
        for row in reversed(book.table("events").values())
        if row["type"] in given.get("types", [row["type"]])
        and _created_fits(row, given.get("created"))
    ]
    return paged(rows, given, "/v1/events")


def _lines(book: Book, row_id: str, given: Row) -> Row:
    book.get("invoices", row_id)
    url = f"/v1/invoices/{row_id}/lines"
    return paged(book.table("lines")[row_id]["data"], given, url)


def _get(table: str) -> Callable[[Book, str, Row], Row]:
    return lambda book, row_id, _given: book.get(table, row_id)


INVOICE = "/v1/invoices/{}"
OPERATIONS: Final = (
    Operation("GET", "/v1/account", NoParams, _account),
    Operation("GET", "/v1/products/{}", params.ProductRetrieveParams, _get("products")),
    Operation("POST", "/v1/customers", params.CustomerCreateParams,
              lambda book, _id, given: book.create_customer(given)),
    Operation("GET", "/v1/customers", params.CustomerListParams,
              _listing("customers", "/v1/customers", "email")),
    Operation("GET", "/v1/customers/{}", params.CustomerRetrieveParams, _get("customers")),
    Operation("POST", "/v1/customers/{}", params.CustomerUpdateParams, Book.update_customer),
    Operation("POST", "/v1/invoices", params.InvoiceCreateParams,
              lambda book, _id, given: book.create_invoice(given)),
    Operation("GET", "/v1/invoices", params.InvoiceListParams,
              _listing("invoices", "/v1/invoices", "customer", "status", "collection_method")),
    Operation("GET", INVOICE, params.InvoiceRetrieveParams,
              lambda book, row_id, _given: book.invoice(row_id)),
    Operation("POST", INVOICE, params.InvoiceUpdateParams, Book.update_invoice),
    Operation("DELETE", INVOICE, params.InvoiceDeleteParams,
              lambda book, row_id, _given: book.delete_invoice(row_id)),
    Operation("GET", f"{INVOICE}/lines", params.InvoiceLineItemListParams, _lines),
    Operation("POST", f"{INVOICE}/add_lines", params.InvoiceAddLinesParams, Book.add_lines),
    Operation("POST", f"{INVOICE}/remove_lines", params.InvoiceRemoveLinesParams,
              Book.remove_lines),
    Operation("POST", f"{INVOICE}/finalize", params.InvoiceFinalizeInvoiceParams, Book.finalize),
    Operation("POST", f"{INVOICE}/send", params.InvoiceSendInvoiceParams, Book.send),
    Operation("POST", f"{INVOICE}/void", params.InvoiceVoidInvoiceParams, Book.void),
    Operation("POST", "/v1/credit_notes", params.CreditNoteCreateParams, create),
    Operation("GET", "/v1/credit_notes", params.CreditNoteListParams,
              _listing("credit_notes", "/v1/credit_notes", "invoice", "customer")),
    Operation("GET", "/v1/tax_rates/{}", params.TaxRateRetrieveParams, _get("tax_rates")),
    Operation("GET", "/v1/invoice_payments", params.InvoicePaymentListParams, _invoice_payments),
    Operation("GET", "/v1/payment_intents/{}", params.PaymentIntentRetrieveParams, _intent),
    Operation("GET", "/v1/charges/{}", params.ChargeRetrieveParams, _get("charges")),
    Operation("GET", "/v1/disputes", params.DisputeListParams,
              _listing("disputes", "/v1/disputes", "charge", "payment_intent")),
    Operation("GET", "/v1/events", params.EventListParams, _events),
)  # fmt: skip
