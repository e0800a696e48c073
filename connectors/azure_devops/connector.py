"""Azure DevOps as a project tool: asked for changes that webhooks missed, told of invoices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final
from urllib.parse import quote

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import HTML, Comment, keep
from connectors.rest import NotThereError
from ledger.errors import RejectedError, UnsupportedError
from ledger.events import Fact, Found

from .api import ITEMS_A_REQUEST, VERSION, AzureDevOpsApi

PAGE: Final = 20
"""Work items of one call; each costs a request, and one more for each change that counts."""
OVERLAP: Final = timedelta(minutes=2)
"""A change may be seen by a query only some moments after its own time."""
TOLD: Final = ("System.State", "Microsoft.VSTS.Scheduling.CompletedWork")
"""What a change must touch to be told."""
_ID: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_PROJECT_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_PROJECT: Final = re.compile(r"""(?![_.])[^\\/:*?"'<>|;#$&@~{},+=\[\]%\x00-\x1f]{1,64}(?<!\.)""")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands, by the server's clock."""

    since: datetime
    after: int = 0
    """The last work item of the page before."""
    started: datetime | None = None
    """The server's time at the first page."""


class AzureDevOpsConnector(ProjectConnector):
    """One organization, or one collection of a server. A note is one comment, changed in place."""

    key: ClassVar[str] = "azure_devops"
    name: ClassVar[str] = "Azure DevOps"
    docs_url: ClassVar[str] = "https://learn.microsoft.com/rest/api/azure/devops/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "the organization's address: https://dev.azure.com/agency"),
        Setting("token", "a personal access token: Work Items, read & write", secret=True),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 300
    tells: ClassVar[str | None] = "a comment on the work item"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = AzureDevOpsApi(settings, http)

    def check(self) -> str:
        return str(self._account["name"])

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return updates of the state or the completed work; deletions are not found."""
        if cursor is None:
            # The server's own time counts; a query that finds nothing tells it.
            _, as_of = self._api.query("SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 0", 1)
            return Changes((), Place(_moment(as_of)).text)
        at = Place.read(cursor, self.key)
        # A date and a number of our own: nothing that a stranger wrote.
        items, as_of = self._api.query(
            "SELECT [System.Id] FROM WorkItems WHERE"  # noqa: S608
            f" [System.ChangedDate] >= '{at.since:%Y-%m-%dT%H:%M:%SZ}' AND [System.Id] > {at.after}"
            " ORDER BY [System.Id]",
            PAGE,
        )
        started = at.started or _moment(as_of)
        found = [each for item in items for each in self._updates(item, at.since)]
        if len(items) < PAGE:
            return Changes(found, Place(max(at.since, started - OVERLAP)).text)
        return Changes(found, Place(at.since, items[-1], started).text, is_all=False)

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, rest = about.partition(":")
        item, _, number = rest.partition(":")
        if not _ID.fullmatch(item) or (number and not _ID.fullmatch(number)):
            return ()
        try:
            if kind == "update" and number:
                return (self._found(int(item), self._api.update(int(item), int(number))),)
            if kind == "workitem" and not number:
                return list(self._updates(int(item), _EPOCH))
        except NotThereError:
            return ()
        return ()

    def enrich(self, about: str) -> Fact | None:
        return self.enrich_all([about])[about]

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        facts: dict[str, Fact | None] = dict.fromkeys(abouts)
        kinds = {about: about.partition(":") for about in abouts}
        items = [int(each[2]) for each in kinds.values() if _is_item(each)]
        for start in range(0, len(items), ITEMS_A_REQUEST):
            for told in self._api.work_items(items[start : start + ITEMS_A_REQUEST]):
                with self._api.reading("a work item"):
                    fact = _fact(told)
                facts[fact.about] = fact
        for about, (kind, _, number) in kinds.items():
            if kind == "project" and _PROJECT_ID.fullmatch(number):
                facts[about] = self._project(about, number)
        return facts

    def report(self, report: Report) -> str:
        if report.subject.partition(":")[0] not in ("workitem", "workitem-time"):
            raise UnsupportedError(
                f"azure_devops: {report.subject}: no place is known for a note on it"
                " - look at the invoice in Billhook"
            )
        item, project = _number(report), _project_of(report)
        path = f"/{project}/_apis/wit/workItems/{item}/comments"
        preview = {"api-version": f"{VERSION}-preview.3"}
        ours = keep(
            HTML,
            report,
            self._our_comments(path),
            lambda text: _comment(self._api.post(path, {"text": text}, **preview)),
            lambda ours, text: self._api.patch(f"{path}/{ours.id}", {"text": text}, **preview),
            tool=self.key,
        )
        return f"{self.configured['url'].rstrip('/')}/{project}/_workitems/edit/{item}#{ours.id}"

    def _our_comments(self, path: str) -> Iterator[Comment]:
        for told in self._api.comments(path):
            with self._api.reading("the comments of a work item"):
                is_ours = (told.get("createdBy") or {}).get("id") == self._account["id"]
                comment = _comment(told)
            if is_ours:
                yield comment

    def _updates(self, item: int, since: datetime) -> Iterator[Found]:
        """Yield what changed the state or the completed work of a work item since a moment."""
        try:
            updates = list(self._api.updates(item))
        except NotThereError:
            # It was deleted since the query; that is told by its own webhook.
            return
        for update in updates:
            with self._api.reading(f"an update of #{item}"):
                fields = update.get("fields") or {}
                is_told = any(name in fields for name in TOLD)
                is_new = is_told and _changed_at(fields) >= since
            if is_new:
                yield self._found(item, update)

    def _found(self, item: int, update: Mapping[str, Any]) -> Found:
        with self._api.reading(f"an update of #{item}"):
            rev = int(update["rev"])
            revision = self._api.revision(item, rev)
            # As the webhook tells it, so that both are read alike.
            return Found.thing("update", {**update, "revision": dict(revision)})

    def _project(self, about: str, number: str) -> Fact | None:
        try:
            with self._api.reading("a project"):
                told = self._api.get(f"/_apis/projects/{number}", **{"api-version": VERSION})
                # The answer has no time of change, so whatever a delivery tells counts as newer.
                return Fact(about=about, version=0, project=str(told["name"]))
        except NotThereError:
            return None

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        return self._api.account()


def _fact(told: Mapping[str, Any]) -> Fact:
    fields = told["fields"]
    tags = str(fields.get("System.Tags") or "").split(";")
    return Fact(
        about=f"workitem:{int(told['id'])}",
        version=(_moment(fields["System.ChangedDate"]) - _EPOCH) // timedelta(milliseconds=1),
        project=fields["System.TeamProject"],
        item=f"#{int(told['id'])}",
        title=fields["System.Title"],
        labels=tuple(tag.strip() for tag in tags if tag.strip()),
        fields={
            "work_item_type": fields.get("System.WorkItemType"),
            "area": fields.get("System.AreaPath"),
            "iteration": fields.get("System.IterationPath"),
            "activity": fields.get("Microsoft.VSTS.Common.Activity"),
        },
    )


def _comment(told: Any) -> Comment:
    return Comment(str(int(told["id"])), str(told["text"]))


def _is_item(about: tuple[str, str, str]) -> bool:
    return about[0] == "workitem" and _ID.fullmatch(about[2]) is not None


def _changed_at(fields: Mapping[str, Any]) -> datetime:
    return _moment(fields["System.ChangedDate"]["newValue"])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(report: Report) -> int:
    number = (report.item or "").removeprefix("#")
    if not _ID.fullmatch(number):
        raise RejectedError(
            f"azure_devops: {report.subject}: it has no work item's number"
            " - look at the event that it came from"
        )
    return int(number)


def _project_of(report: Report) -> str:
    """Return the project's name, quoted; raise RejectedError for what cannot be one.

    https://learn.microsoft.com/azure/devops/organizations/settings/naming-restrictions
    """
    name = (report.project or "").strip()
    if not _PROJECT.fullmatch(name):
        raise RejectedError(
            f"azure_devops: {report.subject}: its project is not a team project's name"
            " - look at the event that it came from"
        )
    return quote(name, safe="")
