"""A stateful stand-in of GitLab's API, for tests and the demo; never for production.

Shaped after the documented answers (paths, field names, paging, authentication) and strict where
GitLab is lenient: an unknown path, query word or body key is refused.
`python -m connectors.gitlab.stand_in --port N` serves it; `/_control/` is the way to look at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
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

from .connector import GitLabConnector

TOKEN: Final = "glpat-stand-in-token"  # noqa: S105 - it opens nothing but this stand-in.
ME: Final = {"id": 900, "username": "billing-bot", "name": "Billing"}
RAJ: Final = {"id": 12, "username": "raj.patel", "name": "Raj Patel"}
START: Final = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""Its clock stands still here until something happens."""
PATH: Final = "acme/web/portal"

_PROJECT: Final = "/api/v4/projects/<path:project>"
_PAGING: Final = ("page", "per_page")


class GitLabStandIn(StandIn):
    """One GitLab with its projects; its state is plain public data."""

    routes: ClassVar[tuple[Rule, ...]] = (
        Rule("/api/v4/user", endpoint="user", methods=["GET"]),
        Rule("/api/v4/projects", endpoint="list_projects", methods=["GET"]),
        Rule("/api/graphql", endpoint="graphql", methods=["POST"]),
        Rule(_PROJECT, endpoint="project", methods=["GET"]),
        Rule(f"{_PROJECT}/issues", endpoint="list_issues", methods=["GET"]),
        Rule(f"{_PROJECT}/issues/<int:iid>/notes", endpoint="list_notes", methods=["GET"]),
        Rule(f"{_PROJECT}/issues/<int:iid>/notes", endpoint="add_note", methods=["POST"]),
        Rule(
            f"{_PROJECT}/issues/<int:iid>/notes/<int:note>", endpoint="edit_note", methods=["PUT"]
        ),
        Rule(f"{_PROJECT}/milestones", endpoint="list_milestones", methods=["GET"]),
        Rule(
            f"{_PROJECT}/milestones/<int:number>/issues", endpoint="of_milestone", methods=["GET"]
        ),
        Rule(f"{_PROJECT}/releases", endpoint="list_releases", methods=["GET"]),
        Rule(f"{_PROJECT}/hooks/<int:hook>/events", endpoint="list_events", methods=["GET"]),
        Rule("/_control/state", endpoint="control_state", methods=["GET"]),
    )

    def __init__(self) -> None:
        super().__init__()
        self.clock = START
        self.projects: dict[str, int] = {}
        self.issues: dict[tuple[str, int], dict[str, Any]] = {}
        self.logs: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.milestones: dict[int, dict[str, Any]] = {}
        self.releases: dict[str, list[dict[str, Any]]] = {}
        self.notes: dict[int, dict[str, Any]] = {}
        self.events: dict[int, list[dict[str, Any]]] = {}
        """The deliveries of each webhook, oldest first."""

    def tick(self) -> str:
        """Let a minute pass; return the moment as GitLab's API writes it."""
        self.clock += timedelta(minutes=1)
        return self.clock.strftime("%Y-%m-%dT%H:%M:%S.250Z")

    def add_issue(self, project: str, iid: int, title: str, milestone: int | None = None) -> None:
        """Add an open issue."""
        now = self.clock.strftime("%Y-%m-%dT%H:%M:%S.250Z")
        self.issues[project, iid] = {
            "id": 91000 + iid,
            "iid": iid,
            "project_id": self.projects[project],
            "title": title,
            "state": "opened",
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
            "labels": ["portal"],
            "milestone": self.milestones[milestone] if milestone else None,
            "assignees": [RAJ],
            "assignee": RAJ,
            "issue_type": "issue",
            "moved_to_id": None,
            "references": {"short": f"#{iid}", "full": f"{project}#{iid}"},
            "time_stats": {"time_estimate": 0, "total_time_spent": 0},
        }
        self.logs[project, iid] = []

    def add_milestone(self, project: str, number: int, title: str) -> None:
        """Add an active milestone."""
        self.milestones[number] = {
            "id": number,
            "iid": number - 600,
            "project_id": self.projects[project],
            "title": title,
            "state": "active",
            "updated_at": self.clock.strftime("%Y-%m-%dT%H:%M:%S.250Z"),
            "due_date": None,
        }

    def close(self, project: str, iid: int) -> None:
        """Close an issue."""
        now = self.tick()
        self.issues[project, iid].update(state="closed", closed_at=now, updated_at=now)

    def reopen(self, project: str, iid: int) -> None:
        """Open an issue again."""
        self.issues[project, iid].update(state="opened", closed_at=None, updated_at=self.tick())

    def spend(self, project: str, iid: int, seconds: int) -> None:
        """Log time, or correct it by a negative log."""
        now = self.tick()
        log = {
            "id": f"gid://gitlab/Timelog/{sum(len(each) for each in self.logs.values()) + 1}",
            "spentAt": now,
            "timeSpent": seconds,
            "user": {"username": RAJ["username"], "name": RAJ["name"]},
        }
        # The newest does not stand first or last: no order is promised.
        self.logs[project, iid].insert(len(self.logs[project, iid]) // 2, log)
        self._sum(project, iid, now)

    def drop_logs(self, project: str, iid: int) -> None:
        """Delete all time logs of an issue, which sends no webhook."""
        self.logs[project, iid].clear()
        self._sum(project, iid, self.tick())

    def close_milestone(self, number: int) -> None:
        """Close a milestone."""
        self.milestones[number].update(state="closed", updated_at=self.tick())

    def publish(self, project: str, tag: str) -> None:
        """Make a release."""
        release = {"tag_name": tag, "name": f"Portal {tag}", "released_at": self.tick()}
        self.releases.setdefault(project, []).append(release)

    def deliver(self, hook: int, content: dict[str, Any], status: str) -> None:
        """Note a delivery of a webhook and how it was answered."""
        number = sum(len(each) for each in self.events.values()) + 1
        told = {
            "id": number,
            "url": "https://billhook.agency.example/webhooks/gitlab",
            "trigger": "deployment_hooks",
            "request_headers": {
                "Content-Type": "application/json",
                "Idempotency-Key": f"00000000-0000-4000-8000-{number:012d}",
                "X-Gitlab-Event": "Deployment Hook",
                "X-Gitlab-Token": "[REDACTED]",
            },
            "request_data": content,
            "response_status": status,
        }
        self.events.setdefault(hook, []).append(told)

    def state(self) -> Any:
        """Return what a poll must not change."""
        return repr([self.issues, self.logs, self.milestones, self.notes, self.events])

    def authenticate(self, request: Request) -> None:
        """Let in the one account."""
        if request.headers.get("PRIVATE-TOKEN") != TOKEN:
            raise Unauthorized("401 Unauthorized")

    def problem(self, description: str) -> dict[str, Any]:
        """Return GitLab's error body."""
        return {"message": description}

    def user(self, request: Request) -> Response:
        """Answer who is asking."""
        query(request)
        return json_answer(ME)

    def list_projects(self, request: Request) -> Response:
        """Answer with one page of the projects of which the account is a member."""
        words = query(request, "membership", "simple", "order_by", "sort", *_PAGING)
        if words.get("membership") != "true":
            raise BadRequest("this stand-in lists the account's own projects only")
        told = [{"id": number, "path_with_namespace": path} for path, number in self._projects()]
        return _page(request, told)

    def project(self, request: Request, project: str) -> Response:
        """Answer with a project."""
        query(request, "license", "statistics", "with_custom_attributes")
        number = self.projects[self._known(project)]
        return json_answer({"id": number, "path_with_namespace": project})

    def list_issues(self, request: Request, project: str) -> Response:
        """Answer with one page of a project's issues."""
        known = ("scope", "updated_after", "order_by", "sort", "state")
        words = query(request, *known, *_PAGING)
        if words.get("scope") != "all":
            raise BadRequest("without scope=all only the account's own issues are listed")
        if (words.get("order_by"), words.get("sort")) != ("updated_at", "asc"):
            raise BadRequest("this stand-in sorts issues by their last change only")
        since = _moment(words.get("updated_after", "1970-01-01T00:00:00Z"))
        told = [
            issue
            for (path, _), issue in self.issues.items()
            if path == self._known(project) and _moment(issue["updated_at"]) >= since
        ]
        return _page(request, sorted(told, key=lambda each: str(each["updated_at"])))

    def list_milestones(self, request: Request, project: str) -> Response:
        """Answer with one page of a project's milestones."""
        words = query(request, "updated_after", "state", *_PAGING)
        since = _moment(words.get("updated_after", "1970-01-01T00:00:00Z"))
        number = self.projects[self._known(project)]
        told = [
            each
            for each in self.milestones.values()
            if each["project_id"] == number and _moment(each["updated_at"]) >= since
        ]
        return _page(request, told)

    def of_milestone(self, request: Request, project: str, number: int) -> Response:
        """Answer with one page of a milestone's issues, the newest first."""
        query(request, *_PAGING)
        self._known(project)
        if number not in self.milestones:
            raise NotFound("404 Not found")
        told = [
            each
            for each in self.issues.values()
            if each["milestone"] and each["milestone"]["id"] == number
        ]
        return _page(request, told[::-1])

    def list_releases(self, request: Request, project: str) -> Response:
        """Answer with one page of a project's releases, the newest first."""
        words = query(request, "order_by", "sort", *_PAGING)
        if words.get("order_by") != "released_at" or words.get("sort") != "desc":
            raise BadRequest("this stand-in sorts releases by when they came out only")
        return _page(request, self.releases.get(self._known(project), [])[::-1])

    def list_events(self, request: Request, project: str, hook: int) -> Response:
        """Answer with one page of a webhook's deliveries, the newest first."""
        query(request, "status", *_PAGING)
        self._known(project)
        if hook not in self.events:
            raise NotFound("404 Not found")
        return _page(request, self.events[hook][::-1])

    def graphql(self, request: Request) -> Response:
        """Answer the one query that the connector asks: an issue's time logs, two at a time."""
        told = body(request, "query", "variables")
        wanted = ("project(fullPath: $path)", "issue(iid: $iid)", "timelogs(first: 100, after:")
        if not all(each in told["query"] for each in wanted):
            raise BadRequest("this stand-in knows no such query")
        given = told["variables"]
        place = (self._known(given["path"]), int(given["iid"]))
        logs, start = self.logs[place], int(given["after"] or 0)
        end = start + 2
        connection = {
            "pageInfo": {"hasNextPage": end < len(logs), "endCursor": str(end)},
            "nodes": logs[start:end],
        }
        total = sum(int(log["timeSpent"]) for log in logs)
        issue = {"totalTimeSpent": total, "timelogs": connection}
        return json_answer({"data": {"project": {"issue": issue}}})

    def list_notes(self, request: Request, project: str, iid: int) -> Response:
        """Answer with one page of an issue's notes."""
        query(request, "order_by", "sort", *_PAGING)
        self._issue(project, iid)
        here = [each for each in self.notes.values() if each["place"] == (project, iid)]
        return _page(request, [_shown(each) for each in here])

    def add_note(self, request: Request, project: str, iid: int) -> Response:
        """Add a note."""
        text = _text_of(request)
        self._issue(project, iid)
        number = 3001 + len(self.notes)
        self.notes[number] = {"id": number, "place": (project, iid), "author": ME, "body": text}
        self.issues[project, iid]["updated_at"] = self.tick()
        return json_answer(_shown(self.notes[number]), 201)

    def edit_note(self, request: Request, project: str, iid: int, note: int) -> Response:
        """Change a note's text."""
        text = _text_of(request)
        found = self.notes.get(note)
        if found is None or found["place"] != (project, iid):
            raise NotFound("404 Note Not Found")
        found["body"] = text
        return json_answer(_shown(found))

    def control_state(self, _request: Request) -> Response:
        """Answer with everything that stands here."""
        return json_answer(
            {
                "issues": list(self.issues.values()),
                "milestones": list(self.milestones.values()),
                "notes": [_shown(each) for each in self.notes.values()],
                "requests": self.requests,
            }
        )

    def _sum(self, project: str, iid: int, now: str) -> None:
        issue = self.issues[project, iid]
        total = sum(int(log["timeSpent"]) for log in self.logs[project, iid])
        issue["time_stats"] = {"time_estimate": 0, "total_time_spent": total}
        issue["updated_at"] = now

    def _projects(self) -> Iterable[tuple[str, int]]:
        return sorted(self.projects.items(), key=lambda each: each[1])

    def _known(self, project: str) -> str:
        if project not in self.projects:
            raise NotFound("404 Project Not Found")
        return project

    def _issue(self, project: str, iid: int) -> dict[str, Any]:
        if (self._known(project), iid) not in self.issues:
            raise NotFound("404 Not found")
        return self.issues[project, iid]


class ContractRig(ProjectRig[GitLabStandIn]):
    """What the shared contract tests of project connectors need of this one."""

    connector: ClassVar[type[GitLabConnector]] = GitLabConnector
    valid: ClassVar[Mapping[str, str]] = {
        "token": TOKEN,
        "endpoint": "gitlab-acme",
        "url": "https://git.acme.example",
        "hooks": f"{PATH}:17",
    }
    unknown: ClassVar[str] = "issue:99999"

    def reports(self) -> list[Report]:
        """Return one report for each kind of place where a note may stand."""
        return [
            report_on("issue:91012", "#12", PATH),
            report_on("milestone:610", None, PATH),
            report_on("issue-time:91013", "#13", PATH),
        ]

    def notes(self) -> list[str]:
        """Return the texts of all notes that stand in the tool now."""
        return [note["body"] for note in self.site.notes.values()]

    def happen(self) -> list[Named]:
        """Close more issues than a page holds, spend time, and miss a deployment's webhook."""
        site, told = self.site, []
        for iid in range(1, 26):
            site.close(PATH, iid)
            told.append(("work.completed", f"issue:{91000 + iid}"))
        site.reopen(PATH, 3)
        told.append(("work.reopened", "issue:91003"))
        for seconds in (3600, 1800, -600):
            site.spend(PATH, 30, seconds)
        told.append(("time.total", "issue-time:91030"))
        site.spend(PATH, 31, 900)
        site.drop_logs(PATH, 31)
        told.append(("time.removed", "issue-time:91031"))
        site.close_milestone(610)
        told.append(("milestone.completed", "milestone:610"))
        site.publish(PATH, "v1.1")
        told.append(("release.published", "release:77:v1.1"))
        for number, status in enumerate(("200", "internal error", "503")):
            site.deliver(17, _deployment(8800 + number), status)
        told += [("deployment.succeeded", "deployment:8801")]
        told += [("deployment.succeeded", "deployment:8802")]
        return [each for each in told if each != ("work.completed", "issue:91003")]

    def echoes(self) -> list[Webhook]:
        """Return the webhooks that GitLab sends about our notes."""
        return list(self._echoes())

    def _echoes(self) -> Iterator[Webhook]:
        for note in self.site.notes.values():
            project, iid = note["place"]
            told = {
                "object_kind": "note",
                "user": ME,
                "project": {"id": 77, "path_with_namespace": project},
                "object_attributes": {"id": note["id"], "note": note["body"], "action": "create"},
                "issue": {"id": 91000 + iid, "iid": iid, "state": "closed"},
            }
            yield {"x-gitlab-event": "Note Hook"}, told


def contract_setup(_folder: Path) -> ContractRig:
    """Return a GitLab with two projects, a milestone of two issues, a release, a webhook."""
    site = GitLabStandIn()
    site.projects = {PATH: 77, "acme/shop": 78}
    site.add_milestone(PATH, 610, "Phase 1")
    for iid in range(1, 41):
        site.add_issue(PATH, iid, f"Task {iid}", 610 if iid in (11, 14) else None)
    site.deliver(17, _deployment(8700), "500")
    site.releases[PATH] = [
        {"tag_name": "v1.0", "name": "Portal", "released_at": "2026-10-01T08:00:00.000Z"}
    ]
    return ContractRig(site)


def _deployment(number: int) -> dict[str, Any]:
    return {
        "object_kind": "deployment",
        "status": "success",
        "status_changed_at": "2026-11-02 10:10:00 +0100",
        "deployment_id": number,
        "environment": "production",
        "project": {"id": 77, "path_with_namespace": PATH},
        "short_sha": "3c1f0de5",
    }


def _shown(note: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in note.items() if name != "place"}


def _text_of(request: Request) -> str:
    text = body(request, "body").get("body")
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("body is missing")
    return text


def _page(request: Request, entries: list[Any]) -> Response:
    """Answer with one page of a list and, as GitLab does, the next one's address in a header."""
    size, page = int(request.args.get("per_page", 20)), int(request.args.get("page", 1))
    size = min(size, 100)
    answer = json_answer(entries[(page - 1) * size : page * size])
    if page * size < len(entries):
        words = urlencode({**request.args.to_dict(), "page": page + 1})
        answer.headers["Link"] = f'<{request.base_url}?{words}>; rel="next"'
    return answer


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    serve_for_ever(GitLabStandIn())
