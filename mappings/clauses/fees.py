"""Recurring fees and licences: what is due without any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..reading import Mistakes
from ..shapes import Filled, Word
from .setting import Setting

WORDS: Final[Mapping[str, Word]] = {}


@dataclass(frozen=True, slots=True)
class Fees:
    """Recurring fees and licences: what is due without any work."""


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Fees:  # noqa: ARG001
    """Return what a customer's file says of it, with every mistake noted."""
    return Fees()
