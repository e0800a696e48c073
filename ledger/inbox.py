"""The inbox: an accepted delivery is committed here before the sender hears 202.

Deliveries that arrive at the same time share one commit (group commit): each request
waits for its own, and one thread of the process writes them together. What cannot be stored
fails alone: the others of its commit are then stored one by one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any, Final

from sqlalchemy import Connection

from .database import Database, insert_for, is_unavailable
from .events import Delivery
from .ports import Clock
from .tables import delivery, refusal

MOST_TOGETHER: Final = 64
"""The most deliveries that share a commit."""
WAIT_SECONDS: Final = 5
"""How long a request waits for its commit before it is told to come again.

The tools themselves give up after 10 seconds: GitHub after just that.
https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks
"""

FAILED_SECONDS: Final = 30
"""How long a failed commit tells against this process; then it is given a chance again."""

_Key = tuple[str, str, str]
_Asked = tuple[dict[str, Any], Future[bool]]


class Inbox:
    """Stores deliveries durably. One for each process; any thread may call it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queue: SimpleQueue[_Asked] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._failed_at: datetime | None = None

    def accept(self, request: Delivery, *, source: str, delivery_id: str | None) -> bool:
        """Store a verified delivery; return False if the very same one is stored already.

        When this returns, the delivery is on disk. Raise TimeoutError or the database's
        error if it could not be stored: the sender must be told to try again.
        """
        row = {
            "endpoint": request.endpoint,
            "source": source,
            "delivery_id": _storable(delivery_id or "")[:255],
            "body_hash": hashlib.sha256(request.body).hexdigest(),
            "headers": {name: _storable(value) for name, value in request.headers.items()},
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
        try:
            return stored.result(timeout=WAIT_SECONDS)
        finally:
            # Where nobody waits any more, its commit need not be tried.
            stored.cancel()

    def fails(self) -> bool:
        """Return whether a delivery could not be stored within the last `FAILED_SECONDS`."""
        failed_at = self._failed_at
        if failed_at is None:
            return False
        return self._clock.now() - failed_at < timedelta(seconds=FAILED_SECONDS)

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
            # Who has waited too long has been told to send it again: nothing piles up here.
            wanted = [each for each in together if each[1].set_running_or_notify_cancel()]
            if wanted:
                self._store(wanted)

    def _store(self, wanted: Sequence[_Asked]) -> None:
        """Store deliveries in one commit and tell those who wait; if that fails, one by one."""
        rows = list({_key(row): row for row, _ in wanted}.values())
        try:
            fresh = self._database.write(lambda connection: _insert(connection, rows))
        except BaseException as error:
            if len(wanted) > 1 and isinstance(error, Exception) and not is_unavailable(error):
                # One of them cannot be stored, whatever it is: that is not the others' fault.
                for each in wanted:
                    self._store([each])
                return
            self._failed_at = self._clock.now()
            # Whatever it was, those who wait must hear of it: it is theirs to raise.
            for _, stored in wanted:
                stored.set_exception(error)
            return
        self._failed_at = None
        for row, stored in wanted:
            # Of two equal deliveries in one commit, one is fresh and the other repeats it.
            stored.set_result(_key(row) in fresh)
            fresh.discard(_key(row))


def _storable(text: str) -> str:
    r"""Return an id or a header with what no database can hold (NUL, half a character) written out.

    >>> _storable("a\x00\ud800")
    'a\\x00\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _key(row: dict[str, Any]) -> _Key:
    return row["endpoint"], row["delivery_id"], row["body_hash"]


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[_Key]:
    statement = insert_for(connection, delivery).on_conflict_do_nothing()
    found = connection.execute(
        statement.returning(delivery.c.endpoint, delivery.c.delivery_id, delivery.c.body_hash),
        rows,
    )
    return {(row.endpoint, row.delivery_id, row.body_hash) for row in found}
