"""Reads payments from a CSV: what a spreadsheet or a bank's download is brought into.

Columns `date`, `amount`, `currency` and `text`; if there are, also `payer`, `account` and
`bank_reference`. Separated by commas or semicolons, amounts with a decimal point.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from ledger.bank import Entry, account_key

from .amounts import clean, minor_of
from .errors import StatementError

SOURCE: Final = "csv"
NEEDED: Final = ("date", "amount", "currency", "text")
ALSO: Final = ("payer", "account", "bank_reference")


def read_table(data: bytes) -> list[list[Entry]]:
    """Return the rows as one statement; raise StatementError with the line of a mistake."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StatementError("file: is not UTF-8 - save it as CSV UTF-8") from error
    first = lines[0] if lines else ""
    # A spreadsheet set to a language with decimal commas separates columns by semicolons.
    rows = csv.DictReader(lines, delimiter=";" if ";" in first else ",", strict=True)
    try:
        _must_have_columns(rows.fieldnames or [])
        return [list(_entries(rows))]
    except csv.Error as error:
        raise StatementError(f"line {max(1, rows.line_num)}: {error} - mend it") from error


def _must_have_columns(names: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in (*NEEDED, *ALSO)]
    if missing or unknown or len(set(names)) != len(names):
        wrong = f'no column "{missing[0]}"' if missing else f'"{clean((unknown or names)[0])[:40]}"'
        raise StatementError(
            f"line 1: {wrong} - the columns are {','.join(NEEDED)} and, if you like, "
            f"{','.join(ALSO)}"
        )


def _entries(rows: csv.DictReader[str]) -> Iterator[Entry]:
    for row in rows:
        where = f"line {rows.line_num}"
        if None in row or None in row.values():
            # "1234,50" without quotes is two cells: never read it as 1234.
            raise StatementError(
                f"{where}: not as many cells as columns - write amounts with a point, like 1234.50"
            )
        cells = {name: clean(value) for name, value in row.items()}
        try:
            on = date.fromisoformat(cells["date"])
        except ValueError:
            raise StatementError(
                f'{where}: "{cells["date"][:40]}" is no date - write it like 2026-11-28'
            ) from None
        yield Entry(
            source=SOURCE,
            account=account_key(cells.get("account", "")),
            amount=minor_of(cells["amount"], cells["currency"], where),
            currency=cells["currency"],
            on=on,
            texts=(cells["text"],),
            payer=cells.get("payer") or None,
            entry_reference=cells.get("bank_reference", "")[:64],
        )
