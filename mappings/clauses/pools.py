"""Entries that are counted together: the name of their pool, which of them stand, their sums."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from ledger.corrections import LineItem
from ledger.events import canonical_json
from ledger.money import line_amount, printed

_MOST: Final = 300
"""The longest name; titles of strangers may be in it, and a database's index has its limits."""


def name_of(*parts: str | Sequence[str] | None) -> str:
    """Return the name of the pool of all entries that agree in these parts.

    It begins with how they are counted, so that a new price begins a new pool and never prices
    again what was billed from the old one.
    """
    name = canonical_json([list(part) if isinstance(part, tuple) else part for part in parts])
    if len(name) <= _MOST:
        return name
    return f"{name[:_MOST]} {hashlib.sha256(name.encode()).hexdigest()}"


def standing(lines: Sequence[LineItem]) -> list[LineItem]:
    """Return the lines that no other one takes back, in an order that does not tell arrival."""
    taken_back = Counter(_original(line) for line in lines if line.corrects_id is not None)
    found = []
    for line in lines:
        if line.corrects_id is None:
            # Most pools hold nothing that takes a line back.
            if taken_back and taken_back[key := _anonymous(line)]:
                taken_back[key] -= 1
            else:
                found.append(line)
    return sorted(found, key=_order)


def _original(line: LineItem) -> LineItem:
    mirrored = replace(
        line, quantity=-line.quantity, amount=-line.amount, seconds=-line.seconds, corrects_id=None
    )
    return _anonymous(mirrored)


def _anonymous(line: LineItem) -> LineItem:
    return replace(line, steps=(), event_id=None)


def _order(line: LineItem) -> tuple[object, ...]:
    return (
        *(line.on, line.description, line.rule, line.project or "", line.item or ""),
        *(line.person or "", line.unit_price, line.quantity, line.seconds, line.grouping),
    )


def sum_line(
    entries: Sequence[LineItem], quantity: Decimal, unit_price: Decimal, *steps: str
) -> LineItem:
    """Return what standing entries of one rule and project come to, explained."""
    first = entries[0]
    amount = line_amount(quantity, unit_price, first.currency)
    return replace(
        first,
        kind="sum",
        item=first.item if all(each.item == first.item for each in entries) else None,
        person=first.person if all(each.person == first.person for each in entries) else None,
        quantity=quantity,
        unit_price=unit_price,
        amount=amount.minor,
        seconds=0,
        event_id=None,
        steps=(
            *_in_common(entries),
            *steps,
            f"{printed(quantity)} x {unit_price:f} = {amount}",
        ),
    )


def _in_common(entries: Sequence[LineItem]) -> list[str]:
    """Return the steps that all entries share: the rule, the rate, how they are counted."""
    shared = set(entries[0].steps).intersection(*(each.steps for each in entries[1:]))
    return [step for step in entries[0].steps if step in shared]


def how_many(entries: Sequence[LineItem]) -> str:
    """Return the number of entries in words."""
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
