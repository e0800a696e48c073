"""What looks at priced lines together: caps, prepaid hours, discounts, the minimum fee.

They are applied in this order, each to what the earlier ones leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.sums import Agreement

from ..reading import Mistakes
from ..shapes import Filled, Word
from . import caps, discounts, minimums, prepaid
from .caps import Cap
from .discounts import Discount, EarlyPayment
from .minimums import MinimumFee
from .prepaid import Prepaid
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = {
    "caps": caps.WORD,
    "prepaid": prepaid.WORD,
    "discounts": discounts.WORD,
    "minimum_fee": minimums.WORD,
    "early_payment": discounts.EARLY_PAYMENT,
}


@dataclass(frozen=True, slots=True)
class Agreements:
    """All agreements of a customer."""

    caps: tuple[Cap, ...] = ()
    prepaid: tuple[Prepaid, ...] = ()
    discounts: tuple[Discount, ...] = ()
    minimum_fee: MinimumFee | None = None
    early_payment: EarlyPayment | None = None

    def of_version(self, version: str, language: str) -> tuple[Agreement, ...]:
        """Return them in the order in which they are applied; their lines name the version.

        Numbers and days in the texts of their lines are written in a language.
        """
        minimum = () if self.minimum_fee is None else (self.minimum_fee,)
        agreed = (*self.caps, *self.prepaid, *self.discounts, *minimum)
        return tuple(each.of_version(version, language) for each in agreed)


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Agreements:
    """Return what a customer's file says of it, with every mistake noted."""
    off = discounts.read(filled, setting, mistakes)
    return Agreements(
        caps=caps.read(filled, setting, mistakes),
        prepaid=prepaid.read(filled, setting, mistakes),
        discounts=off,
        minimum_fee=minimums.read(filled, setting, off, mistakes),
        early_payment=discounts.read_early_payment(filled, mistakes),
    )
