"""What webhooks missed: a tool is asked, its answer is read by the tool's source, news is kept.

`worker.poll` works through it. It joins connectors, sources and ledger, as `worker.py` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from connectors.connector import ProjectConnector
from ledger import polls
from ledger.claims import Claim
from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery, Found, Reading
from ledger.found import news, store
from line import Line
from webhooks.registry import sources
from webhooks.source import Source

log = structlog.get_logger("missed")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answered to one question, read and ready to be kept."""

    due: polls.Due
    source: Source
    told: Sequence[tuple[Delivery, Reading | None]]
    cursor: str | None
    next_at: datetime

    def keep(self, connection: Connection, claimed: Claim, now: datetime) -> None:
        """Store what is news and how far the question has come, in one transaction."""
        fresh = news(
            connection, self.due.endpoint, self.told, by_arrival=self.source.orders_by_arrival
        )
        count = store(connection, self.source.key, fresh, now)
        if count:
            log.info("found", endpoint=self.due.endpoint, what=self.due.what, count=count)
        polls.answered(
            connection, claimed, cursor=self.cursor, found=count, now=now, next_at=self.next_at
        )


def ask_changes(line: Line, connector: ProjectConnector, due: polls.Due) -> Answer:
    """Return a page of what changed since the question's cursor; raise a ConnectorError."""
    now = line.clock.now()
    changes = connector.changes_since(due.cursor, now)
    source = sources()[connector.key]
    return Answer(
        due,
        source,
        read_found(source, due.endpoint, changes.found, now),
        changes.cursor,
        # The rest of a long answer is fetched at once.
        now + timedelta(seconds=connector.poll_seconds) if changes.is_all else now,
    )


def ask_entries(line: Line, connector: ProjectConnector, due: polls.Due) -> Answer:
    """Return the entries of the open period, and what is missing among them."""
    source = sources()[connector.key]
    return Answer(due, source, (), None, line.clock.now() + polls.ENTRIES_EVERY)


def read_found(
    source: Source, endpoint: str, found: Iterable[Found], now: datetime
) -> list[tuple[Delivery, Reading | None]]:
    """Return found things with their readings; None where one cannot be read."""
    told: list[tuple[Delivery, Reading | None]] = []
    for each in found:
        delivery = each.delivery(endpoint, now)
        try:
            told.append((delivery, source.normalize(delivery)))
        except (PayloadError, UnsupportedEventTypeError):
            told.append((delivery, None))
    return told
