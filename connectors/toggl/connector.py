"""Toggl Track as a project tool: asked for names, polled for everybody's entries, told by a tag."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import one_line, state, tag_beginning
from connectors.rest import NotThereError
from ledger.errors import OutcomeUnknownError, PermanentError, RejectedError, UnsupportedError
from ledger.events import Fact, Found

from .api import API_URL, TogglApi
from .entries import Entries, milliseconds, moment

OVERLAP_MS: Final = 10 * 60 * 1000
"""How far each poll reaches back before the last one's begin: for clocks that differ."""
DAYS_BACK: Final = 330
DAYS_AHEAD: Final = 30
"""Entries that start in this period are polled; a report covers at most a year."""
FEW: Final = 3
"""Up to so many projects are asked for one by one, more by the workspace's list."""
_TOLD_OF_EVENTS: Final = ("event_id", "created_at", "creator_id", "metadata", "payload")


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands, in Unix milliseconds."""

    since: int
    until: int | None = None
    """When the poll under way began; None: none is."""
    row: int = 1
    """The row of the report to go on at."""


class TogglConnector(ProjectConnector):
    """One workspace of Toggl Track, seen by one of its administrators."""

    key: ClassVar[str] = "toggl"
    name: ClassVar[str] = "Toggl Track"
    docs_url: ClassVar[str] = "https://engineering.toggl.com/docs/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "the API token from an administrator's profile settings", secret=True),
        Setting("workspace", "the workspace's number, as in the address of its settings"),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 900
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a tag on the time entry"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = TogglApi(settings, http)
        self._entries = Entries(self._api)

    def check(self) -> str:
        """Name the account; raise PermanentError if it could not see everybody's time."""
        with self._api.reading("the account"):
            person = str(self._api.get("/api/v9/me")["fullname"])
        return f"{person}, workspace {self._workspace_name()}"

    def enrich(self, about: str) -> Fact | None:
        project = self._project(about)
        with self._api.reading(about):
            return None if project is None else _fact(project)

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        """Ask for the workspace's projects and clients at once where many are wanted."""
        if len(abouts) <= FEW:
            return super().enrich_all(abouts)
        projects, clients = self._api.projects(), self._api.clients()
        facts: dict[str, Fact | None] = {}
        for about in abouts:
            number = _number("project", about)
            project = projects.get(number) if number is not None else None
            with self._api.reading(about):
                client = project and project.get("client_id")
                if project is None or (client and client not in clients):
                    facts[about] = self.enrich(about)
                else:
                    name = clients[client] if client else None
                    facts[about] = _fact({**project, "client_name": name})
        return facts

    def look_up(self, about: str) -> Sequence[Found]:
        project = self._project(about)
        if project is None:
            return ()
        names = ("id", "workspace_id", "name", "at", "client_id", "client_name", "active")
        return (Found.thing("project", {name: project.get(name) for name in names}),)

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return entries by their last change, newest first, and what webhooks failed to deliver.

        A poll goes on until the entries are older than the last poll, or to the report's end if it
        is not in that order. Deleted entries stand in no report; they are found in the log of the
        webhook that posts to this endpoint.
        """
        if cursor is None:
            return Changes((), Place(milliseconds(now)).text)
        at = Place.read(cursor, self.key)
        until = milliseconds(now) if at.until is None else at.until
        after = at.since - OVERLAP_MS
        entries, following = self._entries.page(
            at.row,
            start_date=(now - timedelta(days=DAYS_BACK)).date().isoformat(),
            end_date=(now + timedelta(days=DAYS_AHEAD)).date().isoformat(),
            order_by="last_update",
            order_dir="DESC",
        )
        changed = [milliseconds(moment(entry["at"])) for entry in entries]
        found = [
            Found.thing("time_entry", entry)
            for entry, when in zip(entries, changed, strict=True)
            if when >= after
        ]
        is_over = changed == sorted(changed, reverse=True) and changed[-1:] < [after]
        if following is not None and not is_over:
            return Changes(found, Place(at.since, until, following).text, is_all=False)
        return Changes([*found, *self._undelivered(after)], Place(until).text)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        # A list of one person's entries would pass for everybody's.
        self._workspace_name()
        for entry in self._entries.between(first, last):
            yield Found.thing("time_entry", entry)

    def report(self, report: Report) -> str:
        """Tag the entry with invoice and state. The invoice's tag is one, renamed as it changes."""
        entry = _number("entry", report.subject)
        if entry is None:
            raise UnsupportedError(
                f"toggl: {report.subject}: only time entries bear a tag"
                " - look at the invoice in Billhook"
            )
        if report.item is not None:
            raise RejectedError(
                f"toggl: {report.subject}: Toggl's entries have no item"
                " - look at the event that it came from"
            )
        tag, name = self._our_tag(report)
        if tag not in self._tags_of(entry, report):
            self._tag_entry(entry, name)
        return f"time entry {entry}, tag of invoice {one_line(report.invoice)}"

    def _our_tag(self, report: Report) -> tuple[int, str]:
        """Return the invoice's tag, made or renamed so that it tells the present state."""
        beginning = tag_beginning(report)
        wanted = beginning + state(report)
        ours = {
            number: name
            for number, name in sorted(self._api.tags().items())
            if name.startswith(beginning)
        }
        for number, name in ours.items():
            if name == wanted:
                return number, wanted
        path, body = f"{self._api.tracking}/tags", {"name": wanted}
        if ours:
            number = next(iter(ours))
            # All entries of the invoice bear it: one request tells the new state on all of them.
            self._api.put(f"{path}/{number}", body)
            return number, wanted
        answer = self._api.post(path, {**body, "workspace_id": self._api.workspace})
        try:
            made = answer[0] if isinstance(answer, list) else answer
            return int(made["id"]), wanted
        except (LookupError, TypeError, ValueError) as error:
            raise OutcomeUnknownError(
                f"toggl: the answer to a new tag has no id; {wanted!r:.60} may have been made"
            ) from error

    def _tags_of(self, entry: int, report: Report) -> Sequence[int]:
        """Return the ids of an entry's tags; raise PermanentError if it is not there any more."""
        filters: dict[str, object] = {"time_entry_ids": [entry]}
        start = report.fields.get("start")
        if isinstance(start, str):
            with self._api.reading(f"the start of {report.subject}"):
                day = moment(start).astimezone(UTC).date()
            filters["start_date"] = (day - timedelta(days=1)).isoformat()
            filters["end_date"] = (day + timedelta(days=1)).isoformat()
        rows, _ = self._api.rows(1, **filters)
        with self._api.reading("the detailed report"):
            for row in rows:
                if entry in [int(each["id"]) for each in row["time_entries"]]:
                    return [int(number) for number in row.get("tag_ids") or []]
        raise PermanentError(
            f"toggl: time entry {entry}: not in the workspace's report - look whether it was "
            "deleted or moved to another day"
        )

    def _tag_entry(self, entry: int, name: str) -> None:
        change = [{"op": "add", "path": "/tags", "value": [name]}]
        answer = self._api.patch(f"{self._api.tracking}/time_entries/{entry}", change)
        try:
            is_done = entry in [int(number) for number in answer["success"] or []]
        except (LookupError, TypeError, ValueError) as error:
            raise OutcomeUnknownError(
                f"toggl: time entry {entry}: the answer to a new tag has an unexpected shape;"
                " it may have been added"
            ) from error
        if not is_done:
            raise RejectedError(
                f"toggl: time entry {entry}: Toggl did not add the tag - look at the entry: it "
                "may be locked"
            )

    def _undelivered(self, after: int) -> Iterator[Found]:
        """Yield deletions, and whatever could not be delivered at once, since a moment (Unix ms).

        Toggl keeps what it sent for a week: https://engineering.toggl.com/docs/webhooks_start
        """
        path = f"/webhooks/api/v1/subscriptions/{self._api.workspace}"
        ours = f"/webhooks/{self.configured.get('endpoint', self.key)}"
        with self._api.reading("the webhooks"):
            numbers = [
                int(each["subscription_id"])
                for each in self._api.get(path) or []
                if urlsplit(each["url_callback"]).path.rstrip("/") == ours
            ]
        for number in numbers:
            with self._api.reading("the log of a webhook"):
                for event in self._api.get(f"{path}/{number}/events")["events"] or []:
                    has_failed = event.get("failed_delivery_attempts") or event.get(
                        "last_delivery_error"
                    )
                    is_deleted = (event.get("metadata") or {}).get("action") == "deleted"
                    is_new = milliseconds(moment(event["created_at"])) >= after
                    if is_new and (has_failed or is_deleted):
                        # The counts of attempts are left out: they change from poll to poll.
                        yield Found({name: event.get(name) for name in _TOLD_OF_EVENTS}, {})

    def _project(self, about: str) -> dict[str, Any] | None:
        """Return a project with its client's name, None if there is none like it."""
        number = _number("project", about)
        if number is None:
            return None
        with self._api.reading(about):
            try:
                project = dict(self._api.get(f"{self._api.tracking}/projects/{number}"))
            except NotThereError:
                return None
            client = project.get("client_id")
            name = self._client_name(int(client)) if client else None
            return {**project, "client_name": name}

    def _client_name(self, number: int) -> str | None:
        try:
            return str(self._api.get(f"{self._api.tracking}/clients/{number}")["name"])
        except NotThereError:
            return None

    def _workspace_name(self) -> str:
        with self._api.reading("the workspace"):
            workspace = self._api.get(self._api.tracking)
            name, is_admin = str(workspace["name"]), workspace.get("admin")
        if is_admin is False:
            raise PermanentError(
                "toggl: the token's account is no administrator of the workspace, so that it sees "
                "only its own time - enter an administrator's `token:` in workspace.yaml"
            )
        return name


def _fact(project: Mapping[str, Any]) -> Fact:
    """Return what the source reads from the same project."""
    client = project["client_name"]
    return Fact(
        about=f"project:{project['id']}",
        version=milliseconds(moment(project["at"])),
        project=project["name"],
        fields={"client": client} if client else {},
    )


def _number(kind: str, about: str) -> int | None:
    """Return the number in `project:17`, None if it is something else."""
    found = re.fullmatch(rf"{kind}:([0-9]{{1,18}})", about, re.ASCII)
    return int(found[1]) if found else None
