"""GitHub as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final
from urllib.parse import parse_qs

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import MOST_BYTES, Payload, parse
from ..signatures import Hmac, Signature
from ..source import Handshake, Reader, SignedExample, Source, because
from . import readers

_FORM: Final = b"payload="
"""How a webhook of content type `application/x-www-form-urlencoded` begins; no JSON does."""

_WITH_ACTION: Final = frozenset({"milestone", "issues", "release", "deployment_status"})
"""Events whose action decides whether something was earned; the others are ignored as a whole."""

_IGNORED: Final = {
    "it is GitHub's test of the address": "ping",
    "a milestone counts when it is closed": "milestone.created milestone.edited",
    "a deleted milestone takes nothing back by itself: reopen it before deleting it, "
    "or credit it by hand": "milestone.deleted",
    "the same release is told as published": "release.created release.released release.prereleased",
    "a release counts when it is published": "release.edited",
    "a release that is withdrawn takes nothing back by itself": "release.unpublished "
    "release.deleted",
    "a deployment counts when its status is success": "deployment deployment_review "
    "deployment_protection_rule",
    "the issue changed, but was neither closed nor reopened": "issues.opened issues.edited "
    "issues.assigned issues.unassigned issues.labeled issues.unlabeled issues.milestoned "
    "issues.demilestoned issues.locked issues.unlocked issues.pinned issues.unpinned "
    "issues.typed issues.untyped issues.field_added issues.field_removed",
    "a deleted issue takes nothing back by itself: reopen it before": "issues.deleted",
    "the issue goes on in another repository, which tells about it": "issues.transferred",
    "a board only arranges issues; the issue's own delivery tells when it is closed": "project "
    "project_card project_column projects_v2 projects_v2_item projects_v2_status_update "
    "sub_issues issue_dependencies",
    "a pull request is no agreed piece of work; its issue or milestone is": "pull_request "
    "pull_request_review pull_request_review_comment pull_request_review_thread",
    "a change of code is no agreed piece of work by itself": "push create delete commit_comment "
    "gollum merge_group merge_queue_entry",
    "a comment or discussion is no work that is billed": "issue_comment discussion "
    "discussion_comment",
    "a check or build is no work that is billed": "check_run check_suite status workflow_run "
    "workflow_job workflow_dispatch page_build repository_dispatch",
    "people who follow the repository are no work that is billed": "fork star watch",
    "a security alert is no work that is billed": "code_scanning_alert dependabot_alert "
    "repository_advisory repository_vulnerability_alert secret_scanning_alert "
    "secret_scanning_alert_location secret_scanning_scan security_advisory security_and_analysis "
    "bypass_request_push_ruleset bypass_request_secret_scanning dismissal_request_code_scanning "
    "dismissal_request_dependabot dismissal_request_secret_scanning "
    "exemption_request_push_ruleset exemption_request_secret_scanning",
    "a change of GitHub's own setup is no work that is billed": "branch_protection_configuration "
    "branch_protection_rule custom_property custom_property_values deploy_key "
    "github_app_authorization installation installation_repositories installation_target label "
    "marketplace_purchase member membership meta org_block organization package "
    "personal_access_token_request public registry_package repository repository_import "
    "repository_ruleset sponsorship team team_add content_reference integration_installation "
    "integration_installation_repositories enterprise user cache_sync",
}

_SHAPES: Final = (
    # What only one event's body has at its top, the more particular first.
    (("zen",), "ping"),
    (("deployment_status",), "deployment_status"),
    (("approver", "workflow_run"), "deployment_review"),
    (("requestor", "workflow_run"), "deployment_review"),
    (("deployment",), "deployment"),
    (("workflow_run",), "workflow_run"),
    (("workflow_job",), "workflow_job"),
    (("release",), "release"),
    (("projects_v2_item",), "projects_v2_item"),
    (("projects_v2_status_update",), "projects_v2_status_update"),
    (("projects_v2",), "projects_v2"),
    (("project_card",), "project_card"),
    (("project_column",), "project_column"),
    (("project",), "project"),
    (("sub_issue", "parent_issue"), "sub_issues"),
    (("blocked_issue",), "issue_dependencies"),
    (("pull_request", "review"), "pull_request_review"),
    (("pull_request", "comment"), "pull_request_review_comment"),
    (("pull_request",), "pull_request"),
    (("issue", "comment"), "issue_comment"),
    (("issue",), "issues"),
    (("milestone",), "milestone"),
    (("label",), "label"),
    (("discussion", "comment"), "discussion_comment"),
    (("discussion",), "discussion"),
    (("check_run",), "check_run"),
    (("check_suite",), "check_suite"),
    (("forkee",), "fork"),
    (("starred_at",), "star"),
    (("ref", "commits"), "push"),
    (("sha", "state", "context"), "status"),
    (("ref", "master_branch"), "create"),
    (("ref", "ref_type"), "delete"),
    (("pages",), "gollum"),
    (("merge_group",), "merge_group"),
    (("comment",), "commit_comment"),
    (("build",), "page_build"),
    (("branch", "client_payload"), "repository_dispatch"),
    (("inputs", "workflow"), "workflow_dispatch"),
    (("exemption_request",), "exemption_request_push_ruleset"),
    (("alert", "location"), "secret_scanning_alert_location"),
    (("alert", "commit_oid"), "code_scanning_alert"),
    (("alert",), "secret_scanning_alert"),
    (("security_advisory",), "security_advisory"),
    (("repository_advisory",), "repository_advisory"),
    (("package",), "package"),
    (("registry_package",), "registry_package"),
    (("membership",), "organization"),
    (("scope", "team"), "membership"),
    (("team",), "team"),
    (("member",), "member"),
    (("blocked_user",), "org_block"),
    (("hook",), "meta"),
    (("key",), "deploy_key"),
    (("marketplace_purchase",), "marketplace_purchase"),
    (("sponsorship",), "sponsorship"),
    (("personal_access_token_request",), "personal_access_token_request"),
    (("repository_ruleset",), "repository_ruleset"),
    (("rule",), "branch_protection_rule"),
    (("definition",), "custom_property"),
    (("new_property_values",), "custom_property_values"),
    (("target_type",), "installation_target"),
    (("repositories_added",), "installation_repositories"),
    (("installation", "repositories"), "installation"),
)
_OTHERS: Final = "repository"
"""What only says who did it and where: of its kind are `public`, `branch_protection_configuration`
and whatever GitHub may add; none of what is earned by is told without an object of its own."""


class GitHubSource(Source):
    """GitHub.com and GitHub Enterprise Server: repository, organization and app webhooks."""

    key = "github"
    name = "GitHub"
    docs_url = "https://docs.github.com/en/webhooks/webhook-events-and-payloads"
    signature: ClassVar[Signature | None] = Hmac("X-Hub-Signature-256", prefix="sha256=")
    signed_example = SignedExample(
        secret="It's a Secret to Everybody",  # noqa: S106 - published by GitHub, secures nothing
        headers={
            "x-hub-signature-256": "sha256="
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        body=b"Hello, World!",
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="https://docs.github.com/en/webhooks/using-webhooks/"
        "validating-webhook-deliveries#testing-the-webhook-payload-validation",
    )
    kinds = (
        "milestone.completed",
        "milestone.reopened",
        "work.completed",
        "work.reopened",
        "release.published",
        "deployment.succeeded",
    )
    takes_forms = True
    replay = "the subject and its version: the delivery id is not signed"
    proven = "recorded bodies and published signatures, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "milestone.closed": readers.milestone_closed,
        "milestone.opened": readers.milestone_reopened,
        "issues.closed": readers.issue_closed,
        "issues.reopened": readers.issue_reopened,
        "release.published": readers.release_published,
        "deployment_status.created": readers.deployment_status,
        "found:issue": readers.found_issue,
        "found:milestone": readers.found_milestone,
        "found:release": readers.release_published,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def opened(self, delivery: Delivery) -> Payload:
        if delivery.body.startswith(_FORM) and len(delivery.body) <= MOST_BYTES:
            return parse(_form_value(delivery.body))
        return super().opened(delivery)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        event = delivery.headers.get("x-github-event") or _shape_of(payload)
        if event == "deployment_status" and not payload.has("action"):
            # Servers of before 2019 have none; there is only this one.
            return "deployment_status.created"
        return f"{event}.{payload.text('action')}" if event in _WITH_ACTION else event

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("x-github-delivery") or None

    def handshake(self, delivery: Delivery) -> Handshake | None:
        is_ping = delivery.headers.get("x-github-event") == "ping"
        return Handshake(status=200) if is_ping else None


def _form_value(body: bytes) -> bytes:
    try:
        values = parse_qs(body.decode("ascii"), strict_parsing=True, errors="strict")["payload"]
    except (ValueError, KeyError):
        raise PayloadError("body", "is not a form with a payload") from None
    if len(values) != 1:
        raise PayloadError("body", "is a form with more than one payload")
    return values[0].encode()


def _shape_of(payload: Payload) -> str:
    """Return the event of a body that came without its header, as when a file is read by hand."""
    told = set(payload.names())
    for names, event in _SHAPES:
        if all(name in told for name in names):
            return event
    if payload.optional_text("action") == "started":
        return "watch"
    if "sender" in told and told & {"repository", "organization", "enterprise", "installation"}:
        return _OTHERS
    if payload.optional_text("action") == "revoked" and "sender" in told:
        return "github_app_authorization"
    raise PayloadError(
        "X-GitHub-Event", "is missing and the body does not tell the event - add the header"
    )
