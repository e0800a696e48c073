"""monday.com as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload, parse
from ..signatures import Jwt, Signature
from ..source import Handshake, Reader, SignedExample, Source, because
from . import readers

LONGEST_CHALLENGE: Final = 255
"""Characters; monday.com's has 52."""
CHALLENGE: Final = "challenge"

_IGNORED: Final = {
    "it is monday.com's test of the address": CHALLENGE,
    "an item counts when its status is one of the done ones": (
        "create_pulse create_item create_subitem"
    ),
    "the item was only renamed": "update_name change_name change_subitem_name",
    "a group only arranges items": (
        "move_pulse_into_group move_pulse_from_group item_moved_to_any_group "
        "item_moved_to_specific_group move_subitem"
    ),
    "an item that is archived is not done by that": (
        "archive_pulse item_archived subitem_archived"
    ),
    "an item that is taken out of the archive is not opened again by that": (
        "restore_pulse item_restored"
    ),
    "a deleted item takes nothing back by itself: change its status before": (
        "delete_pulse item_deleted subitem_deleted"
    ),
    "an update of the conversation is no work that is billed": (
        "create_update edit_update delete_update create_subitem_update"
    ),
    "a new column is no work that is billed": "create_column",
}


class MondaySource(Source):
    """monday.com: webhooks of a board, signed where an app made them."""

    key = "monday"
    name = "monday.com"
    docs_url = "https://developer.monday.com/api-reference/reference/webhooks"
    signature: ClassVar[Signature | None] = Jwt()
    signed_example = SignedExample(
        secret="a made-up signing secret of an app",  # noqa: S106 - made up, secures nothing
        headers={
            "authorization": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2NvdW50SWQiOjEwMSwidXN"
            "lcklkIjo3LCJhdWQiOiJodHRwczovL2JpbGxob29rLmV4YW1wbGUvd2ViaG9va3M"
            "vbW9uZGF5IiwiZXhwIjoxNzY3MjI1OTAwLCJpYXQiOjE3NjcyMjU2MDB9.r-GdAj"
            "9dOSLPpIWBxX9bnRzt5PBL7Ldhi8Cq733Nssk",
        },
        body=b"{}",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after "
        "https://developer.monday.com/apps/docs/integration-authorization",
    )
    kinds = ("work.completed", "work.reopened", "time.total")
    replay = "the end of the web token's life and `triggerUuid`; the token does not cover the body"
    proven = "recorded bodies (2023), time tracking from documentation, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        # What is sent is `update_column_value`; the others are what a webhook is made with.
        "update_column_value": readers.column_changed,
        "change_column_value": readers.column_changed,
        "change_status_column_value": readers.column_changed,
        "change_specific_column_value": readers.column_changed,
        "change_subitem_column_value": readers.column_changed,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if payload.has(CHALLENGE) and not payload.has("event"):
            return CHALLENGE
        return payload["event"].text("type")

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            return parse(delivery.body)["event"].identifier("triggerUuid")
        except PayloadError:
            return None

    def handshake(self, delivery: Delivery) -> Handshake | None:
        try:
            payload = parse(delivery.body)
            if payload.has("event"):
                return None
            challenge = payload.text(CHALLENGE)
        except PayloadError:
            return None
        is_plain = challenge.isascii() and challenge.isprintable()
        if not is_plain or not 0 < len(challenge) <= LONGEST_CHALLENGE:
            return None
        body = json.dumps({CHALLENGE: challenge}).encode()
        return Handshake(200, {"Content-Type": "application/json"}, body)

    def greeting(self, delivery: Delivery) -> Handshake | None:
        # It is sent once, when the webhook is made, and before anything is signed.
        return self.handshake(delivery)
