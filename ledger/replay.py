"""Doing it again on purpose: deliveries are read again, what is not billed is priced again.

`flask events replay` and `flask events remap` call it. Both only make rows wait; the stages of
the line do the work, and nothing is billed twice by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, exists, literal, or_, select, update

from .auditlog import note
from .claims import released
from .errors import BillhookError
from .facts import wake
from .subjects import is_paid_by
from .tables import delivery, event, line_item, subject

MOST_TOGETHER: Final = 500
"""The most ids in one statement; both kinds of database take more."""


class UnknownDeliveryError(BillhookError):
    """A delivery to replay is not there; nothing was replayed."""


class UnknownSubjectError(BillhookError):
    """A subject to price again is not there or is billed; nothing was priced again."""


def replay(connection: Connection, ids: Iterable[int], *, actor: str, now: datetime) -> int:
    """Have deliveries read again; return how many there are.

    Facts that are known already stay as they are. Raise UnknownDeliveryError for an unknown id.
    """
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), MOST_TOGETHER):
        some = wanted[start : start + MOST_TOGETHER]
        found = connection.execute(
            update(delivery)
            .where(delivery.c.id.in_(some))
            .values(state="waiting", **released(now))
            .returning(delivery.c.id)
        ).scalars()
        missing = sorted(set(some) - set(found))
        if missing:
            names = ", ".join(str(each) for each in missing[:5])
            raise UnknownDeliveryError(
                f"deliveries: there is no {names} - nothing was replayed; see `flask events list`"
            )
        for each in some:
            note(
                connection,
                now,
                actor=actor,
                action="delivery.replayed",
                entity=f"delivery:{each}",
            )
    return len(wanted)


def remap_held(connection: Connection, *, actor: str, now: datetime) -> int:
    """Have everything priced again that is held; return how many subjects that are."""
    return _remap(connection, HELD, "held", actor, now)


def remap_some(connection: Connection, ids: Iterable[int], *, actor: str, now: datetime) -> int:
    """Have single subjects priced again, by id; return how many there are.

    Raise UnknownSubjectError if one is not there, or is billed: nothing is priced again then.
    """
    wanted = sorted(set(ids))
    which = and_(subject.c.id.in_(wanted), or_(HELD, UNBILLED))
    found = set(connection.scalars(select(subject.c.id).where(which)))
    if missing := [each for each in wanted if each not in found]:
        names = ", ".join(str(each) for each in missing[:5])
        raise UnknownSubjectError(
            f"subjects: {names} cannot be priced again: not there, or billed already - "
            "see `flask waiting --kind subject`"
        )
    return _remap(connection, which, " ".join(map(str, wanted)), actor, now)


def remap_customer(connection: Connection, key: str, *, actor: str, now: datetime) -> int:
    """Have everything of a customer priced again that is not billed; return how many."""
    return _remap(connection, unbilled_of(key), key, actor, now)


def remap_all(connection: Connection, *, actor: str, now: datetime) -> int:
    """Have everything priced again that is not billed; return how many subjects that are."""
    return _remap(connection, UNBILLED, "all", actor, now)


def remap_since(connection: Connection, day: date, *, actor: str, now: datetime) -> int:
    """Have what was worked on a day or later, and is not billed, priced again; return how many."""
    return _remap(connection, unbilled_since(day), f"since {day}", actor, now)


def _lines(state: str) -> Any:
    return exists(
        select(line_item.c.id).where(
            line_item.c.subject_id == subject.c.id, line_item.c.state == state
        )
    )


HELD: Final = subject.c.state.in_(("held", "failed"))
"""The condition of subjects that are held for a person."""
# What stands on an invoice keeps its price. A subject that was billed and then changed has open
# lines too; those are priced again. What several customers share keeps its price for all of them
# once one of them was billed.
UNBILLED: Final = and_(
    subject.c.state.in_(("priced", "held", "nothing", "failed")),
    or_(and_(_lines("open"), subject.c.payers.is_(None)), ~_lines("billed")),
)
"""The condition of subjects that may be priced again."""


def unbilled_of(key: str) -> ColumnElement[bool]:
    """Return the condition of a customer's subjects that may be priced again."""
    return and_(is_paid_by(literal(key)), UNBILLED)


def unbilled_since(day: date) -> ColumnElement[bool]:
    """Return the condition of subjects of a day or later that may be priced again."""
    is_since = exists(select(event.c.id).where(event.c.id == subject.c.event_id, event.c.on >= day))
    return and_(UNBILLED, is_since)


def _remap(connection: Connection, which: Any, what: str, actor: str, now: datetime) -> int:
    count = wake(connection, which, now)
    note(
        connection,
        now,
        actor=actor,
        action="events.remapped",
        entity=f"subjects:{what}"[:160],
        count=count,
    )
    return count
