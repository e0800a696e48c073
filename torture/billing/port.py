"""The misbehaving billing system behind the HTTP port, in process and without a socket."""

from __future__ import annotations

from collections.abc import Callable

from connectors.http import Request, Response
from ledger.errors import OutcomeUnknownError

from .system import BillingSystem


class InProcessBilling:
    """The HTTP port; time that the system takes passes on the clock of the test."""

    def __init__(
        self, system: BillingSystem, let_pass: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """Lead to a system; `let_pass` is told the seconds that an answer takes."""
        self.system = system
        self._let_pass = let_pass

    def send(self, request: Request) -> Response:
        """Return the answer; raise OutcomeUnknownError where it breaks the connection."""
        reply = self.system.answer(request)
        if reply.held_seconds:
            self._let_pass(reply.held_seconds)
        if reply.is_lost:
            raise OutcomeUnknownError("torture: the connection broke before the answer")
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Response(reply.status, headers, reply.body)
