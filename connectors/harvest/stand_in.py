"""A stateful stand-in of Harvest's API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, paging, authentication) and strict where
Harvest is lenient. `python -m connectors.harvest.stand_in --port N` serves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized, UnprocessableEntity
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.contract import LookUps, Named, ProjectRig
from connectors.stand_in import StandIn, body, json_answer, query, serve_for_ever

from .connector import HarvestConnector

TOKEN: Final = "stand-in-harvest-token"  # noqa: S105 - it opens nothing but this stand-in.
ACCOUNT: Final = "1004711"
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""The contract's clock."""


class HarvestStandIn(StandIn):
    """One account of Harvest; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/v2/users/me", endpoint="me", methods=["GET"]),
        Rule("/v2/company", endpoint="company", methods=["GET"]),
        Rule("/v2/time_entries", endpoint="list_entries", methods=["GET"]),
        Rule("/v2/time_entries/<int:number>", endpoint="entry", methods=["GET"]),
        Rule("/_control/entries", endpoint="control_entry", methods=["POST"]),
    )

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.now = now
        self.most = 2000
        """The most entries for one request."""
        self.entries: dict[int, dict[str, Any]] = {}

    def log(self, number: int, hours: str, spent_date: str, **more: Any) -> None:
        """Add an entry, or change the one with this id; `hours` are decimal."""
        now = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.entries[number] = {
            "id": number,
            "user": {"id": 31, "name": "Mia Krystof"},
            "client": {"id": 8, "name": "Acme Ltd", "currency": "EUR"},
            "project": {"id": 44, "name": "Acme portal", "code": "ACM"},
            "task": {"id": 5, "name": "Development"},
            "notes": None,
            "billable": True,
            "is_billed": False,
            "is_locked": False,
            "is_running": False,
            "timer_started_at": None,
            "invoice": None,
            "external_reference": None,
            "created_at": now,
            **self.entries.get(number, {}),
            "spent_date": spent_date,
            "hours": json.loads(hours),
            "rounded_hours": json.loads(hours),
            "updated_at": now,
            **more,
        }

    def authenticate(self, request: Request) -> None:
        """Let in the one account, and nobody who does not say who is calling."""
        headers = request.headers
        if not headers.get("User-Agent"):
            raise BadRequest("Please provide a User-Agent header.")
        is_ours = headers.get("Harvest-Account-Id") == ACCOUNT
        if headers.get("Authorization") != f"Bearer {TOKEN}" or not is_ours:
            raise Unauthorized("The access token provided is expired, revoked, or malformed.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Harvest's error body."""
        return {"error": "invalid_token", "error_description": description}

    def me(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer({"id": 30, "first_name": "Billing", "last_name": "Bot"})

    def company(self, request: Request) -> Response:
        """Answer with the company."""
        query(request)
        return json_answer({"name": "Agency", "base_uri": "https://agency.harvestapp.example"})

    def entry(self, request: Request, number: int) -> Response:
        """Answer with one entry."""
        query(request)
        if number not in self.entries:
            raise NotFound("Not Found")
        return json_answer(self.entries[number])

    def list_entries(self, request: Request) -> Response:
        """Answer with a page, the newest entries first; the next page is named by a cursor."""
        known = ("updated_since", "from", "to", "per_page", "page", "cursor", "is_running")
        words = query(request, *known)
        size = int(words.get("per_page", 2000))
        if not 1 <= size <= 2000:
            raise UnprocessableEntity("per_page must be between 1 and 2000")
        size = min(size, self.most)
        found = [
            entry
            for _, entry in sorted(self.entries.items(), reverse=True)
            if entry["updated_at"] >= words.get("updated_since", "")
            and words.get("from", "") <= entry["spent_date"] <= words.get("to", "9999")
        ]
        total = len(found)
        if "cursor" in words:
            match = re.fullmatch(r"after=([0-9]+)", words["cursor"])
            if match is None:
                raise UnprocessableEntity("cursor is not valid")
            found = [entry for entry in found if entry["id"] < int(match[1])]
        here = found[:size]
        following = None
        if len(found) > size:
            # Elsewhere than the API: only the page's name may be taken from this address.
            place = "https://elsewhere.example/v2/time_entries"
            following = f"{place}?cursor=after%3D{here[-1]['id']}&per_page={size}&ref=next_cursor"
        page = {"per_page": size, "total_entries": total, "page": None, "next_page": None}
        return json_answer({"time_entries": here, **page, "links": {"next": following}})

    def control_entry(self, request: Request) -> Response:
        """Add or change an entry."""
        self.log(**body(request, "number", "hours", "spent_date", "is_billed", "is_running"))
        return json_answer({}, 201)

    def state(self) -> str:
        """Return everything that stands here as text."""
        return repr(self.entries)


class ContractRig(ProjectRig[HarvestStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[HarvestConnector]] = HarvestConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "account_id": ACCOUNT,
        "contact": "it@agency.example",
        "endpoint": "harvest-agency",
    }
    unknown: ClassVar[str] = "entry:99999"
    look_ups: ClassVar[LookUps] = {
        "entry:200": [("time.logged", "entry:200")],
        "entry:99999": [],
        "entry:../company": [],
    }

    def happen(self) -> list[Named]:
        """Let entries be logged and changed, one while its timer runs: more than a page."""
        site, at = self.site, self.site.now()
        clock = [at]
        site.now = lambda: clock[0]
        for number in range(300, 307):
            clock[0] += timedelta(minutes=1)
            site.log(number, "0.25", "2026-11-02")
        clock[0] += timedelta(minutes=1)
        site.log(200, "3.33", "2026-10-31")
        clock[0] += timedelta(minutes=1)
        site.log(400, "0.1", "2026-11-02", is_running=True)
        return [("time.logged", f"entry:{number}") for number in (200, *range(300, 307))]


def contract_setup(_folder: Path) -> ContractRig:
    """Return an account with entries before, in and after October."""
    site = HarvestStandIn(lambda: NOW - timedelta(days=1))
    # Three for a page, so that a few changes are more than one.
    site.most = 3
    days = ("2026-10-31", "2026-10-01", "2026-10-15", "2026-10-15", "2026-09-30", "2026-11-01")
    for number, day in enumerate(days, 200):
        site.log(number, f"1.{number - 200}7", day)
    site.log(210, "2", "2026-10-20", is_running=True)
    site.now = lambda: NOW
    seconds = {200: 3852, 201: 4212, 202: 4572, 203: 4932}
    return ContractRig(site, entries={f"entry:{number}": each for number, each in seconds.items()})


if __name__ == "__main__":
    serve_for_ever(HarvestStandIn())
