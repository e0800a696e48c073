"""Redmine's own webhooks (7.0 and newer): time entries, issues and versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers


class RedmineSource(Source):
    """Redmine 7.0 and newer; bodies of the plugins for older servers are not read."""

    key = "redmine"
    name = "Redmine"
    docs_url = "https://www.redmine.org/projects/redmine/wiki/Rest_api"
    signature: ClassVar[Signature | None] = Hmac("X-Redmine-Signature-256", prefix="sha256=")
    signed_example = SignedExample(
        secret="It's a Secret to Everybody",  # noqa: S106 - published, it secures nothing
        headers={
            "x-redmine-signature-256": "sha256="
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        body=b"Hello, World!",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="https://github.com/redmine/redmine/blob/master/test/unit/webhook_test.rb",
    )
    kinds = (
        "time.logged",
        "time.removed",
        "work.completed",
        "work.reopened",
        "milestone.completed",
        "milestone.reopened",
    )
    replay = "the subject and its version: Redmine signs the body and has no delivery id"
    proven = "the server's code and a published signature, read 2026-11-22; no real server yet"
    readers: ClassVar[Mapping[str, Reader]] = {
        "time_entry.created": readers.entry_logged,
        "time_entry.updated": readers.entry_logged,
        "time_entry.deleted": readers.entry_removed,
        "issue.created": readers.issue_created,
        "issue.updated": readers.issue_updated,
        "issue.closed": readers.issue_closed,
        "version.created": readers.version_created,
        "version.updated": readers.version_updated,
        "found:time_entry": readers.found_entry,
        "found:issue": readers.found_issue,
        "found:version": readers.found_version,
    }
    ignored: ClassVar[Mapping[str, str]] = because(
        {
            "a deleted issue takes nothing back by itself: reopen it before, or credit it by "
            "hand": "issue.deleted",
            "a deleted version takes nothing back by itself: reopen it before, or credit it by "
            "hand": "version.deleted",
            "news are no work that is billed": "news.created news.updated news.deleted",
            "a wiki page is no work that is billed": "wiki_page.created wiki_page.updated "
            "wiki_page.deleted",
        }
    )

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if not payload.has("type") and payload.has("payload"):
            # The plugins for Redmine 6 and older; their bodies are not signed.
            action = payload["payload"].optional_text("action") or "unknown"
            return f"{action:.20} of a webhook plugin (Redmine 7 sends its own)"
        return payload.text("type")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
