"""What the shared contract tests need: a stand-in in this process, reached without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from werkzeug.test import Client

from connectors.contract import ContractRig
from connectors.http import Request, Response
from ledger.errors import OutcomeUnknownError

from ..connector import StripeConnector
from ..currencies import to_stripe
from .happenings import HAPPENINGS
from .server import API_KEY, StripeStandIn

BASE = "http://stripe.stand-in.example"


class InProcessHttp:
    """The HTTP port, answered by a stand-in in this process."""

    def __init__(self, app: StripeStandIn) -> None:
        self._client = Client(app)

    def send(self, request: Request) -> Response:
        """Return the stand-in's answer; a dropped reply is an unknown outcome."""
        try:
            answer = self._client.open(
                request.url.removeprefix(BASE),
                method=request.method,
                headers=list(request.headers.items()),
                data=request.body,
            )
        except ConnectionAbortedError as error:
            raise OutcomeUnknownError(f"stand-in: {error}") from error
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.data)


def _refusal(status: int) -> Response:
    # Stripe's own message for a wrong key repeats a part of it; this one repeats all of it.
    error = {"type": "invalid_request_error", "message": f"No, not with {API_KEY}"}
    headers = {"retry-after": "7", "content-type": "application/json"}
    return Response(status, headers, json.dumps({"error": error}).encode())


def contract_setup(_folder: Path) -> ContractRig:
    """Return a fresh stand-in, whose state is kept in the memory only."""
    app = StripeStandIn()

    def happening(what: str) -> Callable[[str, int], None]:
        def happen(remote_id: str, minor: int) -> None:
            currency = app.book.get("invoices", remote_id)["currency"].upper()
            app.happen(what, remote_id, to_stripe(minor, currency))

        return happen

    return ContractRig(
        connect=lambda http: StripeConnector({"api_key": API_KEY, "api_base": BASE}, http),
        http=InProcessHttp(app),
        secret=API_KEY,
        happenings={
            **{what: happening(what) for what in HAPPENINGS},
            "overpay": happening("pay"),
        },
        refusal=_refusal,
    )
