"""The audit log is a hash chain without a gap, and nobody has made a new one.

The chain alone shows a changed or missing entry. Whoever could rewrite all of it is found out
by an anchor: a position and its hash, noted earlier outside the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from ..auditlog import START, chained_hash
from ..events import as_utc_text
from ..tables import audit_entry
from .violations import AT_ONCE, Invariant, Violation, stream

AUDIT_LOG: Final = Invariant(
    "audit log",
    "the audit log is a hash chain without a gap that still holds what was anchored outside",
    "keep a copy: somebody wrote in the database by hand, or an older copy was restored; compare "
    "it with the heads in the clock's log",
)
LONGEST_UNSEALED: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in the chain and the hash that it had when it was noted."""

    position: int
    hash: str


def find(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield entries that were changed, are missing or wait too long for their seal."""
    yield from _broken(connection)
    query = select(audit_entry.c.id, audit_entry.c.at).where(
        audit_entry.c.position.is_(None), audit_entry.c.at < now - LONGEST_UNSEALED
    )
    for row in stream(connection, query):
        yield AUDIT_LOG.broken(
            f"audit_entry:{row['id']}",
            f"is not sealed, although it was written at {as_utc_text(row['at'])}",
        )


def _broken(connection: Connection) -> Iterator[Violation]:
    query = (
        select(audit_entry)
        .where(audit_entry.c.position.is_not(None))
        .order_by(audit_entry.c.position)
    )
    position, previous = 0, START
    for entry in connection.execute(query, execution_options={"yield_per": AT_ONCE}):
        if entry.position != position + 1:
            yield AUDIT_LOG.broken(
                f"audit_entry:{entry.id}",
                f"follows position {position} at {entry.position}: entries between are missing",
            )
        # Each hash is checked against the one stored before it, so that one changed entry is
        # one violation and not a thousand.
        elif chained_hash(previous, entry.position, entry) != entry.hash:
            yield AUDIT_LOG.broken(
                f"audit_entry:{entry.id}", "is not what was sealed: its hash is another"
            )
        position, previous = entry.position, entry.hash or ""


def not_anchored(connection: Connection, anchor: Anchor) -> Iterator[Violation]:
    """Yield a violation if the chain does not hold the anchor any more."""
    found = connection.scalar(
        select(audit_entry.c.hash).where(audit_entry.c.position == anchor.position)
    )
    if (START if anchor.position == 0 else found) != anchor.hash:
        gone = "is cut off before it" if found is None else "has another hash there"
        yield AUDIT_LOG.broken(
            f"position:{anchor.position}", f"the anchor does not hold: the chain {gone}"
        )
