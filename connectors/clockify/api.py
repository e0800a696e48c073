"""Clockify's two APIs (REST and reports): addresses, credentials, pages.

`connector.py` asks and tells through it. https://docs.clockify.me
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from connectors.http import Http
from connectors.rest import NotThereError, Rest
from ledger.errors import PermanentError

API_URL: Final = "https://api.clockify.me/api"
REPORTS_URL: Final = "https://reports.api.clockify.me"
PAGE: Final = 200
"""How many things are asked for at once; the REST API gives more, the report not surely."""
_ID: Final = re.compile(r"[0-9a-f]{24}", re.ASCII)


class ClockifyApi:
    """One account's view of one workspace."""

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        headers = {"X-Api-Key": settings["token"]}
        advice = {
            400: "look at the time entry in Clockify: it may be locked, approved or deleted",
            403: "give the token's account the rights of an administrator of the workspace",
            404: "compare `workspace:` in workspace.yaml with the id in Clockify's settings",
        }
        self.rest = Rest(
            http, settings.get("api_url") or API_URL, headers, tool="clockify", advice=advice
        )
        self.reports = Rest(
            http,
            settings.get("reports_url") or REPORTS_URL,
            headers,
            tool="clockify",
            advice=advice,
        )
        self._workspace = settings.get("workspace", "")

    @property
    def path(self) -> str:
        """Return the path of the workspace; raise PermanentError if the setting is no id."""
        if not is_id(self._workspace):
            raise PermanentError(
                "clockify: `workspace:` is not an id of 24 characters - copy it from the address "
                "of Clockify's workspace settings into workspace.yaml"
            )
        return f"/v1/workspaces/{self._workspace}"

    def pages(self, path: str, **query: object) -> Iterator[Mapping[str, Any]]:
        """Yield the things of a list over all its pages."""
        page, is_last = 1, False
        while not is_last:
            found = self.rest.get(
                f"{self.path}{path}", **query, **{"page": page, "page-size": PAGE}
            )
            with self.rest.reading(path):
                if not isinstance(found, list):
                    raise TypeError
                yield from found
            page, is_last = page + 1, len(found) < PAGE

    def logged(self, start: str, end: str) -> dict[str, set[str]]:
        """Return the ids of all people's finished entries in a period, by the person's id.

        The detailed report is the one list that has everybody, also who has left. Both ends are
        moments in UTC.
        """
        by_person: dict[str, set[str]] = {}
        page, is_last = 1, False
        while not is_last:
            asked = {
                "dateRangeStart": start,
                "dateRangeEnd": end,
                "detailedFilter": {"page": page, "pageSize": PAGE},
                "exportType": "JSON",
                "rounding": False,
                "timeZone": "UTC",
            }
            told = self.reports.ask(f"{self.path}/reports/detailed", asked)
            with self.reports.reading("the detailed report"):
                rows = told["timeentries"] if "timeentries" in told else told["timeEntries"]
                for row in rows:
                    by_person.setdefault(row["userId"], set()).add(row["_id"])
                is_last = len(rows) < PAGE
            page += 1
        return by_person

    def entry(self, number: str, *, is_hydrated: bool) -> dict[str, Any] | None:
        """Return a time entry, None if there is none (any more)."""
        hydrated = "true" if is_hydrated else None
        try:
            with self.rest.reading("a time entry"):
                return dict(self.rest.get(f"{self.path}/time-entries/{number}", hydrated=hydrated))
        except NotThereError:
            return None


def is_id(text: object) -> bool:
    """Return whether something is an id of Clockify's, which may stand in a path."""
    return isinstance(text, str) and bool(_ID.fullmatch(text))
