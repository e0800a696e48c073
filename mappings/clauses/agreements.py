"""What looks at priced lines together: caps, prepaid hours, minimum fees, discounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.sums import Agreement

from ..reading import Mistakes
from ..shapes import Filled, Word
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = {}


@dataclass(frozen=True, slots=True)
class Agreements:
    """What looks at priced lines together: caps, prepaid hours, minimum fees, discounts."""

    def of_version(self, version: str) -> tuple[Agreement, ...]:  # noqa: ARG002
        """Return them in the order in which they are applied; their lines name the version."""
        return ()


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Agreements:  # noqa: ARG001
    """Return what a customer's file says of it, with every mistake noted."""
    return Agreements()
