"""How the `stripe` package reaches our own HTTP port, and how its errors become ours.

Only the connector beside this file uses it. The package brings its own retries, telemetry
and logging; all of them are off here, because trying again is the worker's decision and
payloads do not belong in a log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import stripe

from connectors.http import Http, Request, Response
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)

API_VERSION: Final = "2026-10-28.endive"
"""The API version that the installed package was made for; a test keeps the two equal."""
API_BASE: Final = "https://api.stripe.com"

Answer = TypeVar("Answer")

# Sends what the package measured of the last request with the next one: not ours to tell.
stripe.enable_telemetry = False
# At DEBUG the package logs whole request and answer bodies, at INFO Stripe's error messages.
logging.getLogger("stripe").setLevel(logging.WARNING)


class NotThereError(PermanentError):
    """Stripe itself says that there is no such object (a 404 in its own words)."""


class PortClient(stripe.HTTPClient):
    """The package's HTTP client, sending through our port.

    Promises the package a JSON object: whatever else comes back is one of our errors at once,
    because the package would put the body into its message, or stumble over it.
    """

    name = "billhook"

    def __init__(self, http: Http) -> None:
        super().__init__()
        self._http = http

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        changes = method.lower() != "get"
        body = post_data.encode() if post_data else None
        try:
            answer = self._http.send(Request(method.upper(), url, dict(headers or {}), body))
        except OutcomeUnknownError as error:
            if changes:
                raise
            raise TransientError(str(error)) from error
        if not _is_from_stripe(answer):
            raise _unreadable(answer, changes=changes)
        return answer.body.decode(), answer.status, answer.headers

    def close(self) -> None:
        """Do nothing: connections belong to the port."""


class Api:
    """The package's client with our errors: `read` changes nothing there, `write` may."""

    def __init__(self, api_key: str, http: Http, *, api_base: str = API_BASE) -> None:
        self._api_key = api_key
        self.v1 = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base.rstrip("/")},
            max_network_retries=0,
            http_client=PortClient(http),
        ).v1

    def read(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """Return the answer to a request that changes nothing; `doing` names it in an error."""
        try:
            return call()
        except stripe.StripeError as error:
            raise self._translated(error, doing, changes=False) from None

    def write(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """Return the answer to a request that changes something; a 5xx leaves that open."""
        try:
            return call()
        except stripe.StripeError as error:
            raise self._translated(error, doing, changes=True) from None

    def _translated(
        self, error: stripe.StripeError, doing: str, *, changes: bool
    ) -> ConnectorError:
        status = error.http_status or 0
        headers: Mapping[str, str] = error.headers or {}
        said = (error.user_message or error.code or "no reason given").replace(self._api_key, "***")
        told = f"stripe: {doing}: {' '.join(said.split())[:300]} (HTTP {status}"
        told += f", {error.request_id})" if error.request_id else ")"
        if status in (401, 403):
            return _not_allowed(status)
        if status == 429:
            return RateLimitedError(f"stripe: {doing}: too many requests", _retry_after(headers))
        if status == 409:
            # A lock or the same key in flight: Stripe carried nothing out and stored nothing.
            # https://docs.stripe.com/api/idempotent_requests
            return TransientError(told, _retry_after(headers))
        if isinstance(error, stripe.IdempotencyError):
            # Some earlier request with this key got through, with other content.
            return OutcomeUnknownError(f"{told} - look for the invoice before trying again")
        if status == 404 and "similar object exists" in said:
            # A test key asking for a live object: that proves nothing about the object.
            return PermanentError(f"{told} - use the API key of the mode it was created in")
        if status == 404:
            return NotThereError(f"{told} - check that it was not deleted in Stripe")
        if 400 <= status < 500:
            return RejectedError(f"{told} - correct the draft, then push it again")
        if changes:
            replayed = headers.get("idempotent-replayed") == "true"
            again = "; Stripe replays this answer for the key" if replayed else ""
            return OutcomeUnknownError(f"{told}{again} - look for the invoice before trying again")
        return TransientError(told, _retry_after(headers))


def _is_from_stripe(answer: Response) -> bool:
    """Return whether this is JSON as Stripe writes it, not the page of a proxy on the way."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return False
    if not isinstance(content, dict):
        return False
    if 200 <= answer.status < 300:
        return isinstance(content.get("object"), str) or content.get("deleted") is True
    return isinstance(content.get("error"), dict)


def _unreadable(answer: Response, *, changes: bool) -> ConnectorError:
    told = f"stripe: the answer is not Stripe's JSON (HTTP {answer.status})"
    if answer.status in (401, 403):
        return _not_allowed(answer.status)
    if answer.status == 429:
        return RateLimitedError(told, _retry_after(answer.headers))
    if changes:
        return OutcomeUnknownError(f"{told} - look for the invoice before trying again")
    return TransientError(told, _retry_after(answer.headers))


def _not_allowed(status: int) -> PermanentError:
    """Return the error without Stripe's own message, which repeats a part of the key."""
    if status == 401:
        return PermanentError(
            "stripe: the API key was refused (HTTP 401) - set a valid key in the environment "
            "variable that workspace.yaml names as `api_key`"
        )
    return PermanentError(
        "stripe: the API key may not do this (HTTP 403) - give it read and write permission for "
        "customers and invoices, and read permission for payments, disputes and events"
    )


def _retry_after(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
