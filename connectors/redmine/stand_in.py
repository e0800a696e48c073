"""A stateful stand-in of Redmine's REST API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, paging, authentication) and strict where
Redmine is lenient: an unknown path, query word or body key is refused.
`python -m connectors.redmine.stand_in --port N` serves it; `/_control/state` shows its state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    NotFound,
    Unauthorized,
    UnprocessableEntity,
)
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import (
    Fault,
    StandIn,
    body,
    json_answer,
    query,
    serve_for_ever,
)

from .connector import RedmineConnector

TOKEN: Final = "redmine-stand-in-key"  # noqa: S105 - it opens nothing but this stand-in.
URL: Final = "https://redmine.agency.example"
ME: Final = 90
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MOST_PER_PAGE: Final = 100
"""What Redmine gives at most."""
STATUSES: Final = {1: ("New", False), 2: ("In Progress", False), 8: ("Delivered", True)}
PROJECTS: Final = {12: "Harbour portal", 13: "Harbour wiki", 14: "Private"}


class RedmineStandIn(StandIn):
    """One server; its state is plain public data, the things by id."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/users/current.json", endpoint="current", methods=["GET"]),
        Rule("/issues.json", endpoint="issues_of", methods=["GET"]),
        Rule("/issues/<int:number>.json", endpoint="issue", methods=["GET"]),
        Rule("/issues/<int:number>.json", endpoint="add_note", methods=["PUT"]),
        Rule("/journals/<int:number>.json", endpoint="edit_note", methods=["PUT"]),
        Rule("/time_entries.json", endpoint="time_entries_of", methods=["GET"]),
        Rule("/time_entries/<int:number>.json", endpoint="time_entry", methods=["GET"]),
        Rule("/projects.json", endpoint="projects_of", methods=["GET"]),
        Rule("/projects/<int:number>/versions.json", endpoint="versions_of", methods=["GET"]),
        Rule("/versions/<int:number>.json", endpoint="version", methods=["GET"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.time_entries: dict[int, dict[str, Any]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.versions: dict[int, dict[str, Any]] = {}
        self.journals: dict[int, dict[str, Any]] = {}
        """By id, each with the number of its issue."""

    def pass_minute(self) -> None:
        """Let a minute go by."""
        self.now += timedelta(minutes=1)

    def put_entry(
        self, number: int, spent_on: str, hundredths: int, *, issue: int | None = 4402
    ) -> None:
        """Log or change a time entry now. Redmine writes hours as a number with two decimals."""
        self.time_entries[number] = {
            "id": number,
            "project": {"id": 12, "name": PROJECTS[12]},
            **({"issue": {"id": issue}} if issue is not None else {}),
            "user": {"id": 21, "name": "Tom Ahlers"},
            "activity": {"id": 9, "name": "Development"},
            "hours": hundredths / 100,
            "comments": "Login",
            "spent_on": spent_on,
            "created_on": _moment(self.now),
            "updated_on": _moment(self.now),
            "custom_fields": [{"id": 3, "name": "Billable", "value": "1"}],
        }

    def put_issue(self, number: int, subject: str, status: int) -> None:
        """Make or change an issue now."""
        name, is_closed = STATUSES[status]
        self.issues[number] = {
            "id": number,
            "project": {"id": 12, "name": PROJECTS[12]},
            "tracker": {"id": 2, "name": "Feature"},
            "status": {"id": status, "name": name, "is_closed": is_closed},
            "fixed_version": {"id": 17, "name": "Phase 1"},
            "subject": subject,
            "estimated_hours": 8.5,
            "created_on": _moment(NOW - timedelta(days=9)),
            "updated_on": _moment(self.now),
            "closed_on": _moment(self.now) if is_closed else None,
        }

    def put_version(self, number: int, name: str, status: str) -> None:
        """Make or change a version now."""
        self.versions[number] = {
            "id": number,
            "project": {"id": 12, "name": PROJECTS[12]},
            "name": name,
            "status": status,
            "due_date": "2026-11-30",
            "created_on": _moment(NOW - timedelta(days=9)),
            "updated_on": _moment(self.now),
        }

    def write_note(self, number: int, notes: str, user: int) -> None:
        """Write a note, which counts as a change of the issue too."""
        made = 700 + len(self.journals)
        self.journals[made] = {
            "id": made,
            "issue": number,
            "user": {"id": user, "name": "Somebody"},
            "notes": notes.replace("\n", "\r\n"),
            "created_on": _moment(self.now),
            "details": [],
        }
        self.issues[number]["updated_on"] = _moment(self.now)

    def authenticate(self, request: Request) -> None:
        """Let in the one account, by its key."""
        if request.headers.get("X-Redmine-API-Key") != TOKEN:
            raise Unauthorized("Unauthorized")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Redmine's error body."""
        return {"errors": [description]}

    def current(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer({"user": {"id": ME, "login": "billhook", "firstname": "Bill"}})

    def issues_of(self, request: Request) -> Response:
        """Answer with one page of the issues, those that changed since a moment or by number."""
        words = query(request, "updated_on", "issue_id", "status_id", "sort", "limit", "offset")
        if words.get("status_id") != "*":
            raise BadRequest("without the status the default would hide what is closed")
        fitting = list(self.issues.values())
        if since := words.get("updated_on"):
            if not since.startswith(">=") or words.get("sort") != "updated_on,id":
                raise BadRequest("this stand-in lists what changed since, oldest first")
            first = datetime.fromisoformat(since.removeprefix(">="))
            fitting = [
                each for each in fitting if datetime.fromisoformat(each["updated_on"]) >= first
            ]
            fitting.sort(key=lambda each: (each["updated_on"], each["id"]))
        if wanted := words.get("issue_id"):
            numbers = {int(each) for each in wanted.split(",")}
            fitting = [each for each in fitting if each["id"] in numbers]
        return _page(words, "issues", fitting)

    def issue(self, request: Request, number: int) -> Response:
        """Answer with an issue, with its journals if they are asked for."""
        words = query(request, "include")
        issue = dict(_found(self.issues, number))
        if words.get("include") == "journals":
            issue["journals"] = [
                {name: value for name, value in each.items() if name != "issue"}
                for each in self.journals.values()
                if each["issue"] == number
            ]
        return json_answer({"issue": issue})

    def add_note(self, request: Request, number: int) -> Response:
        """Write a note as the one account; there is nothing in the answer."""
        query(request)
        notes = _notes(request, "issue")
        _found(self.issues, number)
        self.write_note(number, notes, ME)
        return Response(status=204)

    def edit_note(self, request: Request, number: int) -> Response:
        """Change a note of the one account."""
        query(request)
        notes = _notes(request, "journal")
        journal = _found(self.journals, number)
        if journal["user"]["id"] != ME:
            raise Forbidden("Forbidden")
        journal["notes"] = notes.replace("\n", "\r\n")
        return Response(status=204)

    def time_entries_of(self, request: Request) -> Response:
        """Answer with one page of the time entries of some days, the newest first."""
        words = query(request, "from", "to", "limit", "offset")
        first, last = words.get("from", "0000"), words.get("to", "9999")
        fitting = [each for each in self.time_entries.values() if first <= each["spent_on"] <= last]
        fitting.sort(key=lambda each: (each["spent_on"], each["id"]), reverse=True)
        return _page(words, "time_entries", fitting)

    def time_entry(self, request: Request, number: int) -> Response:
        """Answer with a time entry."""
        query(request)
        return json_answer({"time_entry": _found(self.time_entries, number)})

    def projects_of(self, request: Request) -> Response:
        """Answer with one page of the projects and their modules; one has no issues."""
        words = query(request, "include", "limit", "offset")
        if words.get("include") != "enabled_modules":
            raise BadRequest("the modules are not asked for")
        projects = [
            {
                "id": number,
                "name": name,
                "enabled_modules": [
                    {"id": 1, "name": "wiki" if number == 13 else "issue_tracking"}
                ],
            }
            for number, name in PROJECTS.items()
        ]
        return _page(words, "projects", projects)

    def versions_of(self, request: Request, number: int) -> Response:
        """Answer with a project's versions; the account may not see the last project's."""
        query(request)
        if number == 14:
            raise Forbidden("Forbidden")
        if number != 12:
            raise NotFound("Not Found")
        shared = {"id": 99, "project": {"id": 3, "name": "Shared"}, "name": "S", "status": "closed"}
        versions = [*self.versions.values(), {**shared, "updated_on": _moment(self.now)}]
        return json_answer({"versions": versions, "total_count": len(versions)})

    def version(self, request: Request, number: int) -> Response:
        """Answer with a version."""
        query(request)
        return json_answer({"version": _found(self.versions, number)})

    def control_state(self, request: Request) -> Response:
        """Answer with what stands here and with every request so far."""
        return json_answer({**self.state(), "requests": self.requests})

    def state(self) -> dict[str, Any]:
        """Return everything that stands here, as a copy."""
        names = ("time_entries", "issues", "versions", "journals")
        state: dict[str, Any] = json.loads(
            json.dumps({name: list(getattr(self, name).values()) for name in names})
        )
        return state


class ContractRig(ProjectRig[RedmineStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[RedmineConnector]] = RedmineConnector
    valid: ClassVar[Mapping[str, str]] = {"url": URL, "token": TOKEN, "endpoint": "redmine"}
    unknown: ClassVar[str] = "issue:99999"
    facts: ClassVar[tuple[str, ...]] = ("issue:4402", "issue:4403", "issue:4404")
    look_ups: ClassVar[LookUps] = {
        "issue:4402": [("work.completed", "issue:4402")],
        "issue:4403": [("work.reopened", "issue:4403")],
        "time_entry:1": [("time.logged", "time_entry:1")],
        "version:17": [("milestone.reopened", "version:17")],
        "issue:99999": [],
        "time_entry:99999": [],
    }

    def reports(self) -> list[Report]:
        """Return a report on an issue and one on time that was logged on another."""
        return [
            report_on("issue:4402", "#4402", PROJECTS[12], {"tracker": "Feature"}),
            report_on("time_entry:1", "#4403", PROJECTS[12], {"tracker": "Feature"}),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [each["notes"] for each in self.site.journals.values() if each["user"]["id"] == ME]

    def order_fault(self, do: str, *, path: str = "", method: str = "") -> None:
        """Let the next request that fits fail as `Fault.do` says. A note is written by PUT."""
        self.site.faults.append(Fault(do, path, "PUT" if method == "POST" else method))

    def happen(self) -> list[Named]:
        """Let work be logged and closed: singly, and more than a page within one second."""
        site, told = self.site, []
        for number in range(201, 205):
            site.pass_minute()
            site.put_entry(number, "2026-11-02", 100)
            told.append(("time.logged", f"time_entry:{number}"))
        site.pass_minute()
        for number in range(1, 131):
            # All at once, as in a bulk edit.
            site.put_entry(number, f"2026-10-{number % 28 + 3:02}", 225)
            told.append(("time.logged", f"time_entry:{number}"))
        site.pass_minute()
        for number in range(5001, 5131):
            site.put_issue(number, f"Page {number}", 8)
            told.append(("work.completed", f"issue:{number}"))
        site.pass_minute()
        site.put_issue(4402, "Log in with a second factor", 2)
        site.put_version(17, "Phase 1", "closed")
        return [
            *told,
            ("work.reopened", "issue:4402"),
            ("milestone.completed", "version:17"),
        ]

    def before_notes(self) -> list[Webhook]:
        """Return the webhooks of the issues at the moment when they got their status."""
        status = {"property": "attr", "prop_key": "status_id", "old_value": "1", "value": "8"}
        return [
            ({}, _hook(self.site.issues[number], {"id": 1, "details": [status]}))
            for number in (4402, 4403)
        ]

    def echoes(self) -> list[Webhook]:
        """Return what Redmine sends for a note: the issue, newer, with the note as its journal."""
        return [
            ({}, _hook(self.site.issues[each["issue"]], {**each, "issue": None}))
            for each in self.site.journals.values()
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a server with a month of time entries, open and closed issues, and a version."""
    site = RedmineStandIn()
    site.now = NOW - timedelta(days=3)
    site.put_issue(4402, "Log in with a second factor", 8)
    site.put_issue(4403, "Export to a spreadsheet", 2)
    site.put_issue(4404, "Draw the plan", 8)
    site.put_version(17, "Phase 1", "open")
    for number in range(1, 131):
        site.put_entry(number, f"2026-10-{number % 31 + 1:02}", 33)
    site.put_entry(131, "2026-10-31", 750, issue=None)
    site.put_entry(132, "2026-09-30", 100)
    site.put_entry(133, "2026-11-01", 100)
    site.now = NOW
    entries = {f"time_entry:{number}": 1200 for number in range(1, 131)}
    return ContractRig(site, entries={**entries, "time_entry:131": 27_000})


def _hook(issue: dict[str, Any], journal: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "issue.updated",
        "timestamp": issue["updated_on"],
        "data": {"issue": issue, "journal": journal},
    }


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _found(things: dict[int, dict[str, Any]], number: int) -> dict[str, Any]:
    if number not in things:
        raise NotFound("Not Found")
    return things[number]


def _notes(request: Request, thing: str) -> str:
    sent = body(request, thing).get(thing)
    notes = sent.get("notes") if isinstance(sent, dict) and set(sent) == {"notes"} else None
    if not isinstance(notes, str) or not notes.strip():
        raise UnprocessableEntity("Notes cannot be blank")
    return notes


def _page(words: dict[str, str], name: str, things: list[Any]) -> Response:
    """Answer with one page of a list."""
    limit, offset = min(int(words.get("limit", 25)), MOST_PER_PAGE), int(words.get("offset", 0))
    return json_answer(
        {
            name: things[offset : offset + limit],
            "total_count": len(things),
            "offset": offset,
            "limit": limit,
        }
    )


if __name__ == "__main__":
    serve_for_ever(RedmineStandIn())
