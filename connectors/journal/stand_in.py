"""What the shared contract tests need: a folder, and somebody who keeps a journal in it."""

from __future__ import annotations

import re
from pathlib import Path

from connectors.contract import ContractRig
from ledger.money import Money

from .connector import JournalConnector
from .writing import BEANCOUNT, ENDINGS


class Bookkeeper:
    """Who makes invoices final and notes what was paid."""

    def __init__(self, folder: Path, dialect: str) -> None:
        self.folder = folder
        self.dialect = dialect
        self.payments = folder / f"payments.{ENDINGS[dialect]}"

    def path(self, reference: str) -> Path:
        """Return the file of an invoice."""
        return self.folder / "invoices" / f"{reference}.{ENDINGS[self.dialect]}"

    def finalize(self, reference: str) -> None:
        """Make a pending transaction final."""
        path = self.path(reference)
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^(\d{4}-\d\d-\d\d) !", r"\1 *", text), encoding="utf-8")

    def pay(self, reference: str, minor: int, flag: str = "*") -> None:
        """Note a payment; below zero it is a refund."""
        written = self.path(reference).read_text(encoding="utf-8")
        found = re.search(r"(?m)^  (\S.*?)  (\S+) ([A-Z]{3})$", written)
        if found is None:
            raise ValueError(f"{reference} has no postings")
        amount = f"{Money(-minor, found[3]).decimal():f}"
        head = f'"Acme" "Transfer" ^{reference}'
        if self.dialect != BEANCOUNT:
            head = f"Acme | transfer  ; invoice:{reference}"
        lines = (f"2026-04-02 {flag} {head}", f"  {found[1]}  {amount} {found[3]}", "  Assets:Bank")
        with self.payments.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n\n")


def contract_setup(folder: Path) -> ContractRig:
    """Return a rig whose drafts are written below the folder."""
    return rig(folder, BEANCOUNT)


def rig(folder: Path, dialect: str) -> ContractRig:
    """Return a rig for either program."""
    keeper = Bookkeeper(folder / "books", dialect)
    settings = {"folder": str(keeper.folder), "format": dialect}
    return ContractRig(
        connect=lambda http: JournalConnector(settings, http),
        happenings={
            "finalize": lambda reference, _minor: keeper.finalize(reference),
            "pay": keeper.pay,
            "refund": lambda reference, minor: keeper.pay(reference, -minor),
            "start_payment": lambda reference, minor: keeper.pay(reference, minor, "!"),
            "delete": lambda reference, _minor: keeper.path(reference).unlink(),
        },
    )
