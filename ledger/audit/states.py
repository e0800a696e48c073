"""Invoices move along known edges only, and what went out is what was approved.

The audit log tells each move (`before`, `state`); replaying it must end where the invoice is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, case, func, literal, or_, select

from ..approvals import outstanding, who_approved
from ..tables import approval, audit_entry, invoice
from .violations import Invariant, Violation, stream

STATES: Final = Invariant(
    "states",
    "no invoice moved along an edge that is not in the table, and the last move in the audit log "
    "led to where it is",
    "somebody changed a state by hand: compare the invoice with the audit log and a backup",
)
APPROVALS: Final = Invariant(
    "approvals",
    "what went out, or is about to, is what was approved, by everybody who had to",
    "if it is not pushed yet, stop the workers; if it is, show its content to who should approve",
)
EDGES: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"draft", "blocked"}),
    "draft": frozenset({"draft", "blocked", "canceled", "approved", "pushed"}),
    "blocked": frozenset({"draft", "blocked", "canceled", "pushed"}),
    "canceled": frozenset({"draft", "blocked", "canceled"}),
    "approved": frozenset({"draft", "blocked", "canceled", "pushed"}),
    "pushed": frozenset({"draft", "blocked"}),
}
"""Where an invoice may go from each state; an edge to the same state is a changed content.

One that was pushed is amended while it is a draft there: it is approved anew, or goes back to what
stands there."""
_REVISION: Final = case(
    (invoice.c.state == "pushed", invoice.c.pushed_revision), else_=invoice.c.revision
)
_ABOUT: Final = "invoice:"
_MONEY: Final = (invoice.c.reference, invoice.c.total, invoice.c.currency, invoice.c.state)
# An invoice is looked up by its reference, for which there is an index.
_MOVES: Final = (
    select(audit_entry.c.entity, audit_entry.c.detail, *_MONEY)
    .outerjoin(invoice, invoice.c.reference == func.substr(audit_entry.c.entity, len(_ABOUT) + 1))
    .where(audit_entry.c.action.like("invoice.%"))
    .order_by(audit_entry.c.entity, audit_entry.c.id)
)
_LOGGED: Final = select(audit_entry.c.entity).where(audit_entry.c.action == "invoice.assembled")
_UNLOGGED: Final = select(*_MONEY).where((literal(_ABOUT) + invoice.c.reference).not_in(_LOGGED))
_LATEST: Final = (
    select(approval.c.invoice_id, func.max(approval.c.id).label("id"))
    .join(invoice, invoice.c.id == approval.c.invoice_id)
    # What was amended and went back to what stands there has later approvals, which are void.
    .where(or_(approval.c.revision == _REVISION, approval.c.revision.is_(None)))
    .group_by(approval.c.invoice_id)
    .subquery()
)
_UNAPPROVED: Final = (
    select(*_MONEY)
    .outerjoin(_LATEST, _LATEST.c.invoice_id == invoice.c.id)
    .outerjoin(approval, approval.c.id == _LATEST.c.id)
    .where(
        invoice.c.state.in_(("approved", "pushed")),
        or_(
            approval.c.content_hash.is_(None),
            approval.c.content_hash != invoice.c.content_hash,
        ),
    )
)
_OF_SEVERAL: Final = select(
    *_MONEY, invoice.c.id, _REVISION.label("revision"), invoice.c.approvers
).where(invoice.c.state.in_(("approved", "pushed")), invoice.c.approvers != [])


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield invoices that moved along no known edge or are not what was approved."""
    yield from _moves(connection)
    for row in stream(connection, _UNLOGGED):
        detail = "no audit entry tells its origin"
        yield _violation(STATES, row, f"{_ABOUT}{row['reference']}", detail)
    for row in stream(connection, _UNAPPROVED):
        detail = "its content is not what was approved"
        yield _violation(APPROVALS, row, f"{_ABOUT}{row['reference']}", detail)
    for row in stream(connection, _OF_SEVERAL):
        if left := outstanding(
            row["approvers"], who_approved(connection, row["id"], row["revision"])
        ):
            detail = f"went on, and {', '.join(left)} had not approved it"
            yield _violation(APPROVALS, row, f"{_ABOUT}{row['reference']}", detail)


def _moves(connection: Connection) -> Iterator[Violation]:
    for entity, rows in groupby(stream(connection, _MOVES), key=itemgetter("entity")):
        state: str | None = None
        row: Any = None
        for row in rows:
            if "state" not in row["detail"]:
                continue
            before, after = row["detail"].get("before"), row["detail"]["state"]
            if before != state or after not in EDGES.get(state, frozenset()):
                detail = f"moved from {state} to {after} (said: {before})"
                yield _violation(STATES, row, entity, detail)
            state = after
        if row["state"] != state:
            detail = f"is {row['state']}, but its last move led to {state}"
            yield _violation(STATES, row, entity, detail)


def _violation(invariant: Invariant, row: Any, entity: str, detail: str) -> Violation:
    return invariant.broken(entity, detail, row["total"], row["currency"])
