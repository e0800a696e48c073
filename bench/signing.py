"""Copied invoices become whole: content, approval, intents, payments and log. For `auditing.py`.

`copies.py` copies rows in SQL; what is signed over an invoice's own reference cannot be copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from ledger import auditlog
from ledger.events import canonical_json
from ledger.frozen import remember
from ledger.tables import approval, audit_entry, intent, invoice, payment

from .firm import Firm

_TOGETHER: Final = 500


def sign_copies(firm: Firm) -> None:
    """Give every copied invoice what its original has, over its own reference; seal the log."""
    with firm.line.database.read() as connection:
        originals = _originals(connection)
        rows = connection.execute(
            select(invoice.c.id, invoice.c.reference).where(invoice.c.reference.contains("+"))
        ).all()
    copies = [(originals[row.reference.partition("+")[0]], row.id, row.reference) for row in rows]
    for start in range(0, len(copies), _TOGETHER):
        some = copies[start : start + _TOGETHER]
        firm.line.database.write(lambda connection: _sign(connection, some))  # noqa: B023
    while firm.line.database.write(auditlog.seal):
        pass


def _originals(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the invoices that were copied, by reference, each with the rows about it."""
    about = {
        table.name: _by(connection, table, "invoice_id") for table in (approval, intent, payment)
    }
    logged = _by(connection, audit_entry, "entity")
    return {
        row["reference"]: {
            "content": row["content"],
            **{name: rows.get(row["id"], []) for name, rows in about.items()},
            "audit_entry": logged.get(f"invoice:{row['reference']}", []),
        }
        for row in connection.execute(select(invoice)).mappings()
        if "+" not in row["reference"]
    }


def _by(connection: Connection, table: Any, name: str) -> dict[Any, list[dict[str, Any]]]:
    rows = connection.execute(select(table).order_by(table.c[name], table.c.id)).mappings()
    return {
        key: [{column: row[column] for column in row if column != "id"} for row in group]
        for key, group in groupby(rows, key=lambda row: row[name])
    }


def _sign(connection: Connection, copies: list[tuple[dict[str, Any], int, str]]) -> None:
    signed = [(original, id_, name, _content(original, name)) for original, id_, name in copies]
    connection.execute(
        update(invoice)
        .where(invoice.c.id == bindparam("copy"))
        .values(content=bindparam("said"), content_hash=bindparam("hashed")),
        [{"copy": id_, "said": content, "hashed": _hash(content)} for _, id_, _, content in signed],
    )
    for _, id_, _ in copies:
        remember(connection, id_)
    for table in (approval, intent, payment):
        rows = [
            _own(row, id_, name, content)
            for original, id_, name, content in signed
            for row in original[table.name]
        ]
        if rows:
            connection.execute(insert(table), rows)
    entries = [
        entry for original, _, name, content in signed for entry in _log(original, name, content)
    ]
    connection.execute(insert(audit_entry), entries)


def _content(original: Mapping[str, Any], reference: str) -> dict[str, Any]:
    content = dict(original["content"])
    number = reference.partition("+")[2]
    lines = [
        {**line, "description": _corrected(line["description"], number)}
        for line in content["lines"]
    ]
    return {**content, "reference": reference, "lines": lines}


def _corrected(text: str, number: str) -> str:
    """Return the text of a line; one that takes something back names the invoice's copy."""
    head, colon, rest = text.partition(": ")
    return f"{head}+{number}{colon}{rest}" if head.startswith("Correction to ") else text


def _own(
    row: Mapping[str, Any], invoice_id: int, reference: str, content: Mapping[str, Any]
) -> dict[str, Any]:
    own: dict[str, Any] = {**row, "invoice_id": invoice_id}
    if "content_hash" in row:
        own["content_hash"] = _hash(content)
    if "idempotency_key" in row:
        own["idempotency_key"] = hashlib.sha256(
            f"{reference}|{row['operation']}".encode()
        ).hexdigest()
    return own


def _log(
    original: Mapping[str, Any], reference: str, content: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for entry in original["audit_entry"]:
        detail = dict(entry["detail"])
        if "content_hash" in detail:
            detail["content_hash"] = _hash(content)
        entity = f"invoice:{reference}"
        yield {**entry, "entity": entity, "detail": detail, "position": None, "hash": None}


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
