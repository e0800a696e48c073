"""Amounts and texts of statements: exact, checked, and without what no line should hold."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from ledger.money import to_minor

from .errors import StatementError

_AMOUNT: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{0,8})?")
_NOT_SHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def minor_of(text: str, currency: str, where: str) -> int:
    """Return an amount in minor units; raise StatementError if it is none of that currency."""
    if not _AMOUNT.fullmatch(text):
        raise StatementError(f'{where}: "{text[:40]}" is no amount - write it like 1234.50')
    try:
        return to_minor(Decimal(text), currency)
    except ValueError as error:
        raise StatementError(f"{where}: {error} - ask the bank for the statement anew") from error


def clean(text: str | None) -> str:
    """Return a text of a stranger on one line, without control characters."""
    return _NOT_SHOWN.sub(" ", text or "").strip()
