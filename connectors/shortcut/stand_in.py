"""A stateful stand-in of Shortcut's REST API, version 3, for tests; never for production.

Shaped after the documented answers and strict where Shortcut is lenient: an unknown path, query
word or body key is refused. `python -m connectors.shortcut.stand_in --port N` serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import (
    StandIn,
    body,
    json_answer,
    query,
    serve_for_ever,
)

from .connector import ShortcutConnector

TOKEN: Final = "sct_stand_in_token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = "6650a1b2-0000-4000-8000-000000000001"
MIRA: Final = "6650a1b2-0000-4000-8000-000000000002"
TEAM: Final = "6650a1b2-0000-4000-8000-0000000000aa"
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_FILTERS: Final = ("updated_at_start", "updated_at_end")
_API: Final = "/api/v3"


class ShortcutStandIn(StandIn):
    """One workspace; its stories and epics are plain public data by id."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_API}/member", endpoint="member", methods=["GET"]),
        Rule(f"{_API}/projects", endpoint="projects_of", methods=["GET"]),
        Rule(f"{_API}/groups", endpoint="groups_of", methods=["GET"]),
        Rule(f"{_API}/epics", endpoint="epics_of", methods=["GET"]),
        Rule(f"{_API}/stories/search", endpoint="search", methods=["POST"]),
        Rule(f"{_API}/<plural>/<int:number>", endpoint="thing", methods=["GET"]),
        Rule(f"{_API}/<plural>/<int:number>/comments", endpoint="add", methods=["POST"]),
        Rule(f"{_API}/<plural>/<int:number>/comments/<int:id_>", endpoint="edit", methods=["PUT"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = NOW
        self.things: dict[str, dict[int, dict[str, Any]]] = {"stories": {}, "epics": {}}
        self.projects = {21: "Acme shop"}
        self.groups = {TEAM: "Web team"}
        self.webhooks: list[dict[str, Any]] = []
        """The bodies of what Shortcut's own webhook sent."""

    def state(self) -> str:
        """Return all that stands here, as text."""
        return json.dumps(self.things, sort_keys=True)

    def put(self, plural: str, number: int, **changes: Any) -> None:
        """Add a story or epic, or change one; a minute passes."""
        self.clock += timedelta(minutes=1)
        new: dict[str, Any] = {
            "id": number,
            "entity_type": plural,
            "name": f"Work {number}",
            "app_url": f"https://app.shortcut.example/{plural}/{number}",
            "completed": False,
            "completed_at": None,
            "archived": False,
            "project_id": None,
            "group_id": None,
            "owner_ids": [],
            "labels": [],
            "comments": [],
            **({"story_type": "feature"} if plural == "stories" else {}),
        }
        moment = _text(self.clock)
        if changes.get("completed"):
            changes["completed_at"] = moment
        thing = {**new, **self.things[plural].get(number, {}), **changes, "updated_at": moment}
        self.things[plural][number] = thing

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        if request.headers.get("Shortcut-Token") != TOKEN:
            raise Unauthorized("Unauthorized")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Shortcut's error body."""
        return {"message": description}

    def member(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        workspace = {"url_slug": "acme", "estimate_scale": [1, 2, 4]}
        me = {"id": ME, "mention_name": "billing", "name": "Billing", "workspace2": workspace}
        return json_answer(me)

    def projects_of(self, request: Request) -> Response:
        """Answer with all projects."""
        query(request)
        return json_answer([{"id": number, "name": name} for number, name in self.projects.items()])

    def groups_of(self, request: Request) -> Response:
        """Answer with all teams."""
        query(request)
        return json_answer([{"id": id_, "name": name} for id_, name in self.groups.items()])

    def epics_of(self, request: Request) -> Response:
        """Answer with all epics, in their short form."""
        query(request, "includes_description")
        return json_answer([_slim(epic) for epic in self.things["epics"].values()])

    def search(self, request: Request) -> Response:
        """Answer with the stories that fit the filters."""
        filters = body(request, *_FILTERS)
        if set(filters) != set(_FILTERS):
            raise BadRequest("this stand-in searches by a period only")
        first, last = (datetime.fromisoformat(filters[name]) for name in _FILTERS)
        found = [
            _slim(story)
            for story in self.things["stories"].values()
            if first <= datetime.fromisoformat(story["updated_at"]) <= last
        ]
        return json_answer(found, 201)

    def thing(self, request: Request, plural: str, number: int) -> Response:
        """Answer with a story or epic."""
        query(request)
        return json_answer(self._thing(plural, number))

    def add(self, request: Request, plural: str, number: int) -> Response:
        """Add a comment, which changes its story too."""
        thing, text = self._thing(plural, number), _text_of(request)
        count = sum(
            len(each["comments"]) for things in self.things.values() for each in things.values()
        )
        comment = {"id": 7001 + count, "author_id": ME, "deleted": False, "text": text}
        self.put(plural, number, comments=[*thing["comments"], comment])
        self._tell(plural, number, "create", comment)
        return json_answer(comment, 201)

    def edit(self, request: Request, plural: str, number: int, id_: int) -> Response:
        """Change a comment's text."""
        thing, text = self._thing(plural, number), _text_of(request)
        for comment in thing["comments"]:
            if comment["id"] == id_ and comment["author_id"] == ME:
                comment["text"] = text
                self.put(plural, number)
                self._tell(plural, number, "update", comment)
                return json_answer(comment)
        raise NotFound("Resource not found.")

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer({"things": self.things, "requests": self.requests})

    def _thing(self, plural: str, number: int) -> dict[str, Any]:
        if number not in self.things.get(plural, {}):
            raise NotFound("Resource not found.")
        return self.things[plural][number]

    def _tell(self, plural: str, number: int, action: str, comment: dict[str, Any]) -> None:
        """Send what Shortcut's webhook says about a comment."""
        kind = {"stories": "story", "epics": "epic"}[plural]
        changes = {"comment_ids": {"adds": [comment["id"]]}}
        thing = {"id": number, "entity_type": kind, "action": "update", "name": f"Work {number}"}
        told = {"id": comment["id"], "entity_type": f"{kind}-comment", "action": action}
        self.webhooks.append(
            {
                "id": f"6650a1b2-0000-4000-9000-{len(self.webhooks):012d}",
                "changed_at": _text(self.clock),
                "version": "v1",
                "primary_id": comment["id"],
                "member_id": ME,
                "actions": [
                    {**told, "text": comment["text"], "author_id": ME},
                    {**thing, **({"changes": changes} if action == "create" else {})},
                ],
            }
        )


class ContractRig(ProjectRig[ShortcutStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[ShortcutConnector]] = ShortcutConnector
    valid: ClassVar[Mapping[str, str]] = {"token": TOKEN, "endpoint": "shortcut-acme"}
    unknown: ClassVar[str] = "story:999999"
    look_ups: ClassVar[LookUps] = {
        "story:311": [("work.completed", "story:311")],
        "story:312": [("work.reopened", "story:312")],
        "epic:41": [("milestone.completed", "epic:41")],
        "epic:999999": [],
    }
    facts: ClassVar[tuple[str, ...]] = ("story:311", "story:312", "epic:41")

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            report_on("story:311", "sc-311", "Acme shop"),
            report_on("epic:41", None, "Acme shop"),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all comments of ours."""
        return [
            comment["text"]
            for things in self.site.things.values()
            for thing in things.values()
            for comment in thing["comments"]
            if comment["author_id"] == ME
        ]

    def happen(self) -> list[Named]:
        """Complete and open again stories and epics."""
        site = self.site
        told = []
        for number in range(400, 430):
            site.put("stories", number, completed=True, project_id=21)
            told.append(("work.completed", f"story:{number}"))
        site.put("stories", 311, completed=False, completed_at=None)
        site.put("epics", 41, completed=False, completed_at=None)
        site.put("epics", 42, completed=True)
        return [
            *told,
            ("work.reopened", "story:311"),
            ("milestone.reopened", "epic:41"),
            ("milestone.completed", "epic:42"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return what Shortcut's webhook sent because of our comments."""
        return [({}, sent) for sent in self.site.webhooks]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a workspace with two stories and an epic; somebody copied a comment of ours."""
    site = ShortcutStandIn()
    site.clock = NOW - timedelta(days=40)
    site.put("stories", 311, completed=True, project_id=21, group_id=TEAM, owner_ids=[MIRA])
    site.put("stories", 312, group_id=TEAM, labels=[{"id": 5, "name": "fixed price"}])
    site.put("epics", 41, completed=True)
    site.put("stories", 300, completed=True)
    copied = {"id": 6999, "author_id": MIRA, "deleted": False}
    text = "> Kept up to date by Billhook `billhook/acme-2026-10%3Asc-311`"
    site.things["stories"][311]["comments"] = [{**copied, "text": text}]
    site.clock = NOW
    return ContractRig(site)


def _slim(thing: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name != "comments"}


def _text_of(request: Request) -> str:
    text = body(request, "text").get("text")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("The request included invalid or missing parameters.")
    return text


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    serve_for_ever(ShortcutStandIn())
