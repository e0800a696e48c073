"""Sync back, the storing half: hints, what was paid, and what the project tools are told.

A webhook of a billing system only hints; the invoice is fetched and its amounts are stored.
The newest truth wins, also where it goes back (paid, then disputed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, insert, or_, select, update

from .amending import IS_AMENDED, hand_back, is_amended
from .auditlog import note
from .bank import recorded_on
from .breakers import is_free
from .claims import AFRESH, Claim, hold, hold_one, needing, released
from .crediting import is_final
from .database import insert_for
from .money import Money
from .payments import FINAL, Amounts, is_overdue, payment_of, together
from .releasing import STANDS_AGAIN, VOID, WAS_PAID, release
from .subjects import changed
from .tables import event, hint, invoice, line_item, payment, report, subject

POLL: Final = timedelta(hours=1)
"""How often an invoice on which money may still move is looked at without a hint."""
POLL_FINAL: Final = timedelta(days=7)
"""How often one is looked at on which nothing should happen any more."""
LOOKED_AT: Final = ("pushed", "draft", "blocked")
"""The states in which an invoice may stand at its billing system, with nobody at work on it."""
STANDS_THERE: Final = and_(
    invoice.c.kind == "invoice",
    or_(invoice.c.state == "pushed", and_(invoice.c.state.in_(LOOKED_AT), IS_AMENDED)),
)
"""The condition of those that do. Of credit notes nothing is looked at: their invoice is."""
_INVOICE: Final = select(invoice).where(invoice.c.id == bindparam("id"))
_LAST: Final = (
    select(payment)
    .where(payment.c.invoice_id == bindparam("invoice_id"))
    .order_by(payment.c.id.desc())
    .limit(1)
)
NOTED_TWICE: Final = (
    "payments of it are noted both at {connector} and here: what stands in both is counted twice - "
    "take it out there, or here with `flask payments take-back`"
)


@dataclass(frozen=True, slots=True)
class Hint:
    """What a billing system's webhook was about."""

    id: int
    endpoint: str
    subject: str


def load_hints(connection: Connection, claimed: Claim) -> list[Hint]:
    """Return the claimed hints."""
    rows = connection.execute(
        select(hint.c.id, hint.c.endpoint, hint.c.subject).where(hint.c.id.in_(claimed.ids))
    )
    return [Hint(row.id, row.endpoint, row.subject) for row in rows]


def follow(
    connection: Connection,
    claimed: Claim,
    found: Mapping[int, Iterable[str]],
    now: datetime,
) -> None:
    """Have the invoices looked at that the claimed hints are about; end the claim.

    `found` gives the remote ids for each hint.
    """
    for hint_id in sorted(set(hold(connection, claimed)) & set(found)):
        remote_ids = list(found[hint_id])
        named = invoice.c.remote_id.in_(remote_ids)
        ours = connection.execute(update(invoice).where(named).values(sync_at=now)).rowcount
        # Who looks at one of them just now may have fetched it too early, and loses the claim.
        connection.execute(update(invoice).where(named, STANDS_THERE).values(released(now)))
        connection.execute(
            update(hint)
            .where(hint.c.id == hint_id)
            .values(
                state="followed" if ours else "unmatched",
                reason=None if ours else "it is about no invoice of ours",
                since_at=None,
                **released(),
            )
        )


def end_hints(
    connection: Connection,
    claimed: Claim,
    looked_up: Collection[int],
    held: Mapping[int, str],
    now: datetime,
) -> None:
    """End the claim of hints at things in project tools; `held` says why some were not asked."""
    for hint_id in hold(connection, claimed):
        if hint_id in looked_up or hint_id in held:
            connection.execute(
                update(hint)
                .where(hint.c.id == hint_id)
                .values(
                    state="held" if hint_id in held else "followed",
                    reason=held.get(hint_id),
                    **needing(hint, now, is_needed=hint_id in held),
                    **released(),
                )
            )


def ask_held(
    connection: Connection,
    endpoints: Collection[str],
    now: datetime,
    *,
    also_unmatched: bool = False,
) -> int:
    """Have these endpoints' tools asked about what could not be looked up; return how much.

    That is held for want of a token, has failed, or waits because the tool was away for long;
    also what was about no invoice of ours, if that is wanted.
    """
    states = ("held", "failed", "unmatched") if also_unmatched else ("held", "failed")
    is_left = or_(hint.c.state.in_(states), hint.c.since_at.is_not(None))
    return connection.execute(
        update(hint)
        .where(is_left, hint.c.endpoint.in_(endpoints))
        .values(state="waiting", reason=None, **released(now))
    ).rowcount


def tell_again(connection: Connection, endpoints: Collection[str] | None, now: datetime) -> int:
    """Have tools told what they could not be told, all of them if none is named."""
    is_left = or_(report.c.state == "failed", report.c.since_at.is_not(None))
    statement = update(report).where(is_left).values(state="waiting", **released(now))
    if endpoints is not None:
        statement = statement.where(report.c.endpoint.in_(endpoints))
    return connection.execute(statement).rowcount


def due(now: datetime) -> Any:
    """Return the condition under which an invoice that stands there is looked at now."""
    return and_(invoice.c.sync_at <= now, is_free(now))


def look_at_all(connection: Connection, now: datetime) -> int:
    """Have every invoice looked at now that stands at its billing system; return how many."""
    return connection.execute(
        update(invoice).where(STANDS_THERE).values(sync_at=now, next_at=now)
    ).rowcount


@dataclass(frozen=True, slots=True)
class Pushed:
    """An invoice that is at its billing system."""

    invoice_id: int
    connector: str
    remote_id: str


def load_pushed(connection: Connection, claimed: Claim) -> Pushed:
    """Return the claimed invoice."""
    row = connection.execute(
        select(invoice.c.id, invoice.c.connector, invoice.c.remote_id).where(
            invoice.c.id == claimed.ids[0]
        )
    ).one()
    return Pushed(row.id, row.connector, row.remote_id)


@dataclass(frozen=True, slots=True)
class DueReport:
    """What a project tool is to be told."""

    endpoint: str
    marker: str
    subject: str
    content: dict[str, Any]


def load_report(connection: Connection, claimed: Claim) -> DueReport:
    """Return the claimed report."""
    row = connection.execute(select(report).where(report.c.id == claimed.ids[0])).one()
    return DueReport(row.endpoint, row.marker, row.subject, row.content)


def record_payment(
    connection: Connection, claimed: Claim, amounts: Amounts, now: datetime
) -> str | None:
    """Store what was fetched about the claimed invoice; return the payment word if it is new."""
    return _seen(connection, hold_one(connection, claimed), amounts, now)


def no_draft_any_more(
    connection: Connection, claimed: Claim, amounts: Amounts, now: datetime
) -> None:
    """End a push that found no draft there any more: the invoice is what it was pushed as."""
    invoice_id = hold_one(connection, claimed)
    _hand_back(connection, invoice_id, amounts.document, now)
    _seen(connection, invoice_id, amounts, now)


def _hand_back(connection: Connection, invoice_id: int, document: str, now: datetime) -> None:
    row = connection.execute(_INVOICE, {"id": invoice_id}).mappings().one()
    hand_back(connection, row, f"it is {document} at {row['connector']} and no draft", now)


def recount(
    connection: Connection, invoice_id: int, actor: str, told: Sequence[str], now: datetime
) -> None:
    """Have an invoice show what is recorded on it now, and looked at where it stands.

    `told` are the endpoints whose tools are told of it. The caller holds the row.
    """
    last = _last(connection, invoice_id)
    if last is not None:
        said = said_there(last)
        # The clock of who looked at it last may be ahead of ours.
        said = replace(said, observed_at=max(now, last.observed_at))
    else:
        row = connection.execute(_INVOICE, {"id": invoice_id}).one()
        said = Amounts("draft", currency=row.currency, total=row.total, observed_at=now)
    if _seen(connection, invoice_id, said, now, actor=actor) is not None:
        expect_reports(connection, invoice_id, told, now)
    connection.execute(
        update(invoice).where(invoice.c.id == invoice_id).values(sync_at=now, next_at=now)
    )


def said_there(last: Any) -> Amounts:
    """Return what the billing system itself said in a snapshot, without what is recorded here."""
    return Amounts(
        document=last.document,
        currency=last.currency,
        total=last.total,
        paid=last.paid - last.recorded,
        credited=last.credited,
        refunded=last.refunded - last.recorded_refunds,
        disputed=last.disputed,
        overpaid=last.overpaid,
        is_settling=last.is_settling,
        due_on=last.due_on,
        version=last.remote_version,
    )


def _last(connection: Connection, invoice_id: int) -> Any:
    """Return the newest snapshot of an invoice, None if there is none."""
    return connection.execute(_LAST, {"invoice_id": invoice_id}).first()


def _seen(
    connection: Connection,
    invoice_id: int,
    said: Amounts,
    now: datetime,
    *,
    actor: str | None = None,
) -> str | None:
    """Store what its billing system says of an invoice; return the payment word if it is new.

    With what is recorded here; `actor` has just done that.
    """
    row = connection.execute(_INVOICE, {"id": invoice_id}).mappings().one()
    last = _last(connection, invoice_id)
    observed_at = said.observed_at or now
    if said.document == "deleted":
        # A system that no longer has an invoice cannot say which currency it was in.
        said = replace(said, currency=row["currency"])
    recorded = recorded_on(connection, invoice_id)
    amounts = together(said, recorded)
    word = payment_of(amounts)
    values: dict[str, Any] = {
        "sync_at": now + (POLL_FINAL if word in FINAL else POLL),
        "is_overdue": is_overdue(amounts, now.date()),
        **released(),
    }
    is_stale = last is not None and observed_at < last.observed_at
    stored = _amounts_row(amounts, word) | {
        "recorded": recorded.paid,
        "recorded_refunds": recorded.refunded,
    }
    if not is_stale and (last is None or _amounts(last) != stored):
        connection.execute(
            insert(payment).values(
                invoice_id=invoice_id,
                due_on=amounts.due_on,
                remote_version=amounts.version,
                observed_at=observed_at,
                **stored,
            )
        )
    changed_to = None
    if not is_stale and word != row["payment"]:
        values["payment"] = changed_to = word
        note(
            connection,
            now,
            actor=actor or row["connector"],
            action="invoice.payment",
            entity=f"invoice:{row['reference']}",
            before=row["payment"],
            payment=word,
            paid=amounts.paid,
            total=amounts.total,
            went_back=row["payment"] in ("paid", "refunded", "void") and word != row["payment"],
        )
    if not is_stale:
        if is_amended(row) and word != "draft":
            _hand_back(connection, invoice_id, amounts.document, now)
        is_moved = "draft" in (row["payment"], word) or is_final(row["payment"]) != is_final(word)
        if is_moved and word != row["payment"]:
            # What corrects it goes onto it while it is a draft there, onto a credit note while it
            # is final, and elsewhere otherwise.
            changed(connection, [row["customer"]], now)
        values["problem"] = _released(connection, row, amounts, now)
        if recorded and (said.paid or said.refunded):
            values["problem"] = values["problem"] or NOTED_TWICE.format(**row)
        values |= needing(invoice, now, is_needed=values["problem"] is not None)
    connection.execute(update(invoice).where(invoice.c.id == invoice_id).values(values))
    return changed_to


def _released(
    connection: Connection, row: RowMapping, amounts: Amounts, now: datetime
) -> str | None:
    """Release what is on an invoice that is void now; return what a person has to look at."""
    word = payment_of(amounts)
    told = {"connector": row["connector"], "payment": word}
    if row["released_at"] is not None:
        if word in VOID:
            return None
        problem = STANDS_AGAIN.format(day=row["released_at"].date(), **told)
        if row["problem"] is None:
            note(
                connection,
                now,
                actor=row["connector"],
                action="invoice.stands_again",
                entity=f"invoice:{row['reference']}",
                payment=word,
            )
        return problem
    if word not in VOID:
        return None
    # It may have been paid and voided between two looks; a deleted one tells no amounts any more.
    before = connection.execute(
        select(payment.c.paid, payment.c.refunded)
        .where(payment.c.invoice_id == row["id"], payment.c.payment.not_in(VOID))
        .order_by(payment.c.id.desc())
        .limit(1)
    ).first()
    kept = max(each.paid - each.refunded for each in (amounts, before) if each is not None)
    if kept > 0:
        return WAS_PAID.format(paid=Money(kept, amounts.currency), **told)
    release(connection, row, word, now)
    return None


_COMPARED: Final = (
    *("payment", "document", "currency", "total", "paid", "credited", "refunded"),
    *("disputed", "overpaid", "remaining", "is_settling", "recorded", "recorded_refunds"),
)


def _amounts(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COMPARED}


def _amounts_row(amounts: Amounts, word: str) -> dict[str, Any]:
    return {
        "payment": word,
        "document": amounts.document,
        "currency": amounts.currency,
        "total": amounts.total,
        "paid": amounts.paid,
        "credited": amounts.credited,
        "refunded": amounts.refunded,
        "disputed": amounts.disputed,
        "overpaid": amounts.overpaid,
        "remaining": amounts.owed,
        "is_settling": amounts.is_settling,
    }


def expect_reports(
    connection: Connection, invoice_id: int, endpoints: Sequence[str], now: datetime
) -> int:
    """Have the project tools told how an invoice stands, for each piece of work on it.

    Only tools whose endpoint is in `endpoints` are told. Return how many notes there are; one
    that says the same already is left alone.
    """
    row = connection.execute(_INVOICE, {"id": invoice_id}).mappings().one()
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    works = connection.execute(
        select(
            subject.c.endpoint,
            subject.c.name,
            line_item.c.item,
            line_item.c.project,
            event.c.fields,
        )
        .join(subject, subject.c.id == line_item.c.subject_id)
        .join(event, event.c.id == line_item.c.event_id)
        .where(line_item.c.invoice_id == invoice_id, subject.c.endpoint.in_(endpoints))
        .order_by(line_item.c.id)
    )
    for work in works:
        marker = f"{row['reference']}/{work.item or work.name}"
        rows.setdefault(
            (work.endpoint, marker),
            {
                "endpoint": work.endpoint,
                "marker": marker,
                "invoice_id": invoice_id,
                "subject": work.name,
                "content": {
                    "item": work.item,
                    "project": work.project,
                    "fields": work.fields,
                    "invoice": row["reference"],
                    "state": _told_state(row),
                    "url": row["remote_url"],
                },
                "state": "waiting",
                "attempts": 0,
                "next_at": now,
            },
        )
    if rows:
        statement = insert_for(connection, report)
        excluded = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["endpoint", "marker"],
                set_={
                    "content": excluded.content,
                    "state": "waiting",
                    **AFRESH,
                    "next_at": now,
                },
                where=or_(report.c.content != excluded.content, report.c.state == "failed"),
            ),
            [rows[key] for key in sorted(rows)],
        )
    return len(rows)


def _told_state(row: RowMapping) -> str:
    return str(row["payment"] or row["state"]).replace("_", " ")


def told(connection: Connection, claimed: Claim, content: Any, place: str) -> None:
    """End a claim: the tool says what `content` says. If it has changed since, it is told again."""
    report_id = hold_one(connection, claimed)
    connection.execute(
        update(report)
        .where(report.c.id == report_id)
        .values(place=place, reason=None, since_at=None, **released())
    )
    connection.execute(
        update(report)
        .where(report.c.id == report_id, report.c.content == content)
        .values(state="told")
    )


def not_told(connection: Connection, claimed: Claim, reason: str, now: datetime) -> None:
    """End a claim: the tool cannot be told, and a person sees why."""
    report_id = hold_one(connection, claimed)
    connection.execute(
        update(report)
        .where(report.c.id == report_id)
        .values(
            state="failed",
            reason=reason,
            **needing(report, now, is_needed=True),
            **released(),
        )
    )
