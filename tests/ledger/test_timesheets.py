"""`ledger.timesheets`: what was worked beside what is billed, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.corrections import LineItem
from ledger.timesheets import (
    COLUMNS,
    TimesheetRow,
    as_csv,
    as_json,
    timesheet_from_json,
    timesheet_of,
)
from tests.ledger.test_printing import entry

HOURS = st.none() | st.decimals(-100, 100, places=4)
STRANGERS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
ROWS = st.builds(
    TimesheetRow,
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    STRANGERS,
    STRANGERS,
    STRANGERS,
    HOURS,
    HOURS,
)


def billed_hours(line: LineItem) -> Decimal | None:
    return line.quantity if line.rule == "Hours" else None


@given(st.lists(ROWS, max_size=5))
@example([TimesheetRow(date(2026, 1, 1), "=1+1", "+1", "-1", None, Decimal("-1.00"))])
@example([TimesheetRow(date(2026, 1, 1), "@SUM(1)", "\t=1", " =1", Decimal(1), None)])
@example([TimesheetRow(date(2026, 1, 1), "＝1+1", "＠a", "\u00a0-1", Decimal(1), None)])
def test_no_text_of_a_stranger_is_a_formula(rows: list[TimesheetRow]) -> None:
    told = as_csv(rows)
    assert told.startswith("\ufeff" + ",".join(COLUMNS))
    _, *found = csv.reader(io.StringIO(told.removeprefix("\ufeff"), newline=""))
    assert len(found) == len(rows)
    for cells, row in zip(found, rows, strict=True):
        for cell, text in zip(cells[1:4], (row.person, row.item, row.text), strict=True):
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"))
            assert cell in (text, f"'{text}")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", cells[0])
        assert all(re.fullmatch(r"(-?\d+\.\d+)?", cell) for cell in cells[4:])


@given(st.lists(ROWS, max_size=5))
def test_a_timesheet_is_read_back_as_it_was_written(rows: list[TimesheetRow]) -> None:
    read = timesheet_from_json({"timesheet": as_json(rows)})
    assert read is not None
    assert as_json(read) == as_json(rows)
    assert timesheet_from_json({}) is None


LINES = st.lists(
    st.tuples(
        st.integers(1, 28),
        st.sampled_from(["Ana", "Ben", None]),
        st.integers(0, 7200),
        st.sampled_from(["entry", "counted", "sum", "agreement"]),
        st.sampled_from(["Hours", "Fixed"]),
        st.sampled_from([None, 7]),
    ),
    max_size=8,
)


@given(LINES, st.randoms(use_true_random=False))
def test_its_columns_add_up_in_any_order(
    those: list[tuple[int, str | None, int, str, str, int | None]], random: Random
) -> None:
    lines = [
        entry(
            number,
            "0.25",
            on=date(2026, 10, day),
            person=person,
            seconds=0 if kind in ("sum", "agreement") else seconds,
            kind=kind,
            rule=rule,
            corrects_id=corrects,
        ).line
        for number, (day, person, seconds, kind, rule, corrects) in enumerate(those, 1)
    ]
    rows = timesheet_of(lines, {7: "acme-2026-09"}, billed_hours)
    shuffled = timesheet_of(random.sample(lines, len(lines)), {7: "acme-2026-09"}, billed_hours)
    assert as_json(shuffled) == as_json(rows)
    billed = sum((row.billed for row in rows if row.billed), Decimal(0))
    assert billed == sum(
        line.quantity for line in lines if line.rule == "Hours" and line.kind in ("entry", "sum")
    )
    worked = [row for row in rows if row.worked is not None]
    assert len(worked) == sum(
        1 for line in lines if line.seconds and line.kind in ("entry", "counted")
    )
    assert [row.day for row in rows] == sorted(row.day for row in rows)
    corrections = sum(row.text.startswith("Correction to acme-2026-09: ") for row in rows)
    assert corrections <= sum(line.corrects_id is not None for line in lines)


def test_what_was_rounded_stands_beside_what_was_worked() -> None:
    line = entry(1, "1.00", seconds=3000, person="Ana").line
    (row,) = timesheet_of([line], {}, billed_hours)
    assert as_json([row]) == [["2026-10-05", "Ana", "ACME-1", "work", "0.8333", "1.00"]]


def test_what_is_neither_worked_nor_billed_by_the_hour_is_not_on_it() -> None:
    fixed = entry(1, "1", rule="Fixed").line
    assert timesheet_of([fixed], {}, billed_hours) == ()
