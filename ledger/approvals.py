"""Approve: a person, or a customer's own rule, signs the content of a draft.

The approval is bound to the hash of what was seen. If the draft changes afterwards, the
approval is void and it must be approved again. Where a customer names several approvers, each of
them approves the same content, in their order; a change voids what all of them have approved.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from .auditlog import note
from .claims import AFRESH, Claim, hold
from .edits import has_unseen
from .errors import BillhookError
from .tables import approval, invoice


class ApprovalError(BillhookError):
    """The draft cannot be approved as it stands; the message says why."""


def outstanding(approvers: Sequence[str], approved: Collection[str]) -> list[str]:
    """Return who has yet to approve, the next one first; capital letters make no difference."""
    done = {name.casefold() for name in approved}
    return [name for name in approvers if name.casefold() not in done]


def who_approved(connection: Connection, invoice_id: int, revision: int) -> list[str]:
    """Return who has approved an invoice as it stands, the first one first."""
    rows = connection.execute(
        select(approval.c.approved_by)
        .where(approval.c.invoice_id == invoice_id, approval.c.revision == revision)
        .order_by(approval.c.id)
    )
    return [row.approved_by for row in rows]


def approve(
    connection: Connection,
    reference: str,
    *,
    approved_by: str,
    content_hash: str | None,
    now: datetime,
) -> list[str]:
    """Approve a draft whose content has the given hash (None: as it stands now).

    Return who has yet to approve it, the next one first; nobody: it is approved. Raise
    ApprovalError if it is unknown, is no draft, has changed since it was seen, or waits for
    somebody else.
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
    return _sign(connection, row.id, reference, row.content_hash, approved_by, now)


def by_rule(now: datetime) -> Any:
    """Return the condition under which a draft is approved without a person.

    Its customer wants that, its period is over, and it takes nothing back.
    """
    return and_(
        invoice.c.approval == "automatic",
        or_(invoice.c.due_at <= now, invoice.c.schedule == "at once"),
        invoice.c.warnings == [],
        invoice.c.approvers == [],
        ~has_unseen(invoice.c.id),
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
    name: str,
    now: datetime,
) -> list[str]:
    row = connection.execute(
        update(invoice)
        .where(
            invoice.c.id == invoice_id,
            invoice.c.state == "draft",
            invoice.c.content_hash == content_hash,
        )
        # Holds the row, so that of two who approve at once the second one sees the first.
        .values(**AFRESH)
        .returning(invoice.c.approvers, invoice.c.revision)
    ).first()
    if row is None:
        raise ApprovalError(f"{reference}: changed just now - look at it again, then approve it")
    if connection.scalar(select(has_unseen(invoice_id))):
        raise ApprovalError(
            f"{reference}: was edited just now - look at it again in a moment, then approve it"
        )
    waits_for = outstanding(row.approvers, who_approved(connection, invoice_id, row.revision))
    if waits_for and waits_for[0].casefold() != name.casefold():
        raise ApprovalError(
            f"{reference}: {waits_for[0]} approves it next, not {name} - "
            f"the order is {', '.join(row.approvers)}"
        )
    connection.execute(
        insert(approval).values(
            invoice_id=invoice_id,
            content_hash=content_hash,
            revision=row.revision,
            approved_by=name,
            approved_at=now,
        )
    )
    left = waits_for[1:]
    if left:
        _tell(connection, reference, name, content_hash, now, "signed", waits_for=left)
        return left
    connection.execute(
        update(invoice)
        .where(invoice.c.id == invoice_id)
        .values(
            state="approved",
            next_at=now,
            lease_token=None,
            lease_until=None,
            problem=None,
            since_at=None,
        )
    )
    moved = {"before": "draft", "state": "approved"}
    _tell(connection, reference, name, content_hash, now, "approved", **moved)
    return []


def _tell(
    connection: Connection,
    reference: str,
    name: str,
    content_hash: str,
    now: datetime,
    action: str,
    **detail: Any,
) -> None:
    note(
        connection,
        now,
        actor=name,
        action=f"invoice.{action}",
        entity=f"invoice:{reference}",
        **detail,
        content_hash=content_hash,
    )
