"""GitLab as a project tool: polled for missed webhooks, told on the issue about the invoice.

Where it is told, and why there, is `docs/adr/0006-where-the-project-tool-is-told.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import MARKDOWN, Comment, keep
from connectors.sweep import Page, Sweep, swept
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import GONE, Found

from .api import URL, GitLabApi, at

ISSUES_A_PAGE: Final = 20
"""Fewer than GitLab gives, because each issue with time costs one more request."""
KEPT_HEADERS: Final = ("X-Gitlab-Event", "Idempotency-Key", "X-Gitlab-Webhook-UUID")
"""What the source reads of a delivery's headers."""
READ_AGAIN: Final = 20
"""How many deliveries of the last round are read again: GitLab writes them down a little later
than it sends them, and names no time."""
BILLED_KINDS: Final = ("issue", "work_item", "milestone", "release", "deployment")
"""Of a hook's failed deliveries only these are passed on; nothing is earned by the others."""


class GitLabConnector(ProjectConnector):
    """One account on GitLab. A note is one comment, changed in place."""

    key: ClassVar[str] = "gitlab"
    name: ClassVar[str] = "GitLab"
    docs_url: ClassVar[str] = "https://docs.gitlab.com/api/rest/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a personal, group or project access token", secret=True),
        Setting("url", f"the address of your own GitLab, if not {URL}", required=False),
        Setting(
            "projects",
            "the projects to poll: acme/web, acme/shop; without it, all of which the account is a "
            "member",
            required=False,
        ),
        Setting(
            "hooks",
            "webhooks whose failed deliveries are fetched, by project and number: acme/web:17",
            required=False,
        ),
    )
    polls: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the issue"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = GitLabApi(settings, http)

    def check(self) -> str:
        return str(self._account["username"])

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        hooks = [f"hook {hook}" for hook in _listed(self.configured, "hooks", _HOOK)]
        if cursor is None:
            newest = {hook: self._newest(hook) for hook in hooks}
            marks = {**newest, **{_first(hook): number for hook, number in newest.items()}}
            return Changes((), Sweep(since=now, marks=marks).text)
        projects = self._projects()
        lists = ("issues", "milestones", "releases")
        steps = [f"{each} {project}" for project in projects for each in lists]
        return swept("gitlab", cursor, now, [*steps, *hooks], lambda to: self._read(to, projects))

    def report(self, report: Report) -> str:
        kind = report.subject.partition(":")[0]
        if kind in ("issue", "issue-time"):
            return self._tell(report, [_number(report)])
        if kind == "milestone":
            return self._tell_milestone(report)
        raise UnsupportedError(
            f"gitlab: {report.subject}: no place is known for a note on it"
            " - look at the invoice in Billhook"
        )

    # --- polling ---------------------------------------------------------------------------

    def _projects(self) -> Mapping[str, int | None]:
        """Return the paths of the projects to poll, in one order, and their ids where known."""
        chosen = _listed(self.configured, "projects", _PROJECT)
        if chosen:
            return dict.fromkeys(chosen)
        told = self._api.pages("/projects", membership="true", simple="true", order_by="id")
        with self._api.reading("the projects"):
            found = {str(each["path_with_namespace"]): int(each["id"]) for each in told}
        return dict(sorted(found.items()))

    def _read(self, to: Sweep, projects: Mapping[str, int | None]) -> Page:
        what, _, project = to.step.partition(" ")
        if what == "hook":
            return self._failed_deliveries(to, to.step)
        with self._api.reading(to.step):
            if what == "issues":
                return self._issues(to, project)
            if what == "milestones":
                return self._milestones(to, project)
            return self._releases(to, project, projects[project])

    def _issues(self, to: Sweep, project: str) -> Page:
        told, is_last = self._api.page(
            f"{at(project)}/issues",
            page=to.page,
            per_page=ISSUES_A_PAGE,
            scope="all",
            updated_after=_text(to.start),
            order_by="updated_at",
            sort="asc",
        )
        found: list[Found] = []
        for issue in told:
            body: dict[str, Any] = {"issue": issue, "project": {"path_with_namespace": project}}
            total = int(issue["time_stats"]["total_time_spent"])
            is_done = issue["state"] == "closed" and _moment(issue["closed_at"]) < to.begin
            if not is_done:
                found.append(Found.thing("issue", body))
            elif not total:
                # That an open issue has no time (any more) is told with the issue itself.
                found.append(_without_time(issue))
            time = self._api.time_of(project, int(issue["iid"])) if total else None
            if time is not None and _moment(time[1]["spentAt"]) >= to.begin:
                body = {**body, "totalTimeSpent": time[0], "timelog": time[1]}
                found.append(Found.thing("issue_time", body))
        return Page(found) if is_last else to.going_on(found, _moment(told[-1]["updated_at"]))

    def _milestones(self, to: Sweep, project: str) -> Page:
        path, since = f"{at(project)}/milestones", _text(to.start)
        told, is_last = self._api.page(path, page=to.page, updated_after=since)
        around = {"project": {"path_with_namespace": project}}
        found = [Found.thing("milestone", {"milestone": each, **around}) for each in told]
        return to.by_number(found, is_last=is_last)

    def _releases(self, to: Sweep, project: str, number: int | None) -> Page:
        """Return the releases since the last round; GitLab sorts them by when they came out."""
        path = f"{at(project)}/releases"
        told, is_last = self._api.page(path, page=to.page, order_by="released_at", sort="desc")
        fresh = [each for each in told if _moment(each["released_at"]) >= to.begin]
        if fresh and number is None:
            number = int(self._api.get(f"/api/v4{at(project)}")["id"])
        around = {"project": {"id": number, "path_with_namespace": project}}
        found = [Found.thing("release", {"release": each, **around}) for each in fresh]
        return to.by_number(found, is_last=is_last or len(fresh) < len(told))

    def _failed_deliveries(self, to: Sweep, hook: str) -> Page:
        """Return the bodies of a hook's deliveries that failed since the last round.

        They are fetched, not asked to be sent again: sending is limited to five a minute, and what
        is down here would be down then. https://docs.gitlab.com/api/project_webhooks/
        """
        mark, first = to.marks.get(hook, 0), to.marks.get(_first(hook), 0)
        newest, again, found = mark, 0, []
        page, is_last, is_reached = 1, False, False
        while not (is_last or is_reached):
            told, is_last = self._api.page(_events(hook), page=page)
            with self._api.reading(hook):
                # They are the newest first.
                for event in told:
                    number = int(event["id"])
                    newest, again = max(newest, number), again + (number <= mark)
                    is_reached = is_reached or again > READ_AGAIN or number <= first
                    if not is_reached and _is_missed(event):
                        found.append(Found(body=event["request_data"], headers=_kept(event)))
            page += 1
        return Page(found[::-1], marks={hook: newest})

    def _newest(self, hook: str) -> int:
        told, _ = self._api.page(_events(hook), per_page=1)
        with self._api.reading(hook):
            return max((int(event["id"]) for event in told), default=0)

    # --- telling ---------------------------------------------------------------------------

    def _tell_milestone(self, report: Report) -> str:
        """Tell the milestone's oldest issue."""
        project, milestone = _project(report), report.subject.partition(":")[2]
        if not re.fullmatch("[0-9]+", milestone):
            raise RejectedError(f"gitlab: {report.subject}: it has no number")
        told = self._api.pages(f"{at(project)}/milestones/{milestone}/issues")
        with self._api.reading(f"the issues of {report.subject}"):
            # A group's milestone has issues of other projects too.
            here = [each for each in told if each["references"]["full"] == _full(project, each)]
            issues = sorted(int(each["iid"]) for each in here)
        if not issues:
            raise UnsupportedError(
                f"gitlab: {report.subject} of {project} has no issue to comment"
                " - give it one, or look at the invoice in Billhook"
            )
        return self._tell(report, issues)

    def _tell(self, report: Report, issues: Sequence[int]) -> str:
        """Tell the first of some issues; a note that stands on another one stays there."""
        project, first = _project(report), issues[0]
        path = f"{at(project)}/issues"
        ours = keep(
            MARKDOWN,
            report,
            (comment for issue in issues for comment in self._our_notes(project, issue)),
            lambda text: _note(
                project, first, self._api.post(f"/api/v4{path}/{first}/notes", {"body": text})
            ),
            lambda ours, text: self._api.put(f"/api/v4{path}/{ours.id}", {"body": text}),
            tool=self.key,
        )
        return ours.url

    def _our_notes(self, project: str, issue: int) -> Iterator[Comment]:
        path = f"{at(project)}/issues/{issue}/notes"
        for told in self._api.pages(path, order_by="created_at", sort="asc"):
            with self._api.reading(f"the notes of {project}#{issue}"):
                is_ours = told["author"]["id"] == self._account["id"]
                comment = _note(project, issue, told)
            if is_ours:
                yield comment

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            user = self._api.get("/api/v4/user")
            return {"id": user["id"], "username": user["username"]}


def _note(project: str, issue: int, told: Any) -> Comment:
    number = int(told["id"])
    place = f"{project}#{issue}, note {number}"
    return Comment(f"{issue}/notes/{number}", told["body"] or "", place)


def _without_time(issue: Mapping[str, Any]) -> Found:
    version = int(_moment(issue["updated_at"]).timestamp()) * 1000
    return Found.thing(GONE, {"subject": f"issue-time:{int(issue['id'])}", "version": version})


def _is_missed(event: Mapping[str, Any]) -> bool:
    """Return whether a delivery failed, of a kind by which something may be earned."""
    is_good = re.fullmatch("2[0-9][0-9]", str(event["response_status"]))
    return not is_good and event["request_data"].get("object_kind") in BILLED_KINDS


def _first(hook: str) -> str:
    """Return the name of the mark that says from where on a hook's deliveries are read."""
    return f"{hook} first"


_PROJECT: Final = r"[A-Za-z0-9_.-]*[A-Za-z0-9_-](?:/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+"
"""https://docs.gitlab.com/user/reserved_names/ - no part is made of dots alone or ends in one."""
_HOOK: Final = rf"{_PROJECT}:[0-9]+"


def _listed(settings: Mapping[str, str], name: str, pattern: str) -> list[str]:
    """Return a setting's words, separated by commas or blanks; raise PermanentError."""
    words = re.split(r"[\s,]+", settings.get(name, "").strip())
    for word in filter(None, words):
        if not re.fullmatch(pattern, word):
            raise PermanentError(
                f"gitlab: `{name}:` in workspace.yaml has an entry that is not like "
                f"{'acme/web:17' if name == 'hooks' else 'acme/web'} - correct it"
            )
    return list(dict.fromkeys(filter(None, words)))


def _project(report: Report) -> str:
    """Return the project's path; raise PermanentError unless it is one."""
    if not re.fullmatch(_PROJECT, report.project or ""):
        raise PermanentError(
            f"gitlab: {report.subject}: its project is not a path like acme/web"
            " - look at the event that it came from"
        )
    return str(report.project)


def _number(report: Report) -> int:
    """Return the issue's number; raise RejectedError if the event has none."""
    told = (report.item or "").removeprefix("#")
    if not (told.isascii() and told.isdigit()):
        raise RejectedError(
            f"gitlab: {report.subject}: it has no number - look at the event that it came from"
        )
    return int(told)


def _full(project: str, issue: Mapping[str, Any]) -> str:
    return f"{project}#{issue['iid']}"


def _events(hook: str) -> str:
    project, _, number = hook.removeprefix("hook ").rpartition(":")
    return f"{at(project)}/hooks/{number}/events"


def _kept(event: Mapping[str, Any]) -> dict[str, str]:
    headers = {name.lower(): str(value) for name, value in event["request_headers"].items()}
    names = [name.lower() for name in KEPT_HEADERS]
    return {name: headers[name] for name in names if name in headers}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
