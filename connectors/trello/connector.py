"""Trello as a project tool: polled for the actions of its boards, told by a comment on the card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.cursor import Cursor
from connectors.http import Http
from connectors.note import MARKDOWN_SEEN, Comment, keep
from connectors.rest import Rest
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Found

API_URL: Final = "https://api.trello.com"
PAGE: Final = 100
"""Actions for one request; Trello gives 1000 at most."""
OVERLAP: Final = timedelta(minutes=10)
"""How far each poll reaches back before the last one's begin: for clocks that differ."""
_TYPES: Final = "createCard,updateCard"
"""The actions that the source reads."""
_TOLD: Final = ("id", "idMemberCreator", "type", "date", "data")
_ID: Final = re.compile(r"[0-9a-f]{24}", re.ASCII)
_BOARD: Final = re.compile(r"[0-9A-Za-z]{8}|[0-9a-f]{24}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """Where a poll stands."""

    since: datetime
    until: datetime | None = None
    """When the poll under way began; None: none is."""
    left: tuple[str, ...] = ()
    """The boards that are still to be read."""
    before: str | None = None
    """The action before which the first board goes on."""

    def __post_init__(self) -> None:
        if self.until and not (self.left and all(map(_BOARD.fullmatch, self.left))):
            raise ValueError
        if self.before:
            _id(self.before)


class TrelloConnector(ProjectConnector):
    """One account on Trello and the boards that it is asked about."""

    key: ClassVar[str] = "trello"
    name: ClassVar[str] = "Trello"
    docs_url: ClassVar[str] = "https://developer.atlassian.com/cloud/trello/rest/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a token of an account made for Billhook", secret=True),
        Setting("key", "the API key of the Power-Up that the token was made with"),
        Setting("boards", "the boards' ids, or the words in their addresses, with commas between"),
        Setting("api_url", f"the API's address, if not {API_URL}", required=False),
    )
    polls: ClassVar[bool] = True
    poll_seconds: ClassVar[int] = 300
    tells: ClassVar[str | None] = "a comment on the card"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        # In the header, so that neither stands in an address that somebody logs.
        keys = f'oauth_consumer_key="{settings["key"]}", oauth_token="{settings["token"]}"'
        self._api = Rest(
            http,
            (settings.get("api_url") or API_URL).rstrip("/") + "/1",
            {"Authorization": f"OAuth {keys}"},
            tool="trello",
        )

    def check(self) -> str:
        with self._api.reading("the account"):
            person = str(self._api.get("/members/me", fields="fullName")["fullName"])
        with self._api.reading("the boards"):
            names = [
                str(self._api.get(f"/boards/{board}", fields="name")["name"])
                for board in self._boards
            ]
        return f"{person}, boards {', '.join(names)}"

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        """Return actions as webhooks have them: a page of one board at a time, newest first."""
        if cursor is None:
            return Changes((), Place(now).text)
        at = Place.read(cursor, self.key)
        if at.until is None:
            at = Place(at.since, now, tuple(self._boards))
        board, *others = at.left
        actions = self._api.get(
            f"/boards/{board}/actions",
            filter=_TYPES,
            since=_text(at.since - OVERLAP),
            before=at.before,
            limit=PAGE,
        )
        with self._api.reading(f"the actions of the board {board}"):
            found = [
                Found({"action": {name: action[name] for name in _TOLD}}, {}) for action in actions
            ]
            last = _id(actions[-1]["id"]) if len(actions) >= PAGE else None
        if last is not None:
            return Changes(found, replace(at, before=last).text, is_all=False)
        if others:
            return Changes(found, replace(at, left=tuple(others), before=None).text, is_all=False)
        return Changes(found, Place(at.until or now).text)

    def report(self, report: Report) -> str:
        kind, _, card = report.subject.partition(":")
        if kind != "card":
            raise UnsupportedError(
                f"trello: {report.subject}: only cards have comments"
                " - look at the invoice in Billhook"
            )
        is_item = report.item is None or re.fullmatch(r"#[0-9]{1,9}", report.item, re.ASCII)
        if not is_item or not _ID.fullmatch(card):
            raise RejectedError(
                f"trello: {report.subject}: it names no card - look at the event that it came from"
            )
        ours = keep(
            MARKDOWN_SEEN,
            report,
            self._our_comments(card, report),
            lambda text: Comment(
                _id(self._api.post(f"/cards/{card}/actions/comments", None, text=text)["id"]), text
            ),
            lambda ours, text: self._api.put(f"/actions/{ours.id}", None, text=text),
            tool=self.key,
        )
        return f"card {report.item or card}, comment {ours.id}"

    def _our_comments(self, card: str, report: Report) -> Iterator[Comment]:
        for told in self._comments(card):
            with self._api.reading(f"the comments of {report.subject}"):
                comment = Comment(_id(told["id"]), str(told["data"]["text"]))
                is_ours = told["idMemberCreator"] == self._me
            if is_ours:
                yield comment

    def _comments(self, card: str) -> Iterator[Any]:
        before: str | None = None
        is_last = False
        while not is_last:
            told = self._api.get(
                f"/cards/{card}/actions", filter="commentCard", before=before, limit=PAGE
            )
            with self._api.reading("the comments of a card"):
                yield from told
                is_last = len(told) < PAGE
                before = None if is_last else _id(told[-1]["id"])

    @cached_property
    def _me(self) -> str:
        with self._api.reading("the account"):
            return _id(self._api.get("/members/me", fields="fullName")["id"])

    @property
    def _boards(self) -> list[str]:
        boards = [word.strip() for word in self.configured["boards"].split(",") if word.strip()]
        if not boards or not all(_BOARD.fullmatch(board) for board in boards):
            raise PermanentError(
                "trello: `boards:` in workspace.yaml must be ids of boards, or the eight "
                "characters in their addresses, with commas between"
            )
        return boards


def _id(told: object) -> str:
    """Return an id that may stand in a path; raise ValueError if it is none."""
    if not isinstance(told, str) or not _ID.fullmatch(told):
        raise ValueError("not an id")
    return told


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
