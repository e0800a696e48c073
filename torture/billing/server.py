"""The misbehaving billing system as a real HTTP server on a loopback port.

Beside the API it has what only the judge and the harness use: `GET /_truth`, `GET /_faults`,
`POST /_happen`. Tokens rotate where it was started so (`tokens.py`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from connectors.http import Request

from .system import BillingSystem, Reply
from .tokens import Tokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CATCH_UP_SECONDS: Final = 0.05


class BillingSite:
    """The WSGI application around a system."""

    def __init__(self, system: BillingSystem, tokens: Tokens | None = None) -> None:
        self._system, self._tokens = system, tokens

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request; break the connection where the system says so."""
        request = WsgiRequest(environ)
        return self._answered(request)(environ, start)

    def _answered(self, request: WsgiRequest) -> WsgiResponse:
        system = self._system
        match request.path:
            case "/_truth":
                return _json(system.truth())
            case "/_faults":
                return _json(system.store.counted())
            case "/_happen":
                system.happen(**json.loads(request.get_data()))
                return _json({})
            case "/oauth/token" if self._tokens is not None:
                status, body = self._tokens.refresh(request.form.to_dict())
                return _json(body, status)
        reply: Reply = system.answer(
            Request(
                request.method,
                request.full_path,
                dict(request.headers.items()),
                request.get_data(),
            )
        )
        # Outside the system's lock: others are served meanwhile.
        time.sleep(reply.held_seconds)
        if reply.is_lost:
            raise ConnectionAbortedError
        return WsgiResponse(reply.body, reply.status, dict(reply.headers))


class _Handler(WSGIRequestHandler):
    """Closes a connection that breaks, which the base class keeps open, and writes no log."""

    def connection_dropped(self, *_: object) -> None:
        self.close_connection = True

    def log_request(self, *_: object) -> None:
        pass


class Serving:
    """A site that listens on a loopback port, in threads of its own."""

    def __init__(self, system: BillingSystem, *, port: int = 0, tokens: Tokens | None = None):
        site = BillingSite(system, tokens)
        self._server = make_server("127.0.0.1", port, site, threaded=True, request_handler=_Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._system = system
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._catch_up, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def _catch_up(self) -> None:
        # What is late is late by itself, and does not wait for the next request.
        while not self._stop.wait(CATCH_UP_SECONDS):
            self._system.catch_up()


def _json(body: Any, status: int = 200) -> WsgiResponse:
    return WsgiResponse(json.dumps(body), status, content_type="application/json")
