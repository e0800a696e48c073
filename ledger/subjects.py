"""Map, the storing half: subjects whose value changed are judged and their line items follow.

What a fact is worth is judged by `mappings/`; here the judgement becomes line items that
always add up to the subject's present value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from .claims import AFRESH, Claim, hold, needing, released
from .corrections import BILLED, KnownLine, LineItem, Plan, plan, plan_beside, plan_held, standing
from .database import insert_for
from .deliveries import event_from_row
from .errors import StaleClaimError
from .events import OF_THE_CALENDAR, UNDOES, Event
from .facts import about_any_of, fact_from_row, wake
from .reopening import OPENED_AGAIN, Reopened, opened_again, taken_back
from .tables import customer, event, fact, line_item, subject
from .verdicts import DROPPED, GONE, Judge, Verdict

_JUDGED: Final = (
    *("state", "reason", "customer", "rule", "payers", "held_seconds", "excluded_seconds"),
    "settled",
)


def reprice(
    connection: Connection,
    claimed: Claim,
    judge: Judge,
    now: datetime,
    *,
    reopened: Reopened = taken_back,
) -> int:
    """Judge the claimed subjects, bring their line items in line, end the claim.

    Return how many there were. Raise StaleClaimError if a line was billed meanwhile; the
    next attempt sees it.
    """
    ids = hold(connection, claimed)
    if not ids:
        return 0
    rows = connection.execute(
        select(
            event,
            subject.c.id.label("subject_id"),
            subject.c.seconds.label("present"),
            subject.c.settled,
            subject.c.reason.label("was_for"),
        )
        .join(event, event.c.id == subject.c.event_id)
        .where(subject.c.id.in_(ids))
        .order_by(subject.c.id)
    ).mappings()
    subjects = [dict(row) for row in rows]
    facts = _facts_for(connection, subjects)
    lines = _lines_of(connection, ids)
    rivals = _rivals(connection, subjects, now)
    began = _began_with(connection, subjects)
    judged: dict[tuple[Any, ...], list[int]] = {}
    withdraw: list[int] = []
    add: list[dict[str, Any]] = []
    touched: set[str] = set()
    for row in subjects:
        told = event_from_row(row)
        known = lines.get(row["subject_id"], [])
        before = min(began.get((told.endpoint, told.subject), 0), row["present"])
        if told.kind == "time.total" and (told.endpoint, told.about) in rivals:
            # What was billed of it is taken back, because its entries are billed instead.
            verdict, before = Verdict("nothing" if standing(known) else "held", reason=_RIVAL), 0
        elif told.kind in OPENED_AGAIN:
            verdict = opened_again(connection, row, known, reopened, now)
        else:
            fact_row = facts.get((told.endpoint, told.about))
            verdict = _judged(told, fact_row, judge, known, before)
        change = _change(verdict, known, told, row["id"])
        withdraw += change.withdraw
        add += [line_row(line, row["subject_id"], now) for line in change.add]
        touched |= {line.customer for line in change.add}
        touched |= {each.line.customer for each in known if each.id in change.withdraw}
        left = sum(each.line.seconds for each in known if each.id not in change.withdraw)
        on_lines = left + sum(line.seconds for line in change.add)
        ending = _ending(row, verdict, on_lines, before)
        judged.setdefault(ending, []).append(row["subject_id"])
    withdraw_lines(connection, withdraw)
    if add:
        connection.execute(insert(line_item), add)
    # Most subjects of a batch end alike, so a few statements end them all.
    for values, alike in judged.items():
        connection.execute(
            update(subject)
            .where(subject.c.id.in_(alike))
            .values(
                {
                    **dict(zip(_JUDGED, values, strict=True)),
                    **needing(subject, now, is_needed=values[0] == "held"),
                    **released(),
                }
            )
        )
    changed(connection, touched, now)
    return len(ids)


def is_known(connection: Connection, key: str) -> bool:
    """Return whether a customer has ever had anything to bill."""
    query = select(customer.c.id).where(customer.c.key == key)
    return connection.execute(query).first() is not None


def changed(connection: Connection, customers: Iterable[str], now: datetime) -> None:
    """Have the drafts of these customers assembled again."""
    rows = [{"key": key, "state": "waiting", **AFRESH, "next_at": now} for key in sorted(customers)]
    if rows:
        connection.execute(
            insert_for(connection, customer).on_conflict_do_update(
                index_elements=["key"],
                set_={
                    "state": "waiting",
                    **AFRESH,
                    "next_at": now,
                },
            ),
            rows,
        )


_BEFORE: Final = (
    "{before} s stood there before the first change that the tool told of: they are not billed"
)
_RIVAL: Final = (
    "the time of this work item arrives as single entries too; only the entries are billed - "
    "switch off the older kind of webhook"
)


def _judged(
    told: Event, found: Any, judge: Judge, known: Sequence[KnownLine], before: int
) -> Verdict:
    if told.kind in UNDOES:
        return DROPPED if told.kind in OF_THE_CALENDAR else GONE
    if found is not None and found["state"] == "known":
        told = told.filled_in(fact_from_row(found))
    elif told.project is None and told.about is not None:
        return Verdict("held", reason=_missing(told, found))
    if told.kind == "time.total":
        return _judged_total(told, judge, known, before)
    return judge(told)


def _missing(told: Event, found: Any) -> str:
    if found is not None and found["state"] == "wanted":
        so_far = f": {found['reason']}" if found["reason"] else ""
        return f"which project {told.about} belongs to is being asked at {told.endpoint}{so_far}"
    if found is not None and found["reason"]:
        return f"which project {told.about} belongs to is not known: {found['reason']}"
    return (
        f"no delivery has told which project {told.about} belongs to - it is filled in when one "
        f"does; with a url and a token for {told.endpoint} in workspace.yaml it can be asked"
    )


def _judged_total(told: Event, judge: Judge, known: Sequence[KnownLine], before: int) -> Verdict:
    """Judge a cumulative time by its change since it was last billed.

    `before` is what it was before the first change that was told: that was never ours to bill.
    """
    due = (told.seconds or 0) - before
    whole = judge(replace(told, seconds=due))
    if before and whole.state == "priced":
        whole = replace(whole, reason=_BEFORE.format(before=before))
    if not whole.lines or not _same_payers(known, whole.lines):
        return whole
    change = due - sum(each.line.seconds for each in known if each.is_billed)
    if change == 0:
        return replace(whole, lines=())
    verdict = replace(judge(replace(told, seconds=abs(change))), reason=whole.reason)
    if change > 0:
        return verdict
    return replace(
        verdict,
        lines=tuple(
            replace(
                line,
                quantity=-line.quantity,
                amount=-line.amount,
                seconds=-line.seconds,
                steps=(
                    *line.steps,
                    "less time than was billed: the line takes the difference back",
                ),
            )
            for line in verdict.lines
        ),
    )


def _same_payers(known: Sequence[KnownLine], wanted: Sequence[LineItem]) -> bool:
    """Return whether what was billed, if anything, was billed to those who would pay now."""
    billed = {each.line.customer for each in standing(known)}
    return not billed or billed == {line.customer for line in wanted}


def _change(verdict: Verdict, known: Sequence[KnownLine], told: Event, event_id: int) -> Plan:
    wanted = [replace(line, event_id=event_id) for line in verdict.lines]
    if verdict.state == "held" or verdict.keeps:
        if told.kind == "time.total":
            return plan_beside(known, ())
        return plan_held(known, event_id=event_id)
    if (
        told.kind == "time.total"
        and verdict.state == "priced"
        and (not wanted or _same_payers(known, wanted))
    ):
        return plan_beside(known, wanted)
    return plan(known, wanted, event_id=event_id)


def _ending(
    row: Mapping[str, Any], verdict: Verdict, on_lines: int, before: int
) -> tuple[Any, ...]:
    """Return the values of `_JUDGED` for a subject of which `on_lines` seconds are on lines."""
    held = row["present"] - on_lines - before if verdict.state == "held" else 0
    excluded = row["present"] if verdict.state == "nothing" else before
    if verdict.keeps:
        excluded = row["present"] - on_lines
    payers = ",".join(verdict.payers) or None
    said = (verdict.state, verdict.reason, verdict.customer, verdict.rule, payers)
    settled = row["settled"] if row["kind"] in OPENED_AGAIN else None
    return (*said, held, excluded, settled)


def _began_with(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], int]:
    """Return the part of each cumulative time that was never ours to bill, in seconds.

    It is what stood there before the first change that was told, or less where the time was
    less since then: what is logged above the lowest point is new.
    """
    totals: dict[str, list[str]] = {}
    for row in rows:
        if row["kind"] == "time.total":
            totals.setdefault(row["endpoint"], []).append(row["subject"])
    if not totals:
        return {}
    named = or_(
        *(
            and_(event.c.endpoint == endpoint, event.c.subject.in_(names))
            for endpoint, names in totals.items()
        )
    )
    of_totals = and_(named, event.c.kind.in_(("time.total", "time.removed")))
    first = (
        select(
            event.c.endpoint,
            event.c.subject,
            func.min(event.c.version).label("version"),
            func.min(func.coalesce(event.c.seconds, 0)).label("least"),
        )
        .where(of_totals)
        .group_by(event.c.endpoint, event.c.subject)
        .subquery()
    )
    began = connection.execute(
        select(
            event.c.endpoint,
            event.c.subject,
            func.min(func.coalesce(event.c.seconds_before, 0)).label("before"),
            func.min(first.c.least).label("least"),
        )
        .join(
            first,
            and_(
                event.c.endpoint == first.c.endpoint,
                event.c.subject == first.c.subject,
                event.c.version == first.c.version,
            ),
        )
        .where(of_totals)
        .group_by(event.c.endpoint, event.c.subject)
    )
    return {(row.endpoint, row.subject): min(int(row.before), int(row.least)) for row in began}


def _facts_for(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[Any, Any]:
    named = {(row["endpoint"], row["about"]) for row in rows if row["about"] is not None}
    if not named:
        return {}
    found = connection.execute(select(fact).where(about_any_of(fact, named))).mappings()
    return {(row["endpoint"], row["about"]): row for row in found}


def _lines_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[KnownLine]]:
    rows = connection.execute(
        select(line_item)
        .where(line_item.c.subject_id.in_(ids), line_item.c.state != "withdrawn")
        .order_by(line_item.c.id)
    ).mappings()
    found: dict[int, list[KnownLine]] = {}
    for row in rows:
        found.setdefault(row["subject_id"], []).append(known_line(row))
    return found


def _rivals(
    connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime
) -> set[tuple[str, str]]:
    """Return the work items whose cumulative time must not be billed beside their entries."""
    named = {
        (row["endpoint"], row["about"])
        for row in rows
        if row["about"] is not None and row["kind"].startswith("time.")
    }
    if not named:
        return set()
    same = about_any_of(subject, named)
    if any(row["kind"] != "time.total" for row in rows):
        # Also one that is held: the entry that it was held for may be gone now.
        wake(connection, same & (subject.c.kind == "time.total"), now)
    if all(row["kind"] != "time.total" for row in rows):
        return set()
    entries = connection.execute(
        select(subject.c.endpoint, subject.c.about)
        .where(same, subject.c.kind == "time.logged")
        .distinct()
    )
    totals = {(row["endpoint"], row["about"]) for row in rows if row["kind"] == "time.total"}
    return {(row.endpoint, row.about) for row in entries} & totals


def is_paid_by(customer: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a customer pays for a subject, alone or with others."""
    among = (literal(",") + subject.c.payers + ",").contains(literal(",") + customer + ",")
    return case((subject.c.payers.is_(None), subject.c.customer == customer), else_=among)


def withdraw_lines(connection: Connection, ids: Sequence[int]) -> None:
    """Take open lines out; raise StaleClaimError if one was billed meanwhile."""
    if not ids:
        return
    done = connection.execute(
        update(line_item)
        .where(line_item.c.id.in_(ids), line_item.c.state == "open")
        .values(state="withdrawn", invoice_id=None)
    )
    if done.rowcount != len(ids):
        raise StaleClaimError("a line item was billed meanwhile")


def known_line(row: Mapping[Any, Any]) -> KnownLine:
    """Return a stored line item that was not withdrawn, with what became of it."""
    state = row["state"]
    return KnownLine(row["id"], state in BILLED, line_from_row(row), state == "released")


def line_from_row(row: Mapping[Any, Any]) -> LineItem:
    """Return a stored line item (a row's mapping)."""
    return LineItem(
        customer=row["customer"],
        project=row["project"],
        item=row["item"],
        person=row["person"],
        on=row["on"],
        description=row["description"],
        quantity=row["quantity"],
        unit_price=row["unit_price"],
        currency=row["currency"],
        amount=row["amount"],
        seconds=row["seconds"],
        rule=row["rule"],
        mapping_version=row["mapping_version"],
        grouping=tuple(row["grouping"]),
        schedule=row["schedule"],
        period_from=row["period_from"],
        period_to=row["period_to"],
        steps=tuple(row["steps"]),
        event_id=row["event_id"],
        corrects_id=row["corrects_id"],
        again=row["again"],
        kind=row["kind"],
        pool=row["pool"],
        adjusts_id=row["adjusts_id"],
        tax=row["tax"],
        coding=row["coding"],
    )


def line_row(line: LineItem, subject_id: int | None, now: datetime) -> dict[str, Any]:
    """Return a line item as it is stored: open, on no invoice yet."""
    return {
        "kind": line.kind,
        "pool": line.pool,
        "adjusts_id": line.adjusts_id,
        "tax": line.tax,
        "coding": line.coding,
        "subject_id": subject_id,
        "event_id": line.event_id,
        "customer": line.customer,
        "project": line.project,
        "item": line.item,
        "person": line.person,
        "on": line.on,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "currency": line.currency,
        "amount": line.amount,
        "seconds": line.seconds,
        "rule": line.rule,
        "mapping_version": line.mapping_version,
        "grouping": list(line.grouping),
        "schedule": line.schedule,
        "period_from": line.period_from,
        "period_to": line.period_to,
        "steps": list(line.steps),
        "corrects_id": line.corrects_id,
        "again": line.again,
        "state": "open",
        "created_at": now,
    }
