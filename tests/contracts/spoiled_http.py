"""HTTP ports that lose requests and replies, for the contract tests of connectors."""

from __future__ import annotations

from collections.abc import Callable

from connectors.http import Http, Request, Response
from ledger.errors import OutcomeUnknownError


class NoHttp:
    """The port of a system that has no business on the network."""

    def send(self, request: Request) -> Response:
        raise AssertionError(f"{request.url} was asked")


class SpoiledHttp:
    """Passes requests on, but spoils the nth one that changes (or, else, reads) something."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.spoil: Callable[[Request], Response] | None = None
        self.at, self.changes = 0, True
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        if self.spoil and (request.method != "GET") == self.changes:
            self.at -= 1
            if self.at == 0:
                return self.spoil(request)
        return self._inner.send(request)

    def lose_reply(self, request: Request) -> Response:
        self._inner.send(request)
        raise OutcomeUnknownError("test: the reply was lost")

    def lose_request(self, request: Request) -> Response:
        raise OutcomeUnknownError("test: the request was lost")
