"""Assemble, the part about what people did by hand: it outlasts every assembling.

An edit (`edits.py`) names the lines that it is about by their keys (`printing.keys_of`), never by
numbers. Each time a customer is assembled, what the edits say is applied to the lines as they
stand then. An edit whose line is gone has no effect until it comes back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, insert, select, update

from .corrections import KnownLine, LineItem, standing, taking_back
from .discounts import discounts_on
from .homes import Home
from .layouts import HandText
from .printing import NumberedLine, keys_of, numbered, settled
from .subjects import known_line, line_row, withdraw_lines
from .tables import draft_edit, invoice, line_item

STANDING: Final = "standing"
IDLE: Final = "without effect"
UNDONE: Final = "undone"
EDITED: Final = "it was edited by hand"
"""Why a person approves a draft that its customer's rules would approve by themselves."""
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
    """Its invoice went out, and stands."""
    released: tuple[str, str, date] | None
    """The period of its invoice where that is void or deleted at the billing system by now."""
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
    _open: set[int] = field(default_factory=set)
    """The invoices that are drafts, or are amended just now."""

    @classmethod
    def of(cls, connection: Connection, key: str) -> Handwork:
        """Return what was done to the drafts of a customer, oldest first."""
        rows = connection.execute(
            select(draft_edit, *_OF_INVOICE)
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
        # What takes a billed line back and is held keeps back, too, what bills the same anew: alone
        # it would be billed twice.
        backs = {
            each.subject_id or each.line.pool: held[each.id]
            for each in lines
            if each.line.corrects_id is not None and each.id in held
        }
        for each in lines:
            anew = each.subject_id or each.line.pool
            if each.line.kind != "counted" and anew in backs:
                held.setdefault(each.id, backs[anew])
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
        """Return what people did to each draft; its discounts are brought in line with it.

        `lines` are all that are on it: where a pushed invoice is amended, what was billed too.
        """
        keys = {
            home: set(keys_of(settled(some), corrected).values()) for home, some in lines.items()
        }
        own = {draft["id"]: home for home, draft in drafts.items()}
        self._open |= own.keys()
        texts = self._texts(keys, own)
        here: dict[Home, list[Edit]] = {home: [] for home in lines}
        for edit in self.edits:
            home = self._home(edit, keys, own)
            if home is not None and edit.kind in ("order", "discount"):
                here[home].append(edit)
        return {
            home: Arranged(
                tuple(texts.get(home, ())),
                self._first(keys[home], [each for each in here[home] if each.kind == "order"]),
                self._discounts(
                    connection,
                    _id(drafts.get(home)),
                    discounts_on(home, some, [e for e in here[home] if e.kind == "discount"]),
                    now,
                ),
            )
            for home, some in lines.items()
        }

    def _is_out(self, edit: Edit) -> bool:
        """Return whether the invoice of an edit went out and is not amended."""
        return edit.is_frozen and edit.invoice_id not in self._open

    def _home(
        self, edit: Edit, keys: Mapping[Home, set[str]], own: Mapping[int, Home]
    ) -> Home | None:
        """Return the draft that an order or a discount is of.

        Where its invoice is void by now, that is the one on which the same period is billed again.
        """
        again = (home for home in keys if home.key == edit.released and keys[home])
        home = own.get(edit.invoice_id) or next(again, None)
        if home is not None:
            self._moved[edit.id] = home
        return home

    def _texts(
        self, keys: Mapping[Home, set[str]], own: Mapping[int, Home]
    ) -> dict[Home, list[HandText]]:
        """Return the texts for each draft, the newest first.

        A text follows its line to another draft, but not from an invoice that it went out on.
        """
        edits = [
            edit
            for edit in reversed(self.edits)
            if edit.kind == "text" and not (self._is_out(edit) and edit.state == STANDING)
        ]
        found: dict[Home, list[HandText]] = {}
        for edit in edits:
            for home in sorted(keys, key=lambda home: home != own.get(edit.invoice_id)):
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

    def _first(self, keys: set[str], orders: Sequence[Edit]) -> tuple[str, ...]:
        if not orders:
            return ()
        last = orders[-1]
        taken = _taken(last, [last])
        found = [key for about in last.about for key in sorted(meant(about, keys, taken=taken))]
        self._standing |= {last.id} if found else set()
        return tuple(dict.fromkeys(found))

    def _discounts(
        self,
        connection: Connection,
        invoice_id: int | None,
        wanted: list[tuple[int, LineItem]],
        now: datetime,
    ) -> tuple[NumberedLine, ...]:
        """Return the open discounts on a draft; what is stored of them is made to be just that.

        One that was billed and is another now, as the invoice is amended, is taken back. On a new
        draft (None) none is stored yet: one without an invoice is of another new draft.
        """
        self._standing |= {edit_id for edit_id, _ in wanted}
        is_here = and_(
            line_item.c.invoice_id.is_not(None),
            line_item.c.invoice_id == invoice_id,
            line_item.c.kind == "discount",
            line_item.c.state.in_(("open", "billed")),
        )
        rows = connection.execute(select(line_item).where(is_here)).mappings().all()
        edit_of = {row["id"]: row["edit_id"] for row in rows}
        known = [known_line(row) for row in rows]
        for each in standing(known):
            same_edit = [pair for pair in wanted if pair[0] == edit_of[each.id]]
            same = next((pair for pair in same_edit if _is_same(each, pair)), None)
            if same is None:
                wanted.append((edit_of[each.id], taking_back(each, None)))
            else:
                wanted.remove(same)
        kept: list[NumberedLine] = []
        for each in known:
            if each.is_billed:
                continue
            pair = (edit_of[each.id], each.line)
            if pair in wanted:
                wanted.remove(pair)
                kept.append(NumberedLine(each.id, each.line, None, pair[0]))
            else:
                withdraw_lines(connection, [each.id])
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
            if self._is_out(edit) and edit.kind != "hold" and edit.id not in self._standing:
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


def _is_same(billed: KnownLine, wanted: tuple[int, LineItem]) -> bool:
    """Return whether a discount reads as it was billed."""
    told = ("description", "quantity", "unit_price", "amount", "tax")
    return all(getattr(billed.line, name) == getattr(wanted[1], name) for name in told)


def _taken(edit: Edit, others: Sequence[Edit]) -> set[str]:
    """Return the lines that an edit is certainly not about, unless it names them."""
    exact = {key for other in others for about in other.about for key in about}
    return exact | set(edit.value.get("beside", ()))


_OF_INVOICE: Final = tuple(
    invoice.c[name] for name in ("is_frozen", "released_at", "currency", "schedule", "period_from")
)


def _edit(row: Mapping[Any, Any]) -> Edit:
    is_released = row["released_at"] is not None
    names = ("id", "invoice_id", "kind", "value", "state", "made_by", "made_at")
    return Edit(
        about=tuple(tuple(keys) for keys in row["about"]),
        is_frozen=row["is_frozen"] and not is_released,
        released=(row["currency"], row["schedule"], row["period_from"]) if is_released else None,
        **{name: row[name] for name in names},
    )


def _id(draft: Mapping[str, Any] | None) -> int | None:
    return int(draft["id"]) if draft else None
