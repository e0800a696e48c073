"""The browser comes back: a listener on 127.0.0.1 for one answer of an identity provider, RFC 8252.

Only `flask connectors connect` starts it, on the admin's own machine, for ten minutes at most. What
does not belong to the question that was asked is turned away, and the listener goes on waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

from connectors.authorization import UnaskedError
from ledger.errors import BillhookError

HOST: Final = "127.0.0.1"
PORT: Final = 8765
PATH: Final = "/callback"
_NAMES: Final = ("127.0.0.1", "localhost")
_IDLE_SECONDS: Final = 5
_DONE: Final = "Billhook is connected. You can close this window.\n"
_FAILED: Final = "Billhook is not connected. The terminal says why.\n"


def is_loopback(redirect: str) -> bool:
    """Return whether an address leads to a listener here."""
    parts = urlsplit(redirect)
    return parts.scheme == "http" and parts.hostname in _NAMES


class Listener:
    """Listens from the moment that it is made, so that the address is only told once it works."""

    def __init__(self, redirect: str, answer: Callable[[str], None]) -> None:
        """Listen where `redirect` leads; `answer` is called with each whole address that came.

        It raises UnaskedError for one that does not end the wait. Raise OSError if the port is
        taken.
        """
        parts = urlsplit(redirect)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path or "/"
        self._answer = answer
        self._is_done = threading.Event()
        self._one_at_a_time = threading.Lock()
        self.problem: BillhookError | None = None
        """Why the answer brought no connection."""
        self._server = ThreadingHTTPServer((HOST, parts.port or 80), self._handler())
        # So that the browser hears the end, too.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Listener:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, after whoever was being answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer; return whether it came in time."""
        return self._is_done.wait(seconds)

    def take(self, target: str, host: str) -> tuple[int, str]:
        """Return status and text for a request."""
        if urlsplit(f"//{host}").hostname not in _NAMES:
            return 421, "Ask for 127.0.0.1.\n"
        if urlsplit(target).path != self._path:
            return 404, "There is nothing here.\n"
        with self._one_at_a_time:
            if self._is_done.is_set():
                return 410, "This was answered already.\n"
            try:
                self._answer(self._origin + target)
            except UnaskedError:
                return 400, "This answers nothing that was asked.\n"
            except BillhookError as error:
                self.problem = error
            self._is_done.set()
        return (200, _DONE) if self.problem is None else (400, _FAILED)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _IDLE_SECONDS

            def do_GET(self) -> None:
                status, text = listener.take(self.path, self.headers.get("Host", ""))
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                # The code must go nowhere else, and the page must not come back from a cache.
                self.send_header("Referrer-Policy", "no-referrer")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: addresses hold the code."""

        return Handler
