"""ClickUp as a project tool: asked about entries and tasks, polled, told on the task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import PLAIN, Comment, keep
from connectors.rest import NotThereError
from ledger.errors import RejectedError, UnsupportedError
from ledger.events import Fact, Found

from . import reading
from .api import API_URL, ClickUpApi

OVERLAP_MS: Final = 10 * 60 * 1000
"""How far each poll reaches back before the last one's end, for clocks that differ."""
WEEK_MS: Final = 7 * 24 * 3600 * 1000
WEEKS: Final = 5
"""How far back a poll looks for entries: ClickUp lists them by their start, not by their change."""

_TASK: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_ENTRY: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_ITEM: Final = re.compile(r"[A-Za-z0-9_]{1,32}(-[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands, in Unix milliseconds."""

    began: int
    """When polling began: what was entered before is not told."""
    since: int
    until: int | None = None
    """When the poll under way began; None: none is."""
    page: int = 0
    week: int | None = None
    """The next week of entries; None: tasks come first."""


class ClickUpConnector(ProjectConnector):
    """One ClickUp Workspace. A note is one comment on the task, changed in place."""

    key: ClassVar[str] = "clickup"
    name: ClassVar[str] = "ClickUp"
    docs_url: ClassVar[str] = "https://developer.clickup.com/reference"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "an API token of an owner or admin of the Workspace", secret=True),
        Setting("team", "the Workspace's number: the first one in ClickUp's address"),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    # A poll takes about eight requests, and the smallest limit is 100 a minute.
    poll_seconds: ClassVar[int] = 600
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the task"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = ClickUpApi(settings, http)

    def check(self) -> str:
        with self._api.reading("the account"):
            return f"{self._me['username']} in {self._api.team()['name']}"

    def enrich(self, about: str) -> Fact | None:
        kind, thing = self._asked(about)
        if thing is None:
            return None
        with self._api.reading(about):
            fact = reading.task_fact if kind == "task" else reading.entry_fact
            return fact(about, thing)

    def look_up(self, about: str) -> Sequence[Found]:
        kind, thing = self._asked(about)
        if thing is None:
            return ()
        return (Found.thing("task" if kind == "task" else "time_entry", thing),)

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        at = _milliseconds(now)
        if cursor is None:
            return Changes((), Place(at, at).text)
        told = Place.read(cursor, self.key)
        until = at if told.until is None else told.until
        here = replace(told, until=until)
        if here.week is None:
            tasks, is_last = self._api.tasks(since=here.since - OVERLAP_MS, page=here.page)
            found = [Found.thing("task", task) for task in tasks]
            here = replace(here, week=0) if is_last else replace(here, page=here.page + 1)
            return Changes(found, here.text, is_all=False)
        # People enter time for days to come as well.
        end = until + WEEK_MS - here.week * WEEK_MS
        entries = self._api.time_entries(self._people, start=end - WEEK_MS, end=end)
        found = [
            Found.thing("time_entry", entry)
            for entry in entries
            if (reading.changed_at(entry) or at) >= here.began - OVERLAP_MS
        ]
        if here.week < WEEKS:
            return Changes(found, replace(here, week=here.week + 1).text, is_all=False)
        return Changes(found, Place(here.began, max(here.since, until)).text)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        start = _midnight(first) - WEEK_MS // 7
        end = _midnight(last) + 2 * WEEK_MS // 7
        known: set[str] = set()
        while start < end:
            # Whether a bound belongs to the time asked for is not documented, hence the rest.
            week = self._api.time_entries(self._people, start=start - 1, end=start + WEEK_MS)
            start += WEEK_MS
            for entry in week:
                with self._api.reading("a time entry"):
                    is_new = entry["id"] not in known and first <= reading.day_of(entry) <= last
                    known.add(entry["id"])
                if is_new:
                    yield Found.thing("time_entry", entry)

    def report(self, report: Report) -> str:
        task = _task_of(report)
        path, are_resolved = f"/task/{task}/comment", dict[str, bool]()
        ours = keep(
            PLAIN,
            report,
            self._our_comments(task, are_resolved),
            lambda text: Comment(
                str(self._api.post(path, {"comment_text": text, "notify_all": False})["id"]), text
            ),
            lambda ours, text: self._api.put(
                f"/comment/{ours.id}", {"comment_text": text, "resolved": are_resolved[ours.id]}
            ),
            tool=self.key,
        )
        return f"https://app.clickup.com/t/{task}?comment={ours.id}"

    def _our_comments(self, task: str, are_resolved: dict[str, bool]) -> Iterator[Comment]:
        """Yield our comments, and note which are resolved: a change must not open them again."""
        me = self._me["id"]
        for told in self._api.comments(task):
            with self._api.reading(f"the comments of task {task}"):
                comment = Comment(str(int(told["id"])), told["comment_text"] or "")
                is_ours = str(told["user"]["id"]) == me
            if is_ours:
                are_resolved[comment.id] = bool(told.get("resolved"))
                yield comment

    def _asked(self, about: str) -> tuple[str, Mapping[str, Any] | None]:
        """Return the kind and the thing itself, None if there is none like it."""
        kind, _, number = about.partition(":")
        try:
            if kind == "task" and _TASK.fullmatch(number):
                with self._api.reading(about):
                    return kind, dict(self._api.get(f"/task/{number}"))
            if kind == "entry" and _ENTRY.fullmatch(number):
                return kind, self._api.time_entry(number)
        except NotThereError:
            pass
        return kind, None

    @cached_property
    def _me(self) -> Mapping[str, Any]:
        return self._api.me()

    @cached_property
    def _people(self) -> list[str]:
        return self._api.people()


def _task_of(report: Report) -> str:
    """Return the id of the task to comment, safe in a path; raise RejectedError for anything else.

    A time entry has no place for a note, so its task gets it.
    """
    if report.item is not None and not _ITEM.fullmatch(report.item):
        raise RejectedError(
            f"clickup: {report.subject}: its item is not a task's id - look at the event that it"
            " came from"
        )
    kind, _, number = report.subject.partition(":")
    told = number if kind == "task" else report.fields.get("task_id")
    if told is None:
        raise UnsupportedError(
            f"clickup: {report.subject}: it belongs to no task, so there is no place for a note"
            " - look at the invoice in Billhook"
        )
    if not isinstance(told, str) or not _TASK.fullmatch(told):
        raise RejectedError(
            f"clickup: {report.subject}: it names no task - look at the event that it came from"
        )
    return told


def _midnight(day: date) -> int:
    return _milliseconds(datetime.combine(day, time(), UTC))


def _milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
