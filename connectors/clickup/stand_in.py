"""A stand-in for ClickUp's API: tasks, time entries and comments, for tests and the demo.

Shaped after https://developer.clickup.com/reference. Run it with
`python -m connectors.clickup.stand_in --port 8805`. Never for production.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import ClickUpConnector

TOKEN: Final = "pk_5599_stand_in_token"  # noqa: S105 - it opens nothing but this stand-in.
TEAM: Final = "9001"
ME: Final = {"id": 5599, "username": "Agency billing", "email": "billing@agency.example"}
INES: Final = {"id": 5501, "username": "Ines Bauer", "email": "ines@agency.example"}
TOM: Final = {"id": 5502, "username": "Tom Reiter", "email": "tom@agency.example"}
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TASKS_A_PAGE: Final = 100
COMMENTS_A_PAGE: Final = 25
OPEN: Final = {"status": "building", "type": "custom", "orderindex": 1, "color": "#123456"}
CLOSED: Final = {"status": "closed", "type": "closed", "orderindex": 4, "color": "#123456"}

_V2: Final = "/api/v2"
_TEAM: Final = f"{_V2}/team/<team>"


class ClickUpStandIn(StandIn):
    """One Workspace with its tasks, entries and comments by id."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_V2}/user", endpoint="user", methods=["GET"]),
        Rule(f"{_V2}/team", endpoint="teams", methods=["GET"]),
        Rule(f"{_TEAM}/task", endpoint="tasks_of", methods=["GET"]),
        Rule(f"{_TEAM}/time_entries", endpoint="entries_of", methods=["GET"]),
        Rule(f"{_TEAM}/time_entries/<number>", endpoint="entry", methods=["GET"]),
        Rule(f"{_V2}/task/<number>", endpoint="task", methods=["GET"]),
        Rule(f"{_V2}/task/<number>/comment", endpoint="comments_of", methods=["GET"]),
        Rule(f"{_V2}/task/<number>/comment", endpoint="add_comment", methods=["POST"]),
        Rule(f"{_V2}/comment/<int:number>", endpoint="edit_comment", methods=["PUT"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/tasks", endpoint="control_task", methods=["POST"]),
        Rule("/_control/entries", endpoint="control_entry", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.people = [ME, INES, TOM]
        self.tasks: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        """By id, each with its task, oldest first."""

    def add_task(self, number: str, name: str, at: datetime, *, is_done: bool = False) -> None:
        """Add a task, or change one that is there."""
        self.tasks[number] = {
            "id": number,
            "custom_id": f"WEB-{len(self.tasks) + 1}",
            "custom_item_id": 0,
            "name": name,
            "status": CLOSED if is_done else OPEN,
            "date_created": "1790000000000",
            "date_updated": str(_ms(at)),
            "date_done": str(_ms(at)) if is_done else None,
            "date_closed": str(_ms(at)) if is_done else None,
            "archived": False,
            "creator": ME,
            "assignees": [INES],
            "tags": [{"name": "fixed-price", "tag_fg": "#fff", "tag_bg": "#000", "creator": 5501}],
            "team_id": TEAM,
            "list": {"id": "901200077", "name": "Sprint 1", "access": True},
            "folder": {"id": "90120", "name": "Webshop", "hidden": False, "access": True},
            "space": {"id": "9012"},
        }

    def add_entry(
        self,
        number: str,
        task: str | None,
        start: datetime,
        milliseconds: int | None,
        *,
        at: datetime | None = None,
        user: dict[str, Any] | None = None,
        billable: bool = True,
    ) -> None:
        """Add an entry, or change one; without milliseconds its timer runs."""
        begun = _ms(start)
        end = None if milliseconds is None else begun + milliseconds
        on = self.tasks[task] if task else None
        self.entries[number] = {
            "id": number,
            "task": {key: on[key] for key in ("id", "custom_id", "name", "status")} if on else "0",
            "wid": TEAM,
            "user": user or INES,
            "billable": billable,
            "start": str(begun),
            "end": None if end is None else str(end),
            "duration": str(-begun if milliseconds is None else milliseconds),
            "description": "Voucher form",
            "tags": [],
            "source": "clickup",
            "at": str(_ms(at) if at else end or begun),
            "task_location": {
                "list_id": 901200077,
                "folder_id": 90120,
                "space_id": 9012,
                "list_name": "Sprint 1",
                "folder_name": "Webshop",
                "space_name": "Acme",
            },
            "task_tags": on["tags"] if on else [],
        }

    def state(self) -> Any:
        """Return all that stands here."""
        return copy.deepcopy([self.tasks, self.entries, self.comments])

    def authenticate(self, request: Request) -> None:
        """Let in the one account; a personal token stands alone in the header."""
        if request.headers.get("Authorization") != TOKEN:
            raise Unauthorized("Token invalid")

    def problem(self, description: str) -> dict[str, Any]:
        """Return ClickUp's error body."""
        return {"err": description, "ECODE": "STAND_IN_001"}

    def user(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer({"user": ME})

    def teams(self, request: Request) -> Response:
        """Answer with the Workspaces and their members."""
        query(request)
        members = [{"user": {**person, "role": 3}} for person in self.people]
        team = {"id": TEAM, "name": "Agency", "color": "#123456", "members": members}
        return json_answer({"teams": [{"id": "8000", "name": "Other", "members": []}, team]})

    def tasks_of(self, request: Request, team: str) -> Response:
        """Answer with a page of the tasks changed after a moment, the newest first."""
        self._own(team)
        known = ("page", "order_by", "include_closed", "subtasks", "date_updated_gt")
        words = query(request, *known)
        if words.get("order_by") != "updated":
            raise BadRequest("this stand-in sorts by the time of change only")
        found = [
            task
            for task in self.tasks.values()
            if int(task["date_updated"]) > int(words["date_updated_gt"])
            and (words.get("include_closed") == "true" or task["status"]["type"] != "closed")
        ]
        found.sort(key=lambda task: int(task["date_updated"]), reverse=True)
        first = int(words.get("page", 0)) * TASKS_A_PAGE
        here = found[first : first + TASKS_A_PAGE]
        return json_answer({"tasks": here, "last_page": first + TASKS_A_PAGE >= len(found)})

    def entries_of(self, request: Request, team: str) -> Response:
        """Answer with the entries of some people that begin in a range."""
        self._own(team)
        shown = ("include_task_tags", "include_location_names")
        words = query(request, "start_date", "end_date", "assignee", *shown)
        # Without it only one's own entries are told.
        people = {int(number) for number in words.get("assignee", str(ME["id"])).split(",")}
        if not people <= {int(str(person["id"])) for person in self.people}:
            raise BadRequest("assignee is no member of the Workspace")
        first, last = int(words["start_date"]), int(words["end_date"])
        found = [
            _shown(entry, words)
            for entry in self.entries.values()
            if first <= int(entry["start"]) <= last and entry["user"]["id"] in people
        ]
        return json_answer({"data": found})

    def entry(self, request: Request, team: str, number: str) -> Response:
        """Answer with one entry."""
        self._own(team)
        words = query(request, "include_task_tags", "include_location_names")
        return json_answer({"data": _shown(_there(self.entries, number), words)})

    def task(self, request: Request, number: str) -> Response:
        """Answer with one task."""
        query(request)
        return json_answer(_there(self.tasks, number))

    def comments_of(self, request: Request, number: str) -> Response:
        """Answer with a page of a task's comments, the newest first."""
        words = query(request, "start", "start_id")
        _there(self.tasks, number)
        found = [each for each in self.comments.values() if each["task"] == number][::-1]
        if words:
            ids = [each["id"] for each in found]
            found = found[ids.index(words["start_id"]) + 1 :]
        told = [{key: each[key] for key in each if key != "task"} for each in found]
        return json_answer({"comments": told[:COMMENTS_A_PAGE]})

    def add_comment(self, request: Request, number: str) -> Response:
        """Add a comment."""
        content = body(request, "comment_text", "notify_all")
        _there(self.tasks, number)
        identity = 458_001 + len(self.comments)
        self.comments[identity] = {
            "id": str(identity),
            "task": number,
            "comment_text": _text(content) + "\n",
            "user": ME,
            "resolved": False,
            "assignee": None,
            "date": str(_ms(NOW) + identity),
        }
        return json_answer({"id": identity, "hist_id": "26508", "date": _ms(NOW) + identity})

    def edit_comment(self, request: Request, number: int) -> Response:
        """Replace a comment's text."""
        content = body(request, "comment_text", "assignee", "resolved")
        comment = _there(self.comments, number)
        comment["comment_text"] = _text(content) + "\n"
        comment["resolved"] = content.get("resolved", comment["resolved"])
        return json_answer({})

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {
                "tasks": list(self.tasks.values()),
                "entries": list(self.entries.values()),
                "comments": list(self.comments.values()),
                "requests": self.requests,
            }
        )

    def control_task(self, request: Request) -> Response:
        """Add or change a task: `{"number", "name", "is_done", "at"}`."""
        told = body(request, "number", "name", "is_done", "at")
        self.add_task(**{**told, "at": datetime.fromisoformat(told["at"])})
        return json_answer({}, 201)

    def control_entry(self, request: Request) -> Response:
        """Add or change an entry: `{"number", "task", "start", "milliseconds", "billable"}`."""
        told = body(request, "number", "task", "start", "milliseconds", "billable")
        self.add_entry(**{**told, "start": datetime.fromisoformat(told["start"])})
        return json_answer({}, 201)

    def _own(self, team: str) -> None:
        if team != TEAM:
            raise Unauthorized("Team not authorized")


class ContractRig(ProjectRig[ClickUpStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[ClickUpConnector]] = ClickUpConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "team": TEAM,
        "endpoint": "clickup-agency",
    }
    unknown: ClassVar[str] = "task:99nothere"
    look_ups: ClassVar[LookUps] = {
        "task:9bqdone": [("work.completed", "task:9bqdone")],
        "task:9bqopen": [("work.reopened", "task:9bqopen")],
        "task:99nothere": [],
        "entry:4400": [("time.logged", "entry:4400")],
        "entry:9999": [],
    }
    facts: ClassVar[tuple[str, ...]] = ("task:9bqdone", "entry:4400", "entry:4401")

    def reports(self) -> list[Report]:
        """Return one report for a task and one for a time entry."""
        return [
            _report("task:9bqdone", {"task_id": "9bqdone"}, item="WEB-1"),
            _report("entry:4400", {"task_id": "9bqopen", "entry_id": "4400"}, item="WEB-2"),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [str(comment["comment_text"]) for comment in self.site.comments.values()]

    def happen(self) -> list[Named]:
        """Finish and open many tasks; log, change and back-date time; start a timer."""
        told = []
        at = NOW
        for number in range(2 * TASKS_A_PAGE + 5):
            at = NOW + timedelta(seconds=10 * number + 1)
            is_done = number % 3 > 0
            self.site.add_task(f"9new{number}", f"Task {number}", at, is_done=is_done)
            kind = "work.completed" if is_done else "work.reopened"
            told.append((kind, f"task:9new{number}"))
        self.site.add_entry("4500", "9new1", at - timedelta(minutes=30), 1_500_400, at=at)
        self.site.add_entry("4501", "9new1", at - timedelta(days=20), 3_600_000, at=at, user=TOM)
        self.site.add_entry("4400", "9bqopen", NOW - timedelta(days=4), 5_400_500, at=at)
        self.site.add_entry("4502", None, at + timedelta(days=2), 900_000, at=at, billable=False)
        self.site.add_entry("4503", "9new1", at, None)
        return [*told, *(("time.logged", f"entry:{each}") for each in (4500, 4501, 4400, 4502))]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that ClickUp sends for each comment of ours, new and changed."""
        return [
            (
                {},
                {
                    "event": event,
                    "history_items": [{"id": "1", "field": "comment", "date": "1793610000000"}],
                    "task_id": comment["task"],
                    "webhook_id": "w1",
                },
            )
            for comment in self.site.comments.values()
            for event in ("taskCommentPosted", "taskCommentUpdated", "taskUpdated")
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a Workspace with two tasks and a month of entries."""
    site = ClickUpStandIn()
    site.add_task("9bqdone", "Accept vouchers", NOW - timedelta(days=3), is_done=True)
    site.add_task("9bqopen", "Build the checkout", NOW - timedelta(days=2))
    rig = ContractRig(site)
    begun = datetime(2026, 9, 29, 8, 0, tzinfo=UTC)
    for number in range(64):
        start, user = begun + timedelta(hours=12 * number), (INES, TOM)[number % 2]
        site.add_entry(str(4400 + number), "9bqopen", start, 3_600_000 + 250 * number, user=user)
        if date(2026, 10, 1) <= start.date() <= date(2026, 10, 31):
            # Half a second and more counts as a whole one.
            rig.entries[f"entry:{4400 + number}"] = 3600 + (250 * number + 500) // 1000
    site.add_entry("4480", "9bqopen", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), 60_000)
    rig.entries["entry:4480"] = 60
    site.add_entry("4482", "9bqopen", datetime(2026, 11, 1, 0, 0, tzinfo=UTC), 60_000)
    site.add_entry("4481", "9bqopen", datetime(2026, 10, 30, 8, 0, tzinfo=UTC), None)
    return rig


def _report(subject: str, fields: dict[str, object], *, item: str | None) -> Report:
    return report_on(subject, item, "Webshop", fields)


def _shown(entry: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    """Return an entry with what was asked for."""
    told = dict(entry)
    if words.get("include_location_names") != "true":
        told["task_location"] = {
            key: value for key, value in told["task_location"].items() if key.endswith("_id")
        }
    if words.get("include_task_tags") != "true":
        told.pop("task_tags")
    return told


def _there(things: Any, number: Any) -> Any:
    if number not in things:
        raise NotFound("Task not found, deleted")
    return things[number]


def _text(content: dict[str, Any]) -> str:
    text = content.get("comment_text")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("Comment text required")
    return text


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


if __name__ == "__main__":
    serve_for_ever(ClickUpStandIn())
