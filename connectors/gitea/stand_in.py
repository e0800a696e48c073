"""A stateful stand-in of Gitea's API, for tests and the demo; never for production.

Shaped after the published code (paths, field names, paging, authentication), strict where Gitea is
lenient: an unknown path, query word or body key is refused.
`python -m connectors.gitea.stand_in --port N` serves it; `/_control/` is the way to look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.connector import Report
from connectors.contract import Named, ProjectRig, Webhook, report_on
from connectors.stand_in import (
    StandIn,
    body,
    json_answer,
    query,
    serve_for_ever,
)

from .connector import GiteaConnector

TOKEN: Final = "gitea-stand-in-token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"id": 90, "login": "billing-bot", "full_name": "Billing"}
RAJ: Final = {"id": 6, "login": "raj", "full_name": "Raj Patel"}
START: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""Its clock stands still here until something happens."""
ZONE: Final = timezone(timedelta(hours=1))
"""The server's own, in which it writes every moment."""
SHOP: Final = "acme/shop"
MOST: Final = 7
"""How many entries it gives for one request: its admin set fewer than is asked for."""

_REPO: Final = "/api/v1/repos/<owner>/<name>"
_PAGING: Final = ("page", "limit")


class GiteaStandIn(StandIn):
    """One server with its repositories; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/api/v1/user", endpoint="user", methods=["GET"]),
        Rule("/api/v1/user/repos", endpoint="list_repositories", methods=["GET"]),
        Rule(_REPO, endpoint="repository", methods=["GET"]),
        Rule(f"{_REPO}/issues", endpoint="list_issues", methods=["GET"]),
        Rule(f"{_REPO}/times", endpoint="list_times", methods=["GET"]),
        Rule(f"{_REPO}/milestones", endpoint="list_milestones", methods=["GET"]),
        Rule(f"{_REPO}/releases", endpoint="list_releases", methods=["GET"]),
        Rule(f"{_REPO}/issues/<int:number>/comments", endpoint="list_comments", methods=["GET"]),
        Rule(f"{_REPO}/issues/<int:number>/comments", endpoint="add_comment", methods=["POST"]),
        Rule(f"{_REPO}/issues/comments/<int:number>", endpoint="edit_comment", methods=["PATCH"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = START
        self.repositories: dict[str, bool] = {}
        """Whether each keeps times."""
        self.issues: dict[tuple[str, int], dict[str, Any]] = {}
        self.times: dict[int, dict[str, Any]] = {}
        self.milestones: dict[int, dict[str, Any]] = {}
        self.releases: list[dict[str, Any]] = []
        self.comments: dict[int, dict[str, Any]] = {}

    def tick(self) -> str:
        """Let a minute pass; return the moment as the server writes it."""
        self.clock += timedelta(minutes=1)
        return self.clock.astimezone(ZONE).isoformat()

    def add_issue(self, name: str, number: int, title: str, milestone: int | None = None) -> None:
        """Add an open issue."""
        now = self.clock.astimezone(ZONE).isoformat()
        self.issues[name, number] = {
            "id": 6100 + number,
            "number": number,
            "title": title,
            "labels": [{"id": 1, "name": "shop"}],
            "milestone": self.milestones[milestone] if milestone else None,
            "assignee": RAJ,
            "assignees": [RAJ],
            "state": "open",
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
            "pull_request": None,
        }

    def track(self, name: str, number: int, seconds: int, at: datetime | None = None) -> int:
        """Add a tracked time, now or at another moment; return its id."""
        identity = 500 + len(self.times) + 1
        created = at.isoformat() if at else self.tick()
        self.times[identity] = {
            "id": identity,
            "created": created,
            "time": seconds,
            "user_name": RAJ["login"],
            "issue": self.issues[name, number],
            "place": name,
        }
        return identity

    def close(self, name: str, number: int) -> None:
        """Close an issue."""
        now = self.tick()
        self.issues[name, number].update(state="closed", closed_at=now, updated_at=now)

    def reopen(self, name: str, number: int) -> None:
        """Open an issue again."""
        self.issues[name, number].update(state="open", closed_at=None, updated_at=self.tick())

    def add_milestone(self, number: int, title: str) -> None:
        """Add an open milestone."""
        now = self.clock.astimezone(ZONE).isoformat()
        self.milestones[number] = {
            "id": number,
            "title": title,
            "state": "open",
            "updated_at": now,
            "closed_at": None,
        }

    def close_milestone(self, number: int) -> None:
        """Close a milestone, which no webhook tells."""
        now = self.tick()
        self.milestones[number].update(state="closed", closed_at=now, updated_at=now)

    def publish(self, number: int, tag: str) -> None:
        """Make a release."""
        self.releases.append(
            {"id": number, "tag_name": tag, "name": "", "draft": False, "published_at": self.tick()}
        )

    def state(self) -> Any:
        """Return what a poll must not change."""
        return repr([self.issues, self.times, self.milestones, self.comments])

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        if request.headers.get("Authorization") != f"token {TOKEN}":
            raise Unauthorized("user does not exist")

    def problem(self, description: str) -> dict[str, Any]:
        """Return Gitea's error body."""
        return {"message": description, "url": "https://git.agency.example/api/swagger"}

    def user(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer(ME)

    def list_repositories(self, request: Request) -> Response:
        """Answer with one page of the account's repositories."""
        query(request, *_PAGING)
        return _page(request, [{"full_name": name} for name in self.repositories])

    def repository(self, request: Request, owner: str, name: str) -> Response:
        """Answer with a repository."""
        query(request)
        keeps = self.repositories[self._known(owner, name)]
        tracker = {"internal_tracker": {"enable_time_tracker": True}} if keeps else {}
        return json_answer({"full_name": f"{owner}/{name}", **tracker})

    def list_issues(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's issues, the last created first."""
        words = query(request, "state", "type", "since", "milestones", *_PAGING)
        if words.get("state") != "all" or words.get("type") != "issues":
            raise BadRequest("this stand-in lists issues of all states only, no pull requests")
        place, since = self._known(owner, name), words.get("since", "1970-01-01T00:00:00Z")
        told = [
            issue
            for (where, _), issue in self.issues.items()
            if where == place
            and _moment(issue["updated_at"]) >= _moment(since)
            and ("milestones" not in words or _is_of(issue, words["milestones"]))
        ]
        return _page(request, told[::-1])

    def list_times(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's times; this list names no next page."""
        words, place = query(request, "since", "before", "user", *_PAGING), self._known(owner, name)
        if not self.repositories[place]:
            raise BadRequest("time tracking disabled")
        since = _moment(words.get("since", "1970-01-01T00:00:00Z"))
        before = _moment(words.get("before", "2100-01-01T00:00:00Z"))
        told = [
            {key: value for key, value in each.items() if key != "place"}
            for each in self.times.values()
            if each["place"] == place and since <= _moment(each["created"]) <= before
        ]
        return _page(request, told, has_link=False)

    def list_milestones(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's milestones."""
        words = query(request, "state", "name", *_PAGING)
        if words.get("state") != "all":
            raise BadRequest("this stand-in lists milestones of all states only")
        is_here = self._known(owner, name) == SHOP
        return _page(request, list(self.milestones.values()) if is_here else [])

    def list_releases(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's releases, the newest first."""
        query(request, "draft", "pre-release", *_PAGING)
        is_here = self._known(owner, name) == SHOP
        return _page(request, self.releases[::-1] if is_here else [])

    def list_comments(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Answer with all of an issue's comments, oldest first."""
        query(request, "since", "before")
        place = self._issue(owner, name, number)
        here = [each for each in self.comments.values() if each["place"] == place]
        return json_answer([_shown(each) for each in here])

    def add_comment(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Add a comment."""
        text, place = _text_of(request), self._issue(owner, name, number)
        identity = 3001 + len(self.comments)
        self.comments[identity] = {
            "id": identity,
            "place": place,
            "user": ME,
            "body": text,
            "html_url": f"https://git.agency.example/{place[0]}/issues/{number}#{identity}",
        }
        self.issues[place]["updated_at"] = self.tick()
        return json_answer(_shown(self.comments[identity]), 201)

    def edit_comment(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Change a comment's text."""
        text, found = _text_of(request), self.comments.get(number)
        if found is None or found["place"][0] != self._known(owner, name):
            raise NotFound("comment does not exist")
        found["body"] = text
        return json_answer(_shown(found))

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {
                "issues": list(self.issues.values()),
                "times": list(self.times.values()),
                "comments": [_shown(each) for each in self.comments.values()],
                "requests": self.requests,
            }
        )

    def _known(self, owner: str, name: str) -> str:
        if f"{owner}/{name}" not in self.repositories:
            raise NotFound("The target couldn't be found.")
        return f"{owner}/{name}"

    def _issue(self, owner: str, name: str, number: int) -> tuple[str, int]:
        if (self._known(owner, name), number) not in self.issues:
            raise NotFound("issue does not exist")
        return f"{owner}/{name}", number


class ContractRig(ProjectRig[GiteaStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[GiteaConnector]] = GiteaConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "endpoint": "forge-acme",
        "url": "https://git.agency.example",
    }
    unknown: ClassVar[str] = "issue:99999"

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            report_on("issue:6103", "#3", SHOP),
            report_on("milestone:44", None, SHOP),
            report_on("time:501", "#4", SHOP),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [comment["body"] for comment in self.site.comments.values()]

    def happen(self) -> list[Named]:
        """Track more times and close more issues than a page holds; close a milestone."""
        site, told = self.site, []
        for number in range(1, 11):
            told.append(("time.logged", f"time:{site.track(SHOP, number, 600 * number)}"))
            site.close(SHOP, number)
            told.append(("work.completed", f"issue:{6100 + number}"))
        site.reopen(SHOP, 2)
        told.remove(("work.completed", "issue:6102"))
        site.close_milestone(44)
        site.publish(71, "v2.0")
        return [
            *told,
            ("work.reopened", "issue:6102"),
            ("milestone.completed", "milestone:44"),
            ("release.published", "release:71"),
        ]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that Gitea sends about our notes."""
        return [
            (
                {"x-gitea-event": "issue_comment"},
                {
                    "action": "created",
                    "issue": self.site.issues[comment["place"]],
                    "comment": _shown(comment),
                    "repository": {"full_name": comment["place"][0]},
                },
            )
            for comment in self.site.comments.values()
        ]


def contract_setup(_folder: Path) -> ContractRig:
    """Return a server with two repositories, one of which keeps no times."""
    site = GiteaStandIn()
    site.repositories = {SHOP: True, "acme/notes": False}
    site.add_milestone(44, "Phase 2")
    for number in range(1, 16):
        site.add_issue(SHOP, number, f"Task {number}", 44 if number in (3, 5) else None)
    rig = ContractRig(site)
    # The first and the last are not in October where the server stands.
    first = datetime(2026, 9, 30, 23, 59, 59, tzinfo=ZONE)
    site.track(SHOP, 1, 60, first)
    for day in range(1, 32):
        at = datetime(2026, 10, day, 23 if day == 31 else 0, 30, tzinfo=ZONE)
        identity = site.track(SHOP, 1 + day % 3, 300 * day, at)
        rig.entries[f"time:{identity}"] = 300 * day
    site.track(SHOP, 1, 60, datetime(2026, 11, 1, 0, 0, tzinfo=ZONE))
    return rig


def _is_of(issue: dict[str, Any], milestones: str) -> bool:
    milestone = issue["milestone"] or {}
    return milestones in (milestone.get("title"), str(milestone.get("id")))


def _shown(comment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in comment.items() if name != "place"}


def _text_of(request: Request) -> str:
    text = body(request, "body").get("body")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("[Body]: Required")
    return text


def _page(request: Request, entries: list[Any], *, has_link: bool = True) -> Response:
    """Answer with one page of a list, the next one's address in a header where Gitea does so."""
    size = min(int(request.args.get("limit", 30)), MOST)
    page = int(request.args.get("page", 1))
    answer = json_answer(entries[(page - 1) * size : page * size])
    answer.headers["X-Total-Count"] = str(len(entries))
    if has_link and page * size < len(entries):
        words = urlencode({**request.args.to_dict(), "page": page + 1})
        answer.headers["Link"] = f'<{request.base_url}?{words}>; rel="next"'
    return answer


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    serve_for_ever(GiteaStandIn())
