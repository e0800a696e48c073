"""Plane as a project tool: polled for work items that changed, told by a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final
from urllib.parse import quote

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http, Response
from connectors.note import HTML, Comment, keep
from connectors.rest import NotThereError, Rest, retry_after, seconds_until
from ledger.errors import RejectedError, UnsupportedError
from ledger.events import Found

API_URL: Final = "https://api.plane.so"
PAGE: Final = 100
"""The most that Plane gives for one request."""
OVERLAP: Final = timedelta(minutes=10)
"""How far each poll reaches back before the last one's end: for clocks that differ."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_TOLD: Final = (
    "id",
    "name",
    "priority",
    "sequence_id",
    "completed_at",
    "updated_at",
    "archived_at",
    "project",
    "state",
    "labels",
    "assignees",
)
"""What is kept of a work item; its place in lists changes without it."""


class PlaneApi(Rest):
    """One account's view of Plane: its pages and its limit, 60 requests a minute for each key.

    https://developers.plane.so/api-reference/introduction
    """

    def pages(self, path: str, **query: object) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a list. The cursor is counted here, none of an answer's is used."""
        page, is_last = 0, False
        while not is_last:
            told = self.get(path, **query, per_page=PAGE, cursor=f"{PAGE}:{page}:0")
            with self.reading(path):
                yield [dict(each) for each in told["results"]]
                is_last = told["next_page_results"] is not True
            page += 1

    def wait(self, answer: Response) -> int | None:
        told = retry_after(answer.headers)
        if told is not None:
            return told
        return seconds_until(answer.headers, answer.headers.get("x-ratelimit-reset", ""))


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime
    until: datetime | None = None
    """When the poll under way began; None: the projects are not listed yet."""
    left: tuple[str, ...] = ()
    """The projects that are still to be read."""

    def __post_init__(self) -> None:
        for project in self.left:
            _uuid(project)


class PlaneConnector(ProjectConnector):
    """One workspace of Plane, in the cloud or on a server of one's own."""

    key: ClassVar[str] = "plane"
    name: ClassVar[str] = "Plane"
    docs_url: ClassVar[str] = "https://developers.plane.so/api-reference/introduction"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a personal access token of an account made for Billhook", secret=True),
        Setting("workspace", "the workspace's name in Plane's addresses, such as `acme`"),
        Setting("api_url", f"the API of your own server, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 600
    tells: ClassVar[str | None] = "a comment on the work item"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = PlaneApi(
            http,
            (settings.get("api_url") or API_URL).rstrip("/") + "/api/v1",
            {"X-API-Key": settings["token"]},
            tool="plane",
        )
        self._projects = f"/workspaces/{quote(settings['workspace'], safe='')}/projects/"

    def check(self) -> str:
        with self._api.reading("the account"):
            person = str(self._api.get("/users/me/")["display_name"])
        with self._api.reading("the projects"):
            self._api.get(self._projects, per_page=1)["results"]
        return f"{person}, workspace {self.configured['workspace']}"

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return what changed, one project at a time: its work items, newest change first."""
        if cursor is None:
            return Changes((), Place(now).text)
        at = Place.read(cursor, self.key)
        if at.until is None:
            pages = list(self._api.pages(self._projects))
            with self._api.reading("the projects"):
                left = tuple(
                    _uuid(project["id"])
                    for page in pages
                    for project in page
                    # Public projects are listed too, but only members may look into them.
                    if project.get("is_member") is not False
                )
            here = Place(at.since, now, left) if left else Place(now)
            return Changes((), here.text, is_all=not left)
        found: list[Found] = []
        with suppress(NotThereError):
            # A project may be deleted while its turn comes.
            found += self._changed(at.left[0], at.since - OVERLAP) if at.left else ()
        is_all = len(at.left) <= 1
        here = Place(at.until) if is_all else replace(at, left=at.left[1:])
        return Changes(found, here.text, is_all)

    def report(self, report: Report) -> str:
        kind, _, number = report.subject.partition(":")
        if kind != "workitem":
            raise UnsupportedError(
                f"plane: {report.subject}: only work items have comments"
                " - look at the invoice in Billhook"
            )
        is_item = re.fullmatch(r"#[0-9]{1,18}", report.item or "", re.ASCII)
        if not is_item or not _UUID.fullmatch(number) or not _UUID.fullmatch(report.project or ""):
            raise RejectedError(
                f"plane: {report.subject}: it names no work item of a project"
                " - look at the event that it came from"
            )
        path = f"{self._projects}{report.project}/work-items/{number}/comments/"
        ours = keep(
            HTML,
            report,
            self._our_comments(path, report),
            lambda text: _comment(self._api.post(path, {"comment_html": text})),
            lambda ours, text: self._api.patch(f"{path}{ours.id}/", {"comment_html": text}),
            tool=self.key,
        )
        return f"work item {report.item}, comment {ours.id}"

    def _our_comments(self, path: str, report: Report) -> Iterator[Comment]:
        for page in self._api.pages(path):
            with self._api.reading(f"the comments of {report.subject}"):
                ours = [_comment(each) for each in page if each["actor"] == self._me]
            yield from ours

    @cached_property
    def _me(self) -> str:
        with self._api.reading("the account"):
            return _uuid(self._api.get("/users/me/")["id"])

    def _changed(self, project: str, after: datetime) -> Iterator[Found]:
        """Yield a project's work items that changed since."""
        for page in self._api.pages(
            f"{self._projects}{project}/work-items/", order_by="-updated_at"
        ):
            with self._api.reading("the work items"):
                moments = [datetime.fromisoformat(item["updated_at"]) for item in page]
            for item, changed_at in zip(page, moments, strict=True):
                if changed_at >= after:
                    yield Found.thing("workitem", {name: item.get(name) for name in _TOLD})
            # A server that does not know the order is read to the end.
            if moments == sorted(moments, reverse=True) and any(each < after for each in moments):
                return


def _comment(told: Any) -> Comment:
    return Comment(_uuid(told["id"]), told["comment_html"] or "")


def _uuid(told: object) -> str:
    """Return an id that may stand in a path; raise ValueError if it is none."""
    if not isinstance(told, str) or not _UUID.fullmatch(told):
        raise ValueError("not an id")
    return told
