"""Clockify as a project tool: polled for everybody's entries, told by a tag on the entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import one_line, state, tag_beginning
from connectors.rest import NotThereError
from ledger.errors import OutcomeUnknownError, PermanentError, RejectedError, UnsupportedError
from ledger.events import Found

from .api import API_URL, REPORTS_URL, ClockifyApi, is_id

DAYS_BACK: Final = 14
"""Each poll lists the entries that started so many days ago or later."""
PEOPLE_A_PAGE: Final = 10
"""How many people's entries one call of `changes_since` lists."""
MOST_DAYS: Final = 28
"""The longest period that is listed at once: with a day at each end it stays below a month."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    begun: date
    """The day on which polling began: what started before is not told."""
    first: date | None = None
    people: tuple[str, ...] | None = None
    """Who is left of the poll under way; None: none is."""


class ClockifyConnector(ProjectConnector):
    """One workspace of Clockify, seen by one of its administrators."""

    key: ClassVar[str] = "clockify"
    name: ClassVar[str] = "Clockify"
    docs_url: ClassVar[str] = "https://docs.clockify.me"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "an API key of an administrator, from the profile settings", secret=True),
        Setting("workspace", "the workspace's id, as in the address of its settings"),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
        Setting("reports_url", f"the reports' address, if not {REPORTS_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 3600
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a tag on the time entry"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = ClockifyApi(settings, http)

    def check(self) -> str:
        with self._api.rest.reading("the account"):
            person = str(self._api.rest.get("/v1/user")["name"])
            workspace = str(self._api.rest.get(self._api.path)["name"])
        return f"{person}, workspace {workspace}"

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, number = about.partition(":")
        if kind != "entry" or not is_id(number):
            return ()
        entry = self._api.entry(number, is_hydrated=True)
        return () if entry is None else (self._found(entry),)

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return the entries of the last days as they stand, ten people at a time.

        Clockify cannot be asked for what changed: no entry has a time of change. What is told
        again unchanged costs nothing. Entries from before the day on which polling began, and
        deleted ones, are not found.
        """
        if cursor is None:
            return Changes((), Place(now.astimezone(UTC).date()).text)
        at = Place.read(cursor, self.key)
        last = now.astimezone(UTC).date() + _DAY
        first, people = at.first or at.begun, at.people
        if people is None:
            first = max(at.begun, last - DAYS_BACK * _DAY)
            people = tuple(sorted(self._api.logged(_from(first), _to(last))))
        found = [
            self._found(entry)
            for person in people[:PEOPLE_A_PAGE]
            for entry in self._entries_of(person, first, last)
        ]
        left = people[PEOPLE_A_PAGE:]
        if left:
            return Changes(found, Place(at.begun, first, left).text, is_all=False)
        return Changes(found, Place(at.begun).text)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        while first <= last:
            end = min(first + (MOST_DAYS - 1) * _DAY, last)
            yield from self._entries_between(first, end)
            first = end + _DAY

    def report(self, report: Report) -> str:
        """Tag the entry with invoice and state. The invoice's tag is one, renamed as it changes."""
        kind, _, number = report.subject.partition(":")
        if kind != "entry" or not is_id(number):
            raise UnsupportedError(
                f"clockify: {report.subject}: only time entries bear a tag"
                " - look at the invoice in Billhook"
            )
        if report.item is not None:
            raise RejectedError(
                f"clockify: {report.subject}: Clockify's entries have no item"
                " - look at the event that it came from"
            )
        tag = self._our_tag(report)
        entry = self._api.entry(number, is_hydrated=False)
        if entry is None:
            raise PermanentError(
                f"clockify: time entry {number}: not there - look whether it was deleted"
            )
        with self._api.rest.reading(f"time entry {number}"):
            if tag not in (entry.get("tagIds") or []):
                self._api.rest.put(
                    f"{self._api.path}/time-entries/{number}", _with_tag(number, entry, tag)
                )
        return f"time entry {number}, tag of invoice {one_line(report.invoice)}"

    def _entries_between(self, first: date, last: date) -> Iterator[Found]:
        """Yield the entries that start on these days, each on the day that the source reads.

        The report tells whose entries and which there are, the person's own list what they are: it
        has the shape of the webhooks, with the time zone that decides the day.
        """
        # In the farthest time zones a day begins 14 hours before UTC's, or ends 12 after it.
        before, after = first - _DAY, last + _DAY
        for person, expected in sorted(self._api.logged(_from(before), _to(after)).items()):
            seen: set[str] = set()
            for entry in self._entries_of(person, before, after):
                seen.add(str(entry["id"]))
                yield from self._if_within(entry, first, last)
            # Who has left the workspace has no list of his own.
            for number in sorted(expected - seen):
                single = self._api.entry(number, is_hydrated=True) if is_id(number) else None
                if single is not None:
                    yield from self._if_within(single, first, last)

    def _if_within(self, entry: Mapping[str, Any], first: date, last: date) -> Iterator[Found]:
        with self._api.rest.reading("a time entry"):
            is_within = first <= _day(entry) <= last
        if is_within:
            yield self._found(entry)

    def _entries_of(self, person: str, first: date, last: date) -> list[Mapping[str, Any]]:
        """Return one person's entries that start in a period (days in UTC); none if not there."""
        if not is_id(person):
            return []
        entries = self._api.pages(
            f"/user/{person}/time-entries", start=_from(first), end=_to(last), hydrated="true"
        )
        try:
            return list(entries)
        except NotThereError:
            return []

    def _found(self, entry: Mapping[str, Any]) -> Found:
        """Return an entry without what changes by itself, such as its project's sum of hours."""
        with self._api.rest.reading("a time entry"):
            told: dict[str, Any] = {
                name: entry.get(name)
                for name in (
                    *("id", "description", "userId", "billable", "projectId", "taskId"),
                    *("workspaceId", "timeInterval"),
                )
            }
            for name, wanted in _PARTS.items():
                part = entry.get(name)
                told[name] = part and {each: part.get(each) for each in wanted}
            for name, wanted in _LISTS.items():
                told[name] = [
                    {each: part.get(each) for each in wanted} for part in entry.get(name) or ()
                ]
            return Found.thing("time_entry", told)

    def _our_tag(self, report: Report) -> str:
        """Return the id of the invoice's tag, made or renamed to tell the present state."""
        rest, path = self._api.rest, f"{self._api.path}/tags"
        beginning = tag_beginning(report)
        wanted = beginning + state(report)
        with rest.reading("the tags"):
            ours = {
                tag["name"]: tag["id"]
                for tag in self._api.pages("/tags", name=beginning.strip())
                if tag["name"].startswith(beginning) and is_id(tag["id"])
            }
        if wanted in ours:
            return str(ours[wanted])
        if ours:
            _, number = min(ours.items())
            # All entries of the invoice bear it: one request tells the new state on all of them.
            rest.put(f"{path}/{number}", {"name": wanted, "archived": False})
            return str(number)
        made = rest.post(path, {"name": wanted})
        if not isinstance(made, Mapping) or not is_id(made.get("id")):
            raise OutcomeUnknownError(
                f"clockify: the answer to a new tag has no id; {wanted!r:.60} may have been made"
            )
        return str(made["id"])


_PARTS: Final = {
    "project": ("id", "name", "clientId", "clientName"),
    "task": ("id", "name"),
    "user": ("id", "name"),
}
_LISTS: Final = {"tags": ("id", "name"), "customFieldValues": ("customFieldId", "name", "value")}


def _with_tag(number: str, entry: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """Return the whole entry as it stands, and the tag: what is left out would be cleared."""
    interval = entry["timeInterval"]
    if not interval.get("end"):
        raise RejectedError(
            f"clockify: time entry {number}: it is running again - stop it in Clockify"
        )
    changed: dict[str, Any] = {
        "start": interval["start"],
        "end": interval["end"],
        "billable": entry["billable"],
        "description": entry.get("description") or "",
        "projectId": entry.get("projectId") or None,
        "taskId": entry.get("taskId") or None,
        "tagIds": [*(entry.get("tagIds") or []), tag],
        "customFields": [
            {"customFieldId": field["customFieldId"], "value": field["value"]}
            for field in entry.get("customFieldValues") or ()
        ],
    }
    if entry.get("type"):
        changed["type"] = entry["type"]
    return changed


def _day(entry: Mapping[str, Any]) -> date:
    """Return the day that the source reads: in the entry's own time zone if it has one."""
    interval = entry["timeInterval"]
    started = datetime.fromisoformat(interval["start"])
    try:
        return started.astimezone(ZoneInfo(interval.get("timeZone") or "UTC")).date()
    except (LookupError, ValueError, OSError):
        return started.date()


def _from(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _to(day: date) -> str:
    return f"{day.isoformat()}T23:59:59Z"
