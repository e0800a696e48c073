"""What the misbehaving billing system keeps: customers, invoices, lines, keys.

One SQLite database, in memory or in a file that survives a kill -9. Every method works in the
caller's transaction; nothing here misbehaves.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

Row = dict[str, Any]

TABLES: Final = """
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, key TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS invoice (
    id INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT, customer TEXT, currency TEXT, header TEXT,
    state TEXT DEFAULT 'draft', version INTEGER DEFAULT 1, paid INTEGER DEFAULT 0,
    credited INTEGER DEFAULT 0, created_at REAL, changed_at REAL);
CREATE INDEX IF NOT EXISTS by_reference ON invoice (reference);
CREATE TABLE IF NOT EXISTS line (
    id INTEGER PRIMARY KEY, invoice_id INTEGER, description TEXT, quantity TEXT,
    unit_price TEXT, amount INTEGER);
CREATE INDEX IF NOT EXISTS by_invoice ON line (invoice_id);
CREATE TABLE IF NOT EXISTS kept_key (
    key TEXT PRIMARY KEY, asked TEXT, status INTEGER, body TEXT, at REAL);
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, kind TEXT, family TEXT, is_used INTEGER DEFAULT 0, at REAL);
CREATE TABLE IF NOT EXISTS fault (kind TEXT PRIMARY KEY, times INTEGER);
"""
LINE: Final = ("description", "quantity", "unit_price", "amount")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that is kept under an idempotency key; a status of 0 is still in flight."""

    asked: str
    status: int
    body: Row
    at: float


class Store:
    """The durable memory. Not for several threads at once: the system holds a lock around it."""

    def __init__(self, path: str = ":memory:") -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        if path != ":memory:":
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(TABLES)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is done in the block, durably, or nothing if it raises."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        return self._database.execute(query, values).fetchall()

    def add_customer(self, key: str, content: Mapping[str, Any]) -> Row:
        """Create a customer, however many there are with the same key."""
        row = self._insert("customer", key=key, content=json.dumps(content))
        return self.customers(key, row_id=row)[0]

    def customers(self, key: str, row_id: int | None = None) -> list[Row]:
        """Return the customers with a key."""
        found = self.rows("SELECT * FROM customer WHERE key = ? ORDER BY id", key)
        return [
            {"id": f"cus_{row['id']}", "key": row["key"], **json.loads(row["content"])}
            for row in found
            if row_id in (None, row["id"])
        ]

    def add_invoice(self, given: Mapping[str, Any], now: float) -> int:
        """Create a draft without lines; return its number."""
        return self._insert(
            "invoice",
            reference=given["reference"],
            customer=given["customer"],
            currency=given["currency"],
            header=json.dumps(given.get("header", {})),
            created_at=now,
            changed_at=now,
        )

    def add_lines(self, number: int, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to an invoice."""
        for line in lines:
            self._insert("line", invoice_id=number, **{name: line[name] for name in LINE})

    def remove_lines(self, number: int, keep: int = 0) -> None:
        """Take the lines off an invoice that follow the first ones."""
        first = "SELECT id FROM line WHERE invoice_id = ? ORDER BY id LIMIT ?"
        self.rows(
            f"DELETE FROM line WHERE invoice_id = ? AND id NOT IN ({first})", number, number, keep
        )

    def change(self, number: int, now: float, **values: object) -> None:
        """Change columns of an invoice, which makes a new version of it."""
        names = "".join(f", {name} = ?" for name in values)
        self.rows(
            f"UPDATE invoice SET version = version + 1, changed_at = ?{names} WHERE id = ?",
            now,
            *values.values(),
            number,
        )

    def delete(self, number: int) -> None:
        """Delete an invoice with its lines."""
        self.remove_lines(number)
        self.rows("DELETE FROM invoice WHERE id = ?", number)

    def invoice(self, number: int) -> Row | None:
        """Return an invoice with its lines and total, None if there is none."""
        found = self.rows("SELECT * FROM invoice WHERE id = ?", number)
        return self._with_lines(found[0]) if found else None

    def invoices(self, reference: str | None = None) -> list[Row]:
        """Return all invoices, or those with a reference, oldest first."""
        query = "SELECT * FROM invoice WHERE ? IN ('', reference) ORDER BY id"
        return [self._with_lines(row) for row in self.rows(query, reference or "")]

    def changed_since(self, moment: float) -> list[str]:
        """Return the ids of the invoices that changed at a moment or after it."""
        found = self.rows("SELECT id FROM invoice WHERE changed_at >= ? ORDER BY id", moment)
        return [f"inv_{row['id']}" for row in found]

    def kept(self, key: str, since: float) -> KeptAnswer | None:
        """Return what is kept under a key since a moment."""
        found = self.rows("SELECT * FROM kept_key WHERE key = ? AND at >= ?", key, since)
        if not found:
            return None
        row = found[0]
        return KeptAnswer(row["asked"], row["status"], json.loads(row["body"]), row["at"])

    def keep(self, key: str, answer: KeptAnswer) -> None:
        """Keep an answer under a key, in place of what was there."""
        self.rows(
            "INSERT OR REPLACE INTO kept_key VALUES (?, ?, ?, ?, ?)",
            *(key, answer.asked, answer.status, json.dumps(answer.body), answer.at),
        )

    def count(self, kind: str) -> None:
        """Count an effective fault."""
        self.rows(
            "INSERT INTO fault VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET times = times + 1",
            kind,
        )

    def counted(self) -> dict[str, int]:
        """Return how often each kind of fault was effective, since the store was made."""
        return {row["kind"]: row["times"] for row in self.rows("SELECT * FROM fault ORDER BY kind")}

    def _insert(self, table: str, **values: object) -> int:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        done = self._database.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",
            tuple(values.values()),
        )
        if done.lastrowid is None:
            raise AssertionError("an INSERT has a row id")
        return done.lastrowid

    def _with_lines(self, row: sqlite3.Row) -> Row:
        query = "SELECT * FROM line WHERE invoice_id = ? ORDER BY id"
        lines = [{name: line[name] for name in LINE} for line in self.rows(query, row["id"])]
        return {
            "id": f"inv_{row['id']}",
            "reference": row["reference"],
            "customer": row["customer"],
            "currency": row["currency"],
            "header": json.loads(row["header"]),
            "state": row["state"],
            "version": row["version"],
            "paid": row["paid"],
            "credited": row["credited"],
            "created_at": row["created_at"],
            "lines": lines,
            "total": sum(line["amount"] for line in lines),
        }
