"""Receive and verify: the one route through which deliveries come in.

A 202 (a 200 for tools that insist on it) means that the delivery is on disk. Nothing is read
from the body before its signature holds, and nothing but the inbox is written.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog
from flask import Blueprint, Request, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected

from ledger.errors import SignatureError
from ledger.events import Delivery
from ledger.ports import Clock, Doorbell

from .source import Source

STAGE: Final = "normalize"
RETRY_AFTER_SECONDS: Final = 5
_ENDPOINT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Headers are stored with a delivery, but nothing that could open a door.
_NEVER_KEPT: Final = re.compile(r"(authorization|cookie|token|secret|x-forwarded)", re.IGNORECASE)
_OURS: Final = "billhook-"
"""Headers that only Billhook itself sets; in a request from outside they are passed over."""
EVENT: Final = "billhook-event"
# Written once: this is what nearly every request gets.
_FRESH: Final = b'{"status":"accepted"}\n'
_REPEATED: Final = b'{"status":"repeated"}\n'

log = structlog.get_logger("receiver")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One configured source with its secrets, as the receiver needs it."""

    name: str
    source: Source
    secrets: tuple[str, ...]
    path_token: str | None = None
    """Set where unsigned deliveries are allowed: the URL's random end stands for a signature."""
    is_open: bool = False
    """A tool that validates an address before it signs anything is answered just now."""


class Keeper(Protocol):
    """What the receiver needs of the inbox."""

    def accept(self, request: Delivery, *, source: str, delivery_id: str | None) -> bool:
        """Store a delivery durably; return False if it is a repetition."""
        ...

    def refuse(self, endpoint: str, reason: str) -> None:
        """Count a delivery that was turned away."""
        ...


def receiver(
    inbox: Keeper,
    endpoint_named: Callable[[str], Endpoint | None],
    clock: Clock,
    doorbell: Doorbell,
    *,
    most_bytes: int,
    base_url: str | None = None,
) -> Blueprint:
    """Return the blueprint with `POST /webhooks/<endpoint>`.

    `base_url` is the address by which the tools reach Billhook; some of them sign it.
    """
    blueprint = Blueprint("webhooks", __name__)

    @blueprint.get("/webhooks/<name>")
    def greet(name: str) -> Response:
        try:
            endpoint = endpoint_named(name) if _ENDPOINT.fullmatch(name) else None
        except Exception as error:
            log.error("endpoint_not_ready", endpoint=name, error=type(error).__name__)
            return _try_again(name)
        if endpoint is None or not endpoint.source.answers_head:
            return _answer(404, f"{name[:64]}: takes deliveries by POST only")
        return Response(b"", 200)

    @blueprint.post("/webhooks/<name>")
    @blueprint.post("/webhooks/<name>/<tail>")
    def receive(name: str, tail: str | None = None) -> Response:
        try:
            endpoint = endpoint_named(name) if _ENDPOINT.fullmatch(name) else None
        except Exception as error:
            # Without its secret, or without the database, an endpoint accepts nothing.
            log.error("endpoint_not_ready", endpoint=name, error=type(error).__name__)
            return _try_again(name)
        if endpoint is None or endpoint.source.signature is None or not _path_fits(endpoint, tail):
            return _answer(404, f"{name[:64]}: no such endpoint - see sources: in workspace.yaml")
        if not _is_welcome(request.mimetype, endpoint.source):
            text = f"{name}: takes application/json only - set the content type in the tool"
            return _refused(name, "content type", 415, text)
        try:
            body = _read(request, most_bytes)
        except ClientDisconnected:
            return _refused(name, "cut off", 400, f"{name}: the body did not arrive whole")
        if body is None:
            return _refused(
                name, "too large", 413, f"{name}: a body has at most {most_bytes} bytes"
            )
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _refused(name, "compressed", 415, f"{name}: send the body without compression")
        # A header that is sent twice is joined, as HTTP says; no signature survives that.
        delivery = Delivery(
            headers={
                key.lower(): value
                for key, value in request.headers.items()
                if not key.lower().startswith(_OURS)
            },
            body=body,
            received_at=clock.now(),
            endpoint=name,
            url=(base_url or "") + request.full_path.rstrip("?"),
        )
        if tail in endpoint.source.url_events:
            delivery = replace(delivery, headers={**delivery.headers, EVENT: tail})
        if endpoint.is_open and (greeting := endpoint.source.greeting(delivery)) is not None:
            log.info("greeted", endpoint=name)
            return Response(greeting.body, greeting.status, dict(greeting.headers))
        if endpoint.path_token is None:
            try:
                endpoint.source.verify(delivery, endpoint.secrets, now=delivery.received_at)
            except SignatureError as error:
                return _as_wanted(
                    endpoint.source, _refused(name, "signature", 401, f"{name}: {error}")
                )
        answer = endpoint.source.handshake(delivery)
        if answer is not None:
            return Response(answer.body, answer.status, dict(answer.headers))
        return _store(endpoint, delivery)

    def _store(endpoint: Endpoint, delivery: Delivery) -> Response:
        source = endpoint.source
        revealing = source.signature.revealing if source.signature else ()
        kept = {
            key: value
            for key, value in delivery.headers.items()
            if not _NEVER_KEPT.search(key) and key not in revealing
        }
        arrival = delivery.received_at.isoformat() if source.orders_by_arrival else None
        try:
            is_fresh = inbox.accept(
                Delivery(kept, delivery.body, delivery.received_at, endpoint.name),
                source=source.key,
                delivery_id=arrival or source.delivery_id(delivery),
            )
        except Exception as error:
            # Whatever the reason: it is not on disk, so the sender must send it again.
            log.error("delivery_not_stored", endpoint=endpoint.name, error=type(error).__name__)
            return _try_again(endpoint.name)
        doorbell.ring(STAGE)
        answer = _FRESH if is_fresh else _REPEATED
        return _as_wanted(
            source, Response(answer, source.accepted_status, mimetype="application/json")
        )

    def _refused(name: str, reason: str, status: int, text: str) -> Response:
        log.warning("delivery_refused", endpoint=name, reason=reason)
        try:
            inbox.refuse(name, reason)
        except Exception as error:
            log.error("refusal_not_counted", endpoint=name, error=type(error).__name__)
        return _answer(status, text)

    return blueprint


def _as_wanted(source: Source, answer: Response) -> Response:
    """Return the answer to a delivery, without a body for a tool that takes none."""
    if source.answers_without_body:
        answer.set_data(b"")
    return answer


def _path_fits(endpoint: Endpoint, tail: str | None) -> bool:
    if endpoint.path_token is None:
        return tail is None or tail in endpoint.source.url_events
    given = (tail or "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, endpoint.path_token.encode())


def _is_welcome(content_type: str, source: Source) -> bool:
    """Return whether a body of this type is looked at. None is taken for JSON, as it is read so.

    It never chooses how the body is read: there is one strict reader of JSON, and no file or part
    of a form is ever opened.
    """
    is_json = content_type in ("", "application/json", "text/json") or content_type.endswith(
        "+json"
    )
    return is_json or (source.takes_forms and content_type == "application/x-www-form-urlencoded")


def _read(incoming: Request, most_bytes: int) -> bytes | None:
    """Return the body, None if it is longer than allowed; never read more than that.

    Raise ClientDisconnected if it did not arrive whole: a token does not prove what is missing.
    """
    if (incoming.content_length or 0) > most_bytes:
        return None
    body: bytes = incoming.stream.read(most_bytes + 1)
    if len(body) < (incoming.content_length or 0):
        raise ClientDisconnected
    return body if len(body) <= most_bytes else None


def _try_again(name: str) -> Response:
    answer = _answer(503, f"{name}: cannot take deliveries just now - send it again")
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _answer(status: int, text: str) -> Response:
    content: dict[str, Any] = {"error": text}
    answer = jsonify(content)
    answer.status_code = status
    return answer
