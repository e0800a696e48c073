"""Pushes that are under way: what corrects their lines waits until it is known what came of them.

A push may come to nothing after it was in doubt; then its lines are open again. Had a correction of
one of them gone out meanwhile, it would take back what is not billed. Only drafts wait, and only
for invoices that are frozen: never one for the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, and_, bindparam, exists, or_, select

from .corrections import LineItem
from .facts import wake
from .homes import OpenLine
from .printing import NumberedLine
from .subjects import changed
from .tables import invoice, line_item, subject

IS_UNDER_WAY: Final = and_(invoice.c.state == "approved", invoice.c.is_frozen)
"""The condition of invoices whose push has begun, and has not come to its end."""


def awaited(connection: Connection, key: str, lines: Sequence[OpenLine]) -> dict[int, str]:
    """Return the invoices under way that a customer's open lines wait for, by the lines' ids.

    It is what changes a line of one of them, and what bills the same work anew: its subject or its
    pool. Nobody can end those pushes before this transaction is over, so `ended` sees what waits.
    """
    if connection.execute(select(invoice.c.id).where(IS_UNDER_WAY).limit(1)).first() is None:
        return {}
    changes = {each.id: id_ for each in lines if (id_ := changed_id(each.line)) is not None}
    direct = _under_way(connection, set(changes.values()))
    found = {id_: direct[changes[id_]] for id_ in changes if changes[id_] in direct}
    pools = {each.line.pool: found[each.id] for each in lines if each.id in found}
    own, other = line_item.alias(), line_item.alias()
    # What changes it may be another customer's: the work has moved from one to the other.
    beside = connection.execute(
        select(own.c.subject_id, other.c.corrects_id)
        .join(other, other.c.subject_id == own.c.subject_id)
        .where(
            own.c.customer == key,
            own.c.state == "open",
            other.c.state == "open",
            other.c.corrects_id.is_not(None),
        )
    ).all()
    standing = _under_way(connection, {row.corrects_id for row in beside})
    subjects = {row.subject_id: standing.get(row.corrects_id) for row in beside}
    for each in lines:
        of_same = subjects.get(each.subject_id) if each.subject_id is not None else None
        of_pool = pools.get(each.line.pool) if each.line.pool else None
        reference = found.get(each.id) or of_same or of_pool
        if reference is not None:
            found[each.id] = reference
    return found


def changed_id(line: LineItem) -> int | None:
    """Return the line that this one takes back, or takes something off as an agreement."""
    return line.corrects_id if line.corrects_id is not None else line.adjusts_id


def is_any_changed(connection: Connection, lines: Sequence[LineItem], invoice_id: int) -> bool:
    """Return whether lines of an invoice change something on another one that is under way."""
    ids = [id_ for line in lines if (id_ := changed_id(line)) is not None]
    found = (
        select(line_item.c.id)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.id.in_(ids), IS_UNDER_WAY, invoice.c.id != invoice_id)
        .limit(1)
    )
    return bool(ids) and connection.execute(found).first() is not None


def _under_way(connection: Connection, ids: Collection[int]) -> Mapping[int, str]:
    if not ids:
        return {}
    rows = connection.execute(
        select(line_item.c.id, invoice.c.reference)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.id.in_(ids), line_item.c.state == "billed", IS_UNDER_WAY)
        .with_for_update(read=True, of=invoice)
    )
    return {row.id: row.reference for row in rows}


def reasons_to_wait(lines: Sequence[NumberedLine], waits_for: Mapping[int, str]) -> list[str]:
    """Return why a draft with these lines must not go out yet; `waits_for` is from `awaited`."""
    references = sorted({waits_for[each.id] for each in lines if each.id in waits_for})
    return [
        f"{reference} is just being pushed, and this corrects it - nothing has to be done here, "
        "it goes on when that is settled"
        for reference in references
    ]


def ended(connection: Connection, invoice_id: int, now: datetime) -> None:
    """Have the drafts assembled again that have waited for the push of an invoice.

    Called in the transaction that ends it, before its lines leave it. The caller holds the row.
    """
    customers: set[str] = set()
    for waiting in _waiting():
        customers |= set(connection.scalars(waiting, {"ended_id": invoice_id}))
    changed(connection, customers, now)


@cache
def _waiting() -> tuple[Select[Any], Select[Any]]:
    """Return the queries for customers with open lines that a push has to do with: by what they
    change, and by what they are about."""
    other, ended_id = line_item.alias(), bindparam("ended_id", type_=Integer())
    ids = select(line_item.c.id).where(line_item.c.invoice_id == ended_id)
    subjects = select(line_item.c.subject_id).where(
        line_item.c.invoice_id == ended_id, line_item.c.subject_id.is_not(None)
    )
    own = select(invoice.c.customer).where(invoice.c.id == ended_id).scalar_subquery()
    changes_it = or_(other.c.corrects_id.in_(ids), other.c.adjusts_id.in_(ids))
    is_beside = or_(other.c.invoice_id.is_(None), other.c.invoice_id != ended_id)
    waiting = select(other.c.customer).where(other.c.state == "open", is_beside).distinct()
    return (
        waiting.where(other.c.customer == own, changes_it),
        waiting.where(other.c.subject_id.in_(subjects)),
    )


def came_to_nothing(connection: Connection, invoice_id: int, now: datetime) -> None:
    """Have what changed meanwhile judged again, and what has waited assembled.

    A push has ended, and its lines are open again. Called before they leave the invoice.
    """
    wake(connection, subject.c.id.in_(_changed_meanwhile(invoice_id)), now)
    ended(connection, invoice_id, now)


def _changed_meanwhile(invoice_id: int) -> Select[Any]:
    """Return the query for subjects that changed while lines counted as billed that do not now.

    The others are left alone: judged again, they would make a new draft of what was refused.
    """
    other = line_item.alias()
    is_beside = exists(
        select(other.c.id).where(
            other.c.subject_id == line_item.c.subject_id,
            other.c.state == "open",
            or_(other.c.invoice_id.is_(None), other.c.invoice_id != invoice_id),
        )
    )
    pushed = select(invoice.c.pushed_revision).where(invoice.c.id == invoice_id).scalar_subquery()
    return (
        select(line_item.c.subject_id)
        .join(subject, subject.c.id == line_item.c.subject_id)
        .where(
            line_item.c.invoice_id == invoice_id,
            or_(line_item.c.state == "open", line_item.c.billed_revision > pushed),
            or_(subject.c.event_id != line_item.c.event_id, subject.c.state != "priced", is_beside),
        )
    )
