"""A stateful stand-in of Toggl Track's APIs, for tests and the demo; never for production.

Shaped after the documented answers of API v9, Reports API v3 and Webhooks API v1 and strict where
Toggl is lenient: an unknown path, query word or body key is refused. As in Toggl the report knows
no deleted and no running entries, writes moments in the account's time zone, names tags by id and
rounds unless it is told not to. `python -m connectors.toggl.stand_in --port N` serves it;
`/_control/` is the way to look at its state, to add things and to order faults.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, Forbidden, NotFound
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import LookUps, Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import TogglConnector
from .stand_in_report import FILTERS, PAGE_SIZE, page, within_a_year

TOKEN: Final = "0f0e0d0c0b0a09080706050403020100"  # noqa: S105 - it opens nothing but this stand-in.
WORKSPACE: Final = 4400
ME: Final = {"id": 60, "fullname": "Berta Buch", "email": "berta@agency.example"}
BEGIN: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_V9: Final = f"/api/v9/workspaces/{WORKSPACE}"
_SEARCH: Final = f"/reports/api/v3/workspace/{WORKSPACE}/search/time_entries"
_LOG: Final = f"/webhooks/api/v1/subscriptions/{WORKSPACE}"


class TogglStandIn(StandIn):
    """One workspace; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/api/v9/me", endpoint="me", methods=["GET"]),
        Rule(_V9, endpoint="workspace", methods=["GET"]),
        Rule(f"{_V9}/projects", endpoint="list_projects", methods=["GET"]),
        Rule(f"{_V9}/projects/<int:number>", endpoint="project", methods=["GET"]),
        Rule(f"{_V9}/clients", endpoint="list_clients", methods=["GET"]),
        Rule(f"{_V9}/clients/<int:number>", endpoint="client", methods=["GET"]),
        Rule(f"{_V9}/tags", endpoint="list_tags", methods=["GET"]),
        Rule(f"{_V9}/tags", endpoint="add_tag", methods=["POST"]),
        Rule(f"{_V9}/tags/<int:number>", endpoint="rename_tag", methods=["PUT"]),
        Rule(f"{_V9}/time_entries/<int:number>", endpoint="patch_entry", methods=["PATCH"]),
        Rule(_SEARCH, endpoint="search", methods=["POST"]),
        Rule(_LOG, endpoint="subscriptions", methods=["GET"]),
        Rule(f"{_LOG}/<int:number>/events", endpoint="log_of", methods=["GET"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/projects", endpoint="control_project", methods=["POST"]),
        Rule("/_control/entries", endpoint="control_entry", methods=["POST"]),
        Rule("/_control/entries/<int:number>", endpoint="control_removal", methods=["DELETE"]),
    )

    def __init__(self, callback: str = "https://billhook.agency.example/webhooks/toggl") -> None:
        super().__init__()
        self.now = BEGIN
        """The workspace's clock; a minute passes with every change."""
        self.is_admin = True
        self.callback = callback
        self.projects: dict[int, dict[str, Any]] = {}
        self.clients: dict[int, dict[str, Any]] = {}
        self.tags: dict[int, dict[str, Any]] = {}
        self.time_entries: dict[int, dict[str, Any]] = {}
        """By id, as webhooks tell them; deleted ones are gone."""
        self.events: list[dict[str, Any]] = []
        """Everything that the workspace's webhook was sent, as it stands in its log."""

    def state(self) -> str:
        """Return everything that a request could change."""
        return json.dumps([self.tags, self.time_entries, self.projects, self.events], default=str)

    def add_project(self, number: int, name: str, client: str | None = None) -> None:
        """Add a project; a client is named, and made if it is new."""
        known = {each["name"]: each["id"] for each in self.clients.values()}
        if client is not None and client not in known:
            known[client] = 30 + len(known)
            self.clients[known[client]] = {
                "id": known[client],
                "name": client,
                "wid": WORKSPACE,
                "archived": False,
                "at": _text(self.now),
            }
        self.projects[number] = {
            "id": number,
            "workspace_id": WORKSPACE,
            "client_id": known[client] if client else None,
            "name": name,
            "active": True,
            "billable": True,
            "at": _text(self.now),
            "server_deleted_at": None,
        }

    def log(
        self,
        number: int,
        seconds: int,
        start: str,
        *,
        project: int | None = None,
        tags: tuple[str, ...] = (),
        is_delivered: bool = True,
        **more: Any,
    ) -> dict[str, Any]:
        """Add a time entry or change the one with this id; negative seconds: it is running.

        Return what the webhook posts; the stand-in itself posts nothing. Its log holds it, as
        delivered or as failed.
        """
        begin = datetime.fromisoformat(start).astimezone(UTC)
        is_running = seconds < 0
        action = "updated" if number in self.time_entries else "created"
        self.now += timedelta(minutes=1)
        self.time_entries[number] = {
            "id": number,
            "workspace_id": WORKSPACE,
            "wid": WORKSPACE,
            "user_id": 61,
            "uid": 61,
            "project_id": project,
            "task_id": None,
            "billable": True,
            "description": "Voucher codes in the basket",
            "start": _text(begin).replace("+00:00", "Z"),
            "stop": None if is_running else _text(begin + timedelta(seconds=seconds)),
            "duration": -int(begin.timestamp()) if is_running else seconds,
            "duronly": True,
            "tag_ids": [self._tag(name) for name in tags],
            "server_deleted_at": None,
            **more,
            "at": _text(self.now),
        }
        return self._tell(action, number, is_delivered=is_delivered)

    def unlog(
        self, number: int, *, is_delivered: bool = True, is_silent: bool = False
    ) -> dict[str, Any]:
        """Delete a time entry; return what the webhook posts.

        A silent deletion stands not even in the webhook's log: only a list of entries shows it.
        """
        self.now += timedelta(minutes=1)
        self.time_entries[number]["server_deleted_at"] = _text(self.now)
        told = self._tell("deleted", number, is_delivered=is_delivered)
        if is_silent:
            self.events.pop()
        del self.time_entries[number]
        return told

    def webhook(self, action: str, number: int) -> dict[str, Any]:
        """Return what the webhook posts about a time entry as it stands now."""
        at = f"{self.now:%Y-%m-%dT%H:%M:%S}.480Z"
        return {
            "event_id": 700_000 + len(self.events),
            "created_at": at,
            "creator_id": ME["id"],
            "metadata": {
                "action": action,
                "model": "time_entry",
                "time_entry_id": str(number),
                "workspace_id": str(WORKSPACE),
            },
            "payload": self._shown(number),
            "subscription_id": 15,
            "timestamp": at,
            "url_callback": self.callback,
        }

    def authenticate(self, request: Request) -> None:
        """Let in who sends the token as the user and `api_token` as the password."""
        pair = base64.b64encode(f"{TOKEN}:api_token".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            raise Forbidden("Incorrect username and/or password")

    def problem(self, description: str) -> dict[str, Any]:
        """Return an error's body."""
        return {"error": description}

    def me(self, request: Request) -> Response:
        """Answer with the account."""
        query(request)
        return json_answer(ME)

    def workspace(self, request: Request) -> Response:
        """Answer with the workspace."""
        query(request)
        return json_answer({"id": WORKSPACE, "name": "Agency", "admin": self.is_admin})

    def list_projects(self, request: Request) -> Response:
        """Answer with one page of the projects."""
        words = query(request, "active", "per_page", "page")
        size, page = int(words.get("per_page", 151)), int(words.get("page", 1))
        if size > 200:
            raise BadRequest("per_page is at most 200")
        return json_answer(list(self.projects.values())[(page - 1) * size : page * size])

    def project(self, request: Request, number: int) -> Response:
        """Answer with a project."""
        query(request)
        return json_answer(_found(self.projects, number))

    def list_clients(self, request: Request) -> Response:
        """Answer with the clients, null if there are none."""
        query(request, "status", "name")
        return json_answer(list(self.clients.values()) or None)

    def client(self, request: Request, number: int) -> Response:
        """Answer with a client."""
        query(request)
        return json_answer(_found(self.clients, number))

    def list_tags(self, request: Request) -> Response:
        """Answer with the tags, null if there are none."""
        query(request)
        return json_answer(list(self.tags.values()) or None)

    def add_tag(self, request: Request) -> Response:
        """Add a tag; its name must be new."""
        name = self._new_name(body(request, "name", "workspace_id").get("name"))
        return json_answer(self.tags[self._tag(name)])

    def rename_tag(self, request: Request, number: int) -> Response:
        """Rename a tag, on all entries that bear it."""
        tag = _found(self.tags, number)
        tag["name"] = self._new_name(body(request, "name", "workspace_id").get("name"))
        return json_answer(tag)

    def patch_entry(self, request: Request, number: int) -> Response:
        """Add tags to an entry, as the bulk change of time entries does."""
        query(request)
        entry = _found(self.time_entries, number)
        changes = json.loads(request.get_data())
        for change in changes:
            if set(change) != {"op", "path", "value"} or change["path"] != "/tags":
                raise BadRequest("this stand-in changes tags only")
            if change["op"] != "add":
                raise BadRequest("this stand-in adds tags only")
            names = {each["name"]: each["id"] for each in self.tags.values()}
            added = [names[name] for name in change["value"]]
            entry["tag_ids"] += [tag for tag in added if tag not in entry["tag_ids"]]
        self.now += timedelta(minutes=1)
        entry["at"] = _text(self.now)
        self._tell("updated", number)
        return json_answer({"success": [number], "failure": []})

    def search(self, request: Request) -> Response:
        """Answer with one page of the detailed report."""
        filters = body(request, *FILTERS)
        if not within_a_year(filters):
            raise BadRequest("the period is at most 366 days")
        rows, following = page(list(self.time_entries.values()), filters)
        answer = json_answer(rows)
        if following is not None:
            answer.headers["X-Next-Row-Number"] = str(following)
            answer.headers["X-Next-ID"] = "1"
        answer.headers["X-Toggl-Quota-Remaining"] = "29"
        return answer

    def subscriptions(self, request: Request) -> Response:
        """Answer with the webhooks: ours and somebody else's."""
        query(request)
        other = {"subscription_id": 14, "url_callback": "https://other.example/hook"}
        return json_answer([other, {"subscription_id": 15, "url_callback": self.callback}])

    def log_of(self, request: Request, number: int) -> Response:
        """Answer with what a webhook was sent during the last week."""
        query(request)
        if number != 15:
            raise NotFound("no such subscription")
        return json_answer({"total": len(self.events), "events": self.events[::-1]})

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        things = ("projects", "clients", "tags", "time_entries")
        listed = {name: list(getattr(self, name).values()) for name in things}
        return json_answer({**listed, "events": self.events, "requests": self.requests})

    def control_project(self, request: Request) -> Response:
        """Add a project."""
        self.add_project(**body(request, "number", "name", "client"))
        return json_answer({}, 201)

    def control_entry(self, request: Request) -> Response:
        """Add or change a time entry; answer with what the webhook posts."""
        known = ("number", "seconds", "start", "project", "tags", "is_delivered", "user_id")
        content = body(request, *known, "description", "billable")
        self.log(**{**content, "tags": tuple(content.get("tags", ()))})
        return json_answer(self.webhook("updated", content["number"]), 201)

    def control_removal(self, _request: Request, number: int) -> Response:
        """Delete a time entry."""
        self.unlog(number)
        return json_answer({})

    def _answer(self, request: Request) -> Response:
        try:
            return super()._answer(request)
        finally:
            if request.path == _SEARCH:
                # The report is asked for by POST, which changes nothing.
                self.requests[-1] = f"GET {_SEARCH}"

    def _tell(self, action: str, number: int, *, is_delivered: bool = True) -> dict[str, Any]:
        event = self.webhook(action, number)
        kept = ("event_id", "created_at", "creator_id", "metadata", "payload")
        self.events.append(
            {
                **{name: event[name] for name in kept},
                "consumer_id": 15,
                "last_delivery_attempt": event["created_at"],
                "last_delivery_error": None if is_delivered else "status 503",
                "failed_delivery_attempts": 0 if is_delivered else 3,
            }
        )
        return event

    def _shown(self, number: int) -> dict[str, Any]:
        entry = self.time_entries[number]
        tags = [self.tags[tag]["name"] for tag in entry["tag_ids"]]
        return {**entry, "tags": tags, "tag_ids": list(entry["tag_ids"])}

    def _tag(self, name: str) -> int:
        known = {each["name"]: each["id"] for each in self.tags.values()}
        if name not in known:
            known[name] = 800 + len(self.tags)
            self.tags[known[name]] = {"id": known[name], "workspace_id": WORKSPACE, "name": name}
        return int(known[name])

    def _new_name(self, name: object) -> str:
        if not isinstance(name, str) or not name.strip():
            raise BadRequest("tag name can't be blank")
        if name in (tag["name"] for tag in self.tags.values()):
            raise BadRequest(f"Tag already exists: {name}")
        return name


class ContractRig(ProjectRig[TogglStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[TogglConnector]] = TogglConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "workspace": str(WORKSPACE),
        "endpoint": "toggl",
        "api_url": "https://api.track.toggl.example",
    }
    unknown: ClassVar[str] = "project:99999"
    look_ups: ClassVar[LookUps] = {
        "project:90210": [],
        "project:99999": [],
    }
    facts: ClassVar[tuple[str, ...]] = (
        "project:90210",
        "project:90211",
        "project:90212",
        "project:90213",
    )

    def __init__(self, site: TogglStandIn, entries: dict[str, int]) -> None:
        super().__init__(site, entries)
        self._events_before = len(site.events)

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            report_on(
                "entry:1001", None, "Webshop", {"start": self.site.time_entries[1001]["start"]}
            )
        ]

    def notes(self) -> list[str]:
        """Return our tags on all entries."""
        return [
            self.site.tags[tag]["name"]
            for entry in self.site.time_entries.values()
            for tag in entry["tag_ids"]
            if self.site.tags[tag]["name"].startswith("billhook")
        ]

    def happen(self) -> list[Named]:
        """Log more than a page of entries, change an old one, delete one, start a timer."""
        site = self.site
        for number in range(2000, 2000 + PAGE_SIZE + 5):
            site.log(number, 61 + number, "2026-11-02T08:00:00+00:00", project=90210)
        site.log(1002, 5400, "2026-10-02T08:00:00+00:00", tags=("shop",), is_delivered=False)
        site.unlog(1003)
        site.log(2999, -1, "2026-11-02T08:30:00+00:00")
        logged = [("time.logged", f"entry:{2000 + number}") for number in range(PAGE_SIZE + 5)]
        return [*logged, ("time.logged", "entry:1002"), ("time.removed", "entry:1003")]

    def before_notes(self) -> list[Webhook]:
        """Return the webhooks that told of the entries before we wrote on them."""
        return [({}, self.site.webhook("created", 1001))]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that our notes cause."""
        return [({}, event) for event in self.site.events[self._events_before :]]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a workspace with a month of entries, some of them near its ends."""
    site = TogglStandIn()
    site.now = BEGIN - timedelta(days=1)
    for number, (name, client) in enumerate(
        [("Webshop", "Acme GmbH"), ("App", "Acme GmbH"), ("Intern", None), ("Site", "Bolt AG")]
    ):
        site.add_project(90210 + number, name, client)
    entries: dict[str, int] = {}
    for number in range(1001, 1002 + PAGE_SIZE):
        start = f"2026-10-{1 + number % 30:02d}T08:00:00+00:00"
        site.log(
            number, 1800 + number, start, project=90210, tags=("shop",), user_id=60 + number % 3
        )
        entries[f"entry:{number}"] = 1800 + number
    # In the account's time zone the first two lie on another day than in UTC.
    site.log(1100, 600, "2026-10-01T01:00:00+00:00", billable=False)
    site.log(1101, 700, "2026-11-01T02:00:00+00:00")
    site.log(1102, 800, "2026-09-30T23:59:59+00:00")
    site.log(1103, 900, "2026-10-31T23:59:59+00:00", project=90213)
    site.log(1104, -1, "2026-10-31T09:00:00+00:00")
    entries |= {"entry:1100": 600, "entry:1103": 900}
    site.now = BEGIN
    return ContractRig(site, entries)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _found(things: dict[int, dict[str, Any]], number: int) -> dict[str, Any]:
    if number not in things:
        raise NotFound("Resource can not be found")
    return things[number]


if __name__ == "__main__":
    serve_for_ever(TogglStandIn())
