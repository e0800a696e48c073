"""What the stand-ins of project tools share: routes, faults to order, ways to be reached.

`stand_in.py` in each folder adds what the tool itself answers. Never for production.
"""

from __future__ import annotations

import argparse
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response as WsgiResponse

from connectors.http import Request, Response
from ledger.errors import OutcomeUnknownError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_CONTROL: Final = "/_control/"


class DroppedError(ConnectionError):
    """The connection breaks without an answer; the server closes it as if the client had left."""


@dataclass
class Fault:
    """What goes wrong with the next request that fits: once, then it is used up."""

    do: str
    """`drop_request` and `drop_reply` break the connection before or after the request is carried
    out; `html`, `429`, `500` and other statuses answer without carrying it out, and with `_after`
    (`500_after`) once it has been."""
    path: str = ""
    """A part of the path; empty fits every path."""
    method: str = ""
    wait: int = 7
    """The seconds that a 429 or 503 advises to wait."""

    def fits(self, request: WsgiRequest) -> bool:
        """Return whether this request is the one."""
        return self.path in request.path and self.method in ("", request.method)

    @property
    def is_carried_out(self) -> bool:
        """Return whether the request still has its effect."""
        return self.do.endswith(("_after", "_reply"))

    def answer(self) -> WsgiResponse:
        """Return the answer that is given instead; raise DroppedError if there is none."""
        what = self.do.partition("_")[0]
        if what == "drop":
            raise DroppedError
        if what == "html":
            return WsgiResponse("<html>Please log in</html>", 200, content_type="text/html")
        headers = {"Retry-After": str(self.wait)} if what in ("429", "503") else {}
        return WsgiResponse("{}", int(what), headers, content_type="application/json")


class StandIn(ABC):
    """One tool as a WSGI application: the endpoint of a route is the method that answers it."""

    routes: ClassVar[tuple[Rule, ...]]

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        """Method and path of every request to the API, in order."""
        self._lock = threading.RLock()
        self._map = _map_of(type(self))

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request; raise DroppedError where the connection is to break."""
        request = WsgiRequest(environ)
        with self._lock:
            answer = self._answer(request)
        return answer(environ, start)

    @abstractmethod
    def authenticate(self, request: WsgiRequest) -> None:
        """Raise Unauthorized or another HTTPException unless the tool would let the request in."""

    @abstractmethod
    def problem(self, description: str) -> dict[str, Any]:
        """Return the body of an error as the tool shapes it."""

    def order_faults(self, request: WsgiRequest) -> WsgiResponse:
        """Take orders: `{"next": [{"do": "drop_reply", "path": "/comment", "method": "POST"}]}`."""
        self.faults += [Fault(**fault) for fault in body(request, "next")["next"]]
        return json_answer({"waiting": len(self.faults)}, 201)

    def _answer(self, request: WsgiRequest) -> WsgiResponse:
        if request.path.startswith(_CONTROL):
            return self._carried_out(request)
        self.requests.append(f"{request.method} {request.path}")
        fault = next((fault for fault in self.faults if fault.fits(request)), None)
        if fault is None:
            return self._carried_out(request)
        self.faults.remove(fault)
        if fault.is_carried_out:
            self._carried_out(request)
        return fault.answer()

    def _carried_out(self, request: WsgiRequest) -> WsgiResponse:
        try:
            if not request.path.startswith(_CONTROL):
                self.authenticate(request)
            endpoint, values = self._map.bind_to_environ(request.environ).match()
            answer: WsgiResponse = getattr(self, endpoint)(request, **values)
        except HTTPException as problem:
            return json_answer(self.problem(str(problem.description)), problem.code or 500)
        return answer


@cache
def _map_of(site: type[StandIn]) -> Map:
    """Return the routes of a stand-in as one map: slow to make, and the same for each of a kind."""
    control = Rule(_CONTROL + "faults", endpoint="order_faults", methods=["POST"])
    return Map([control, *(rule.empty() for rule in site.routes)])


class InProcess:
    """The HTTP port with a stand-in on its other side, without a socket."""

    def __init__(self, site: StandIn) -> None:
        self._client = Client(site)

    def send(self, request: Request) -> Response:
        """Return the answer; raise OutcomeUnknownError where the stand-in breaks the connection."""
        try:
            answer = self._client.open(
                request.url,
                method=request.method,
                headers=dict(request.headers),
                data=request.body,
            )
        except DroppedError as error:
            raise OutcomeUnknownError("stand-in: the connection broke") from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.get_data())


class _Handler(WSGIRequestHandler):
    """Closes a connection that breaks, which the base class keeps open, and writes no log."""

    def connection_dropped(self, *_: object) -> None:
        self.close_connection = True

    def log_request(self, *_: object) -> None:
        pass


@contextmanager
def serve(site: StandIn, port: int = 0) -> Iterator[str]:
    """Serve a stand-in on the loopback interface while the block runs; give its address."""
    server = make_server("127.0.0.1", port, site, threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def serve_for_ever(site: StandIn) -> None:
    """Serve a stand-in on the port that the command line names, until interrupted."""
    parser = argparse.ArgumentParser(description="A stand-in for tests and the demo")
    parser.add_argument("--port", type=int, required=True)
    with serve(site, parser.parse_args().port):
        threading.Event().wait()


def json_answer(content: object, status: int = 200) -> WsgiResponse:
    """Return an answer that holds JSON."""
    return WsgiResponse(json.dumps(content), status, content_type="application/json")


def query(request: WsgiRequest, *known: str) -> dict[str, str]:
    """Return the query words; raise BadRequest for one that is not documented."""
    if unknown := set(request.args) - set(known):
        raise BadRequest(f"unknown query words: {sorted(unknown)}")
    return request.args.to_dict()


def body(request: WsgiRequest, *known: str) -> dict[str, Any]:
    """Return the JSON object sent; raise BadRequest for a key that is not documented."""
    try:
        content = json.loads(request.get_data() or b"{}")
    except ValueError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(content, dict):
        raise BadRequest("the body is not an object")
    if unknown := set(content) - set(known):
        raise BadRequest(f"unknown keys: {sorted(unknown)}")
    return content
