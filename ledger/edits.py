"""Edits of drafts by hand: another text, another order, a line held back, a discount; undoing them.

The console's API and `flask invoices edit` make them here; `handwork.py` applies them. An edit is
about lines, which it names by their keys (`printing.keys_of`), and voids an approval at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, exists, insert, select, update

from .auditlog import note
from .claims import AFRESH
from .errors import BillhookError
from .events import as_utc_text
from .handwork import UNDONE, corrected_references, is_like
from .invoices import PrintedLine
from .layouts import layout_from_json
from .money import Money, to_minor
from .printing import NumberedLine, keys_of, numbered, print_lines
from .subjects import changed
from .tables import draft_edit, invoice, line_item

MOST_TEXT: Final = 500
"""Characters of a line's text."""
_EDITABLE: Final = ("draft", "blocked", "approved")
_FOLLOWS: Final = ("agreement", "discount")
"""Kinds of lines that follow from the others: they cannot be held back by themselves."""


class EditError(BillhookError):
    """The draft cannot be edited like that; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class NewText:
    """Line `line` of the draft says `text`."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    """These lines of the draft stand first, in this order; the others follow as they would."""

    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HoldBack:
    """Line `line` is not billed on this invoice: it waits until the edit is undone."""

    line: int


@dataclass(frozen=True, slots=True)
class Discount:
    """Something is taken off what the draft comes to: a percentage, or an amount."""

    text: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    """Major units of the invoice's currency."""


Wanted = NewText | NewOrder | HoldBack | Discount


@dataclass(frozen=True, slots=True)
class _Said:
    """An edit as it is written down."""

    kind: str
    about: list[list[str]]
    value: dict[str, Any]
    said: str


def make(
    connection: Connection,
    reference: str,
    wanted: Wanted,
    *,
    made_by: str,
    content_hash: str | None,
    now: datetime,
) -> int:
    """Edit a draft whose content has the given hash (None: as it stands); return the edit's id.

    Numbers of lines are those of that content. Raise EditError if it is unknown, is no draft, has
    changed since it was seen, or cannot be edited like that.
    """
    row = _locked(connection, reference, now)
    if row["is_frozen"] or row["state"] not in _EDITABLE:
        raise EditError(f"{reference}: is {row['state']} - only a draft can be edited")
    if content_hash is not None and content_hash != row["content_hash"]:
        raise EditError(
            f"{reference}: has changed since it was shown - look at it again, then edit it"
        )
    said = _said(_Draft.of(connection, row), wanted)
    edit_id = connection.scalar(
        insert(draft_edit)
        .values(
            customer=row["customer"],
            invoice_id=row["id"],
            kind=said.kind,
            about=said.about,
            value=said.value,
            said=said.said,
            state="standing",
            is_seen=False,
            made_by=made_by,
            made_at=now,
        )
        .returning(draft_edit.c.id)
    )
    _void(connection, row, now)
    detail = {"edit": edit_id, "kind": said.kind, "said": said.said}
    _tell(connection, reference, made_by, "edited", detail, now)
    return int(edit_id or 0)


def undo(
    connection: Connection, reference: str, edit_id: int, *, undone_by: str, now: datetime
) -> None:
    """Undo an edit: what is held back is let go, any other is as if it had not been made.

    A line may be let go at any time, by any invoice of its customer. Raise EditError if there is
    no such edit, it is undone already, or its invoice went out.
    """
    row = _locked(connection, reference, now)
    edit = (
        connection.execute(
            select(draft_edit, invoice.c.is_frozen)
            .join(invoice, invoice.c.id == draft_edit.c.invoice_id)
            .where(draft_edit.c.id == edit_id, draft_edit.c.customer == row["customer"])
        )
        .mappings()
        .first()
    )
    if edit is None or (edit["kind"] != "hold" and edit["invoice_id"] != row["id"]):
        todo = f"`flask invoices show {reference}` lists its edits"
        raise EditError(f"{reference}: has no edit {edit_id} - {todo}")
    if edit["state"] == UNDONE:
        raise EditError(f"{reference}: edit {edit_id} was undone by {edit['undone_by']} already")
    if edit["kind"] != "hold" and edit["is_frozen"]:
        raise EditError(f"{reference}: is {row['state']} - only edits of a draft can be undone")
    connection.execute(
        update(draft_edit)
        .where(draft_edit.c.id == edit_id)
        .values(state=UNDONE, is_seen=False, undone_by=undone_by, undone_at=now)
    )
    _void(connection, row, now)
    detail = {"edit": edit_id, "kind": edit["kind"], "said": edit["said"]}
    _tell(connection, reference, undone_by, "edit_undone", detail, now)


def has_unseen(invoice_id: Any) -> Any:
    """Return the condition that something was done to a draft that is not on its content yet."""
    return exists(
        select(draft_edit.c.id).where(
            draft_edit.c.invoice_id == invoice_id, draft_edit.c.is_seen.is_(False)
        )
    )


def list_edits(connection: Connection, invoice_id: int) -> list[dict[str, Any]]:
    """Return what was done to a draft by hand and not undone, oldest first."""
    rows = connection.execute(
        select(draft_edit)
        .where(draft_edit.c.invoice_id == invoice_id, draft_edit.c.state != UNDONE)
        .order_by(draft_edit.c.id)
    ).mappings()
    return [edit_json(row) for row in rows]


def edit_json(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an edit as JSON; `state` is standing, or without effect where its line is gone."""
    names = ("id", "kind", "said", "state", "made_by")
    return {**{name: row[name] for name in names}, "made_at": as_utc_text(row["made_at"])}


def _locked(connection: Connection, reference: str, now: datetime) -> RowMapping:
    """Return an invoice that nobody else changes until this transaction ends.

    Its customer is assembled again; that row is locked first, as assembling does.
    """
    key = connection.scalar(select(invoice.c.customer).where(invoice.c.reference == reference))
    if key is None:
        raise EditError(f"{reference}: no such invoice - see `flask invoices list`")
    changed(connection, [key], now)
    return (
        connection.execute(
            update(invoice)
            .where(invoice.c.reference == reference)
            .values(attempts=invoice.c.attempts)
            .returning(*invoice.c)
        )
        .mappings()
        .one()
    )


def _void(connection: Connection, row: RowMapping, now: datetime) -> None:
    """Void the approval of an invoice that has not gone out, also under a push that begins."""
    if row["state"] != "approved" or row["is_frozen"]:
        return
    connection.execute(
        update(invoice)
        .where(invoice.c.id == row["id"])
        .values(
            state="draft",
            revision=row["revision"] + 1,
            problem=None,
            **AFRESH,
            next_at=now,
            lease_token=None,
            lease_until=None,
        )
    )
    moved = {"before": "approved", "state": "draft"}
    _tell(connection, row["reference"], "billhook", "approval_void", moved, now)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A draft as it was assembled, with the line items behind each line."""

    reference: str
    currency: str
    lines: tuple[PrintedLine, ...]
    items: Mapping[int, NumberedLine]
    keys: Mapping[int, str]
    billed: frozenset[int]

    @classmethod
    def of(cls, connection: Connection, row: RowMapping) -> _Draft:
        """Return it; raise EditError if its line items have changed since it was assembled."""
        is_on = (line_item.c.invoice_id == row["id"]) & line_item.c.state.in_(("open", "billed"))
        rows = connection.execute(select(line_item).where(is_on)).mappings().all()
        items = [numbered(each) for each in rows]
        corrected = corrected_references(connection, items)
        lines = print_lines(items, corrected, layout_from_json(row["content"]))
        if [line.as_json() for line in lines] != row["content"]["lines"]:
            raise EditError(f"{row['reference']}: is just being assembled - try again in a moment")
        return cls(
            row["reference"],
            row["currency"],
            lines,
            {each.id: each for each in items},
            keys_of(items, corrected),
            frozenset(each["id"] for each in rows if each["state"] == "billed"),
        )

    def line(self, number: int) -> PrintedLine:
        """Return a line by its number; raise EditError if there is none."""
        if not 1 <= number <= len(self.lines):
            raise EditError(
                f"{self.reference}: has {len(self.lines)} lines - there is no line {number}"
            )
        line = self.lines[number - 1]
        if not line.line_items:
            raise EditError(
                f"{self.reference}: line {number} only makes up for rounding - it follows from the "
                "others, edit those"
            )
        return line

    def about(self, number: int) -> list[str]:
        """Return the keys of a line."""
        ids = self.line(number).line_items
        return sorted({self.keys[each] for each in ids if each in self.keys})

    def beside(self, *numbers: int) -> list[str]:
        """Return the keys of other lines that are alike but for rule and price."""
        own = {key for number in numbers for key in self.about(number)}
        others = set(self.keys.values()) - own
        return sorted(each for each in others if any(is_like(each, key) for key in own))


def _said(draft: _Draft, wanted: Wanted) -> _Said:
    match wanted:
        case NewText(number, text):
            before, text = draft.line(number).description, _text(draft.reference, text)
            said = f'"{before}" reads "{text}"'
            value = {"text": text, "beside": draft.beside(number)}
            return _Said("text", [draft.about(number)], value, said)
        case NewOrder(numbers):
            if not numbers or len(set(numbers)) != len(numbers):
                raise EditError(
                    f"{draft.reference}: an order names each line once - write 3,1,2 to put line "
                    "3 first"
                )
            texts = ", ".join(f'"{draft.line(number).description}"' for number in numbers)
            about = [draft.about(each) for each in numbers]
            return _Said("order", about, {"beside": draft.beside(*numbers)}, f"first {texts}")
        case HoldBack(number):
            line = draft.line(number)
            _check_held(draft, number, line)
            said = f'"{line.description}": {Money(line.amount, draft.currency)}'
            value = {"on": draft.reference, "beside": draft.beside(number)}
            return _Said("hold", [draft.about(number)], value, said)
        case Discount(text, percent, amount):
            text = _text(draft.reference, text)
            value, what = _taken_off(draft, percent, amount)
            return _Said("discount", [], {**value, "text": text}, f'{what} off: "{text}"')


def _check_held(draft: _Draft, number: int, line: PrintedLine) -> None:
    behind: Sequence[NumberedLine] = [draft.items[each] for each in line.line_items]
    if all(each.line.kind in _FOLLOWS for each in behind):
        raise EditError(
            f"{draft.reference}: line {number} follows from the others - hold back what it is "
            "about, or undo the discount"
        )
    if draft.billed & set(line.line_items):
        raise EditError(
            f"{draft.reference}: line {number} is at the billing system already - it cannot be "
            "held back any more"
        )


def _taken_off(
    draft: _Draft, percent: Decimal | None, amount: Decimal | None
) -> tuple[dict[str, Any], str]:
    if percent is not None:
        if not (percent.is_finite() and 0 < percent <= 100):
            raise EditError(f"{draft.reference}: a discount is above 0 % and at most 100 %")
        text = f"{percent.normalize():f}"
        return {"percent": text}, f"{text} %"
    if amount is None or not (amount.is_finite() and 0 < amount < 10**12):
        raise EditError(f"{draft.reference}: a discount is a percentage or an amount above 0")
    try:
        minor = to_minor(amount, draft.currency)
    except ValueError as error:
        raise EditError(f"{draft.reference}: {error}") from None
    return {"amount": minor}, str(Money(minor, draft.currency))


def _text(reference: str, text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > MOST_TEXT:
        raise EditError(
            f"{reference}: a text is one line of 1 to {MOST_TEXT} characters that can be printed"
        )
    return text


def _tell(
    connection: Connection,
    reference: str,
    actor: str,
    action: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> None:
    entity = f"invoice:{reference}"
    note(connection, now, actor=actor, action=f"invoice.{action}", entity=entity, **detail)
