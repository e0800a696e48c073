"""A stateful stand-in of GitHub's REST API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, status codes, paging, authentication)
and strict where GitHub is lenient: an unknown path, query word or body key is refused, so that
nothing passes here that GitHub might not know. `python -m connectors.github.stand_in --port N`
serves it; `/_control/` is the way to look at its state, to add things and to order faults.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    NotFound,
    Unauthorized,
    UnprocessableEntity,
)
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn, body, json_answer, query

TOKEN: Final = "github_pat_stand_in_token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"login": "agency-billing", "id": 583231, "type": "User"}
MOMENT: Final = "2026-10-31T12:00:00Z"
"""The time of everything that stood here before."""
START: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""Its clock stands still here until something happens."""
STATES: Final = ("error", "failure", "pending", "success")
MOST_STATUSES: Final = 1000

_REPO: Final = "/repos/<owner>/<name>"


class GitHubStandIn(StandIn):
    """One GitHub with its repositories; its state is plain public data, keyed by `owner/name`."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/user", endpoint="user", methods=["GET"]),
        Rule(f"{_REPO}/issues", endpoint="issues_of", methods=["GET"]),
        Rule(f"{_REPO}/issues/<int:number>/comments", endpoint="comments_of", methods=["GET"]),
        Rule(f"{_REPO}/issues/<int:number>/comments", endpoint="add_comment", methods=["POST"]),
        Rule(f"{_REPO}/issues/comments/<int:number>", endpoint="edit_comment", methods=["PATCH"]),
        Rule(f"{_REPO}/milestones", endpoint="milestones_of", methods=["GET"]),
        Rule(f"{_REPO}/milestones/<int:number>", endpoint="milestone", methods=["GET"]),
        Rule(f"{_REPO}/releases", endpoint="releases_of", methods=["GET"]),
        Rule(f"{_REPO}/hooks/<int:hook>/deliveries", endpoint="deliveries_of", methods=["GET"]),
        Rule(f"{_REPO}/hooks/<int:hook>/deliveries/<int:number>", endpoint="delivery"),
        Rule(f"{_REPO}/commits/<path:ref>", endpoint="commit", methods=["GET"]),
        Rule(f"{_REPO}/commits/<sha>/status", endpoint="statuses_of", methods=["GET"]),
        Rule(f"{_REPO}/statuses/<sha>", endpoint="add_status", methods=["POST"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
        Rule("/_control/repositories", endpoint="control_repository", methods=["POST"]),
        Rule("/_control/milestones", endpoint="control_milestone", methods=["POST"]),
        Rule("/_control/issues", endpoint="control_issue", methods=["POST"]),
        Rule("/_control/commits", endpoint="control_commit", methods=["POST"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.repositories: set[str] = set()
        self.milestones: dict[tuple[str, int], dict[str, Any]] = {}
        self.issues: dict[tuple[str, int], dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        """By id, each with its repository and its issue's number."""
        self.commits: dict[tuple[str, str], str | None] = {}
        """The tag of each commit, if it has one, by repository and sha."""
        self.statuses: dict[tuple[str, str], list[dict[str, Any]]] = {}
        """All statuses ever sent to a commit, oldest first."""
        self.releases: dict[str, list[dict[str, Any]]] = {}
        self.deliveries: list[dict[str, Any]] = []
        """Every attempt to deliver a webhook, oldest first."""
        self.clock = START

    def tick(self) -> str:
        """Let a minute pass; return the moment as GitHub writes it."""
        self.clock += timedelta(minutes=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:%SZ")

    def change(self, thing: dict[str, Any], state: str, reason: str | None = None) -> None:
        """Close or open an issue or a milestone."""
        now = self.tick()
        thing.update(state=state, updated_at=now, closed_at=now if state == "closed" else None)
        if "state_reason" in thing:
            thing["state_reason"] = reason

    def deliver(self, guid: str, event: str, payload: dict[str, Any], status: int) -> None:
        """Note an attempt to deliver a webhook."""
        self.deliveries.append(
            {
                "id": 70_001 + len(self.deliveries),
                "guid": guid,
                "delivered_at": self.tick(),
                "redelivery": False,
                "status": "OK" if status == 200 else "Invalid HTTP Response",
                "status_code": status,
                "event": event,
                "action": payload.get("action"),
                "request": {"headers": {"X-GitHub-Event": event}, "payload": payload},
            }
        )

    def state(self) -> Any:
        """Return what a poll must not change."""
        return repr([self.issues, self.milestones, self.comments, self.deliveries])

    def add_repository(self, full_name: str) -> None:
        """Add a repository."""
        self.repositories.add(full_name)

    def add_milestone(self, repository: str, number: int, title: str, state: str = "open") -> None:
        """Add a milestone."""
        self.milestones[repository, number] = {
            "id": 1_000_000 + number,
            "number": number,
            "title": title,
            "description": None,
            "state": state,
            "updated_at": MOMENT,
            "closed_at": None if state == "open" else MOMENT,
        }

    def add_issue(
        self,
        repository: str,
        number: int,
        title: str,
        *,
        milestone: int | None = None,
        is_pull_request: bool = False,
    ) -> None:
        """Add an issue or a pull request, which GitHub lists as an issue too."""
        self.issues[repository, number] = {
            "id": 2_000_000 + number,
            "number": number,
            "title": title,
            "state": "closed",
            "state_reason": "completed",
            "labels": [{"id": 1, "name": "billable"}],
            "assignee": None,
            "updated_at": MOMENT,
            "closed_at": MOMENT,
            "milestone": self.milestones[repository, milestone] if milestone else None,
            **({"pull_request": {"url": "https://api.example/pull"}} if is_pull_request else {}),
        }

    def add_commit(self, repository: str, sha: str, tag: str | None = None) -> None:
        """Add a commit, with a tag or without."""
        self.commits[repository, sha] = tag
        self.statuses[repository, sha] = []

    def authenticate(self, request: Request) -> None:
        """Let in the one account, if it says what program it is, as GitHub wants it."""
        if not request.headers.get("User-Agent"):
            raise Forbidden("Request forbidden by administrative rules.")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("Bad credentials")
        if request.headers.get("X-GitHub-Api-Version") != "2022-11-28":
            raise BadRequest("The version of the API is not supported.")

    def problem(self, description: str) -> dict[str, Any]:
        """Return GitHub's error body."""
        return {"message": description, "documentation_url": "https://docs.github.com/rest"}

    def user(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer(ME)

    def milestone(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Answer with a milestone."""
        query(request)
        return json_answer(_found(self.milestones, (self._repository(owner, name), number)))

    def milestones_of(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's milestones."""
        if query(request, "state", "sort", "direction", "per_page", "page").get("state") != "all":
            raise BadRequest("this stand-in lists milestones of all states only")
        place = self._repository(owner, name)
        return _page(request, [each for (at, _), each in self.milestones.items() if at == place])

    def releases_of(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's releases, the newest first."""
        query(request, "per_page", "page")
        return _page(request, self.releases.get(self._repository(owner, name), [])[::-1])

    def deliveries_of(self, request: Request, owner: str, name: str, hook: int) -> Response:
        """Answer with two attempts to deliver, the newest first, from a cursor on."""
        start = int(query(request, "cursor", "per_page").get("cursor", "v0")[1:])
        self._repository(owner, name)
        shown = [{**each} for each in self.deliveries[::-1][start : start + 2]]
        for each in shown:
            del each["request"]
        answer = json_answer(shown)
        if start + 2 < len(self.deliveries):
            words = urlencode({"per_page": 100, "cursor": f"v{start + 2}"})
            answer.headers["Link"] = f'<{request.base_url}?{words}>; rel="next"'
        return answer

    def delivery(self, request: Request, owner: str, name: str, hook: int, number: int) -> Response:
        """Answer with one attempt to deliver, its request included."""
        query(request)
        self._repository(owner, name)
        return json_answer(_found({each["id"]: each for each in self.deliveries}, number))

    def issues_of(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's issues and pull requests, or of a milestone's."""
        known = ("milestone", "state", "sort", "direction", "since", "per_page", "page")
        words, repository = query(request, *known), self._repository(owner, name)
        if words.get("state") != "all":
            raise BadRequest("this stand-in lists issues of all states only")
        found = [
            issue
            for (place, _), issue in sorted(self.issues.items())
            if place == repository
            and _is_of(issue, words.get("milestone"))
            and issue["updated_at"] >= words.get("since", "")
        ]
        if words.get("sort") == "updated":
            found.sort(key=lambda issue: str(issue["updated_at"]))
        return _page(request, found if words.get("direction") == "asc" else found[::-1])

    def comments_of(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Answer with one page of an issue's comments, oldest first."""
        query(request, "since", "per_page", "page")
        repository = self._repository(owner, name)
        _found(self.issues, (repository, number))
        place = (repository, number)
        return _page(
            request, [shown(each) for each in self.comments.values() if each["place"] == place]
        )

    def add_comment(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Add a comment."""
        repository, text = self._repository(owner, name), _text_of(request)
        _found(self.issues, (repository, number))
        identity = 3_000_001 + len(self.comments)
        self.comments[identity] = {
            "id": identity,
            "place": (repository, number),
            "user": ME,
            "body": text,
            "html_url": f"https://github.example/{repository}/issues/{number}#{identity}",
            "created_at": MOMENT,
        }
        return json_answer(shown(self.comments[identity]), 201)

    def edit_comment(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Change a comment's text."""
        comment, text = _found(self.comments, number), _text_of(request)
        if comment["place"][0] != self._repository(owner, name):
            raise NotFound("Not Found")
        comment["body"] = text
        return json_answer(shown(comment))

    def commit(self, request: Request, owner: str, name: str, ref: str) -> Response:
        """Answer with the commit that a sha or `tags/<tag>` stands for."""
        query(request)
        return json_answer({"sha": self._sha(self._repository(owner, name), ref)})

    def statuses_of(self, request: Request, owner: str, name: str, sha: str) -> Response:
        """Answer with the latest status of each name."""
        query(request, "per_page", "page")
        repository = self._repository(owner, name)
        sent = self.statuses[repository, self._sha(repository, sha)]
        latest = list({status["context"].lower(): status for status in sent}.values())
        return _page(request, latest, {"sha": sha, "total_count": len(latest)})

    def add_status(self, request: Request, owner: str, name: str, sha: str) -> Response:
        """Add a status to a commit; the newest of its name counts."""
        content = body(request, "state", "target_url", "description", "context")
        repository = self._repository(owner, name)
        sent = self.statuses[repository, self._sha(repository, sha)]
        status = {"context": "default", "description": None, "target_url": None, **content}
        if (
            status.get("state") not in STATES
            or len(status["description"] or "") > 140
            or len([each for each in sent if each["context"] == status["context"]]) >= MOST_STATUSES
        ):
            raise UnprocessableEntity("Validation Failed")
        sent.append(status)
        return json_answer({"id": len(sent), "creator": ME, **status}, 201)

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {
                "repositories": sorted(self.repositories),
                "issues": [
                    {"repository": place, **issue} for (place, _), issue in self.issues.items()
                ],
                "comments": list(self.comments.values()),
                "statuses": [
                    {"repository": place, "sha": sha, **status}
                    for (place, sha), sent in self.statuses.items()
                    for status in sent
                ],
                "requests": self.requests,
            }
        )

    def control_repository(self, request: Request) -> Response:
        """Add a repository."""
        self.add_repository(**body(request, "full_name"))
        return json_answer({}, 201)

    def control_milestone(self, request: Request) -> Response:
        """Add a milestone."""
        self.add_milestone(**body(request, "repository", "number", "title", "state"))
        return json_answer({}, 201)

    def control_issue(self, request: Request) -> Response:
        """Add an issue or a pull request."""
        known = ("repository", "number", "title", "milestone", "is_pull_request")
        self.add_issue(**body(request, *known))
        return json_answer({}, 201)

    def control_commit(self, request: Request) -> Response:
        """Add a commit."""
        self.add_commit(**body(request, "repository", "sha", "tag"))
        return json_answer({}, 201)

    def _repository(self, owner: str, name: str) -> str:
        if f"{owner}/{name}" not in self.repositories:
            raise NotFound("Not Found")
        return f"{owner}/{name}"

    def _sha(self, repository: str, ref: str) -> str:
        for (place, sha), tag in self.commits.items():
            if place == repository and ref in (sha, f"tags/{tag}"):
                return sha
        raise UnprocessableEntity(f"No commit found for SHA: {ref}")


def _found(things: Any, place: Any) -> Any:
    if place not in things:
        raise NotFound("Not Found")
    return things[place]


def _is_of(issue: dict[str, Any], milestone: str | None) -> bool:
    return milestone is None or str((issue["milestone"] or {}).get("number")) == milestone


def _text_of(request: Request) -> str:
    text = body(request, "body").get("body")
    if not isinstance(text, str) or not text.strip() or len(text) > 65536:
        raise UnprocessableEntity("Validation Failed")
    return text


def shown(comment: dict[str, Any]) -> dict[str, Any]:
    """Return a comment as GitHub shows it."""
    return {name: value for name, value in comment.items() if name != "place"}


def _page(request: Request, entries: list[Any], around: dict[str, Any] | None = None) -> Response:
    """Answer with one page of a list and, as GitHub does, the next page's address in a header."""
    size, page = int(request.args.get("per_page", 30)), int(request.args.get("page", 1))
    size = min(size, 100)
    here = entries[(page - 1) * size : page * size]
    answer = json_answer(here if around is None else {**around, "statuses": here})
    if page * size < len(entries):
        words = urlencode({**request.args.to_dict(), "page": page + 1})
        answer.headers["Link"] = f'<{request.base_url}?{words}>; rel="next"'
    return answer
