"""The stand-in's HTTP: keys, idempotency, faults on request and the control endpoints.

`POST /_control/faults {"next": [{"path": "/add_lines", "do": "drop_reply"}]}` spoils the next
request whose path contains the text; `do` is one of `FAULTS`. `GET /_control/requests` counts
the calls. Whoever can reach the port may use them: bind it to the loopback address only.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import BadRequest
from werkzeug.http import http_date
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from ..transport import API_VERSION
from .book import DAY, Book
from .happenings import HAPPENINGS
from .hooks import Hooks
from .operations import OPERATIONS, Operation
from .parameters import Refusal, checked, decoded

Row = dict[str, Any]
API_KEY: Final = "sk_test_standin"
FAULTS: Final = ("drop_reply", "500_before", "500_after", "429", "409", "delay", "html")
DELAY_SECONDS: Final = 2


class StripeStandIn:
    """A WSGI application that behaves like Stripe, as far as Billhook knows Stripe."""

    def __init__(
        self,
        *,
        state: Path | None = None,
        hooks: Hooks | None = None,
        api_key: str = API_KEY,
        now: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self.book = Book(now, state)
        self.faults: list[Row] = []
        self.requests: Counter[str] = Counter()
        self._hooks, self._api_key = hooks, api_key
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.path.startswith("/_control/"):
            response = self._control(request)
        else:
            response = self._api(request)
        return response(environ, start_response)

    def happen(self, what: str, invoice: str, amount: int | None = None) -> Row:
        """Let something happen to an invoice, as somebody in Stripe's dashboard or a bank would."""
        with self._lock:
            outcome = HAPPENINGS[what](self.book, invoice, amount)
            self._commit()
        return outcome

    def _commit(self) -> None:
        """Keep the state first and only then tell anybody."""
        self.book.keep()
        events, self.book.events_to_post = self.book.events_to_post, []
        if self._hooks:
            for event in events:
                self._hooks.post(event)

    def _api(self, request: Request) -> Response:
        with self._lock:
            self.requests[f"{request.method} {request.path}"] += 1
            fault = self._fault(request.path)
        if fault == "delay":
            time.sleep(DELAY_SECONDS)
        if fault == "html":
            return Response("<html>Bad gateway</html>", 502, content_type="text/html")
        if fault == "429":
            return _refused(Refusal(429, "Too many requests", code="rate_limit"), retry_after=7)
        if fault == "409":
            return _refused(Refusal(409, "Key in use", code="idempotency_key_in_use"))
        if fault == "500_before":
            return _refused(Refusal(500, "Something went wrong", kind="api_error"))
        try:
            with self._lock:
                status, body, replayed = self._answered(request, is_broken=fault == "500_after")
                self._commit()
        except Refusal as refusal:
            return _refused(refusal)
        if fault == "drop_reply":
            return _hang_up(request)
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return _json(body, status, headers)

    def _fault(self, path: str) -> str | None:
        for fault in self.faults:
            if fault.get("path", "") in path:
                self.faults.remove(fault)
                return str(fault["do"])
        return None

    def _answered(self, request: Request, *, is_broken: bool) -> tuple[int, Row, bool]:
        """Carry a request out once for each key; return status, body and whether it is a replay."""
        if request.headers.get("Authorization") != f"Bearer {self._api_key}":
            raise Refusal(401, f"Invalid API Key provided: {request.headers.get('Authorization')}")
        if request.headers.get("Stripe-Version") != API_VERSION:
            raise Refusal(400, "Unknown API version")
        operation, row_id = _operation(request)
        pairs = request.form if request.method == "POST" else request.args
        given = decoded(pairs.items(multi=True))
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        kept = self.book.table("keys")
        asked = {"path": request.path, "given": given}
        if key and key in kept and kept[key]["at"] > self.book.now() - DAY:
            if kept[key]["asked"] != asked:
                message = "Keys can only be used with the same parameters they were first used with"
                raise Refusal(400, message, kind="idempotency_error")
            return kept[key]["status"], kept[key]["body"], True
        # A refusal here leaves the key unused, as Stripe does when validation fails.
        params = checked(given, operation.params)
        body = operation.carry_out(self.book, row_id, params)
        body = json.loads(json.dumps(body))
        if "payments" in body and "payments" not in params.get("expand", []):
            del body["payments"]
        status = 200
        if is_broken:
            status, body = 500, {"error": {"type": "api_error", "message": "Something went wrong"}}
        if key:
            kept[key] = {"asked": asked, "status": status, "body": body, "at": self.book.now()}
        return status, body, False

    def _control(self, request: Request) -> Response:
        what = request.path.removeprefix("/_control/")
        if request.method == "GET" and what == "requests":
            return _json(dict(self.requests), 200)
        try:
            given = request.get_json()
            if what == "faults":
                self.faults += [fault for fault in given["next"] if fault["do"] in FAULTS]
                return _json({"waiting": self.faults}, 200)
            if what not in HAPPENINGS:
                raise Refusal(404, f"There is no control endpoint {what}")
            invoice = self.happen(what, given["invoice"], given.get("amount"))
        except Refusal as refusal:
            return _refused(refusal)
        except (BadRequest, KeyError, TypeError):
            return _refused(Refusal(400, "A JSON object is needed, with `invoice` or `next`"))
        if self._hooks:
            self._hooks.wait()
        return _json(invoice, 200)


class Serving:
    """A stand-in that listens on a port of the loopback address, in a thread of its own."""

    def __init__(self, app: StripeStandIn, port: int) -> None:
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(app: StripeStandIn, port: int = 0) -> Serving:
    """Serve the stand-in in a thread; port 0 takes a free one."""
    return Serving(app, port)


def _operation(request: Request) -> tuple[Operation, str]:
    for operation in OPERATIONS:
        if found := operation.matches(request.method, request.path):
            return operation, found.group(1) if found.groups() else ""
    raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path})")


def _json(body: Row, status: int, headers: dict[str, str] | None = None) -> Response:
    given = {"Request-Id": "req_standin", "Date": http_date(), **(headers or {})}
    return Response(json.dumps(body), status, given, content_type="application/json")


def _refused(refusal: Refusal, *, retry_after: int | None = None) -> Response:
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return _json({"error": refusal.body}, refusal.status, headers)


def _hang_up(request: Request) -> Response:
    """Close the connection without an answer; the change has been made."""
    connection = request.environ.get("werkzeug.socket")
    if connection is None:
        raise ConnectionAbortedError("the stand-in dropped its reply")
    connection.shutdown(2)
    return Response(status=500)
