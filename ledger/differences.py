"""In words: what differs between two line items, two drafts, and what became of a subject.

Pure; `changes.py` finds what is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from .corrections import LineItem

_WORDS: Final = (
    ("customer", "customer"),
    ("rule", "rule"),
    ("unit_price", "unit price"),
    ("currency", "currency"),
    ("tax", "tax"),
    ("project", "project"),
    ("schedule", "invoiced"),
    ("period_from", "period from"),
)
_WITHOUT_VALUES: Final = (
    ("quantity", "quantity"),
    ("seconds", "time"),
    ("description", "text"),
    ("grouping", "put together otherwise"),
    ("kind", "counted otherwise"),
    ("pool", "counted together otherwise"),
    ("on", "day"),
    ("person", "person"),
    ("item", "item"),
    ("coding", "place in the books"),
)
"""What differs from line to line: named alone, so that equal changes stay together."""


def differences(old: LineItem, new: LineItem) -> list[str]:
    """Return in words what makes a line differ from the one before, [] if nobody sees any."""
    words = []
    for name, word in _WORDS:
        before, after = _shown(getattr(old, name)), _shown(getattr(new, name))
        if before != after:
            words.append(f"{word} {before} -> {after}")
    words += [word for name, word in _WITHOUT_VALUES if getattr(old, name) != getattr(new, name)]
    if not words and old.amount != new.amount:
        words.append("amount")
    return words


def _shown(value: object) -> str:
    return (
        "none"
        if value is None or value == ""
        else f"{value:f}"
        if isinstance(value, Decimal)
        else str(value)
    )


def told(state: str, reason: str | None) -> str:
    """Return how a subject stands, in words."""
    if state == "waiting":
        return "not priced yet"
    word = "not billed" if state == "nothing" else state
    return f"{word}: {reason}" if reason else word


_TERMS: Final = (
    ("days_until_due", "days until it is due"),
    ("purchase_order", "purchase order"),
    ("memo", "memo"),
    ("footer", "footer"),
    ("send_to", "sent to"),
)


def other_terms(row: Mapping[Any, Any]) -> Iterator[str]:
    """Yield what differs on a draft besides its lines: terms, and what blocks it.

    `row` is the invoice as it is now, with state, reasons and content as they were `_before`.
    """
    before, after = row["content_before"], row["content"]
    if before is not None:
        customer, now = before["customer"], after["customer"]
        for name in sorted({*customer, *now}):
            if customer.get(name) != now.get(name):
                yield f"{name}: {_shown(customer.get(name))} -> {_shown(now.get(name))}"
        words = dict(_TERMS)
        for name in sorted({*before, *after} - {"customer", "lines", "total", "reference"}):
            if before.get(name) != after.get(name):
                word = words.get(name, name.replace("_", " "))
                yield f"{word}: {_shown(before.get(name))} -> {_shown(after.get(name))}"
    reasons_before = row["reasons_before"] or []
    for reason in row["reasons"]:
        if reason not in reasons_before:
            yield f"{row['state']}: {reason}"
    for reason in reasons_before:
        if reason not in row["reasons"]:
            yield f"no longer {row['state_before']}: {reason}"


_PLACE: Final = re.compile(r" ?\(\S+\.ya?ml:[0-9]+\)")


def without_place(step: str) -> str:
    """Return a step without where in the files it stands: a line more above it changes nothing."""
    return _PLACE.sub("", step)


def other_steps(
    old: LineItem | None, new: LineItem | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the steps that only the one and only the other has; none for a line that goes."""
    if new is None:
        return (), ()
    before, after = (old.steps if old else ()), new.steps
    known_before = {without_place(each) for each in before}
    known_after = {without_place(each) for each in after}
    return (
        tuple(each for each in before if without_place(each) not in known_after),
        tuple(each for each in after if without_place(each) not in known_before),
    )
