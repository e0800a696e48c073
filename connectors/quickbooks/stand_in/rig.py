"""What the shared contract tests need: a stand-in in this process, reached without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Response
from connectors.stand_in import InProcess

from ..connector import QuickBooksConnector
from .book import Book
from .faults import fault, refused_token
from .happenings import HAPPENINGS
from .server import FIELD, REALM, QuickBooksStandIn

SECRET: Final = "a-client-secret-of-the-stand-in"  # noqa: S105
BASE: Final = "http://quickbooks.stand-in.example"
SETTINGS: Final = {
    "client_id": "billhook-stand-in",
    "client_secret": SECRET,
    "realm": REALM,
    "draft_as": "estimate",
    "item": "Consulting",
    "purchase_order_field": FIELD,
    "api_base": BASE,
}


def contract_setup(
    _folder: Path, *, draft_as: str = "estimate", book: Book | None = None
) -> ContractRig:
    """Return a fresh stand-in, whose state is kept in the memory only."""
    site = QuickBooksStandIn(book)
    settings = {**SETTINGS, "draft_as": draft_as}
    return ContractRig(
        connect=lambda http: QuickBooksConnector(settings, http),
        http=InProcess(site),
        secret=SECRET,
        happenings={what: _happening(site.book, what) for what in HAPPENINGS},
        refusal=_refusal,
        customers=lambda there: [entered(site.book, each) for each in there],
        # Tax ids are shown masked.
        known_by=("email", "name"),
    )


def _happening(book: Book, what: str) -> Callable[[str, int], None]:
    return lambda remote_id, minor: HAPPENINGS[what](book, remote_id, minor)


def entered(book: Book, customer: CustomerThere) -> str:
    """Enter a customer as a person does; return its id."""
    told: dict[str, object] = {"DisplayName": customer.name}
    if customer.email:
        told["PrimaryEmailAddr"] = {"Address": customer.email}
    if customer.tax_id:
        told["PrimaryTaxIdentifier"] = customer.tax_id
    return str(book.write("Customer", told)["Id"])


def _refusal(status: int) -> Response:
    # A message may repeat what was sent; this one repeats the secret.
    told = refused_token(SECRET) if status == 401 else fault("6000", f"No, not with {SECRET}")
    headers = {"retry-after": "7", "content-type": "application/json"}
    return Response(status, headers, json.dumps(told).encode())


__all__: Sequence[str] = ("BASE", "SETTINGS", "contract_setup")
