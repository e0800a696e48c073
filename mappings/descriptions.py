"""Texts of line items: words in {braces} from a fixed list, by plain replacement.

Titles are written by strangers, so a value is never read again for braces, and it cannot
break the line or hide characters. Used by `checking.py` (parsing) and `pricing.py` (filling in).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .reading import quoted, suggestion

WORDS: Final = {
    "title": "the title of the issue, milestone or release",
    "item": "its key or number: ACME-7",
    "project": "the project as the tool calls it",
    "person": "the name of the person who worked",
    "role": "the role of that person",
    "activity": "the kind of work, as the tool says it",
    "factor": "the name of the factor that the rate is multiplied by",
    "date": "the day of the work: 2026-03-04",
    "date:long": "the same with the month's name: 4 March 2026",
    "date:short": "the same without the year: 4 Mar",
    "week": "the week of the work: 2026-W10",
    "month": "the month of the work: March 2026",
    "month:short": "the same, shorter: Mar 2026",
    "period": "the billing period of the work: March 2026, Q1 2026, 2026",
    "period:long": "the same by its days: 1–31 Mar 2026",
    "labels": "the labels, with commas between them",
    "rule": "the name of the rule",
    "scope": "the text of scope: that fits",
    "hours": "the time of the entry in hours, not rounded",
    "quantity": "the quantity of the entry",
    "unit_price": "the price of one, with its currency",
    "amount": "the amount of the entry, with its currency",
    "customer": "the customer's name",
    "purchase_order": "the PO number",
    "contract": "the reference of the contract",
}
"""The words that may stand in braces in the text of a line."""

INVOICE_WORDS: Final = {
    "customer": "the customer's name",
    "period": "the billing period: March 2026, Q1 2026, 2026",
    "period:long": "the same by its days: 1–31 Mar 2026",
    "total": "what the invoice comes to, with its currency",
    "number": "our number of the invoice: acme-2026-03",
    "purchase_order": "the PO number",
    "contract": "the reference of the contract",
    "days": "the days that the customer has to pay: 30",
}
"""The words that may stand in braces in `memo:` and `footer:`."""

ALONE: Final = "all"
"""The word of `one_line_per:` that stands alone."""
_DECIDED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "title": ("title", "item"),
    "item": ("item",),
    "person": ("person",),
    "role": ("role", "person"),
    "activity": ("activity",),
    "factor": ("factor",),
    "date": ("day",),
    "week": ("week", "day"),
    "month": ("month", "day"),
    "labels": ("label",),
    "scope": ("scope",),
}
"""The words of `one_line_per:` that make a word the same for all entries of a line."""
_PERIOD_DECIDES: Final = {"at once": "day", "weekly": "week", "monthly": "month"}
_ADDED_UP: Final = ("hours", "quantity", "amount")

MOST: Final = 500
"""The longest description; a longer one ends in three dots."""
MOST_IN_LINES: Final = 4000
"""The longest line of a memo or footer."""

_PART: Final = re.compile(r"\{([^{}]*)\}")
_SEPARATORS: Final = tuple(" ,;:.-–—/|")


@dataclass(frozen=True, slots=True)
class Description:
    """A text with words to fill in: literal, word, literal, word, ..., literal."""

    parts: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words in braces."""
        return self.parts[1::2]

    def filled_in(self, values: Mapping[str, str], most: int = MOST) -> str:
        """Return the text on one line; a word without a value goes with its separator.

        >>> parse("{role} work, {item} {title}").filled_in({"title": "a {rate}"})
        'work, a {rate}'
        """
        text, tail = "", self.parts[0]
        value = ""
        for word, literal in zip(self.parts[1::2], self.parts[2::2], strict=True):
            value = _on_one_line(values.get(word, ""))
            if value:
                text, tail = text + tail + value, literal
            elif not text + tail or tail.endswith(_SEPARATORS):
                tail += literal.lstrip("".join(_SEPARATORS))
            else:
                tail += literal
        if self.words and not value:
            tail = tail.rstrip("".join(_SEPARATORS))
        text += tail
        text = text.strip()
        return text if len(text) <= most else text[: most - 3].rstrip() + "..."


def parse(text: str, known: Mapping[str, str] = WORDS) -> Description:
    """Return the description that a text means; raise ValueError with what to do."""
    parts = _PART.split(text)
    for literal in parts[::2]:
        if "{" in literal or "}" in literal:
            raise ValueError(" - every { needs its }, with one word between them")
    for word in parts[1::2]:
        if word not in known:
            raise ValueError(f": unknown word {quoted('{' + word + '}')}{suggestion(word, known)}")
    return Description(tuple(parts))


def invoice_text(text: str) -> str:
    """Return a memo or footer as it is; raise ValueError unless its words may stand there."""
    parse(text, INVOICE_WORDS)
    return text


def fill_in_lines(text: str, values: Mapping[str, str]) -> str:
    """Return a memo or footer with its words filled in, line by line; other lines stay as typed.

    >>> fill_in_lines("PO {purchase_order}\\n\\n{period}, {total}", {"period": "Q1 2026"})
    'PO\\n\\nQ1 2026'
    """
    lines = (parse(line, INVOICE_WORDS) if "{" in line else line for line in text.split("\n"))
    return "\n".join(
        each if isinstance(each, str) else each.filled_in(values, MOST_IN_LINES) for each in lines
    )


def differing(description: Description, one_line_per: Sequence[str], schedule: str) -> str | None:
    """Return what is wrong with a text that names what differs between the entries of its line.

    None if nothing is. `schedule` is one of `periods.SCHEDULES`.
    """
    if not one_line_per:
        return None
    given = {*one_line_per, _PERIOD_DECIDES.get(schedule)}
    if "day" in given:
        given |= {"week", "month"}
    for word in description.words:
        plain = word.partition(":")[0]
        if plain in _ADDED_UP:
            return (
                f"{{{word}}} is another one for each entry, and one_line_per: adds them up - leave "
                "it out, the line shows its own quantity and amount"
            )
        if plain in _DECIDED_BY and given.isdisjoint(_DECIDED_BY[plain]):
            needed = _DECIDED_BY[plain][0]
            also = "instead of" if ALONE in one_line_per else "to"
            return (
                f"{{{word}}} differs between the entries of one line - add {needed} {also} "
                "one_line_per:, or leave it out here"
            )
    return None


def _on_one_line(value: str) -> str:
    """Return a stranger's text without line breaks, control and direction characters."""
    if not value.isprintable():
        # Joiners are invisible too, but some scripts are misspelled without them.
        value = "".join(c if c.isprintable() or c in "\u200c\u200d" else " " for c in value)
    return " ".join(value.split())
