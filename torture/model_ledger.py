"""What the ledger says after a step, read by plain SQL: the product's own code is not asked.

`torture/model_checks.py` holds it against the truth, and the generator steers by it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Final

from .model_truth import CREDITED

Row = dict[str, Any]
SYSTEM_STATES: Final = {
    "draft": "draft there",
    **dict.fromkeys(("open", "processing", "partially_paid"), "open"),
    **dict.fromkeys(("paid", "overpaid"), "settled"),
    **dict.fromkeys(("partially_refunded", "refunded", "disputed"), "settled"),
    **dict.fromkeys(("credited", "uncollectible"), "settled"),
    "void": "void",
    "deleted": "deleted",
}
"""The payment words, as far as it matters to what comes afterwards."""
CREDITABLE, NOTE, NOTED = "to be credited", "credit note", "credited"
"""Where credit notes are agreed: on a final invoice, on the draft of a note, on one that is out."""
STATES: Final = (
    *("no line", "held", "draft", "blocked", "approved", "frozen", "amended", "conflict"),
    *dict.fromkeys(SYSTEM_STATES.values()),
    *(CREDITABLE, NOTE, NOTED),
)
"""Where the newest line of a piece of work can stand, and stands often enough."""
_TABLES: Final = {
    "subject": "id, name, kind, state, customer, seconds, held_seconds, excluded_seconds",
    "line_item": "id, subject_id, kind, customer, amount, seconds, corrects_id, state, invoice_id, "
    "billed_revision, edit_id",
    "invoice": "id, reference, customer, state, is_frozen, content_hash, payment, remote_id, "
    "connector, net, total, problem, content, pushed_content, pushed_revision, conflict, "
    "released_at, kind, credits_id",
}


@dataclass(slots=True)
class Ledger:
    """The subjects, lines and invoices of one moment."""

    subjects: dict[str, Row] = field(default_factory=dict)
    """By their names."""
    lines: list[Row] = field(default_factory=list)
    """All that were not withdrawn, oldest first."""
    invoices: dict[int, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: sqlite3.Connection) -> Ledger:
        """Return what is committed now."""
        every = {table: _rows(raw, table, columns) for table, columns in _TABLES.items()}
        return cls(
            {row["name"]: row for row in every["subject"]},
            [row for row in every["line_item"] if row["state"] != "withdrawn"],
            {row["id"]: row for row in every["invoice"]},
        )

    def lines_of(self, name: str) -> list[Row]:
        """Return the lines of a subject."""
        found = self.subjects.get(name)
        return [line for line in self.lines if found and line["subject_id"] == found["id"]]

    def state_of(self, name: str) -> str:
        """Return which of `STATES` a piece of work is in: where it was billed or drafted last."""
        found = self.subjects.get(name)
        if found is not None and found["state"] == "held":
            return "held"
        placed = self.placed(name)
        return self.state_of_invoice(placed[-1]) if placed else "no line"

    def placed(self, name: str) -> list[int]:
        """Return the invoices on which a piece of work was billed or drafted, the last one last."""
        own = [line for line in self.lines_of(name) if line["corrects_id"] is None]
        return [line["invoice_id"] for line in own if line["invoice_id"] is not None]

    def state_of_invoice(self, invoice_id: int) -> str:
        """Return which of `STATES` the lines of an invoice are in, or "just pushed"."""
        row = self.invoices[invoice_id]
        if row["kind"] == "credit note":
            return NOTED if row["state"] == "pushed" else NOTE
        if self.is_creditable(row):
            return CREDITABLE
        if row["conflict"] and json.loads(row["conflict"])["kept"] is None:
            return "conflict"
        if row["state"] != "pushed" and row["pushed_content"] and not row["is_frozen"]:
            return "amended"
        if row["state"] != "pushed":
            return "frozen" if row["is_frozen"] else str(row["state"])
        return SYSTEM_STATES.get(row["payment"], "just pushed")

    def is_creditable(self, row: Row) -> bool:
        """Return whether a credit note is what lowers an invoice."""
        is_final = SYSTEM_STATES.get(row["payment"]) in ("open", "settled")
        is_out = row["kind"] == "invoice" and row["state"] == "pushed" and is_final
        return bool(is_out and row["customer"] in CREDITED and row["payment"] != "uncollectible")

    def is_billed(self, name: str) -> bool:
        """Return whether a piece of work stands on an invoice that went out."""
        billed = [line for line in self.lines_of(name) if line["state"] != "open"]
        return bool(sum(line["amount"] for line in billed) > 0)

    def released(self, name: str) -> int:
        """Return how many lines of a subject were released with their invoices."""
        return sum(line["state"] == "released" for line in self.lines_of(name))

    def unchanged_since_billed(self, name: str) -> bool:
        """Return whether all lines of a subject are billed: then its price stays as it was."""
        lines = self.lines_of(name)
        return bool(lines) and all(line["state"] != "open" for line in lines)


def _rows(raw: sqlite3.Connection, table: str, columns: str) -> list[Row]:
    names = columns.split(", ")
    found = raw.execute(f"SELECT {columns} FROM {table} ORDER BY id")
    return [dict(zip(names, row, strict=True)) for row in found]
