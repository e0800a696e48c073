"""Texts of line items: words in {braces} from a fixed list, by plain replacement.

Titles are written by strangers, so a value is never read again for braces, and it cannot
break the line or hide characters. Used by `checking.py` (parsing) and `pricing.py` (filling in).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    "month": "the month of the work: March 2026",
    "labels": "the labels, with commas between them",
    "rule": "the name of the rule",
}
"""The words that may stand in braces."""

MOST: Final = 500
"""The longest description; a longer one ends in three dots."""

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

    def filled_in(self, values: Mapping[str, str]) -> str:
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
        return text if len(text) <= MOST else text[: MOST - 3].rstrip() + "..."


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


def _on_one_line(value: str) -> str:
    """Return a stranger's text without line breaks, control and direction characters."""
    if not value.isprintable():
        # Joiners are invisible too, but some scripts are misspelled without them.
        value = "".join(c if c.isprintable() or c in "\u200c\u200d" else " " for c in value)
    return " ".join(value.split())
