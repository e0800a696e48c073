"""Approve: a person, or a customer's own rule, signs the content of a draft.

The approval is bound to the hash of what was seen. If the draft changes afterwards, the
approval is void and it must be approved again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from .auditlog import note
from .claims import Claim, hold
from .errors import BillhookError
from .tables import approval, invoice


class ApprovalError(BillhookError):
    """The draft cannot be approved as it stands; the message says why."""


def approve(
    connection: Connection,
    reference: str,
    *,
    approved_by: str,
    content_hash: str | None,
    now: datetime,
) -> None:
    """Approve a draft whose content has the given hash (None: as it stands now).

    Raise ApprovalError if it is unknown, is no draft, or has changed since it was seen.
    """
    row = connection.execute(
        select(invoice.c.id, invoice.c.state, invoice.c.content_hash, invoice.c.reasons).where(
            invoice.c.reference == reference
        )
    ).first()
    if row is None:
        raise ApprovalError(f"{reference}: no such invoice - see `flask invoices list`")
    if row.state == "blocked":
        raise ApprovalError(f"{reference}: is blocked: {'; '.join(row.reasons)}")
    if row.state != "draft":
        raise ApprovalError(f"{reference}: is {row.state}, and only a draft can be approved")
    if content_hash is not None and content_hash != row.content_hash:
        raise ApprovalError(
            f"{reference}: has changed since it was shown - look at it again, then approve it"
        )
    _sign(connection, row.id, reference, row.content_hash, approved_by, now)


def by_rule(now: datetime) -> Any:
    """Return the condition under which a draft is approved without a person.

    Its customer wants that, its period is over, and it takes nothing back.
    """
    return and_(
        invoice.c.approval == "automatic",
        or_(invoice.c.due_at <= now, invoice.c.schedule == "at once"),
        invoice.c.warnings == [],
    )


def approve_by_rule(connection: Connection, claimed: Claim, now: datetime) -> int:
    """Approve the claimed drafts, whose customers want that, and end the claim."""
    ids = hold(connection, claimed)
    rows = connection.execute(
        select(invoice.c.id, invoice.c.reference, invoice.c.content_hash).where(
            invoice.c.id.in_(ids)
        )
    ).all()
    for row in rows:
        _sign(connection, row.id, row.reference, row.content_hash, "approval: automatic", now)
    return len(rows)


def _sign(
    connection: Connection,
    invoice_id: int,
    reference: str,
    content_hash: str,
    approved_by: str,
    now: datetime,
) -> None:
    done = connection.execute(
        update(invoice)
        .where(
            invoice.c.id == invoice_id,
            invoice.c.state == "draft",
            invoice.c.content_hash == content_hash,
        )
        .values(
            state="approved",
            next_at=now,
            attempts=0,
            lease_token=None,
            lease_until=None,
            problem=None,
        )
    )
    if done.rowcount != 1:
        raise ApprovalError(f"{reference}: changed just now - look at it again, then approve it")
    connection.execute(
        insert(approval).values(
            invoice_id=invoice_id,
            content_hash=content_hash,
            approved_by=approved_by,
            approved_at=now,
        )
    )
    note(
        connection,
        now,
        actor=approved_by,
        action="invoice.approved",
        entity=f"invoice:{reference}",
        before="draft",
        state="approved",
        content_hash=content_hash,
    )
