"""The shapes of single values in rule files: numbers, days, names. Tables are made of them."""

from __future__ import annotations

from typing import Final

from . import phrases
from .shapes import ListOf, OneOf, Phrase

YES_NO: Final = OneOf({"yes": "yes", "no": "no"})
TEXT: Final = Phrase("a text")
LINES: Final = Phrase("a text", most=4000, may_be_lines=True)
NUMBER: Final = Phrase("a number like 120.00", phrases.number, f"^{phrases.NUMBER}$")
SIGNED: Final = Phrase("a number like 120.00 or -120.00", phrases.signed, f"^-?{phrases.NUMBER}$")
POSITIVE: Final = Phrase("a number like 1 or 2.50", phrases.positive, f"^{phrases.NUMBER}$")
WHOLE: Final = Phrase("a whole number of seconds like 3600", phrases.whole, "^[0-9]+$")
PERCENT: Final = Phrase(
    "a percentage like 5 % or 2.5 %", phrases.percentage, f"^{phrases.PERCENT}$"
)
DAY: Final = Phrase("a day like 2026-01-31", phrases.day, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
ZONE: Final = Phrase("a time zone like Europe/Berlin", phrases.time_zone)
EMAIL: Final = Phrase(
    "an e-mail address", phrases.form(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+"), "^[^@]+@[^@]+$"
)
PATTERN: Final = Phrase("a text, with * for any characters", most=300)
KEY: Final = Phrase(
    "a short name of small letters, digits and dashes",
    phrases.form(r"[a-z0-9][a-z0-9-]{0,49}"),
    "^[a-z0-9][a-z0-9-]{0,49}$",
)
TOOL: Final = Phrase(
    "a tool's name of small letters, digits, dashes and _",
    phrases.form(r"[a-z0-9][a-z0-9_-]{0,49}"),
    "^[a-z0-9][a-z0-9_-]{0,49}$",
)
"""A tool, as `flask sources list` has it; where accounts stand, an endpoint too."""
CURRENCY: Final = Phrase("a currency code like EUR", phrases.currency, "^[A-Z]{3}$")
PATTERNS: Final = ListOf(PATTERN)
