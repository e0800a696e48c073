"""A stateful stand-in of Clockify's APIs, for tests and the demo; never for production.

Shaped after the documented answers of the REST API and of the detailed report, and strict where
Clockify is lenient: an unknown path, query word or body key is refused. As in Clockify, changing an
entry clears what is left out, and the sums of a project grow from answer to answer.
`python -m connectors.clockify.stand_in --port N` serves it; `/_control/` is the way to look at its
state, to add things and to order faults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import PEOPLE_A_PAGE, ClockifyConnector

TOKEN: Final = "stand-in-clockify-key"  # noqa: S105 - it opens nothing but this stand-in.
MOST_A_PAGE: Final = 200
PEOPLE: Final = PEOPLE_A_PAGE + 2


def object_id(number: int) -> str:
    """Return an invented id in Clockify's shape."""
    return f"65f0c0de{number:016x}"


WORKSPACE: Final = object_id(1)
_REST: Final = f"/api/v1/workspaces/{WORKSPACE}"
_REPORT: Final = f"/v1/workspaces/{WORKSPACE}/reports/detailed"
_ENTRY_KEYS: Final = (
    *("start", "end", "billable", "description", "projectId", "taskId", "tagIds"),
    *("customFields", "type"),
)


class ClockifyStandIn(StandIn):
    """One workspace; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/api/v1/user", endpoint="user", methods=["GET"]),
        Rule(_REST, endpoint="workspace", methods=["GET"]),
        Rule(f"{_REST}/user/<person>/time-entries", endpoint="entries_of", methods=["GET"]),
        Rule(f"{_REST}/time-entries/<number>", endpoint="get_entry", methods=["GET"]),
        Rule(f"{_REST}/time-entries/<number>", endpoint="put_entry", methods=["PUT"]),
        Rule(f"{_REST}/tags", endpoint="list_tags", methods=["GET"]),
        Rule(f"{_REST}/tags", endpoint="add_tag", methods=["POST"]),
        Rule(f"{_REST}/tags/<number>", endpoint="put_tag", methods=["PUT"]),
        Rule(_REPORT, endpoint="detailed", methods=["POST"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/entries", endpoint="control_entry", methods=["POST"]),
        Rule("/_control/entries/<int:number>", endpoint="control_removal", methods=["DELETE"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, Any]] = {}
        self.time_entries: dict[str, dict[str, Any]] = {}
        """By id, as the REST API tells them without more."""
        self.people: dict[str, str] = {}
        """Names by id of who is in the workspace; who has left still has entries."""
        self.sent: list[tuple[str, dict[str, Any]]] = []
        """Event and body of everything that the webhooks were sent."""

    def state(self) -> str:
        """Return everything that a request could change."""
        return json.dumps([self.projects, self.tags, self.time_entries])

    def add_project(self, number: int, name: str, client: str) -> None:
        """Add a project."""
        self.projects[object_id(number)] = {"id": object_id(number), "name": name, "client": client}

    def log(
        self,
        number: int,
        seconds: int | None,
        start: str,
        *,
        person: int = 11,
        project: int | None = None,
        tags: tuple[str, ...] = (),
        zone: str = "Europe/Vienna",
        **more: Any,
    ) -> dict[str, Any]:
        """Add a time entry or change the one with this id; without seconds it is running.

        Return what the webhook posts; the stand-in itself posts nothing.
        """
        begin = datetime.fromisoformat(start).astimezone(UTC)
        end = None if seconds is None else begin + timedelta(seconds=seconds)
        self.people.setdefault(object_id(person), f"Person {person}")
        event = "TIME_ENTRY_UPDATED" if object_id(number) in self.time_entries else "NEW_TIME_ENTRY"
        self.time_entries[object_id(number)] = {
            "id": object_id(number),
            "description": "Voucher codes in the basket",
            "userId": object_id(person),
            "billable": True,
            "projectId": object_id(project) if project else None,
            "taskId": None,
            "tagIds": [self._tag(name) for name in tags],
            "timeInterval": {
                "start": _text(begin),
                "end": _text(end) if end else None,
                "duration": None if seconds is None else _duration(seconds),
                "timeZone": zone,
                "zonedStart": begin.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S"),
            },
            "workspaceId": WORKSPACE,
            "isLocked": False,
            "customFieldValues": [
                {
                    "customFieldId": object_id(51),
                    "timeEntryId": object_id(number),
                    "name": "Order",
                    "type": "TXT",
                    "value": f"PO-{number}",
                }
            ],
            "type": "REGULAR",
            **more,
        }
        return self._tell(event, object_id(number))

    def unlog(self, number: int) -> dict[str, Any]:
        """Delete a time entry; return what the webhook posts."""
        told = self._tell("TIME_ENTRY_DELETED", object_id(number))
        del self.time_entries[object_id(number)]
        return told

    def hydrated(self, number: str) -> dict[str, Any]:
        """Return an entry with its project, person and tags, as webhooks tell it, too."""
        entry = self.time_entries[number]
        project = self.projects.get(entry["projectId"] or "")
        told = project and {
            "id": project["id"],
            "name": project["name"],
            "clientId": object_id(61),
            "clientName": project["client"],
            "billable": True,
            "duration": _duration(len(self.requests) + len(self.sent)),
        }
        return {
            **{name: value for name, value in entry.items() if name != "tagIds"},
            "project": told,
            "task": None,
            "user": {
                "id": entry["userId"],
                "name": self.people.get(entry["userId"], "Somebody"),
                "status": "ACTIVE",
            },
            "tags": [{**self.tags[tag], "workspaceId": WORKSPACE} for tag in entry["tagIds"]],
        }

    def authenticate(self, request: Request) -> None:
        """Let in who sends the API key."""
        if request.headers.get("X-Api-Key") != TOKEN:
            raise Unauthorized("Api key does not exist")

    def problem(self, description: str) -> dict[str, Any]:
        """Return an error's body."""
        return {"message": description, "code": 501}

    def user(self, request: Request) -> Response:
        """Answer with the account."""
        query(request)
        return json_answer(
            {"id": object_id(10), "name": "Berta Buch", "activeWorkspace": WORKSPACE}
        )

    def workspace(self, request: Request) -> Response:
        """Answer with the workspace."""
        query(request)
        return json_answer({"id": WORKSPACE, "name": "Agency"})

    def entries_of(self, request: Request, person: str) -> Response:
        """Answer with one page of a person's entries, newest first."""
        words = query(request, "start", "end", "hydrated", "page", "page-size")
        if person not in self.people:
            raise NotFound("User doesn't belong to Workspace")
        found = [
            entry["id"]
            for entry in sorted(
                self.time_entries.values(),
                key=lambda entry: str(entry["timeInterval"]["start"]),
                reverse=True,
            )
            if entry["userId"] == person
            and words["start"] <= entry["timeInterval"]["start"] <= words["end"]
        ]
        page = _page(found, int(words.get("page", 1)), int(words.get("page-size", 50)))
        is_hydrated = words.get("hydrated") == "true"
        return json_answer([self._shown(number, is_hydrated=is_hydrated) for number in page])

    def get_entry(self, request: Request, number: str) -> Response:
        """Answer with a time entry."""
        words = query(request, "hydrated")
        _found(self.time_entries, number)
        return json_answer(self._shown(number, is_hydrated=words.get("hydrated") == "true"))

    def put_entry(self, request: Request, number: str) -> Response:
        """Replace a time entry: what is left out is cleared."""
        entry, told = _found(self.time_entries, number), body(request, *_ENTRY_KEYS)
        if entry["isLocked"]:
            raise BadRequest("Time entry is locked")
        if "start" not in told or set(told.get("tagIds") or ()) - set(self.tags):
            raise BadRequest("Tag doesn't belong to Workspace")
        interval = entry["timeInterval"]
        if (told["start"], told.get("end")) != (interval["start"], interval["end"]):
            raise BadRequest("this stand-in moves no entries")
        values = {each["customFieldId"]: each["value"] for each in told.get("customFields", ())}
        fields = entry["customFieldValues"]
        entry |= {
            "billable": told.get("billable", False),
            "description": told.get("description", ""),
            "projectId": told.get("projectId"),
            "taskId": told.get("taskId"),
            "tagIds": list(told.get("tagIds") or []),
            "type": told.get("type", "REGULAR"),
            "customFieldValues": [
                {**field, "value": values.get(field["customFieldId"])} for field in fields
            ],
        }
        self._tell("TIME_ENTRY_UPDATED", number)
        return json_answer(self._shown(number, is_hydrated=False))

    def list_tags(self, request: Request) -> Response:
        """Answer with one page of the tags whose names contain a text."""
        words = query(request, "name", "strict-name-search", "archived", "page", "page-size")
        found = [tag for tag in self.tags.values() if words.get("name", "") in tag["name"]]
        page = _page(found, int(words.get("page", 1)), int(words.get("page-size", 50)))
        return json_answer(page)

    def add_tag(self, request: Request) -> Response:
        """Add a tag; its name must be new."""
        name = self._new_name(body(request, "name").get("name"))
        return json_answer(self.tags[self._tag(name)], 201)

    def put_tag(self, request: Request, number: str) -> Response:
        """Rename a tag, on all entries that bear it."""
        tag = _found(self.tags, number)
        tag["name"] = self._new_name(body(request, "name", "archived").get("name"))
        self.sent.append(("TAG_UPDATED", dict(tag)))
        return json_answer(tag)

    def detailed(self, request: Request) -> Response:
        """Answer with one page of the detailed report."""
        known = ("dateRangeStart", "dateRangeEnd", "detailedFilter", "exportType", "rounding")
        asked = body(request, *known, "timeZone")
        first, last, place = (asked[name] for name in known[:3])
        if set(place) - {"page", "pageSize"} or asked.get("timeZone") != "UTC":
            raise BadRequest("this stand-in reports in UTC only")
        if datetime.fromisoformat(last) - datetime.fromisoformat(first) > timedelta(days=31):
            raise BadRequest("a free workspace's report has at most 31 days")
        found = [
            entry
            for entry in self.time_entries.values()
            if entry["timeInterval"]["end"] and first <= entry["timeInterval"]["start"] <= last
        ]
        rows = [
            {
                "_id": entry["id"],
                "userId": entry["userId"],
                "billable": entry["billable"],
                "timeInterval": {**entry["timeInterval"], "duration": 1},
            }
            for entry in _page(found, place["page"], place["pageSize"])
        ]
        return json_answer({"totals": [{"entriesCount": len(found)}], "timeentries": rows})

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        things = ("projects", "tags", "time_entries")
        listed = {name: list(getattr(self, name).values()) for name in things}
        return json_answer({**listed, "sent": self.sent, "requests": self.requests})

    def control_entry(self, request: Request) -> Response:
        """Add or change a time entry; answer with what the webhook posts."""
        content = body(request, "number", "seconds", "start", "person", "project", "tags", "zone")
        return json_answer(self.log(**{**content, "tags": tuple(content.get("tags", ()))}), 201)

    def control_removal(self, _request: Request, number: int) -> Response:
        """Delete a time entry; answer with what the webhook posts."""
        return json_answer(self.unlog(number))

    def _answer(self, request: Request) -> Response:
        try:
            return super()._answer(request)
        finally:
            if request.path == _REPORT:
                # The report is asked for by POST, which changes nothing.
                self.requests[-1] = f"GET {_REPORT}"

    def _tell(self, event: str, number: str) -> dict[str, Any]:
        told = self.hydrated(number)
        self.sent.append((event, told))
        return told

    def _shown(self, number: str, *, is_hydrated: bool) -> dict[str, Any]:
        return self.hydrated(number) if is_hydrated else self.time_entries[number]

    def _tag(self, name: str) -> str:
        known = {tag["name"]: tag["id"] for tag in self.tags.values()}
        if name not in known:
            known[name] = object_id(800 + len(self.tags))
            self.tags[known[name]] = {"id": known[name], "name": name, "archived": False}
        return str(known[name])

    def _new_name(self, name: object) -> str:
        if not isinstance(name, str) or not name.strip():
            raise BadRequest("Tag name is required")
        if name in (tag["name"] for tag in self.tags.values()):
            raise BadRequest(f"Tag with name '{name}' already exists")
        return name


class ContractRig(ProjectRig[ClockifyStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[ClockifyConnector]] = ClockifyConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "workspace": WORKSPACE,
        "endpoint": "clockify",
        "api_url": "https://api.clockify.example/api",
        "reports_url": "https://reports.clockify.example",
    }
    unknown: ClassVar[str] = f"entry:{object_id(99)}"
    look_ups: ClassVar[LookUps] = {
        f"entry:{object_id(1001)}": [("time.logged", f"entry:{object_id(1001)}")],
        f"entry:{object_id(99)}": [],
    }

    def __init__(self, site: ClockifyStandIn, entries: dict[str, int]) -> None:
        super().__init__(site, entries)
        self._sent_before = len(site.sent)

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [report_on(f"entry:{object_id(1001)}", None, "Webshop")]

    def notes(self) -> list[str]:
        """Return our tags on all entries."""
        names = [
            self.site.tags[tag]["name"]
            for entry in self.site.time_entries.values()
            for tag in entry["tagIds"]
        ]
        return [name for name in names if name.startswith("billhook")]

    def happen(self) -> list[Named]:
        """Log and change the entries of more people than are listed at once, more than a page."""
        site, expected = self.site, []
        for number in range(2000, 2000 + MOST_A_PAGE + 5):
            person = 11 + number % PEOPLE
            site.log(number, number, "2026-11-02T08:00:00+00:00", person=person, project=21)
            expected.append(("time.logged", f"entry:{object_id(number)}"))
        site.log(2000, 60, "2026-11-02T08:00:00+00:00", person=11)
        site.log(2999, None, "2026-11-02T08:30:00+00:00")
        return expected

    def before_notes(self) -> list[Webhook]:
        """Return the webhooks that told of the entries before we wrote on them."""
        headers = {"clockify-webhook-event-type": "NEW_TIME_ENTRY"}
        return [(headers, self.site.hydrated(object_id(1001)))]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that our notes cause."""
        return [
            ({"clockify-webhook-event-type": event}, told)
            for event, told in self.site.sent[self._sent_before :]
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a workspace with a month of entries, some of them near its ends."""
    site = ClockifyStandIn()
    site.add_project(21, "Webshop", "Acme GmbH")
    entries: dict[str, int] = {}
    for number in range(1001, 1001 + MOST_A_PAGE + 10):
        start = f"2026-10-{1 + number % 30:02d}T08:00:00+00:00"
        site.log(number, 1800 + number, start, project=21, tags=("shop",))
        entries[f"entry:{object_id(number)}"] = 1800 + number
    # What the person's own day makes of an hour before midnight in UTC, and after it.
    site.log(1501, 600, "2026-09-30T23:30:00+00:00", person=12)
    site.log(1502, 700, "2026-10-31T23:30:00+00:00", person=12)
    site.log(1503, 800, "2026-11-01T03:30:00+00:00", person=13, zone="America/New_York")
    site.log(1504, 900, "2026-10-01T03:30:00+00:00", person=13, zone="America/New_York")
    site.log(1505, None, "2026-10-31T09:00:00+00:00")
    # Somebody who has left has entries, but no list of them.
    site.log(1506, 950, "2026-10-15T09:00:00+00:00", person=14)
    del site.people[object_id(14)]
    entries |= {f"entry:{object_id(number)}": of for number, of in _AT_THE_ENDS.items()}
    return ContractRig(site, entries)


_AT_THE_ENDS: Final = {1501: 600, 1503: 800, 1506: 950}


def _page(found: list[Any], page: int, size: int) -> list[Any]:
    if size > MOST_A_PAGE:
        raise BadRequest(f"a page has at most {MOST_A_PAGE}")
    return found[(page - 1) * size : page * size]


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"PT{hours}H{rest // 60}M{rest % 60}S"


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _found(things: dict[str, dict[str, Any]], number: str) -> dict[str, Any]:
    if number not in things:
        raise NotFound("doesn't belong to Workspace")
    return things[number]


if __name__ == "__main__":
    serve_for_ever(ClockifyStandIn())
