"""The other systems of the crash points: stand-ins in process, behind a proxy that misbehaves.

The misbehaving billing system brings its own faults; the stand-ins of Stripe and Jira are
well-behaved, so a proxy on the way misbehaves for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from connectors.http import Http, Request, Response
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.rig import InProcessHttp
from ledger.errors import OutcomeUnknownError
from torture.billing.faults import OrderedPlan
from torture.billing.port import InProcessBilling
from torture.billing.profiles import REAL

from .effects import STALL

READS: Final = (STALL, "drop_before", "429", "500_before", "html_before")
UNPROTECTED: Final = (*READS[1:], "lost_after", "html_after")
"""What can hit a change that the other system would make twice. A process that stands still
between its last look at its claim and such a request cannot be helped: nothing is fenced there."""
CHANGES: Final = (*UNPROTECTED, STALL)
STRIPE_CHANGES: Final = (*CHANGES, "sticky500_effect", "sticky500_no_effect", "late_commit")


class Proxied:
    """A well-behaved stand-in behind a proxy that loses requests and answers."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner

    def possible(self, request: Request) -> Sequence[str]:
        """Return the faults that could hit a request."""
        return READS if request.method == "GET" else UNPROTECTED

    def send(self, request: Request, fault: str | None) -> Response:
        """Answer a request, well or with a fault."""
        match fault:
            case "drop_before":
                raise OutcomeUnknownError("torture: the connection broke")
            case "429":
                return Response(429, {"retry-after": "7"}, b"{}")
            case "500_before":
                return Response(500, {}, b'{"error": {}}')
            case "html_before":
                return Response(200, {}, b"<html>Please log in</html>")
        answer = self._inner.send(request)
        match fault:
            case "lost_after":
                raise OutcomeUnknownError("torture: the connection broke before the answer")
            case "html_after":
                return Response(200, {}, b"<html>Please log in</html>")
        return answer


class ProxiedStripe(Proxied):
    """Stripe's stand-in: the proxy also keeps 500s under their keys and lets requests be late."""

    def __init__(self, app: StripeStandIn, now: Callable[[], float]) -> None:
        super().__init__(InProcessHttp(app))
        self._app, self._now = app, now
        self._kept: dict[str, Response] = {}
        self._late: list[tuple[float, Request]] = []

    def possible(self, request: Request) -> Sequence[str]:
        """Return the faults that could hit a request."""
        if request.method == "POST" and "Idempotency-Key" in request.headers:
            return STRIPE_CHANGES
        return super().possible(request)

    def catch_up(self) -> None:
        """Carry out what was to be late, as far as it is due."""
        due = [request for at, request in self._late if at <= self._now()]
        self._late = [each for each in self._late if each[0] > self._now()]
        for request in due:
            self._inner.send(request)

    def send(self, request: Request, fault: str | None) -> Response:
        """Answer a request, well or with a fault."""
        self.catch_up()
        key = request.headers.get("Idempotency-Key", "")
        if key in self._kept:
            return self._kept[key]
        if any(key == late.headers.get("Idempotency-Key") for _, late in self._late if key):
            return _error(409, "idempotency_error", "idempotency_key_in_use")
        match fault:
            case "late_commit":
                self._late.append((self._now() + REAL.client_timeout + REAL.late, request))
                raise OutcomeUnknownError("torture: no answer in time")
            case "sticky500_no_effect":
                broken = _error(500, "api_error", "")
                replayed = {**broken.headers, "idempotent-replayed": "true"}
                self._kept[key] = Response(500, replayed, broken.body)
                return broken
            case "sticky500_effect":
                self._app.faults.append({"do": "500_after", "path": ""})
                return self._inner.send(request)
        return super().send(request, fault)


class MisbehavingBilling:
    """The misbehaving billing system, told when to misbehave."""

    def __init__(self, port: InProcessBilling, plan: OrderedPlan) -> None:
        self._port, self._plan = port, plan

    def possible(self, request: Request) -> Sequence[str]:
        """Return the faults that could hit a request."""
        possible = self._port.system.possible(request)
        profile = self._port.system.profile
        is_protected = profile.has_keys or profile.has_versions or request.method == "GET"
        return [*possible, STALL] if is_protected else possible

    def send(self, request: Request, fault: str | None) -> Response:
        """Answer a request, well or with a fault."""
        if fault is not None:
            self._plan.waiting = [fault]
        return self._port.send(request)


def _error(status: int, kind: str, code: str) -> Response:
    error = {"type": kind, "code": code, "message": "Something went wrong"}
    return Response(status, {"request-id": "req_torture"}, json.dumps({"error": error}).encode())
