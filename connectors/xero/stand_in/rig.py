"""What the shared contract tests need: a stand-in in this process, reached without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Http, Request, Response
from connectors.stand_in import InProcess
from ledger.money import Money

from ..connector import XeroConnector
from .server import TENANT, XeroStandIn

BASE: Final = "https://api.xero.com"
SETTINGS: Final = {
    "client_id": "billhook-stand-in",
    "client_secret": "a-client-secret-of-the-stand-in",
    "tenant": TENANT,
    "account": "200",
    "tax_code": "OUTPUT",
    "api_base": BASE,
}


class Bearer:
    """The HTTP port with an access token that does not end."""

    def __init__(self, http: Http, token: str) -> None:
        self._http, self._token = http, token

    def send(self, request: Request) -> Response:
        """Return the answer."""
        headers = {**request.headers, "Authorization": f"Bearer {self._token}"}
        return self._http.send(replace(request, headers=headers))


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig around a fresh stand-in."""
    site = XeroStandIn()
    return rig_of(site)


def rig_of(site: XeroStandIn) -> ContractRig:
    """Return a rig around a stand-in."""
    token = site.identity.grant()
    books = site.books

    def set_status(status: str) -> Callable[[str, int], None]:
        def happen(remote_id: str, _minor: int) -> None:
            books.update_invoice(remote_id, {"Status": status}, places=4)

        return happen

    def pay(remote_id: str, minor: int) -> None:
        books.pay(remote_id, Money(minor, books.invoices[remote_id]["CurrencyCode"]).decimal())

    def credit(remote_id: str, minor: int) -> None:
        amount = Money(minor, books.invoices[remote_id]["CurrencyCode"]).decimal()
        books.allocate("credits", remote_id, amount)

    def customers(there: Sequence[CustomerThere]) -> list[str]:
        return [str(books.enter_contact(_entered(each))["ContactID"]) for each in there]

    return ContractRig(
        connect=lambda http: XeroConnector(SETTINGS, Bearer(http, token)),
        http=InProcess(site),
        secret=token,
        happenings={
            "finalize": set_status("AUTHORISED"),
            "pay": pay,
            "credit": credit,
            "void": set_status("VOIDED"),
            "delete": set_status("DELETED"),
        },
        refusal=refusal,
        customers=customers,
    )


def refusal(status: int) -> Response:
    """Return a refusal as Xero words it."""
    headers = {"content-type": "application/json"}
    if status == 429:
        return Response(429, {"retry-after": "7", "x-rate-limit-problem": "minute"}, b"")
    body: dict[str, object] = {"Type": None, "Title": "Refused", "Status": status, "Detail": ""}
    if status in (400, 422):
        message = "A validation exception occurred"
        body = {"ErrorNumber": 10, "Type": "ValidationException", "Message": message}
    return Response(status, headers, json.dumps(body).encode())


def _entered(customer: CustomerThere) -> dict[str, str]:
    told = {
        "Name": customer.name,
        "EmailAddress": customer.email,
        "TaxNumber": customer.tax_id,
        "ContactNumber": customer.ours,
    }
    return {name: value for name, value in told.items() if value}
