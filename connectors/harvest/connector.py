"""Harvest as a project tool: polled for time entries, because it posts nothing; told nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from connectors.connector import Changes, ProjectConnector, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.rest import NotThereError, Rest
from ledger.events import Found

API_URL: Final = "https://api.harvestapp.com"
PAGE: Final = 1000
"""Harvest gives up to 2000 entries for one request; fewer answer sooner."""
OVERLAP: Final = timedelta(minutes=10)
"""How far each poll reaches back before the last one's beginning: the clocks differ."""


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime
    until: datetime | None = None
    """When the poll under way began; None: none is."""
    page: Mapping[str, str] = field(default_factory=dict)
    """The words that name the next page."""

    def __post_init__(self) -> None:
        if not self.page.keys() <= {"cursor", "page"}:
            raise ValueError


class HarvestConnector(ProjectConnector):
    """One account of Harvest.

    Nothing is written there. An entry's notes are printed on the firm's own invoices and are
    locked with it, and Harvest keeps no other text on an entry.
    """

    key: ClassVar[str] = "harvest"
    name: ClassVar[str] = "Harvest"
    docs_url: ClassVar[str] = "https://help.getharvest.com/api-v2/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a personal access token, made at id.getharvest.com", secret=True),
        Setting("account_id", "the account's number, shown beside the token"),
        Setting(
            "contact",
            "an e-mail address: Harvest asks who is calling, to write to if something is wrong",
            required=False,
        ),
        Setting("api_url", f"the address of the API, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 300
    lists_entries: ClassVar[bool] = True

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = Rest(
            http,
            settings.get("api_url") or API_URL,
            {
                "Authorization": f"Bearer {settings['token']}",
                "Harvest-Account-Id": settings["account_id"],
                "User-Agent": f"Billhook ({settings.get('contact') or 'self-hosted billing'})",
            },
            tool="harvest",
            advice={
                403: "give the token's account the role Administrator, or Manager of all projects, "
                "and look at `account_id:` in workspace.yaml",
            },
        )

    def check(self) -> str:
        with self._api.reading("the account"):
            me, company = self._api.get("/v2/users/me"), self._api.get("/v2/company")
            return f"{me['first_name']} {me['last_name']} at {company['name']}"

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, number = about.partition(":")
        if kind != "entry" or not re.fullmatch(r"[0-9]{1,18}", number):
            return ()
        try:
            with self._api.reading(about):
                return (Found.thing("time_entry", {**self._api.get(f"/v2/time_entries/{number}")}),)
        except NotThereError:
            return ()

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Place(now).text)
        at = Place.read(cursor, self.key)
        until = at.until or now
        since = (at.since - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
        entries, following = self._page(at.page, updated_since=since)
        found = [Found.thing("time_entry", entry) for entry in entries]
        if following is None:
            return Changes(found, Place(until).text)
        return Changes(found, Place(at.since, until, following).text, is_all=False)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        page: Mapping[str, str] | None = {}
        seen: set[str] = set()
        period = {"from": first.isoformat(), "to": last.isoformat()}
        while page is not None:
            entries, page = self._page(page, **period)
            for entry in entries:
                with self._api.reading("a time entry"):
                    is_new = str(entry["id"]) not in seen
                    seen.add(str(entry["id"]))
                if is_new:
                    yield Found.thing("time_entry", entry)

    def _page(
        self, page: Mapping[str, str], **which: str
    ) -> tuple[list[dict[str, Any]], dict[str, str] | None]:
        """Return the entries of a page and what names the next one, None after the last.

        https://help.getharvest.com/api-v2/introduction/overview/pagination/
        """
        answer = self._api.get("/v2/time_entries", **which, **page, per_page=PAGE)
        with self._api.reading("the time entries"):
            following = answer["links"]["next"]
            entries = [dict(entry) for entry in answer["time_entries"]]
            # Of the next page's address only the page's name is used: addresses come from
            # settings only.
            words = dict(parse_qsl(urlsplit(following).query)) if following else {}
            name = {word: words[word] for word in ("cursor", "page") if word in words}
            if following and not name:
                raise ValueError("the next page has no name")
            return entries, name or None
