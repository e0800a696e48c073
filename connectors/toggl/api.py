"""Toggl Track's APIs (v9, Reports v3, Webhooks v1): address, credentials, quotas, pages.

`connector.py` asks and tells through it. https://engineering.toggl.com/docs/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.http import Http, Response
from connectors.rest import Rest, content, retry_after
from ledger.errors import PermanentError

API_URL: Final = "https://api.track.toggl.com"
ROWS_A_PAGE: Final = 200
PROJECTS_A_PAGE: Final = 200


class TogglApi(Rest):
    """One account's view of one workspace."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        pair = f"{settings['token']}:api_token".encode()
        super().__init__(
            http,
            settings.get("api_url") or API_URL,
            {"Authorization": "Basic " + base64.b64encode(pair).decode()},
            tool="toggl",
            advice={
                400: "look at the time entry in Toggl: it may be locked or deleted",
                # Toggl answers a wrong token with 403, too.
                403: "enter a new `token:` for this endpoint in workspace.yaml, of an "
                "administrator of the workspace",
                404: "compare `workspace:` in workspace.yaml with the number in Toggl's address",
            },
        )
        self._workspace = settings.get("workspace", "")

    @property
    def workspace(self) -> int:
        """Return the workspace's number; raise PermanentError if the setting is none."""
        if not (self._workspace.isascii() and self._workspace.isdigit()):
            raise PermanentError(
                "toggl: `workspace:` is not a number - copy it from the address of Toggl's "
                "workspace settings into workspace.yaml"
            )
        return int(self._workspace)

    @property
    def tracking(self) -> str:
        """Return the path under which the workspace's things stand in API v9."""
        return f"/api/v9/workspaces/{self.workspace}"

    def rows(self, first_row: int, **filters: object) -> tuple[Sequence[Any], int | None]:
        """Return one page of the detailed report and the number of the next page's first row.

        Without `rounding: 0` the report rounds as the account prefers. `first_id` is left out:
        with it, pages after the first have been seen empty.
        """
        answer = self.send(
            "POST",
            f"/reports/api/v3/workspace/{self.workspace}/search/time_entries",
            body={
                **filters,
                "first_row_number": first_row,
                "page_size": ROWS_A_PAGE,
                "grouped": False,
                "hide_amounts": True,
                "rounding": 0,
                "rounding_minutes": 0,
            },
            is_read=True,
        )
        with self.reading("the detailed report"):
            found = content(answer)
            if not isinstance(found, list):
                raise TypeError
            following = answer.headers.get("x-next-row-number")
            return found, int(following) if following else None

    def tags(self) -> dict[int, str]:
        """Return the names of the workspace's tags by id."""
        with self.reading("the tags"):
            return {int(tag["id"]): str(tag["name"]) for tag in self._list("/tags")}

    def projects(self) -> dict[int, Mapping[str, Any]]:
        """Return the workspace's projects by id, archived ones too."""
        found: dict[int, Mapping[str, Any]] = {}
        page, is_last = 1, False
        while not is_last:
            with self.reading("the projects"):
                listed = self._list("/projects", active="both", per_page=PROJECTS_A_PAGE, page=page)
                found |= {int(project["id"]): project for project in listed}
            page, is_last = page + 1, len(listed) < PROJECTS_A_PAGE
        return found

    def clients(self) -> dict[int, str]:
        """Return the names of the workspace's clients by id, archived ones too."""
        with self.reading("the clients"):
            clients = self._list("/clients", status="both")
            return {int(client["id"]): str(client["name"]) for client in clients}

    def is_limit(self, answer: Response) -> bool:
        """Return whether the quota of this hour is used up.

        Toggl answers 402 then, which also means that a plan lacks something:
        https://support.toggl.com/api-webhook-limits
        """
        has_quota = "x-toggl-quota-remaining" in answer.headers
        return answer.status == 429 or (answer.status == 402 and has_quota)

    def wait(self, answer: Response) -> int | None:
        """Return the seconds to wait: as told, or until the quota begins anew."""
        told = retry_after(answer.headers)
        resets = answer.headers.get("x-toggl-quota-resets-in", "")
        return told if told is not None else retry_after({"retry-after": resets})

    def _list(self, path: str, **query: object) -> list[Any]:
        # Toggl answers with null where there is nothing to list.
        found = self.get(self.tracking + path, **query) or []
        if not isinstance(found, list):
            raise TypeError
        return found
