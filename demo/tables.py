"""What the demo prints: tables for a plain terminal of 100 columns, without colors."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from ledger.money import Money
from ledger.tables import approval, delivery, hint, invoice, refusal, report, subject

WIDTH: Final = 100
_WRAPPED: Final = textwrap.TextWrapper(
    WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
)
_MOST_REASONS: Final = 5
_ANSWERS: Final = {
    "accepted": "stored before the answer",
    "repeated": "the very same delivery was stored already",
    "pong": "GitHub's test of the address",
}

Row = tuple[str, str, int, str]
"""A stage, an outcome, how many rows had it, and why."""


def say(text: str = "") -> None:
    """Print a paragraph, at once even into a pipe."""
    for paragraph in text.split("\n"):
        print(_WRAPPED.fill(paragraph), flush=True)


def title(text: str) -> None:
    """Print the title of an act."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def indented(text: str, *, most: int) -> None:
    """Print the beginning of a longer output, two columns in."""
    lines = text.strip("\n").split("\n")
    for line in lines[:most]:
        print(f"  {line if len(line) <= WIDTH - 2 else line[: WIDTH - 5] + '...'}", flush=True)
    if len(lines) > most:
        print(f"  ... and {len(lines) - most} more lines", flush=True)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: numbers to the right, the last column wrapped."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)][:-1]
    last = WIDTH - sum(widths) - 2 * len(widths) - 2
    for cell_row in (heads, ["-" * width for width in [*widths, len(heads[-1])]], *cells):
        texts = textwrap.wrap(cell_row[-1], last) or [""]
        start = "  ".join(
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(cell_row, widths, strict=False)
        )
        for number, text in enumerate(texts):
            begin = start if number == 0 else " " * len(start)
            print(f"  {begin}  {text}".rstrip(), flush=True)


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdigit()


def stages(connection: Connection, answers: Counter[str], asked: int) -> list[Row]:
    """Return what happened at each stage to what the project tools and scripts have posted.

    `asked` is how often Jira was asked about an issue.
    """
    received = [("receive", word, answers[word], why) for word, why in _ANSWERS.items()]
    refused = connection.execute(
        select(refusal.c.count.label("times"), refusal.c.endpoint, refusal.c.reason)
    )
    return [
        *[row for row in received if row[2]],
        *[("verify", "refused", row.times, f"{row.endpoint}: {row.reason}") for row in refused],
        *_counted(
            connection,
            "normalize",
            delivery.c.state,
            delivery.c.reason,
            where=delivery.c.endpoint != "stripe",
        ),
        ("enrich", "asked", asked, "Jira, about an issue that no webhook has told yet"),
        *_counted(connection, "map", subject.c.state, subject.c.reason),
        *_assembled(connection),
    ]


def sync_back(connection: Connection) -> list[Row]:
    """Return what happened at the stages after assembling."""
    approved = select(invoice.c.reference, approval.c.approved_by).join(approval)
    return [
        *[
            ("approve", "approved", 1, f"{row.reference} by {row.approved_by}")
            for row in connection.execute(approved.order_by(approval.c.id))
        ],
        *_counted(connection, "push", invoice.c.state, invoice.c.connector),
        *_counted(connection, "follow", hint.c.state, hint.c.reason),
        *_counted(connection, "report", report.c.state, report.c.endpoint),
    ]


def _counted(
    connection: Connection, stage: str, outcome: Any, reason: Any, *, where: Any = None
) -> list[Row]:
    """Return each outcome with its reasons, the most frequent first, the rare ones summed up."""
    query = select(outcome, reason, func.count().label("rows")).group_by(outcome, reason)
    if where is not None:
        query = query.where(where)
    found: dict[str, list[tuple[int, str]]] = {}
    for word, why, rows in connection.execute(query.order_by(func.count().desc(), outcome, reason)):
        found.setdefault(str(word), []).append((int(rows), str(why or "")))
    counted: list[Row] = []
    for word, reasons in found.items():
        counted += [(stage, word, rows, why) for rows, why in reasons[:_MOST_REASONS]]
        if rest := reasons[_MOST_REASONS:]:
            counted.append((stage, word, sum(rows for rows, _ in rest), "other reasons"))
    return counted


def _assembled(connection: Connection) -> list[Row]:
    found = connection.execute(select(invoice).order_by(invoice.c.reference))
    return [
        ("assemble", row.state, 1, "; ".join([f"{row.reference}: {_total(row)}", *row.reasons]))
        for row in found
    ]


def _total(row: Any) -> str:
    return str(Money(row.total, row.currency))
