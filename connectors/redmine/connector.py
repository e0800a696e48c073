"""Redmine as a project tool: polled, listed, asked, and told on the issue.

https://www.redmine.org/projects/redmine/wiki/Rest_api
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import PLAIN, Comment, keep
from connectors.polling import Turn
from connectors.rest import ForbiddenError, NotThereError, Rest
from ledger.errors import RejectedError, TransientError, UnsupportedError
from ledger.events import Fact, Found

KINDS: Final = ("issues", "time_entries", "versions")
PAGE: Final = 100
"""The most that Redmine gives for one request."""
ATTEMPTS: Final = 3
"""How often a list is read again because it changed while it was read."""
ENTRY_DAYS: Final = 31
"""How far back a poll looks at time entries by their date: Redmine cannot be asked for those that
changed. Older ones that change are found when their period is listed."""

_ABOUT: Final = re.compile(r"(issue|time_entry|version):([0-9]{1,18})", re.ASCII)
_ITEM: Final = re.compile(r"#?([0-9]{1,18})", re.ASCII)
_PLURAL: Final = {"issue": "issues", "time_entry": "time_entries", "version": "versions"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RedmineConnector(ProjectConnector):
    """One account on a Redmine server."""

    key: ClassVar[str] = "redmine"
    name: ClassVar[str] = "Redmine"
    docs_url: ClassVar[str] = "https://www.redmine.org/projects/redmine/wiki/Rest_api"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "the server's address, such as https://redmine.example.com"),
        Setting("token", "the API access key of My account", secret=True),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 900
    """A poll reads a month of time entries and each project's versions."""
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a note on the issue"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._url = settings["url"].rstrip("/")
        self._api = Rest(
            http,
            self._url,
            {"X-Redmine-API-Key": settings["token"]},
            tool="redmine",
            advice={
                400: "look at the issue in Redmine: it may be locked or in a closed project",
                403: "switch on the REST API in the administration, and let the key's account "
                "see issues and spent time and edit its own notes in every project",
                404: "look whether it was deleted; notes can be changed since Redmine 5.0",
            },
        )

    def check(self) -> str:
        return str(self._account["login"])

    def enrich(self, about: str) -> Fact | None:
        return self.enrich_all([about])[about]

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        numbers = [
            known[2]
            for about in abouts
            if (known := _ABOUT.fullmatch(about)) and known[1] == "issue"
        ]
        found: dict[str, Fact] = {}
        for first in range(0, len(numbers), PAGE):
            some = ",".join(numbers[first : first + PAGE])
            # Without the status, those that are closed would be left out.
            answer = self._api.get("/issues.json", issue_id=some, status_id="*", limit=PAGE)
            with self._api.reading("issues by their numbers"):
                found |= {f"issue:{issue['id']}": _fact(issue) for issue in answer["issues"]}
        return {about: found.get(about) for about in abouts}

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Turn.begun(_seconds(now), len(KINDS)).text)
        at = Turn.at(cursor, len(KINDS), self.key)
        kind = KINDS[at.kind]
        if kind == "issues":
            return self._changed_issues(at)
        if kind == "time_entries":
            first = now.date() - timedelta(days=ENTRY_DAYS)
            things = self._all("time_entries", **{"from": first.isoformat()})
            return _changed(at, "time_entry", things)
        return _changed(at, "version", list(self._versions()))

    def entries(self, first: date, last: date) -> Iterator[Found]:
        period = {"from": first.isoformat(), "to": last.isoformat()}
        for entry in self._all("time_entries", **period):
            yield Found.thing("time_entry", entry)

    def look_up(self, about: str) -> Sequence[Found]:
        known = _ABOUT.fullmatch(about)
        if known is None:
            return ()
        kind, number = known.groups()
        try:
            answer = self._api.get(f"/{_PLURAL[kind]}/{number}.json")
        except NotThereError:
            return ()
        with self._api.reading(about):
            return (Found.thing(kind, answer[kind]),)

    def report(self, report: Report) -> str:
        if report.subject.startswith("version:"):
            raise UnsupportedError(
                f"redmine: {report.subject}: a version has no notes"
                " - look at the invoice in Billhook"
            )
        known = _ITEM.fullmatch(report.item or "")
        if known is None:
            raise RejectedError(
                f"redmine: {report.subject}: it belongs to no issue that could have a note"
                " - look at the invoice in Billhook"
            )
        number = known[1]
        keep(
            PLAIN,
            report,
            self._our_notes(number),
            lambda text: self._write_note(number, text),
            lambda ours, text: self._api.put(
                f"/journals/{ours.id}.json", {"journal": {"notes": text}}
            ),
            tool=self.key,
        )
        return f"{self._url}/issues/{number}"

    def _changed_issues(self, at: Turn) -> Changes:
        answer = self._api.get(
            "/issues.json",
            updated_on=">=" + _text(at.since),
            status_id="*",
            sort="updated_on,id",
            limit=PAGE,
            offset=(at.page - 1) * PAGE,
        )
        with self._api.reading("the issues that changed"):
            issues = answer["issues"]
            found = [Found.thing("issue", issue) for issue in issues]
            newest = max((_changed_at(issue) for issue in issues), default=0)
            is_last = not issues or answer["offset"] + len(issues) >= answer["total_count"]
        following = at.next_kind(newest) if is_last else at.next_page(newest)
        return Changes(found, following.text, is_all=False)

    def _versions(self) -> Iterator[Any]:
        """Yield the versions of every project that has issues, each once."""
        for project in self._all("projects", include="enabled_modules"):
            with self._api.reading("the projects"):
                number = int(project["id"])
                modules = project.get("enabled_modules")
                has_issues = modules is None or any(
                    module["name"] == "issue_tracking" for module in modules
                )
            if not has_issues:
                continue
            try:
                answer = self._api.get(f"/projects/{number}/versions.json")
            except (ForbiddenError, NotThereError):
                # This account sees the project, but not its issues.
                continue
            with self._api.reading(f"the versions of project {number}"):
                # Versions that other projects share with this one are told with theirs.
                yield from (
                    version
                    for version in answer["versions"]
                    if int(version["project"]["id"]) == number
                )

    def _all(self, things: str, **query: str) -> list[Any]:
        """Return a whole list; raise TransientError if it never stands still while it is read."""
        for _ in range(ATTEMPTS):
            found: dict[int, Any] = {}
            totals: set[int] = set()
            offset, is_last = 0, False
            while not is_last:
                answer = self._api.get(f"/{things}.json", **query, limit=PAGE, offset=offset)
                with self._api.reading(things):
                    here = answer[things]
                    found |= {int(each["id"]): each for each in here}
                    totals.add(int(answer["total_count"]))
                    offset += len(here)
                    is_last = not here or offset >= int(answer["total_count"])
            if totals == {len(found)}:
                # One that was deleted meanwhile moves the others up, past the end of a page.
                return list(found.values())
        raise TransientError(f"redmine: the list of {things} changed while it was read")

    def _our_notes(self, number: str) -> list[Comment]:
        me = self._account["id"]
        answer = self._api.get(f"/issues/{number}.json", include="journals")
        with self._api.reading(f"the notes of #{number}"):
            return [
                Comment(str(int(each["id"])), each.get("notes") or "")
                for each in answer["issue"]["journals"]
                if (each.get("user") or {}).get("id") == me
            ]

    def _write_note(self, number: str, text: str) -> Comment:
        # The answer is empty; the note is found by its marker.
        self._api.put(f"/issues/{number}.json", {"issue": {"notes": text}})
        return Comment("", text)

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            user = self._api.get("/users/current.json")["user"]
            return {"id": int(user["id"]), "login": user["login"]}


def _changed(at: Turn, kind: str, things: Sequence[Any]) -> Changes:
    """Return those of a whole list that changed, oldest first."""
    try:
        moved = sorted(
            ((_changed_at(each), int(each["id"]), each) for each in things),
            key=lambda each: each[:2],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TransientError(f"redmine: a {kind} has an unexpected shape") from error
    moved = [each for each in moved if each[0] >= at.since]
    newest = max((when for when, _, _ in moved), default=0)
    following = at.next_kind(newest)
    return Changes(
        [Found.thing(kind, each) for _, _, each in moved],
        following.text,
        is_all=following.kind == 0,
    )


def _fact(issue: Mapping[str, Any]) -> Fact:
    """Return what time entries leave out about their issue, as the issue's own webhooks tell it."""
    fields = {
        "category": _name(issue, "category"),
        "tracker": _name(issue, "tracker"),
        "version": _name(issue, "fixed_version"),
    }
    changed = datetime.fromisoformat(issue["updated_on"]) - _EPOCH
    return Fact(
        about=f"issue:{int(issue['id'])}",
        version=changed // timedelta(milliseconds=1),
        project=_name(issue, "project"),
        item=f"#{int(issue['id'])}",
        title=issue.get("subject") or None,
        fields={name: value for name, value in fields.items() if value is not None},
    )


def _name(thing: Mapping[str, Any], member: str) -> str | None:
    return (thing.get(member) or {}).get("name") or None


def _changed_at(thing: Mapping[str, Any]) -> int:
    return _seconds(datetime.fromisoformat(thing["updated_on"]))


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
