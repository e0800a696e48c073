"""A stateful stand-in of OpenProject's API, for tests and the demo; never for production.

Shaped after the documented answers (paths, HAL+JSON collections, filters, paging, authentication)
and strict where OpenProject is lenient: an unknown path, query word or body key is refused.
`python -m connectors.openproject.stand_in --port N` serves it; `/_control/state` shows its state.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized, UnprocessableEntity
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

from .connector import OpenProjectConnector

TOKEN: Final = "opapi-stand-in-token"  # noqa: S105 - it opens nothing but this stand-in.
URL: Final = "https://projects.agency.example"
ME: Final = 90
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
MOST_PER_PAGE: Final = 10
"""What the administrator of this server allows, fewer than the connector asks for."""
STATUSES: Final = {1: ("New", False), 7: ("In progress", False), 12: ("Accepted", True)}

_API: Final = "/api/v3"


class OpenProjectStandIn(StandIn):
    """One server; its state is plain public data, the resources by id."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule(f"{_API}/users/me", endpoint="me", methods=["GET"]),
        Rule(f"{_API}/statuses", endpoint="statuses", methods=["GET"]),
        Rule(f"{_API}/time_entries", endpoint="time_entries_of", methods=["GET"]),
        Rule(f"{_API}/time_entries/<int:number>", endpoint="time_entry", methods=["GET"]),
        Rule(f"{_API}/work_packages", endpoint="work_packages_of", methods=["GET"]),
        Rule(f"{_API}/work_packages/<int:number>", endpoint="work_package", methods=["GET"]),
        Rule(
            f"{_API}/work_packages/<int:number>/activities",
            endpoint="activities_of",
            methods=["GET"],
        ),
        Rule(
            f"{_API}/work_packages/<int:number>/activities",
            endpoint="add_comment",
            methods=["POST"],
        ),
        Rule(f"{_API}/activities/<int:number>", endpoint="edit_comment", methods=["PATCH"]),
        Rule(f"{_API}/versions", endpoint="versions_of", methods=["GET"]),
        Rule(f"{_API}/versions/<int:number>", endpoint="version", methods=["GET"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.time_entries: dict[int, dict[str, Any]] = {}
        self.work_packages: dict[int, dict[str, Any]] = {}
        self.versions: dict[int, dict[str, Any]] = {}
        self.activities: dict[int, dict[str, Any]] = {}
        """By id, each with the number of its work package."""

    def pass_minute(self) -> None:
        """Let a minute go by."""
        self.now += timedelta(minutes=1)

    def put_entry(
        self, number: int, spent_on: str, hours: str | None, *, work: int | None = 2207
    ) -> None:
        """Log or change a time entry now; without hours its timer is running."""
        links: dict[str, Any] = {
            "self": {"href": f"{_API}/time_entries/{number}"},
            "project": _link("projects", 31, "Northwind webshop"),
            "user": _link("users", 56, "Ines Ferro"),
            "activity": _link("time_entries/activities", 3, "Development"),
            "workPackage": {"href": None},
        }
        if work is not None:
            subject = self.work_packages[work]["subject"]
            links["workPackage"] = _link("work_packages", work, subject)
        self.time_entries[number] = {
            "_type": "TimeEntry",
            "id": number,
            "ongoing": hours is None,
            "comment": {"format": "plain", "raw": "Shop", "html": "<p>Shop</p>"},
            "spentOn": spent_on,
            "hours": hours,
            "createdAt": _moment(self.now),
            "updatedAt": _moment(self.now),
            "customField4": "on site",
            "_links": links,
        }

    def put_work(
        self, number: int, subject: str, status: int, *, is_milestone: bool = False
    ) -> None:
        """Make or change a work package now."""
        dates = {"date": None} if is_milestone else {"startDate": None, "dueDate": None}
        kind = _link("types", 2, "Milestone") if is_milestone else _link("types", 1, "Task")
        self.work_packages[number] = {
            "_type": "WorkPackage",
            "id": number,
            "lockVersion": 1,
            "subject": subject,
            **dates,
            "createdAt": _moment(NOW - timedelta(days=9)),
            "updatedAt": _moment(self.now),
            "_links": {
                "self": _link("work_packages", number, subject),
                "project": _link("projects", 31, "Northwind webshop"),
                "status": _link("statuses", status, STATUSES[status][0]),
                "type": kind,
                "assignee": {"href": None},
                "version": {"href": None},
            },
        }

    def put_version(self, number: int, name: str, status: str) -> None:
        """Make or change a version now."""
        self.versions[number] = {
            "_type": "Version",
            "id": number,
            "name": name,
            "status": status,
            "endDate": "2026-11-30",
            "createdAt": _moment(NOW - timedelta(days=9)),
            "updatedAt": _moment(self.now),
            "_links": {"definingProject": _link("projects", 31, "Northwind webshop")},
        }

    def comment(self, number: int, raw: str, user: int) -> dict[str, Any]:
        """Write a comment, which counts as a change of the work package too."""
        made: dict[str, Any] = {
            "_type": "Activity::Comment",
            "id": 500 + len(self.activities),
            "comment": {"format": "markdown", "raw": raw, "html": ""},
            "createdAt": _moment(self.now),
            "_links": {
                "workPackage": _link("work_packages", number, "x"),
                "user": {"href": f"{_API}/users/{user}"},
            },
        }
        self.activities[made["id"]] = made
        self.work_packages[number]["updatedAt"] = _moment(self.now)
        return made

    def authenticate(self, request: Request) -> None:
        """Let in the one account, by its API token."""
        pair = base64.b64encode(f"apikey:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            raise Unauthorized("You did not provide the correct credentials.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return OpenProject's error body."""
        return {
            "_type": "Error",
            "errorIdentifier": "urn:openproject-org:api:v3:errors:Any",
            "message": description,
        }

    def me(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer({"_type": "User", "id": ME, "name": "Billhook", "login": "billhook"})

    def statuses(self, request: Request) -> Response:
        """Answer with all statuses. This collection has no pages; paging words do nothing."""
        query(request, "pageSize", "offset")
        return _whole([_status(number) for number in STATUSES])

    def time_entries_of(self, request: Request) -> Response:
        """Answer with one page of the time entries that fit the filter."""
        return _page(request, list(self.time_entries.values()))

    def time_entry(self, request: Request, number: int) -> Response:
        """Answer with a time entry."""
        query(request)
        return json_answer(_found(self.time_entries, number))

    def work_packages_of(self, request: Request) -> Response:
        """Answer with one page of the work packages that fit the filter."""
        return _page(request, list(self.work_packages.values()))

    def work_package(self, request: Request, number: int) -> Response:
        """Answer with a work package, and with its status and type embedded as single ones are."""
        query(request)
        return json_answer(self.single(number))

    def single(self, number: int) -> dict[str, Any]:
        """Return a work package as it is shown alone and sent to webhooks."""
        package = _found(self.work_packages, number)
        status = int(package["_links"]["status"]["href"].rpartition("/")[2])
        kind = {"_type": "Type", "isMilestone": "date" in package}
        return {**package, "_embedded": {"status": _status(status), "type": kind}}

    def activities_of(self, request: Request, number: int) -> Response:
        """Answer with a work package's activities. They have no pages either."""
        query(request, "pageSize", "offset")
        _found(self.work_packages, number)
        path = f"{_API}/work_packages/{number}"
        return _whole(
            [
                each
                for each in self.activities.values()
                if each["_links"]["workPackage"]["href"] == path
            ]
        )

    def add_comment(self, request: Request, number: int) -> Response:
        """Write a comment as the one account."""
        if query(request, "notify").get("notify") not in (None, "true", "false"):
            raise BadRequest("notify is true or false")
        raw = _raw(request)
        _found(self.work_packages, number)
        return json_answer(self.comment(number, raw, ME), 201)

    def edit_comment(self, request: Request, number: int) -> Response:
        """Change a comment of the one account."""
        query(request)
        raw = _raw(request)
        activity = _found(self.activities, number)
        if not activity["_links"]["user"]["href"].endswith(f"/{ME}"):
            raise UnprocessableEntity("You are not allowed to edit the comment.")
        activity["comment"]["raw"] = raw
        return json_answer(activity)

    def versions_of(self, request: Request) -> Response:
        """Answer with all versions."""
        query(request, "pageSize", "offset", "filters")
        return _whole(list(self.versions.values()))

    def version(self, request: Request, number: int) -> Response:
        """Answer with a version."""
        query(request)
        return json_answer(_found(self.versions, number))

    def control_state(self, request: Request) -> Response:
        """Answer with what stands here and with every request so far."""
        return json_answer({**self.state(), "requests": self.requests})

    def state(self) -> dict[str, Any]:
        """Return everything that stands here, as a copy."""
        names = ("time_entries", "work_packages", "versions", "activities")
        state: dict[str, Any] = json.loads(
            json.dumps({name: list(getattr(self, name).values()) for name in names})
        )
        return state


class ContractRig(ProjectRig[OpenProjectStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[OpenProjectConnector]] = OpenProjectConnector
    valid: ClassVar[Mapping[str, str]] = {
        "url": URL + "/",
        "token": TOKEN,
        "endpoint": "openproject",
    }
    unknown: ClassVar[str] = "work_package:99999"
    look_ups: ClassVar[LookUps] = {
        "work_package:2207": [("work.completed", "work_package:2207")],
        "work_package:2208": [("work.reopened", "work_package:2208")],
        "work_package:2300": [("milestone.reopened", "work_package:2300")],
        "time_entry:1": [("time.logged", "time_entry:1")],
        "version:5": [("milestone.reopened", "version:5")],
        "work_package:99999": [],
        "time_entry:99999": [],
    }

    def reports(self) -> list[Report]:
        """Return a report on a work package and one on time that was logged on another."""
        return [
            report_on("work_package:2207", "#2207", "Northwind webshop", {"status": "Accepted"}),
            report_on("time_entry:1", "#2208", "Northwind webshop", {"status": "Accepted"}),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [
            each["comment"]["raw"]
            for each in self.site.activities.values()
            if each["_links"]["user"]["href"].endswith(f"/{ME}")
        ]

    def happen(self) -> list[Named]:
        """Let work be logged and closed: singly, and more than a page within one second."""
        site, told = self.site, []
        for number in range(201, 216):
            site.pass_minute()
            site.put_entry(number, "2026-11-02", "PT1H")
            told.append(("time.logged", f"time_entry:{number}"))
        site.pass_minute()
        for number in range(1, 16):
            # All at once, as when an administrator moves entries.
            site.put_entry(number, f"2026-10-{number:02}", "PT2H15M")
            told.append(("time.logged", f"time_entry:{number}"))
        site.pass_minute()
        site.put_entry(230, "2026-11-02", None)
        for number in range(2401, 2413):
            site.pass_minute()
            site.put_work(number, f"Page {number}", 12)
            told.append(("work.completed", f"work_package:{number}"))
        site.put_work(2207, "Move the database", 7)
        site.put_work(2300, "Go-live", 12, is_milestone=True)
        site.put_version(5, "Phase 2", "closed")
        return [
            *told,
            ("work.reopened", "work_package:2207"),
            ("milestone.completed", "work_package:2300"),
            ("milestone.completed", "version:5"),
        ]

    def before_notes(self) -> list[Webhook]:
        """Return the webhooks of the work packages as they stand."""
        return [
            ({}, {"action": "work_package:updated", "work_package": self.site.single(number)})
            for number in (2207, 2208)
        ]

    def echoes(self) -> list[Webhook]:
        """Return what OpenProject sends for a comment: the work package, newer, and the comment."""
        comments: list[Webhook] = [
            ({}, {"action": "work_package_comment:comment", "activity": each})
            for each in self.site.activities.values()
        ]
        return [*self.before_notes(), *comments]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a server with a month of time entries, open and closed work, and a version."""
    site = OpenProjectStandIn()
    # The day of the notes: OpenProject tells no date of closing, only that of the last change.
    site.now = NOW - timedelta(hours=2)
    site.put_work(2207, "Move the database", 12)
    site.put_work(2208, "Accept vouchers", 7)
    site.put_work(2300, "Go-live", 1, is_milestone=True)
    site.put_version(5, "Phase 2", "open")
    for number in range(1, 24):
        site.put_entry(number, f"2026-10-{number:02}", "PT1H30M30S", work=2207)
    site.put_entry(24, "2026-10-31", "PT8H", work=None)
    site.put_entry(25, "2026-10-31", None)
    site.put_entry(26, "2026-09-30", "PT1H")
    site.put_entry(27, "2026-11-01", "PT1H")
    site.now = NOW
    entries = {f"time_entry:{number}": 5430 for number in range(1, 24)}
    return ContractRig(site, entries={**entries, "time_entry:24": 28_800})


def _link(kind: str, number: int, title: str) -> dict[str, Any]:
    return {"href": f"{_API}/{kind}/{number}", "title": title}


def _status(number: int) -> dict[str, Any]:
    name, is_closed = STATUSES[number]
    return {"_type": "Status", "id": number, "name": name, "isClosed": is_closed}


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.417Z")


def _found(things: dict[int, dict[str, Any]], number: int) -> dict[str, Any]:
    if number not in things:
        raise NotFound("The requested resource could not be found.")
    return things[number]


def _raw(request: Request) -> str:
    sent = body(request, "comment").get("comment")
    raw = sent.get("raw") if isinstance(sent, dict) and set(sent) == {"raw"} else None
    if not isinstance(raw, str) or not raw.strip():
        raise UnprocessableEntity("The comment is missing.")
    return raw


def _whole(elements: list[Any]) -> Response:
    return json_answer(
        {
            "_type": "Collection",
            "total": len(elements),
            "count": len(elements),
            "_embedded": {"elements": elements},
        }
    )


def _page(request: Request, resources: list[dict[str, Any]]) -> Response:
    """Answer with one page of what fits, no larger than the administrator allows."""
    words = query(request, "filters", "sortBy", "pageSize", "offset")
    fitting = [each for each in resources if _fits(each, words.get("filters"))]
    fields = {"id": "id", "updated_at": "updatedAt"}
    for name, direction in reversed(json.loads(words.get("sortBy", '[["id","asc"]]'))):
        if name not in fields or direction != "asc":
            raise BadRequest("this stand-in sorts by id and updated_at only")
        fitting.sort(key=lambda each: each[fields[name]])
    size = min(int(words.get("pageSize", 20)), MOST_PER_PAGE)
    page = int(words.get("offset", 1))
    here = fitting[(page - 1) * size : page * size]
    return json_answer(
        {
            "_type": "Collection",
            "total": len(fitting),
            "count": len(here),
            "pageSize": size,
            "offset": page,
            "_embedded": {"elements": here},
        }
    )


def _fits(resource: dict[str, Any], filters: str | None) -> bool:
    if filters is None:
        raise BadRequest("without filters the default ones would hide what is closed")
    for given in json.loads(filters):
        ((name, wanted),) = given.items()
        if name not in ("updated_at", "spent_on") or wanted["operator"] != "<>d":
            raise BadRequest(f"Filters {name} filter does not exist.")
        first, last = (datetime.fromisoformat(each) for each in wanted["values"])
        if name == "spent_on":
            if not first.date() <= date.fromisoformat(resource["spentOn"]) <= last.date():
                return False
        elif not first <= datetime.fromisoformat(resource["updatedAt"]) <= last:
            return False
    return True


if __name__ == "__main__":
    serve_for_ever(OpenProjectStandIn())
