"""The list of time entries behind an invoice: what was worked, beside what of it is billed.

It is a part of the invoice's content, so an approval signs it. `assembly.py` makes it; connectors,
the console and the command line give it out as CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from .corrections import LineItem
from .money import hours, printed
from .spreadsheets import safe_text

COLUMNS: Final = ("day", "person", "item", "text", "worked_hours", "billed_hours")

BilledHours = Callable[[LineItem], Decimal | None]
"""Gives the hours that a line bills, None if it bills something else."""


@dataclass(frozen=True, slots=True)
class TimesheetRow:
    """One time entry, or what several come to together."""

    day: date
    person: str
    item: str
    text: str
    worked: Decimal | None
    """Hours; None for what several entries come to together: theirs stand in their own rows."""
    billed: Decimal | None
    """Hours, rounded as agreed; None where a fixed price is billed, or entries together are."""


def timesheet_of(
    lines: Sequence[LineItem],
    corrected: Mapping[int, str],
    billed_hours: BilledHours,
) -> tuple[TimesheetRow, ...]:
    """Return the entries among an invoice's line items, by day, person, item and text.

    The order does not depend on arrival. `corrected` gives the invoice of each billed line that
    is taken back. Both columns add up to what was worked and billed on this invoice.
    """
    rows = [
        row
        for line in lines
        if line.kind not in ("agreement", "discount")
        and (row := _row(line, corrected, billed_hours))
    ]
    return tuple(sorted(rows, key=_cells))


def _row(
    line: LineItem, corrected: Mapping[int, str], billed_hours: BilledHours
) -> TimesheetRow | None:
    is_entry = line.kind != "sum"
    worked = hours(line.seconds) if is_entry and line.seconds else None
    billed = None if line.kind == "counted" else billed_hours(line)
    if worked is None and not billed:
        return None
    text = line.description
    if line.corrects_id is not None:
        text = f"Correction to {corrected[line.corrects_id]}: {text}"
    return TimesheetRow(line.on, line.person or "", line.item or "", text, worked, billed)


def as_json(rows: Sequence[TimesheetRow]) -> list[list[str]]:
    """Return the rows as JSON: a list of texts for each, in the order of `COLUMNS`."""
    return [_cells(row) for row in rows]


def _cells(row: TimesheetRow) -> list[str]:
    numbers = ("" if number is None else printed(number) for number in (row.worked, row.billed))
    return [row.day.isoformat(), row.person, row.item, row.text, *numbers]


def timesheet_from_json(content: Mapping[str, Any]) -> tuple[TimesheetRow, ...] | None:
    """Return the timesheet of an invoice's stored content, None if it has none."""
    if "timesheet" not in content:
        return None
    return tuple(
        TimesheetRow(date.fromisoformat(day), person, item, text, _hours(worked), _hours(billed))
        for day, person, item, text, worked, billed in content["timesheet"]
    )


def as_csv(rows: Sequence[TimesheetRow]) -> str:
    """Return the rows as CSV, with a byte order mark, so that Excel reads the umlauts."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for row in as_json(rows):
        # Numbers stay numbers, also below zero: they come from decimals, not from texts.
        table.writerow([*map(safe_text, row[:4]), *row[4:]])
    return "\ufeff" + text.getvalue()


def _hours(text: str) -> Decimal | None:
    return Decimal(text) if text else None
