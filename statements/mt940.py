"""Reads MT940, the account statement of SWIFT, by the package `mt-940`.

The package passes over what it cannot read. So each line of an entry is counted, and the entries
must lead from one balance to the next. Fields:
https://www2.swift.com/knowledgecentre/publications/us9m_20230720/2.0?topic=mt940.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from mt940.models import Transactions

from ledger.bank import Entry, account_key

from .amounts import clean, minor_of
from .errors import StatementError

SOURCE: Final = "mt940"
_NEW: Final = re.compile(r"^(?=:20:)", re.MULTILINE)
_ENVELOPE: Final = re.compile(r"^(\{1:.*|-(\}.*)?)$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^:61:", re.MULTILINE)
_SIDES: Final = {"C": 1, "D": -1, "RC": -1, "RD": 1}
"""The marks of field 61: RC undoes a credit, so money goes out; RD undoes a debit."""
_FIELD: Final = re.compile(r"\?(\d\d)")
_PURPOSE: Final = frozenset({*(str(each) for each in range(20, 30)), "60", "61", "62", "63"})
_NAME: Final = frozenset({"32", "33"})
_NO_REFERENCE: Final = frozenset({"", "NONREF"})


def read_mt940(data: bytes) -> list[list[Entry]]:
    """Return the entries of each statement; raise StatementError."""
    text = _decoded(data).replace("\r\n", "\n")
    messages = _NEW.split(_ENVELOPE.sub("", text))[1:]
    if not messages:
        raise StatementError("file: has no :20:, so it is no MT940 - choose its format: --format")
    return [_read_message(each, f"statement {at}") for at, each in enumerate(messages, 1)]


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The standard has no umlauts; banks that write some do it in Latin-1.
        return data.decode("latin-1")


def _read_message(text: str, where: str) -> list[Entry]:
    statement = Transactions(processors={"post_transaction_details": [], "post_statement": []})
    try:
        statement.parse(text)
    except (ValueError, ArithmeticError, LookupError, TypeError, RuntimeError) as error:
        raise StatementError(
            f"{where}: cannot be read ({type(error).__name__}) - ask the bank for it anew"
        ) from error
    account = statement.data.get("account_identification")
    if not account:
        raise StatementError(f"{where}: has no account (:25:) - ask the bank for it anew")
    entries = [
        _read_entry(dict(each.data), account_key(str(account)), f"{where}, entry {at}")
        for at, each in enumerate(statement.transactions, 1)
    ]
    _must_be_whole(statement, entries, len(_ENTRY.findall(text)), where)
    return entries


def _must_be_whole(statement: Any, entries: list[Entry], lines: int, where: str) -> None:
    """Raise StatementError if something was passed over."""
    opening = statement.data.get("final_opening_balance") or statement.data.get(
        "intermediate_opening_balance"
    )
    closing = statement.data.get("final_closing_balance") or statement.data.get(
        "intermediate_closing_balance"
    )
    if opening is None or closing is None:
        raise StatementError(f"{where}: has no balances (:60F:, :62F:) - ask the bank for it anew")
    currency = str(opening.amount.currency)
    ends = [_exact(each.amount.amount, currency, where) for each in (opening, closing)]
    booked = sum(entry.amount for entry in entries)
    if len(entries) != lines or ends[0] + booked != ends[1]:
        raise StatementError(
            f"{where}: its entries do not lead from {opening.amount} to {closing.amount} - it is "
            "not whole, ask the bank for it anew"
        )


def _read_entry(found: dict[str, Any], account: str, place: str) -> Entry:
    mark, amount, on = found.get("status"), found.get("amount"), found.get("date")
    if mark not in _SIDES or amount is None or not isinstance(on, date) or not amount.currency:
        raise StatementError(f"{place}: its line (:61:) cannot be read - ask the bank for it anew")
    details = str(found.get("transaction_details") or "")
    told = (found.get("customer_reference"), found.get("extra_details"))
    purpose, payer = _details(details)
    own = [text for each in told if (text := clean(each)) not in _NO_REFERENCE]
    reference = clean(found.get("bank_reference"))
    return Entry(
        source=SOURCE,
        account=account,
        amount=_SIDES[mark] * abs(_exact(amount.amount, str(amount.currency), place)),
        currency=str(amount.currency),
        on=date(on.year, on.month, on.day),
        texts=(*purpose, *own),
        payer=payer,
        entry_reference="" if reference in _NO_REFERENCE else reference,
        is_reversal=mark.startswith("R"),
    )


def _details(text: str) -> tuple[list[str], str | None]:
    """Return the lines in which the purpose stands, and who has paid.

    German banks number them (`?20` to `?29`, `?32` the name); elsewhere the text is free.
    """
    whole = text.replace("\n", "")
    if not re.match(r"\d{3}\?", whole):
        return [clean(each) for each in text.split("\n") if each.strip()], None
    _, *fields = _FIELD.split(whole)
    named = list(_pairs(fields))
    purpose = [clean(value) for name, value in named if name in _PURPOSE]
    payer = clean("".join(value for name, value in named if name in _NAME))
    return purpose, payer or None


def _pairs(fields: list[str]) -> Iterator[tuple[str, str]]:
    yield from zip(fields[::2], fields[1::2], strict=True)


def _exact(amount: Decimal, currency: str, where: str) -> int:
    return minor_of(f"{amount:f}", currency, where)
