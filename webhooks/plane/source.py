"""Plane as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload, parse
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers

_ACTIONS: Final = {"create": "created", "update": "updated", "delete": "deleted"}
"""The first servers' words for what later ones, and version 2, call otherwise."""

_INSIDE: Final = "WebhookScope.ScopeChoices."
"""How an event begins that has Plane's name from the inside, as in an example of its pages."""

_IGNORED: Final = {
    "a work item counts when it is completed": "workitem.archived",
    "a deleted work item takes nothing back by itself: move it out of its done state before": (
        "workitem.deleted issue.deleted"
    ),
    "a comment is no work that is billed": (
        "workitem.comment.created workitem.comment.updated workitem.comment.deleted "
        "issue_comment.created issue_comment.updated issue_comment.deleted"
    ),
    "a link, file, vote or relation of a work item is no work that is billed": (
        "workitem.link.created workitem.link.updated workitem.link.deleted "
        "workitem.vote.created workitem.vote.deleted "
        "workitem.attachment.created workitem.attachment.updated workitem.attachment.deleted "
        "workitem.relation.created workitem.relation.deleted "
        "workitem.dependency.created workitem.dependency.deleted "
        "workitem.page_link.created workitem.page_link.deleted"
    ),
    "a cycle ends by its date, which no webhook tells: bill its work items, or a module": (
        "cycle.created cycle.updated cycle.archived cycle.deleted "
        "cycle_issue.created cycle_issue.updated cycle_issue.deleted"
    ),
    "a module counts when its status is completed": (
        "module.archived module_issue.created module_issue.updated module_issue.deleted"
    ),
    "a deleted module takes nothing back by itself: change its status before": "module.deleted",
    "Plane's milestones have no state, so none is ever completed: bill a module instead": (
        "milestone.created milestone.updated milestone.deleted"
    ),
    "a page is no work that is billed": (
        "page.created page.updated page.archived page.deleted "
        "page.comment.created page.comment.updated page.comment.deleted"
    ),
    "a change of the project itself is no work that is billed": (
        "project.created project.updated project.archived project.deleted"
    ),
    "a request in the intake is no work before it is accepted": (
        "intake_issue.created intake_issue.updated intake_issue.deleted"
    ),
}


class PlaneSource(Source):
    """Plane, cloud and self-hosted: the webhooks of a workspace, version 2 and the older one."""

    key = "plane"
    name = "Plane"
    docs_url = "https://developers.plane.so/dev-tools/intro-webhooks"
    signature: ClassVar[Signature | None] = Hmac("X-Plane-Signature")
    signed_example = SignedExample(
        secret="plane_wh_made_up",  # noqa: S106 - made up, secures nothing
        headers={
            "x-plane-signature": "38831b3236933de5117c52c77310cf37f380f6348335e0ae1c74a44467e3e013"
        },
        body=b'{"version": "v2", "event": "page.created", "data": {}}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after "
        "https://developers.plane.so/dev-tools/intro-webhooks#securing-requests",
    )
    kinds = ("work.completed", "work.reopened", "milestone.completed", "milestone.reopened")
    replay = "`event_id`, which is signed with the body; the older version has none"
    proven = "documented bodies and Plane's own code, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "workitem.created": readers.item_created,
        "workitem.updated": readers.item_updated,
        "module.created": readers.module_created,
        "module.updated": readers.module_updated,
        "issue.created": readers.issue_created,
        "issue.updated": readers.issue_updated,
        "found:workitem": readers.found_item,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        event = payload.text("event")
        if event.startswith(_INSIDE):
            return self._from_inside(event)
        if not payload.has("action"):
            return event
        action = payload.text("action")
        return f"{event}.{_ACTIONS.get(action, action)}"

    def _from_inside(self, event: str) -> str:
        """Return the event's name outside: `..._UPDATED` is called `.updated` there."""
        known = (name for name in (*self.readers, *self.ignored) if ":" not in name)
        names = {name.replace("workitem", "work_item").replace(".", "_"): name for name in known}
        return names.get(event.removeprefix(_INSIDE).lower(), event)

    def delivery_id(self, delivery: Delivery) -> str | None:
        # X-Plane-Delivery is another one on each retry.
        try:
            return parse(delivery.body).identifier("event_id")
        except PayloadError:
            return None
