"""What the shared contract tests need: a folder, and somebody who keeps `payments.csv` in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from connectors.contract import ContractRig
from connectors.file.payments import COLUMNS, PAYMENTS_FILE
from ledger.money import Money

from .connector import EInvoiceConnector

SETTINGS: Final = {
    "format": "ubl",
    "seller": "Nordwerk GmbH",
    "street": "Hafenstr. 1; Building C",
    "postal_code": "20457",
    "city": "Hamburg",
    "country": "DE",
    "vat_id": "DE123456789",
    "registration": "HRB 4711",
    "contact": "Jo Smith",
    "email": "billing@nordwerk.example",
    "phone": "+49 40 123456",
    "iban": "DE02 1203 0000 0000 2020 51",
    "bic": "BYLADEM1001",
    "tax_code": "Z",
}
"""Of a firm that does not exist."""


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig whose invoices are written below the folder."""
    invoices = folder / "invoices"

    def note(reference: str, minor: int) -> None:
        written = (invoices / f"{reference}.json").read_text(encoding="utf-8")
        currency = json.loads(written)["currency"]
        path = invoices / PAYMENTS_FILE
        if not path.exists():
            path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{reference},2026-04-01,{Money(minor, currency).decimal():f}\n")

    return ContractRig(
        connect=lambda http: EInvoiceConnector({**SETTINGS, "folder": str(invoices)}, http),
        happenings={
            "finalize": lambda reference, _minor: note(reference, 0),
            "pay": note,
            "refund": lambda reference, minor: note(reference, -minor),
            "delete": lambda reference, _minor: (invoices / f"{reference}.json").unlink(),
        },
    )
