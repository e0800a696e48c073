"""Nothing is billed twice. A line is on one invoice, and a billed one never changes.

A line names its invoice in one column, so it cannot be on two; what can go wrong is that it
stands on none, on a wrong one, or is taken back twice or not exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select

from ..handwork import UNDONE
from ..tables import customer, draft_edit, invoice, line_item, subject
from .violations import Invariant, Violation, stream

BILLED_ONCE: Final = Invariant(
    "billed once",
    "each fact stands on one line for each of its payers, what is taken back left out",
    "push nothing of the named customer; a line too many that is billed is credited by hand",
)
PLACES: Final = Invariant(
    "places",
    "each open line is on the one draft of its customer, each billed one on an invoice that went "
    "out, and what is withdrawn on none",
    "run a worker, which assembles the customer again; if it stays, push nothing of that customer",
)
CORRECTIONS: Final = Invariant(
    "corrections",
    "what changes after billing is a new line that takes the old one back exactly, and once",
    "block the draft that the named line is on: a person compares it with what was billed",
)
_original, _void = line_item.alias("original"), line_item.alias("void")
_IS_VOID: Final = exists(
    select(_void.c.id).where(_void.c.corrects_id == line_item.c.id, _void.c.state == "released")
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield lines that are on no invoice or the wrong one, and what is billed twice."""
    yield from _misplaced(connection)
    yield from _left_out(connection)
    yield from _taken_back_twice(connection)
    yield from _not_mirrored(connection)
    yield from _billed_twice(connection)


def _misplaced(connection: Connection) -> Iterator[Violation]:
    for row in stream(connection, _misplaced_query()):
        yield _violation(PLACES, row, row["wrong"])


@cache
def _misplaced_query() -> Any:
    is_frozen = func.coalesce(invoice.c.is_frozen, False)
    is_amended = and_(invoice.c.pushed_content.is_not(None), invoice.c.state != "pushed")
    went_out = or_(is_frozen, is_amended)
    state = line_item.c.state
    cases: tuple[tuple[ColumnElement[bool], str], ...] = (
        (and_(state == "billed", ~went_out), "is billed, but on no invoice that went out"),
        (
            and_(state == "billed", invoice.c.state == "pushed", ~is_frozen),
            "is billed, but its invoice may still change",
        ),
        (and_(state == "open", is_frozen), "is open, but on an invoice that went out"),
        (
            and_(state == "withdrawn", line_item.c.invoice_id.is_not(None)),
            "is withdrawn, but still on an invoice",
        ),
        (
            and_(draft_edit.c.kind == "hold", line_item.c.invoice_id.is_not(None)),
            "is held back by a person, but on an invoice",
        ),
        (
            and_(state == "released", invoice.c.released_at.is_(None)),
            "is released, but its invoice is not",
        ),
        (state.not_in(("open", "billed", "released", "withdrawn")), "is in no known state"),
    )
    wrong = case(*((condition, detail) for condition, detail in cases))
    return (
        select(*_LINE, wrong.label("wrong"))
        .outerjoin(invoice, invoice.c.id == line_item.c.invoice_id)
        .outerjoin(draft_edit, draft_edit.c.id == line_item.c.edit_id)
        .where(or_(*(condition for condition, _ in cases)))
    )


def _left_out(connection: Connection) -> Iterator[Violation]:
    """Yield open lines that assembling has passed over.

    A counted line waits for an invoice where it changes nothing that was billed before, and what
    a person holds back waits for that person.
    """
    for row in stream(connection, _left_out_query()):
        yield _violation(PLACES, row, "is open, but on no draft of its customer")


@cache
def _left_out_query() -> Any:
    is_held = func.coalesce(and_(draft_edit.c.kind == "hold", draft_edit.c.state != UNDONE), False)
    return (
        select(*_LINE)
        .join(customer, customer.c.key == line_item.c.customer)
        .outerjoin(draft_edit, draft_edit.c.id == line_item.c.edit_id)
        .where(
            line_item.c.state == "open",
            line_item.c.invoice_id.is_(None),
            line_item.c.kind != "counted",
            ~is_held,
            customer.c.state == "settled",
            customer.c.reason.is_(None),
        )
    )


def _taken_back_twice(connection: Connection) -> Iterator[Violation]:
    for row in stream(connection, _taken_back_twice_query()):
        yield _violation(CORRECTIONS, row, f"is taken back {row['count']} times")


@cache
def _taken_back_twice_query() -> Any:
    count = func.count(line_item.c.id)
    return (
        select(
            line_item.c.corrects_id.label("id"),
            func.sum(line_item.c.amount).label("amount"),
            func.min(line_item.c.currency).label("currency"),
            count.label("count"),
        )
        .where(line_item.c.corrects_id.is_not(None), line_item.c.state != "withdrawn", ~_IS_VOID)
        .group_by(line_item.c.corrects_id, line_item.c.state == "released")
        .having(count > 1)
    )


_SAME: Final = ("customer", "currency", "unit_price", "subject_id", "rule", "grouping")
_NEGATED: Final = ("quantity", "amount", "seconds")


def _not_mirrored(connection: Connection) -> Iterator[Violation]:
    """Yield lines that take a line back, but not exactly, or one that was never billed."""
    for row in stream(connection, _not_mirrored_query()):
        wrong = [name for name in _SAME if row[name] != row[f"original_{name}"]]
        wrong += [name for name in _NEGATED if row[name] != -row[f"original_{name}"]]
        if wrong:
            yield _violation(
                CORRECTIONS,
                row,
                f"takes back line_item:{row['corrects_id']} with another {', '.join(wrong)}",
            )
        # An invoice that the billing system refused opens its lines again; the subject is
        # mapped anew then, so this is at rest only when it does not wait.
        if row["original_state"] != "billed" and row["subject_state"] != "waiting":
            yield _violation(
                CORRECTIONS,
                row,
                f"takes back line_item:{row['corrects_id']}, which is {row['original_state']}",
            )


@cache
def _not_mirrored_query() -> Any:
    return (
        select(
            line_item,
            subject.c.state.label("subject_state"),
            _original.c.state.label("original_state"),
            *(_original.c[name].label(f"original_{name}") for name in (*_SAME, *_NEGATED)),
        )
        .join(_original, _original.c.id == line_item.c.corrects_id)
        .join(subject, subject.c.id == line_item.c.subject_id)
        .where(line_item.c.state != "withdrawn")
    )


def _billed_twice(connection: Connection) -> Iterator[Violation]:
    """Yield subjects that stand on more or fewer lines than one, taken back ones left out.

    Where several customers share one fact, each has a line of it.
    """
    for row in stream(connection, _billed_twice_query()):
        yield BILLED_ONCE.broken(
            f"subject:{row['id']}",
            f"stands on {int(row['standing'])} lines",
            row["amount"],
            row["currency"],
        )


@cache
def _billed_twice_query() -> Any:
    payers = func.coalesce(subject.c.payers, "")
    sharing = func.length(payers) - func.length(func.replace(payers, ",", "")) + 1
    # What takes a void line back stands alone, until it is taken back itself.
    stands_alone = exists(
        select(_void.c.id).where(
            _void.c.corrects_id == line_item.c.corrects_id, _void.c.state == "released"
        )
    )
    adds = or_(line_item.c.corrects_id.is_(None), stands_alone)
    of_payers = (
        select(
            line_item.c.subject_id,
            func.sum(case((adds, 1), else_=-1)).label("standing"),
            func.sum(line_item.c.amount).label("amount"),
            func.min(line_item.c.currency).label("currency"),
        )
        .where(
            line_item.c.state.in_(("open", "billed")),
            line_item.c.subject_id.is_not(None),
            ~_IS_VOID,
        )
        .group_by(line_item.c.subject_id, line_item.c.customer)
        .subquery()
    )
    lines = (
        select(
            of_payers.c.subject_id,
            func.sum(of_payers.c.standing).label("standing"),
            func.max(of_payers.c.standing).label("most"),
            func.sum(of_payers.c.amount).label("amount"),
            func.min(of_payers.c.currency).label("currency"),
        )
        .group_by(of_payers.c.subject_id)
        .subquery()
    )
    standing = func.coalesce(lines.c.standing, 0)
    expected = case((subject.c.state == "priced", sharing), else_=0)
    return (
        select(subject.c.id, standing.label("standing"), lines.c.amount, lines.c.currency, expected)
        .outerjoin(lines, lines.c.subject_id == subject.c.id)
        # A cumulative time is billed by its changes: each of them is a line of its own.
        .where(
            subject.c.kind != "time.total",
            subject.c.state.in_(("priced", "nothing", "gone")),
            or_(standing != expected, lines.c.most > 1),
        )
    )


_LINE: Final = (line_item.c.id, line_item.c.amount, line_item.c.currency)


def _violation(invariant: Invariant, row: Any, detail: str) -> Violation:
    return invariant.broken(f"line_item:{row['id']}", detail, row["amount"], row["currency"])
