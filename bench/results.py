"""What a measurement found, and how all findings are printed. Called by `__main__.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final, Literal

_HEAD: Final = ("measured", "database", "found", "ratio", "aim", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the table: a value, and how it compares with its aim."""

    measured: str
    database: str
    found: str
    """The absolute numbers in words; they are this machine's, the ratio is not."""
    ratio: float | None = None
    aim: float | None = None
    """What is compared with the aim is the ratio."""
    better: Literal["at least", "at most"] = "at most"

    @property
    def is_met(self) -> bool | None:
        """Return whether the aim is met, None where there is none."""
        if self.aim is None or self.ratio is None:
            return None
        return self.ratio >= self.aim if self.better == "at least" else self.ratio <= self.aim


def table(findings: Iterable[Finding]) -> str:
    """Return the findings as a text table."""
    rows = [_HEAD, *(_cells(finding) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def as_json(findings: Iterable[Finding]) -> str:
    """Return the findings as a JSON list."""
    return json.dumps([asdict(each) | {"is_met": each.is_met} for each in findings], indent=2)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median_ratio(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the median of the ratios of rounds that ran side by side."""
    return median(this / that for this, that in zip(these, those, strict=True))


def _cells(finding: Finding) -> tuple[str, ...]:
    is_met = {True: "yes", False: "NO", None: ""}[finding.is_met]
    ratio = "" if finding.ratio is None else f"{finding.ratio:.2f}"
    aim = "" if finding.aim is None else f"{finding.better} {finding.aim:g}"
    return (finding.measured, finding.database, finding.found, ratio, aim, is_met)
