"""What is due by the calendar, told to the ledger. Called by the clock at each tick.

What the rules say comes due is compared with what the ledger has heard of; the difference comes
in as deliveries, see `ledger/calendar.py`. Drafts that wait for their period to begin are
assembled again on that day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ledger import calendar
from ledger.obstacles import no_longer_too_early
from ledger.subjects import changed
from line import Line
from mappings.judging import days_of, due_by

_EVERY: Final = timedelta(minutes=15)
"""Days begin at whole quarters of an hour, whatever the time zone."""


class Dues:
    """Tells the ledger what has come due by the active rules. One for each clock."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._settled: tuple[str, datetime] | None = None
        """The rules and the quarter of an hour for which nothing is left to tell."""

    def tell(self) -> int:
        """Store what the ledger has not heard of; return how much there was to tell.

        It is looked at once under the same rules in a quarter of an hour, and again while there is
        anything to tell.
        """
        line, book = self._line, self._line.book()
        if book is None:
            return 0
        now = line.clock.now()
        present = (book.version, now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % _EVERY)
        if present == self._settled:
            return 0
        with line.database.read() as connection:
            news = calendar.untold(connection, due_by(book, now), book.customers)
            begun = no_longer_too_early(connection, days_of(book, now))
        if news:
            line.database.write(lambda connection: calendar.tell(connection, news, now))
        if begun:
            line.database.write(lambda connection: changed(connection, begun, now))
        self._settled = None if news else present
        return len(news)
