"""Amend, the storing half: a pushed invoice whose draft still stands untouched follows its lines.

What changes after billing is corrected on the very invoice that was billed, as long as that is a
draft at its billing system: it goes from `pushed` to `draft` again, is approved anew, and the push
brings the draft there up to date. What stands there meanwhile is `pushed_content`. Where a person
has changed the draft there, both are kept side by side (`conflict`) until somebody decides.

Called by `assembly.py`, by `sync.py` when the draft there is none any more, and by the push.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from .auditlog import note
from .claims import Claim, hold_one, needing, released
from .corrections import LineItem
from .errors import BillhookError, StaleClaimError
from .events import as_utc_text
from .frozen import remember
from .handwork import IDLE
from .homes import Home, Period
from .invoices import draft_from_json
from .printing import NumberedLine, numbered
from .shown import Shown
from .subjects import changed
from .tables import approval, draft_edit, intent, invoice, line_item
from .under_way import came_to_nothing, changed_id

IS_AMENDABLE: Final = and_(
    invoice.c.state == "pushed",
    or_(
        invoice.c.payment == "draft",
        # Nobody has looked at it yet: the push does, before it changes anything there.
        and_(invoice.c.payment.is_(None), invoice.c.after_push == "draft"),
    ),
    invoice.c.kind == "invoice",
    invoice.c.pushed_content.is_not(None),
    invoice.c.released_at.is_(None),
    # Somebody has decided for what stands there: it is left alone.
    invoice.c.conflict.is_(None),
)
"""The condition of pushed invoices whose corrections go onto themselves."""
IS_AMENDED: Final = and_(invoice.c.is_frozen.is_(False), invoice.c.pushed_content.is_not(None))
"""The condition of invoices that stand at their billing system and are being changed here."""
KEEP: Final = ("theirs", "ours")
EVERYTHING_TAKEN_BACK: Final = "everything on it is taken back: approving it deletes the draft at "
_THERE: Final = ("update:", "delete:", "lines:")
"""What the operations of intents begin with that change what stands there."""
_TRIED: Final = select(intent.c.operation).where(
    intent.c.invoice_id == bindparam("invoice_id"),
    # One that was given up for a new key may have got half-way.
    intent.c.state.in_(("sent", "uncertain", "refused", "absent")),
    or_(*(intent.c.operation.startswith(each) for each in _THERE)),
)


class ConflictError(BillhookError):
    """A conflict cannot be resolved like this; the message says why."""


def is_amended(row: Mapping[Any, Any]) -> bool:
    """Return whether an invoice stands at its billing system and is being changed here."""
    return not row["is_frozen"] and row["pushed_content"] is not None


def home_of(row: Mapping[Any, Any]) -> Home:
    """Return the place of an invoice among those of its customer."""
    period = Period(row["schedule"], row["period_from"], row["period_to"])
    return Home(row["currency"], period, row["sequence"])


def changed_there(
    connection: Connection, lines: Collection[LineItem]
) -> tuple[dict[int, Home], dict[Home, Mapping[str, Any]]]:
    """Return where the billed lines stand that open ones change, if that can be amended.

    By their ids; they are taken back, or agreements take something off them. And the invoices.
    Raise StaleClaimError if the push of one has just begun: then it is amended no more.
    """
    ids = {id_ for line in lines if (id_ := changed_id(line)) is not None}
    if not ids:
        return {}, {}
    stands_on = connection.execute(
        select(line_item.c.id, line_item.c.invoice_id)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(
            line_item.c.id.in_(ids),
            line_item.c.state == "billed",
            or_(IS_AMENDABLE, IS_AMENDED),
        )
    ).all()
    on = {row.invoice_id for row in stands_on}
    rows = connection.execute(
        select(invoice).where(invoice.c.id.in_(on), or_(IS_AMENDABLE, IS_AMENDED))
    ).mappings()
    invoices = {row["id"]: dict(row) for row in rows}
    if on - invoices.keys():
        raise StaleClaimError("a push has just begun of what is to be corrected")
    homes = {row.id: home_of(invoices[row.invoice_id]) for row in stands_on}
    return homes, {home_of(row): row for row in invoices.values()}


def billed_lines(connection: Connection, row: Mapping[Any, Any]) -> list[NumberedLine]:
    """Return what was billed on an invoice: it stays on it whatever is added."""
    rows = connection.execute(
        select(line_item)
        .where(line_item.c.invoice_id == row["id"], line_item.c.state == "billed")
        .order_by(line_item.c.id)
    ).mappings()
    return [numbered(each) for each in rows]


def has_tried(connection: Connection, row: Mapping[Any, Any]) -> bool:
    """Return whether something of a later revision may stand there than the one pushed last."""
    tried = connection.scalars(_TRIED, {"invoice_id": row["id"]})
    return any(int(each.rpartition(":")[2]) > (row["pushed_revision"] or 0) for each in tried)


def hand_back(
    connection: Connection,
    row: Mapping[Any, Any],
    why: str,
    now: datetime,
    *,
    actor: str = "billhook",
    conflict: Mapping[str, Any] | None = None,
) -> None:
    """Let an amended invoice be again what stands there; what was added looks for another draft.

    But a discount by hand was given on this one: it stands nowhere then, and its edit says so.
    """
    added = and_(
        line_item.c.invoice_id == row["id"],
        or_(
            line_item.c.state == "open",
            and_(
                line_item.c.state == "billed", line_item.c.billed_revision > row["pushed_revision"]
            ),
        ),
    )
    if row["state"] == "approved" and row["is_frozen"]:
        came_to_nothing(connection, row["id"], now)
    discounts = and_(added, line_item.c.kind == "discount")
    connection.execute(
        update(draft_edit)
        .where(draft_edit.c.id.in_(select(line_item.c.edit_id).where(discounts)))
        .values(state=IDLE)
    )
    connection.execute(
        update(line_item)
        .where(discounts)
        .values(state="withdrawn", invoice_id=None, billed_revision=None)
    )
    connection.execute(
        update(line_item).where(added).values(state="open", invoice_id=None, billed_revision=None)
    )
    remember(connection, row["id"])
    connection.execute(
        update(intent)
        .where(
            intent.c.invoice_id == row["id"],
            intent.c.state.in_(("sent", "uncertain")),
            or_(*(intent.c.operation.startswith(each) for each in _THERE)),
        )
        .values(state="absent", changed_at=now)
    )
    connection.execute(
        update(invoice)
        .where(invoice.c.id == row["id"])
        .values(**as_pushed(connection, row), conflict=conflict, **released(now))
    )
    note(
        connection,
        now,
        actor=actor,
        action="invoice.handed_back",
        entity=f"invoice:{row['reference']}",
        before=row["state"],
        state="pushed",
        why=why,
    )
    changed(connection, [row["customer"]], now)


def as_pushed(connection: Connection, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the columns of an invoice as it stands there."""
    draft = draft_from_json(row["pushed_content"])
    names = set(
        connection.execute(
            select(approval.c.approved_by).where(
                approval.c.invoice_id == row["id"], approval.c.revision == row["pushed_revision"]
            )
        ).scalars()
    )
    return {
        "state": "pushed",
        "is_frozen": True,
        "revision": row["revision"] + 1,
        "content": row["pushed_content"],
        "content_hash": draft.content_hash(),
        "total": draft.total.minor,
        "net": draft.net.minor,
        "purchase_order": draft.purchase_order,
        "approvers": [name for name in row["approvers"] if name in names],
        "reasons": [],
        "warnings": [],
        "problem": None,
    }


def conflict(
    connection: Connection,
    claimed: Claim,
    theirs: Shown,
    differences: Sequence[str],
    now: datetime,
) -> None:
    """End a push: a person has changed the draft there, and another one decides what counts."""
    invoice_id = hold_one(connection, claimed)
    row = connection.execute(select(invoice).where(invoice.c.id == invoice_id)).mappings().one()
    found = {
        "theirs": theirs.as_json(),
        "differences": list(differences),
        "seen_at": as_utc_text(now),
        "kept": None,
    }
    open_again(connection, row)
    came_to_nothing(connection, invoice_id, now)
    connection.execute(
        update(invoice)
        .where(invoice.c.id == invoice_id)
        .values(
            state="blocked",
            is_frozen=False,
            conflict=found,
            reasons=[reason_of({**row, "conflict": found})],
            revision=row["revision"] + 1,
            problem=None,
            **needing(invoice, now, is_needed=True),
            **released(now),
        )
    )
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.conflict",
        entity=f"invoice:{row['reference']}",
        before=row["state"],
        state="blocked",
        differences=list(differences)[:10],
    )


def open_again(connection: Connection, row: Mapping[Any, Any]) -> None:
    """Undo that a push has billed the lines of its revision; those billed before stay so."""
    lines = update(line_item).where(
        line_item.c.invoice_id == row["id"], line_item.c.state == "billed"
    )
    if row["pushed_content"] is not None:
        lines = lines.where(line_item.c.billed_revision == row["revision"])
    connection.execute(lines.values(state="open", billed_revision=None))
    remember(connection, row["id"])


def reason_of(row: Mapping[Any, Any]) -> str:
    """Return why an invoice in conflict must not go out, and what to do."""
    first, *more = row["conflict"]["differences"]
    others = f" (and {len(more)} more)" if more else ""
    reference = row["reference"]
    return (
        f"somebody has changed the draft at {row['connector']}: {first}{others} - compare them "
        f"with `flask invoices show {reference}`, then run `flask invoices resolve {reference} "
        "--keep theirs` or `--keep ours`"
    )


def is_undecided(row: Mapping[Any, Any]) -> bool:
    """Return whether an invoice waits for somebody to decide what counts."""
    return row["conflict"] is not None and row["conflict"]["kept"] is None


def overwrites(row: Mapping[Any, Any]) -> Mapping[str, Any] | None:
    """Return what a person has agreed to overwrite there, as it was seen."""
    found = row["conflict"]
    return found["theirs"] if found is not None and found["kept"] == "ours" else None


def resolve(connection: Connection, reference: str, keep: str, actor: str, now: datetime) -> None:
    """Decide a conflict. `theirs`: the draft there is left alone, and corrections go elsewhere.

    `ours`: it is approved and pushed over theirs, as long as that is as it was seen. Raise
    ConflictError if there is nothing to decide.
    """
    row = (
        connection.execute(
            select(invoice).where(invoice.c.reference == reference).with_for_update()
        )
        .mappings()
        .first()
    )
    if row is None:
        raise ConflictError(f"{reference}: no such invoice - see `flask invoices list`")
    if keep not in KEEP:
        raise ConflictError(f'{reference}: keep "{keep}"? - it is one of {", ".join(KEEP)}')
    if not is_amended(row) or not is_undecided(row):
        raise ConflictError(f"{reference}: is in no conflict - see `flask invoices show`")
    found = {**row["conflict"], "kept": keep, "by": actor, "decided_at": as_utc_text(now)}
    note(
        connection,
        now,
        actor=actor,
        action="invoice.conflict_resolved",
        entity=f"invoice:{reference}",
        keep=keep,
    )
    if keep == "theirs":
        why = "a person keeps what stands there"
        hand_back(connection, row, why, now, actor=actor, conflict=found)
        return
    connection.execute(update(invoice).where(invoice.c.id == row["id"]).values(conflict=found))
    changed(connection, [row["customer"]], now)


def takes_back(lines: Sequence[NumberedLine], subject_of: Mapping[int, int | None]) -> bool:
    """Return whether new lines of an amended invoice take back more than they bill anew.

    `subject_of` gives the subject of each line that has one.
    """
    together: dict[tuple[Any, ...], int] = {}
    for each in lines:
        key = (subject_of.get(each.id), each.line.pool, each.line.kind == "agreement")
        together[key] = together.get(key, 0) + each.line.amount
    return any(amount < 0 for (_, _, is_agreement), amount in together.items() if not is_agreement)
