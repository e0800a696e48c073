"""A stand-in for Asana's API: tasks, time entries and comments, for tests and the demo.

Shaped after https://developers.asana.com/reference. Run it with
`python -m connectors.asana.stand_in --port 8806`. Never for production.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, Forbidden, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import AsanaConnector

TOKEN: Final = "2/1207000000000999/stand-in-token"  # noqa: S105 - opens nothing but this stand-in.
WORKSPACE: Final = "1207000000000001"
SHOP: Final = {"gid": "1207000000000300", "resource_type": "project", "name": "Acme webshop"}
APP: Final = {"gid": "1207000000000310", "resource_type": "project", "name": "Acme app"}
ME: Final = {"gid": "1207000000000999", "resource_type": "user", "name": "Agency billing"}
INES: Final = {"gid": "1207000000000901", "resource_type": "user", "name": "Ines Bauer"}
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MOST_A_PAGE: Final = 100
_COMPACT: Final = {"gid", "resource_type", "name"}
"""What a list shows of each object where nothing else is asked for."""
_V1: Final = "/api/1.0"


class AsanaStandIn(StandIn):
    """One Workspace with two projects; tasks, entries and stories by gid."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_V1}/users/me", endpoint="me", methods=["GET"]),
        Rule(f"{_V1}/workspaces/<gid>", endpoint="workspace", methods=["GET"]),
        Rule(f"{_V1}/projects", endpoint="projects_of", methods=["GET"]),
        Rule(f"{_V1}/tasks", endpoint="tasks_of", methods=["GET"]),
        Rule(f"{_V1}/tasks/<gid>", endpoint="task", methods=["GET"]),
        Rule(
            f"{_V1}/tasks/<gid>/time_tracking_entries", endpoint="entries_of_task", methods=["GET"]
        ),
        Rule(f"{_V1}/tasks/<gid>/stories", endpoint="stories_of", methods=["GET"]),
        Rule(f"{_V1}/tasks/<gid>/stories", endpoint="add_story", methods=["POST"]),
        Rule(f"{_V1}/stories/<gid>", endpoint="edit_story", methods=["PUT"]),
        Rule(f"{_V1}/time_tracking_entries", endpoint="entries_of", methods=["GET"]),
        Rule(f"{_V1}/time_tracking_entries/<gid>", endpoint="entry", methods=["GET"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/tasks", endpoint="control_task", methods=["POST"]),
        Rule("/_control/entries", endpoint="control_entry", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.stories: dict[str, dict[str, Any]] = {}
        """By gid, each with its task, oldest first."""
        self.has_time_tracking = True

    def add_task(
        self,
        gid: str,
        name: str,
        at: datetime,
        *,
        is_done: bool = False,
        subtype: str = "default_task",
        project: dict[str, str] = SHOP,
    ) -> None:
        """Add a task, or change one that is there."""
        self.tasks[gid] = {
            "gid": gid,
            "resource_type": "task",
            "resource_subtype": subtype,
            "name": name,
            "completed": is_done,
            "completed_at": _text_of(at) if is_done else None,
            "modified_at": _text_of(at),
            "approval_status": None,
            "assignee": INES,
            "tags": [{"gid": "1207000000000400", "resource_type": "tag", "name": "fixed price"}],
            "projects": [project],
            "memberships": [{"project": project, "section": None}],
            "custom_fields": [
                {
                    "gid": "1207000000000801",
                    "resource_type": "custom_field",
                    "resource_subtype": "custom_id",
                    "type": "text",
                    "name": "ID",
                    "display_value": f"WEB-{gid[-4:]}",
                }
            ],
        }

    def add_entry(
        self, gid: str, task: str, on: date, minutes: int, *, at: datetime, billable: bool = True
    ) -> None:
        """Add a time entry, or change one that is there: that changes no time of its own."""
        known = self.entries.get(gid, {})
        self.entries[gid] = {
            "gid": gid,
            "resource_type": "time_tracking_entry",
            "duration_minutes": minutes,
            "entered_on": on.isoformat(),
            "created_at": known.get("created_at") or _text_of(at),
            "created_by": INES,
            "attributable_to": self.tasks[task]["projects"][0],
            "task": {key: self.tasks[task][key] for key in (*_COMPACT, "resource_subtype")},
            "billable_status": "billable" if billable else "nonBillable",
            "approval_status": "DRAFT",
            "description": "Voucher form",
        }

    def state(self) -> Any:
        """Return all that stands here."""
        return copy.deepcopy([self.tasks, self.entries, self.stories])

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("Not Authorized")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Asana's error body."""
        return {"errors": [{"message": description, "help": "see the documentation"}]}

    def me(self, request: Request) -> Response:
        """Answer who is asking."""
        return _one(request, ME)

    def workspace(self, request: Request, gid: str) -> Response:
        """Answer with the Workspace."""
        if gid != WORKSPACE:
            raise Forbidden("Forbidden")
        return _one(request, {"gid": gid, "resource_type": "workspace", "name": "Agency"})

    def projects_of(self, request: Request) -> Response:
        """Answer with the projects that are not archived."""
        words = query(request, "workspace", "archived", "limit", "offset", "opt_fields")
        if words.get("workspace") != WORKSPACE:
            raise Forbidden("Forbidden")
        return _page(words, [SHOP, APP])

    def tasks_of(self, request: Request) -> Response:
        """Answer with a page of a project's tasks that changed since a moment."""
        words = query(request, "project", "modified_since", "limit", "offset", "opt_fields")
        if words.get("project") not in (SHOP["gid"], APP["gid"]):
            raise NotFound("project: Unknown object")
        since = datetime.fromisoformat(words["modified_since"])
        return _page(
            words,
            [
                task
                for task in self.tasks.values()
                if words["project"] in [project["gid"] for project in task["projects"]]
                and datetime.fromisoformat(task["modified_at"]) >= since
            ],
        )

    def task(self, request: Request, gid: str) -> Response:
        """Answer with a task."""
        return _one(request, _there(self.tasks, gid))

    def entries_of_task(self, request: Request, gid: str) -> Response:
        """Answer with a page of a task's time entries."""
        words = query(request, "limit", "offset", "opt_fields")
        _there(self.tasks, gid)
        if not self.has_time_tracking:
            return json_answer(self.problem("Payment Required"), 402)
        return _page(words, [each for each in self.entries.values() if each["task"]["gid"] == gid])

    def entries_of(self, request: Request) -> Response:
        """Answer with a page of the Workspace's time entries for some days."""
        known = ("workspace", "entered_on_start_date", "entered_on_end_date")
        words = query(request, *known, "limit", "offset", "opt_fields")
        if not self.has_time_tracking:
            return json_answer(self.problem("Payment Required"), 402)
        if words.get("workspace") != WORKSPACE:
            raise Forbidden("Forbidden")
        first, last = words["entered_on_start_date"], words["entered_on_end_date"]
        return _page(
            words, [each for each in self.entries.values() if first <= each["entered_on"] <= last]
        )

    def entry(self, request: Request, gid: str) -> Response:
        """Answer with a time entry."""
        return _one(request, _there(self.entries, gid))

    def stories_of(self, request: Request, gid: str) -> Response:
        """Answer with a page of a task's stories, the oldest first."""
        words = query(request, "limit", "offset", "opt_fields")
        _there(self.tasks, gid)
        return _page(words, [each for each in self.stories.values() if each["task"] == gid])

    def add_story(self, request: Request, gid: str) -> Response:
        """Add a comment."""
        text = _comment(request)
        _there(self.tasks, gid)
        number = str(1_207_000_000_005_001 + len(self.stories))
        self.stories[number] = {
            "gid": number,
            "resource_type": "story",
            "resource_subtype": "comment_added",
            "type": "comment",
            "task": gid,
            "text": text,
            "created_by": ME,
        }
        return json_answer({"data": {"gid": number, "resource_type": "story", "text": text}}, 201)

    def edit_story(self, request: Request, gid: str) -> Response:
        """Change a comment's text."""
        text = _comment(request)
        _there(self.stories, gid)["text"] = text
        return json_answer({"data": {"gid": gid, "resource_type": "story", "text": text}})

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {
                "tasks": list(self.tasks.values()),
                "entries": list(self.entries.values()),
                "stories": list(self.stories.values()),
                "requests": self.requests,
            }
        )

    def control_task(self, request: Request) -> Response:
        """Add or change a task: `{"gid", "name", "is_done", "subtype", "at"}`."""
        told = body(request, "gid", "name", "is_done", "subtype", "at")
        self.add_task(**{**told, "at": datetime.fromisoformat(told["at"])})
        return json_answer({}, 201)

    def control_entry(self, request: Request) -> Response:
        """Add or change a time entry: `{"gid", "task", "on", "minutes", "billable", "at"}`."""
        told = body(request, "gid", "task", "on", "minutes", "billable", "at")
        when = {"on": date.fromisoformat(told["on"]), "at": datetime.fromisoformat(told["at"])}
        self.add_entry(**{**told, **when})
        return json_answer({}, 201)


class ContractRig(ProjectRig[AsanaStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[AsanaConnector]] = AsanaConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "workspace": WORKSPACE,
        "first_day": "2026-09-01",
        "endpoint": "asana-agency",
    }
    unknown: ClassVar[str] = "task:1299"
    look_ups: ClassVar[LookUps] = {
        "task:1201": [("milestone.completed", "task:1201")],
        "task:1202": [
            ("work.reopened", "task:1202"),
            ("time.logged", "entry:1501"),
            ("time.logged", "entry:1502"),
        ],
        "task:1299": [],
        "entry:1501": [("time.logged", "entry:1501")],
        # Older than the first day whose time is billed.
        "entry:1500": [],
        "entry:1599": [],
    }
    facts: ClassVar[tuple[str, ...]] = ("task:1201", "task:1202")

    def reports(self) -> list[Report]:
        """Return one report for a milestone and one for a time entry."""
        return [
            _report("task:1201", {"task_gid": "1201"}, item="WEB-1201"),
            _report("entry:1501", {"task_gid": "1202", "entry_gid": "1501"}, item="1202"),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [str(story["text"]) for story in self.site.stories.values()]

    def happen(self) -> list[Named]:
        """Complete and open many tasks in both projects; log, change and back-date time."""
        told = []
        at = NOW
        for number in range(MOST_A_PAGE + 30):
            at = NOW + timedelta(seconds=20 * number + 1)
            is_done, is_milestone = number % 3 > 0, number % 10 == 1
            gid = str(130_000 + number)
            self.site.add_task(
                gid,
                f"Task {number}",
                at,
                is_done=is_done,
                subtype="milestone" if is_milestone else "default_task",
                project=APP if number % 20 == 2 else SHOP,
            )
            kind = "milestone" if is_milestone else "work"
            told.append((f"{kind}.{'completed' if is_done else 'reopened'}", f"task:{gid}"))
        for number in range(MOST_A_PAGE + 10):
            self.site.add_entry(str(160_000 + number), "1202", at.date(), 5 + number, at=at)
            told.append(("time.logged", f"entry:{160_000 + number}"))
        self.site.add_entry("161000", "130001", at.date() - timedelta(days=20), 60, at=at)
        self.site.add_entry("160001", "1202", at.date(), 480, at=at, billable=False)
        return [*told, ("time.logged", "entry:161000")]

    def echoes(self) -> list[Webhook]:
        """Return the webhook that Asana sends for each comment of ours."""
        return [
            (
                {},
                {
                    "events": [
                        {
                            "user": {"gid": ME["gid"], "resource_type": "user"},
                            "created_at": _text_of(NOW),
                            "action": "added",
                            "resource": {
                                "gid": story["gid"],
                                "resource_type": "story",
                                "resource_subtype": "comment_added",
                            },
                            "parent": {"gid": story["task"], "resource_type": "task"},
                        }
                    ]
                },
            )
            for story in self.site.stories.values()
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a Workspace with a milestone, a task and some months of entries."""
    site = AsanaStandIn()
    site.add_task("1201", "Phase 1", NOW - timedelta(days=3), is_done=True, subtype="milestone")
    site.add_task("1202", "Build the checkout", NOW - timedelta(days=2))
    site.add_task("1203", "Accept vouchers", NOW - timedelta(days=2), project=APP)
    site.add_entry("1500", "1202", date(2026, 8, 3), 60, at=NOW - timedelta(days=90))
    rig = ContractRig(site)
    for number, on in enumerate((date(2026, 10, 1), date(2026, 10, 31))):
        site.add_entry(f"150{number + 1}", "1202", on, 95, at=NOW - timedelta(days=2))
        rig.entries[f"entry:150{number + 1}"] = 5700
    for number in range(MOST_A_PAGE + 20):
        on = date(2026, 9, 20) + timedelta(days=number // 2)
        site.add_entry(str(170_000 + number), "1203", on, 7 + number, at=NOW - timedelta(days=2))
        if date(2026, 10, 1) <= on <= date(2026, 10, 31):
            rig.entries[f"entry:{170_000 + number}"] = 60 * (7 + number)
    for number in range(MOST_A_PAGE + 20):
        on, at = date(2026, 10, 14), NOW - timedelta(days=2)
        site.add_entry(str(180_000 + number), "1203", on, 1, at=at)
        rig.entries[f"entry:{180_000 + number}"] = 60
    return rig


def _report(subject: str, fields: dict[str, object], *, item: str | None) -> Report:
    return report_on(subject, item, "Acme webshop", fields)


def _one(request: Request, thing: dict[str, Any]) -> Response:
    words = query(request, "opt_fields")
    return json_answer({"data": _picked(thing, words.get("opt_fields", ""))})


def _page(words: dict[str, str], things: list[dict[str, Any]]) -> Response:
    """Answer with a page and, as Asana does, the token and the address of the next one."""
    size = int(words.get("limit", "20"))
    if not 1 <= size <= MOST_A_PAGE:
        raise BadRequest("limit: must be between 1 and 100")
    first = 0
    if "offset" in words:
        if not words["offset"].startswith("eyJ"):
            raise BadRequest("offset: Your pagination token is invalid.")
        first = int(words["offset"].removeprefix("eyJ"))
    here = [_picked(thing, words.get("opt_fields", "")) for thing in things[first : first + size]]
    token = f"eyJ{first + size}"
    is_last = first + size >= len(things)
    following = {"offset": token, "path": "/nowhere", "uri": "https://elsewhere.example/nowhere"}
    return json_answer({"data": here, "next_page": None if is_last else following})


def _picked(thing: dict[str, Any], fields: str) -> dict[str, Any]:
    """Return an object with the fields that were asked for, which may name fields of fields."""
    if not fields:
        return {name: value for name, value in thing.items() if name in _COMPACT}
    told: dict[str, Any] = {name: thing[name] for name in ("gid", "resource_type") if name in thing}
    inner: dict[str, list[str]] = {}
    for path in fields.split(","):
        name, _, rest = path.partition(".")
        if name not in thing:
            raise BadRequest(f"opt_fields: {name} is not known")
        if not rest:
            told[name] = thing[name]
        inner.setdefault(name, []).extend([rest] if rest else [])
    for name, rests in inner.items():
        value, asked = thing[name], ",".join(rests)
        if not asked:
            continue
        told[name] = (
            [_picked(one, asked) for one in value]
            if isinstance(value, list)
            else None
            if value is None
            else _picked(value, asked)
        )
    return told


def _there(things: dict[str, dict[str, Any]], gid: str) -> dict[str, Any]:
    if gid not in things:
        raise NotFound("Unknown object")
    return things[gid]


def _comment(request: Request) -> str:
    data = body(request, "data").get("data")
    if not isinstance(data, dict) or set(data) != {"text"} or not str(data["text"]).strip():
        raise BadRequest("data: must hold a text")
    return str(data["text"])


def _text_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


if __name__ == "__main__":
    serve_for_ever(AsanaStandIn())
