"""Asana as a source: the declarations, and the handshake by which a webhook begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Handshake, Reader, SignedExample, Source, because
from . import readers

_SECRET: Final = "x-hook-secret"  # noqa: S105 - the header's name
_SHAPE_OF_SECRET: Final = re.compile(r"[A-Za-z0-9_+/=-]{16,128}", re.ASCII)

_IGNORED: Final = {
    "it is Asana's test of the address when a webhook is made": "handshake",
    "it is Asana's sign of life, without events": "heartbeat",
}


class AsanaSource(Source):
    """Asana's webhooks, which name what changed; the connector is asked what it is now."""

    key = "asana"
    name = "Asana"
    docs_url = "https://developers.asana.com/docs/webhooks-guide"
    signature: ClassVar[Signature | None] = Hmac("X-Hook-Signature")
    signed_example = SignedExample(
        secret="5f0c2e9b7a4d4c1e8f63b2a9d7e01c34",  # noqa: S106 - an example, secures nothing
        headers={
            "x-hook-signature": "309a59b4b1cb1a3670e7a7d4387a886bc755152dee9ad6e5bbd53751937a4933"
        },
        body=b'{"events":[]}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://developers.asana.com/docs/webhooks-guide",
    )
    kinds = (
        "milestone.completed",
        "milestone.reopened",
        "work.completed",
        "work.reopened",
        "time.logged",
        "time.removed",
    )
    replay = "nothing in a delivery: it only says what to look at, and Asana is asked again"
    proven = "the vendor's API description and guide, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "events": readers.events,
        "found:task": readers.found_task,
        "found:time_entry": readers.found_time_entry,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)
    # A time entry has no time of change.
    orders_by_arrival: ClassVar[bool] = True

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if payload.has("events"):
            return "events" if any(True for _ in payload.items("events")) else "heartbeat"
        if _SECRET in delivery.headers and not payload.names():
            return "handshake"
        if payload.has("data"):
            raise PayloadError(
                "events", "is missing: this is an answer of Asana's API, not what a webhook sends"
            )
        raise PayloadError("events", "is missing")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None

    def greeting(self, delivery: Delivery) -> Handshake | None:
        """Send the new webhook's secret back, which is how Asana learns that it is wanted.

        The secret is not kept: the answer to making the webhook shows it to the admin too.
        """
        secret = delivery.headers.get(_SECRET, "")
        if not _SHAPE_OF_SECRET.fullmatch(secret):
            return None
        return Handshake(status=200, headers={"X-Hook-Secret": secret})
