"""A stateful stand-in of GitHub's REST API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, status codes, paging, authentication)
and strict where GitHub is lenient: an unknown path, query word or body key is refused, so that
nothing passes here that GitHub might not know. `python -m connectors.github.stand_in --port N`
serves it; `/_control/` is the way to look at its state, to add things and to order faults.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
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

from connectors.connector import Report

# The web server half of a stand-in is the same for both project tools.
from connectors.stand_in import (
    Fault,
    InProcess,
    StandIn,
    body,
    json_answer,
    query,
    serve_for_ever,
)

from .connector import GitHubConnector

TOKEN: Final = "github_pat_stand_in_token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"login": "agency-billing", "id": 583231, "type": "User"}
MOMENT: Final = "2026-10-31T12:00:00Z"
"""The time of everything that happens here; nothing depends on it."""
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
        Rule(f"{_REPO}/milestones/<int:number>", endpoint="milestone", methods=["GET"]),
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

    def issues_of(self, request: Request, owner: str, name: str) -> Response:
        """Answer with one page of a repository's issues and pull requests, or of a milestone's."""
        known = ("milestone", "state", "sort", "direction", "per_page", "page")
        words, repository = query(request, *known), self._repository(owner, name)
        if words.get("state") != "all" or words.get("sort", "created") != "created":
            raise BadRequest("this stand-in lists issues of all states by their creation only")
        found = [
            issue
            for (place, _), issue in sorted(self.issues.items())
            if place == repository and _is_of(issue, words.get("milestone"))
        ]
        return _page(request, found if words.get("direction") == "asc" else found[::-1])

    def comments_of(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Answer with one page of an issue's comments, oldest first."""
        query(request, "since", "per_page", "page")
        repository = self._repository(owner, name)
        _found(self.issues, (repository, number))
        place = (repository, number)
        return _page(
            request, [_shown(each) for each in self.comments.values() if each["place"] == place]
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
        return json_answer(_shown(self.comments[identity]), 201)

    def edit_comment(self, request: Request, owner: str, name: str, number: int) -> Response:
        """Change a comment's text."""
        comment, text = _found(self.comments, number), _text_of(request)
        if comment["place"][0] != self._repository(owner, name):
            raise NotFound("Not Found")
        comment["body"] = text
        return json_answer(_shown(comment))

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


@dataclass
class ContractRig:
    """What the shared contract test of project connectors needs of this one."""

    site: GitHubStandIn
    connector: type[GitHubConnector] = GitHubConnector
    settings: dict[str, str] = field(
        default_factory=lambda: {"token": TOKEN, "endpoint": "github-agency"}
    )
    unknown: str = "issue:99999"
    """Something to ask about that is not there."""

    def http(self) -> InProcess:
        """Return a port that leads to the stand-in."""
        return InProcess(self.site)

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            _report("issue:2000012", {"number": 12}, item="#12"),
            _report("milestone:1000003", {"number": 3}),
            _report("deployment:51", {"sha": sha_of("deployed"), "environment": "production"}),
            _report("release:61", {"tag": "v2.0", "prerelease": False}),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [comment["body"] for comment in self.site.comments.values()] + [
            status["description"]
            for sent in self.site.statuses.values()
            for status in {each["context"]: each for each in sent}.values()
        ]

    def order_fault(self, do: str, *, path: str = "", method: str = "") -> None:
        """Let the next request that fits fail as `Fault.do` says."""
        self.site.faults.append(Fault(do, path, method))


def contract_setup(_folder: Path) -> ContractRig:
    """Return a GitHub with one repository: a milestone of two issues, a release, a deployment."""
    site = GitHubStandIn()
    site.add_repository("acme/site")
    site.add_milestone("acme/site", 3, "Phase 1", "closed")
    site.add_issue("acme/site", 10, "Draw the plan", milestone=3, is_pull_request=True)
    site.add_issue("acme/site", 11, "Build the checkout", milestone=3)
    site.add_issue("acme/site", 12, "Accept vouchers", milestone=3)
    site.add_commit("acme/site", sha_of("deployed"))
    site.add_commit("acme/site", sha_of("released"), tag="v2.0")
    return ContractRig(site)


def sha_of(word: str) -> str:
    """Return an invented commit id."""
    return hashlib.sha256(word.encode()).hexdigest()[:40]


def _report(subject: str, fields: dict[str, object], *, item: str | None = None) -> Report:
    return Report(
        subject=subject,
        item=item,
        project="acme/site",
        fields=fields,
        invoice="acme-2026-10",
        state="draft",
        url="https://billhook.agency.example/invoices/acme-2026-10",
        marker=f"billhook:acme-2026-10:{item or subject}",
    )


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


def _shown(comment: dict[str, Any]) -> dict[str, Any]:
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


if __name__ == "__main__":
    serve_for_ever(GitHubStandIn())
