"""A stateful stand-in of Tempo's API, for tests and the demo; never for production.

Shaped after the published schema (paths, field names, paging, authentication) and strict where
Tempo is lenient. `python -m connectors.tempo.stand_in --port N` serves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.contract import LookUps, Named, ProjectRig
from connectors.http import Request as Outgoing
from connectors.http import Response as Answer
from connectors.jira import stand_in as jira
from connectors.stand_in import InProcess, StandIn, body, json_answer, query, serve_for_ever

from .connector import TempoConnector

TOKEN: Final = "stand-in-tempo-token"  # noqa: S105 - it opens nothing but this stand-in.
AUTHOR: Final = "5b10a2844c20165700ede21g"
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""The contract's clock."""
_WORKLOGS: Final = "/4/worklogs"


class TempoStandIn(StandIn):
    """One Tempo; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(_WORKLOGS, endpoint="list_worklogs", methods=["GET"]),
        Rule(f"{_WORKLOGS}/<int:number>", endpoint="worklog", methods=["GET"]),
        Rule("/audit/1/events/deleted/types/worklog", endpoint="list_deleted", methods=["GET"]),
        Rule("/_control/worklogs", endpoint="control_worklog", methods=["POST"]),
    )

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.now = now
        self.most = 1000
        """The most worklogs for one request."""
        self.worklogs: dict[int, dict[str, Any]] = {}
        self.deleted: dict[int, str] = {}
        """When each worklog that is gone was deleted, as the audit writes it."""

    def log(self, number: int, spent: int, billable: int | None, day: str, **more: Any) -> None:
        """Add a worklog, or change the one with this id."""
        now = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.worklogs[number] = {
            "self": f"https://api.tempo.example/4/worklogs/{number}",
            "tempoWorklogId": number,
            "issue": {"self": "https://agency.example/rest/api/2/issue/10014", "id": 10014},
            "author": {"self": "https://agency.example/rest/api/2/user", "accountId": AUTHOR},
            "attributes": {"self": "https://api.tempo.example", "values": []},
            "description": "",
            "createdAt": now,
            **self.worklogs.get(number, {}),
            "timeSpentSeconds": spent,
            "billableSeconds": billable,
            "startDate": day,
            "startTime": "09:00:00",
            "updatedAt": now,
            **more,
        }

    def unlog(self, number: int) -> None:
        """Delete a worklog; raise KeyError if there is none."""
        del self.worklogs[number]
        self.deleted[number] = self.now().strftime("%Y-%m-%dT%H:%M:%S.639000")

    def authenticate(self, request: Request) -> None:
        """Let in whoever has the token."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("Client must be authenticated to access this resource.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Tempo's error body."""
        return {"errors": [{"message": description}]}

    def worklog(self, request: Request, number: int) -> Response:
        """Answer with one worklog."""
        query(request)
        if number not in self.worklogs:
            raise NotFound("Worklog cannot be found in the system")
        return json_answer(self.worklogs[number])

    def list_worklogs(self, request: Request) -> Response:
        """Answer with a page of worklogs, both days of the period included."""
        words = query(request, "from", "to", "updatedFrom", "orderBy", "limit", "offset")
        if words.get("orderBy", "ID") not in ("ID", "START_DATE_TIME", "UPDATED"):
            raise BadRequest("'orderBy' is not valid")
        # A date only, in whatever zone: here in the farthest west.
        since = date.fromisoformat(words.get("updatedFrom", "1970-01-01")).isoformat() + "T12"
        found = [
            worklog
            for _, worklog in sorted(self.worklogs.items())
            if worklog["updatedAt"] >= since
            and words.get("from", "") <= worklog["startDate"] <= words.get("to", "9999")
        ]
        start = int(words.get("offset", 0))
        end = start + min(int(words.get("limit", 50)), self.most)
        metadata: dict[str, Any] = {"count": len(found[start:end]), "offset": start}
        if end < len(found):
            metadata["next"] = f"https://elsewhere.example/4/worklogs?offset={end}"
        return json_answer({"metadata": metadata, "results": found[start:end]})

    def list_deleted(self, request: Request) -> Response:
        """Answer with a page of the audit of deletions; ids are texts there."""
        words = query(request, "updatedFrom", "limit", "lastEvaluatedKey")
        if "T" not in words.get("updatedFrom", "") or int(words.get("limit", 50)) > 1000:
            raise BadRequest("'updatedFrom' must be a date and time, 'limit' at most 1000")
        # In whatever zone this is meant: here, as above, in the farthest west.
        since = words["updatedFrom"].replace("T00:", "T12:")
        late = [each for each in self.deleted.items() if each[1] >= since]
        start = int(words.get("lastEvaluatedKey", "key-0").removeprefix("key-"))
        end = start + min(int(words.get("limit", 50)), self.most)
        results = [
            {"deletedAt": at, "tempoWorklogId": str(number), "jiraWorklogId": str(number + 5000)}
            for number, at in late[start:end]
        ]
        metadata: dict[str, Any] = {"count": len(results)}
        if end < len(late):
            metadata["lastEvaluatedKey"] = f"key-{end}"
        return json_answer({"metadata": metadata, "results": results})

    def control_worklog(self, request: Request) -> Response:
        """Add or change a worklog."""
        self.log(**body(request, "number", "spent", "billable", "day", "issue", "description"))
        return json_answer({}, 201)

    def state(self) -> str:
        """Return everything that stands here as text."""
        return repr((self.worklogs, self.deleted))


class Both:
    """A port that leads to Tempo, and for Jira's address to Jira."""

    def __init__(self, site: TempoStandIn, jira_site: jira.JiraStandIn) -> None:
        self._tempo, self._jira = InProcess(site), InProcess(jira_site)

    def send(self, request: Outgoing) -> Answer:
        """Return the answer of the one that is asked."""
        is_jira = request.url.startswith("https://agency.example/")
        return (self._jira if is_jira else self._tempo).send(request)


class ContractRig(ProjectRig[TempoStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[TempoConnector]] = TempoConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "jira_url": "https://agency.example",
        "jira_user": jira.USER,
        "jira_token": jira.TOKEN,
        "endpoint": "tempo-agency",
    }
    unknown: ClassVar[str] = "issue:99999"
    facts: ClassVar[tuple[str, ...]] = ("issue:10014", "issue:10015", "issue:10016")
    look_ups: ClassVar[LookUps] = {
        "worklog:200": [("time.logged", "worklog:200")],
        "worklog:99999": [],
        "worklog:../x": [],
    }

    def __init__(
        self, site: TempoStandIn, jira_site: jira.JiraStandIn, entries: Mapping[str, int]
    ) -> None:
        super().__init__(site, entries)
        self._jira_site = jira_site

    def http(self) -> Both:
        """Return a port that leads to both stand-ins."""
        return Both(self.site, self._jira_site)

    def happen(self) -> list[Named]:
        """Let worklogs be logged, changed and deleted: more than a page."""
        site, at = self.site, self.site.now()
        clock = [at]
        site.now = lambda: clock[0]
        for number in range(300, 305):
            clock[0] += timedelta(minutes=1)
            site.log(number, 3600, 1800, "2026-11-02")
        clock[0] += timedelta(minutes=1)
        site.log(200, 4000, 4500, "2026-10-31")
        for number in (201, 202, 203, 204, 205):
            clock[0] += timedelta(minutes=1)
            site.unlog(number)
        logged = [("time.logged", f"worklog:{number}") for number in (200, *range(300, 305))]
        return logged + [("time.removed", f"worklog:{number}") for number in range(201, 206)]


def contract_setup(folder: Path) -> ContractRig:
    """Return a Tempo with worklogs before, in and after October, and its Jira."""
    site = TempoStandIn(lambda: NOW - timedelta(days=3))
    # Four for a page, so that a few changes are more than one.
    site.most = 4
    days = ("2026-10-31", "2026-10-01", "2026-10-15", "2026-10-15", "2026-09-30", "2026-11-01")
    for number, day in enumerate(days, 200):
        site.log(number, 3600, 100 * (number - 199), day)
    site.log(206, 1234, 0, "2026-10-02")
    site.log(207, 567, None, "2026-10-03")
    site.now = lambda: NOW
    jira_site = jira.contract_setup(folder).site
    jira_site.requests = site.requests
    seconds = {200: 100, 201: 200, 202: 300, 203: 400, 206: 1234, 207: 567}
    entries = {f"worklog:{number}": each for number, each in seconds.items()}
    return ContractRig(site, jira_site, entries)


if __name__ == "__main__":
    serve_for_ever(TempoStandIn())
