"""Azure Pipelines' deployments: a classic release's stage, or a stage of a YAML pipeline.

https://learn.microsoft.com/azure/devops/service-hooks/events
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds
from .workitems import KEY


def completed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `ms.vss-release.deployment-completed-event`: only the status succeeded counts.

    Microsoft's present documentation has the environment, the release and the status within
    `deployment`, and the project within the release; what servers send has them beside it.
    """
    resource = payload["resource"]
    if not resource.has("environment"):
        resource = resource["deployment"]
    environment = resource["environment"]
    status = (environment if environment.has("status") else resource).text("status")
    if status.lower() != "succeeded":
        return Reading(ignored=f"the deployment's status is {status:.60}: only succeeded counts")
    release = environment.optional("release") or resource.optional("release")
    name = environment.text("name")
    fields = {
        "environment": name,
        "release": release.optional_text("name") if release is not None else None,
    }
    subject = f"deployment:{environment.identifier('id')}"
    project = resource.optional("project") or (release.optional("project") if release else None)
    project_name = project.optional_text("name") if project is not None else None
    return _succeeded(payload, delivery, subject, project_name, name, fields)


def stage_changed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `ms.vss-pipelines.stage-state-changed-event`: a stage that ended well.

    Which stages deploy only the admin knows; rules take them by their title.
    """
    resource = payload["resource"]
    stage, run = resource["stage"], resource["run"]
    state = stage.text("state")
    result = stage.optional_text("result") or "none"
    if (state.lower(), result.lower()) != ("completed", "succeeded"):
        words = f"{state:.40}, result {result:.40}"
        return Reading(ignored=f"the stage is {words}: it counts when it has succeeded")
    pipeline = resource.optional("pipeline") or run.optional("pipeline")
    name = stage.text("name")
    fields = {
        "environment": name,
        "pipeline": pipeline.optional_text("name") if pipeline is not None else None,
        "run": run.optional_text("name"),
    }
    subject = f"stage:{run.identifier('id')}:{name:.200}"
    title = stage.optional_text("displayName") or name
    return _succeeded(payload, delivery, subject, None, title, fields)


def _succeeded(
    payload: Payload,
    delivery: Delivery,
    subject: str,
    project: str | None,
    title: str,
    fields: dict[str, Any],
) -> Reading:
    # The body's own time; what stands within it is the release's or the whole run's.
    at = payload.moment("createdDate").astimezone(UTC)
    event = Event(
        kind="deployment.succeeded",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=subject,
        version=milliseconds(at),
        occurred_at=at,
        on=at.date(),
        project=project,
        title=title,
        fields=fields,
        about=None if project else _project_id(payload),
    )
    return Reading(events=(event,))


def _project_id(payload: Payload) -> str | None:
    """Return the project that only has an id here; its name is asked for."""
    containers = payload.optional("resourceContainers")
    project = containers.optional("project") if containers is not None else None
    return f"project:{project.identifier('id'):.200}" if project is not None else None
