"""Texts in CSV files: strangers wrote them, and a spreadsheet must not run them as formulas."""

from __future__ import annotations

import unicodedata
from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    Also not behind spaces, or written with the wide signs of East Asian keyboards.

    >>> safe_text("=1+1"), safe_text("Design")
    ("'=1+1", 'Design')
    """
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return f"'{text}" if text.startswith(FORMULA_STARTS) or first in FORMULA_STARTS else text
