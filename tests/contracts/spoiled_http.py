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

    def __init__(self, inner: Http, is_change: Callable[[Request], bool]) -> None:
        self._inner, self._is_change = inner, is_change
        self.spoil: Callable[[Request], Response] | None = None
        self.at, self.changes = 0, True
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        if self.spoil and self._is_change(request) == self.changes:
            self.at -= 1
            if self.at == 0:
                return self.spoil(request)
        return self._inner.send(request)

    @property
    def sent_changes(self) -> int:
        """How many of the requests so far were to change something."""
        return sum(map(self._is_change, self.requests))

    def after(self, happening: Callable[[], None]) -> Callable[[Request], Response]:
        """Return what lets something happen there just before a request arrives."""

        def late(request: Request) -> Response:
            happening()
            return self._inner.send(request)

        return late

    def lose_reply(self, request: Request) -> Response:
        self._inner.send(request)
        raise OutcomeUnknownError("test: the reply was lost")

    def lose_request(self, request: Request) -> Response:
        raise OutcomeUnknownError("test: the request was lost")
