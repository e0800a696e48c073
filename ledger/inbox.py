"""The inbox: an accepted delivery is committed here before the sender hears 202.

Deliveries that arrive at the same time share one commit (group commit): each request
waits for its own, and one thread of the process writes them together. What cannot be stored
fails alone: the others of its commit are then stored one by one.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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
_Refused = tuple[str, date, str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that waits for its commit: with a delivery, or to be counted as refused."""

    row: dict[str, Any] | None
    refused: _Refused | None = None
    stored: Future[bool] = field(default_factory=Future)


class Inbox:
    """Stores deliveries durably. One for each process; any thread may call it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queue: SimpleQueue[_Waiting] = SimpleQueue()
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
        return self._written(_Waiting(row))

    def fails(self) -> bool:
        """Return whether a delivery could not be stored within the last `FAILED_SECONDS`."""
        failed_at = self._failed_at
        if failed_at is None:
            return False
        return self._clock.now() - failed_at < timedelta(seconds=FAILED_SECONDS)

    def refuse(self, endpoint: str, reason: str) -> None:
        """Count a delivery that was turned away, for people to see.

        However many come at once, they share a commit and a row: a flood of them takes nothing
        from the deliveries that are accepted.
        """
        self._written(_Waiting(None, (endpoint, self._clock.now().date(), reason[:128])))

    def _written(self, waiting: _Waiting) -> bool:
        self._queue.put(waiting)
        self._ensure_writer()
        try:
            return waiting.stored.result(timeout=WAIT_SECONDS)
        finally:
            # Where nobody waits any more, its commit need not be tried.
            waiting.stored.cancel()

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
            wanted = [one for one in together if one.stored.set_running_or_notify_cancel()]
            if wanted:
                self._store(wanted)

    def _store(self, wanted: Sequence[_Waiting]) -> None:
        """Write a batch in one commit and tell those who wait; if that fails, one by one."""
        rows = {_key(one.row): one.row for one in wanted if one.row}
        refused = Counter(one.refused for one in wanted if one.refused)
        now = self._clock.now()
        try:
            fresh = self._database.write(lambda connection: _insert(connection, rows, refused, now))
        except BaseException as error:
            if len(wanted) > 1 and isinstance(error, Exception) and not is_unavailable(error):
                # One of them cannot be stored, whatever it is: that is not the others' fault.
                for one in wanted:
                    self._store([one])
                return
            self._failed_at = now
            # Whatever it was, those who wait must hear of it: it is theirs to raise.
            for one in wanted:
                one.stored.set_exception(error)
            return
        self._failed_at = None
        for one in wanted:
            # Of two equal deliveries in one commit, one is fresh and the other repeats it.
            key = _key(one.row) if one.row else None
            one.stored.set_result(key in fresh)
            fresh.discard(key)


def _storable(text: str) -> str:
    r"""Return an id or a header with what no database can hold (NUL, half a character) written out.

    >>> _storable("a\x00\ud800")
    'a\\x00\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _key(row: dict[str, Any]) -> _Key:
    return row["endpoint"], row["delivery_id"], row["body_hash"]


def _insert(
    connection: Connection,
    rows: Mapping[_Key, dict[str, Any]],
    refused: Mapping[_Refused, int],
    now: datetime,
) -> set[_Key | None]:
    """Write a batch; return the keys of the deliveries that were not there before."""
    for (endpoint, on, reason), count in sorted(refused.items()):
        counted = insert_for(connection, refusal).values(
            endpoint=endpoint, on=on, reason=reason, count=count, last_at=now
        )
        connection.execute(
            counted.on_conflict_do_update(
                index_elements=["endpoint", "on", "reason"],
                set_={"count": refusal.c.count + count, "last_at": now},
            )
        )
    if not rows:
        return set()
    statement = insert_for(connection, delivery).on_conflict_do_nothing()
    found = connection.execute(
        statement.returning(delivery.c.endpoint, delivery.c.delivery_id, delivery.c.body_hash),
        list(rows.values()),
    )
    return {(row.endpoint, row.delivery_id, row.body_hash) for row in found}
