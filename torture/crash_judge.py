"""The judge of the crash points: what must be the same after any schedule as after a calm play."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import Connection, select

from ledger import auditlog, tables
from ledger.audit import audit
from ledger.invoices import draft_from_json

from .crash_firm import Firm

State = dict[str, Any]


def state_of(firm: Firm) -> State:
    """Return all that matters of a firm and the systems around it, without ids and times."""
    with firm.database.read() as connection:
        told = {
            "subjects": _subjects(connection),
            "lines": _lines(connection),
            "invoices": _invoices(connection),
        }
    return {**told, "remote": _remote(firm), "notes": _notes(firm)}


def judged(firm: Firm, calm: State | None) -> list[str]:
    """Return every promise that is broken in a firm at rest, against the state of the calm play."""
    while firm.database.write(auditlog.seal):
        pass
    broken = []
    with firm.database.read() as connection:
        violations = audit(connection, firm.time.now())
        broken += [f"audit: {each.invariant}: {each}" for each in violations]
        rows = connection.execute(select(_delivery.endpoint, _delivery.body_hash))
        stored = {(row.endpoint, row.body_hash) for row in rows}
    lost = [each for each in firm.acknowledged if each not in stored]
    broken += [f"acknowledged and not stored: {endpoint} {body}" for endpoint, body in lost]
    here = state_of(firm)
    twice = [
        name for name, times in Counter(each[0] for each in here["remote"]).items() if times > 1
    ]
    broken += [f"billed twice: {name}" for name in twice]
    if calm is not None:
        broken += [
            f"{what}: {_difference(calm[what], here[what])}"
            for what in calm
            if calm[what] != here[what]
        ]
    return broken


_delivery = tables.delivery.c


def _subjects(connection: Connection) -> list[Any]:
    of = tables.subject.c
    columns: tuple[Any, ...] = (of.endpoint, of.name, of.kind, of.version, of.seconds)
    columns += (of.state, of.reason)
    columns += (of.customer, of.rule, of.held_seconds, of.excluded_seconds)
    return _plain(connection, select(*columns).order_by(of.endpoint, of.name))


def _lines(connection: Connection) -> list[Any]:
    """Return the lines that stand: on which invoice, of what, how much."""
    of, corrected = tables.line_item.c, tables.line_item.alias()
    query = (
        select(
            *(tables.subject.c.name, tables.invoice.c.reference, of.state, of.description),
            *(of.quantity, of.unit_price, of.amount, of.seconds, of.rule, of.kind),
            corrected.c.amount.label("corrects"),
        )
        .select_from(tables.line_item)
        .outerjoin(tables.subject, tables.subject.c.id == of.subject_id)
        .outerjoin(tables.invoice, tables.invoice.c.id == of.invoice_id)
        .outerjoin(corrected, corrected.c.id == of.corrects_id)
        .where(of.state != "withdrawn")
    )
    return sorted(_plain(connection, query), key=json.dumps)


def _invoices(connection: Connection) -> list[Any]:
    of = tables.invoice.c
    query = select(of.reference, of.state, of.payment, of.problem, of.reasons, of.content)
    query = query.where(of.state != "canceled").order_by(of.reference)
    return [
        # A problem that was overcome is forgotten, one that still stands is none of the calm play.
        [*row[:-1], draft_from_json(row.content).as_json()]
        for row in connection.execute(query)
    ]


def _remote(firm: Firm) -> list[Any]:
    """Return what both billing systems hold: reference, state and lines of each invoice."""
    firm.catch_up()
    here = [
        [row["reference"], row["state"], row["paid"], row["total"], row["lines"]]
        for row in firm.billing.truth()
    ]
    book = firm.stripe.book
    for row in (book.invoice(each) for each in book.table("invoices")):
        lines = [
            [line["description"], line["quantity_decimal"], line["amount"]]
            for line in book.table("lines")[row["id"]]["data"]
        ]
        name = row["metadata"]["billhook_reference"]
        here.append([name, row["status"], row["amount_paid"], row["total"], lines])
    return sorted(here, key=json.dumps)


def _notes(firm: Firm) -> list[Any]:
    """Return our notes in the project tool: issue and text."""
    return sorted([each["issue"], str(each["body"])] for each in firm.jira.comments.values())


def _plain(connection: Connection, query: Any) -> list[Any]:
    return [[_as_text(value) for value in row] for row in connection.execute(query)]


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def _difference(calm: list[Any], here: list[Any]) -> str:
    missing = [each for each in calm if each not in here]
    more = [each for each in here if each not in calm]
    if not missing and not more:
        return f"{len(here)} where the calm play has {len(calm)}"
    return f"missing {_short(missing)}; instead {_short(more)}"


def _short(rows: list[Any]) -> str:
    text = json.dumps(rows, default=str)
    return text if len(text) < 600 else f"{text[:600]}..."
