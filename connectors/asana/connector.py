"""Asana as a project tool: asked what its webhooks only name, polled, told in a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import PLAIN, Comment, keep
from connectors.rest import NotThereError
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Fact, Found

from . import reading
from .api import API_URL, AsanaApi

OVERLAP: Final = timedelta(minutes=15)
"""How far each poll reaches back before the last one's end.

Asana's own changes may take ten minutes to show: https://developers.asana.com/docs/webhooks-guide
"""
WEEKS: Final = 5
"""How far back a poll looks for entries: Asana lists them by their date, not by their change."""
PROJECTS_AT_ONCE: Final = 10
"""How many projects one call of a poll asks for; an interruption resumes after them."""

_GID: Final = re.compile(r"[0-9]{1,32}", re.ASCII)
_ITEM: Final = re.compile(r"[A-Za-z0-9_]{1,32}(-[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    began: datetime
    """When polling began: what was entered before is not told."""
    since: datetime
    until: datetime | None = None
    """When the poll under way began; None: none is."""
    after: str = ""
    """The project whose tasks were asked for last."""
    week: int | None = None
    """The next week of entries; None: tasks come first."""


class AsanaConnector(ProjectConnector):
    """One Workspace. A note is one comment on the task, changed in place."""

    key: ClassVar[str] = "asana"
    name: ClassVar[str] = "Asana"
    docs_url: ClassVar[str] = "https://developers.asana.com/reference/rest-api-reference"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a personal access token or a service account's", secret=True),
        Setting("workspace", "the gid of the Workspace or organization"),
        Setting(
            "first_day",
            "the first day whose time is billed here, such as 2026-11-01: a task is asked for all "
            "its entries, and older ones are left alone",
        ),
        Setting(
            "projects",
            "the gids of the projects to poll, with commas; all of the Workspace if left out",
            required=False,
        ),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    # One request a project and six for entries; the smallest limit is 150 a minute.
    poll_seconds: ClassVar[int] = 600
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the task"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = AsanaApi(settings, http)

    def check(self) -> str:
        with self._api.reading("the account"):
            workspace = self._api.one(f"/workspaces/{self._workspace}", opt_fields="name")
            return f"{self._me['name']} in {workspace['name']}, time from {self._first_day}"

    def enrich(self, about: str) -> Fact | None:
        kind, _, gid = about.partition(":")
        if kind != "task" or not _GID.fullmatch(gid):
            return None
        try:
            with self._api.reading(about):
                return reading.task_fact(about, self._api.task(gid))
        except NotThereError:
            return None

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, gid = about.partition(":")
        if kind not in ("task", "entry") or not _GID.fullmatch(gid):
            return ()
        try:
            if kind == "entry":
                return self._told([self._api.entry(gid)])
            task = Found.thing("task", self._api.task(gid))
            return (task, *self._told(self._api.entries_of(gid)))
        except NotThereError:
            return ()

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Place(now, now).text)
        told = Place.read(cursor, self.key)
        at = replace(told, until=told.until or now)
        until = at.until or now
        if at.week is None:
            ahead = [gid for gid in self._projects if gid > at.after]
            found = [
                Found.thing("task", task)
                for gid in ahead[:PROJECTS_AT_ONCE]
                for task in self._api.tasks(gid, since=_moment(at.since - OVERLAP))
            ]
            if ahead[PROJECTS_AT_ONCE:]:
                at = replace(at, after=ahead[PROJECTS_AT_ONCE - 1])
            else:
                at = replace(at, after="", week=0)
            return Changes(found, at.text, is_all=False)
        # People enter time for days to come as well.
        last = until.date() + timedelta(days=7 - 7 * at.week)
        entries = self._api.entries(self._workspace, last - timedelta(days=6), last)
        found = [
            one
            for one in self._told(entries)
            if reading.created_at(one.body, otherwise=now) >= at.began - OVERLAP
        ]
        if at.week < WEEKS:
            return Changes(found, replace(at, week=at.week + 1).text, is_all=False)
        return Changes(found, Place(at.began, max(at.since, until)).text)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        start = max(first, self._first_day)
        known: set[str] = set()
        while start <= last:
            end = min(start + timedelta(days=6), last)
            for entry in self._told(self._api.entries(self._workspace, start, end)):
                with self._api.reading("a time entry"):
                    gid = entry.body["gid"]
                if gid not in known:
                    known.add(gid)
                    yield entry
            start = end + timedelta(days=1)

    def report(self, report: Report) -> str:
        task = _task_of(report)
        ours = keep(
            PLAIN,
            report,
            self._our_comments(task),
            lambda text: Comment(
                str(self._api.write("POST", f"/tasks/{task}/stories", text)["data"]["gid"]), text
            ),
            lambda ours, text: self._api.write("PUT", f"/stories/{ours.id}", text),
            tool=self.key,
        )
        return f"task {task}, comment {ours.id}"

    def _our_comments(self, task: str) -> Iterator[Comment]:
        me = self._me["gid"]
        for story in self._api.pages(
            f"/tasks/{task}/stories", opt_fields="text,type,created_by.gid"
        ):
            with self._api.reading(f"the comments of task {task}"):
                author = (story["created_by"] or {}).get("gid")
                comment = Comment(str(int(story["gid"])), story["text"] or "")
                is_ours = story["type"] == "comment" and author == me
            if is_ours:
                yield comment

    def _told(self, entries: Sequence[dict[str, Any]] | Iterator[dict[str, Any]]) -> list[Found]:
        """Return the entries of the days from which on time is billed here."""
        first_day = self._first_day.isoformat()
        told = []
        for entry in entries:
            with self._api.reading("a time entry"):
                # Dates written this way sort as texts.
                if entry["entered_on"] >= first_day:
                    told.append(Found.thing("time_entry", entry))
        return told

    @cached_property
    def _me(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            me = self._api.one("/users/me", opt_fields="name")
            return {"gid": me["gid"], "name": me["name"]}

    @cached_property
    def _projects(self) -> list[str]:
        """Return the gids of the projects to poll, sorted."""
        named = self.configured.get("projects", "")
        if named.strip():
            gids = [gid.strip() for gid in named.split(",")]
        else:
            found = self._api.pages("/projects", workspace=self._workspace, archived="false")
            with self._api.reading("the projects"):
                gids = [project["gid"] for project in found]
        return sorted({_gid(gid, "projects") for gid in gids})

    @property
    def _workspace(self) -> str:
        return _gid(self.configured.get("workspace", ""), "workspace")

    @property
    def _first_day(self) -> date:
        try:
            return date.fromisoformat(str(self.configured.get("first_day", "")))
        except ValueError:
            raise PermanentError(
                "asana: `first_day:` is not a date - write in workspace.yaml the first day whose "
                "time is billed here, such as 2026-11-01"
            ) from None


def _gid(told: str, setting: str) -> str:
    if not _GID.fullmatch(told):
        raise PermanentError(
            f"asana: `{setting}:` is not a gid - take the digits from the address that Asana shows"
            " in the browser"
        )
    return told


def _task_of(report: Report) -> str:
    """Return the gid of the task to comment, safe in a path; raise RejectedError otherwise.

    A time entry has no place for a note, so its task gets it.
    """
    if report.item is not None and not _ITEM.fullmatch(report.item):
        raise RejectedError(
            f"asana: {report.subject}: its item is not a task's id - look at the event that it"
            " came from"
        )
    kind, _, number = report.subject.partition(":")
    told = number if kind == "task" else report.fields.get("task_gid")
    if told is None:
        raise UnsupportedError(
            f"asana: {report.subject}: it belongs to no task, so there is no place for a note"
            " - look at the invoice in Billhook"
        )
    if not isinstance(told, str) or not _GID.fullmatch(told):
        raise RejectedError(
            f"asana: {report.subject}: it names no task - look at the event that it came from"
        )
    return told


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
