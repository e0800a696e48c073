"""Who pays and what was agreed: names, addresses, purchase order, terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..reading import Mistakes
from ..shapes import Filled, Word
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = {}


@dataclass(frozen=True, slots=True)
class Parties:
    """Who pays and what was agreed: names, addresses, purchase order, terms."""


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Parties:  # noqa: ARG001
    """Return what a customer's file says of it, with every mistake noted."""
    return Parties()
