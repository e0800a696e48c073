"""What does not go on says why, and is in the one list that people look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from ..claims import NEVER
from ..held import needs_a_person
from ..tables import customer, delivery, fact, hint, invoice, poll, report, subject
from .violations import Invariant, Violation, named, stream

REASONS: Final = Invariant(
    "reasons",
    "each row is in a known state, what is ignored, held or failed says why, and what only a "
    "person can set going again is in the list for people",
    "what is named here is in no list: look at it now, then open an issue",
)
_FINE: Final = {
    delivery: {"waiting", "normalized", "asked"},
    poll: {"waiting", "off"},
    fact: {"known", "wanted", "unknown"},
    subject: {"waiting", "priced"},
    customer: {"waiting", "settled"},
    hint: {"waiting", "followed"},
    report: {"waiting", "told"},
    invoice: {"draft", "approved", "pushed", "canceled"},
}
"""The states of each stage's rows that speak for themselves."""
_WITH_REASON: Final = {
    delivery: {"ignored", "unsupported", "unreadable", "failed"},
    customer: {"failed"},
    subject: {"held", "nothing", "gone", "failed"},
    hint: {"unmatched", "held", "failed"},
    report: {"failed"},
    invoice: {"blocked"},
}
"""The states in which a person must be told why."""
_NOT_LOOKED_AT: Final = {delivery: {"ignored"}, subject: {"nothing", "gone"}, hint: {"unmatched"}}
"""The states with a reason that nobody has to do anything about."""
_ASIDE: Final = {
    delivery: ("waiting",),
    subject: ("waiting",),
    customer: ("waiting",),
    hint: ("waiting",),
    report: ("waiting",),
    invoice: ("draft", "approved"),
}
"""The states in which a row waits for a worker: until `NEVER` it waits for a person."""


def _without_words(table: Table) -> ColumnElement[bool]:
    if table is invoice:
        return invoice.c.reasons == []
    return func.trim(func.coalesce(table.c.reason, "")) == ""


def _unexplained(table: Table) -> Any:
    explained = _WITH_REASON.get(table, set())
    unknown = table.c.state.not_in(_FINE[table] | explained)
    silent = and_(table.c.state.in_(explained), _without_words(table))
    return select(*named(table), table.c.state).where(or_(unknown, silent))


def _unseen(table: Table) -> Any:
    waits_for_people = _WITH_REASON.get(table, set()) - _NOT_LOOKED_AT.get(table, set())
    is_aside = and_(table.c.state.in_(_ASIDE[table]), table.c.next_at >= literal(NEVER))
    shown = needs_a_person(table)
    return select(*named(table), table.c.state).where(
        or_(table.c.state.in_(waits_for_people), is_aside), not_(func.coalesce(shown, False))
    )


# Each is one statement: of a small ledger, going to and fro would take the most time.
_UNEXPLAINED: Final = union_all(*(_unexplained(table) for table in _FINE))
_UNSEEN: Final = union_all(*(_unseen(table) for table in _ASIDE))
_SPEAKS: Final = {table.name: frozenset(states) for table, states in _WITH_REASON.items()}


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield rows in no known state, without a reason, or set aside where nobody sees them."""
    for row in stream(connection, _UNEXPLAINED):
        is_known = row["state"] in _SPEAKS.get(row["table"], ())
        wrong = "gives no reason" if is_known else "is no known state"
        yield REASONS.broken(f"{row['table']}:{row['id']}", f'"{row["state"]}" {wrong}')
    for row in stream(connection, _UNSEEN):
        detail = f'is "{row["state"]}" for a person, and in no list that people see'
        yield REASONS.broken(f"{row['table']}:{row['id']}", detail)
