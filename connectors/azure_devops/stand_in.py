"""A stateful stand-in of Azure DevOps' REST API, for tests and the demo; never for production.

Shaped after the documented answers and strict where Azure DevOps is lenient: an unknown path, query
word or body key is refused. `python -m connectors.azure_devops.stand_in --port N` serves it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import AzureDevOpsConnector

TOKEN: Final = "stand-in-azure-token"  # noqa: S105 - it opens nothing but this stand-in.
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PROJECT_ID: Final = "5c9f6f0e-1111-4f6e-9d5f-6a4f7f3f0001"
ME: Final = {
    "id": "5c9f6f0e-1111-4f6e-9d5f-6a4f7f3f0009",
    "displayName": "Billhook",
    "uniqueName": "billing@agency.example",
}
ANA: Final = {
    "id": "5c9f6f0e-1111-4f6e-9d5f-6a4f7f3f0007",
    "displayName": "Ana Silva",
    "uniqueName": "ana@agency.example",
}
HOURS: Final = "Microsoft.VSTS.Scheduling.CompletedWork"
MOST_UPDATES: Final = 200

_ORGANIZATION: Final = "/agency"
_API: Final = f"{_ORGANIZATION}/_apis/wit"
_ITEM: Final = f"{_API}/workItems/<int:item>"
_COMMENTS: Final = f"{_ORGANIZATION}/<project>/_apis/wit/workItems/<int:item>/comments"
_WIQL: Final = re.compile(
    r"SELECT \[System\.Id\] FROM WorkItems WHERE"
    r" \[System\.ChangedDate\] >= '([^']+)' AND \[System\.Id\] > (\d+) ORDER BY \[System\.Id\]"
)
_NOTHING: Final = "SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 0"


class AzureDevOpsStandIn(StandIn):
    """One organization with one project; its clock moves only with `pass_time`."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_ORGANIZATION}/_apis/connectionData", endpoint="connection_data", methods=["GET"]),
        Rule(f"{_ORGANIZATION}/_apis/projects/<number>", endpoint="project", methods=["GET"]),
        Rule(f"{_API}/wiql", endpoint="wiql", methods=["POST"]),
        Rule(f"{_API}/workItems", endpoint="work_items", methods=["GET"]),
        Rule(f"{_ITEM}/updates", endpoint="updates_of", methods=["GET"]),
        Rule(f"{_ITEM}/updates/<int:number>", endpoint="update_of", methods=["GET"]),
        Rule(f"{_ITEM}/revisions/<int:rev>", endpoint="revision_of", methods=["GET"]),
        Rule(_COMMENTS, endpoint="comments_of", methods=["GET"]),
        Rule(_COMMENTS, endpoint="add_comment", methods=["POST"]),
        Rule(f"{_COMMENTS}/<int:number>", endpoint="edit_comment", methods=["PATCH"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/items", endpoint="control_item", methods=["POST"]),
        Rule("/_control/changes", endpoint="control_change", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.updates: dict[int, list[dict[str, Any]]] = {}
        self.revisions: dict[int, list[dict[str, Any]]] = {}
        """Full fields after each update, oldest first."""
        self.comments: dict[int, dict[str, Any]] = {}

    def state(self) -> Any:
        """Return everything that stands here, for comparison."""
        return {"revisions": str(self.revisions), "comments": str(self.comments)}

    def pass_time(self, passed: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass."""
        self.now += passed

    def add_item(self, item: int, title: str, state: str = "New", hours: object = None) -> None:
        """Create a work item."""
        self.updates[item], self.revisions[item] = [], []
        first: dict[str, Any] = {
            "System.TeamProject": "Acme",
            "System.WorkItemType": "Task",
            "System.AreaPath": "Acme",
            "System.Title": title,
            "System.State": state,
            "System.Tags": "billable; portal",
            "System.AssignedTo": ANA,
        }
        self.change(item, {**first, HOURS: hours} if hours else first)

    def change(self, item: int, fields: dict[str, Any]) -> None:
        """Change fields of a work item now, as Ana; None removes one."""
        before = self.revisions[item][-1] if self.revisions[item] else {}
        at = self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        wanted = {**fields, "System.ChangedDate": at, "System.ChangedBy": ANA}
        changed: dict[str, dict[str, Any]] = {}
        for name, value in wanted.items():
            if before.get(name) != value:
                sides = {"oldValue": before.get(name), "newValue": value}
                changed[name] = {side: told for side, told in sides.items() if told is not None}
        after = {name: value for name, value in {**before, **wanted}.items() if value is not None}
        number = len(self.updates[item]) + 1
        self.revisions[item].append(after)
        self.updates[item].append(
            {
                "id": number,
                "workItemId": item,
                "rev": number,
                "revisedBy": {**ANA, "name": "Ana Silva <ana@agency.example>"},
                "revisedDate": "9999-01-01T00:00:00Z",
                "fields": changed,
            }
        )

    def authenticate(self, request: Request) -> None:
        """Let in the one account: any user name, the token as password."""
        expected = base64.b64encode(f":{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            raise Unauthorized("TF400813: The user is not authorized to access this resource.")
        preview = "comments" in request.path or "connectionData" in request.path
        if request.args.get("api-version", "").endswith(("-preview.1", "-preview.3")) != preview:
            raise BadRequest("The requested version is under preview, or not.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Azure DevOps' error body."""
        return {"$id": "1", "message": description, "typeKey": "Exception", "errorCode": 0}

    def connection_data(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request, "api-version")
        user = {"id": ME["id"], "providerDisplayName": ME["displayName"], "isActive": True}
        return json_answer({"authenticatedUser": user, "instanceId": PROJECT_ID})

    def project(self, request: Request, number: str) -> Response:
        """Answer with the project."""
        query(request, "api-version")
        if number != PROJECT_ID:
            raise NotFound("TF200016: The following project does not exist.")
        return json_answer({"id": PROJECT_ID, "name": "Acme", "state": "wellFormed"})

    def wiql(self, request: Request) -> Response:
        """Answer the queries that the connector asks; dates count by the moment only if asked."""
        words = query(request, "timePrecision", "$top", "api-version")
        asked = body(request, "query").get("query", "")
        found: list[int] = []
        if match := _WIQL.fullmatch(asked):
            since = datetime.fromisoformat(match[1])
            if words.get("timePrecision") != "true":
                raise BadRequest("You cannot supply a time with the date when using date precision")
            for item, revisions in sorted(self.revisions.items()):
                changed = datetime.fromisoformat(revisions[-1]["System.ChangedDate"])
                if changed >= since and item > int(match[2]):
                    found.append(item)
        elif asked != _NOTHING:
            raise BadRequest("TF51006: The query statement is not one that this stand-in knows.")
        items = [{"id": item} for item in found[: int(words.get("$top", 20000))]]
        as_of = self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json_answer({"queryType": "flat", "asOf": as_of, "workItems": items})

    def work_items(self, request: Request) -> Response:
        """Answer with several work items; null for one that is not there."""
        words = query(request, "ids", "fields", "errorPolicy", "api-version")
        ids = [int(each) for each in words["ids"].split(",")]
        if len(ids) > 200:
            raise BadRequest("VS402337: The number of work items exceeds 200.")
        wanted = words["fields"].split(",")
        told = [
            {
                "id": each,
                "rev": len(self.revisions[each]),
                "fields": {k: v for k, v in self.revisions[each][-1].items() if k in wanted},
            }
            if each in self.revisions
            else None
            for each in ids
        ]
        if None in told and words.get("errorPolicy") != "omit":
            raise NotFound("TF401232: Work item does not exist.")
        return json_answer({"count": len(told), "value": told})

    def updates_of(self, request: Request, item: int) -> Response:
        """Answer with one page of a work item's updates, oldest first."""
        words = query(request, "$top", "$skip", "api-version")
        skip, top = int(words.get("$skip", 0)), min(int(words.get("$top", 200)), MOST_UPDATES)
        page = self._there(self.updates, item)[skip : skip + top]
        return json_answer({"count": len(page), "value": page})

    def update_of(self, request: Request, item: int, number: int) -> Response:
        """Answer with one update."""
        query(request, "api-version")
        updates = self._there(self.updates, item)
        if not 1 <= number <= len(updates):
            raise NotFound("TF401232: The update does not exist.")
        return json_answer(updates[number - 1])

    def revision_of(self, request: Request, item: int, rev: int) -> Response:
        """Answer with a work item as it was."""
        query(request, "api-version")
        revisions = self._there(self.revisions, item)
        if not 1 <= rev <= len(revisions):
            raise NotFound("TF401232: The revision does not exist.")
        return json_answer({"id": item, "rev": rev, "fields": revisions[rev - 1]})

    def comments_of(self, request: Request, project: str, item: int) -> Response:
        """Answer with one page of a work item's comments."""
        words = query(request, "$top", "order", "continuationToken", "api-version")
        self._of_project(project, item)
        start = int(words.get("continuationToken", 0))
        # Two a page, whatever is asked for, so that a second page is met.
        every = [each for each in self.comments.values() if each["workItemId"] == item]
        page = every[start : start + 2]
        told: dict[str, Any] = {"totalCount": len(every), "count": len(page), "comments": page}
        if start + 2 < len(every):
            told["continuationToken"] = str(start + 2)
        return json_answer(told)

    def add_comment(self, request: Request, project: str, item: int) -> Response:
        """Add a comment, as this account."""
        query(request, "api-version")
        self._of_project(project, item)
        number = 7001 + len(self.comments)
        self.add_foreign_comment(item, _text_of(request), ME)
        return json_answer(self.comments[number])

    def add_foreign_comment(self, item: int, text: str, author: dict[str, str]) -> None:
        """Add a comment of anybody's."""
        number = 7001 + len(self.comments)
        self.comments[number] = {
            "workItemId": item,
            "id": number,
            "version": 1,
            "text": text,
            "createdBy": author,
            "createdDate": self.now.isoformat(),
        }

    def edit_comment(self, request: Request, project: str, item: int, number: int) -> Response:
        """Change a comment's text."""
        query(request, "api-version")
        self._of_project(project, item)
        comment = self.comments.get(number)
        if comment is None or comment["workItemId"] != item:
            raise NotFound("The comment does not exist.")
        comment.update(text=_text_of(request), version=comment["version"] + 1)
        return json_answer(comment)

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer({"comments": list(self.comments.values()), "requests": self.requests})

    def control_item(self, request: Request) -> Response:
        """Create a work item."""
        self.add_item(**body(request, "item", "title", "state", "hours"))
        return json_answer({}, 201)

    def control_change(self, request: Request) -> Response:
        """Change a work item a minute later."""
        told = body(request, "item", "fields")
        self.pass_time()
        self.change(told["item"], told["fields"])
        return json_answer({}, 201)

    def _of_project(self, project: str, item: int) -> None:
        if project not in ("Acme", PROJECT_ID):
            raise NotFound("TF200016: The following project does not exist.")
        self._there(self.revisions, item)

    def _there(self, things: dict[int, list[dict[str, Any]]], item: int) -> list[dict[str, Any]]:
        if item not in things:
            raise NotFound(f"TF401232: Work item {item} does not exist.")
        return things[item]


class ContractRig(ProjectRig[AzureDevOpsStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[AzureDevOpsConnector]] = AzureDevOpsConnector
    valid: ClassVar[Mapping[str, str]] = {
        "url": "https://dev.azure.example/agency",
        "token": TOKEN,
        "endpoint": "azure-agency",
    }
    unknown: ClassVar[str] = "workitem:99999"
    facts: ClassVar[tuple[str, ...]] = ("workitem:11", "workitem:12", f"project:{PROJECT_ID}")
    look_ups: ClassVar[LookUps] = {
        "update:11:2": [("time.total", "workitem-time:11"), ("work.completed", "workitem:11")],
        "workitem:11": [("time.total", "workitem-time:11"), ("work.completed", "workitem:11")],
        "update:11:99": [],
        "workitem:99999": [],
    }

    def reports(self) -> list[Report]:
        """Return one report for each kind of subject that has a place for a note."""
        return [
            report_on("workitem:11", "#11", "Acme"),
            report_on("workitem-time:12", "#12", "Acme"),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [each["text"] for each in self.site.comments.values() if each["createdBy"] == ME]

    def happen(self) -> list[Named]:
        """Log hours on more work items than a page holds; complete, reopen and rename others."""
        expected = []
        for item in range(100, 124):
            self.site.pass_time()
            self.site.change(item, {HOURS: 1.5})
            expected.append(("time.total", f"workitem-time:{item}"))
        self.site.pass_time()
        self.site.change(12, {"System.State": "Closed"})
        self.site.pass_time()
        self.site.change(11, {"System.State": "Active", HOURS: None})
        self.site.pass_time()
        self.site.change(12, {"System.Title": "Accept vouchers and codes"})
        return [
            *expected,
            ("work.completed", "workitem:12"),
            ("work.reopened", "workitem:11"),
            ("time.total", "workitem-time:11"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that our comments cause: the comment, and the item's counter."""
        told: list[Webhook] = []
        for number, comment in self.site.comments.items():
            item, text = comment["workItemId"], comment["text"]
            changed = {
                "System.CommentCount": {"oldValue": 0, "newValue": 1},
                "System.History": {"newValue": text},
            }
            resources = {
                "workitem.commented": {"id": item, "fields": {"System.History": text}},
                "workitem.updated": {
                    "id": 9,
                    "workItemId": item,
                    "fields": changed,
                    "revision": {"fields": self.site.revisions[item][-1]},
                },
            }
            told += [
                ({}, {"id": f"{kind}-{number}", "eventType": kind, "resource": resource})
                for kind, resource in resources.items()
            ]
        return told


def contract_setup(_folder: Path) -> ContractRig:
    """Return an organization with work items whose past lies before polling begins."""
    site = AzureDevOpsStandIn()
    site.now = NOW - timedelta(days=3)
    site.add_item(11, "Build the checkout", "Active")
    site.add_item(12, "Accept vouchers", "Active", hours=2.25)
    for item in range(100, 124):
        site.add_item(item, f"Task {item}")
    site.pass_time()
    site.change(11, {"System.State": "Closed", HOURS: 5.5})
    site.now = NOW
    # Somebody copied our note, marker and all.
    site.add_foreign_comment(11, "see billhook/acme-2026-10%3A%2311", ANA)
    site.add_foreign_comment(11, "thank you", ANA)
    return ContractRig(site)


def _text_of(request: Request) -> str:
    text = body(request, "text").get("text")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("The comment's text is empty.")
    return text


if __name__ == "__main__":
    serve_for_ever(AzureDevOpsStandIn())
