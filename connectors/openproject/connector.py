"""OpenProject as a project tool: polled, listed, asked, and told on the work package.

https://www.openproject.org/docs/api/endpoints/time-entries/ and the pages beside it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import MARKDOWN, Comment, keep
from connectors.polling import Turn
from connectors.rest import NotThereError, Rest
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.events import Found

KINDS: Final = ("time_entries", "work_packages", "versions")
PAGE: Final = 100
"""How many are asked for at once; a server's administrator may allow fewer."""
ATTEMPTS: Final = 3
"""How often a period is listed again because it changed while it was listed."""

_ABOUT: Final = re.compile(r"(time_entry|work_package|version):([0-9]{1,18})", re.ASCII)
_ITEM: Final = re.compile(r"#?([0-9]{1,18})", re.ASCII)
_PLURAL: Final = {
    "time_entry": "time_entries",
    "work_package": "work_packages",
    "version": "versions",
}
_SINGULAR: Final = {plural: kind for kind, plural in _PLURAL.items()}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OpenProjectConnector(ProjectConnector):
    """One account on an OpenProject server."""

    key: ClassVar[str] = "openproject"
    name: ClassVar[str] = "OpenProject"
    docs_url: ClassVar[str] = "https://www.openproject.org/docs/api/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "the server's address, such as https://projects.example.com"),
        Setting("token", "an API token of My account > Access tokens", secret=True),
    )
    polls: ClassVar[bool] = True
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the work package"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._url = settings["url"].rstrip("/")
        pair = base64.b64encode(f"apikey:{settings['token']}".encode()).decode()
        self._api = Rest(
            http,
            self._url + "/api/v3",
            {"Accept": "application/hal+json", "Authorization": f"Basic {pair}"},
            tool="openproject",
            advice={
                400: "look at the work package in OpenProject: it may be locked or deleted",
                403: "give it the permissions to see and to comment work packages and to see "
                "spent time in every project",
            },
        )

    def check(self) -> str:
        return str(self._account["name"])

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Turn.begun(_seconds(now), len(KINDS)).text)
        at = Turn.at(cursor, len(KINDS), self.key)
        if KINDS[at.kind] == "versions":
            return self._changed_versions(at)
        return self._changed_page(at, now)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        query = {
            "filters": _filter("spent_on", first.isoformat(), last.isoformat()),
            "sortBy": '[["id","asc"]]',
        }
        for _ in range(ATTEMPTS):
            found: dict[int, Any] = {}
            totals: set[int] = set()
            for answer in self._pages("/time_entries", **query):
                with self._api.reading("the time entries of a period"):
                    totals.add(int(answer["total"]))
                    found |= {int(entry["id"]): entry for entry in _elements(answer)}
            if totals == {len(found)}:
                # One that was deleted meanwhile moves the others up, past the end of a page.
                yield from (Found.thing("time_entry", entry) for entry in found.values())
                return
        raise TransientError(
            f"openproject: the time entries of {first} to {last} changed while they were listed"
        )

    def look_up(self, about: str) -> Sequence[Found]:
        known = _ABOUT.fullmatch(about)
        if known is None:
            return ()
        kind, number = known.groups()
        try:
            thing = self._api.get(f"/{_PLURAL[kind]}/{number}")
        except NotThereError:
            return ()
        with self._api.reading(about):
            if kind == "work_package" and "status" not in (thing.get("_embedded") or {}):
                thing = _with_status(thing, self._statuses())
            return (Found.thing(kind, thing),)

    def report(self, report: Report) -> str:
        if report.subject.startswith("version:"):
            raise UnsupportedError(
                f"openproject: {report.subject}: a version has no comments"
                " - look at the invoice in Billhook"
            )
        known = _ITEM.fullmatch(report.item or "")
        if known is None:
            raise RejectedError(
                f"openproject: {report.subject}: it belongs to no work package that could be "
                "commented - look at the invoice in Billhook"
            )
        path = f"/work_packages/{known[1]}/activities"
        keep(
            MARKDOWN,
            report,
            self._our_comments(path),
            # Watchers are not sent a mail for it.
            lambda text: Comment(
                str(self._api.post(path, {"comment": {"raw": text}}, notify="false")["id"]), text
            ),
            lambda ours, text: self._api.patch(
                f"/activities/{ours.id}", {"comment": {"raw": text}}
            ),
            tool=self.key,
        )
        return f"{self._url}/work_packages/{known[1]}/activity"

    def _changed_page(self, at: Turn, now: datetime) -> Changes:
        kind = KINDS[at.kind]
        until = now + timedelta(days=1)
        answer = self._api.get(
            f"/{kind}",
            filters=_filter("updated_at", _text(at.since), until.strftime("%Y-%m-%dT%H:%M:%SZ")),
            sortBy='[["updated_at","asc"],["id","asc"]]',
            pageSize=PAGE,
            offset=at.page,
        )
        with self._api.reading(f"the {kind} that changed"):
            changed = _elements(answer)
            newest = max((_changed_at(each) for each in changed), default=0)
            is_last = not changed or at.page * int(answer["pageSize"]) >= int(answer["total"])
            if kind == "work_packages" and changed:
                statuses = self._statuses()
                changed = [_with_status(each, statuses) for each in changed]
            found = [Found.thing(_SINGULAR[kind], each) for each in changed]
        following = at.next_kind(newest) if is_last else at.next_page(newest)
        return Changes(found, following.text, is_all=False)

    def _changed_versions(self, at: Turn) -> Changes:
        """Return the versions that changed. There is no filter for it, so all are listed."""
        changed: list[tuple[int, Any]] = []
        for answer in self._pages("/versions"):
            with self._api.reading("the versions"):
                changed += [(_changed_at(each), each) for each in _elements(answer)]
        changed = sorted(
            (each for each in changed if each[0] >= at.since), key=lambda each: each[0]
        )
        found = [Found.thing("version", version) for _, version in changed]
        newest = max((when for when, _ in changed), default=0)
        return Changes(found, at.next_kind(newest).text)

    def _our_comments(self, path: str) -> Iterator[Comment]:
        me = self._account["id"]
        for answer in self._pages(path):
            with self._api.reading(path):
                ours = [
                    Comment(str(int(each["id"])), (each.get("comment") or {}).get("raw") or "")
                    for each in _elements(answer)
                    if (each["_links"]["user"]["href"] or "").endswith(f"/users/{me}")
                ]
            yield from ours

    def _statuses(self) -> dict[str, Any]:
        """Return all statuses by their path."""
        found: dict[str, Any] = {}
        for answer in self._pages("/statuses"):
            with self._api.reading("the statuses"):
                found |= {f"/statuses/{each['id']}": each for each in _elements(answer)}
        return found

    def _pages(self, path: str, **query: object) -> Iterator[Any]:
        """Yield the pages of a collection; one that knows no pages gives all of it at once."""
        page, seen, is_last = 1, 0, False
        while not is_last:
            answer = self._api.get(path, **query, pageSize=PAGE, offset=page)
            with self._api.reading(path):
                count = len(_elements(answer))
                seen, page = seen + count, page + 1
                is_last = not count or seen >= int(answer["total"])
            yield answer

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            user = self._api.get("/users/me")
            return {"id": int(user["id"]), "name": user["name"]}


def _elements(answer: Any) -> list[Any]:
    elements = answer["_embedded"]["elements"]
    if not isinstance(elements, list):
        raise TypeError
    return elements


def _with_status(package: Mapping[str, Any], statuses: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a work package with its status embedded, which lists leave out."""
    href = package["_links"]["status"]["href"] or ""
    status = statuses.get("/statuses/" + href.rpartition("/")[2])
    if status is None:
        return package
    return {**package, "_embedded": {**(package.get("_embedded") or {}), "status": status}}


def _changed_at(thing: Mapping[str, Any]) -> int:
    """Return a time of change in whole Unix seconds, rounded down."""
    return _seconds(datetime.fromisoformat(thing["updatedAt"]))


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _filter(name: str, first: str, last: str) -> str:
    """Return a filter for what lies between two days or moments, both included.

    https://www.openproject.org/docs/api/filters/
    """
    return json.dumps([{name: {"operator": "<>d", "values": [first, last]}}])
