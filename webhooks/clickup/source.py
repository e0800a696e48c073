"""ClickUp as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers

_IGNORED: Final = {
    "a new task has earned nothing yet; taskStatusUpdated tells its first status": "taskCreated",
    "a deleted task takes nothing back by itself: reopen it before deleting it; time entries that "
    "vanish with it are missed when the period's entries are compared": "taskDeleted",
    "the task changed, but not its status": "taskPriorityUpdated taskAssigneeUpdated "
    "taskDueDateUpdated taskTagUpdated",
    "an estimate is no work done": "taskTimeEstimateUpdated",
    "a comment is no work that is billed": "taskCommentPosted taskCommentUpdated",
    "a list only holds tasks; their own deliveries tell what is done": "listCreated listUpdated "
    "listDeleted",
    "a folder only holds lists; the tasks' own deliveries tell what is done": "folderCreated "
    "folderUpdated folderDeleted",
    "a space only holds folders; the tasks' own deliveries tell what is done": "spaceCreated "
    "spaceUpdated spaceDeleted",
    "a goal is no agreed piece of work": "goalCreated goalUpdated goalDeleted",
    "a key result is no agreed piece of work": "keyResultCreated keyResultUpdated keyResultDeleted",
}


class ClickUpSource(Source):
    """ClickUp's webhooks as its API makes them; those of an Automation are not signed."""

    key = "clickup"
    name = "ClickUp"
    docs_url = "https://developer.clickup.com/docs/webhooks"
    signature: ClassVar[Signature | None] = Hmac("X-Signature")
    signed_example = SignedExample(
        secret="BILLHOOKEXAMPLE7QX2M4VJ0D6RTPZ1W",  # noqa: S106 - an example, secures nothing
        headers={"x-signature": "221196694f5125991ce70da10876e9521a9028ecf83632d6ad5eb80383b26fae"},
        body=b'{"event":"taskDeleted","task_id":"9bq4zr2","webhook_id":"w1"}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://developer.clickup.com/docs/webhooksignature",
    )
    kinds = ("work.completed", "work.reopened", "time.logged", "time.removed")
    replay = "the subject and its version: deliveries have no id"
    proven = "the vendor's published bodies and API reference, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "taskStatusUpdated": readers.status_updated,
        "taskTimeTrackedUpdated": readers.time_tracked,
        "taskMoved": readers.moved,
        "taskUpdated": readers.updated,
        "found:task": readers.found_task,
        "found:time_entry": readers.found_time_entry,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if not payload.has("event"):
            raise PayloadError(
                "event",
                "is missing, as in the webhooks of an Automation, which are not signed - "
                "make the webhook with ClickUp's API as the README of this source says",
            )
        return payload.text("event")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
