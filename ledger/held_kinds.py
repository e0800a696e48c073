"""What kinds of things wait for a person, one declaration each: `held.py` makes the list of them.

Whoever adds a state in which something may rest adds a kind here, with the command that goes on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Table,
    Text,
    and_,
    case,
    exists,
    false,
    func,
    null,
    or_,
    select,
    type_coerce,
)

from .approvals import by_rule
from .claims import NEVER
from .events import as_utc_text
from .handwork import STANDING, UNDONE
from .reopening import OPENED_AGAIN
from .restoring import WAITS
from .sums import HELD, HELD_OVER_A_CAP
from .tables import (
    customer,
    delivery,
    draft_edit,
    fact,
    hint,
    invoice,
    line_item,
    poll,
    recorded_payment,
    report,
    restoration,
    stray,
    subject,
)

UNKNOWN: Final = (
    "nobody has told what this is, and its tool cannot be asked - give the endpoint a url and a "
    "token in workspace.yaml, then activate the rules"
)
NOT_READ: Final = ("unsupported", "unreadable", "failed")
"""The states of a delivery that a person has read again, or dismisses."""

Tell = Callable[[RowMapping], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of thing that waits for a person, and how to tell of it."""

    table: Table
    condition: ColumnElement[bool]
    where: Tell
    """The endpoint, customer or connector."""
    what: Tell
    reason: Callable[[RowMapping], str | None]
    go_on: Tell
    """The command with which a person has it go on."""
    since: ColumnElement[datetime | None]
    customer: ColumnElement[Any] | None = None
    """Whose money it is, where one customer's can be named."""
    minor: ColumnElement[Any] | None = None
    """The amount at risk in minor units, with its currency."""
    currency: ColumnElement[Any] | None = None


def _since(table: Table, otherwise: ColumnElement[Any]) -> ColumnElement[Any]:
    # What rested before this was written down has rested since then at least.
    known = case((otherwise < NEVER, otherwise), else_=null())
    return func.coalesce(table.c.since_at, known)


def _named(column: str) -> Tell:
    return lambda row: str(row[column])


def _command(*words: str, last: str) -> Tell:
    """Return what tells a command whose last word is a column of the row."""
    return lambda row: " ".join(["flask", *words, shlex.quote(str(row[last]))])


def _lines_of(condition: ColumnElement[bool]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return sum and currency of the open lines that fit; null where they are of several."""
    open_lines = select(line_item.c.id).where(condition, line_item.c.state == "open")
    one_currency = func.count(func.distinct(line_item.c.currency)) == 1
    minor = open_lines.with_only_columns(func.sum(line_item.c.amount)).having(one_currency)
    currency = open_lines.with_only_columns(func.min(line_item.c.currency)).having(one_currency)
    return minor.scalar_subquery(), currency.scalar_subquery()


_KEPT_BACK: Final = (
    select(func.min(line_item.c.id))
    .where(
        # The first condition lets the index be used that only lines in a pool are in.
        line_item.c.pool != "",
        line_item.c.pool.startswith(HELD),
        line_item.c.state != "withdrawn",
    )
    .group_by(line_item.c.customer, line_item.c.pool)
    .having(func.sum(line_item.c.amount) != 0)
)
"""The first line of each pool of which something is held back, billed or not."""
_pool = line_item.alias("of_the_pool")
_KEPT_AMOUNT: Final = (
    select(func.abs(func.sum(_pool.c.amount)))
    .where(
        _pool.c.customer == line_item.c.customer,
        _pool.c.pool == line_item.c.pool,
        _pool.c.state != "withdrawn",
    )
    .scalar_subquery()
)
# Somebody has changed the draft at the billing system, and nobody has said yet what counts.
_IS_UNDECIDED: Final = func.coalesce(
    type_coerce(invoice.c.conflict, Text).like('%"kept":null%'), false()
)
_IS_MISSED: Final = exists(
    select(subject.c.id).where(
        subject.c.endpoint == fact.c.endpoint,
        subject.c.about == fact.c.about,
        subject.c.state == "held",
    )
)
"""Somebody's work is held because of this unknown thing."""


def kinds_of(now: datetime) -> dict[str, Kind]:
    """Return every kind of thing that waits for a person, in the order of the line."""
    of_subject = _lines_of(line_item.c.subject_id == subject.c.id)
    of_customer = _lines_of(line_item.c.customer == customer.c.key)
    of_invoice = {
        "customer": invoice.c.customer,
        "minor": func.abs(invoice.c.total),
        "currency": invoice.c.currency,
    }
    sync = _command("sync", last="endpoint")
    retry = _command("invoices", "retry", last="reference")
    return {
        "restore": Kind(
            table=restoration,
            condition=restoration.c.ended_at.is_(None),
            where=lambda _: "ledger",
            what=lambda _: "pushing",
            reason=lambda row: WAITS.format(copied_at=as_utc_text(row["copied_at"])),
            go_on=lambda _: "flask sync --restored",
            since=restoration.c.copied_at,
        ),
        "stray": Kind(
            table=stray,
            condition=stray.c.settled_at.is_(None),
            where=_named("connector"),
            what=_named("reference"),
            reason=_named("reason"),
            go_on=_command("invoices", "settle", last="remote_id"),
            since=stray.c.found_at,
            minor=stray.c.total,
            currency=stray.c.currency,
        ),
        "poll": Kind(
            table=poll,
            condition=and_(poll.c.state == "waiting", poll.c.reason.is_not(None)),
            where=_named("endpoint"),
            what=lambda row: f"missed {row['what']} are not asked for",
            reason=_named("reason"),
            go_on=sync,
            since=_since(poll, poll.c.polled_at),
        ),
        "delivery": Kind(
            table=delivery,
            condition=delivery.c.state.in_(NOT_READ),
            where=_named("endpoint"),
            what=lambda row: f"delivery {row['id']}",
            reason=lambda row: row["reason"],
            go_on=_command("events", "replay", last="id"),
            since=delivery.c.received_at,
        ),
        "fact": Kind(
            table=fact,
            condition=and_(fact.c.state == "unknown", _IS_MISSED),
            where=_named("endpoint"),
            what=_named("about"),
            reason=lambda row: row["reason"] or UNKNOWN,
            # What has no reason was never asked: its tool cannot be.
            go_on=lambda row: sync(row) if row["reason"] else "flask rules activate",
            since=_since(fact, fact.c.next_at),
        ),
        "subject": Kind(
            table=subject,
            condition=subject.c.state.in_(("held", "failed")),
            where=_named("endpoint"),
            what=_named("name"),
            reason=lambda row: row["reason"],
            go_on=lambda row: _settle(row) if row["kind"] in OPENED_AGAIN else _remap(row),
            since=_since(subject, subject.c.next_at),
            customer=subject.c.customer,
            minor=of_subject[0],
            currency=of_subject[1],
        ),
        "customer": Kind(
            table=customer,
            condition=or_(customer.c.reason.is_not(None), customer.c.state == "failed"),
            where=_named("key"),
            what=lambda _: "its drafts are not assembled",
            reason=lambda row: row["reason"],
            go_on=lambda row: (
                _command("invoices", "retry", "--customer", last="key")(row)
                if row["state"] == "failed"
                else _command("events", "remap", "--customer", last="key")(row)
            ),
            since=_since(customer, customer.c.next_at),
            customer=customer.c.key,
            minor=of_customer[0],
            currency=of_customer[1],
        ),
        "invoice": Kind(
            table=invoice,
            condition=or_(
                and_(invoice.c.state == "blocked", ~_IS_UNDECIDED),
                and_(
                    invoice.c.state.in_(("draft", "canceled")),
                    invoice.c.problem.is_not(None),
                ),
            ),
            where=_named("customer"),
            what=_named("reference"),
            reason=lambda row: "; ".join(
                [*(row["reasons"] if row["state"] == "blocked" else ()), row["problem"] or ""]
            ).strip("; "),
            go_on=retry,
            since=_since(invoice, invoice.c.created_at),
            **of_invoice,
        ),
        "conflict": Kind(
            table=invoice,
            condition=and_(invoice.c.state == "blocked", _IS_UNDECIDED),
            where=_named("connector"),
            what=_named("reference"),
            reason=lambda row: "; ".join(row["reasons"]),
            # The one that overwrites nothing; the reason names the other one, too.
            go_on=lambda row: (
                _command("invoices", "resolve", last="reference")(row) + " --keep theirs"
            ),
            since=_since(invoice, invoice.c.created_at),
            **of_invoice,
        ),
        "line": Kind(
            table=draft_edit,
            condition=and_(draft_edit.c.kind == "hold", draft_edit.c.state != UNDONE),
            where=_named("customer"),
            what=_named("said"),
            reason=lambda row: (
                f"held back by {row['made_by']} at {as_utc_text(row['made_at'])}"
                + ("" if row["state"] == STANDING else ", and its line is gone")
                + f" - let it go with `{_let_go(row)}`"
            ),
            go_on=lambda row: _let_go(row),
            since=draft_edit.c.made_at,
            customer=draft_edit.c.customer,
        ),
        "agreement": Kind(
            table=line_item,
            condition=line_item.c.id.in_(_KEPT_BACK),
            where=_named("customer"),
            what=lambda row: str(row["pool"]).removeprefix(HELD),
            reason=lambda _: HELD_OVER_A_CAP,
            go_on=lambda _: "flask rules activate",
            since=line_item.c.created_at,
            customer=line_item.c.customer,
            minor=_KEPT_AMOUNT,
            currency=line_item.c.currency,
        ),
        "approval": Kind(
            table=invoice,
            condition=and_(
                invoice.c.state == "draft",
                invoice.c.problem.is_(None),
                or_(invoice.c.due_at <= now, invoice.c.schedule == "at once"),
                ~by_rule(now),
            ),
            where=_named("customer"),
            what=_named("reference"),
            reason=lambda row: "; ".join(
                [*row["warnings"], *(f"{name} approves it" for name in row["approvers"])]
                or ["its period is over, and its customer's rules leave it to a person"]
            ),
            go_on=_command("invoices", "approve", last="reference"),
            since=case(
                (invoice.c.schedule == "at once", invoice.c.created_at), else_=invoice.c.due_at
            ),
            **of_invoice,
        ),
        "push": Kind(
            table=invoice,
            condition=and_(
                invoice.c.state.in_(("approved", "pushed")), invoice.c.problem.is_not(None)
            ),
            where=_named("connector"),
            what=_named("reference"),
            reason=lambda row: row["problem"],
            go_on=retry,
            since=_since(invoice, invoice.c.created_at),
            **of_invoice,
        ),
        "payment": Kind(
            table=recorded_payment,
            condition=recorded_payment.c.state == "waiting",
            where=lambda row: row["account"] or row["source"],
            what=lambda row: " ".join(
                filter(None, (f"payment {row['id']}", row["payer"], row["text"][:80]))
            ),
            reason=lambda row: (
                f"{row['reason']} - say which invoice it pays, or that it pays none: "
                f"`flask payments set-aside {row['id']}`"
            ),
            go_on=lambda row: f"flask payments assign {row['id']} INVOICE",
            since=recorded_payment.c.recorded_at,
            minor=func.abs(recorded_payment.c.amount),
            currency=recorded_payment.c.currency,
        ),
        "hint": Kind(
            table=hint,
            # One that waits for a system that has been away for long says so, too.
            condition=or_(hint.c.state.in_(("held", "failed")), _goes_on_in_vain(hint)),
            where=_named("endpoint"),
            what=_named("subject"),
            reason=lambda row: row["reason"],
            go_on=sync,
            since=_since(hint, hint.c.next_at),
        ),
        "report": Kind(
            table=report,
            condition=or_(report.c.state == "failed", _goes_on_in_vain(report)),
            where=_named("endpoint"),
            what=_named("marker"),
            reason=lambda row: row["reason"],
            go_on=sync,
            since=_since(report, report.c.next_at),
        ),
    }


def _goes_on_in_vain(table: Table) -> ColumnElement[bool]:
    return and_(table.c.state == "waiting", table.c.since_at.is_not(None))


_remap: Final = _command("events", "remap", last="id")
_settle: Final = _command("events", "settle", "--keep", last="name")


def _let_go(row: RowMapping) -> str:
    on = shlex.quote(str(row["value"]["on"]))
    return f"flask invoices edit {on} --let-go {row['id']}"


PASSED_OVER: Final = {
    "ignored": Kind(
        table=delivery,
        condition=delivery.c.state == "ignored",
        where=_named("endpoint"),
        what=lambda row: f"delivery {row['id']}",
        reason=lambda row: row["reason"],
        go_on=_command("events", "replay", last="id"),
        since=delivery.c.received_at,
    ),
    "unmatched": Kind(
        table=hint,
        condition=hint.c.state == "unmatched",
        where=_named("endpoint"),
        what=_named("subject"),
        reason=lambda row: row["reason"],
        go_on=_command("sync", last="endpoint"),
        since=hint.c.next_at,
    ),
    "flagged": Kind(
        table=subject,
        # Work that was opened again after it was billed, and stays billed.
        condition=and_(subject.c.state == "priced", subject.c.kind.in_(OPENED_AGAIN)),
        where=_named("endpoint"),
        what=_named("name"),
        reason=lambda row: row["reason"],
        go_on=_command("events", "settle", "--take-back", last="name"),
        since=subject.c.next_at,
        customer=subject.c.customer,
    ),
}
"""What earns nothing, for a reason. Nobody has to look at it: it is summed up, so that the list
does not drown in it, and listed one by one for whoever asks."""
