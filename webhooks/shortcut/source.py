"""Shortcut as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from ledger.errors import PayloadError
from ledger.events import FOUND, Delivery

from ..payload import Payload, parse
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source
from . import readers


class ShortcutSource(Source):
    """Shortcut, once Clubhouse: the outgoing webhook of a workspace.

    A delivery is one change with several actions on several things, so it has no type but the
    version of its form.
    """

    key = "shortcut"
    name = "Shortcut"
    docs_url = "https://developer.shortcut.com/api/webhook/v1"
    signature: ClassVar[Signature | None] = Hmac("Payload-Signature")
    signed_example = SignedExample(
        secret="a made-up secret",  # noqa: S106 - made up, secures nothing
        headers={
            "payload-signature": "1907a93965782fd8114161c079b13f0d572a75c397a4e45c3fb5ab160e12fef4"
        },
        body=b'{"id": "6650a1b2-0000-4000-8000-000000000001", "version": "v1", "actions": []}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://developer.shortcut.com/api/webhook/v1#Signature",
    )
    kinds = ("work.completed", "work.reopened", "milestone.completed", "milestone.reopened")
    replay = "the body's `id`, which is signed"
    proven = "recorded bodies of other changes, the completed ones from documentation, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "v1": readers.changed,
        "found:story": readers.found_story,
        "found:epic": readers.found_epic,
    }

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return payload.text("version")

    def delivery_id(self, delivery: Delivery) -> str | None:
        if FOUND in delivery.headers:
            return None
        try:
            return parse(delivery.body).identifier("id")
        except PayloadError:
            return None
