"""Restore: a ledger that is a copy has forgotten what went out since, so it pushes nothing yet.

`flask backup` marks every copy that it makes, `flask restored` marks one that was made otherwise.
Deliveries are taken, priced and put on drafts as ever; pushing waits until `flask sync --restored`
has compared the billing systems with the ledger (`recovery.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    union,
    update,
)

from .approvals import ApprovalError, approve
from .auditlog import note
from .claims import since
from .database import insert_for
from .errors import BillhookError
from .invoices import draft_from_json
from .money import Money
from .sync import STANDS_THERE
from .tables import audit_entry, invoice, restoration, stray

WAITS: Final = (
    "this ledger is a copy of {copied_at}: nothing is pushed until the billing systems have been "
    "looked through for what it has forgotten - run `flask sync --restored`"
)
_OPEN: Final = restoration.c.ended_at.is_(None)


class NoStrayError(BillhookError):
    """There is no invoice at a billing system that the ledger does not know, by this name."""


@dataclass(frozen=True, slots=True)
class Restored:
    """One copy that this ledger came from."""

    id: int
    copied_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """An invoice with a reference of ours, as a billing system holds it."""

    remote_id: str
    reference: str
    total: Money
    document: str
    content_hash: str | None


def may_push(now: datetime) -> ColumnElement[bool]:  # noqa: ARG001
    """Return the condition under which anything is pushed at all: no copy waits to be compared."""
    return ~exists(select(restoration.c.id).where(_OPEN))


def waiting_since(connection: Connection) -> datetime | None:
    """Return when the copy was made that has to be compared first; None: pushing goes on."""
    oldest: datetime | None = connection.scalar(
        select(func.min(restoration.c.copied_at)).where(_OPEN)
    )
    return oldest


def last_restored(connection: Connection) -> Restored | None:
    """Return the last copy that this ledger came from, None if it never was one."""
    row = connection.execute(_LAST).first()
    return None if row is None else Restored(row.id, row.copied_at)


_LAST: Final = select(restoration).order_by(restoration.c.id.desc()).limit(1)


def mark(connection: Connection, copied_at: datetime) -> None:
    """Say of a ledger that it is a copy, made at a moment: from now on nothing is pushed."""
    connection.execute(insert(restoration).values(copied_at=copied_at))


def last_trace(connection: Connection) -> datetime | None:
    """Return when something was noted last: about when a copy was made that nobody has marked."""
    newest: datetime | None = connection.scalar(select(func.max(audit_entry.c.at)))
    return newest


def drafts_there(connection: Connection) -> dict[str, list[str]]:
    """Return by connector the remote ids of what stands there as a draft, as far as is known here.

    It may have been amended since the copy. What was found to be so stays among them.
    """
    drafts = select(invoice.c.connector, invoice.c.remote_id).where(
        STANDS_THERE,
        invoice.c.remote_id.is_not(None),
        func.coalesce(invoice.c.payment, "draft") == "draft",
        invoice.c.conflict.is_(None),
    )
    named = (
        select(stray.c.connector, stray.c.remote_id)
        .join(invoice, invoice.c.remote_id == stray.c.remote_id)
        .where(stray.c.settled_at.is_(None))
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(union(drafts, named).order_by("connector", "remote_id")):
        found.setdefault(row.connector, []).append(row.remote_id)
    return found


def take_over(
    connection: Connection, *, connector: str, found: Sequence[Found], now: datetime
) -> int:
    """Bring the ledger in line with what one system holds; return how many are taken over.

    A draft that went out just as it is counts as approved: its push finds it there and makes
    nothing. Where content differs, or somebody must look first, the draft says so. What no
    invoice here is called by is kept as a stray.
    """
    names = [each.reference for each in found]
    rows: dict[str, Mapping[Any, Any]] = {}
    for start in range(0, len(names), 500):
        some = select(invoice).where(invoice.c.reference.in_(names[start : start + 500]))
        rows |= {row["reference"]: row for row in connection.execute(some).mappings()}
    count = 0
    amended = []
    for each in found:
        row = rows.get(each.reference)
        if row is not None and row["remote_id"] == each.remote_id:
            if (told := _forgotten(row, each)) is not None:
                amended.append(each.remote_id)
                _keep_stray(connection, connector, each, told, now)
            continue
        if row is not None and not row["is_frozen"]:
            count += _take_over(connection, row, connector, each, now)
        elif (row is None or row["remote_id"]) and each.document not in ("void", "deleted"):
            known = (
                "no invoice here is called so" if row is None else f"here it is {row['remote_id']}"
            )
            _keep_stray(connection, connector, each, known, now)
    _forget_strays(connection, connector, found, amended)
    return count


def _take_over(
    connection: Connection, row: Mapping[Any, Any], connector: str, found: Found, now: datetime
) -> bool:
    is_same = found.content_hash == row["content_hash"]
    where = f"{connector} holds {found.remote_id} with this reference"
    ours = Money(row["total"], row["currency"])
    if not is_same:
        problem = (
            f"{where} and other content ({found.total} there, {ours} here): it went out before "
            "the copy was restored - compare them, and void or delete that one before you approve "
            "this one"
        )
    elif row["state"] == "approved":
        return True
    elif row["state"] == "draft" and not row["approvers"]:
        name = f"found at {connector}: {found.remote_id}"
        try:
            approve(
                connection,
                found.reference,
                approved_by=name,
                content_hash=found.content_hash,
                now=now,
            )
        except ApprovalError as error:
            problem = str(error)
        else:
            return True
    else:
        problem = (
            f"{where} and this very content: it went out before the copy was restored - approve "
            "it as soon as nothing speaks against that; then it is taken over and not made again"
        )
    connection.execute(
        update(invoice)
        .where(invoice.c.id == row["id"])
        .values(problem=problem, since_at=since(invoice, now))
    )
    return False


def _forgotten(row: Mapping[Any, Any], found: Found) -> str | None:
    """Return in what an invoice differs there from what was sent, as far as is known here."""
    if row["pushed_content"] is None or row["conflict"] or found.document in ("void", "deleted"):
        return None
    sent = draft_from_json(row["pushed_content"])
    # Our own mark says what we have sent; what a person has changed there is the push's concern.
    marked = found.content_hash
    # Or it has got there just what is to go out anyway.
    if marked in (sent.content_hash(), row["content_hash"]):
        return None
    if marked is None and found.total == sent.total:
        return None
    return (
        f"what this ledger has sent is other content ({found.total} there, {sent.total} here): it "
        "may have been amended after the copy was made - compare them; nothing is written over it "
        "before a person has decided"
    )


def _keep_stray(
    connection: Connection, connector: str, found: Found, known: str, now: datetime
) -> None:
    statement = insert_for(connection, stray).values(
        connector=connector,
        remote_id=found.remote_id,
        reference=found.reference,
        currency=found.total.currency,
        total=found.total.minor,
        reason=f"{connector} holds {found.remote_id} for {found.reference}, and {known}",
        found_at=now,
    )
    connection.execute(statement.on_conflict_do_nothing())


def _forget_strays(
    connection: Connection, connector: str, found: Sequence[Found], amended: Sequence[str]
) -> None:
    """Drop strays that have gone there, or whose work has come back here as it stands there."""
    standing = [each.remote_id for each in found if each.document not in ("void", "deleted")]
    is_known = exists(
        select(invoice.c.id).where(
            invoice.c.reference == stray.c.reference,
            or_(
                invoice.c.remote_id.is_(None),
                and_(
                    invoice.c.remote_id == stray.c.remote_id,
                    stray.c.connector == connector,
                    stray.c.remote_id.not_in(amended),
                ),
            ),
        )
    )
    has_gone = and_(stray.c.connector == connector, stray.c.remote_id.not_in(standing))
    connection.execute(stray.delete().where(stray.c.settled_at.is_(None), or_(is_known, has_gone)))


def unsettled(connection: Connection) -> list[str]:
    """Return the references of strays that nobody has settled yet."""
    query = select(stray.c.reference).where(stray.c.settled_at.is_(None)).order_by(stray.c.id)
    return list(connection.scalars(query))


def settle(connection: Connection, name: str, actor: str, now: datetime) -> None:
    """Note that a person has dealt with a stray, by its reference or remote id.

    Raise NoStrayError if there is none.
    """
    done = connection.execute(
        update(stray)
        .where((stray.c.reference == name) | (stray.c.remote_id == name))
        .where(stray.c.settled_at.is_(None))
        .values(settled_at=now, settled_by=actor)
    )
    if not done.rowcount:
        raise NoStrayError(
            f"{name}: no billing system holds it without an invoice here - see `flask waiting`"
        )
    note(connection, now, actor=actor, action="stray.settled", entity=f"stray:{name}"[:160])


def end(connection: Connection, actor: str, now: datetime) -> None:
    """End the wait: what the copy had forgotten is known again, pushing goes on."""
    ended = connection.execute(
        update(restoration).where(_OPEN).values(ended_at=now).returning(restoration.c.copied_at)
    ).scalars()
    for copied_at in ended:
        note(
            connection,
            now,
            actor=actor,
            action="ledger.restored",
            entity="ledger",
            copied_at=copied_at.isoformat(),
        )
