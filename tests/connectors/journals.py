"""What the tests of the journal connector share: a connector, and beancount itself as the judge."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from beancount import loader
from beancount.core import data

from connectors.journal.connector import JournalConnector
from connectors.journal.writing import Accounts
from tests.contracts.spoiled_http import NoHttp

ACCOUNTS = Accounts("Assets:Receivable:Acme", "Income:Services", "Liabilities:Tax")


def opened(*texts: str) -> str:
    names = (*vars_of(ACCOUNTS), "Assets:Bank")
    return "".join(f"1970-01-01 open {name}\n" for name in names) + "\n".join(texts)


def vars_of(accounts: Accounts) -> tuple[str, ...]:
    return accounts.receivable, accounts.revenue, accounts.tax


def bean_read(text: str) -> list[Any]:
    """Return the transactions that beancount itself reads; none of it may be wrong."""
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    return bean_transactions(entries)


def bean_transactions(entries: Iterable[Any]) -> list[Any]:
    return [entry for entry in entries if isinstance(entry, data.Transaction)]


def journal(folder: Path, dialect: str, **more: str) -> JournalConnector:
    return JournalConnector({"folder": str(folder), "format": dialect, **more}, NoHttp())
