"""Linear as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from .readers import CYCLE, ISSUE, PROJECT, reader

_REASONS: Final = {
    "a comment or reaction is no work that is billed": "Comment Reaction",
    "an attachment only links something to an issue; Billhook's own note is one": "Attachment",
    "a label only marks issues; the issue's own delivery names its labels": "IssueLabel "
    "ProjectLabel",
    "an update only reports on work; the project's own delivery tells when it is completed": ""
    "ProjectUpdate InitiativeUpdate",
    "an initiative only groups projects; each project's delivery tells when it is completed": ""
    "Initiative",
    "a release only gathers issues; each issue's delivery tells when it is completed": ""
    "Release ReleaseNote",
    "a document is no work that is billed": "Document",
    "a customer or a customer's request is no work that is billed": "Customer CustomerNeed",
    "a deadline or its breach is no work that is billed": "IssueSLA",
    "a change of Linear's own setup is no work that is billed": "User AuditEntry OAuthApp "
    "OAuthAuthorization "
    "PermissionChange",
    "a notice for an app or its agent is no work that is billed": "AppUserNotification "
    "AgentSessionEvent",
}
_BY_TYPE: Final = because(_REASONS)
"""Types of which no action earns anything; more actions than those listed below may come."""

_OTHER_ACTIONS: Final = {
    "IssueSLA": ("set", "highRisk", "breached"),
    "OAuthApp": ("revoked",),
    "OAuthAuthorization": ("revoked",),
    "PermissionChange": ("teamAccessChanged",),
    "AppUserNotification": ("issueAssignedToYou", "issueMention", "issueCommentMention"),
    "AgentSessionEvent": ("created", "prompted"),
}


class LinearSource(Source):
    """Linear's webhooks about issues, projects and cycles, and what its API tells of them."""

    key = "linear"
    name = "Linear"
    docs_url = "https://linear.app/developers/webhooks"
    signature: ClassVar[Signature | None] = Hmac("Linear-Signature", timestamp="webhookTimestamp")
    signed_example = SignedExample(
        secret="an invented secret of an invented workspace",  # noqa: S106 - secures nothing
        headers={
            "linear-signature": "63f71419b4a4ffffefe18027bdb9b70463019908bd5a1bc4deaefbe68f26c13f"
        },
        body=b'{"action":"update","type":"Issue","webhookTimestamp":1793613600000}',
        verify_at=datetime(2026, 11, 2, 10, 0, 30, tzinfo=UTC),
        origin="computed with openssl after https://linear.app/developers/webhooks",
    )
    kinds = ("work.completed", "work.reopened", "milestone.completed", "milestone.reopened")
    replay = "the signed time of sending, at most 60 s off, and the subject with its version"
    proven = "recorded bodies of issues and projects, its published schema, 2026-11-22"
    # Linear takes any other status for a failure.
    accepted_status = 200
    readers: ClassVar[Mapping[str, Reader]] = {
        **{
            f"{name}.{action}": reader(thing, action=action)
            for name, thing in {"Issue": ISSUE, "Project": PROJECT}.items()
            for action in ("create", "update", "remove", "restore")
        },
        **{f"Cycle.{action}": reader(CYCLE, action=action) for action in ("update", "remove")},
        "found:issue": reader(ISSUE, action="found"),
        "found:project": reader(PROJECT, action="found"),
        "found:cycle": reader(CYCLE, action="found"),
    }
    ignored: ClassVar[Mapping[str, str]] = {
        "Cycle.create": "a cycle counts when it is completed",
        **{
            f"{name}.{action}": reason
            for name, reason in _BY_TYPE.items()
            for action in _OTHER_ACTIONS.get(name, ("create", "update", "remove"))
        },
    }

    def why_ignored(self, event_type: str) -> str | None:
        return self.ignored.get(event_type) or _BY_TYPE.get(event_type.partition(".")[0])

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        return f"{payload.text('type')}.{payload.text('action')}"

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("linear-delivery") or None
