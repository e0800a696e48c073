"""Taiga as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers

_IGNORED: Final = {
    "it is Taiga's test of the address": "test.test",
    "a deleted sprint takes nothing back by itself: reopen it before": "milestone.delete",
    "a deleted epic takes nothing back by itself: reopen it before": "epic.delete",
    "a deleted user story, task or issue takes nothing back by itself: reopen it before": (
        "userstory.delete task.delete issue.delete"
    ),
    "a link between an epic and a user story is no work that is billed": (
        "relateduserstory.create relateduserstory.change relateduserstory.delete"
    ),
    "a wiki page is no work that is billed": "wikipage.create wikipage.change wikipage.delete",
}


class TaigaSource(Source):
    """Taiga: the webhooks of a project, in the cloud or on a server of one's own."""

    key = "taiga"
    name = "Taiga"
    docs_url = "https://docs.taiga.io/webhooks.html"
    signature: ClassVar[Signature | None] = Hmac("X-TAIGA-WEBHOOK-SIGNATURE", algorithm="sha1")
    signed_example = SignedExample(
        secret="a made-up key",  # noqa: S106 - made up, secures nothing
        headers={"x-taiga-webhook-signature": "14e8eb04e98d0098a6ec9858fa2a528b8e4bfa66"},
        body=b'{"action": "test", "type": "test", "data": {"test": "test"}}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://docs.taiga.io/webhooks.html",
    )
    kinds = ("milestone.completed", "milestone.reopened", "work.completed", "work.reopened")
    replay = "the subject and its version: Taiga sends no delivery id"
    proven = "recorded bodies and Taiga's own code, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "milestone.create": readers.milestone,
        "milestone.change": readers.milestone,
        "epic.create": readers.epic,
        "epic.change": readers.epic,
        "userstory.create": readers.work,
        "userstory.change": readers.work,
        "task.create": readers.work,
        "task.change": readers.work,
        "issue.create": readers.work,
        "issue.change": readers.work,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return f"{payload.text('type')}.{payload.text('action')}"

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
