"""Tempo Timesheets as a project tool: polled for worklogs; Jira is asked about their issues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.jira.connector import JiraConnector
from connectors.rest import NotThereError, Rest
from ledger.events import GONE, Fact, Found

API_URL: Final = "https://api.tempo.io"
PAGE: Final = 1000
"""The most that the list of deletions gives; worklogs are paged alike."""
STEP_BACK: Final = 10
"""By how many worklogs two pages overlap, because one may be deleted while they are turned."""
OVERLAP: Final = timedelta(minutes=10)
"""How far each poll reaches back before the last one's beginning: the clocks differ."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime
    until: datetime | None = None
    """When the poll that is under way began; None: none is."""
    offset: int | None = 0
    """The next worklog; None: all are read, deletions are next."""
    key: str | None = None
    """The next page of deletions."""


class TempoConnector(ProjectConnector):
    """Tempo for Jira Cloud, version 4 of its API.

    Nothing is written there: changing one of a worklog's attributes means sending the whole
    worklog again, over what the person may be writing just then. The issue in Jira can be told.
    """

    key: ClassVar[str] = "tempo"
    name: ClassVar[str] = "Tempo Timesheets"
    docs_url: ClassVar[str] = "https://apidocs.tempo.io/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a token of Tempo: Settings > Data Access > API integration", secret=True),
        Setting(
            "jira_url",
            "the address of the Jira that Tempo belongs to: https://acme.atlassian.net; without "
            "it an entry's project is not known",
            required=False,
        ),
        Setting("jira_user", "the e-mail address of the account in Jira", required=False),
        Setting("jira_token", "an API token of that account", secret=True, required=False),
        Setting(
            "deletions",
            "no: the token may not read Tempo's list of deletions; they are then found only by "
            "listing the period",
            required=False,
        ),
        Setting("api_url", f"the API of your region, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 600
    lists_entries: ClassVar[bool] = True

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = Rest(
            http,
            settings.get("api_url") or API_URL,
            {"Authorization": f"Bearer {settings['token']}"},
            tool="tempo",
            advice={
                403: "give the token's account the permission to view all worklogs, and the token "
                "the scopes for worklogs and audit; without audit, write `deletions: no`",
            },
        )
        asked = {name: settings.get(f"jira_{name}") for name in ("url", "user", "token")}
        given = {name: value for name, value in asked.items() if value}
        self._jira = JiraConnector(given, http) if {"url", "token"} <= set(given) else None

    def check(self) -> str:
        with self._api.reading("the worklogs"):
            len(self._api.get("/4/worklogs", limit=1)["results"])
        in_jira = f", {self._jira.check()} in Jira" if self._jira else ", without Jira"
        return f"Tempo{in_jira}"

    def enrich(self, about: str) -> Fact | None:
        return self._jira.enrich(about) if self._jira else None

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        return self._jira.enrich_all(abouts) if self._jira else dict.fromkeys(abouts)

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, number = about.partition(":")
        if kind != "worklog" or not re.fullmatch(r"[0-9]{1,18}", number):
            return ()
        try:
            with self._api.reading(about):
                return (Found.thing("worklog", {**self._api.get(f"/4/worklogs/{number}")}),)
        except NotThereError:
            return ()

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Place(now).text)
        at = Place.read(cursor, self.key)
        until = at.until or now
        at = at if at.until else Place(at.since, until)
        since = at.since - OVERLAP
        if at.offset is not None:
            found, following = self._updated(since, at.offset)
            if following is not None or self.configured.get("deletions") != "no":
                return Changes(found, replace(at, offset=following).text, is_all=False)
            return Changes(found, Place(until).text)
        found, key = self._deleted(since, at.key)
        if key is not None:
            return Changes(found, replace(at, key=key).text, is_all=False)
        return Changes(found, Place(until).text)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        offset: int | None = 0
        seen: set[str] = set()
        period = {"from": first.isoformat(), "to": last.isoformat()}
        while offset is not None:
            worklogs, offset = self._page(offset, **period)
            for worklog in worklogs:
                with self._api.reading("a worklog"):
                    is_new = str(worklog["tempoWorklogId"]) not in seen
                    seen.add(str(worklog["tempoWorklogId"]))
                if is_new:
                    yield Found.thing("worklog", worklog)

    def _updated(self, since: datetime, offset: int) -> tuple[list[Found], int | None]:
        # It takes a date, in a zone that it does not name; the moment itself is compared here.
        day = since.date() - timedelta(days=1)
        worklogs, following = self._page(offset, updatedFrom=day.isoformat())
        with self._api.reading("a worklog"):
            late = [each for each in worklogs if _utc(each["updatedAt"]) >= since]
        return [Found.thing("worklog", each) for each in late], following

    def _deleted(self, since: datetime, key: str | None) -> tuple[list[Found], str | None]:
        """Return one page of Tempo's audit of deletions: https://apidocs.tempo.io/audit."""
        day = since.date() - timedelta(days=1)
        answer = self._api.get(
            "/audit/1/events/deleted/types/worklog",
            updatedFrom=f"{day}T00:00:00",
            limit=PAGE,
            lastEvaluatedKey=key,
        )
        with self._api.reading("the deleted worklogs"):
            found = []
            for each in answer["results"]:
                at = _utc(each["deletedAt"])
                if at >= since:
                    subject = f"worklog:{int(each['tempoWorklogId'])}"
                    version = (at - _EPOCH) // timedelta(milliseconds=1)
                    found.append(Found.thing(GONE, {"subject": subject, "version": version}))
            following = answer["metadata"].get("lastEvaluatedKey") or None
            if following is not None and following == key:
                raise ValueError("a page that leads to itself")
            return found, following

    def _page(self, offset: int, **which: str) -> tuple[list[dict[str, Any]], int | None]:
        """Return a page of worklogs and the offset of the next one, None after the last.

        They are ordered by their ids, which never change: https://apidocs.tempo.io/
        """
        words = {**which, "orderBy": "ID", "limit": PAGE, "offset": offset}
        answer = self._api.get("/4/worklogs", **words)
        with self._api.reading("the worklogs"):
            worklogs = [dict(worklog) for worklog in answer["results"]]
            # The next page's address is not used: addresses come from settings only.
            if not answer["metadata"].get("next") or not worklogs:
                return worklogs, None
            return worklogs, offset + max(len(worklogs) - STEP_BACK, 1)


def _utc(text: str) -> datetime:
    """Return a moment of Tempo; the audit leaves out that it means UTC. Raise ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
