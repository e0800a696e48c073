"""The web server's worker: gunicorn's threads, of which no slow client holds one for long.

gunicorn waits for ever for the rest of a request whose first bytes have come. Here each request
has `READ_SECONDS` to arrive whole, however it trickles in; then its connection reads as ended,
what was sent so far is dropped, and the thread is free. A body that cannot be read to its end is
the client's mistake, 400, and no error of ours. The `Procfile` names this worker. Behind a router
that buffers requests, as most platforms have one, it is a second line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from gunicorn.http.errors import ParseException
from gunicorn.workers import gthread
from werkzeug.exceptions import ClientDisconnected

READ_SECONDS: Final = 8.0
"""How long a request may take to arrive: head and body."""
ANSWER_SECONDS: Final = 60.0
"""How long until a connection is cut whose client does not take its answer."""
_LOOK_SECONDS: Final = 0.5
_NO_MORE_READING, _NOTHING_MORE = 0, 2


class Deadlines:
    """Ends the reading of connections that have been in a thread's hands for too long."""

    def __init__(
        self, read_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read_seconds = read_seconds
        self._monotonic = monotonic
        self._begun: dict[Any, float] = {}
        self._changing = threading.Lock()

    def begin(self, connection: Any) -> None:
        """Let the time of a request begin."""
        with self._changing:
            self._begun[connection] = self._monotonic()

    def end(self, connection: Any) -> None:
        """Forget a request that has been answered or given up."""
        with self._changing:
            self._begun.pop(connection, None)

    def enforce(self) -> int:
        """End the reading of what is late; return how many connections that were.

        An answer can still be written: a request that is already whole loses nothing by it.
        """
        now = self._monotonic()
        with self._changing:
            late = [
                (connection, now - begun)
                for connection, begun in self._begun.items()
                if now - begun > self._read_seconds
            ]
            for connection, age in late:
                how = _NOTHING_MORE if age > ANSWER_SECONDS else _NO_MORE_READING
                try:
                    connection.shutdown(how)
                except OSError:
                    continue  # It is closed already.
        return len(late)

    def watch(self) -> None:
        """Enforce for as long as the process lives."""
        while True:
            time.sleep(_LOOK_SECONDS)
            self.enforce()


class _Body:
    """A request's body as it comes in: whatever goes wrong with it, the client gets a 400."""

    def __init__(self, incoming: Any) -> None:
        self._incoming = incoming

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; raise ClientDisconnected if they cannot be had."""
        return self._guarded(self._incoming.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Return the next line; raise ClientDisconnected if it cannot be had."""
        return self._guarded(self._incoming.readline, size)

    def _guarded(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            return read(size)
        except (OSError, ParseException) as error:
            raise ClientDisconnected(type(error).__name__) from None


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, and a deadline for each request."""

    wsgi: Any

    def init_process(self) -> None:
        """Start the watch in the process that serves, then serve."""
        self.deadlines = Deadlines(READ_SECONDS)
        threading.Thread(target=self.deadlines.watch, name="deadlines", daemon=True).start()
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and guard what it reads."""
        super().load_wsgi()
        application = self.wsgi

        def guarded(environ: dict[str, Any], start: Any) -> Any:
            environ["wsgi.input"] = _Body(environ["wsgi.input"])
            return application(environ, start)

        self.wsgi = guarded

    def handle(self, conn: Any) -> Any:
        """Serve one request; called in a thread of the pool."""
        self.deadlines.begin(conn.sock)
        try:
            return super().handle(conn)
        finally:
            self.deadlines.end(conn.sock)
