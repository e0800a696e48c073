"""Any script as a source: it sends our own event JSON, signed. Its README is the reference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, ClassVar, Final, cast

from ledger.errors import PayloadError
from ledger.events import TOLD_BY_TOOLS, Delivery, Event, Reading

from ..payload import Payload, milliseconds, quoted
from ..signatures import AnyOf, Hmac, Signature, StandardWebhooks
from ..source import Reader, SignedExample, Source

KEYS: Final = (
    "kind",
    "subject",
    "on",
    "occurred_at",
    "changed_at",
    "project",
    "item",
    "title",
    "person",
    "person_name",
    "seconds",
    "hours",
    "billable",
    "labels",
    "fields",
    "source",
    "endpoint",
)
"""What an event may say. `source` and `endpoint` may stand there, as in an event that Billhook
wrote, but the endpoint that receives it decides both."""

_TIMED: Final = frozenset({"time.logged", "time.total"})
_MOST_SECONDS: Final = 2**31 - 1


def read_one(payload: Payload, delivery: Delivery) -> Reading:
    """Read a body that is one event."""
    return Reading(events=(_event(payload, delivery),))


def read_many(payload: Payload, delivery: Delivery) -> Reading:
    """Read a body `{"events": [...]}`: all of its events, or none if one has a mistake."""
    _refuse_unknown(payload, ("events",))
    events = tuple(_event(item, delivery) for item in payload.items("events"))
    return Reading(events=events, ignored=None if events else "the list of events is empty")


def _event(payload: Payload, delivery: Delivery) -> Event:
    _refuse_unknown(payload, KEYS)
    kind = _kind(payload)
    if not payload.has("on") and not payload.has("occurred_at"):
        raise PayloadError(
            payload.path_of("on"), "is missing - give the date of the work as 2026-03-04"
        )
    moment = payload.moment("occurred_at") if payload.has("occurred_at") else None
    on = payload.day("on") if payload.has("on") else cast(datetime, moment).date()
    return Event(
        kind=kind,
        source="generic",
        endpoint=delivery.endpoint,
        subject=payload.identifier("subject"),
        version=_version(payload, delivery),
        # Noon is on that date nearly everywhere on earth, and the same whenever it is read.
        occurred_at=(moment or datetime.combine(on, time(12), UTC)).astimezone(UTC),
        on=on,
        project=payload.optional_text("project"),
        item=payload.optional_text("item"),
        title=payload.optional_text("title"),
        person=payload.optional_text("person"),
        person_name=payload.optional_text("person_name"),
        seconds=_seconds(payload, kind),
        billable=payload.boolean("billable") if payload.has("billable") else None,
        labels=payload.texts("labels"),
        fields=_fields(payload),
    )


def _kind(payload: Payload) -> str:
    kind = payload.text("kind")
    if kind not in TOLD_BY_TOOLS:
        raise PayloadError(
            payload.path_of("kind"), f"{quoted(kind)} is no event kind{_meant(kind, TOLD_BY_TOOLS)}"
        )
    return kind


def _version(payload: Payload, delivery: Delivery) -> int:
    """Return the time of change: as told, else when the delivery was signed, else when it came."""
    if payload.has("changed_at"):
        return milliseconds(payload.moment("changed_at"))
    signed_at = delivery.headers.get("webhook-timestamp", "")
    if signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= 11:
        return int(signed_at) * 1000
    return milliseconds(delivery.received_at)


def _seconds(payload: Payload, kind: str) -> int | None:
    if payload.has("seconds") and payload.has("hours"):
        raise PayloadError(payload.path_of("hours"), "is given beside seconds - give one of them")
    if payload.has("seconds"):
        return payload.integer("seconds", least=0, most=_MOST_SECONDS)
    if payload.has("hours"):
        seconds = payload.decimal("hours") * Decimal(3600)
        if not 0 <= seconds <= _MOST_SECONDS:
            raise PayloadError(payload.path_of("hours"), "must not be negative or endless")
        if seconds != int(seconds):
            raise PayloadError(
                payload.path_of("hours"), "is not a whole number of seconds - give seconds instead"
            )
        return int(seconds)
    if kind in _TIMED:
        raise PayloadError(payload.path_of("seconds"), f"is missing - {kind} needs it, or hours")
    return None


def _fields(payload: Payload) -> Mapping[str, Any]:
    fields = payload.optional("fields")
    return {} if fields is None else {name: fields.raw(name) for name in fields.names()}


def _refuse_unknown(payload: Payload, known: tuple[str, ...]) -> None:
    for name in payload.names():
        if name not in known:
            raise PayloadError(
                payload.path_of(quoted(name)), f"is no word of an event{_meant(name, known)}"
            )


def _meant(word: str, known: tuple[str, ...] | Mapping[str, str]) -> str:
    close = get_close_matches(word[:60], list(known), n=1)
    return f' - did you mean "{close[0]}"?' if close else ""


class GenericSource(Source):
    """Our own event JSON, signed by Standard Webhooks or by a plain HMAC-SHA256."""

    key = "generic"
    name = "Any script"
    docs_url = "https://www.standardwebhooks.com"
    signature: ClassVar[Signature | None] = AnyOf(
        (StandardWebhooks(), Hmac("X-Billhook-Signature", prefix="sha256="))
    )
    signed_example = SignedExample(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # noqa: S106 - published, secures nothing
        headers={
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        body=b'{"test": 2432232314}',
        verify_at=datetime.fromtimestamp(1614265330, UTC),
        origin="https://github.com/standard-webhooks/standard-webhooks, "
        "libraries/python/tests/test_webhooks.py",
    )
    kinds = tuple(TOLD_BY_TOOLS)
    replay = "the signed webhook-id; with the plain HMAC the subject and its version"
    proven = "the published vectors of Standard Webhooks and its Python package, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        **dict.fromkeys(TOLD_BY_TOOLS, read_one),
        "events": read_many,
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return "events" if payload.has("events") else _kind(payload)

    def delivery_id(self, delivery: Delivery) -> str | None:
        # Signed by Standard Webhooks, and the same when a sender tries again.
        return delivery.headers.get("webhook-id") or None
