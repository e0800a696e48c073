"""Texts by strangers, made fit to be shown: on one line, and not longer than there is room.

Pages escape them besides; what a terminal or a writing direction would obey is taken out here.
"""

from __future__ import annotations

from datetime import timedelta


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


def age_text(age: timedelta) -> str:
    """Return an age in its largest whole unit.

    >>> age_text(timedelta(seconds=59)), age_text(timedelta(hours=5)), age_text(timedelta(days=3))
    ('59 s', '5 h', '3 d')
    """
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
