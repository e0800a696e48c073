"""A stateful stand-in of Plane's REST API, for tests; never for production.

Shaped after the documented answers and strict where Plane is lenient: an unknown path, query word
or body key is refused. `python -m connectors.plane.stand_in --port N` serves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import Named, ProjectRig, Webhook, report_on
from connectors.stand_in import (
    StandIn,
    body,
    json_answer,
    query,
    serve_for_ever,
)

from .connector import PlaneConnector

TOKEN: Final = "plane_api_stand_in"  # noqa: S105 - it opens nothing but this stand-in.
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_API: Final = "/api/v1"
_PROJECTS: Final = f"{_API}/workspaces/acme/projects"
_ITEM: Final = f"{_PROJECTS}/<project>/work-items/<item>"


def uuid(number: int) -> str:
    """Return an invented id."""
    return f"5b2e7f30-0000-4000-8000-{number:012d}"


ME: Final = uuid(1)
MIRA: Final = uuid(2)


class PlaneStandIn(StandIn):
    """One workspace; its work items are plain public data by id."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_API}/users/me/", endpoint="me", methods=["GET"]),
        Rule(f"{_PROJECTS}/", endpoint="projects_of", methods=["GET"]),
        Rule(f"{_PROJECTS}/<project>/work-items/", endpoint="items_of", methods=["GET"]),
        Rule(f"{_ITEM}/comments/", endpoint="comments_of", methods=["GET"]),
        Rule(f"{_ITEM}/comments/", endpoint="add", methods=["POST"]),
        Rule(f"{_ITEM}/comments/<comment>/", endpoint="edit", methods=["PATCH"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = NOW
        self.projects: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, dict[str, Any]] = {}
        self.webhooks: list[dict[str, Any]] = []
        """The bodies of what Plane's own webhook sent."""

    def state(self) -> str:
        """Return all that stands here, as text."""
        return json.dumps([self.items, self.comments], sort_keys=True)

    def add_project(self, number: int, *, is_member: bool = True) -> str:
        """Add a project and return its id."""
        project = {"id": uuid(number), "name": f"Project {number}", "is_member": is_member}
        self.projects[uuid(number)] = project
        return uuid(number)

    def put(self, project: str, number: int, *, is_done: bool = False) -> None:
        """Add a work item, or change one; a minute passes."""
        self.clock += timedelta(minutes=1)
        moment = self.clock.strftime("%Y-%m-%dT%H:%M:%S.250000Z")
        self.items[uuid(number)] = {
            "id": uuid(number),
            "name": f"Work {number}",
            "priority": "none",
            "sequence_id": number,
            "completed_at": moment if is_done else None,
            "updated_at": moment,
            "archived_at": None,
            "project": project,
            "state": uuid(900),
            "labels": [],
            "assignees": [MIRA],
            "sort_order": number * 10,
        }

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        if request.headers.get("X-API-Key") != TOKEN:
            raise Unauthorized("Given API token is not valid")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Plane's error body."""
        return {"detail": description}

    def me(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer({"id": ME, "display_name": "billing", "email": "billing@agency.example"})

    def projects_of(self, request: Request) -> Response:
        """Answer with one page of the projects."""
        query(request, "per_page", "cursor")
        return _page(request, list(self.projects.values()))

    def items_of(self, request: Request, project: str) -> Response:
        """Answer with one page of a project's work items, newest change first."""
        if query(request, "per_page", "cursor", "order_by").get("order_by") != "-updated_at":
            raise BadRequest("this stand-in lists by the last change only")
        if project not in self.projects:
            raise NotFound("The required object does not exist.")
        mine = [item for item in self.items.values() if item["project"] == project]
        return _page(request, sorted(mine, key=lambda item: item["updated_at"], reverse=True))

    def comments_of(self, request: Request, project: str, item: str) -> Response:
        """Answer with one page of a work item's comments."""
        query(request, "per_page", "cursor")
        self._item(project, item)
        return _page(request, [each for each in self.comments.values() if each["issue"] == item])

    def add(self, request: Request, project: str, item: str) -> Response:
        """Add a comment."""
        self._item(project, item)
        text = _html_of(request)
        comment = {
            "id": uuid(7000 + len(self.comments)),
            "issue": item,
            "project": project,
            "actor": ME,
            "comment_html": text,
        }
        self.comments[comment["id"]] = comment
        self._tell("workitem.comment.created", comment)
        return json_answer(comment, 201)

    def edit(self, request: Request, project: str, item: str, comment: str) -> Response:
        """Change a comment's text."""
        self._item(project, item)
        found = self.comments.get(comment)
        if found is None or found["issue"] != item or found["actor"] != ME:
            raise NotFound("The required object does not exist.")
        found["comment_html"] = _html_of(request)
        self._tell("workitem.comment.updated", found)
        return json_answer(found)

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer({"items": self.items, "comments": self.comments})

    def _item(self, project: str, item: str) -> dict[str, Any]:
        if self.items.get(item, {}).get("project") != project:
            raise NotFound("The required object does not exist.")
        return self.items[item]

    def _tell(self, event: str, comment: dict[str, Any]) -> None:
        """Send what Plane's webhook says about a comment and the change of its work item."""
        item = self.items[comment["issue"]]
        told = {name: value for name, value in item.items() if name not in ("project", "state")}
        told |= {"project_id": item["project"], "state_id": item["state"], "labels": None}
        for name, data, before in (
            (event, {"id": item["id"], "comment": comment}, {}),
            ("workitem.updated", told, {"last_activity_at": "2026-11-02 09:00:00+00"}),
        ):
            self.webhooks.append(
                {
                    "version": "v2",
                    "delivery_id": uuid(8000 + len(self.webhooks)),
                    "event_id": uuid(9000 + len(self.webhooks)),
                    "entity_id": item["id"],
                    "entity_type": "issue",
                    "event": name,
                    "webhook_id": uuid(3),
                    "workspace_id": uuid(4),
                    "data": data,
                    "previous_attributes": before,
                }
            )


class ContractRig(ProjectRig[PlaneStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[PlaneConnector]] = PlaneConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "workspace": "acme",
        "endpoint": "plane-acme",
    }
    unknown: ClassVar[str] = f"workitem:{uuid(99)}"

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [_report(311), _report(312)]

    def notes(self) -> list[str]:
        """Return the texts of all comments of ours."""
        return [each["comment_html"] for each in self.site.comments.values() if each["actor"] == ME]

    def happen(self) -> list[Named]:
        """Complete and open again work items in two projects, more than a page of them."""
        site = self.site
        for number in range(1000, 1130):
            site.put(uuid(11), number, is_done=True)
            # More than a page of changes has to fit into the contract's hour.
            site.clock -= timedelta(seconds=35)
        site.clock = min(site.clock, NOW + timedelta(minutes=55))
        site.put(uuid(12), 311)
        return [
            *(("work.completed", f"workitem:{uuid(number)}") for number in range(1000, 1130)),
            ("work.reopened", f"workitem:{uuid(311)}"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return what Plane's webhook sent because of our comments."""
        return [({}, sent) for sent in self.site.webhooks]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a workspace of three projects; somebody copied a comment of ours."""
    site = PlaneStandIn()
    site.clock = NOW - timedelta(days=40)
    for number in (11, 12):
        site.add_project(number)
    site.add_project(13, is_member=False)
    site.put(uuid(12), 311, is_done=True)
    site.put(uuid(12), 312, is_done=True)
    text = "<p>Look: <code>billhook/acme-2026-10%3A%23311</code></p>"
    copied = {"id": uuid(6999), "issue": uuid(311), "actor": MIRA, "comment_html": text}
    site.comments[uuid(6999)] = copied
    site.clock = NOW
    return ContractRig(site)


def _report(number: int) -> Report:
    return report_on(f"workitem:{uuid(number)}", f"#{number}", uuid(12), {"number": number})


def _html_of(request: Request) -> str:
    text = body(request, "comment_html").get("comment_html")
    if not isinstance(text, str) or not text.startswith("<p>"):
        raise BadRequest("Invalid HTML passed")
    # Plane writes what it was sent anew.
    return text.replace("</p><p>", "</p>\n<p>")


def _page(request: Request, entries: list[Any]) -> Response:
    """Answer with one page of a list, as Plane's cursors count them."""
    size = int(request.args.get("per_page", 100))
    cursor = request.args.get("cursor", f"{size}:0:0")
    told = re.fullmatch(r"([0-9]+):([0-9]+):0", cursor)
    if told is None or not 0 < size <= 100 or int(told[1]) != size:
        raise BadRequest("Invalid cursor parameter.")
    page = int(told[2])
    here = entries[page * size : (page + 1) * size]
    return json_answer(
        {
            "next_cursor": f"{size}:{page + 1}:0",
            "prev_cursor": f"{size}:{page - 1}:1",
            "next_page_results": (page + 1) * size < len(entries),
            "prev_page_results": page > 0,
            "count": len(here),
            "total_pages": -(-len(entries) // size),
            "total_results": len(entries),
            "extra_stats": None,
            "results": here,
        }
    )


if __name__ == "__main__":
    serve_for_ever(PlaneStandIn())
