"""Normalize, the storing half: what deliveries say becomes events, facts and present values.

Facts apply by version, not by arrival: whatever order deliveries come in, and however often
they are repeated, the same event is the present one in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    or_,
    select,
    update,
)

from .claims import AFRESH, Claim, hold, released
from .database import insert_for
from .events import UNDOES, Delivery, Event, Reading
from .facts import learn, wake
from .reopening import OPENED_AGAIN
from .tables import delivery, event, fact, hint, subject

HINT: Final = "invoice.changed"


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery that waits to be read."""

    id: int
    source: str
    request: Delivery


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery: what it says, or why it says nothing."""

    id: int
    endpoint: str
    state: str
    """normalized, asked (it only names what the tool is asked about), ignored, unsupported or
    unreadable."""
    reading: Reading
    reason: str | None = None


def load(connection: Connection, claimed: Claim) -> list[StoredDelivery]:
    """Return the claimed deliveries."""
    rows = connection.execute(
        select(
            delivery.c.id,
            delivery.c.source,
            delivery.c.endpoint,
            delivery.c.headers,
            delivery.c.body,
            delivery.c.received_at,
        )
        .where(delivery.c.id.in_(claimed.ids))
        .order_by(delivery.c.id)
    )
    return [
        StoredDelivery(
            row.id,
            row.source,
            Delivery(
                headers=row.headers,
                body=row.body,
                received_at=row.received_at,
                endpoint=row.endpoint,
            ),
        )
        for row in rows
    ]


def record(
    connection: Connection,
    claimed: Claim,
    outcomes: Sequence[Outcome],
    now: datetime,
    *,
    askable: frozenset[str],
) -> None:
    """Store what the claimed deliveries say and end the claim.

    `askable` names the endpoints whose tool can be asked about things that are only named.
    """
    ours = set(hold(connection, claimed))
    done = [outcome for outcome in outcomes if outcome.id in ours]
    told = [(outcome.id, said) for outcome in done for said in outcome.reading.events]
    facts = [(outcome.endpoint, said) for outcome in done for said in outcome.reading.facts]
    asks = {(outcome.endpoint, about) for outcome in done for about in outcome.reading.asks}
    learn(connection, facts, now)
    _record_events(connection, told, now, askable=askable)
    _follow(connection, asks, now)
    # Most deliveries of a batch end alike, so a few statements end them all.
    alike: dict[tuple[str, str | None, int], list[int]] = {}
    for outcome in done:
        end = (outcome.state, outcome.reason, len(outcome.reading.events))
        alike.setdefault(end, []).append(outcome.id)
    for (state, reason, events), ids in alike.items():
        connection.execute(
            update(delivery)
            .where(delivery.c.id.in_(ids))
            .values(state=state, reason=reason, events=events, since_at=None, **released())
        )


def _record_events(
    connection: Connection,
    told: Sequence[tuple[int, Event]],
    now: datetime,
    *,
    askable: frozenset[str],
) -> None:
    unique: dict[tuple[str, str, str, str], tuple[int, Event]] = {}
    for delivery_id, said in told:
        unique.setdefault(
            (said.endpoint, said.subject, said.kind, said.digest()), (delivery_id, said)
        )
    if not unique:
        return
    connection.execute(
        insert_for(connection, event).on_conflict_do_nothing(),
        [_event_row(delivery_id, said, key[3]) for key, (delivery_id, said) in unique.items()],
    )
    # A repeated fact belongs to the delivery that told it first, so it is not among these.
    found = connection.execute(
        select(event.c.id, event.c.endpoint, event.c.subject, event.c.kind, event.c.digest)
        .where(event.c.delivery_id.in_({delivery_id for delivery_id, _ in told}))
        .order_by(event.c.id)
    ).all()
    # What an older release has read from a delivery that is read again stays as it is.
    fresh = [
        (row.id, unique[key][1], row.digest)
        for row in found
        if (key := (row.endpoint, row.subject, row.kind, row.digest)) in unique
    ]
    _follow(
        connection, {(said.endpoint, said.subject) for _, said in told if said.kind == HINT}, now
    )
    _expect_facts(connection, [said for _, said, _ in fresh], now, askable=askable)
    _apply(connection, [row for row in fresh if row[1].kind != HINT], now)
    _wake_totals(connection, fresh, now)


def _follow(connection: Connection, hinted: Collection[tuple[str, str]], now: datetime) -> None:
    """Have what tools and billing systems hint at looked at, also where they hint once more.

    Stripe's events count whole seconds: an invoice that is finalized and paid within one gives
    two equal facts, and the first may have been followed before the payment.
    """
    if hinted:
        again = {"state": "waiting", "reason": None, **released(now)}
        connection.execute(
            insert_for(connection, hint).on_conflict_do_update(
                index_elements=["endpoint", "subject"], set_=again
            ),
            [
                {"endpoint": endpoint, "subject": name, "state": "waiting", **released(now)}
                for endpoint, name in sorted(hinted)
            ],
        )


def _event_row(delivery_id: int, said: Event, digest: str) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "endpoint": said.endpoint,
        "source": said.source,
        "subject": said.subject,
        "kind": said.kind,
        "version": said.version,
        "digest": digest,
        "occurred_at": said.occurred_at,
        "on": said.on,
        "project": said.project,
        "item": said.item,
        "title": said.title,
        "person": said.person,
        "person_name": said.person_name,
        "seconds": said.seconds,
        "seconds_before": said.seconds_before,
        "billable": said.billable,
        "labels": list(said.labels),
        "fields": dict(said.fields),
        "about": said.about,
    }


def _expect_facts(
    connection: Connection, told: Iterable[Event], now: datetime, *, askable: frozenset[str]
) -> None:
    """Make a place for each thing that is named but not known, so that telling it wakes the event.

    The place is made in the transaction that stores the event: whoever tells the fact at the
    same time waits for it, so no wake-up is missed.
    """
    named = sorted({(said.endpoint, said.about) for said in told if said.about is not None})
    if not named:
        return
    connection.execute(
        insert_for(connection, fact).on_conflict_do_nothing(),
        [
            {
                "endpoint": endpoint,
                "about": about,
                "state": "wanted" if endpoint in askable else "unknown",
                "version": 0,
                "digest": "",
                "labels": [],
                "fields": {},
                "attempts": 0,
                "next_at": now,
            }
            for endpoint, about in named
        ],
    )


_COMPLETES: Final = frozenset(each for kind in OPENED_AGAIN for each in UNDOES[kind])
_FORGET: Final = (
    update(subject)
    .where(
        subject.c.endpoint == bindparam("at"),
        subject.c.name == bindparam("called"),
        subject.c.settled.is_not(None),
    )
    .values(settled=None)
)


def _apply(connection: Connection, fresh: Sequence[tuple[int, Event, str]], now: datetime) -> None:
    """Make the newest event of each subject its present one, unless a newer one is there.

    What is completed forgets what a person decided when it was open, also where it is open again
    before anybody judges it: opened once more, it is asked anew.
    """
    if done := {(said.endpoint, said.subject) for _, said, _ in fresh if said.kind in _COMPLETES}:
        for endpoint, name in sorted(done):
            connection.execute(_FORGET, {"at": endpoint, "called": name})
    newest: dict[tuple[str, str], tuple[int, Event, str]] = {}
    for row_id, said, digest in fresh:
        key = (said.endpoint, said.subject)
        tie = _tie(said, digest)
        if key not in newest or (said.version, tie) > (newest[key][1].version, newest[key][2]):
            newest[key] = (row_id, said, tie)
    if not newest:
        return
    statement = insert_for(connection, subject)
    excluded = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["endpoint", "name"],
            set_={
                name: excluded[name]
                for name in (
                    *("event_id", "kind", "version", "tie", "about", "item", "seconds"),
                    *("state", "attempts", "unended", "next_at"),
                )
            },
            where=or_(
                excluded.version > subject.c.version,
                and_(excluded.version == subject.c.version, excluded.tie > subject.c.tie),
            ),
        ),
        [
            {
                "endpoint": endpoint,
                "name": name,
                "event_id": row_id,
                "kind": said.kind,
                "version": said.version,
                "tie": tie,
                "about": said.about,
                "item": said.item,
                "seconds": 0 if said.kind in UNDOES else (said.seconds or 0),
                "state": "waiting",
                "held_seconds": 0,
                "excluded_seconds": 0,
                **AFRESH,
                "next_at": now,
            }
            for (endpoint, name), (row_id, said, tie) in sorted(newest.items())
        ],
    )


def _wake_totals(
    connection: Connection, fresh: Sequence[tuple[int, Event, str]], now: datetime
) -> None:
    """Have totals judged again: an earlier change that is told late says where they began."""
    for endpoint in sorted({said.endpoint for _, said, _ in fresh if said.kind == "time.total"}):
        names = {
            said.subject
            for _, said, _ in fresh
            if said.endpoint == endpoint and said.kind == "time.total"
        }
        wake(
            connection,
            and_(subject.c.endpoint == endpoint, subject.c.name.in_(sorted(names))),
            now,
        )


def _tie(said: Event, digest: str) -> str:
    # Of two facts with the same version the one that takes back wins, else the greater digest:
    # any rule will do that does not depend on who came first.
    return ("1" if said.kind in UNDOES else "0") + digest


def event_from_row(row: Mapping[Any, Any]) -> Event:
    """Return a stored event (a row's mapping) as it was told."""
    return Event(
        kind=row["kind"],
        source=row["source"],
        endpoint=row["endpoint"],
        subject=row["subject"],
        version=row["version"],
        occurred_at=row["occurred_at"],
        on=row["on"],
        project=row["project"],
        item=row["item"],
        title=row["title"],
        person=row["person"],
        person_name=row["person_name"],
        seconds=row["seconds"],
        seconds_before=row["seconds_before"],
        billable=row["billable"],
        labels=tuple(row["labels"]),
        fields=row["fields"],
        about=row["about"],
    )
