"""GitLab as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import AnyOf, Signature, StandardWebhooks, Token
from ..source import Reader, SignedExample, Source, because
from . import readers

_WITH_ACTION: Final = frozenset({"issue", "work_item", "milestone", "release"})
"""Kinds whose action decides whether something was earned; the others are ignored as a whole."""
_SYSTEM: Final = "System Hook"

_IGNORED: Final = {
    "it says nothing that was done: GitLab's test button sends it": "issue work_item milestone "
    "release",
    "a milestone counts when it is closed": "milestone.create",
    "a deleted milestone takes nothing back by itself: reopen it before deleting it, "
    "or credit it by hand": "milestone.delete",
    "a release counts when it is created": "release.update",
    "a release that is withdrawn takes nothing back by itself": "release.delete",
    "a merge request is no agreed piece of work; its issue or milestone is": "merge_request",
    "a change of code is no agreed piece of work by itself": "push tag_push",
    "a comment or reaction is no work that is billed": "note emoji",
    "a wiki page is no agreed piece of work by itself": "wiki_page",
    "a job or pipeline is no work that is billed; its deployment is": "build pipeline",
    "a security alert is no work that is billed": "vulnerability",
    "a change of GitLab's own setup is no work that is billed": "feature_flag access_token "
    "deploy_token user_add_to_group user_update_for_group user_remove_from_group "
    "user_access_request_to_group user_access_request_denied_for_group subgroup_create "
    "subgroup_destroy project_create project_destroy system_hook",
    # Told by their own names too where the header is missing.
    "a system hook tells about the whole server, no work that is billed": "project_rename "
    "project_transfer project_update user_create user_destroy user_failed_login user_rename "
    "user_add_to_team user_update_for_team user_remove_from_team user_access_request_to_project "
    "user_access_request_revoked_for_project user_access_request_denied_for_project "
    "user_access_request_revoked_for_group key_create key_destroy group_create group_destroy "
    "group_rename repository_update gitlab_subscription_member_approval "
    "gitlab_subscription_member_approvals",
}


class GitLabSource(Source):
    """GitLab.com, Dedicated and Self-Managed: project and group webhooks."""

    key = "gitlab"
    name = "GitLab"
    docs_url = "https://docs.gitlab.com/user/project/integrations/webhook_events/"
    signature: ClassVar[Signature | None] = AnyOf((StandardWebhooks(), Token("X-Gitlab-Token")))
    signed_example = SignedExample(
        secret="whsec_YmlsbGhvb2stZ2l0bGFiLWV4YW1wbGUta2V5LTMyYg==",  # noqa: S106 - only here
        headers={
            "webhook-id": "0f4c9a52-7d0e-4b53-9a0e-6b1f2c3d4e5f",
            "webhook-timestamp": "1790000000",
            "webhook-signature": "v1,6hdn577m5WjSnTRMG21rTGD9NJA9HoUtF5JTnuync54=",
        },
        body=b'{"object_kind":"milestone","action":"close"}',
        verify_at=datetime.fromtimestamp(1790000000, tz=UTC),
        origin="computed with openssl after https://docs.gitlab.com/user/project/integrations/"
        "webhooks/ and https://www.standardwebhooks.com",
    )
    kinds = (
        "milestone.completed",
        "milestone.reopened",
        "work.completed",
        "work.reopened",
        "time.total",
        "time.removed",
        "release.published",
        "deployment.succeeded",
    )
    replay = "the signed time with a signing token, else the subject and its version"
    proven = "recorded bodies, the vendor's documentation and code, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "issue.open": readers.issue,
        "issue.update": readers.issue,
        "issue.close": readers.issue,
        "issue.reopen": readers.issue,
        "work_item.open": readers.issue,
        "work_item.update": readers.issue,
        "work_item.close": readers.issue,
        "work_item.reopen": readers.issue,
        "milestone.close": readers.milestone,
        "milestone.reopen": readers.milestone,
        "release.create": readers.release,
        "deployment": readers.deployment,
        "found:issue": readers.found_issue,
        "found:issue_time": readers.found_time,
        "found:milestone": readers.found_milestone,
        "found:release": readers.found_release,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        """Return `object_kind`, with the action where it decides.

        The header is no help: confidential issues and work items have others, tests had too.
        """
        if delivery.headers.get("x-gitlab-event") == _SYSTEM:
            return "system_hook"
        kind = payload.optional_text("object_kind") or payload.optional_text("event_name")
        if kind is None:
            raise PayloadError("object_kind", "is missing, and so is event_name")
        action = readers.action_of(payload) if kind in _WITH_ACTION else None
        return f"{kind}.{action}" if action else kind

    def delivery_id(self, delivery: Delivery) -> str | None:
        """Return the id that a repeated delivery keeps.

        `X-Gitlab-Event-UUID` is none: it is the same for all webhooks that one action causes.
        """
        names = ("webhook-id", "idempotency-key", "x-gitlab-webhook-uuid")
        return next((told for name in names if (told := delivery.headers.get(name))), None)
