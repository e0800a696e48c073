"""What would change on drafts: a scratch copy before and after something was tried on it.

`remember` writes down how things stand, `compare` finds what has changed since; both work row by
row, so that memory stays flat. What is billed never changes, so only open lines are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    RowMapping,
    Table,
    Text,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    true,
)

from .columns import CanonicalJson
from .corrections import LineItem
from .differences import differences, other_steps, other_terms, told, without_place
from .subjects import line_from_row
from .tables import Id, invoice, line_item, subject

_ROWS_TOGETHER: Final = 2000
_remembered = MetaData()


def _before(table: Table, *names: str) -> Table:
    columns = [Column(name, table.c[name].type, primary_key=name == "id") for name in names]
    return Table(f"before_{table.name}", _remembered, *columns)


_line: Final = _before(line_item, "id", "invoice_id")
_invoice: Final = _before(
    invoice, "id", "customer", "reference", "currency", "state", "reasons", "content", "total"
)
_subject: Final = _before(subject, "id", "customer", "state", "reason")
_change: Final = Table(
    "change",
    _remembered,
    Column("id", Id, primary_key=True),
    Column("subject_id", Id, index=True),
    Column("customer", Text, nullable=False),
    Column("reference", Text, nullable=False, index=True),  # "" where it is on no draft
    Column("currency", Text, nullable=False),
    Column("why", CanonicalJson, nullable=False),
    Column("before", Id, nullable=False),
    Column("after", Id, nullable=False),
    Column("line_before", Id),
    Column("line_after", Id),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of one draft that change alike, or one of them."""

    why: tuple[str, ...]
    """What differs, in words."""
    currency: str
    """"" where it is about no money: what is held still, for another reason."""
    count: int
    before: int
    """Minor units, of all of them."""
    after: int
    example: str
    """The text of the first one, "" where no line was or is."""
    steps_before: tuple[str, ...]
    """How the first one came to its amount, where that differs."""
    steps_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """What changes on one draft; without a reference: what is on none."""

    customer: str
    reference: str
    currency: str
    state_before: str | None
    """None: there was none yet."""
    state_after: str | None
    before: int
    """Its total in minor units."""
    after: int
    terms: tuple[str, ...]
    """What differs besides its lines, in words."""


@dataclass(frozen=True, slots=True)
class Total:
    """What all drafts of a customer come to, in minor units."""

    customer: str
    currency: str
    before: int
    after: int


def remember(connection: Connection) -> None:
    """Write down how the open lines, the drafts and the subjects of a scratch copy stand."""
    _remembered.create_all(connection)
    for table, original, which in (
        (_line, line_item, line_item.c.state == "open"),
        (_invoice, invoice, invoice.c.is_frozen.is_(False)),
        (_subject, subject, None),
    ):
        query = select(*(original.c[column.name] for column in table.columns))
        connection.execute(
            insert(table).from_select(
                [column.name for column in table.columns],
                query if which is None else query.where(which),
            )
        )


def compare(connection: Connection) -> None:
    """Find what has changed since `remember`, line by line, and write it down."""
    for changes in (_changed_lines(connection), _judged_otherwise(connection)):
        while some := list(islice(changes, _ROWS_TOGETHER)):
            connection.execute(insert(_change), some)


def drafts(connection: Connection, customer: str | None = None) -> Iterator[Draft]:
    """Yield what changes, by customer and reference; of each customer at last what is on none."""
    for key in _customers(connection) if customer is None else [customer]:
        yield from filter(
            None, (_draft(connection, row) for row in _pairs_of_drafts(connection, key))
        )
        if _is_changed(connection, key, ""):
            yield Draft(key, "", "", None, None, 0, 0, ())


def changes_of(
    connection: Connection, draft: Draft, *, each_line: bool = False
) -> Iterator[Change]:
    """Yield what changes on a draft: equal changes together, or each line."""
    first = func.min(_change.c.id).label("first")
    columns = [func.count().label("many"), func.sum(_change.c.before).label("before")]
    columns += [func.sum(_change.c.after).label("after"), first]
    together = [_change.c.why, _change.c.currency, *([_change.c.id] if each_line else [])]
    groups = connection.execution_options(yield_per=_ROWS_TOGETHER).execute(
        select(_change.c.why, _change.c.currency, *columns)
        .where(_is_on(draft.customer, draft.reference))
        .group_by(*together)
        .order_by(first)
    )
    for row in groups:
        old, new = _lines_behind(connection, row.first)
        steps_before, steps_after = other_steps(old, new)
        shown = new or old
        yield Change(
            tuple(row.why),
            row.currency,
            row.many,
            row.before,
            row.after,
            shown.description if shown else "",
            steps_before,
            steps_after,
        )


def totals(connection: Connection) -> list[Total]:
    """Return what the drafts of each customer come to, before and after, where that differs."""
    found: dict[tuple[str, str], list[int]] = {}
    for position, table in enumerate((_invoice, invoice)):
        which = invoice.c.is_frozen.is_(False) if table is invoice else true()
        rows = connection.execute(
            select(table.c.customer, table.c.currency, func.sum(table.c.total).label("total"))
            .where(which)
            .group_by(table.c.customer, table.c.currency)
        )
        for row in rows:
            found.setdefault((row.customer, row.currency), [0, 0])[position] = int(row.total)
    return [
        Total(customer, currency, before, after)
        for (customer, currency), (before, after) in sorted(found.items())
        if before != after
    ]


def counts(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many subjects are in each state, before and after."""
    before, after = (
        {
            str(row.state): int(row.many)
            for row in connection.execute(
                select(table.c.state, func.count().label("many")).group_by(table.c.state)
            )
        }
        for table in (_subject, subject)
    )
    return before, after


@dataclass(frozen=True, slots=True)
class _Side:
    """A line item with the draft that it is on."""

    id: int
    reference: str
    line: LineItem


def _changed_lines(connection: Connection) -> Iterator[dict[str, Any]]:
    was_on, is_on = invoice.alias(), invoice.alias()
    has_moved = line_item.c.invoice_id.is_distinct_from(_line.c.invoice_id)
    query = (
        select(
            line_item,
            _line.c.id.label("stood"),
            func.coalesce(was_on.c.reference, "").label("was_on"),
            func.coalesce(is_on.c.reference, "").label("is_on"),
        )
        .outerjoin(_line, _line.c.id == line_item.c.id)
        .outerjoin(was_on, was_on.c.id == _line.c.invoice_id)
        .outerjoin(is_on, is_on.c.id == line_item.c.invoice_id)
        .where(
            or_(
                and_(_line.c.id.is_not(None), or_(line_item.c.state == "withdrawn", has_moved)),
                and_(_line.c.id.is_(None), line_item.c.state == "open"),
            )
        )
        .order_by(line_item.c.subject_id, line_item.c.customer, line_item.c.pool, line_item.c.id)
    )
    rows = connection.execution_options(yield_per=_ROWS_TOGETHER).execute(query).mappings()
    for (subject_id, *_), group in groupby(rows, _belongs_to):
        yield from _changes_of_group(connection, subject_id, list(group))


def _belongs_to(row: RowMapping) -> tuple[Any, ...]:
    """Return what the line is about: its subject, or the pool that it sums up."""
    if row["subject_id"] is not None:
        return (row["subject_id"],)
    return (None, row["customer"], row["pool"])


def _changes_of_group(
    connection: Connection, subject_id: int | None, rows: Sequence[RowMapping]
) -> Iterator[dict[str, Any]]:
    old = [_side(row, "was_on") for row in rows if row["stood"] is not None]
    kept = {row["id"] for row in rows if row["stood"] is not None and row["state"] == "open"}
    new = [_side(row, "is_on") for row in rows if row["stood"] is None or row["id"] in kept]
    pairs, gone, added = _paired(old, new)
    for one, other in pairs:
        why, ids = differences(one.line, other.line), (one.id, other.id)
        before, after = one.line.amount, other.line.amount
        if (one.reference, one.line.customer) == (other.reference, other.line.customer):
            if why:
                yield _row(subject_id, why, other, (before, after), ids)
        else:
            target, origin = other.reference or "no draft", one.reference or "no draft"
            yield _row(subject_id, [*why, f"moves to {target}"], one, (before, 0), ids)
            yield _row(subject_id, [*why, f"comes from {origin}"], other, (0, after), ids)
    for each in gone:
        why = [_why_alone(connection, subject_id, each.line, subject)]
        yield _row(subject_id, why, each, (each.line.amount, 0), (each.id, None))
    for each in added:
        why = [_why_alone(connection, subject_id, each.line, _subject)]
        yield _row(subject_id, why, each, (0, each.line.amount), (None, each.id))


def _side(row: RowMapping, on: str) -> _Side:
    return _Side(row["id"], row[on], line_from_row(row))


def _paired(
    old: Sequence[_Side], new: Sequence[_Side]
) -> tuple[list[tuple[_Side, _Side]], list[_Side], list[_Side]]:
    """Return each old line with the new one in its place, the most alike first; and the rest."""
    pairs, gone, added = [], list(old), list(new)
    for is_alike in (_is_itself, _is_the_same, _has_the_same_payer, _takes_back_as_well, _is_work):
        for one in list(gone):
            other = next((each for each in added if is_alike(one, each)), None)
            if other is not None:
                pairs.append((one, other))
                gone.remove(one)
                added.remove(other)
    return pairs, gone, added


def _is_itself(one: _Side, other: _Side) -> bool:
    return one.id == other.id


def _is_the_same(one: _Side, other: _Side) -> bool:
    return not differences(one.line, other.line)


def _has_the_same_payer(one: _Side, other: _Side) -> bool:
    return one.line.customer == other.line.customer and _takes_back_as_well(one, other)


def _takes_back_as_well(one: _Side, other: _Side) -> bool:
    return one.line.corrects_id == other.line.corrects_id and one.line.kind == other.line.kind


def _is_work(one: _Side, other: _Side) -> bool:
    """Return whether both bill the work itself: with a price of its own, or counted together."""
    kinds = {one.line.kind, other.line.kind}
    return kinds == {"entry", "counted"} and one.line.corrects_id == other.line.corrects_id


def _row(
    subject_id: int | None,
    why: Sequence[str],
    on: _Side,
    amounts: tuple[int, int],
    ids: tuple[int | None, int | None],
) -> dict[str, Any]:
    """Return a change as it is written down, under the draft that a line is on."""
    return {
        "subject_id": subject_id,
        "customer": on.line.customer,
        "reference": on.reference,
        "currency": on.line.currency,
        "why": list(why),
        "before": amounts[0],
        "after": amounts[1],
        "line_before": ids[0],
        "line_after": ids[1],
    }


def _why_alone(connection: Connection, subject_id: int | None, line: LineItem, side: Table) -> str:
    """Return why there is a line on one side only; `side` is the subject on the other."""
    is_new = side is _subject
    if line.corrects_id is not None:
        return "takes back what is billed" if is_new else "no longer takes back what is billed"
    if subject_id is None:
        what = "an agreement" if line.kind == "agreement" else "what is counted together"
        return f"{what} calls for it" if is_new else f"{what} no longer calls for it"
    row = connection.execute(
        select(side.c.state, side.c.reason).where(side.c.id == subject_id)
    ).one_or_none()
    state = told(row.state, row.reason) if row else "not known"
    return f"was {state}" if is_new else f"is {state}"


def _judged_otherwise(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the subjects that end otherwise although no line changes: held, or not billed."""
    query = (
        select(
            subject.c.id,
            subject.c.state,
            subject.c.reason,
            func.coalesce(subject.c.customer, _subject.c.customer, "").label("customer"),
            _subject.c.state.label("was"),
            _subject.c.reason.label("was_for"),
        )
        .join(_subject, _subject.c.id == subject.c.id)
        .where(
            or_(
                subject.c.state != _subject.c.state,
                subject.c.reason.is_distinct_from(_subject.c.reason),
            ),
            ~exists(select(_change.c.id).where(_change.c.subject_id == subject.c.id)),
        )
        .order_by(subject.c.id)
    )
    for row in connection.execution_options(yield_per=_ROWS_TOGETHER).execute(query):
        before, after = told(row.was, row.was_for), told(row.state, row.reason)
        if without_place(before) == without_place(after):
            continue
        yield {
            "subject_id": row.id,
            "customer": row.customer,
            "reference": "",
            "currency": "",
            "why": [f"was {before}", f"is {after}"],
            "before": 0,
            "after": 0,
            "line_before": None,
            "line_after": None,
        }


def _customers(connection: Connection) -> list[str]:
    queries = (
        select(table.c.customer).where(which)
        for table, which in (
            (_invoice, true()),
            (invoice, invoice.c.is_frozen.is_(False)),
            (_change, true()),
        )
    )
    return sorted({key for query in queries for key in connection.scalars(query.distinct())})


def _is_on(customer: str, reference: str) -> ColumnElement[bool]:
    return and_(_change.c.customer == customer, _change.c.reference == reference)


def _is_changed(connection: Connection, customer: str, reference: str) -> bool:
    found = connection.execute(select(_change.c.id).where(_is_on(customer, reference)).limit(1))
    return found.first() is not None


def _pairs_of_drafts(connection: Connection, customer: str) -> Iterator[RowMapping]:
    """Yield each draft as it is, with what it was. A draft is never deleted."""
    was = [_invoice.c[name].label(f"{name}_before") for name in ("state", "reasons", "content")]
    query = (
        select(invoice, *was, _invoice.c.total.label("total_before"))
        .outerjoin(_invoice, _invoice.c.id == invoice.c.id)
        .where(invoice.c.customer == customer, invoice.c.is_frozen.is_(False))
        .order_by(invoice.c.reference)
    )
    return iter(connection.execution_options(yield_per=20).execute(query).mappings())


def _draft(connection: Connection, row: RowMapping) -> Draft | None:
    """Return what changes on a draft, None if nothing does."""
    is_same = all(
        row[name] == row[f"{name}_before"] for name in ("state", "reasons", "content", "total")
    )
    if is_same and not _is_changed(connection, row["customer"], row["reference"]):
        return None
    return Draft(
        customer=row["customer"],
        reference=row["reference"],
        currency=row["currency"],
        state_before=row["state_before"],
        state_after=row["state"],
        before=row["total_before"] or 0,
        after=row["total"],
        terms=tuple(other_terms(row)),
    )


def _lines_behind(
    connection: Connection, change_id: int
) -> tuple[LineItem | None, LineItem | None]:
    change = connection.execute(select(_change).where(_change.c.id == change_id)).one()
    ids = [each for each in (change.line_before, change.line_after) if each is not None]
    rows = connection.execute(select(line_item).where(line_item.c.id.in_(ids))).mappings()
    found = {row["id"]: line_from_row(row) for row in rows}
    return found.get(change.line_before), found.get(change.line_after)
