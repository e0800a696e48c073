"""Gitea and Forgejo as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final
from urllib.parse import unquote_to_bytes

from ledger.errors import PayloadError
from ledger.events import Delivery

from ..payload import MOST_BYTES, Payload, parse
from ..signatures import AnyOf, Hmac, Signature
from ..source import Reader, SignedExample, Source, because
from . import readers

_FORM: Final = "payload"
"""The field of a webhook of content type `application/x-www-form-urlencoded`."""
_WITH_ACTION: Final = frozenset({"issues", "release"})
"""Events whose action decides whether something was earned; the others are ignored as a whole."""

_IGNORED: Final = {
    "the issue changed, but was neither closed nor reopened": "issues.opened issues.edited "
    "issues.assigned issues.unassigned issues.label_updated issues.label_cleared "
    "issues.milestoned issues.demilestoned issues.synchronized issue_assign issue_label "
    "issue_milestone",
    "a deleted issue takes nothing back by itself: reopen it before": "issues.deleted",
    "a release counts when it is published": "release.updated",
    "a release that is withdrawn takes nothing back by itself": "release.deleted",
    "a pull request is no agreed piece of work; its issue or milestone is": "pull_request "
    "pull_request_approved pull_request_rejected pull_request_comment pull_request_sync "
    "pull_request_review_request pull_request_assign pull_request_label pull_request_milestone "
    "pull_request_review_approved pull_request_review_rejected pull_request_review_comment",
    "a change of code is no agreed piece of work by itself, and the test button sends one": "push "
    "create delete",
    "a comment is no work that is billed": "issue_comment",
    "a wiki page is no agreed piece of work by itself": "wiki",
    "a check or build is no work that is billed": "status workflow_run workflow_job "
    "action_run_success action_run_failure action_run_recover schedule",
    "a change of the server's own setup is no work that is billed": "repository fork package",
}

_SHAPES: Final = (
    # What only one event's body has at its top, the more particular first.
    (("release",), "release"),
    (("issue", "comment"), "issue_comment"),
    (("pull_request",), "pull_request"),
    (("issue",), "issues"),
    (("forkee",), "fork"),
    (("package",), "package"),
    (("page",), "wiki"),
    (("commits",), "push"),
    (("before", "after"), "push"),
    (("ref_type", "sha"), "create"),
    (("ref_type",), "delete"),
    (("context", "state"), "status"),
    (("run", "prior_status"), "action_run_failure"),
    (("run",), "action_run_success"),
    (("schedule",), "schedule"),
    (("workflow_run",), "workflow_run"),
    (("workflow_job",), "workflow_job"),
    (("action", "repository", "organization"), "repository"),
)


class GiteaSource(Source):
    """Gitea and Forgejo (also Codeberg): repository, organization and system webhooks."""

    key = "gitea"
    name = "Gitea and Forgejo"
    docs_url = "https://docs.gitea.com/usage/repository/webhooks"
    signature: ClassVar[Signature | None] = AnyOf(
        (
            Hmac("X-Forgejo-Signature", form=_FORM),
            Hmac("X-Gitea-Signature", form=_FORM),
            Hmac("X-Hub-Signature-256", prefix="sha256=", form=_FORM),
        )
    )
    signed_example = SignedExample(
        secret="not a secret: only this example knows it",  # noqa: S106
        headers={
            "x-gitea-signature": "41694208c9cccdc76379bf62a697a0d2caf469b3dbdfdda7339f435452c2f606"
        },
        body=b'{"action":"closed","number":3}',
        verify_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="computed with openssl after https://docs.gitea.com/usage/repository/webhooks",
    )
    kinds = (
        "work.completed",
        "work.reopened",
        "milestone.completed",
        "milestone.reopened",
        "release.published",
        "time.logged",
    )
    takes_forms = True
    replay = "the subject and its version: the delivery id is not signed"
    proven = "recorded bodies and the vendor's code, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "issues.closed": readers.issue_closed,
        "issues.reopened": readers.issue_reopened,
        "release.published": readers.release_published,
        "found:issue": readers.found_issue,
        "found:milestone": readers.found_milestone,
        "found:release": readers.release_published,
        "found:time": readers.found_time,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def opened(self, delivery: Delivery) -> Payload:
        field = f"{_FORM}=".encode()
        if delivery.body.startswith(field) and len(delivery.body) <= MOST_BYTES:
            # Decoded as a whole, just as it is signed: a second field makes it no JSON.
            return parse(unquote_to_bytes(delivery.body[len(field) :].replace(b"+", b" ")))
        return super().opened(delivery)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        names = ("x-forgejo-event", "x-gitea-event")
        told = next((told for name in names if (told := delivery.headers.get(name))), None)
        event = told or _shape_of(payload)
        return f"{event}.{payload.text('action')}" if event in _WITH_ACTION else event

    def delivery_id(self, delivery: Delivery) -> str | None:
        names = ("x-forgejo-delivery", "x-gitea-delivery")
        return next((told for name in names if (told := delivery.headers.get(name))), None)


def _shape_of(payload: Payload) -> str:
    """Return the event of a body that came without its header, as when a file is read by hand."""
    told = set(payload.names())
    for names, event in _SHAPES:
        if all(name in told for name in names):
            return event
    raise PayloadError(
        "X-Gitea-Event", "is missing and the body does not tell the event - add the header"
    )
