"""Reads `payments.csv`, in which people note what was paid on the drafts of a folder.

Columns `reference`, `date` and `amount`; a negative amount is a refund, and a row of 0 says
that the invoice was sent. Called by the connector each time it looks at an invoice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import PermanentError, TransientError
from ledger.money import to_minor

PAYMENTS_FILE: Final = "payments.csv"
COLUMNS: Final = ("reference", "date", "amount")
MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Paid:
    """What the file says about one invoice, in minor units."""

    is_listed: bool = False
    listed_on: str = ""
    """The date of its first row, as it is written."""
    paid: int = 0
    refunded: int = 0


def payments_of(path: Path, reference: str, currency: str) -> Paid:
    """Return what was paid on one invoice; raise PermanentError naming the line of a mistake."""
    rows = [row for row in _rows(path) if row.reference == reference]
    amounts = [_minor(path, row.number, row.amount, currency) for row in rows]
    return Paid(
        is_listed=bool(rows),
        listed_on=rows[0].date if rows else "",
        paid=sum(amount for amount in amounts if amount > 0),
        refunded=-sum(amount for amount in amounts if amount < 0),
    )


def references(path: Path) -> list[str]:
    """Return every reference that the file names."""
    return [row.reference for row in _rows(path)]


class _Row(NamedTuple):
    """A row as it is written."""

    number: int
    """Of its line in the file."""
    reference: str
    date: str
    amount: str


def _rows(path: Path) -> Iterator[_Row]:
    try:
        if path.stat().st_size > MOST_BYTES:
            too_long = f"is longer than {MOST_BYTES} bytes"
            raise PermanentError(f"file: {path} {too_long} - shorten it")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except OSError as error:
        raise TransientError(f"file: {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise PermanentError(f"file: {path} is not UTF-8 - save it as CSV UTF-8") from error
    lines = text.splitlines()
    first = lines[0] if lines else ""
    # A spreadsheet set to a language with decimal commas separates columns by semicolons.
    rows = csv.DictReader(lines, delimiter=";" if ";" in first else ",", strict=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
    if missing:
        raise PermanentError(
            f'file: {path}:1: no column "{missing[0]}" - the first line is: {",".join(COLUMNS)}'
        )
    try:
        for row in rows:
            if None in row:
                # "1234,50" without quotes is two cells: never read it as 1234.
                raise PermanentError(
                    f"file: {path}:{rows.line_num}: more cells than columns - write amounts "
                    "with a point, like 1234.50"
                )
            yield _Row(rows.line_num, *((row[name] or "").strip() for name in COLUMNS))
    except csv.Error as error:
        raise PermanentError(
            f"file: {path}: after line {rows.line_num}: {error} - mend it"
        ) from error


def _minor(path: Path, number: int, text: str, currency: str) -> int:
    whole, _, decimals = text.removeprefix("-").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(text) < 40):
        raise _mistake(path, number, text)
    if decimals and not (decimals.isascii() and decimals.isdigit()):
        raise _mistake(path, number, text)
    try:
        return to_minor(Decimal(text), currency)
    except ValueError as error:
        raise PermanentError(f"file: {path}:{number}: {error} - write it exactly") from error


def _mistake(path: Path, number: int, text: str) -> PermanentError:
    return PermanentError(
        f'file: {path}:{number}: "{text[:40]}" is no amount - write it like 1234.50'
    )
