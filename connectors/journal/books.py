"""Payments in the journal of people: transactions with our reference on the customer's account."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import PermanentError, TransientError
from ledger.money import to_minor

from .reading import includes, read_beancount, read_hledger
from .writing import BEANCOUNT

MOST_FILES: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one file."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]|[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Paid:
    """What a journal says of one invoice, in minor units."""

    paid: int = 0
    refunded: int = 0
    is_pending: bool = False
    """There is a payment that is not final yet (`!`): it is not counted."""

    def __bool__(self) -> bool:
        return bool(self.paid or self.refunded or self.is_pending)


def payments_of(
    books: Path,
    dialect: str,
    skipped: Collection[Path],
    reference: str,
    receivable: str,
    currency: str,
) -> Paid:
    """Return what was paid on an invoice.

    A payment has our reference as link or tag (beancount), or as code or the value of a tag
    (hledger), and lowers the customer's account. Raise PermanentError naming the line of one that
    cannot be read for sure.
    """
    paid = refunded = 0
    is_pending = False
    read = read_beancount if dialect == BEANCOUNT else read_hledger
    for path, text in _texts(books, dialect, skipped):
        # Most files do not name it, and are read in vain.
        for each in read(text, str(path)) if reference in text else ():
            if reference not in each.links:
                continue
            moved = each.amount_on(receivable, currency)
            if moved is None:
                continue
            if each.flag == "!":
                is_pending = True
                continue
            try:
                minor = to_minor(moved, currency)
            except ValueError as error:
                raise PermanentError(
                    f"journal: {each.where}: {error} - write it exactly"
                ) from error
            paid -= min(minor, 0)
            refunded += max(minor, 0)
    return Paid(paid, refunded, is_pending)


def changed_files(
    books: Path, dialect: str, skipped: Collection[Path]
) -> Iterator[tuple[Path, int]]:
    """Yield the files of a journal with when each was changed, in nanoseconds."""
    for path, _ in _texts(books, dialect, skipped):
        yield path, path.stat().st_mtime_ns


def references_in(path: Path, ours: Collection[str]) -> set[str]:
    """Return which references of ours a file names."""
    return set(_WORD.findall(path.read_text(encoding="utf-8"))) & set(ours)


def _texts(first: Path, dialect: str, skipped: Collection[Path]) -> Iterator[tuple[Path, str]]:
    """Yield a journal's files: the first one, and what it includes, each once."""
    waiting, seen = [first], set()
    while waiting:
        path = waiting.pop()
        place = path.resolve()
        is_skipped = place in seen or any(folder in place.parents for folder in skipped)
        if is_skipped or not place.is_file():
            continue
        seen.add(place)
        if len(seen) > MOST_FILES:
            raise PermanentError(f"journal: {first} includes more than {MOST_FILES} files")
        text = _text(path)
        yield path, text
        for pattern in includes(text, dialect):
            waiting += _included(path, pattern)


def _included(path: Path, pattern: str) -> list[Path]:
    # hledger may say how to read a file: `timedot:notes.timedot` is no journal.
    if re.match(r"(?!journal:)[a-z]+:", pattern):
        return []
    pattern = pattern.removeprefix("journal:")
    home = Path(pattern).expanduser()
    if home.is_absolute():
        return sorted(Path(home.anchor).glob(str(home.relative_to(home.anchor))))
    return sorted(path.parent.glob(pattern)) if pattern else []


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PermanentError(f"journal: {path} is longer than {MOST_BYTES} bytes - divide it")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PermanentError(f"journal: {path} is not UTF-8 - save it as UTF-8") from error
    except OSError as error:
        raise TransientError(f"journal: {path} cannot be read ({error.strerror})") from error
