"""Reads a statement in whichever format the bank gives it: the one way in for files of a bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ledger.bank import Entry

from .camt import read_camt
from .errors import StatementError
from .mt940 import read_mt940
from .table import read_table

MOST_BYTES: Final = 16 * 1024 * 1024
MOST_ENTRIES: Final = 50_000

Statement = Sequence[Entry]
FORMATS: Final[Mapping[str, Callable[[bytes], list[list[Entry]]]]] = {
    "csv": read_table,
    "camt.053": read_camt,
    "mt940": read_mt940,
}
"""What reads each format: all statements of a file."""


def read(data: bytes, format_name: str | None = None) -> list[Entry]:
    """Return all entries of a file, statement by statement, in their order.

    Without a name the format is seen from how the file begins. Raise StatementError if any of it
    cannot be read: half a statement is none.
    """
    if len(data) > MOST_BYTES:
        raise StatementError(f"file: is longer than {MOST_BYTES} bytes - import it in parts")
    statements = FORMATS[format_name or _format_of(data)](data)
    entries = [each for statement in statements for each in _numbered(statement)]
    if len(entries) > MOST_ENTRIES:
        raise StatementError(f"file: has more than {MOST_ENTRIES} entries - import it in parts")
    return entries


def _format_of(data: bytes) -> str:
    start = data[:400].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    if start.startswith(b"<"):
        return "camt.053"
    return "mt940" if start.startswith((b":20:", b"{1:", b"-\r", b"-\n")) else "csv"


def _numbered(statement: Statement) -> list[Entry]:
    """Return the entries of one statement; equal ones without a reference get their ordinals.

    One statement tells each entry once, so two equal ones in it are two; those of two statements
    are the same one, told again.
    """
    seen: Counter[str] = Counter()
    numbered = []
    for entry in statement:
        identity = entry.identity()
        if not entry.entry_reference and seen[identity]:
            numbered.append(replace(entry, ordinal=seen[identity]))
        else:
            numbered.append(entry)
        seen[identity] += 1
    return numbered
