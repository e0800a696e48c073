"""Azure DevOps as a source: the declarations and how a delivery says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from ledger.errors import PayloadError
from ledger.events import FOUND, Delivery, Reading

from ..payload import Payload
from ..signatures import AnyOf, Basic, Signature, Token
from ..source import Reader, SignedExample, Source, because
from . import deployments, workitems

HEADER: Final = "X-Billhook-Token"
"""The name that we give to the header of a subscription; Azure DevOps sends whatever is set."""

SAMPLES: Final = frozenset(
    {
        "d2d46fb1-dba5-403c-9373-427583f19e8c",
        "27646e0e-b520-4d2b-9411-bba7524947cd",
        "72da0ade-0709-40ee-beb7-104287bf7e84",
        "1ca023d6-6cff-49dd-b3d1-302b69311810",
        "c3e52c57-187a-45c4-abe2-184a48291bad",
        "ac1dd6da-af30-43cb-8434-e1005864b0a3",
    }
)
"""The ids of Microsoft's sample events, which the button "Test" sends: they look real."""

_IGNORED: Final = {
    "a comment is no work that is billed; Billhook's own note is one": "workitem.commented",
    "a change of code is no agreed piece of work by itself": "git.push tfvc.checkin",
    "a pull request is no agreed piece of work; its work item is": "git.pullrequest.created "
    "git.pullrequest.updated git.pullrequest.merged ms.vss-code.git-pullrequest-comment-event",
    "a change of a repository is no work that is billed": "git.repo.created git.repo.deleted "
    "git.repo.forked git.repo.renamed git.repo.statuschanged",
    "a build is no work that is billed": "build.complete",
    "a run is told stage by stage": "ms.vss-pipelines.run-state-changed-event "
    "ms.vss-pipelines.job-state-changed-event",
    "a deployment counts when it has succeeded": "ms.vss-release.deployment-started-event "
    "ms.vss-release.release-created-event ms.vss-release.release-abandoned-event "
    "ms.azure-devops-release.deployment-started-event "
    "ms.azure-devops-release.release-created-event "
    "ms.azure-devops-release.release-abandoned-event",
    "leave to deploy is no work that is billed": ""
    "ms.vss-release.deployment-approval-pending-event "
    "ms.vss-release.deployment-approval-completed-event "
    "ms.azure-devops-release.deployment-approval-pending-event "
    "ms.azure-devops-release.deployment-approval-completed-event manualintervention.pending "
    "ms.vss-pipelinechecks-events.check-updated-event "
    "ms.vss-pipelinechecks-events.approval-pending "
    "ms.vss-pipelinechecks-events.approval-completed",
    "a message in a team room is no work that is billed": "message.posted",
    "a security alert is no work that is billed": "ms.vss-alerts.alert-created-event "
    "ms.vss-alerts.alert-state-changed-event ms.vss-alerts.alert-updated-event",
    "a change of Azure DevOps' own setup is no work that is billed": "elasticagentpool.resized "
    "agentqueue.created agentqueue.updated ms.vss-endpoint.endpoint-created "
    "ms.vss-endpoint.endpoint-updated",
}


class AzureDevOpsSource(Source):
    """Service hooks of Azure DevOps Services and Server: Boards, Pipelines and releases."""

    key = workitems.KEY
    name = "Azure DevOps"
    docs_url = "https://learn.microsoft.com/azure/devops/service-hooks/events"
    signature: ClassVar[Signature | None] = AnyOf((Basic(), Token(HEADER)))
    signed_example = SignedExample(
        secret="billhook:an invented password",  # noqa: S106 - secures nothing
        headers={"authorization": "Basic YmlsbGhvb2s6YW4gaW52ZW50ZWQgcGFzc3dvcmQ="},
        body=b'{"eventType":"workitem.updated"}',
        verify_at=datetime(2026, 11, 2, tzinfo=UTC),
        origin="computed with openssl base64 after "
        "https://learn.microsoft.com/azure/devops/service-hooks/services/webhooks",
    )
    kinds = (
        "work.completed",
        "work.reopened",
        "time.total",
        "time.removed",
        "deployment.succeeded",
    )
    replay = "the event's id, and the subject with its version: nothing is signed"
    proven = "one recorded body and Microsoft's documentation, 2026-11-22"
    readers: ClassVar[Mapping[str, Reader]] = {
        "workitem.created": workitems.created,
        "workitem.updated": workitems.updated,
        "workitem.deleted": workitems.deleted,
        "workitem.restored": workitems.restored,
        "ms.vss-release.deployment-completed-event": deployments.completed,
        # So it is called in Microsoft's present documentation; it is the same event.
        "ms.azure-devops-release.deployment-completed-event": deployments.completed,
        "ms.vss-pipelines.stage-state-changed-event": deployments.stage_changed,
        "found:update": workitems.update,
    }
    ignored: ClassVar[Mapping[str, str]] = because(_IGNORED)

    def normalize(self, delivery: Delivery) -> Reading:
        if self._is_sample(delivery):
            return Reading(ignored="it is Microsoft's sample, which the button Test sends")
        return super().normalize(delivery)

    def type_of(self, payload: Payload, delivery: Delivery) -> str:
        # Microsoft's sample of `manualintervention.pending` has it under another name.
        return payload.optional_text("eventType") or payload.text(
            "eventId" if payload.has("eventId") else "eventType"
        )

    def delivery_id(self, delivery: Delivery) -> str | None:
        """Return the event's id, which stays when it is sent again or for another subscription."""
        if FOUND in delivery.headers:
            return None
        try:
            return self.opened(delivery).identifier("id")
        except PayloadError:
            return None

    def _is_sample(self, delivery: Delivery) -> bool:
        if FOUND in delivery.headers:
            return False
        payload = self.opened(delivery)
        event_id, resource = payload.raw("id"), payload.raw("resource")
        if isinstance(event_id, str) and event_id in SAMPLES:
            return True
        return isinstance(resource, Mapping) and str(resource.get("workItemId")) == "0"
