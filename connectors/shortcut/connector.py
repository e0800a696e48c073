"""Shortcut as a project tool: asked for projects, polled for changes, told by a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import MARKDOWN_SEEN, Comment, keep
from connectors.rest import NotThereError, Rest
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.events import Fact, Found

API_URL: Final = "https://api.app.shortcut.com"
OVERLAP: Final = timedelta(minutes=10)
"""How far each poll reaches back before the last one's end: for clocks that differ."""
SPAN: Final = timedelta(days=1)
"""The longest period that is asked for at once; the search has no pages."""
MANY: Final = 1000
"""So many stories in one answer may not be all of them: a shorter period is asked for."""
SHORTEST: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PATHS: Final = {"story": "stories", "epic": "epics"}
_TOLD: Final = (
    "id",
    "entity_type",
    "name",
    "story_type",
    "app_url",
    "completed",
    "completed_at",
    "updated_at",
    "archived",
    "project_id",
    "group_id",
    "owner_ids",
)
"""What is kept of a story or epic; positions and statistics change with every look."""


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime


class ShortcutConnector(ProjectConnector):
    """One workspace of Shortcut. https://developer.shortcut.com/api/rest/v3"""

    key: ClassVar[str] = "shortcut"
    name: ClassVar[str] = "Shortcut"
    docs_url: ClassVar[str] = "https://developer.shortcut.com/api/rest/v3"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "an API token of an account made for Billhook", secret=True),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 300
    tells: ClassVar[str | None] = "a comment on the story or epic"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = Rest(
            http,
            (settings.get("api_url") or API_URL).rstrip("/") + "/api/v3",
            {"Shortcut-Token": settings["token"]},
            tool="shortcut",
        )

    def check(self) -> str:
        with self._api.reading("the account"):
            member = self._api.get("/member")
            return f"{member['name']}, workspace {member['workspace2']['url_slug']}"

    def enrich(self, about: str) -> Fact | None:
        thing = self._thing(about)
        if thing is None:
            return None
        with self._api.reading(about):
            names = {each["entity_type"]: each["name"] for each in self._references([thing])}
            owners = thing.get("owner_ids") or []
            return Fact(
                about=about,
                version=(datetime.fromisoformat(thing["updated_at"]) - _EPOCH) // _MILLISECOND,
                project=names.get("project") or names.get("group"),
                item=f"sc-{thing['id']}" if about.startswith("story:") else None,
                title=thing["name"],
                person=str(owners[0]) if len(owners) == 1 else None,
                labels=tuple(str(label["name"]) for label in thing.get("labels") or ()),
            )

    def look_up(self, about: str) -> Sequence[Found]:
        thing = self._thing(about)
        if thing is None:
            return ()
        with self._api.reading(about):
            return list(self._found(about.partition(":")[0], [thing]))

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return the stories and epics that changed, at most a day of them at once."""
        if cursor is None:
            return Changes((), Place(now).text)
        since = Place.read(cursor, self.key).since - OVERLAP
        until = max(min(now, since + SPAN), since)
        stories = self._stories(since, until)
        while len(stories) >= MANY and until - since > SHORTEST:
            until = since + (until - since) / 2
            stories = self._stories(since, until)
        if len(stories) >= MANY:
            raise TransientError(f"shortcut: more than {MANY} stories changed within a minute")
        with self._api.reading("the epics"):
            epics = [
                epic
                for epic in self._api.get("/epics")
                if since <= datetime.fromisoformat(epic["updated_at"]) <= until
            ]
        with self._api.reading("what changed"):
            found = [*self._found("story", stories), *self._found("epic", epics)]
        # A period that was halved goes on behind the overlap that the next call takes off again.
        reached = until if until >= now else until + OVERLAP
        return Changes(found, Place(reached).text, is_all=until >= now)

    def report(self, report: Report) -> str:
        found = re.fullmatch(r"(story|epic):([0-9]{1,18})", report.subject, re.ASCII)
        if found is None:
            raise UnsupportedError(
                f"shortcut: {report.subject}: only stories and epics have comments"
                " - look at the invoice in Billhook"
            )
        kind, number = found.groups()
        if report.item != (f"sc-{number}" if kind == "story" else None):
            raise RejectedError(
                f"shortcut: {report.subject}: its item is not the one of this {kind}"
                " - look at the event that it came from"
            )
        path = f"/{_PATHS[kind]}/{number}"
        ours = keep(
            MARKDOWN_SEEN,
            report,
            self._our_comments(path, report),
            lambda text: _comment(self._api.post(f"{path}/comments", {"text": text})),
            lambda ours, text: self._api.put(f"{path}/comments/{ours.id}", {"text": text}),
            tool=self.key,
        )
        return f"{kind} {number}, comment {ours.id}"

    def _our_comments(self, path: str, report: Report) -> list[Comment]:
        with self._api.reading(f"the comments of {report.subject}"):
            return [
                _comment(each)
                for each in self._api.get(path)["comments"]
                if each["author_id"] == self._me and not each.get("deleted")
            ]

    @cached_property
    def _me(self) -> str:
        with self._api.reading("the account"):
            return str(self._api.get("/member")["id"])

    def _stories(self, since: datetime, until: datetime) -> list[Any]:
        """Return the stories whose last change lies in a period, archived ones too."""
        period = {"updated_at_start": _text(since), "updated_at_end": _text(until)}
        with self._api.reading("the search for stories"):
            return list(self._api.ask("/stories/search", period))

    def _thing(self, about: str) -> Mapping[str, Any] | None:
        """Return a story or epic by its name among subjects, None if there is none like it."""
        found = re.fullmatch(r"(story|epic):([0-9]{1,18})", about, re.ASCII)
        if found is None:
            return None
        with self._api.reading(about):
            try:
                return dict(self._api.get(f"/{_PATHS[found[1]]}/{found[2]}"))
            except NotThereError:
                return None

    def _found(self, kind: str, things: Sequence[Mapping[str, Any]]) -> Iterator[Found]:
        if not things:
            return
        references = self._references(things)
        for thing in things:
            mine = {thing.get("project_id"), thing.get("group_id")}
            body = {name: thing.get(name) for name in _TOLD} | {
                "entity_type": kind,
                "labels": [{"name": label["name"]} for label in thing.get("labels") or ()],
                "references": [each for each in references if each["id"] in mine],
            }
            yield Found.thing(kind, body)

    def _references(self, things: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the projects and teams of things, in the form that webhooks refer to them."""
        references: list[dict[str, Any]] = []
        for field, path, kind in (
            ("project_id", "/projects", "project"),
            ("group_id", "/groups", "group"),
        ):
            wanted = {thing.get(field) for thing in things} - {None}
            if wanted:
                references += [
                    {"id": each["id"], "entity_type": kind, "name": each["name"]}
                    for each in self._api.get(path)
                    if each["id"] in wanted
                ]
        return references


def _comment(told: Any) -> Comment:
    return Comment(str(int(told["id"])), told.get("text") or "")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
