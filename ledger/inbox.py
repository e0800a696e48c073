"""The inbox: an accepted delivery is committed here before the sender hears 202.

Deliveries that arrive at the same time share one commit (group commit): each request
waits for its own, and one thread of the process writes them together.
"""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final

from sqlalchemy import Connection

from .database import Database, insert_for
from .events import Delivery
from .ports import Clock
from .tables import delivery, refusal

MOST_TOGETHER: Final = 64
"""The most deliveries that share a commit."""
WAIT_SECONDS: Final = 10
"""How long a request waits for its commit before it is told to come again."""

_Key = tuple[str, str, str]


class Inbox:
    """Stores deliveries durably. One for each process; any thread may call it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queue: SimpleQueue[tuple[dict[str, Any], Future[bool]]] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()

    def accept(self, request: Delivery, *, source: str, delivery_id: str | None) -> bool:
        """Store a verified delivery; return False if the very same one is stored already.

        When this returns, the delivery is on disk. Raise TimeoutError or the database's
        error if it could not be stored: the sender must be told to try again.
        """
        row = {
            "endpoint": request.endpoint,
            "source": source,
            "delivery_id": (delivery_id or "")[:255],
            "body_hash": hashlib.sha256(request.body).hexdigest(),
            "headers": dict(request.headers),
            "body": request.body,
            "received_at": request.received_at,
            "state": "waiting",
            "events": 0,
            "attempts": 0,
            "next_at": request.received_at,
        }
        stored: Future[bool] = Future()
        self._queue.put((row, stored))
        self._ensure_writer()
        return stored.result(timeout=WAIT_SECONDS)

    def refuse(self, endpoint: str, reason: str) -> None:
        """Count a delivery that was turned away, for people to see."""
        now = self._clock.now()
        row = {"endpoint": endpoint, "on": now.date(), "reason": reason[:128], "count": 1}

        def count(connection: Connection) -> None:
            statement = insert_for(connection, refusal).values(**row, last_at=now)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["endpoint", "on", "reason"],
                    set_={"count": refusal.c.count + 1, "last_at": now},
                )
            )

        self._database.write(count)

    def _ensure_writer(self) -> None:
        # Started by the first request, so that it lives in the process that serves it and
        # not in the one that was forked.
        if self._writer is None or not self._writer.is_alive():
            with self._starting:
                if self._writer is None or not self._writer.is_alive():
                    self._writer = threading.Thread(target=self._write, name="inbox", daemon=True)
                    self._writer.start()

    def _write(self) -> None:
        while True:
            together = [self._queue.get()]
            while len(together) < MOST_TOGETHER and not self._queue.empty():
                together.append(self._queue.get())
            rows = list({_key(row): row for row, _ in together}.values())
            try:
                fresh = self._database.write(lambda connection: _store(connection, rows))  # noqa: B023
            except BaseException as error:
                # Whatever it was, those who wait must hear of it: it is theirs to raise.
                for _, stored in together:
                    stored.set_exception(error)
                continue
            for row, stored in together:
                # Of two equal deliveries in one commit, one is fresh and the other repeats it.
                stored.set_result(_key(row) in fresh)
                fresh.discard(_key(row))


def _key(row: dict[str, Any]) -> _Key:
    return row["endpoint"], row["delivery_id"], row["body_hash"]


def _store(connection: Connection, rows: list[dict[str, Any]]) -> set[_Key]:
    statement = insert_for(connection, delivery).on_conflict_do_nothing()
    found = connection.execute(
        statement.returning(delivery.c.endpoint, delivery.c.delivery_id, delivery.c.body_hash),
        rows,
    )
    return {(row.endpoint, row.delivery_id, row.body_hash) for row in found}
