"""How the commands talk: tables, JSON and one clear line on a mistake.

No text of a stranger is obeyed by the terminal.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from ledger.database import is_unavailable
from ledger.errors import BillhookError

from .texts import clipped, one_line

P = ParamSpec("P")
R = TypeVar("R")

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows under their heads, or the sentence `empty` if there are none."""
    if not rows:
        click.echo(empty)
        return
    table = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else clipped(str(value), 60)


def fail(message: str) -> NoReturn:
    """Print one line on standard error and end with exit code 1."""
    click.echo(one_line(message), err=True)
    sys.exit(1)


def without_traceback(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that Billhook raises on purpose, and an absent database, into `fail`."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BillhookError as error:
            fail(str(error))
        except SQLAlchemyError as error:
            if not is_unavailable(error):
                raise
            fail("database: cannot be used just now - see DATABASE_URL, then `flask db upgrade`")

    return guarded
