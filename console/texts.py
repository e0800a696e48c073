"""Texts by strangers, made fit to be shown: on one line, and not longer than there is room.

Pages escape them besides; what a terminal or a writing direction would obey is taken out here.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return a text without line breaks and without what a terminal or a page would obey.

    >>> one_line("first\\nsecond\\x1b[31m")
    'first second [31m'
    """
    return "".join(character if character.isprintable() else " " for character in text)


def clipped(text: str, most: int) -> str:
    """Return at most so many characters of a text, on one line.

    >>> clipped("a long title", 7)
    'a long…'
    """
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
