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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import body, json_answer, query, serve_for_ever

from .connector import JiraConnector
from .stand_in_search import MINUTE_MS, PAGE_OF_WORKLOGS, Searchable, found, jira_time

USER: Final = "billing@agency.example"
TOKEN: Final = "stand-in-jira-token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"accountId": "5d53f3cbc6b9320d9ea5bdc2", "displayName": "Billhook"}

NOW: Final = 1_793_610_000_000
"""The contract's clock: 2026-11-02T09:00:00Z."""
_STARTED: Final = (
    "2026-10-31T23:30:00.000+0100",
    "2026-10-01T00:30:00.000+0200",
    "2026-10-31T23:59:00.000-0700",
    "2026-09-30T23:59:00.000+0200",
    "2026-11-01T00:00:00.000+0100",
    "2026-09-30T20:00:00.000-0700",
)
"""When the entries 200 to 205 were worked: three in October, three beside it."""

_API: Final = "/rest/api/2"
_ISSUE: Final = f"{_API}/issue/<name>"


def _clock() -> int:
    return time.time_ns() // 1_000_000


class JiraStandIn(Searchable):
    """One Jira site; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_API}/myself", endpoint="myself", methods=["GET"]),
        Rule(f"{_API}/serverInfo", endpoint="server_info", methods=["GET"]),
        Rule(f"{_API}/search", endpoint="search", methods=["GET"]),
        Rule(f"{_API}/search/jql", endpoint="search_jql", methods=["GET"]),
        Rule(f"{_API}/issue/bulkfetch", endpoint="bulk_fetch", methods=["POST"]),
        Rule(_ISSUE, endpoint="issue", methods=["GET"]),
        Rule(f"{_ISSUE}/changelog", endpoint="changelog_of", methods=["GET"]),
        Rule(f"{_ISSUE}/worklog", endpoint="worklogs_of", methods=["GET"]),
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
        super().__init__(now)
        self.projects: dict[int, dict[str, Any]] = {}
        self.boards: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        """By id, each with the id of its issue as `issue`."""
        self.properties: dict[tuple[int, str], Any] = {}
        """By the issue's id and the property's key."""
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
                "project": found(self.projects, key.rpartition("-")[0]),
                "labels": [],
                "issuetype": {"id": "10001", "name": "Task"},
                "fixVersions": [],
                "status": {"name": "To Do", "statusCategory": {"key": "new"}},
                "resolution": None,
                "assignee": ME,
                "creator": ME,
                "created": jira_time(self.now()),
                "updated": jira_time(self.now()),
                **fields,
            },
        }

    def change(self, number: int, field: str, before: str, after: str, **told: Any) -> None:
        """Change a field of an issue, as it then stands in its history; `told` goes into fields."""
        now = jira_time(self.now())
        item = {"field": field, "fieldtype": "jira", "fieldId": field}
        names = {"from": None, "fromString": before, "to": None, "toString": after}
        made = self.histories.setdefault(number, [])
        entry = {"id": str(50001 + len(made)), "author": ME, "created": now}
        made.insert(0, {**entry, "items": [{**item, **names}]})
        self.issues[number]["fields"].update(told, updated=now)

    def move(self, number: int, name: str, category: str) -> None:
        """Move an issue to a status of a category: new, indeterminate or done."""
        before = self.issues[number]["fields"]["status"]["name"]
        status = {"name": name, "statusCategory": {"key": category}}
        resolution = {"name": "Done"} if category == "done" else None
        self.change(number, "status", before, name, status=status, resolution=resolution)

    def log(self, number: int, issue: int, seconds: int, started: str, **more: Any) -> None:
        """Add a worklog, or change the one with this id."""
        self.changed[number] = self.now()
        self.worklogs[number] = {
            "id": str(number),
            "issueId": str(issue),
            "author": ME,
            "comment": "",
            "created": jira_time(self.now()),
            **self.worklogs.get(number, {}),
            "started": started,
            "timeSpentSeconds": seconds,
            "updated": jira_time(self.now()),
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
        kind = "Cloud" if self.is_cloud else "Server"
        time = jira_time(self.now())
        told = {"baseUrl": request.host_url, "deploymentType": kind, "serverTime": time}
        return json_answer(told)

    def state(self) -> str:
        """Return everything that stands here as text."""
        every = (self.issues, self.comments, self.worklogs, self.deleted, self.histories)
        return repr((every, self.properties))

    def issue(self, request: Request, name: str) -> Response:
        """Answer with an issue by id or key."""
        query(request, "fields", "expand")
        return json_answer(found(self.issues, name))

    def project(self, request: Request, name: str) -> Response:
        """Answer with a project by id or key."""
        query(request, "expand")
        return json_answer(found(self.projects, name))

    def board(self, request: Request, name: str) -> Response:
        """Answer with a board."""
        query(request)
        return json_answer(found(self.boards, name))

    def comments_of(self, request: Request, name: str) -> Response:
        """Answer with one page of an issue's comments, oldest first."""
        issue = int(found(self.issues, name)["id"])
        words = query(request, "startAt", "maxResults", "orderBy", "expand")
        start, most = int(words.get("startAt", 0)), min(int(words.get("maxResults", 100)), 100)
        here = [_shown(each) for each in self.comments.values() if each["issue"] == issue]
        page = {"startAt": start, "maxResults": most, "total": len(here)}
        return json_answer({**page, "comments": here[start : start + most]})

    def add_comment(self, request: Request, name: str) -> Response:
        """Add a comment."""
        issue = int(found(self.issues, name)["id"])
        number = 10001 + len(self.comments)
        now = jira_time(self.now())
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
        issue = int(found(self.issues, name)["id"])
        comment = self.comments.get(number)
        if comment is None or comment["issue"] != issue:
            raise NotFound("Can not find a comment for the id.")
        if request.method == "PUT":
            comment.update(_content_of(request), updated=jira_time(self.now()))
        return json_answer(_shown(comment))

    def get_property(self, request: Request, name: str, key: str) -> Response:
        """Answer with a property of an issue."""
        query(request)
        place = (int(found(self.issues, name)["id"]), key)
        if place not in self.properties:
            raise NotFound(f"The property with key '{key}' does not exist.")
        return json_answer({"key": key, "value": self.properties[place]})

    def set_property(self, request: Request, name: str, key: str) -> Response:
        """Set a property of an issue; Jira answers that with an empty body."""
        query(request)
        text = request.get_data(as_text=True)
        if not text or len(text) > 32768:
            raise BadRequest("The property value must be JSON of at most 32768 characters.")
        place = (int(found(self.issues, name)["id"]), key)
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
        page = later[: self.page_of_worklogs]
        return json_answer(
            {
                "values": [
                    {"worklogId": number, "updatedTime": at, "properties": []}
                    for at, number in page
                ],
                "since": since,
                "until": page[-1][0] if page else since,
                "self": f"{request.base_url}?since={since}",
                "lastPage": len(later) <= self.page_of_worklogs,
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


class ContractRig(ProjectRig[JiraStandIn]):
    """What the shared contract test of project connectors needs of this one."""

    connector: ClassVar[type[JiraConnector]] = JiraConnector
    valid: ClassVar[Mapping[str, str]] = {
        "url": "https://agency.example",
        "user": USER,
        "token": TOKEN,
        "endpoint": "jira-agency",
    }
    unknown: ClassVar[str] = "issue:99999"
    look_ups: ClassVar[LookUps] = {
        "worklog:200": [("time.logged", "worklog:200")],
        "worklog:99999": [],
        "worklog:../myself": [],
    }
    facts: ClassVar[tuple[str, ...]] = ("issue:10014", "issue:10015", "project:10000", "board:1")

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [report_on("worklog:100028", "ACME-7", "ACME")]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [comment["body"] for comment in self.site.comments.values()]

    def happen(self) -> list[Named]:
        """Let entries be logged, changed and deleted and issues be moved, more than a page."""
        site, at = self.site, self.site.now()
        clock = [at]
        site.now = lambda: clock[0]

        def then() -> None:
            clock[0] += MINUTE_MS

        for number in range(300, 305):
            then()
            site.log(number, 10014, 60 * number, "2026-11-02T09:00:00.000+0100")
        then()
        site.log(200, 10014, 1234, "2026-10-31T23:30:00.000+0100")
        then()
        site.unlog(201)
        for number in (10014, 10015, 10016):
            then()
            site.move(number, "Done", "done")
        then()
        site.move(10016, "In Progress", "indeterminate")
        clock[0] = at + 60 * MINUTE_MS
        return [
            *(("time.logged", f"worklog:{number}") for number in (200, *range(300, 305))),
            ("time.removed", "worklog:201"),
            ("work.completed", "issue:10014"),
            ("work.completed", "issue:10015"),
            ("work.reopened", "issue:10016"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return what Jira posts because of a note: the comment, the property, the issue."""
        now = self.site.now()
        issue = self.site.issues[10014]
        told: list[dict[str, Any]] = [
            {"webhookEvent": "comment_created", "comment": comment, "issue": issue}
            for comment in self.site.comments.values()
        ]
        told += [
            {"webhookEvent": "comment_updated", "comment": comment, "issue": issue}
            for comment in self.site.comments.values()
        ]
        told += [{"webhookEvent": "issue_property_set", "property": {"key": "billhook"}}]
        commented = {"issue_event_type_name": "issue_commented", "issue": issue, "user": ME}
        told += [{"webhookEvent": "jira:issue_updated", **commented}]
        return [({}, {"timestamp": now, **each}) for each in told]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a site with one project, one board, three issues and entries around one month."""
    clock = NOW
    site = JiraStandIn(lambda: clock)
    # Three of each for a page, so that a few changes are more than one.
    site.page_of_worklogs, site.page_of_issues = 3, 2
    site.add_project(10000, "ACME", "Acme shop")
    site.add_board(1, "Acme board", "ACME")
    site.add_issue(10014, "ACME-7", "Checkout accepts vouchers", labels=["shop"])
    site.add_issue(10015, "ACME-8", "Vouchers are printed")
    site.add_issue(10016, "ACME-9", "Vouchers run out")
    for number, started in enumerate(_STARTED, 200):
        site.log(number, 10014, 600 + number, started)
    for number in range(210, 235):
        site.log(number, 10015, number, "2026-10-15T10:00:00.000+0200")
    inside = [200, 201, 202, *range(210, 235)]
    entries = {f"worklog:{each}": site.worklogs[each]["timeSpentSeconds"] for each in inside}
    return ContractRig(site, entries=entries)


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


if __name__ == "__main__":
    serve_for_ever(JiraStandIn())
