"""What a person does in Tryton through its own API: for tests and the demo.

It works with the stand-in and with a real server alike, so both are held to the same behaviour.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from connectors.customers import CustomerThere
from connectors.http import Http, Request
from ledger.money import Money

INVOICE: Final = "account.invoice"
PARTY: Final = "party.party"


class RefusedError(Exception):
    """Tryton has answered with an error of its own: its name and what belongs to it."""


class Person:
    """Somebody who is logged in and works in one company."""

    def __init__(self, http: Http, url: str, database: str, user: str, password: str) -> None:
        self._http = http
        self._url = f"{url}/{database}/rpc/"
        self._authorization: str | None = None
        self.context: dict[str, Any] = {}
        number, token, *_ = self.call("common.db.login", user, {"password": password}, None)
        session = f"{user}:{number}:{token}".encode()
        self._authorization = f"Session {base64.b64encode(session).decode()}"

    def call(self, method: str, *params: object) -> Any:
        """Return the result of a method; raise RefusedError if Tryton refuses."""
        headers = {"Content-Type": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        asked = json.dumps({"id": 1, "method": method, "params": params}, default=marked)
        answer = self._http.send(Request("POST", self._url, headers, asked.encode()))
        if answer.status != 200:
            raise RefusedError(f"HTTP {answer.status}: {answer.body[:200]!r}")
        told = json.loads(answer.body, object_hook=unmarked)
        if "error" in told:
            raise RefusedError(told["error"])
        return told["result"]

    def of(self, model: str, method: str, *params: object) -> Any:
        """Return the result of a model's method in our company."""
        return self.call(f"model.{model}.{method}", *params, self.context)

    def find(self, model: str, *domain: object) -> list[int]:
        """Return the ids of a model's records that fit, in the order in which they were made."""
        found: list[int] = self.of(model, "search", list(domain), 0, None, [["id", "ASC"]])
        return found

    def make(self, model: str, **values: object) -> int:
        """Create a record and return its id."""
        made: int = self.of(model, "create", [values])[0]
        return made

    def wizard(self, name: str, *steps: tuple[str, Mapping[str, Any]], **about: object) -> None:
        """Go through a wizard: the button of each step, and what is entered before."""
        context = {**self.context, **about}
        session, _, _ = self.call(f"wizard.{name}.create", context)
        for button, entered in steps:
            self.call(f"wizard.{name}.execute", session, dict(entered), button, context)
        self.call(f"wizard.{name}.delete", session, context)

    # What happens to an invoice.

    def post(self, remote_id: str, _minor: int = 0) -> None:
        """Post a draft: from now on it is owed."""
        self.of(INVOICE, "post", [int(remote_id)])

    def pay(self, remote_id: str, minor: int) -> None:
        """Enter a payment on it, by its own wizard."""
        there = self._invoice(remote_id, "amount_to_pay", "currency.code")
        amount = Money(minor, there["currency."]["code"]).decimal()
        is_partial = amount < there["amount_to_pay"]
        self._pay(remote_id, minor, [("pay", {"type": "partial"})] if is_partial else [])

    def write_off(self, remote_id: str, _minor: int) -> None:
        """Write off what is still owed."""
        method = self.find("account.move.reconcile.write_off")[0]
        lines = self._invoice(remote_id, "lines_to_pay")["lines_to_pay"]
        asked = {"type": "writeoff", "writeoff": method, "lines": lines}
        self._pay(remote_id, 0, [("pay", asked)])

    def _pay(
        self, remote_id: str, minor: int, more: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> None:
        there = self._invoice(remote_id, "party", "currency", "currency.code")
        start = {
            "payee": there["party"],
            "amount": Money(minor, there["currency."]["code"]).decimal(),
            "currency": there["currency"],
            "payment_method": self.find("account.invoice.payment.method")[0],
            "date": _today(),
        }
        steps: list[tuple[str, Mapping[str, Any]]] = [("choice", {"start": start})]
        steps += [(button, {"start": start, "ask": entered}) for button, entered in more]
        self.wizard("account.invoice.pay", *steps, **_about(remote_id))

    def credit(self, remote_id: str, _minor: int) -> None:
        """Credit it as a whole; Tryton then calls the invoice cancelled."""
        entered = {"start": {"with_refund": True, "with_refund_allowed": True}}
        self.wizard("account.invoice.credit", ("credit", entered), **_about(remote_id))

    def cancel(self, remote_id: str, _minor: int = 0) -> None:
        """Cancel it; of a posted invoice only where the company allows that."""
        self.of("company.company", "write", self.find("company.company"), CANCELS)
        self.of(INVOICE, "cancel", [int(remote_id)])

    def delete(self, remote_id: str, _minor: int = 0) -> None:
        """Delete a draft."""
        self.of(INVOICE, "delete", [int(remote_id)])

    def edit(self, remote_id: str, _minor: int = 0) -> None:
        """Change a text on the draft."""
        self.of(INVOICE, "write", [int(remote_id)], {"comment": "As agreed on the phone"})

    def invoices(self, reference: str) -> list[int]:
        """Return the ids of all invoices with a reference, whatever became of them."""
        return self.find(INVOICE, ["reference", "=", reference])

    def _invoice(self, remote_id: str, *fields: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.of(INVOICE, "read", [int(remote_id)], list(fields))
        return found[0]

    def enter_customers(self, customers: Sequence[CustomerThere]) -> list[str]:
        """Enter customers, each with what is known of it."""
        return [
            str(
                self.make(
                    PARTY,
                    name=each.name,
                    addresses=[["create", [{}]]],
                    identifiers=[["create", [{"code": each.tax_id}]]] if each.tax_id else [],
                    contact_mechanisms=[["create", [{"type": "email", "value": each.email}]]]
                    if each.email
                    else [],
                )
            )
            for each in customers
        ]

    def forget(self) -> None:
        """Take our marks off all that is there, so that the next test begins with nothing."""
        invoices = self.find(INVOICE, ["reference", "!=", None])
        if invoices:
            self.of(INVOICE, "write", invoices, {"reference": None})
        company = self.of("company.company", "read", self.find("company.company"), ["party"])
        parties = self.find(PARTY, ["id", "!=", company[0]["party"]])
        if parties:
            self.of(PARTY, "write", parties, {"active": False})


CANCELS: Final = {"cancel_invoice_out": True}


def happenings(person: Callable[[], Person]) -> dict[str, Callable[[str, int], None]]:
    """Return what can happen to an invoice there, by the contract's words."""
    return {
        "finalize": lambda remote_id, minor: person().post(remote_id, minor),
        "pay": lambda remote_id, minor: person().pay(remote_id, minor),
        "credit": lambda remote_id, minor: person().credit(remote_id, minor),
        "void": lambda remote_id, minor: person().cancel(remote_id, minor),
        "write_off": lambda remote_id, minor: person().write_off(remote_id, minor),
        "delete": lambda remote_id, minor: person().delete(remote_id, minor),
        "edit": lambda remote_id, minor: person().edit(remote_id, minor),
    }


def marked(value: object) -> object:
    """Return what JSON lacks as Tryton writes it; for `json.dumps`."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": f"{value:f}"}
    if isinstance(value, datetime):
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
    if isinstance(value, date):
        day = {"year": value.year, "month": value.month, "day": value.day}
        return {"__class__": "date", **day}
    raise TypeError(f"{type(value).__name__} cannot be sent")


def unmarked(told: dict[str, Any]) -> Any:
    """Return what Tryton wrote for something that JSON lacks; for `json.loads`."""
    kind = told.get("__class__")
    parts = {name: value for name, value in told.items() if name != "__class__"}
    if kind == "Decimal":
        return Decimal(parts["decimal"])
    if kind == "datetime":
        return datetime(**parts)  # noqa: DTZ001 - Tryton's moments have no zone.
    return date(**parts) if kind == "date" else told


def _about(remote_id: str) -> dict[str, Any]:
    number = int(remote_id)
    return {"active_model": INVOICE, "active_id": number, "active_ids": [number]}


def _today() -> date:
    return datetime.now(UTC).date()
