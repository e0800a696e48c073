"""The audit log: who did what, append-only, sealed in small batches into a hash chain.

Entries are written in the transaction of what they tell. Sealing is a stage of its own, so
that writers never wait for each other's hashes: it gives each entry its place in the chain
and the SHA-256 of the entry together with the hash before it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Row, bindparam, insert, select, update

from .events import as_utc_text, canonical_json
from .tables import audit_entry

START: Final = "0" * 64
"""The hash before the first entry."""
# Made once: nearly every transaction notes something, and all of that is sealed.
_NOTE: Final = insert(audit_entry)
_LAST: Final = (
    select(audit_entry.c.position, audit_entry.c.hash)
    .where(audit_entry.c.position.is_not(None))
    .order_by(audit_entry.c.position.desc())
    .limit(1)
)
_UNSEALED: Final = (
    select(audit_entry)
    .where(audit_entry.c.position.is_(None))
    .order_by(audit_entry.c.id)
    .limit(bindparam("most", type_=Integer()))
)
_SEAL: Final = update(audit_entry).where(audit_entry.c.id == bindparam("sealed_id"))


def note(
    connection: Connection,
    now: datetime,
    *,
    actor: str,
    action: str,
    entity: str,
    **detail: Any,
) -> None:
    """Write one entry: `actor` did `action` to `entity` (`invoice:acme-2026-10`)."""
    entry = {"at": now, "actor": actor, "action": action, "entity": entity, "detail": detail}
    connection.execute(_NOTE, entry)


def seal(connection: Connection, most: int = 1000) -> int:
    """Chain up to `most` entries that are not sealed yet; return how many there were.

    Two sealers at once do no harm: a place in the chain is unique, the slower one fails
    and tries again.
    """
    position, previous = head(connection)
    waiting = connection.execute(_UNSEALED, {"most": most}).all()
    sealed = []
    for entry in waiting:
        position += 1
        previous = chained_hash(previous, position, entry)
        sealed.append({"sealed_id": entry.id, "position": position, "hash": previous})
    if sealed:
        connection.execute(_SEAL, sealed)
    return len(waiting)


def head(connection: Connection) -> tuple[int, str]:
    """Return the last sealed position and its hash: what is anchored outside the database."""
    last = connection.execute(_LAST).first()
    return (last.position, last.hash) if last else (0, START)


def chained_hash(previous: str, position: int, entry: Row[Any]) -> str:
    """Return the hash of an entry at its place in the chain."""
    content = [
        previous,
        position,
        as_utc_text(entry.at),
        entry.actor,
        entry.action,
        entry.entity,
        entry.detail,
    ]
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
