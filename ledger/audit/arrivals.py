"""What came in: nothing of a delivery is lost on the way, and its bytes are as they were accepted.

How many events a delivery tells is counted with it; a repeated fact is stored once, so fewer
rows may name it. More kinds of facts than it told would mean that somebody added some.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, String, and_, case, cast, distinct, func, literal, or_, select

from ..dismissing import ACTION, DISMISSED
from ..tables import audit_entry, delivery, event
from .violations import Invariant, Violation, stream

DELIVERIES: Final = Invariant(
    "deliveries",
    "each accepted delivery is normalized, ignored with a reason, listed as waiting or dismissed "
    "by a person whom the audit log names, and as many events as it told are stored",
    "`flask events replay` reads the named deliveries again; keep a copy of the database first",
)
BODIES: Final = Invariant(
    "bodies",
    "the bytes of each delivery are those that were accepted, by their SHA-256",
    "take the body from a backup; what was read from it is in the events, and stays right",
)
_ROWS: Final = (
    select(event.c.delivery_id, func.count().label("rows")).group_by(event.c.delivery_id).subquery()
)
_FACTS: Final = (
    select(func.count(distinct(event.c.subject + " " + event.c.kind)))
    .where(event.c.delivery_id == delivery.c.id)
    .scalar_subquery()
)
_MISCOUNTED: Final = (
    select(delivery.c.id, delivery.c.state, delivery.c.events, _FACTS.label("facts"))
    .outerjoin(_ROWS, _ROWS.c.delivery_id == delivery.c.id)
    .where(
        delivery.c.state != "waiting",
        or_(
            # There are no more facts than rows, and rows are counted without reading them.
            and_(delivery.c.events < _ROWS.c.rows, delivery.c.events < _FACTS),
            case((delivery.c.state == "normalized", delivery.c.events < 1), else_=False),
            case((delivery.c.state != "normalized", delivery.c.events > 0), else_=False),
        ),
    )
)
_BY_NOBODY: Final = select(delivery.c.id, delivery.c.reason).where(
    delivery.c.state == "ignored",
    delivery.c.reason.startswith(DISMISSED),
    (literal("delivery:") + cast(delivery.c.id, String)).not_in(
        select(audit_entry.c.entity).where(audit_entry.c.action == ACTION)
    ),
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield deliveries for which other events are stored than they told, or of other bytes.

    And those that are dismissed, if no person has.
    """
    for row in stream(connection, _MISCOUNTED):
        yield DELIVERIES.broken(
            f"delivery:{row['id']}",
            f"is {row['state']} and tells {row['events']} events, "
            f"but {row['facts']} are stored for it",
        )
    for row in stream(connection, _BY_NOBODY):
        detail = f'is "{row["reason"]}", and the audit log knows nothing of it'
        yield DELIVERIES.broken(f"delivery:{row['id']}", detail)
    yield from _other_bytes(connection)


def _other_bytes(connection: Connection) -> Iterator[Violation]:
    if connection.dialect.name == "sqlite":
        # PostgreSQL has such a function; SQLite takes ours.
        driver: Any = connection.connection.driver_connection
        driver.create_function("billhook_sha256", 1, _sha256, deterministic=True)
        hashed: Any = func.billhook_sha256(delivery.c.body)
    else:
        hashed = func.encode(func.sha256(delivery.c.body), "hex")
    for row in stream(connection, select(delivery.c.id).where(delivery.c.body_hash != hashed)):
        yield BODIES.broken(f"delivery:{row['id']}", "its body is not what was accepted")


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
