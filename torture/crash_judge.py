"""The judge of the crash points: what must be the same after any schedule as after a calm play."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Connection, select

from ledger import auditlog, tables
from ledger.audit import audit
from ledger.invoices import draft_from_json

from .crash_firm import Firm

State = dict[str, Any]


def state_of(firm: Firm) -> State:
    """Return all that matters of a firm and the systems around it, without ids and times."""
    return {**_told(firm), "remote": _remote(firm), "notes": _notes(firm)}


def _told(firm: Firm) -> State:
    with firm.database.read() as connection:
        return {
            "subjects": _subjects(connection),
            "lines": _lines(connection),
            "invoices": _invoices(connection),
        }


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The states that were found good, kept in a folder that all processes of a run share.

    Many schedules end in the same state but for times and tokens. It is audited once.
    """

    folder: Path

    def is_known(self, fingerprint: str) -> bool:
        """Return whether a state like this was found good."""
        return (self.folder / fingerprint).exists()

    def count(self) -> int:
        """Return how many different states were found good."""
        return len(list(self.folder.iterdir()))

    def keep(self, fingerprint: str) -> None:
        """Remember that a state like this is good."""
        (self.folder / fingerprint).touch()


def judged(firm: Firm, calm: State | None, verdicts: Verdicts | None = None) -> list[str]:
    """Return every promise that is broken in a firm at rest, against the state of the calm play."""
    while firm.database.write(auditlog.seal):
        pass
    fingerprint = _fingerprint(firm)
    remote, notes = _remote(firm), _notes(firm)
    fingerprint = hashlib.sha256(f"{fingerprint}{remote}{notes}".encode()).hexdigest()
    broken = _lost(firm)
    if verdicts is not None and verdicts.is_known(fingerprint):
        return broken
    with firm.database.read() as connection:
        violations = audit(connection, firm.time.now())
        broken += [f"audit: {each.invariant}: {each}" for each in violations]
    here = {**_told(firm), "remote": remote, "notes": notes}
    names = Counter(each[0] for each in remote)
    broken += [f"billed twice: {name}" for name, times in names.items() if times > 1]
    if calm is not None:
        broken += [
            f"{what}: {_difference(calm[what], here[what])}"
            for what in calm
            if calm[what] != here[what]
        ]
    if verdicts is not None and not broken:
        verdicts.keep(fingerprint)
    return broken


def _lost(firm: Firm) -> list[str]:
    """Return what a sender was told is stored, and is not."""
    with firm.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT endpoint, body_hash FROM delivery")
        stored = {(endpoint, body) for endpoint, body in rows}
    lost = [each for each in firm.acknowledged if each not in stored]
    return [f"acknowledged and not stored: {endpoint} {body}" for endpoint, body in lost]


def _fingerprint(firm: Firm) -> str:
    """Return all rows of the ledger as text, without what no promise depends on.

    Fencing tokens are chance, the chain of the audit log is made of times, and what went wrong is
    told in many ways. Of a time counts how long ago it was, as roughly as the audit looks at it.
    """
    now = firm.time.now()

    def age(found: re.Match[str]) -> str:
        seconds = (now - datetime.fromisoformat(found[0])).total_seconds()
        return next((name for most, name in _AGES if seconds < most), "long ago")

    with firm.database.read() as connection:
        driver: Any = connection.connection.driver_connection
        rows = [driver.execute(query).fetchall() for query in _every_row()]
    return _PROBLEM.sub("a problem", _MOMENT.sub(age, str(rows)))


_AGES: Final = ((-60, "later"), (0, "soon"), (30, "now"), (900, "lately"))
_PROBLEM: Final = re.compile(r'"problem":"(?:[^"\\]|\\.)*"')
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@cache
def _every_row() -> list[str]:
    """Return a query for the rows of each table."""
    return [
        f"SELECT {', '.join(_shown(column) for column in table.columns)} FROM {table.name} "
        f"ORDER BY {', '.join(_quoted(column) for column in table.primary_key)}"
        for table in tables.metadata.sorted_tables
    ]


def _shown(column: Column[Any]) -> str:
    if column.name == "lease_token" or column is tables.intent.c.reason:
        return f"{_quoted(column)} IS NULL"
    return "''" if column is tables.audit_entry.c.hash else _quoted(column)


def _quoted(column: Column[Any]) -> str:
    return f'"{column.name}"'


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
    moment = firm.time.moment
    firm.catch_up()
    firm.time.moment = moment
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
    for note in book.table("credit_notes").values():
        name = note["metadata"].get("billhook_reference", "")
        credited = book.invoice(note["invoice"])["metadata"]["billhook_reference"]
        here.append([name, note["status"], note["type"], note["amount"], credited])
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
