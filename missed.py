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
    cursor: str | None
    next_at: datetime
    told: Sequence[tuple[Delivery, Reading | None]] = ()
    """What was found, with its reading; most of it is known already."""
    compared: Sequence[Delivery] = ()
    """What is news for certain, because it was compared with the ledger."""
    problem: str | None = None
    """What a person must look at."""

    def keep(self, connection: Connection, claimed: Claim, now: datetime) -> None:
        """Store what is news and how far the question has come, in one transaction."""
        fresh = news(
            connection, self.due.endpoint, self.told, by_arrival=self.source.orders_by_arrival
        )
        count = store(connection, self.source.key, [*fresh, *self.compared], now)
        if count:
            log.info("found", endpoint=self.due.endpoint, what=self.due.what, count=count)
        polls.answered(
            connection,
            claimed,
            cursor=self.cursor,
            found=count,
            now=now,
            next_at=self.next_at,
            problem=self.problem,
        )


def ask_changes(line: Line, connector: ProjectConnector, due: polls.Due) -> Answer:
    """Return a page of what changed since the question's cursor; raise a ConnectorError."""
    now = line.clock.now()
    changes = connector.changes_since(due.cursor, now)
    source = sources()[connector.key]
    # The rest of a long answer is fetched at once.
    next_at = now + timedelta(seconds=connector.poll_seconds) if changes.is_all else now
    told = read_found(source, due.endpoint, changes.found, now)
    return Answer(due, source, changes.cursor, next_at, told=told)


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
