"""Jira Cloud and Data Center as a source: the declarations. The readers stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery

from ..payload import Payload
from ..signatures import Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import issues, milestones, worklogs

_IGNORED: Final = {
    "a deleted issue takes nothing back by itself: its worklogs are deleted one by one, "
    "and completed work stays completed": "jira:issue_deleted",
    "a comment is no work that is billed": "comment_created comment_updated comment_deleted",
    "a link between issues is no work that is billed": "issuelink_created issuelink_deleted",
    "an issue property is no work that is billed": "issue_property_set issue_property_deleted",
    "an attachment is no work that is billed": "attachment_created attachment_deleted",
    "a sprint counts when it is closed": "sprint_created sprint_updated sprint_started",
    "a deleted sprint takes nothing back by itself": "sprint_deleted",
    "a version counts when it is released": "jira:version_created jira:version_updated "
    "jira:version_moved jira:version_merged",
    "a deleted version takes nothing back by itself: unrelease it before": "jira:version_deleted",
    "a change of Jira's own setup is no work that is billed": "project_created project_updated "
    "project_deleted project_soft_deleted project_restored_deleted project_archived "
    "project_restored_archived issuetype_created issuetype_updated issuetype_deleted "
    "filter_created filter_updated filter_deleted user_created user_updated user_deleted "
    "board_created board_updated board_deleted board_configuration_changed "
    "option_voting_changed option_watching_changed option_unassigned_issues_changed "
    "option_subtasks_changed option_attachments_changed option_issuelinks_changed "
    "option_timetracking_changed option_timetracking_provider_changed "
    "jira_expression_evaluation_failed app_access_to_objects_blocked "
    "app_access_to_objects_in_container_blocked connect_addon_enabled connect_addon_disabled",
}


class JiraSource(Source):
    """Jira, both dialects: Data Center sends the same bodies with other user fields."""

    key = "jira"
    name = "Jira"
    docs_url = "https://developer.atlassian.com/cloud/jira/platform/webhooks/"
    signature: ClassVar[Signature | None] = Hmac("X-Hub-Signature", prefix="sha256=")
    signed_example = SignedExample(
        secret="It's a Secret to Everybody",  # noqa: S106 - published by Atlassian, secures nothing
        headers={
            "x-hub-signature": "sha256="
            "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
        },
        body=b"Hello World!",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="https://developer.atlassian.com/cloud/jira/platform/webhooks/"
        "#secure-admin-webhooks",
    )
    kinds = (
        "time.logged",
        "time.removed",
        "time.total",
        "work.completed",
        "work.reopened",
        "milestone.completed",
        "milestone.reopened",
    )
    replay = "the subject and its version: the delivery id is not signed"
    proven = "recorded bodies of Cloud and Data Center, published signature, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "worklog_created": worklogs.logged,
        "worklog_updated": worklogs.logged,
        "worklog_deleted": worklogs.removed,
        "jira:worklog_updated": worklogs.total,
        "jira:issue_created": issues.created,
        "jira:issue_updated": issues.updated,
        "jira:version_released": milestones.version_released,
        "jira:version_unreleased": milestones.version_unreleased,
        "sprint_closed": milestones.sprint_closed,
        "found:worklog": worklogs.found,
        "found:issue": issues.found,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        if payload.has("webhookEvent"):
            return payload.text("webhookEvent")
        if payload.has("transition"):
            # A workflow's post function posts to a webhook too, in a body of its own.
            raise UnsupportedEventTypeError(
                "jira: this was sent by a workflow's post function, which does not say what "
                "happened - add a webhook under System > WebHooks instead"
            )
        if payload.has("key") and payload.has("fields"):
            raise UnsupportedEventTypeError(
                "jira: this is an issue as an automation rule sends it, which does not say what "
                "happened - add a webhook under System > WebHooks instead"
            )
        raise PayloadError("webhookEvent", "is missing - this is no body of a Jira webhook")

    def delivery_id(self, delivery: Delivery) -> str | None:
        # Cloud keeps it over retries; Data Center before version 10 sends none.
        return delivery.headers.get("x-atlassian-webhook-identifier") or None
