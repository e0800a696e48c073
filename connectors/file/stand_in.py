"""What the shared contract tests need: a folder, and somebody who keeps `payments.csv` in it."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.contract import ContractRig
from ledger.money import Money

from .connector import FileConnector
from .payments import COLUMNS, PAYMENTS_FILE


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig whose drafts are written below the folder."""
    drafts = folder / "drafts"

    def note(reference: str, minor: int) -> None:
        written = (drafts / f"{reference}.json").read_text(encoding="utf-8")
        currency = json.loads(written)["currency"]
        path = drafts / PAYMENTS_FILE
        if not path.exists():
            path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{reference},2026-03-04,{Money(minor, currency).decimal():f}\n")

    return ContractRig(
        connect=lambda http: FileConnector({"folder": str(drafts)}, http),
        happenings={
            "finalize": lambda reference, _minor: note(reference, 0),
            "pay": note,
            "overpay": note,
            "refund": lambda reference, minor: note(reference, -minor),
            "delete": lambda reference, _minor: (drafts / f"{reference}.json").unlink(),
        },
    )
