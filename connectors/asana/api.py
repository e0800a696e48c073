"""Asana's REST API: its envelope, its pages and what it says of a plan without time tracking.

`connector.py` asks and tells through it. https://developers.asana.com/reference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest
from ledger.errors import RejectedError

API_URL: Final = "https://app.asana.com/api/1.0"
PAGE: Final = 100
"""The most that Asana gives for one request."""
TASK_FIELDS: Final = ",".join(
    (
        *("name", "resource_subtype", "completed", "completed_at", "modified_at"),
        *("approval_status", "assignee.name", "tags.name", "projects.name"),
        *("memberships.project.name", "memberships.section.name"),
        *("custom_fields.display_value", "custom_fields.name"),
        *("custom_fields.resource_subtype", "custom_fields.type"),
    )
)
ENTRY_FIELDS: Final = ",".join(
    (
        *("duration_minutes", "entered_on", "created_at", "created_by.name"),
        *("attributable_to.name", "task.name", "task.resource_subtype"),
        *("billable_status", "approval_status", "description"),
    )
)


class NotInPlanError(RejectedError):
    """The Workspace's plan does not have what was asked for, so there is none of it."""


class AsanaApi(Rest):
    """One account's view of Asana. Answers stand in `data`, what is sent does too."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(
            http,
            settings.get("api_url") or API_URL,
            {"Authorization": f"Bearer {settings['token']}"},
            tool="asana",
            advice={
                400: "look at the task in Asana, and whether `workspace:` and `projects:` in "
                "workspace.yaml are gids",
                403: "invite the token's account to the project",
                404: "invite the token's account to the project, or look whether it was deleted",
            },
        )

    def one(self, path: str, **query: object) -> dict[str, Any]:
        """Return one object."""
        with self.reading(path):
            return dict(self.get(path, **query)["data"])

    def pages(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list over all its pages.

        Of the next page only the token is used, not its address: that comes from settings only.
        """
        offset: str | None = None
        is_last = False
        while not is_last:
            with self.reading(path):
                answer = self.get(path, limit=PAGE, offset=offset, **query)
                found = [dict(one) for one in answer["data"]]
                following = answer.get("next_page") or {}
                offset = following.get("offset")
                is_last = offset is None
            yield from found

    def task(self, gid: str) -> dict[str, Any]:
        """Return a task."""
        return self.one(f"/tasks/{gid}", opt_fields=TASK_FIELDS)

    def tasks(self, project: str, *, since: str) -> Iterator[dict[str, Any]]:
        """Yield the tasks of a project that changed since a moment (RFC 3339)."""
        return self.pages("/tasks", project=project, modified_since=since, opt_fields=TASK_FIELDS)

    def entry(self, gid: str) -> dict[str, Any]:
        """Return a time entry."""
        return self.one(f"/time_tracking_entries/{gid}", opt_fields=ENTRY_FIELDS)

    def entries_of(self, task: str) -> Iterator[dict[str, Any]]:
        """Yield the time entries of a task, none where the plan has no time tracking."""
        return self._entries(f"/tasks/{task}/time_tracking_entries")

    def entries(self, workspace: str, first: date, last: date) -> Iterator[dict[str, Any]]:
        """Yield all people's time entries for the days of a period."""
        return self._entries(
            "/time_tracking_entries",
            workspace=workspace,
            entered_on_start_date=first.isoformat(),
            entered_on_end_date=last.isoformat(),
        )

    def write(self, method: str, path: str, text: str) -> Any:
        """Create (POST) or change (PUT) a comment; return the answer as it is."""
        send = self.post if method == "POST" else self.put
        return send(path, {"data": {"text": text}})

    def is_limit(self, answer: Response) -> bool:
        """Return whether it is a limit; raise NotInPlanError for "402 Payment Required".

        https://developers.asana.com/docs/errors
        """
        if answer.status == 402:
            raise NotInPlanError(
                "asana: the Workspace's plan does not have this (HTTP 402) - nothing to do, or "
                "change the plan"
            )
        return super().is_limit(answer)

    def _entries(self, path: str, **query: object) -> Iterator[dict[str, Any]]:
        try:
            yield from self.pages(path, opt_fields=ENTRY_FIELDS, **query)
        except NotInPlanError:
            return
