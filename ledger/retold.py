"""Entries that another format, or a person, has told before: each payment is met once by each.

A bank may book thousands of equal amounts on one day. So what fits is looked up by its invoice, or,
where none is named, read once for a whole statement and taken one by one. Called by `matching.py`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select

from .bank import Entry, recorded_payment
from .recording import BY_HAND

_TOGETHER: Final = 400
_again = recorded_payment.alias("again")
_Money = tuple[date, int, str]
_Queues = dict[_Money, dict[str, deque[RowMapping]]]
"""What may be told again, oldest first, by day, amount and currency, then by account."""


class Retold:
    """The payments that the entries of one import may tell again."""

    def __init__(self, connection: Connection, entries: Sequence[Entry]) -> None:
        self._connection = connection
        self._entries = entries
        self._queues: dict[str, _Queues] = {}
        self._taken: set[int] = set()

    def find(self, entry: Entry, invoice_id: int | None) -> RowMapping | None:
        """Return the payment that an entry is, if it was told before; it is not found again.

        One told by hand has the same day, amount and invoice. `invoice_id` is the only one that the
        entry names: its row is held by the caller, so that nobody else tells the same just now.
        """
        found = (
            self._of_no_invoice(entry)
            if invoice_id is None
            else self._of_invoice(entry, invoice_id)
        )
        if found is not None:
            self._taken.add(found["id"])
        return found

    def _of_invoice(self, entry: Entry, invoice_id: int) -> RowMapping | None:
        rows = self._connection.execute(
            select(recorded_payment)
            .where(recorded_payment.c.invoice_id == invoice_id, _may_be_told_by(entry.source))
            .order_by(recorded_payment.c.id)
        ).mappings()
        accounts = (entry.account, "")
        return next(
            (
                row
                for row in rows
                if _money_of(row) == _money(entry)
                and (not entry.account or row["account"] in accounts)
            ),
            None,
        )

    def _of_no_invoice(self, entry: Entry) -> RowMapping | None:
        if entry.source not in self._queues:
            self._queues[entry.source] = self._read(entry.source)
        queues = self._queues[entry.source].get(_money(entry), {})
        # Where an account is not told, any fits.
        wanted = (entry.account, "") if entry.account else tuple(queues)
        fitting = [queues[account] for account in wanted if account in queues]
        for queue in fitting:
            while queue and queue[0]["id"] in self._taken:
                queue.popleft()
        heads = [queue for queue in fitting if queue]
        return min(heads, key=lambda queue: int(queue[0]["id"]))[0] if heads else None

    def _read(self, source: str) -> _Queues:
        wanted = {_money(entry) for entry in self._entries if entry.source == source}
        queues: _Queues = defaultdict(lambda: defaultdict(deque))
        every = sorted({day for day, _, _ in wanted})
        for start in range(0, len(every), _TOGETHER):
            days = every[start : start + _TOGETHER]
            rows = self._connection.execute(
                select(recorded_payment)
                .where(
                    recorded_payment.c.on.in_(days),
                    recorded_payment.c.source.not_in(BY_HAND),
                    _may_be_told_by(source),
                )
                .order_by(recorded_payment.c.id)
            ).mappings()
            for row in rows:
                if _money_of(row) in wanted:
                    queues[_money_of(row)][row["account"]].append(row)
        return queues


def _may_be_told_by(source: str) -> ColumnElement[bool]:
    """Return the condition of payments that a format may tell again and has not yet."""
    table = recorded_payment
    told_again = select(_again.c.id).where(
        _again.c.about_id == table.c.id, _again.c.source == source, _again.c.state == "same"
    )
    return and_(
        table.c.source != source,
        table.c.state.in_(("counted", "waiting", "taken back", "set aside")),
        ~told_again.exists(),
    )


def _money(entry: Entry) -> _Money:
    return entry.on, entry.amount, entry.currency


def _money_of(row: Any) -> _Money:
    return row["on"], row["amount"], row["currency"]
