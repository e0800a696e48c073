"""A stateful stand-in of Jira's REST API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, status codes, paging, authentication)
and strict where Jira is lenient: an unknown path, query word or body key is refused, so that
nothing passes here that Jira might not know. `python -m connectors.jira.stand_in --port N`
serves it; `/_control/` is the way to look at its state, to add things and to order faults.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.stand_in import Fault, InProcess, StandIn, body, json_answer, query, serve_for_ever

from .connector import JiraConnector

USER: Final = "billing@agency.example"
TOKEN: Final = "stand-in-jira-token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"accountId": "5d53f3cbc6b9320d9ea5bdc2", "displayName": "Billhook"}
PAGE_OF_WORKLOGS: Final = 1000
MINUTE_MS: Final = 60_000

_API: Final = "/rest/api/2"
_ISSUE: Final = f"{_API}/issue/<name>"


def _clock() -> int:
    return time.time_ns() // 1_000_000


class JiraStandIn(StandIn):
    """One Jira site; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_API}/myself", endpoint="myself", methods=["GET"]),
        Rule(f"{_API}/serverInfo", endpoint="server_info", methods=["GET"]),
        Rule(_ISSUE, endpoint="issue", methods=["GET"]),
        Rule(f"{_ISSUE}/comment", endpoint="comments_of", methods=["GET"]),
        Rule(f"{_ISSUE}/comment", endpoint="add_comment", methods=["POST"]),
        Rule(f"{_ISSUE}/comment/<int:number>", endpoint="comment", methods=["GET", "PUT"]),
        Rule(f"{_ISSUE}/properties/<key>", endpoint="get_property", methods=["GET"]),
        Rule(f"{_ISSUE}/properties/<key>", endpoint="set_property", methods=["PUT"]),
        Rule(f"{_API}/project/<name>", endpoint="project", methods=["GET"]),
        Rule("/rest/agile/1.0/board/<name>", endpoint="board", methods=["GET"]),
        Rule(f"{_API}/worklog/updated", endpoint="updated_worklogs", methods=["GET"]),
        Rule(f"{_API}/worklog/deleted", endpoint="deleted_worklogs", methods=["GET"]),
        Rule(f"{_API}/worklog/list", endpoint="list_worklogs", methods=["POST"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/projects", endpoint="control_project", methods=["POST"]),
        Rule("/_control/boards", endpoint="control_board", methods=["POST"]),
        Rule("/_control/issues", endpoint="control_issue", methods=["POST"]),
        Rule("/_control/worklogs", endpoint="control_worklog", methods=["POST"]),
        Rule("/_control/worklogs/<int:number>", endpoint="control_removal", methods=["DELETE"]),
    )

    def __init__(self, now: Callable[[], int] = _clock) -> None:
        super().__init__()
        self.now = now
        """The site's clock: Unix milliseconds."""
        self.projects: dict[int, dict[str, Any]] = {}
        self.boards: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        """By id, each with the id of its issue as `issue`."""
        self.properties: dict[tuple[int, str], Any] = {}
        """By the issue's id and the property's key."""
        self.worklogs: dict[int, dict[str, Any]] = {}
        self.changed: dict[int, int] = {}
        """When each worklog was changed last."""
        self.deleted: dict[int, int] = {}
        """When each worklog that is gone was deleted."""

    def add_project(self, number: int, key: str, name: str) -> None:
        """Add a project."""
        self.projects[number] = {"id": str(number), "key": key, "name": name}

    def add_board(self, number: int, name: str, project: str | None) -> None:
        """Add a board; without a project it belongs to a person."""
        place: dict[str, Any] = {"projectKey": project} if project else {"userId": 10}
        self.boards[number] = {"id": number, "name": name, "type": "scrum", "location": place}

    def add_issue(self, number: int, key: str, summary: str, **fields: Any) -> None:
        """Add an issue to its project; other fields are given as Jira has them."""
        self.issues[number] = {
            "id": str(number),
            "key": key,
            "fields": {
                "summary": summary,
                "project": _found(self.projects, key.rpartition("-")[0]),
                "labels": [],
                "issuetype": {"id": "10001", "name": "Task"},
                "fixVersions": [],
                "updated": _jira_time(self.now()),
                **fields,
            },
        }

    def log(self, number: int, issue: int, seconds: int, started: str, **more: Any) -> None:
        """Add a worklog, or change the one with this id."""
        self.changed[number] = self.now()
        self.worklogs[number] = {
            "id": str(number),
            "issueId": str(issue),
            "author": ME,
            "comment": "",
            "created": _jira_time(self.now()),
            **self.worklogs.get(number, {}),
            "started": started,
            "timeSpentSeconds": seconds,
            "updated": _jira_time(self.now()),
            **more,
        }

    def unlog(self, number: int) -> None:
        """Delete a worklog; raise KeyError if there is none."""
        del self.worklogs[number], self.changed[number]
        self.deleted[number] = self.now()

    def authenticate(self, request: Request) -> None:
        """Let in the one account, by its API token or as Data Center does it."""
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") not in (f"Basic {pair}", f"Bearer {TOKEN}"):
            raise Unauthorized("Client must be authenticated to access this resource.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Jira's error body."""
        return {"errorMessages": [description], "errors": {}}

    def myself(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer(ME)

    def server_info(self, request: Request) -> Response:
        """Answer with the site's clock."""
        query(request)
        return json_answer({"baseUrl": request.host_url, "serverTime": _jira_time(self.now())})

    def issue(self, request: Request, name: str) -> Response:
        """Answer with an issue by id or key."""
        query(request, "fields", "expand")
        return json_answer(_found(self.issues, name))

    def project(self, request: Request, name: str) -> Response:
        """Answer with a project by id or key."""
        query(request, "expand")
        return json_answer(_found(self.projects, name))

    def board(self, request: Request, name: str) -> Response:
        """Answer with a board."""
        query(request)
        return json_answer(_found(self.boards, name))

    def comments_of(self, request: Request, name: str) -> Response:
        """Answer with one page of an issue's comments, oldest first."""
        issue = int(_found(self.issues, name)["id"])
        words = query(request, "startAt", "maxResults", "orderBy", "expand")
        start, most = int(words.get("startAt", 0)), min(int(words.get("maxResults", 100)), 100)
        here = [_shown(each) for each in self.comments.values() if each["issue"] == issue]
        page = {"startAt": start, "maxResults": most, "total": len(here)}
        return json_answer({**page, "comments": here[start : start + most]})

    def add_comment(self, request: Request, name: str) -> Response:
        """Add a comment."""
        issue = int(_found(self.issues, name)["id"])
        number = 10001 + len(self.comments)
        now = _jira_time(self.now())
        self.comments[number] = {
            "id": str(number),
            "issue": issue,
            "author": ME,
            **_content_of(request),
            "created": now,
            "updated": now,
        }
        return json_answer(_shown(self.comments[number]), 201)

    def comment(self, request: Request, name: str, number: int) -> Response:
        """Answer with a comment, or change it."""
        issue = int(_found(self.issues, name)["id"])
        comment = self.comments.get(number)
        if comment is None or comment["issue"] != issue:
            raise NotFound("Can not find a comment for the id.")
        if request.method == "PUT":
            comment.update(_content_of(request), updated=_jira_time(self.now()))
        return json_answer(_shown(comment))

    def get_property(self, request: Request, name: str, key: str) -> Response:
        """Answer with a property of an issue."""
        query(request)
        place = (int(_found(self.issues, name)["id"]), key)
        if place not in self.properties:
            raise NotFound(f"The property with key '{key}' does not exist.")
        return json_answer({"key": key, "value": self.properties[place]})

    def set_property(self, request: Request, name: str, key: str) -> Response:
        """Set a property of an issue; Jira answers that with an empty body."""
        query(request)
        text = request.get_data(as_text=True)
        if not text or len(text) > 32768:
            raise BadRequest("The property value must be JSON of at most 32768 characters.")
        place = (int(_found(self.issues, name)["id"]), key)
        status = 200 if place in self.properties else 201
        self.properties[place] = json.loads(text)
        return Response(status=status)

    def updated_worklogs(self, request: Request) -> Response:
        """Answer with the ids of worklogs that were changed since a moment."""
        return self._changes(request, self.changed)

    def deleted_worklogs(self, request: Request) -> Response:
        """Answer with the ids of worklogs that were deleted since a moment."""
        return self._changes(request, self.deleted)

    def list_worklogs(self, request: Request) -> Response:
        """Answer with the worklogs of these ids; the unknown ones are left out."""
        query(request, "expand")
        ids = body(request, "ids").get("ids")
        if not isinstance(ids, list) or len(ids) > PAGE_OF_WORKLOGS:
            raise BadRequest("There must be a list of at most 1000 ids.")
        return json_answer([self.worklogs[each] for each in ids if each in self.worklogs])

    def _changes(self, request: Request, changes: dict[int, int]) -> Response:
        since = int(query(request, "since", "expand").get("since", 0))
        # Jira leaves out the minute before the request.
        until = self.now() - MINUTE_MS
        later = sorted((at, number) for number, at in changes.items() if since < at <= until)
        page = later[:PAGE_OF_WORKLOGS]
        return json_answer(
            {
                "values": [
                    {"worklogId": number, "updatedTime": at, "properties": []}
                    for at, number in page
                ],
                "since": since,
                "until": page[-1][0] if page else since,
                "self": f"{request.base_url}?since={since}",
                "lastPage": len(later) <= PAGE_OF_WORKLOGS,
            }
        )

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        properties = [
            {"issue": issue, "key": key, "value": value}
            for (issue, key), value in self.properties.items()
        ]
        return json_answer(
            {
                "issues": list(self.issues.values()),
                "comments": list(self.comments.values()),
                "properties": properties,
                "worklogs": list(self.worklogs.values()),
                "deleted": self.deleted,
                "requests": self.requests,
            }
        )

    def control_project(self, request: Request) -> Response:
        """Add a project."""
        self.add_project(**body(request, "number", "key", "name"))
        return json_answer({}, 201)

    def control_board(self, request: Request) -> Response:
        """Add a board."""
        self.add_board(**body(request, "number", "name", "project"))
        return json_answer({}, 201)

    def control_issue(self, request: Request) -> Response:
        """Add an issue: `fields` holds what is more than number, key and summary."""
        content = body(request, "number", "key", "summary", "fields")
        self.add_issue(**content.pop("fields", {}), **content)
        return json_answer({}, 201)

    def control_worklog(self, request: Request) -> Response:
        """Add or change a worklog."""
        self.log(**body(request, "number", "issue", "seconds", "started", "author", "comment"))
        return json_answer({}, 201)

    def control_removal(self, _request: Request, number: int) -> Response:
        """Delete a worklog."""
        self.unlog(number)
        return json_answer({})


@dataclass
class ContractRig:
    """What the shared contract test of project connectors needs of this one."""

    site: JiraStandIn
    connector: type[JiraConnector] = JiraConnector
    settings: dict[str, str] = field(
        default_factory=lambda: {
            "url": "https://agency.example",
            "user": USER,
            "token": TOKEN,
            "endpoint": "jira-agency",
        }
    )
    unknown: str = "issue:99999"
    """Something to ask about that is not there."""

    def http(self) -> InProcess:
        """Return a port that leads to the stand-in."""
        return InProcess(self.site)

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            Report(
                subject="worklog:100028",
                item="ACME-7",
                project="ACME",
                fields={},
                invoice="acme-2026-10",
                state="draft",
                url="https://billhook.agency.example/invoices/acme-2026-10",
                marker="billhook:acme-2026-10:ACME-7",
            )
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [comment["body"] for comment in self.site.comments.values()]

    def order_fault(self, do: str, *, path: str = "", method: str = "") -> None:
        """Let the next request that fits fail as `Fault.do` says."""
        self.site.faults.append(Fault(do, path, method))


def contract_setup(_folder: Path) -> ContractRig:
    """Return a fresh site with one project, one board and one issue."""
    site = JiraStandIn()
    site.add_project(10000, "ACME", "Acme shop")
    site.add_board(1, "Acme board", "ACME")
    site.add_issue(10014, "ACME-7", "Checkout accepts vouchers", labels=["shop"])
    return ContractRig(site)


def _found(things: dict[int, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return a thing by id or key; raise NotFound."""
    for number, thing in things.items():
        if name in (str(number), thing.get("key")):
            return thing
    raise NotFound("It does not exist or you do not have permission to see it.")


def _content_of(request: Request) -> dict[str, Any]:
    query(request, "notifyUsers", "overrideEditableFlag", "expand")
    content = body(request, "body", "visibility", "properties")
    text = content.get("body")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("Comment body can not be empty!")
    return content


def _shown(comment: dict[str, Any]) -> dict[str, Any]:
    """Return a comment as Jira shows it: without its issue, and without properties unasked."""
    return {name: value for name, value in comment.items() if name not in ("issue", "properties")}


def _jira_time(at: int) -> str:
    moment = datetime.fromtimestamp(at // 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}+0000"


if __name__ == "__main__":
    serve_for_ever(JiraStandIn())
