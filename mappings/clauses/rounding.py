"""Rounding of hours that are added up first: per day, per person and day, or per printed line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.corrections import LineItem
from ledger.money import hours, printed

from ..model import Rounding
from .pools import how_many, standing, sum_line

PER: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("day",),
    "person and day": ("person", "day"),
    "line": (),
}
"""What entries must share to be rounded together, beside rule, project, price and line."""


@dataclass(frozen=True, slots=True)
class RoundedTogether:
    """Hours are added up, and then rounded."""

    rounding: Rounding

    @property
    def words(self) -> str:
        """How they are counted, as written."""
        return self.rounding.words

    @property
    def per(self) -> tuple[str, ...]:
        """What the entries of one pool share."""
        return PER[self.rounding.per]

    def lines(self, counted: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what the entries of a pool come to; see `ledger.sums.SumUp`."""
        entries = standing(counted)
        if not entries:
            return ()
        seconds = sum(each.seconds for each in entries)
        billed = self.rounding.rounded(seconds)
        quantity = hours(billed)
        return (
            sum_line(
                entries,
                quantity,
                entries[0].unit_price,
                f"{how_many(entries)}: {seconds} s as logged",
                f"rounded {self.words}: {billed} s = {printed(quantity)} h",
            ),
        )
