"""OpenProject's webhooks: time entries with an id, and work packages as they now stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers


class OpenProjectSource(Source):
    """OpenProject in the cloud and on one's own server; made for versions 13 and newer."""

    key = "openproject"
    name = "OpenProject"
    docs_url = "https://www.openproject.org/docs/system-admin-guide/api-and-webhooks/"
    signature: ClassVar[Signature | None] = Hmac("X-OP-Signature", algorithm="sha1", prefix="sha1=")
    signed_example = SignedExample(
        secret="a secret of the book-keepers",  # noqa: S106 - an example, it secures nothing
        headers={"x-op-signature": "sha1=821749fdb572f02f76b7a789bf4304bf991ca4ee"},
        body=b'{"action":"time_entry:created","time_entry":{"id":5,"hours":"PT1H30M"}}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://github.com/opf/openproject/blob/dev/"
        "modules/webhooks/app/workers/represented_webhook_job.rb",
    )
    kinds = (
        "time.logged",
        "time.removed",
        "work.completed",
        "work.reopened",
        "milestone.completed",
        "milestone.reopened",
    )
    replay = "the subject and its version: OpenProject signs the body and has no delivery id"
    proven = "recorded bodies and the server's code, read 2026-11-22; no real server yet"
    readers: ClassVar[Mapping[str, Reader]] = {
        "time_entry:created": readers.entry_logged,
        "time_entry:updated": readers.entry_logged,
        "time_entry:deleted": readers.entry_removed,
        "work_package:created": readers.work_created,
        "work_package:updated": readers.work_updated,
        "found:time_entry": readers.found_entry,
        "found:work_package": readers.found_work,
        "found:version": readers.found_version,
    }
    ignored: ClassVar[Mapping[str, str]] = because(
        {
            "a project is no work: its name comes with each time entry and work package": (
                "project:created project:updated"
            ),
            "an attachment is no work that is billed": "attachment:created",
            "a comment is no work that is billed": "work_package_comment:comment "
            "work_package_comment:internal_comment",
        }
    )

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return payload.text("action")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
