"""Linear as a project tool: asked for completions that webhooks missed, told of invoices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import marker
from ledger.errors import OutcomeUnknownError, RejectedError, UnsupportedError
from ledger.events import Fact, Found

from . import note
from .api import API_URL, ATTACHMENTS, CREATE, UPDATE, VIEWER, LinearApi

KINDS: Final = ("issue", "project", "cycle")
"""What is polled, one kind after the other."""
OVERLAP: Final = timedelta(minutes=10)
"""For clocks that differ: Linear's answers do not tell its own time."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_IDENTIFIER: Final = re.compile(r"[A-Z0-9_]{1,20}-[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime
    started: datetime | None = None
    """When the round under way began; None: none is."""
    kind: str = KINDS[0]
    after: str | None = None
    """Where the next page begins."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(self.kind)


class LinearConnector(ProjectConnector):
    """One workspace. A note is one attachment on the issue, changed in place."""

    key: ClassVar[str] = "linear"
    name: ClassVar[str] = "Linear"
    docs_url: ClassVar[str] = "https://linear.app/developers/graphql"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a personal API key, or the token of an OAuth application", secret=True),
        Setting("api_url", f"the address of the API, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 900
    tells: ClassVar[str | None] = "an attachment on the issue"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = LinearApi(settings, http)

    def check(self) -> str:
        with self._api.reading("the account"):
            told = self._api.graphql(VIEWER, {})
            return f"{told['viewer']['name']} in {told['organization']['name']}"

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return issues, projects and cycles that changed, without what was completed long before.

        Whatever changes during a round is found by the next one.
        """
        if cursor is None:
            return Changes((), Place(now).text)
        at = Place.read(cursor, self.key)
        started = at.started or now
        nodes, following = self._api.page(at.kind, _text(at.since), at.after)
        with self._api.reading(f"the {at.kind}s that changed"):
            found = [Found.thing(at.kind, node) for node in nodes if _is_news(node, at.since)]
        if following is not None:
            here = replace(at, started=started, after=following)
            return Changes(found, here.text, is_all=False)
        if at.kind != KINDS[-1]:
            next_kind = KINDS[KINDS.index(at.kind) + 1]
            here = replace(at, started=started, kind=next_kind, after=None)
            return Changes(found, here.text, is_all=False)
        return Changes(found, Place(max(at.since, started - OVERLAP)).text)

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, number = about.partition(":")
        if kind not in KINDS or not _UUID.fullmatch(number):
            return ()
        told = self._api.by_id(kind, number)
        return (Found.thing(kind, told),) if told is not None else ()

    def enrich(self, about: str) -> Fact | None:
        """Return the key of the team that a cycle belongs to, as the project."""
        kind, _, number = about.partition(":")
        if kind != "team" or not _UUID.fullmatch(number):
            return None
        told = self._api.by_id(kind, number)
        if told is None:
            return None
        with self._api.reading(about):
            # The answer has no time of change, so whatever a delivery tells counts as newer.
            return Fact(about=about, version=0, project=str(told["key"]))

    def report(self, report: Report) -> str:
        issue, identifier = _issue_of(report)
        found, issue_url = self._our_attachment(report, issue)
        wanted = note.attachment(report)
        if found is None:
            content = {**wanted, "issueId": issue, "url": note.address(report, issue_url)}
            told = self._api.graphql(CREATE, {"input": content}, is_read=False)
            number = _id_of(told, "attachmentCreate", identifier)
        else:
            number = str(found["id"])
            if any(found.get(name) != value for name, value in wanted.items()):
                told = self._api.graphql(UPDATE, {"id": number, "input": wanted}, is_read=False)
                _id_of(told, "attachmentUpdate", identifier)
        return f"{identifier}, attachment {number}"

    def _our_attachment(self, report: Report, issue: str) -> tuple[Mapping[str, Any] | None, str]:
        """Return our attachment with the report's marker, if there is one, and the issue's URL."""
        after, is_last = None, False
        while not is_last:
            told = self._api.graphql(ATTACHMENTS, {"id": issue, "after": after})
            with self._api.reading(f"the attachments of {report.item}"):
                nodes = told["issues"]["nodes"]
                if not nodes:
                    raise RejectedError(
                        f"linear: {report.item}: there is no such issue, or the token's account"
                        " does not see it - look whether it was deleted"
                    )
                url, page = str(nodes[0]["url"]), nodes[0]["attachments"]
                for each in page["nodes"]:
                    is_ours = (each.get("creator") or {}).get("id") == told["viewer"]["id"]
                    marked = (each.get("metadata") or {}).get("billhook")
                    if is_ours and marked == marker(report):
                        return each, url
                after = page["pageInfo"]["endCursor"]
                is_last = not page["pageInfo"]["hasNextPage"]
        return None, url


def _is_news(node: Mapping[str, Any], since: datetime) -> bool:
    """Return whether something is to be told: not what was done long ago and was edited now.

    Linear archives what is done by itself after months; that must not be billed as new.
    """
    completed_at = node.get("completedAt")
    return not completed_at or bool(node.get("trashed")) or _moment(completed_at) >= since


def _id_of(told: Any, mutation: str, identifier: str) -> str:
    try:
        if told[mutation]["success"] is True:
            return str(told[mutation]["attachment"]["id"])
    except (KeyError, TypeError):
        pass
    raise OutcomeUnknownError(
        f"linear: {identifier}: the answer does not say that the attachment was written;"
        " it may have been"
    )


def _issue_of(report: Report) -> tuple[str, str]:
    """Return the issue's id and identifier; raise UnsupportedError for what is no issue."""
    kind, _, number = report.subject.partition(":")
    if kind != "issue":
        raise UnsupportedError(
            f"linear: {report.subject}: only issues have a place for a note"
            " - look at the invoice in Billhook"
        )
    identifier = report.item or ""
    if not _UUID.fullmatch(number) or not _IDENTIFIER.fullmatch(identifier):
        raise RejectedError(
            f"linear: {report.subject}: it does not name an issue like ACME-12"
            " - look at the event that it came from"
        )
    return number, identifier


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
