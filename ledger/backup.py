"""A copy of an SQLite ledger while everything goes on; `flask backup` calls it.

The copy is one moment of the ledger, checked, and marked as a copy: whoever starts from it does not
push anything before the billing systems have been looked through (`restoring.py`).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from . import restoring
from .database import Database
from .errors import BillhookError

_ONLY_MINE: Final = 0o600


class BackupError(BillhookError):
    """No copy was made; nothing is left of what was begun."""


def back_up(database: Database, copy: Path, now: datetime) -> int:
    """Copy a ledger into a new file that only this user may read; return its size in bytes.

    Raise BackupError if there is such a file, if it cannot be written, or if the copy is damaged.
    """
    part = copy.with_name(f".{copy.name}.part")
    try:
        # The name is taken first, so that nothing is ever written over.
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _ONLY_MINE))
    except FileExistsError:
        raise BackupError(f"{copy}: is there already - name another file") from None
    except OSError as error:
        raise BackupError(f"{copy}: cannot be written - {error.strerror}") from error
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _ONLY_MINE))
        _copy(str(database.engine.url.database), part)
        _check(part)
        _mark(part, now)
        _flush(part)
        part.replace(copy)
        _flush(copy.parent)
    except BaseException as error:
        copy.unlink(missing_ok=True)
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{part}{ending}").unlink(missing_ok=True)
        if isinstance(error, OSError | sqlite3.Error):
            raise BackupError(f"{copy}: cannot be written - {error}") from error
        raise
    return copy.stat().st_size


def _copy(source: str, target: Path) -> None:
    # The online backup reads one snapshot: writers go on meanwhile.
    # https://www.sqlite.org/backup.html
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as ledger,
        closing(sqlite3.connect(target)) as copy,
    ):
        ledger.backup(copy)


def _check(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as opened:
        damage = [row[0] for row in opened.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
        damage += [
            f"{row[0]} {row[1]} refers to nothing"
            for row in opened.execute("PRAGMA foreign_key_check")
        ][:3]
    if damage:
        raise BackupError(
            f"the copy is damaged ({'; '.join(damage)}), as the ledger may be - run `flask audit`"
        )


def _mark(copy: Path, now: datetime) -> None:
    marked = Database(f"sqlite:///{copy}")
    try:
        if not marked.is_current():
            raise BackupError("the ledger is not up to date - run `flask db upgrade`")
        marked.write(lambda connection: restoring.mark(connection, now))
    finally:
        # The last connection that closes brings the write-ahead log into the file.
        marked.close()


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
