"""Push, the storing half: every change at a billing system is written down before it is tried.

An intent holds the idempotency key and the hash of what it was made for. After an uncertain
result nothing is created before our reference has been looked up there; a key is renewed
only when the look-up has proven that nothing came of the old one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, case, func, insert, literal, select, update

from . import amending, breakers, restoring, under_way
from .auditlog import note
from .claims import AFRESH, NEVER, Claim, hold_one, needing, postponed, released
from .edits import has_unseen
from .frozen import remember
from .invoices import BilledCustomer, InvoiceDraft, draft_from_json
from .layouts import layout_from_json
from .printing import print_lines
from .remote_customers import last_id
from .restoring import Restored, last_restored
from .shown import Shown, shown_from_json
from .subjects import changed
from .tables import approval, intent, invoice, line_item

KEY_MARGIN: Final = timedelta(hours=1)
"""How long before the end of its life a key is no longer relied on."""
# Made once: every push begins with the first, and each request is written down by the others.
_BEGUN: Final = select(invoice).where(invoice.c.id == bindparam("begun_id"))
_INTEND: Final = insert(intent)
_LATEST: Final = (
    select(intent)
    .where(
        intent.c.invoice_id == bindparam("invoice_id"),
        intent.c.operation == bindparam("operation"),
    )
    .order_by(intent.c.generation.desc())
    .limit(1)
)
_STANDS: Final = update(invoice).where(invoice.c.id == bindparam("saved_id"))
_MARK: Final = (
    update(intent)
    .where(intent.c.id == bindparam("marked_id"))
    # What was seen there once is known from then on.
    .values(remote_id=func.coalesce(bindparam("seen_id"), intent.c.remote_id))
)


@dataclass(frozen=True, slots=True)
class Intent:
    """One change at a billing system, as it was written down."""

    id: int
    operation: str
    idempotency_key: str
    generation: int
    state: str
    remote_id: str | None
    """What it has led to, where that was seen."""
    created_at: datetime
    changed_at: datetime

    @property
    def is_uncertain(self) -> bool:
        """Return whether it may or may not have been carried out, as a whole or in part."""
        return self.state in ("sent", "uncertain", "refused")


@dataclass(frozen=True, slots=True)
class Push:
    """One approved invoice on its way out, as it stands in the ledger."""

    invoice_id: int
    reference: str
    connector: str
    draft: InvoiceDraft
    revision: int
    after_push: str
    remote_customer: str | None
    remote_id: str | None
    known_customer: str | None = None
    """The customer's id on its last invoice there, other than this one."""
    before: InvoiceDraft | None = None
    """What stands at the billing system, where it was pushed before and is amended now."""
    has_tried: bool = False
    """Something later may stand there, of an attempt that ended in doubt."""
    credits: str | None = None
    """Of a credit note: the remote id of the invoice that it credits."""
    overwrites: Shown | None = None
    """What somebody else has made of it there, and a person has agreed to overwrite."""
    restored: Restored | None = None
    """Set where the ledger is a copy, which may have forgotten that this went out already."""

    def to(self, payer: BilledCustomer) -> Push:
        """Return the same push with what is known by now of how its customer is found there."""
        return replace(self, draft=replace(self.draft, customer=payer))

    def has_forgotten(self, intended: Intent) -> bool:
        """Return whether an intent is from before a copy was made: what came of it is not known."""
        return self.restored is not None and intended.created_at <= self.restored.copied_at


def may_go(now: datetime) -> Any:
    """Return the condition under which an approved invoice is pushed now."""
    return and_(restoring.may_push(now), breakers.is_free(now))


def begin(connection: Connection, claimed: Claim, now: datetime) -> Push | None:
    """Freeze the claimed invoice and return it, ready to go out; its lines are billed from now on.

    Return None if its lines are no longer what was approved: it is assembled again first.
    """
    invoice_id = hold_one(connection, claimed)
    row = connection.execute(_BEGUN, {"begun_id": invoice_id}).mappings().one()
    if row["state"] != "approved":
        # It was assembled anew between the claim and now, which has voided its approval.
        connection.execute(update(invoice).where(invoice.c.id == invoice_id).values(released()))
        return None
    if not row["is_frozen"] and not _freeze(connection, row, now):
        return None
    theirs = amending.overwrites(row)
    credited = select(invoice.c.remote_id).where(invoice.c.id == row["credits_id"])
    return Push(
        invoice_id=invoice_id,
        reference=row["reference"],
        connector=row["connector"],
        draft=draft_from_json(row["content"]),
        revision=row["revision"],
        after_push=row["after_push"],
        remote_customer=row["remote_customer"],
        remote_id=row["remote_id"],
        known_customer=last_id(connection, row),
        before=None if row["pushed_content"] is None else draft_from_json(row["pushed_content"]),
        has_tried=amending.has_tried(connection, row),
        credits=connection.scalar(credited),
        overwrites=None if theirs is None else shown_from_json(theirs),
        restored=last_restored(connection),
    )


def _freeze(connection: Connection, row: Mapping[Any, Any], now: datetime) -> bool:
    approved = connection.scalar(
        select(approval.c.content_hash)
        .where(approval.c.invoice_id == row["id"])
        .order_by(approval.c.id.desc())
        .limit(1)
    )
    frozen = connection.execute(
        update(line_item)
        .where(line_item.c.invoice_id == row["id"], line_item.c.state == "open")
        .values(state="billed", billed_revision=row["revision"])
        .returning(line_item.c.id)
    ).scalars()
    ids = list(frozen)
    lines = amending.billed_lines(connection, row)
    corrected_ids = [each.line.corrects_id for each in lines if each.line.corrects_id]
    corrected = {
        found.id: found.reference
        for found in connection.execute(
            select(line_item.c.id, invoice.c.reference)
            .join(invoice, invoice.c.id == line_item.c.invoice_id)
            .where(line_item.c.id.in_(corrected_ids))
        )
    }
    layout = layout_from_json(row["content"])
    printed = [line.as_json() for line in print_lines(lines, corrected, layout)]
    is_edited = connection.scalar(select(has_unseen(row["id"])))
    changes = [each.line for each in lines if each.id in ids]
    is_early = under_way.is_any_changed(connection, changes, row["id"])
    if (
        is_edited
        or is_early
        or approved != row["content_hash"]
        or printed != row["content"]["lines"]
    ):
        opened = update(line_item).where(line_item.c.id.in_(ids))
        connection.execute(opened.values(state="open", billed_revision=None))
        connection.execute(
            update(invoice)
            .where(invoice.c.id == row["id"])
            .values(state="draft", revision=row["revision"] + 1, **released(now))
        )
        note(
            connection,
            now,
            actor="billhook",
            action="invoice.approval_void",
            entity=f"invoice:{row['reference']}",
            before="approved",
            state="draft",
        )
        changed(connection, [row["customer"]], now)
        return False
    connection.execute(update(invoice).where(invoice.c.id == row["id"]).values(is_frozen=True))
    remember(connection, row["id"])
    return True


def intend(
    connection: Connection, push: Push, operation: str, now: datetime, *, generation: int = 1
) -> Intent:
    """Return the latest intent of an operation, written down now if there is none yet."""
    known = _latest(connection, push.invoice_id, push.revision, operation)
    if known is not None and known.generation >= generation:
        return known
    parts = [push.connector, push.reference, str(push.revision), operation, str(generation)]
    if push.restored is not None:
        # The ledger before may have used up the key for something else.
        parts.append(f"copy {push.restored.id}")
    key = hashlib.sha256("|".join(parts).encode()).hexdigest()
    connection.execute(
        _INTEND,
        {
            "invoice_id": push.invoice_id,
            "operation": _operation(operation, push.revision),
            "idempotency_key": key,
            "generation": generation,
            "content_hash": push.draft.content_hash(),
            "state": "intended",
            "created_at": now,
            "changed_at": now,
        },
    )
    known = _latest(connection, push.invoice_id, push.revision, operation)
    if known is None:
        raise AssertionError("an intent that was just written is there")
    return known


def _operation(operation: str, revision: int) -> str:
    return f"{operation}:{revision}"


def _latest(
    connection: Connection, invoice_id: int, revision: int, operation: str
) -> Intent | None:
    row = connection.execute(
        _LATEST, {"invoice_id": invoice_id, "operation": _operation(operation, revision)}
    ).first()
    if row is None:
        return None
    return Intent(
        row.id,
        operation,
        row.idempotency_key,
        row.generation,
        row.state,
        row.remote_id,
        row.created_at,
        row.changed_at,
    )


def mark(
    connection: Connection,
    intended: Intent,
    state: str,
    now: datetime,
    *,
    remote_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Write down how far an intent has come: sent, uncertain, confirmed, refused or absent."""
    told = {"state": state, "seen_id": remote_id, "reason": reason, "changed_at": now}
    connection.execute(_MARK, {"marked_id": intended.id, **told})


def chunks_came(connection: Connection, push: Push, now: datetime) -> None:
    """Write down that all lines are there, whatever was heard of the requests that added them."""
    connection.execute(
        update(intent)
        .where(
            intent.c.invoice_id == push.invoice_id,
            intent.c.operation.startswith("lines:"),
            intent.c.operation.endswith(f":{push.revision}"),
            intent.c.state.in_(("sent", "uncertain")),
        )
        .values(state="confirmed", remote_id=push.remote_id, changed_at=now)
    )


def needs_new_key(
    intended: Intent, push: Push, key_life: timedelta, settles_after: timedelta, now: datetime
) -> bool:
    """Return whether the old key cannot be relied on, once a look-up has found nothing.

    Either what it led to was refused or deleted: the old key would only bring back the answer
    about that. Or the last request with it is surely over, and it has answered with an error or
    its life is nearly over. Or it is from before a copy was made, so that nobody knows.
    """
    if push.has_forgotten(intended):
        return True
    if intended.state == "refused" or intended.remote_id is not None:
        return True
    if settles_in(intended, settles_after, now):
        return False
    return intended.state == "uncertain" or now - intended.created_at >= key_life - KEY_MARGIN


def settles_in(intended: Intent, settles_after: timedelta, now: datetime) -> int:
    """Return in how many seconds the last request of an intent is surely over; 0: it is."""
    left = (intended.changed_at + settles_after - now).total_seconds()
    return max(0, math.ceil(left))


def save_remote(
    connection: Connection, push: Push, *, remote_id: str, number: str | None, url: str | None
) -> None:
    """Remember where the invoice stands at the billing system."""
    stands = {"remote_id": remote_id, "remote_number": number, "remote_url": url}
    connection.execute(_STANDS, {"saved_id": push.invoice_id, **stands})


def finish(
    connection: Connection, claimed: Claim, push: Push, now: datetime, *, is_gone: bool = False
) -> None:
    """End the push: the invoice is at the billing system with our lines and our total.

    One of which everything was taken back `is_gone` there: it ends canceled.
    """
    hold_one(connection, claimed)
    state = "canceled" if is_gone else "pushed"
    values: dict[str, Any] = {"state": state, "problem": None, "conflict": None}
    values |= {"payment": "deleted", "sync_at": None} if is_gone else {"sync_at": now}
    if push.draft.credits:
        # What it has credited is seen on its invoice.
        values["sync_at"] = None
        credited = invoice.c.reference == push.draft.credits
        connection.execute(update(invoice).where(credited).values(sync_at=now, next_at=now))
    connection.execute(
        update(invoice)
        .where(invoice.c.id == push.invoice_id)
        .values(
            pushed_content=invoice.c.content,
            pushed_revision=push.revision,
            since_at=None,
            **values,
            **released(now),
        )
    )
    under_way.ended(connection, push.invoice_id, now)
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.pushed",
        entity=f"invoice:{push.reference}",
        before="approved",
        state=state,
        content_hash=push.draft.content_hash(),
        total=push.draft.total.minor,
    )


def stop(
    connection: Connection,
    claimed: Claim,
    push: Push,
    problem: str,
    now: datetime,
    *,
    wait_seconds: int | None,
) -> None:
    """End this attempt with a problem in plain sight; try again after a wait, or never."""
    hold_one(connection, claimed)
    values = postponed(now, claimed.attempt, at_least=wait_seconds or 0)
    if wait_seconds is None:
        values["next_at"] = NEVER
    connection.execute(
        update(invoice)
        .where(invoice.c.id == push.invoice_id)
        .values(problem=problem, **needing(invoice, now, is_needed=True), **values)
    )
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.push_stopped",
        entity=f"invoice:{push.reference}",
        problem=problem,
    )


def take_back(
    connection: Connection, claimed: Claim, push: Push, problem: str, now: datetime
) -> None:
    """Undo the freezing of an invoice that the billing system refused and does not hold.

    Its lines are open again, and it is blocked until the next change or a new approval.
    """
    hold_one(connection, claimed)
    row = connection.execute(select(invoice).where(invoice.c.id == push.invoice_id)).mappings()
    amending.open_again(connection, row.one())
    connection.execute(
        update(invoice)
        .where(invoice.c.id == push.invoice_id)
        .values(
            state="blocked",
            is_frozen=False,
            reasons=[problem],
            remote_id=None if push.before is None else push.remote_id,
            revision=push.revision + 1,
            **needing(invoice, now, is_needed=True),
            **released(now),
        )
    )
    # What was still open of this revision is over. Of an amended draft something may have come.
    in_doubt = intent.c.state.in_(("sent", "uncertain"))
    of_this = intent.c.operation.endswith(f":{push.revision}")
    over = "absent" if push.before is None else "refused"
    connection.execute(
        update(intent)
        .where(intent.c.invoice_id == push.invoice_id, of_this, in_doubt)
        .values(state=over, reason=problem, changed_at=now)
    )
    under_way.came_to_nothing(connection, push.invoice_id, now)
    note(
        connection,
        now,
        actor="billhook",
        action="invoice.refused",
        entity=f"invoice:{push.reference}",
        before="approved",
        state="blocked",
        problem=problem,
    )


def go_on(connection: Connection, now: datetime, *, connector: str | None = None) -> int:
    """Have pushes go on at once that are to be tried later, of one connector or of all.

    What they wait for may have come. What waits for a person's decision about the invoice itself
    goes on waiting. Return how many.
    """
    waits = and_(invoice.c.state == "approved", invoice.c.next_at > now, invoice.c.next_at < NEVER)
    if connector is not None:
        waits = and_(waits, invoice.c.connector == connector)
    return connection.execute(update(invoice).where(waits).values(next_at=now)).rowcount


def try_again(connection: Connection, reference: str, actor: str, now: datetime) -> bool:
    """Set an invoice going again that had stopped; return False if there is none.

    One that is approved is pushed, one that is pushed is looked at, a draft is judged again.
    """
    done = connection.execute(
        update(invoice)
        .where(
            invoice.c.reference == reference,
            invoice.c.state.in_(("draft", "approved", "pushed")),
        )
        .values(
            problem=None,
            next_at=now,
            sync_at=case(
                (invoice.c.state == "pushed", literal(now, invoice.c.sync_at.type)),
                else_=invoice.c.sync_at,
            ),
            **AFRESH,
        )
    )
    if done.rowcount == 1:
        note(
            connection,
            now,
            actor=actor,
            action="invoice.push_again",
            entity=f"invoice:{reference}",
        )
    return done.rowcount == 1
