"""What was found by asking a tool: which of it is news, and how it gets into the line.

Found things are stored as deliveries and go through every stage like those that were posted.
A poll reaches back over the last one's end, so most of what it finds is known already and is
not stored again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from .database import insert_for
from .deliveries import event_from_row
from .events import UNDOES, Delivery, Event, Fact, Reading, canonical_json
from .facts import unheard
from .tables import delivery, event, subject

_MOST_NAMES = 500
"""How many names one query asks for."""


def store(
    connection: Connection,
    source: str,
    found: Sequence[Delivery],
    now: datetime,
    *,
    delivery_id: str | None = None,
) -> int:
    """Store found things as deliveries that wait to be read; return how many are new.

    With a delivery id of their own the same bytes are stored once, whenever they are found.
    """
    rows = {
        (each.endpoint, body_hash): {
            "endpoint": each.endpoint,
            "source": source,
            # Unlike a tool's own id it is not told twice: a state may come back after another.
            "delivery_id": delivery_id or f"found:{each.received_at.isoformat()}",
            "body_hash": body_hash,
            "headers": dict(each.headers),
            "body": each.body,
            "received_at": each.received_at,
            "state": "waiting",
            "events": 0,
            "attempts": 0,
            "next_at": now,
        }
        for each in found
        if (body_hash := hashlib.sha256(each.body).hexdigest())
    }
    if not rows:
        return 0
    statement = insert_for(connection, delivery).on_conflict_do_nothing()
    stored = connection.execute(statement.returning(delivery.c.id), list(rows.values()))
    return len(stored.all())


def news(
    connection: Connection,
    endpoint: str,
    told: Sequence[tuple[Delivery, Reading | None]],
    *,
    by_arrival: bool,
) -> list[Delivery]:
    """Return what tells the ledger something new, in the order given.

    The reading is None where a thing could not be read: it is news once, so that people see it.
    `by_arrival` is true of a tool that tells no time of change: there another content is news.
    """
    events = [said for _, reading in told if reading for said in reading.events]
    present = present_events(connection, endpoint, {said.subject for said in events})
    facts = [(endpoint, said) for _, reading in told if reading for said in reading.facts]
    fresh_facts = unheard(connection, facts)
    unread = _unread_before(connection, endpoint, [each for each, reading in told if not reading])
    return [
        each
        for each, reading in told
        if (
            each.body not in unread
            if reading is None
            else bool(reading.asks)
            or any(
                is_news(said, present.get(said.subject), by_arrival=by_arrival)
                for said in reading.events
            )
            or _any_of(fresh_facts, endpoint, reading.facts)
        )
    ]


def is_news(said: Event, known: Event | None, *, by_arrival: bool) -> bool:
    """Return whether an event tells more than the present one of its subject."""
    if known is None:
        # Where nothing was completed or logged, there is nothing to take back.
        return said.kind not in UNDOES
    if by_arrival:
        return content_of(said) != content_of(known)
    return said.version > known.version


def content_of(said: Event) -> str:
    """Return what an event says, whenever it was said."""
    return canonical_json([said.as_json(), said.about])


def present_events(
    connection: Connection, endpoint: str, names: Collection[str]
) -> dict[str, Event]:
    """Return the present event of each subject by name, for those that are known."""
    found: dict[str, Event] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), _MOST_NAMES):
        rows = connection.execute(
            select(event)
            .join(subject, subject.c.event_id == event.c.id)
            .where(
                subject.c.endpoint == endpoint,
                subject.c.name.in_(ordered[start : start + _MOST_NAMES]),
            )
        ).mappings()
        found |= {row["subject"]: event_from_row(row) for row in rows}
    return found


def _any_of(fresh: Mapping[tuple[str, str], Fact], endpoint: str, facts: Iterable[Fact]) -> bool:
    return any(fresh.get((endpoint, said.about)) == said for said in facts)


def _unread_before(connection: Connection, endpoint: str, unread: Sequence[Delivery]) -> set[bytes]:
    """Return the bodies among these that are kept already as unreadable."""
    bodies = {hashlib.sha256(each.body).hexdigest(): each.body for each in unread}
    if not bodies:
        return set()
    kept: Any = connection.scalars(
        select(delivery.c.body_hash).where(
            delivery.c.endpoint == endpoint, delivery.c.body_hash.in_(list(bodies))
        )
    )
    return {bodies[body_hash] for body_hash in kept}
