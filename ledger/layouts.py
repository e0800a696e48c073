"""How the lines of an invoice are arranged: a part of its content, so that it is signed too.

What is printed follows from line items and layout alone. `assembly.py` makes layouts from the
rules; whoever prints again (`pushing.py`, the audit, `explain.py`) takes what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

ORDERS: Final = {
    "project": "by project",
    "day": "by the first day of the work",
    "item": "by issue: ACME-9 before ACME-10",
    "person": "by the name of the person",
    "rule": "as the rules stand in the file",
    "description": "by the text of the line",
    "amount": "the greatest amount first",
}
"""What lines may be ordered by."""


@dataclass(frozen=True, slots=True)
class Label:
    """What the texts of a rule's lines of one period begin with, as they came late."""

    rule: str
    period_from: date
    text: str
    """The name of the period: "October 2026"."""


@dataclass(frozen=True, slots=True)
class HandText:
    """The text that a person gave a line, see `edits.py`."""

    key: str
    """The line that it is about, as `printing.key_of` writes it."""
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of an invoice are arranged. Without anything, as they always were."""

    order: tuple[str, ...] = ()
    """Of `ORDERS`."""
    rules: tuple[str, ...] = ()
    """The rules on the invoice as they stand in the file, where the order asks for it."""
    labels: tuple[Label, ...] = ()
    texts: tuple[HandText, ...] = ()
    """What a person wrote instead of what the rules say; of two for one line the first counts."""
    first: tuple[str, ...] = ()
    """The keys of lines that a person put first, in this order."""

    def as_json(self) -> dict[str, Any]:
        """Return what is not as ever, as JSON; {} for nothing."""
        labels = [[each.rule, each.period_from.isoformat(), each.text] for each in self.labels]
        told = {
            "order": list(self.order),
            "rules": list(self.rules),
            "labels": labels,
            "texts": [[each.key, each.text] for each in self.texts],
            "first": list(self.first),
        }
        return {name: value for name, value in told.items() if value}


def layout_from_json(content: Mapping[str, Any]) -> Layout:
    """Return the layout of an invoice's stored content."""
    told = content.get("layout", {})
    return Layout(
        order=tuple(told.get("order", ())),
        rules=tuple(told.get("rules", ())),
        labels=tuple(
            Label(rule, date.fromisoformat(first), text)
            for rule, first, text in told.get("labels", ())
        ),
        texts=tuple(HandText(key, text) for key, text in told.get("texts", ())),
        first=tuple(told.get("first", ())),
    )
