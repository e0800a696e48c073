"""What entries come to together: rounding by day or line, days, tiers, overtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.corrections import LineItem

from ..reading import Mistakes
from ..shapes import Filled, Word
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = {}
BILL_WORDS: Final[Mapping[str, Word]] = {}


@dataclass(frozen=True, slots=True)
class Sums:
    """What entries come to together: rounding by day or line, days, tiers, overtime."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a rule counts entries for: what those of one pool come to together."""

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:  # noqa: ARG002
        """Return the sum lines of a pool; see `ledger.sums.SumUp`."""
        return ()


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Sums:  # noqa: ARG001
    """Return what a customer's file says of it, with every mistake noted."""
    return Sums()
