"""The stand-in's memory: customers, invoices and payments, with Stripe's rules for them.

Everything is plain JSON, so that it can be kept in a file. The objects have the shape of the
API version that the installed `stripe` package was made for, as far as Billhook reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

from . import shapes
from .parameters import Refusal

Row = dict[str, Any]

TABLES: Final = (
    *("customers", "products", "invoices", "lines", "invoice_payments", "payment_intents"),
    *("charges", "refunds", "disputes", "credit_notes", "events", "keys"),
    "tax_rates",
)
MOST_LINES: Final = 250
PRODUCT: Final = "prod_services"
"""The one product that exists from the start."""
TENTHS: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
HUNDREDTHS: Final = frozenset({"isk", "ugx"})
DAY: Final = 24 * 60 * 60


class Book:
    """All objects; `emit` is called with each event once the change is made."""

    def __init__(self, now: Callable[[], int], path: Path | None = None) -> None:
        self.now, self._path = now, path
        self.events_to_post: list[Row] = []
        self._tables: dict[str, dict[str, Row]] = {name: {} for name in TABLES}
        self._tables["products"][PRODUCT] = {"id": PRODUCT, "object": "product", "name": "Services"}
        self._count = 0
        if path and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            self._tables, self._count = kept["tables"], kept["count"]

    def table(self, name: str) -> dict[str, Row]:
        """Return a table by id, oldest first."""
        return self._tables[name]

    def keep(self) -> None:
        """Write everything to the file, if there is one, whole or not at all."""
        if not self._path:
            return
        draft = self._path.with_suffix(".new")
        content = json.dumps({"tables": self._tables, "count": self._count})
        with draft.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def get(self, table: str, row_id: str) -> Row:
        """Return one object; raise Refusal (404) if there is none."""
        row = self._tables[table].get(row_id)
        if row is None:
            raise Refusal(404, f"No such {table[:-1]}: '{row_id}'", code="resource_missing")
        return row

    def emit(self, kind: str, about: Row) -> None:
        """Write an event down and have it posted."""
        event = shapes.event(self._new_id("evt"), self.now(), kind, json.loads(json.dumps(about)))
        self._tables["events"][event["id"]] = event
        self.events_to_post.append(event)

    def create_customer(self, params: Row) -> Row:
        """Create a customer."""
        row = shapes.customer(self._new_id("cus"), self.now(), params)
        self._tables["customers"][row["id"]] = row
        self.emit("customer.created", row)
        return row

    def update_customer(self, customer_id: str, params: Row) -> Row:
        """Change a customer; invoices that are there already keep what they say."""
        row = self.get("customers", customer_id)
        row.update({name: value or None for name, value in params.items() if name in row})
        self.emit("customer.updated", row)
        return row

    def create_invoice(self, params: Row) -> Row:
        """Create an empty draft."""
        customer = self.get("customers", params.get("customer", ""))
        by_hand = params.get("collection_method") == "send_invoice"
        due = params.get("days_until_due")
        if by_hand and due is None and "due_date" not in params:
            raise Refusal(400, "If collection_method=send_invoice, days_until_due is needed")
        if not by_hand and due is not None:
            raise Refusal(400, "days_until_due goes with collection_method=send_invoice only")
        _metadata_fits(params.get("metadata") or {})
        row = shapes.invoice(self._new_id("in"), self.now(), params, customer)
        if due is not None:
            row["due_date"] = self.now() + due * DAY
        self._tables["invoices"][row["id"]] = row
        self._tables["lines"][row["id"]] = {"data": []}
        self.emit("invoice.created", self.invoice(row["id"]))
        return self.invoice(row["id"])

    def update_invoice(self, invoice_id: str, params: Row) -> Row:
        """Change a draft's header."""
        row = self._draft(invoice_id)
        metadata = _merged(row["metadata"], params.pop("metadata", None))
        _metadata_fits(metadata)
        row["metadata"] = metadata
        row.update({name: value or None for name, value in params.items() if name in row})
        self.emit("invoice.updated", self.invoice(invoice_id))
        return self.invoice(invoice_id)

    def add_lines(self, invoice_id: str, params: Row) -> Row:
        """Add all lines and the metadata that comes with them, or none of it."""
        row = self._draft(invoice_id)
        present = self._tables["lines"][invoice_id]["data"]
        if len(present) + len(params["lines"]) > MOST_LINES:
            raise Refusal(
                400, f"An invoice has at most {MOST_LINES} lines", code="invoice_too_long"
            )
        metadata = _merged(row["metadata"], params.get("invoice_metadata"))
        _metadata_fits(metadata)
        amounts = [self._amount(line, row["currency"]) for line in params["lines"]]
        for line in params["lines"]:
            for tax in line.get("tax_amounts") or ():
                _tax_fits(tax, row["currency"])
                tax["tax_rate"] = self._tax_rate(tax["tax_rate_data"])
        for line, amount in zip(params["lines"], amounts, strict=True):
            present.append(shapes.line(self._new_id("il"), row, line, amount))
        row["metadata"] = metadata
        self.emit("invoice.updated", self.invoice(invoice_id))
        return self.invoice(invoice_id)

    def _tax_rate(self, data: Row) -> str:
        """Return the id of the rate that is made of the data of a line's tax."""
        for known in self._tables["tax_rates"].values():
            if all(str(known[name]) == str(value) for name, value in data.items()):
                return str(known["id"])
        now = self.now()
        rate = self.add("tax_rates", "txr", lambda new_id: shapes.tax_rate(new_id, now, data))
        return str(rate["id"])

    def remove_lines(self, invoice_id: str, params: Row) -> Row:
        """Remove some lines from a draft, or none if one of them is not on it."""
        row = self._draft(invoice_id)
        present = self._tables["lines"][invoice_id]["data"]
        gone = {line["id"] for line in params["lines"]}
        for line_id in sorted(gone - {line["id"] for line in present}):
            raise Refusal(400, f"No such line on the invoice: '{line_id}'", param="lines")
        row["metadata"] = _merged(row["metadata"], params.get("invoice_metadata"))
        present[:] = [line for line in present if line["id"] not in gone]
        self.emit("invoice.updated", self.invoice(invoice_id))
        return self.invoice(invoice_id)

    def _amount(self, line: Row, currency: str) -> int:
        """Return a line's amount, rounded half up as Stripe does it."""
        price = line.get("price_data")
        if ("amount" in line) == (price is not None):
            raise Refusal(400, "A line has either amount or price_data")
        quantity: Decimal = line.get("quantity_decimal", Decimal(1))
        if price is None:
            if "quantity_decimal" in line:
                raise Refusal(400, "quantity does not go with amount")
            amount = int(line["amount"])
        else:
            if price["currency"] != currency:
                raise Refusal(400, f"The invoice is in {currency}", param="price_data[currency]")
            if ("product" in price) == ("product_data" in price):
                raise Refusal(400, "price_data has either product or product_data")
            if "product" in price:
                self.get("products", price["product"])
            unit: Decimal = price.get("unit_amount_decimal", Decimal(0))
            for name, value in (("quantity_decimal", quantity), ("unit_amount_decimal", unit)):
                if value < 0 or value != round(value, 12):
                    raise Refusal(400, f"Invalid decimal: {value}", param=name)
            amount = int((quantity * unit).quantize(Decimal(1), ROUND_HALF_UP))
        divides(amount, currency)
        return amount

    def invoice(self, invoice_id: str) -> Row:
        """Return an invoice with its amounts, its first lines and its payments."""
        row = self.get("invoices", invoice_id)
        lines = self._tables["lines"][invoice_id]["data"]
        parts = [
            part
            for part in self._tables["invoice_payments"].values()
            if part["invoice"] == invoice_id
        ]
        return shapes.invoice_with_amounts(row, lines, parts)

    def delete_invoice(self, invoice_id: str) -> Row:
        """Delete a draft; afterwards there is no such invoice."""
        self._draft(invoice_id)
        self.emit("invoice.deleted", self.invoice(invoice_id))
        del self._tables["invoices"][invoice_id], self._tables["lines"][invoice_id]
        return {"id": invoice_id, "object": "invoice", "deleted": True}

    def finalize(self, invoice_id: str, params: Row) -> Row:
        """Make a draft an open invoice, which is paid at once if nothing is due."""
        row = self._draft(invoice_id)
        if not self._tables["lines"][invoice_id]["data"]:
            raise Refusal(400, "Nothing to invoice", code="invoice_no_customer_line_items")
        row["auto_advance"] = params.get("auto_advance", row["auto_advance"])
        row["status"] = "open"
        row["number"] = f"STANDIN-{self._next():04d}"
        row["status_transitions"]["finalized_at"] = self.now()
        self.emit("invoice.finalized", self.invoice(invoice_id))
        if self.invoice(invoice_id)["amount_due"] > 0:
            self._payment(invoice_id, self.invoice(invoice_id)["amount_due"], is_default=True)
        self.settle(invoice_id)
        return self.invoice(invoice_id)

    def send(self, invoice_id: str, _params: Row) -> Row:
        """Pretend to mail an open invoice."""
        if self.get("invoices", invoice_id)["status"] not in ("open", "paid"):
            raise Refusal(400, "Only an open invoice can be sent")
        self.emit("invoice.sent", self.invoice(invoice_id))
        return self.invoice(invoice_id)

    def void(self, invoice_id: str, _params: Row) -> Row:
        """Void an open invoice."""
        return self._close(invoice_id, "void", "voided_at", "invoice.voided")

    def write_off(self, invoice_id: str, _params: Row) -> Row:
        """Mark an open invoice as uncollectible."""
        kind = "invoice.marked_uncollectible"
        return self._close(invoice_id, "uncollectible", "marked_uncollectible_at", kind)

    def _close(self, invoice_id: str, status: str, when: str, kind: str) -> Row:
        row = self.get("invoices", invoice_id)
        if row["status"] not in ("open", "uncollectible"):
            raise Refusal(400, f"The invoice is {row['status']}, not open")
        row["status"] = status
        row["status_transitions"][when] = self.now()
        self.emit(kind, self.invoice(invoice_id))
        return self.invoice(invoice_id)

    def _payment(self, invoice_id: str, amount: int, *, is_default: bool) -> Row:
        """Return a new, still unpaid payment of the invoice, with its payment intent."""
        currency = self.get("invoices", invoice_id)["currency"]
        intent = shapes.payment_intent(self._new_id("pi"), self.now(), amount, currency)
        self._tables["payment_intents"][intent["id"]] = intent
        part = shapes.invoice_payment(
            self._new_id("inpay"), self.now(), invoice_id, intent, is_default=is_default
        )
        self._tables["invoice_payments"][part["id"]] = part
        return part

    def settle(self, invoice_id: str) -> None:
        """Mark an open invoice as paid once nothing remains."""
        row = self.get("invoices", invoice_id)
        if row["status"] == "open" and self.invoice(invoice_id)["amount_remaining"] == 0:
            row["status"] = "paid"
            row["status_transitions"]["paid_at"] = self.now()
            self.emit("invoice.paid", self.invoice(invoice_id))

    def payment_for(self, invoice_id: str, amount: int) -> Row:
        """Return the unpaid payment of exactly this amount, or a new one beside it."""
        for part in self._tables["invoice_payments"].values():
            is_free = part["invoice"] == invoice_id and part["status"] == "open"
            if is_free and part["amount_requested"] == amount:
                return part
        return self._payment(invoice_id, amount, is_default=False)

    def add(self, table: str, prefix: str, build: Callable[[str], Row]) -> Row:
        """Put a new object into a table."""
        row = build(self._new_id(prefix))
        self._tables[table][row["id"]] = row
        return row

    def _draft(self, invoice_id: str) -> Row:
        row = self.get("invoices", invoice_id)
        if row["status"] != "draft":
            raise Refusal(400, "This invoice is no longer editable", code="invoice_not_editable")
        return row

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_standin{self._next():06d}"

    def _next(self) -> int:
        self._count += 1
        return self._count


def _merged(metadata: dict[str, str], news: Any) -> dict[str, str]:
    """Return metadata with news: a key with an empty value is unset."""
    merged = metadata | (news or {})
    return {key: value for key, value in merged.items() if value != ""}


def divides(amount: int, currency: str) -> None:
    """Raise Refusal for an amount that is finer than Stripe's step for the currency."""
    step = 10 if currency in TENTHS else 100 if currency in HUNDREDTHS else 1
    if amount % step:
        raise Refusal(400, f"Amounts in {currency} must be divisible by {step}")


def _tax_fits(tax: Row, currency: str) -> None:
    """Refuse a tax as the package's own descriptions of its parameters say."""
    for name in ("amount", "taxable_amount"):
        divides(tax[name], currency)
    data = tax["tax_rate_data"]
    percentage = Decimal(str(data["percentage"]))
    if not 0 <= percentage <= 100 or percentage != round(percentage, 4):
        raise Refusal(400, f"Invalid percentage: {percentage}", param="tax_rate_data[percentage]")
    if not data["display_name"] or len(data["display_name"]) > 50:
        raise Refusal(400, "Invalid display_name", param="tax_rate_data[display_name]")


def _metadata_fits(metadata: dict[str, str]) -> None:
    too_long = any(len(key) > 40 or len(value) > 500 for key, value in metadata.items())
    if len(metadata) > 50 or too_long or any(set("[]") & set(key) for key in metadata):
        raise Refusal(400, "Metadata is too long", param="metadata")
