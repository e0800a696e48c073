"""What assembling stores: a draft comes into being, follows its lines, and every move is noted.

Called by `assembly.py`, which has the customer claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select, update

from .amending import EVERYTHING_TAKEN_BACK, as_pushed, is_undecided, reason_of
from .auditlog import note
from .claims import AFRESH, needing
from .crediting import CREDIT_NOTE
from .errors import StaleClaimError
from .homes import Home
from .invoices import InvoiceDraft
from .purchase_orders import Use
from .tables import invoice

if TYPE_CHECKING:
    from .assembly import Terms

NOTHING_LEFT: Final = "nothing is left to bill"
QUIET: Final = timedelta(seconds=5)
"""How long a draft must have stayed as it is before it is approved by rule: deliveries come in
bursts, and one that is a moment late belongs on the same invoice."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found about a draft: why it must not go out, and why a person should look."""

    reasons: list[str]
    warnings: list[str]
    use: Use | None


def save(
    connection: Connection,
    home: Home,
    known: Mapping[str, Any] | None,
    draft: InvoiceDraft,
    checked: Checked,
    terms: Terms,
    now: datetime,
) -> int:
    """Store a draft, new or `known`, if anything about it has changed; return its id.

    Raise StaleClaimError if it was approved or pushed since it was read.
    """
    is_amended = known is not None and known["pushed_content"] is not None
    is_empty = not draft.lines and not is_amended
    reasons, warnings = checked.reasons, checked.warnings
    if known is not None and is_amended and not draft.lines:
        # It is deleted there: nothing speaks against that but somebody who has changed it.
        reasons = [reason_of(known)] if is_undecided(known) else []
        warnings = [*warnings, f"{EVERYTHING_TAKEN_BACK}{draft.send_to}"]
    state = "canceled" if is_empty else "blocked" if reasons else "draft"
    values = {
        **contents(draft, [NOTHING_LEFT] if is_empty else reasons),
        "warnings": warnings,
        "purchase_order": draft.purchase_order,
        "order_use": checked.use.as_json() if checked.use else None,
        # What takes something back needs a person.
        "approval": "by hand" if home.credits else terms.approval,
        "approvers": list(terms.approvers),
        "after_push": "draft" if home.credits else terms.after_push,
        "due_at": terms.due_at(home.period.last),
        "connector": draft.send_to,
    }
    if known is None:
        created = connection.execute(
            insert(invoice)
            .values(
                reference=draft.reference,
                customer=draft.customer.key,
                currency=home.currency,
                schedule=home.period.schedule,
                period_from=home.period.first,
                period_to=home.period.last,
                sequence=home.sequence,
                **_of_note(connection, home),
                state=state,
                is_frozen=False,
                revision=1,
                created_at=now,
                next_at=now + QUIET,
                since_at=now if state == "blocked" else None,
                is_overdue=False,
                **values,
            )
            .returning(invoice.c.id)
        ).scalar_one()
        _tell(connection, draft, None, state, 1, now)
        return int(created)
    is_same = known["state"] == state == "canceled" or (
        known["content_hash"] == values["content_hash"]
        and known["approvers"] == values["approvers"]
        and (known["state"] == state or (known["state"] == "approved" and state == "draft"))
    )
    if is_same:
        unchanged = {
            name: values[name]
            for name in ("reasons", "warnings", "order_use", "approval", "after_push", "due_at")
        }
        connection.execute(update(invoice).where(invoice.c.id == known["id"]).values(unchanged))
        return int(known["id"])
    change(connection, known, draft, state, values, now)
    return int(known["id"])


def _of_note(connection: Connection, home: Home) -> dict[str, Any]:
    if not home.credits:
        return {}
    credited = select(invoice.c.id).where(invoice.c.reference == home.credits)
    return {"kind": CREDIT_NOTE, "credits_id": connection.scalar(credited)}


def contents(draft: InvoiceDraft, reasons: list[str]) -> dict[str, Any]:
    """Return the columns that say what a draft comes to, and what speaks against it."""
    return {
        "reasons": reasons,
        "content": draft.as_json(),
        "content_hash": draft.content_hash(),
        "total": draft.total.minor,
        "net": draft.net.minor,
    }


def change(
    connection: Connection,
    known: Mapping[str, Any],
    draft: InvoiceDraft,
    state: str,
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """Change a stored draft, or one that is `pushed` so far and is amended from now on.

    Raise StaleClaimError if it was approved or pushed since it was read, or is no draft at its
    billing system any more.
    """
    revision = known["revision"] + 1
    moves = {"problem": None, **AFRESH, "next_at": now + QUIET, "is_frozen": False}
    moves |= needing(invoice, now, is_needed=state == "blocked")
    _update(connection, known, {"state": state, "revision": revision, **moves, **values})
    _tell(connection, draft, known["state"], state, revision, now)


def back_to_pushed(connection: Connection, known: Mapping[str, Any], now: datetime) -> None:
    """Let an amended invoice be what stands at its billing system: nothing is to be changed."""
    _update(connection, known, {**as_pushed(connection, known), "conflict": None})
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.handed_back",
        entity=f"invoice:{known['reference']}",
        before=known["state"],
        state="pushed",
        why="nothing on it is to be changed any more",
    )


def _update(connection: Connection, known: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    changed = connection.execute(
        update(invoice)
        .where(
            invoice.c.id == known["id"],
            invoice.c.state == known["state"],
            invoice.c.is_frozen == known["is_frozen"],
            invoice.c.payment.is_not_distinct_from(known["payment"]),
        )
        .values(values)
    )
    if changed.rowcount != 1:
        # It was approved, or its push has begun, since the drafts were read: the next try sees it.
        raise StaleClaimError(f"{known['reference']} has just been approved, pushed or looked at")


def _tell(
    connection: Connection,
    draft: InvoiceDraft,
    before: str | None,
    state: str,
    revision: int,
    now: datetime,
) -> None:
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.assembled",
        entity=f"invoice:{draft.reference}",
        before=before,
        state=state,
        revision=revision,
        content_hash=draft.content_hash(),
        total=draft.total.minor,
        currency=draft.currency,
    )
