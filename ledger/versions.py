"""The rules as they were: every version of the mapping files, immutable, and which one is active.

A platform's disk vanishes and a price must stay explainable, so the texts themselves are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from .auditlog import note
from .claims import released
from .database import insert_for
from .events import canonical_json
from .facts import wake
from .pushing import go_on
from .tables import activation, customer, mapping_version, subject

JUDGED_AGAIN: Final = subject.c.state.in_(("waiting", "held", "failed"))
"""The condition of subjects that new rules judge without being asked to."""
_ACTIVE: Final = select(activation.c.version).order_by(activation.c.id.desc()).limit(1)


def version_of(files: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and texts: the same files are the same version."""
    return hashlib.sha256(canonical_json(dict(files)).encode()).hexdigest()


def activate(
    connection: Connection, version: str, files: Mapping[str, str], *, by: str, now: datetime
) -> bool:
    """Make a version the active one; return False if it is already.

    Subjects that were held are judged again, and drafts are assembled again under the new
    terms; pushes that wait for a person go on. What is priced already keeps its price until a
    person asks for it with `flask events remap`.
    """
    if active(connection) == version:
        return False
    connection.execute(
        insert_for(connection, mapping_version)
        .values(version=version, files=dict(files), created_at=now, created_by=by)
        .on_conflict_do_nothing()
    )
    connection.execute(
        insert(activation).values(version=version, activated_at=now, activated_by=by)
    )
    # Who judges or assembles just now, by the old rules, loses the claim.
    count = wake(connection, JUDGED_AGAIN, now)
    connection.execute(update(customer).values(state="waiting", **released(now)))
    go_on(connection, now)
    note(
        connection,
        now,
        actor=by,
        action="rules.activated",
        entity=f"rules:{version[:12]}",
        judged_again=count,
    )
    return True


def active(connection: Connection) -> str | None:
    """Return the active version, None if no rules were ever activated."""
    return connection.scalar(_ACTIVE)


def files_of(connection: Connection, version: str) -> dict[str, str]:
    """Return the texts of a version by file name; raise KeyError for an unknown one."""
    files = connection.scalar(
        select(mapping_version.c.files).where(mapping_version.c.version == version)
    )
    if files is None:
        raise KeyError(version)
    found: dict[str, str] = files
    return found
