"""Kanboard as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Signature, Token
from ..source import Reader, SignedExample, Source, because
from . import readers

_IGNORED: Final = {
    "a comment is no work that is billed": "comment.create comment.update comment.delete "
    "comment.user.mention",
    "a file is no work that is billed": "file.create task.file.create task.file.destroy "
    "project.file.create project.file.destroy",
    "a link between tasks is no work that is billed": "task_internal_link.create_update "
    "task_internal_link.delete",
    "nobody worked by mentioning somebody": "task.user.mention",
    "a task that is late is not done": "task.overdue",
    "the same change is told as task.create or task.update": "task.create_update",
    "the same change is told as subtask.create or subtask.update": "subtask.create_update",
    "it still has the old total: the task's next delivery tells the new one": "subtask.delete",
}


class KanboardSource(Source):
    """Kanboard on a server of one's own: one webhook for all of its projects."""

    key = "kanboard"
    name = "Kanboard"
    docs_url = "https://docs.kanboard.org/v1/dev/webhooks/"
    signature: ClassVar[Signature | None] = Token(query="token")
    signed_example = SignedExample(
        secret="b4a6f1c0",  # noqa: S106 - made up, secures nothing
        headers={},
        body=b"{}",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="a token as https://docs.kanboard.org/v1/dev/webhooks/ puts it into the address; "
        "nothing is signed",
        url="https://billhook.example/webhooks/kanboard?token=b4a6f1c0",
    )
    kinds = ("work.completed", "work.reopened", "time.total")
    replay = "nothing: no id, no signature; a total that was told before changes nothing"
    proven = "documented bodies and Kanboard's own code, 2026-11-22"
    orders_by_arrival = True
    readers: ClassVar[Mapping[str, Reader]] = {
        "task.close": readers.closed,
        "task.open": readers.opened,
        "task.create": readers.changed,
        "task.update": readers.changed,
        "task.assignee_change": readers.changed,
        "task.move.column": readers.changed,
        "task.move.position": readers.changed,
        "task.move.swimlane": readers.changed,
        "task.move.col_and_swl": readers.changed,
        "task.move.project": readers.changed,
        "subtask.create": readers.changed,
        "subtask.update": readers.subtask_updated,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return payload.text("event_name")

    def delivery_id(self, delivery: Delivery) -> str | None:
        return None
