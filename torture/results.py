"""What a layer of `make torture` has to say when it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerResult:
    """What one layer has measured, and every promise that it saw broken."""

    name: str
    figures: dict[str, int | float | str]
    failures: list[str]
