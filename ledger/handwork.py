"""Assemble, the part about what people did by hand: it outlasts every assembling.

An edit (`edits.py`) names the lines that it is about by their keys (`printing.keys_of`), never by
numbers. Each time a customer is assembled, what the edits say is applied to the lines as they
stand then. An edit whose line is gone has no effect until it comes back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import Connection, and_, insert, select, update

from .corrections import LineItem
from .events import as_utc_text
from .homes import Home
from .layouts import HandText
from .money import Money, allocate, line_amount
from .printing import NumberedLine, keys_of, numbered
from .subjects import line_row, withdraw_lines
from .tables import draft_edit, invoice, line_item

STANDING: Final = "standing"
IDLE: Final = "without effect"
UNDONE: Final = "undone"
EDITED: Final = "it was edited by hand"
"""Why a person approves a draft that its customer's rules would approve by themselves."""
RULE: Final = "Discount by hand"
"""What discounts that a person gives name as their rule."""
_SURE: Final = (6, 5)
"""How many parts of a key are compared: all but the price, all but price and rule."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Something that a person did to a draft and that was not undone."""

    id: int
    invoice_id: int
    kind: str
    """text, order, hold or discount."""
    about: tuple[tuple[str, ...], ...]
    value: Mapping[str, Any]
    is_frozen: bool
    """Its invoice went out."""
    state: str
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Arranged:
    """What people did to one draft."""

    texts: tuple[HandText, ...] = ()
    first: tuple[str, ...] = ()
    discounts: tuple[NumberedLine, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Return why a person should look at the draft before it goes out."""
        return [EDITED] if self.texts or self.first or self.discounts else []


def meant(about: Iterable[str], present: Iterable[str], *, taken: Iterable[str] = ()) -> set[str]:
    """Return the present keys that an edit is about; none: its line is gone.

    Where price or rule have changed, it is the one line that is like it otherwise. `taken` are
    lines that it cannot be: others are about them, or they stood beside it when it was made.
    """
    wanted, here = set(about), set(present)
    if exact := wanted & here:
        return exact
    free = here - set(taken)
    for parts in _SURE:
        alike = {key for key in free if any(is_like(key, each, parts) for each in wanted)}
        if len(alike) == 1:
            return alike
    return set()


def is_like(key: str, other: str, parts: int = _SURE[-1]) -> bool:
    """Return whether two keys are of lines that are alike but for rule and price."""
    one, two = json.loads(key), json.loads(other)
    return bool(one[:parts] == two[:parts])


@dataclass(slots=True)
class Handwork:
    """What people did to the drafts of one customer, applied while it is assembled."""

    edits: Sequence[Edit]
    _standing: set[int] = field(default_factory=set)
    _moved: dict[int, Home] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, key: str) -> Handwork:
        """Return what was done to the drafts of a customer, oldest first."""
        rows = connection.execute(
            select(draft_edit, invoice.c.is_frozen)
            .join(invoice, invoice.c.id == draft_edit.c.invoice_id)
            .where(draft_edit.c.customer == key, draft_edit.c.state != UNDONE)
            .order_by(draft_edit.c.id)
        ).mappings()
        return cls([_edit(row) for row in rows])

    def hold_back(self, connection: Connection, key: str) -> None:
        """Take the open lines that are held back off their drafts, and let the others go.

        What an agreement adds or takes off is not held: it follows from what is not.
        """
        holds = [edit for edit in self.edits if edit.kind == "hold"]
        can_be = and_(
            line_item.c.customer == key,
            line_item.c.state == "open",
            line_item.c.kind.in_(("entry", "sum", "counted")),
        )
        was_held = and_(can_be, line_item.c.edit_id.is_not(None))
        if not holds and connection.execute(select(line_item.c.id).where(was_held)).first() is None:
            return
        rows = connection.execute(select(line_item).where(can_be)).mappings().all()
        lines = [numbered(row) for row in rows]
        held = self._held(holds, lines, corrected_references(connection, lines))
        for edit_id in (None, *sorted(set(held.values()))):
            ids = [
                each.id
                for each in lines
                if held.get(each.id) == edit_id and each.edit_id != edit_id
            ]
            off = {} if edit_id is None else {"invoice_id": None}
            connection.execute(
                update(line_item).where(line_item.c.id.in_(ids)).values(edit_id=edit_id, **off)
            )

    def _held(
        self, holds: Sequence[Edit], lines: Sequence[NumberedLine], corrected: Mapping[int, str]
    ) -> dict[int, int]:
        """Return the edit that holds a line back, by the line's id."""
        keys = keys_of(lines, corrected)
        held: dict[int, int] = {}
        for hold in holds:
            hit = meant(hold.about[0], keys.values(), taken=_taken(hold, holds))
            found = [id_ for id_, key in keys.items() if key in hit]
            held = {**dict.fromkeys(found, hold.id), **held}
            self._standing |= {hold.id} if found else set()
        # What is counted in a pool goes with its sums.
        free = {each.line.pool for each in lines if each.line.kind == "sum" and each.id not in held}
        pools = {each.line.pool: held[each.id] for each in lines if each.id in held}
        for each in lines:
            pool = each.line.pool
            if each.line.kind == "counted" and pool in pools and pool not in free:
                held[each.id] = pools[pool]
        return held

    def arrange(
        self,
        connection: Connection,
        lines: Mapping[Home, Sequence[NumberedLine]],
        drafts: Mapping[Home, Mapping[str, Any]],
        corrected: Mapping[int, str],
        now: datetime,
    ) -> dict[Home, Arranged]:
        """Return what people did to each draft; its discounts are brought in line with it."""
        keys = {home: set(keys_of(some, corrected).values()) for home, some in lines.items()}
        texts = self._texts(keys, drafts)
        return {
            home: Arranged(
                tuple(texts.get(home, ())),
                self._first(keys[home], _id(drafts.get(home))),
                self._discounts(connection, home, some, _id(drafts.get(home)), now),
            )
            for home, some in lines.items()
        }

    def _texts(
        self, keys: Mapping[Home, set[str]], drafts: Mapping[Home, Mapping[str, Any]]
    ) -> dict[Home, list[HandText]]:
        """Return the texts for each draft, the newest first.

        A text follows its line to another draft, but not from an invoice that it went out on.
        """
        edits = [
            edit
            for edit in reversed(self.edits)
            if edit.kind == "text" and not (edit.is_frozen and edit.state == STANDING)
        ]
        found: dict[Home, list[HandText]] = {}
        for edit in edits:
            own_first = sorted(keys, key=lambda home: _id(drafts.get(home)) != edit.invoice_id)
            for home in own_first:
                taken = {each.key for each in found.get(home, ())}
                hit = meant(edit.about[0], keys[home], taken=_taken(edit, edits))
                if new := sorted(hit - taken):
                    text = edit.value["text"]
                    found.setdefault(home, []).extend(HandText(key, text) for key in new)
                    self._standing.add(edit.id)
                    self._moved[edit.id] = home
                if hit:
                    break
        return found

    def _first(self, keys: set[str], invoice_id: int | None) -> tuple[str, ...]:
        orders = [each for each in self.edits if each.kind == "order"]
        last = next((each for each in reversed(orders) if each.invoice_id == invoice_id), None)
        if last is None:
            return ()
        taken = _taken(last, [last])
        found = [key for about in last.about for key in sorted(meant(about, keys, taken=taken))]
        self._standing |= {last.id} if found else set()
        return tuple(dict.fromkeys(found))

    def _discounts(
        self,
        connection: Connection,
        home: Home,
        lines: Sequence[NumberedLine],
        invoice_id: int | None,
        now: datetime,
    ) -> tuple[NumberedLine, ...]:
        """Return the discounts on a draft; what is stored of them is made to be just that."""
        if invoice_id is None:
            return ()
        given = [e for e in self.edits if e.kind == "discount" and e.invoice_id == invoice_id]
        wanted = discounts_on(home, lines, given)
        self._standing |= {edit_id for edit_id, _ in wanted}
        is_here = and_(
            line_item.c.invoice_id == invoice_id,
            line_item.c.kind == "discount",
            line_item.c.state == "open",
        )
        kept: list[NumberedLine] = []
        for row in connection.execute(select(line_item).where(is_here)).mappings().all():
            known = numbered(row)
            if (row["edit_id"], known.line) in wanted:
                wanted.remove((row["edit_id"], known.line))
                kept.append(known)
            else:
                withdraw_lines(connection, [known.id])
        for edit_id, line in wanted:
            values = line_row(line, None, now) | {"invoice_id": invoice_id, "edit_id": edit_id}
            new_id = connection.scalar(insert(line_item).values(values).returning(line_item.c.id))
            kept.append(NumberedLine(int(new_id or 0), line, None, edit_id))
        return tuple(sorted(kept, key=lambda each: each.id))

    def keep(self, connection: Connection, places: Mapping[Home, int]) -> None:
        """Write down which edits have an effect now, and that all of them were taken into account.

        What went out with its invoice stays as it is.
        """
        for edit in self.edits:
            state = STANDING if edit.id in self._standing else IDLE
            if edit.is_frozen and edit.kind != "hold" and edit.id not in self._standing:
                state = edit.state
            place = self._moved.get(edit.id)
            invoice_id = places.get(place, edit.invoice_id) if place else edit.invoice_id
            connection.execute(
                update(draft_edit)
                .where(draft_edit.c.id == edit.id, draft_edit.c.state != UNDONE)
                .values(state=state, invoice_id=invoice_id)
            )


def seen(connection: Connection, key: str) -> None:
    """Write down that assembling has taken all edits of a customer into account."""
    connection.execute(
        update(draft_edit)
        .where(draft_edit.c.customer == key, draft_edit.c.is_seen.is_(False))
        .values(is_seen=True)
    )


def discounts_on(
    home: Home, lines: Sequence[NumberedLine], given: Sequence[Edit]
) -> list[tuple[int, LineItem]]:
    """Return the lines of the discounts that a person gave on a draft, one for each tax. Pure.

    Each is of what the draft comes to without such discounts; together they take off no more.
    """
    priced = [each for each in lines if each.line.kind not in ("counted", "discount")]
    bases: dict[str, int] = {}
    for each in priced:
        bases[each.line.tax] = bases.get(each.line.tax, 0) + each.line.amount
    left = {tax: base for tax, base in sorted(bases.items()) if base > 0}
    wanted: list[tuple[int, LineItem]] = []
    for edit in given:
        for tax, off in _shares(edit, {tax: bases[tax] for tax in left}, home.currency).items():
            minor = min(off, left[tax])
            if minor:
                left[tax] -= minor
                of_tax = [each for each in priced if each.line.tax == tax]
                line = _discount(edit, home, of_tax, bases[tax], minor, is_cut=minor != off)
                wanted.append((edit.id, line))
    return wanted


def _shares(edit: Edit, bases: Mapping[str, int], currency: str) -> dict[str, int]:
    """Return what a discount takes off for each tax, in minor units."""
    if "percent" in edit.value:
        factor = Decimal(edit.value["percent"]).scaleb(-2)
        return {
            tax: line_amount(Money(base, currency).decimal(), factor, currency).minor
            for tax, base in bases.items()
        }
    if not bases:
        return {}
    parts = allocate(edit.value["amount"], [Fraction(base) for base in bases.values()])
    return dict(zip(bases, parts, strict=True))


def _discount(
    edit: Edit,
    home: Home,
    lines: Sequence[NumberedLine],
    base: int,
    minor: int,
    *,
    is_cut: bool,
) -> LineItem:
    of, off = Money(base, home.currency), Money(minor, home.currency)
    last = max(lines, key=lambda each: each.id).line
    taxed = f" with {last.tax}" if last.tax else ""
    what = f"of {of}, what {len(lines)} line items{taxed} come to"
    if "percent" in edit.value and not is_cut:
        quantity, unit_price = of.decimal(), Decimal(edit.value["percent"]).scaleb(-2)
        how = f"{edit.value['percent']} % {what}"
    else:
        quantity, unit_price = Decimal("1.00"), off.decimal()
        how = f"{off} {what}" + (": no more is left to take it off" if is_cut else "")
    return LineItem(
        customer=last.customer,
        project=None,
        item=None,
        person=None,
        on=max(each.line.on for each in lines),
        description=edit.value["text"],
        quantity=-quantity,
        unit_price=unit_price,
        currency=home.currency,
        amount=-minor,
        seconds=0,
        rule=RULE,
        mapping_version=last.mapping_version,
        grouping=(),
        schedule=home.period.schedule,
        period_from=home.period.first,
        period_to=home.period.last,
        steps=(how, f"given by {edit.made_by} at {as_utc_text(edit.made_at)} (edit {edit.id})"),
        event_id=None,
        kind="discount",
        tax=last.tax,
    )


def corrected_references(connection: Connection, lines: Iterable[NumberedLine]) -> dict[int, str]:
    """Return the invoice reference of each billed line that is taken back by one of these."""
    ids = {each.line.corrects_id for each in lines if each.line.corrects_id is not None}
    if not ids:
        return {}
    rows = connection.execute(
        select(line_item.c.id, invoice.c.reference)
        .join(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.id.in_(ids))
    )
    return {row.id: row.reference for row in rows}


def _taken(edit: Edit, others: Sequence[Edit]) -> set[str]:
    """Return the lines that an edit is certainly not about, unless it names them."""
    exact = {key for other in others for about in other.about for key in about}
    return exact | set(edit.value.get("beside", ()))


def _edit(row: Mapping[Any, Any]) -> Edit:
    names = ("id", "invoice_id", "kind", "value", "is_frozen", "state", "made_by", "made_at")
    about = tuple(tuple(keys) for keys in row["about"])
    return Edit(about=about, **{name: row[name] for name in names})


def _id(draft: Mapping[str, Any] | None) -> int | None:
    return int(draft["id"]) if draft else None
