"""The table of a torture run, for the terminal and for `docs/reliability.md`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .results import LayerResult

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN: Final = "<!-- figures: begin (make torture writes here) -->"
END: Final = "<!-- figures: end -->"
AIMS: Final = (
    ("chaos", "effective kills", "at least", 150),
    ("chaos", "kinds of components killed", "at least", 6),
    ("chaos", "faults of the billing systems", "at least", 500),
    ("chaos", "kinds of billing faults", "at least", 14),
    ("chaos", "changes", "at least", 2500),
    ("chaos", "lost", "at most", 0),
    ("chaos", "doubled", "at most", 0),
    ("chaos", "recovery p99 with a lease of 20 s", "at most", 30),
    ("crash", "schedules", "at least", 5000),
    ("mutants", "caught", "at least", 12),
)
"""What a run of five minutes should come to: layer, figure, which way, how much."""


def table(results: Sequence[LayerResult], *, command: str, seed: int) -> str:
    """Return the figures of all layers as a Markdown table, with what they were made by."""
    rows = [f"| {result.name} | {name} | {_text(value)} |" for result, name, value in _all(results)]
    return "\n".join(
        [
            f"`{command}`, seed {seed}, {datetime.now(UTC):%Y-%m-%d}; {machine()}.",
            "",
            "| layer | figure | value |",
            "|---|---|---|",
            *rows,
            "",
            *(
                [f"Below the aim of five minutes: {'; '.join(m)}."]
                if (m := missed(results))
                else []
            ),
        ]
    ).strip()


def missed(results: Sequence[LayerResult]) -> list[str]:
    """Return the aims that these results do not reach, in words."""
    found = {(result.name, name): value for result, name, value in _all(results)}
    told = []
    for layer, figure, way, much in AIMS:
        value = found.get((layer, figure))
        is_met = isinstance(value, int | float) and (
            value >= much if way == "at least" else value <= much
        )
        if not is_met:
            told.append(
                f"{layer}: {figure} {'unknown' if value is None else value}, not {way} {much}"
            )
    return told


def insert(told: str, document: str) -> str:
    """Return a document with the table between its two marks; raise ValueError without them.

    >>> insert("new", f"a {BEGIN} old {END} b").split()[-7:]
    ['-->', 'new', '<!--', 'figures:', 'end', '-->', 'b']
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no place for the figures: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{told}\n\n{END}{after}"


def machine() -> str:
    """Return what the machine is, without its name."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def _all(results: Sequence[LayerResult]) -> Iterator[tuple[LayerResult, str, int | float | str]]:
    for result in results:
        for name, value in result.figures.items():
            yield result, name, value


def _text(value: int | float | str) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else value
