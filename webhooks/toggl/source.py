"""Toggl Track as a source: the declarations, its ping, and how a delivery says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import FOUND, Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Handshake, Reader, SignedExample, Source, because
from . import readers

PING: Final = "ping"
_VALIDATION_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Toggl's are 32 hexadecimal digits; nothing else that a sender could want echoed fits."""

_IGNORED: Final = {
    "it is Toggl's test of the address": PING,
    "a deleted project takes nothing back: its time entries stay as they are, or are told as "
    "deleted themselves": "project.deleted",
    "a client is no work; its name is asked for with its projects": "client.created "
    "client.updated client.deleted",
    "a task is no work that is billed: the time logged on it is": "task.created task.updated "
    "task.deleted",
    "a tag is no work; the entries that bear it are told themselves": "tag.created tag.updated "
    "tag.deleted",
    "who belongs to a project is no work that is billed": "project_user.created "
    "project_user.updated project_user.deleted project_group.created project_group.updated "
    "project_group.deleted",
    "a change of the workspace or its people is no work that is billed": "workspace.created "
    "workspace.updated workspace.deleted workspace_user.created workspace_user.updated "
    "workspace_user.deleted",
}


class TogglSource(Source):
    """Toggl Track: the webhooks of one workspace."""

    key = "toggl"
    name = "Toggl Track"
    docs_url = "https://engineering.toggl.com/docs/webhooks_start"
    signature: ClassVar[Signature | None] = Hmac("X-Webhook-Signature-256", prefix="sha256=")
    signed_example = SignedExample(
        secret="a secret of our own",  # noqa: S106 - it secures nothing
        headers={
            "x-webhook-signature-256": "sha256="
            "352ea20a93409339c535582b96e8d498c487d86b0fc61d289d57f91328f04096"
        },
        body=b'{"event_id":4711,"payload":"ping","subscription_id":12}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after "
        "https://engineering.toggl.com/docs/webhooks_start/validating_received_events",
    )
    kinds = ("time.logged", "time.removed")
    replay = "event_id in the signed body, and the entry with its time of change"
    proven = "recorded bodies of a ping and a running timer, the rest by documentation, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "time_entry.created": readers.entry,
        "time_entry.updated": readers.entry,
        "time_entry.deleted": readers.entry_deleted,
        "project.created": readers.project_changed,
        "project.updated": readers.project_changed,
        "found:time_entry": readers.found_entry,
        "found:project": readers.found_project,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if payload.raw("payload") == PING:
            return PING
        metadata = payload["metadata"]
        return f"{metadata.text('model')}.{metadata.text('action')}"

    def delivery_id(self, delivery: Delivery) -> str | None:
        if FOUND in delivery.headers:
            return None
        try:
            payload = self.opened(delivery)
            return payload.identifier("event_id") if payload.has("event_id") else None
        except PayloadError:
            return None

    def handshake(self, delivery: Delivery) -> Handshake | None:
        """Answer a ping; while the address is not validated yet, it has a code to be sent back.

        The other way, to open the address in `validation_code_url`, is not taken: Billhook opens
        no address that a delivery names.
        """
        if b'"ping"' not in delivery.body or FOUND in delivery.headers:
            return None
        try:
            payload = self.opened(delivery)
            if payload.raw("payload") != PING:
                return None
        except PayloadError:
            return None
        code = payload.raw("validation_code")
        if not isinstance(code, str) or not _VALIDATION_CODE.fullmatch(code):
            return Handshake(status=200)
        return Handshake(
            status=200,
            headers={"Content-Type": "application/json"},
            body=json.dumps({"validation_code": code}).encode(),
        )
