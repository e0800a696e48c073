"""The tools that post: each delivery is sent until it is taken, and all that was heard is kept.

A time-out is never "failed", only *indeterminate*: it may have been stored. What got a 2xx is
*ok*, and must be in the ledger whatever happens afterwards.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .bodies import Posting

THREADS: Final = 6
TIMEOUT_SECONDS: Final = 4
AGAIN_SECONDS: Final = 0.25
"""How long a tool waits before it posts again; real ones wait longer."""
WAITING: Final = 200
"""How many postings may wait before whoever makes them has to wait, too."""


@dataclass
class History:
    """What happened to every posting: invoke, ok, indeterminate, refused. One line each in a file.

    Any thread may write.
    """

    path: Path
    acked: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """When each delivery was taken, by endpoint, delivery id and the body's hash."""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Answers that no tool should ever get."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._file = self.path.open("a", buffering=1)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def note(self, what: str, posting: Posting, detail: str = "") -> None:
        """Keep one step of a posting."""
        with self._lock:
            self.counts[what] += 1
            if what == "ok":
                key = (posting.endpoint, posting.known_as, posting.body_hash)
                self.acked.setdefault(key, time.time())
            line = [round(time.time(), 3), what, posting.endpoint, posting.delivery_id]
            self._file.write(json.dumps([*line, posting.what, detail]) + "\n")

    def complain(self, text: str) -> None:
        """Keep that an answer was wrong."""
        with self._lock:
            self.wrong.append(text)


class Sender:
    """Posts to `/webhooks/<endpoint>`, several at a time, until each is taken."""

    def __init__(self, port: int, history: History, secret_of: Callable[[str], str]) -> None:
        self._port = port
        self._history = history
        self._secret_of = secret_of
        self._queue: queue.Queue[Posting] = queue.Queue(WAITING)
        self._stopping = threading.Event()
        self.in_flight = 0
        """How many requests wait for their answers just now."""
        self._counting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"sender-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        """Begin to post."""
        for thread in self._threads:
            thread.start()

    def post(self, posting: Posting) -> None:
        """Have a delivery posted; wait while many others wait already."""
        while not self._stopping.is_set():
            try:
                self._queue.put(posting, timeout=0.5)
            except queue.Full:
                continue
            return

    @property
    def waiting(self) -> int:
        """Return how many deliveries were not taken yet."""
        return self._queue.unfinished_tasks

    def stop(self) -> None:
        """Give up what was not taken; return when no request is under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stopping.is_set():
            try:
                posting = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            while not self._stopping.is_set():
                connection = connection or http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=TIMEOUT_SECONDS
                )
                if self._is_taken(connection, posting):
                    break
                connection.close()
                connection = None
                self._stopping.wait(AGAIN_SECONDS)
            self._queue.task_done()

    def _is_taken(self, connection: http.client.HTTPConnection, posting: Posting) -> bool:
        headers = posting.headers(self._secret_of(posting.endpoint))
        path = f"/webhooks/{posting.endpoint}"
        self._history.note("invoke", posting)
        with self._counting:
            self.in_flight += 1
        try:
            connection.request("POST", path, posting.body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._history.note("indeterminate", posting, type(error).__name__)
            return False
        finally:
            with self._counting:
                self.in_flight -= 1
        if answer.status == 202:
            self._history.note("ok", posting)
            return True
        self._history.note("refused", posting, str(answer.status))
        if answer.status != 503:
            text = told.decode(errors="replace")[:200]
            self._history.complain(f"{posting.delivery_id} was answered {answer.status}: {text}")
        return False
