"""What a fact is worth by the rules, in the ledger's words: `mappings/judging.py` says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .corrections import LineItem
from .events import Event


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a fact is worth by the rules: a line, nothing, or a question to a person."""

    state: str
    """priced, nothing or held."""
    customer: str | None = None
    rule: str | None = None
    reason: str | None = None
    lines: tuple[LineItem, ...] = ()
    """Only where priced: one, or one for each payer. Their `event_id` is set here."""
    payers: tuple[str, ...] = ()
    """The customers who share it; empty: `customer` pays all of it."""
    keeps: bool = False
    """What was billed of it stays billed, and no more is due."""


Judge = Callable[[Event], Verdict]
GONE: Final = Verdict("gone", reason="the tool says that it no longer exists or was opened again")
DROPPED: Final = Verdict("gone", reason="the rules no longer have this fee for these days")
