"""How the line items of one subject follow its present value: pure, and the heart of promise two.

A billed line never changes. While a line is open it is simply replaced; once it is billed,
a change is a line that takes the old one back and, if anything is left to bill, a new one.
So the lines of a subject always add up to its present value, whatever happened before.

Where an invoice is void or deleted at its billing system, what is on it is released: each of its
lines is void, and so is what it took back. What took a void line back stands alone then, and is
taken back itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

BILLED: Final = ("billed", "released")
"""The states of lines that were billed. A *released* line takes another one back on the same
invoice, because that is void or deleted: it counts like a billed one and is never printed."""


@dataclass(frozen=True, slots=True)
class LineItem:
    """One priced fact. `amount` is minor units and equals quantity x unit price, rounded once."""

    customer: str
    project: str | None
    item: str | None
    person: str | None
    on: date
    description: str
    quantity: Decimal
    unit_price: Decimal
    currency: str
    amount: int
    seconds: int
    rule: str
    mapping_version: str
    grouping: tuple[str, ...]
    """Entries with equal grouping are printed as one line; empty: a line of its own."""
    schedule: str
    period_from: date
    period_to: date
    steps: tuple[str, ...]
    """Every number on the way from the event to the amount, in words."""
    event_id: int | None
    """None for what comes from many events: a sum or an agreement."""
    corrects_id: int | None = None
    """The billed line that this one takes back."""
    again: int = 0
    """How often that one was taken back before, on invoices that are void now."""
    kind: str = "entry"
    """What it is: an "entry" has its own price; a "counted" one has none, it counts into its pool;
    a "sum" is what a pool comes to; an "agreement" takes off or adds. See `sums.py`."""
    pool: str = ""
    """Counted lines of one customer with the same pool are priced together, as its sums."""
    adjusts_id: int | None = None
    """Of an agreement: the line that it changes, where that one is printed alone."""
    tax: str = ""
    """The code of the tax on it; empty: none is agreed."""
    coding: str = ""
    """Where it stands in the books, as `invoices.Coding.key` writes it. What is billed stays where
    it stands, and what takes it back stands there too."""


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line item that the ledger holds for the subject: open or billed, never withdrawn."""

    id: int
    is_billed: bool
    line: LineItem
    is_released: bool = False
    """It takes a billed line back on that line's own invoice, which is void."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change so that the lines say the present value."""

    withdraw: tuple[int, ...] = ()
    add: tuple[LineItem, ...] = ()


def void(known: Iterable[KnownLine]) -> set[int]:
    """Return the lines that are void with their invoice, and those that say so."""
    released = [each for each in known if each.is_released]
    return {each.id for each in released} | {each.line.corrects_id or 0 for each in released}


def remaining(known: Sequence[KnownLine]) -> list[KnownLine]:
    """Return the lines that are neither void nor cancel each other out."""
    gone = void(known)
    left = [each for each in known if each.id not in gone]
    there = {each.id for each in left}
    taken_back = {each.line.corrects_id for each in left}
    return [
        each for each in left if each.id not in taken_back and each.line.corrects_id not in there
    ]


def standing(known: Sequence[KnownLine]) -> list[KnownLine]:
    """Return the billed lines that no other billed line has taken back.

    What took a line back that is void by now stands too: it takes back too much.
    """
    return remaining([each for each in known if each.is_billed])


def without_void(known: Sequence[KnownLine]) -> list[KnownLine]:
    """Return the lines without those that are void, and what is left of their corrections."""
    gone = void(known)
    left = [each for each in known if each.id not in gone]
    alone = {each.id for each in left if each.line.corrects_id in gone}
    mended = {each.line.corrects_id for each in left if each.line.corrects_id in alone}
    return [each for each in left if not mended & {each.id, each.line.corrects_id}]


def plan(known: Sequence[KnownLine], wanted: Sequence[LineItem], *, event_id: int) -> Plan:
    """Return what makes the lines add up to `wanted`, one for each payer; none: nothing is due."""
    missing = list(wanted)
    taken_back: list[LineItem] = []
    for billed in standing(known):
        same = next((each for each in missing if _same_money(billed.line, each)), None)
        if same is None:
            taken_back.append(_taken_back(known, billed, event_id))
        else:
            missing.remove(same)
    return towards(known, [*taken_back, *missing])


def plan_beside(known: Sequence[KnownLine], wanted: Sequence[LineItem]) -> Plan:
    """Return what leaves the billed lines alone and has just `wanted` open beside them.

    So a cumulative time is billed by its change, and stays as it was billed while it is held.
    """
    return towards(known, wanted)


def plan_held(known: Sequence[KnownLine], *, event_id: int) -> Plan:
    """Return what leaves a held subject as it was billed, and billed once.

    What took the place of an older line may have been billed before that one was taken back,
    because they are on invoices of their own: the older one is taken back all the same.
    """
    billed = standing(known)
    bills = [each for each in billed if each.line.corrects_id is None]
    too_much = [
        each
        for each in billed
        if each.line.corrects_id is not None
        or any(other.id > each.id and not _share(each.line, other.line) for other in bills)
    ]
    return towards(known, [_taken_back(known, each, event_id) for each in too_much])


def _share(one: LineItem, other: LineItem) -> bool:
    """Return whether two lines are parts of the same fact, each for another payer."""
    same = ("event_id", "mapping_version", "project", "item", "rule")
    return one.customer != other.customer and all(
        getattr(one, name) == getattr(other, name) for name in same
    )


def _taken_back(known: Sequence[KnownLine], billed: KnownLine, event_id: int) -> LineItem:
    gone = void(known)
    before = sum(each.line.corrects_id == billed.id for each in known if each.id in gone)
    return taking_back(billed, event_id, again=before)


def taking_back(billed: KnownLine, event_id: int | None, *, again: int = 0) -> LineItem:
    """Return the line that takes a billed one back to the last minor unit."""
    line = billed.line
    return replace(
        line,
        quantity=-line.quantity,
        amount=-line.amount,
        seconds=-line.seconds,
        steps=(f"takes back line item {billed.id}: {line.amount} becomes {-line.amount}",),
        event_id=event_id,
        corrects_id=billed.id,
        again=again,
    )


def towards(known: Sequence[KnownLine], target: Sequence[LineItem]) -> Plan:
    """Return what leaves the billed lines alone and makes the open ones just `target`."""
    missing = list(target)
    withdraw = []
    taken_back = {each.line.corrects_id for each in known if each.is_billed}
    for each in known:
        # An open line that a billed one takes back was on an invoice that was refused: it stays,
        # or its correction would stand alone.
        if each.is_billed or each.id in taken_back:
            continue
        if each.line in missing:
            missing.remove(each.line)
        else:
            withdraw.append(each.id)
    return Plan(tuple(withdraw), tuple(missing))


def _same_money(billed: LineItem, wanted: LineItem) -> bool:
    """Return whether the customer would see no difference in money, time or billing period."""
    return (
        _is_of_its_period(billed, wanted)
        and billed.customer == wanted.customer
        and billed.currency == wanted.currency
        and billed.quantity == wanted.quantity
        and billed.unit_price == wanted.unit_price
        and billed.amount == wanted.amount
        and billed.seconds == wanted.seconds
        and billed.kind == wanted.kind
        and billed.pool == wanted.pool
        and billed.tax == wanted.tax
    )


def _is_of_its_period(billed: LineItem, wanted: LineItem) -> bool:
    """Return whether work is still of the period that it was billed for.

    What is billed at once has none; that a rule invoices otherwise by now moves nothing.
    """
    if billed.schedule == "at once" or billed.on == wanted.on:
        return True
    return billed.period_from <= wanted.on <= billed.period_to
