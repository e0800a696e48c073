"""A stateful stand-in of Linear's GraphQL API, for tests and the demo; never for production.

It reads selections, and refuses fields and arguments that are not in the part of Linear's published
schema written down here. `python -m connectors.linear.stand_in --port N` serves it. Questions are
recorded and fail as GET, mutations as POST, although Linear takes both by POST.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import LinearConnector

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TOKEN: Final = "lin_api_stand_in"  # noqa: S105 - it opens nothing but this stand-in.
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ME: Final = {"id": "0d0ff04e-0000-4000-8000-000000000001", "name": "Billhook"}
ANA: Final = {"id": "0d0ff04e-0000-4000-8000-000000000002", "name": "Ana Silva"}
TEAM: Final = {"id": "0d0ff04e-0000-4000-8000-000000000003", "key": "ACME", "name": "Acme"}
DONE: Final = {"name": "Shipped", "type": "completed"}
STARTED: Final = {"name": "In Progress", "type": "started"}
PAGE_LIMIT: Final = 250

_THING: Final = "id updatedAt archivedAt"
SCHEMA: Final = {
    "Query": "viewer:User organization:Organization issues:IssueConnection"
    " projects:ProjectConnection cycles:CycleConnection teams:TeamConnection",
    "Mutation": "attachmentCreate:AttachmentPayload attachmentUpdate:AttachmentPayload",
    "User": "id name",
    "Organization": "name",
    "Issue": f"{_THING} identifier number title url completedAt trashed estimate priorityLabel"
    " state:WorkflowState team:Team assignee:User project:Project projectMilestone:Named"
    " labels:LabelConnection attachments:AttachmentConnection",
    "Project": f"{_THING} name completedAt trashed targetDate status:WorkflowState",
    "Cycle": f"{_THING} name number completedAt team:Team",
    "Team": "id key name",
    "WorkflowState": "name type",
    "Named": "name",
    "Attachment": "id title subtitle url metadata creator:User",
    "AttachmentPayload": "success attachment:Attachment",
    "PageInfo": "hasNextPage endCursor",
    **{
        f"{name}Connection": f"nodes:{kind} pageInfo:PageInfo"
        for name, kind in {
            "Issue": "Issue",
            "Project": "Project",
            "Cycle": "Cycle",
            "Team": "Team",
            "Label": "Named",
            "Attachment": "Attachment",
        }.items()
    },
}
"""Fields by type, those that are objects with their type."""
ARGUMENTS: Final = {"first", "after", "includeArchived", "orderBy", "filter", "id", "input"}
_TOKENS: Final = re.compile(r"[A-Za-z_]\w*|\d+|[{}()\[\]:!$]")


class LinearStandIn(StandIn):
    """One workspace; its clock moves only with `pass_time`."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/graphql", endpoint="graphql", methods=["GET", "POST"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/issues", endpoint="control_issue", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.things: dict[str, dict[str, dict[str, Any]]] = {
            "issue": {},
            "project": {},
            "cycle": {},
            "team": {TEAM["id"]: dict(TEAM)},
        }
        self.attachments: dict[str, dict[str, Any]] = {}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request, a question as if it had come by GET."""
        sent = Request(environ).get_data()
        environ["wsgi.input"] = BytesIO(sent)
        if environ["REQUEST_METHOD"] == "POST" and b'"mutation' not in sent.replace(b"\\n", b""):
            is_control = environ["PATH_INFO"].startswith("/_control")
            environ["REQUEST_METHOD"] = "POST" if is_control else "GET"
        return super().__call__(environ, start)

    def state(self) -> Any:
        """Return everything that stands here, for comparison."""
        return json.dumps([self.things, self.attachments])

    def pass_time(self, passed: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass."""
        self.now += passed

    def put(self, kind: str, number: int, **fields: Any) -> str:
        """Create or change a thing now; return its id."""
        identity = (
            f"0d0ff04e-{ {'issue': 1, 'project': 2, 'cycle': 3}[kind]:04d}-4000-8000-{number:012d}"
        )
        fresh: dict[str, Any] = {"id": identity, "archivedAt": None, "completedAt": None}
        if kind == "issue":
            fresh |= {
                "identifier": f"ACME-{number}",
                "number": number,
                "title": f"Issue {number}",
                "url": f"https://linear.example/agency/issue/ACME-{number}",
                "trashed": None,
                "estimate": 3,
                "priorityLabel": "High",
                "state": STARTED,
                "team": TEAM,
                "assignee": ANA,
                "project": {"name": "Acme portal"},
                "projectMilestone": None,
                "labels": {"nodes": [{"name": "portal"}, {"name": "billable"}]},
            }
        elif kind == "project":
            fresh |= {"name": "Acme portal", "trashed": None, "targetDate": None, "status": STARTED}
        else:
            fresh |= {"name": None, "number": number, "team": TEAM}
        known = self.things[kind].get(identity, fresh)
        self.things[kind][identity] = {**known, **fields, "updatedAt": self.moment}
        return identity

    def complete(self, kind: str, number: int) -> str:
        """Complete a thing now; return its id."""
        stage = {"issue": {"state": DONE}, "project": {"status": DONE}, "cycle": {}}[kind]
        return self.put(kind, number, completedAt=self.moment, **stage)

    @property
    def moment(self) -> str:
        """The present moment as Linear writes it."""
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def authenticate(self, request: Request) -> None:
        """Let in the one key, which stands alone, without `Bearer`."""
        if request.headers.get("Authorization") != TOKEN:
            raise Unauthorized("Authentication required, not authenticated")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Linear's error body."""
        code = "AUTHENTICATION_ERROR" if "Authentication" in description else "INVALID_INPUT"
        return {"errors": [{"message": description, "extensions": {"code": code}}]}

    def graphql(self, request: Request) -> Response:
        """Answer a query, or carry out a mutation."""
        query(request)
        sent = body(request, "query", "variables")
        tokens = _TOKENS.findall(sent["query"])
        kind = "Mutation" if tokens[0] == "mutation" else "Query"
        start = tokens.index("{")
        selection, end = _selection(tokens, start, kind)
        if end != len(tokens):
            raise BadRequest("the document does not end where it should")
        variables = sent["variables"]
        told = {
            key: _picked(self._resolve(name, variables, document), inner)
            for key, (name, document, inner) in selection.items()
        }
        return json_answer({"data": told})

    def _resolve(self, name: str, variables: dict[str, Any], arguments: list[str]) -> Any:
        if name == "viewer":
            return ME
        if name == "organization":
            return {"name": "Agency"}
        if name == "attachmentCreate":
            return self._create(variables["input"])
        if name == "attachmentUpdate":
            return self._update(variables["id"], variables["input"])
        things = list(self.things[name.removesuffix("s")].values())
        if "includeArchived" not in arguments:
            things = [each for each in things if not each.get("archivedAt")]
        if "updatedAt" in arguments:
            since = datetime.fromisoformat(variables["since"])
            things = [each for each in things if datetime.fromisoformat(each["updatedAt"]) >= since]
            things.sort(key=lambda each: (each["updatedAt"], each["id"]), reverse=True)
        else:
            things = [each for each in things if each["id"] == variables["id"]]
            if name == "issues" and things:
                of_issue = [
                    each for each in self.attachments.values() if each["issueId"] == variables["id"]
                ]
                # Two a page, whatever is asked for, so that a second page is met.
                things = [{**things[0], "attachments": _page(of_issue, 2, variables.get("after"))}]
            return _page(things, 1, None)
        first = int(arguments[arguments.index("first") + 2])
        return _page(things, min(first, PAGE_LIMIT), variables.get("after"))

    def _create(self, told: dict[str, Any]) -> dict[str, Any]:
        _known(told, {"issueId", "title", "subtitle", "url", "metadata"})
        if told["issueId"] not in self.things["issue"]:
            raise BadRequest("Entity not found: Issue")
        for each in self.attachments.values():
            if (each["issueId"], each["url"]) == (told["issueId"], told["url"]):
                each.update(told)
                return {"success": True, "attachment": each}
        return {"success": True, "attachment": self.add_attachment(told, ME)}

    def _update(self, number: str, told: dict[str, Any]) -> dict[str, Any]:
        _known(told, {"title", "subtitle", "metadata"})
        attachment = self.attachments.get(number)
        if attachment is None:
            raise BadRequest("Entity not found: Attachment")
        attachment.update(told)
        return {"success": True, "attachment": attachment}

    def add_attachment(self, told: dict[str, Any], creator: dict[str, str]) -> dict[str, Any]:
        """Add an attachment of anybody's."""
        identity = f"0d0ff04e-0004-4000-8000-{len(self.attachments) + 1:012d}"
        self.attachments[identity] = {**told, "id": identity, "creator": creator}
        return self.attachments[identity]

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {"attachments": list(self.attachments.values()), "requests": self.requests}
        )

    def control_issue(self, request: Request) -> Response:
        """Complete an issue a minute later; it is created if it is not there."""
        number = int(body(request, "number")["number"])
        self.pass_time()
        return json_answer({"id": self.complete("issue", number)}, 201)


Selection = dict[str, tuple[str, list[str], Any]]
"""By the answer's key: the field, the tokens of its arguments, and what is selected within."""


def _selection(tokens: list[str], at: int, kind: str) -> tuple[Selection, int]:
    """Read a selection that begins at a brace; raise BadRequest for what the schema has not."""
    fields = dict(each.partition(":")[::2] for each in SCHEMA[kind].split())
    selected: Selection = {}
    at += 1
    while tokens[at] != "}":
        key = name = tokens[at]
        if tokens[at + 1] == ":":
            name, at = tokens[at + 2], at + 2
        if name not in fields:
            raise BadRequest(f'Cannot query field "{name}" on type "{kind}".')
        at += 1
        arguments: list[str] = []
        if tokens[at] == "(":
            end = tokens.index(")", at)
            arguments, at = tokens[at + 1 : end], end + 1
            depth, names = 0, set()
            for place, token in enumerate(arguments):
                depth += {"{": 1, "}": -1}.get(token, 0)
                if (
                    depth == 0
                    and token.isidentifier()
                    and arguments[place + 1 : place + 2] == [":"]
                ):
                    names.add(token)
            if names - ARGUMENTS:
                raise BadRequest(f"Unknown arguments: {sorted(names - ARGUMENTS)}")
        inner: Any = None
        if fields[name]:
            if tokens[at] != "{":
                raise BadRequest(f'Field "{name}" must have a selection of subfields.')
            inner, at = _selection(tokens, at, fields[name])
        selected[key] = (name, arguments, inner)
    return selected, at + 1


def _picked(value: Any, selection: Selection | None) -> Any:
    if selection is None or value is None:
        return value
    if isinstance(value, list):
        return [_picked(each, selection) for each in value]
    return {key: _picked(value.get(name), inner) for key, (name, _, inner) in selection.items()}


def _page(things: list[dict[str, Any]], size: int, after: str | None) -> dict[str, Any]:
    ids = [each["id"] for each in things]
    start = ids.index(after) + 1 if after in ids else 0
    here = things[start : start + size]
    has_more = start + size < len(things)
    info = {"hasNextPage": has_more, "endCursor": here[-1]["id"] if here else None}
    return {"nodes": here, "pageInfo": info}


def _known(told: dict[str, Any], names: set[str]) -> None:
    if set(told) - names or not told.get("title"):
        raise BadRequest(f"Argument Validation Error: {sorted(set(told) - names)}")


ISSUES: Final = tuple(f"0d0ff04e-0001-4000-8000-{number:012d}" for number in (11, 12))


class ContractRig(ProjectRig[LinearStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[LinearConnector]] = LinearConnector
    valid: ClassVar[Mapping[str, str]] = {
        "api_url": "https://api.linear.example/graphql",
        "token": TOKEN,
        "endpoint": "linear-agency",
    }
    unknown: ClassVar[str] = "team:0d0ff04e-0000-4000-8000-000000000099"
    facts: ClassVar[tuple[str, ...]] = (f"team:{TEAM['id']}",)

    look_ups: ClassVar[LookUps] = {
        f"issue:{ISSUES[0]}": [("work.completed", f"issue:{ISSUES[0]}")],
        "issue:0d0ff04e-0001-4000-8000-000000009999": [],
    }

    def reports(self) -> list[Report]:
        """Return one report for each of two issues."""
        return [
            _report(issue, f"ACME-{number}") for number, issue in zip((11, 12), ISSUES, strict=True)
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [
            f"{each['title']}: {each['subtitle']}"
            for each in self.site.attachments.values()
            if each["creator"] == ME
        ]

    def happen(self) -> list[Named]:
        """Complete more issues than a page holds, a project and a cycle; reopen, trash, archive."""
        site, expected = self.site, []
        for number in range(100, 155):
            site.pass_time(timedelta(seconds=30))
            expected.append(("work.completed", f"issue:{site.complete('issue', number)}"))
        site.pass_time()
        expected.append(("milestone.completed", f"project:{site.complete('project', 2)}"))
        expected.append(("milestone.completed", f"cycle:{site.complete('cycle', 3)}"))
        reopened = site.put("issue", 11, state=STARTED, completedAt=None)
        trashed = site.put("issue", 12, trashed=True, archivedAt=site.moment)
        # What was done long ago is archived now: nothing new.
        site.put("issue", 13, archivedAt=site.moment)
        return [
            *expected,
            ("work.reopened", f"issue:{reopened}"),
            ("work.reopened", f"issue:{trashed}"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that our attachments cause: theirs, and perhaps their issue's."""
        about = {"createdAt": self.site.moment, "webhookTimestamp": 1_793_610_000_000}
        told: list[Webhook] = []
        for each in self.site.attachments.values():
            issue = self.site.things["issue"][each["issueId"]]
            told += [
                ({}, {**about, "type": "Attachment", "action": "create", "data": each}),
                ({}, {**about, "type": "Attachment", "action": "update", "data": each}),
                (
                    {},
                    {
                        **about,
                        "type": "Issue",
                        "action": "update",
                        "data": {**issue, "labels": issue["labels"]["nodes"]},
                        "updatedFrom": {"updatedAt": issue["updatedAt"]},
                    },
                ),
            ]
        return told


def contract_setup(_folder: Path) -> ContractRig:
    """Return a workspace with completed issues whose past lies before polling begins."""
    site = LinearStandIn()
    site.now = NOW - timedelta(days=3)
    for number in (11, 12, 13):
        site.complete("issue", number)
    site.put("project", 2)
    site.put("cycle", 3)
    site.now = NOW
    # Somebody copied our note, mark and all; and other attachments fill a page.
    copied = {"issueId": ISSUES[0], "title": "Invoice", "subtitle": "?", "url": "https://x.example"}
    site.add_attachment(
        {**copied, "metadata": {"billhook": "billhook/acme-2026-10%3AACME-11"}}, ANA
    )
    site.add_attachment({**copied, "url": "https://y.example", "metadata": {}}, ANA)
    return ContractRig(site)


def _report(issue: str, item: str) -> Report:
    return report_on(f"issue:{issue}", item, "Acme portal")


if __name__ == "__main__":
    serve_for_ever(LinearStandIn())
