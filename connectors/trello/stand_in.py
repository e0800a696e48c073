"""A stateful stand-in of Trello's REST API, for tests; never for production.

Shaped after the documented answers and strict where Trello is lenient: an unknown path or query
word is refused. `python -m connectors.trello.stand_in --port N` serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import Named, ProjectRig, Webhook, report_on
from connectors.stand_in import StandIn, json_answer, query, serve_for_ever

from .connector import TrelloConnector

TOKEN: Final = "ATTAstandin"  # noqa: S105 - it opens nothing but this stand-in.
KEY: Final = "standinkey"
NOW: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_WORDS: Final = ("filter", "since", "before", "limit")


def oid(number: int) -> str:
    """Return an invented id; a later one is greater, as Trello's are."""
    return f"6611a0b1c2d3e4{number:010x}"


ME: Final = oid(1)
MIRA: Final = oid(2)
BOARDS: Final = {oid(11): "Acme relaunch", oid(12): "Acme shop"}


class TrelloStandIn(StandIn):
    """Two boards; their actions are plain public data, oldest first."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/1/members/me", endpoint="me", methods=["GET"]),
        Rule("/1/boards/<board>", endpoint="board", methods=["GET"]),
        Rule("/1/boards/<board>/actions", endpoint="actions_of_board", methods=["GET"]),
        Rule("/1/cards/<card>/actions", endpoint="actions_of_card", methods=["GET"]),
        Rule("/1/cards/<card>/actions/comments", endpoint="add", methods=["POST"]),
        Rule("/1/actions/<action>", endpoint="edit", methods=["PUT"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = NOW
        self.actions: list[dict[str, Any]] = []
        self.cards: dict[str, str] = {}
        """The board of each card."""
        self.webhooks: list[dict[str, Any]] = []
        """The bodies of what Trello's own webhook sent."""

    def state(self) -> str:
        """Return all that stands here, as text."""
        return json.dumps([self.actions, self.cards], sort_keys=True)

    def act(
        self, type_: str, board: str, identity: str, *, who: str = MIRA, **data: Any
    ) -> dict[str, Any]:
        """Let somebody do something with a card; half a minute passes."""
        self.clock += timedelta(seconds=25)
        self.cards[identity] = board
        number = int(identity[14:], 16)
        told = {"id": identity, "idShort": number, "name": "Work", "shortLink": "aB3dE5fG"}
        action = {
            "id": oid(100_000 + len(self.actions)),
            "idMemberCreator": who,
            "type": type_,
            "date": self.clock.strftime("%Y-%m-%dT%H:%M:%S.250Z"),
            "data": {
                "board": {"id": board, "name": BOARDS[board]},
                **data,
                "card": {**told, **data.get("card", {})},
            },
            "appCreator": None,
            "limits": {},
        }
        self.actions.append(action)
        self.webhooks.append({"model": {"id": board, "name": BOARDS[board]}, "action": action})
        return action

    def mark(self, board: str, card: str, *, is_complete: bool) -> None:
        """Mark a card complete, or no longer."""
        new, old = {"dueComplete": is_complete}, {"dueComplete": not is_complete}
        self.act("updateCard", board, card, card=new, old=old)

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        wanted = f'OAuth oauth_consumer_key="{KEY}", oauth_token="{TOKEN}"'
        if request.headers.get("Authorization") != wanted:
            raise Unauthorized("invalid token")

    def problem(self, description: str) -> dict[str, Any]:
        """Return an error body."""
        return {"message": description}

    def me(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request, "fields")
        return json_answer({"id": ME, "fullName": "Billing"})

    def board(self, request: Request, board: str) -> Response:
        """Answer with a board."""
        query(request, "fields")
        if board not in BOARDS:
            raise NotFound("board not found")
        return json_answer({"id": board, "name": BOARDS[board]})

    def actions_of_board(self, request: Request, board: str) -> Response:
        """Answer with one page of a board's actions, newest first."""
        words = query(request, *_WORDS)
        if board not in BOARDS:
            raise NotFound("board not found")
        return _page(words, [a for a in self.actions if a["data"]["board"]["id"] == board])

    def actions_of_card(self, request: Request, card: str) -> Response:
        """Answer with one page of a card's actions, newest first."""
        words = query(request, *_WORDS)
        self._board_of(card)
        return _page(words, [a for a in self.actions if a["data"]["card"]["id"] == card])

    def add(self, request: Request, card: str) -> Response:
        """Add a comment."""
        text = _text_of(request)
        return json_answer(self.act("commentCard", self._board_of(card), card, who=ME, text=text))

    def edit(self, request: Request, action: str) -> Response:
        """Change a comment's text."""
        text = _text_of(request)
        for each in self.actions:
            if each["id"] == action and each["type"] == "commentCard":
                each["data"]["text"] = text
                data = each["data"]
                sent = {"id": action, "text": text}
                board, card = data["board"]["id"], data["card"]["id"]
                self.act("updateComment", board, card, who=ME, action=sent, old={"text": "before"})
                return json_answer(each)
        raise NotFound("action not found")

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer({"actions": self.actions})

    def _board_of(self, card: str) -> str:
        if card not in self.cards:
            raise NotFound("The requested resource was not found.")
        return self.cards[card]


class ContractRig(ProjectRig[TrelloStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[TrelloConnector]] = TrelloConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "key": KEY,
        "boards": ", ".join(BOARDS),
        "endpoint": "trello-acme",
    }
    unknown: ClassVar[str] = f"card:{oid(99)}"

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [_report(311), _report(312)]

    def notes(self) -> list[str]:
        """Return the texts of all comments of ours."""
        return [
            each["data"]["text"]
            for each in self.site.actions
            if each["type"] == "commentCard" and each["idMemberCreator"] == ME
        ]

    def happen(self) -> list[Named]:
        """Complete cards on two boards, more than a page of them, and open one again."""
        site, (first, second) = self.site, BOARDS
        for number in range(1000, 1130):
            site.mark(first, oid(number), is_complete=True)
        site.mark(second, oid(311), is_complete=False)
        site.act("commentCard", second, oid(311), text="why?")
        return [
            *(("work.completed", f"card:{oid(number)}") for number in range(1000, 1130)),
            ("work.reopened", f"card:{oid(311)}"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return what Trello's webhook sent because of our comments."""
        return [
            ({}, sent) for sent in self.site.webhooks if sent["action"]["idMemberCreator"] == ME
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return two boards with cards; somebody copied a comment of ours, and many wrote others."""
    site, (_, second) = TrelloStandIn(), BOARDS
    site.clock = NOW - timedelta(days=40)
    site.mark(second, oid(311), is_complete=True)
    site.mark(second, oid(312), is_complete=True)
    site.act("commentCard", second, oid(311), text="> `billhook/acme-2026-10%3A%23311`")
    site.clock = NOW
    return ContractRig(site)


def _report(number: int) -> Report:
    return report_on(f"card:{oid(number)}", f"#{number}", "Acme shop", {"number": number})


def _page(words: dict[str, str], actions: list[dict[str, Any]]) -> Response:
    """Answer with one page of actions, newest first, as `since`, `before` and `limit` say."""
    types, limit = words.get("filter", "all").split(","), int(words.get("limit", 50))
    if not 0 < limit <= 1000:
        raise BadRequest("invalid value for limit")
    since = datetime.fromisoformat(words.get("since", "2000-01-01T00:00:00Z"))
    found = [
        action
        for action in reversed(actions)
        if action["type"] in types
        and datetime.fromisoformat(action["date"]) >= since
        and action["id"] < words.get("before", "g")
    ]
    return json_answer(found[:limit])


def _text_of(request: Request) -> str:
    text = query(request, "text").get("text", "")
    if not text.strip() or len(text) > 16384:
        raise BadRequest("invalid value for text")
    return text


if __name__ == "__main__":
    serve_for_ever(TrelloStandIn())
