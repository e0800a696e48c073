"""GitHub as a project tool: polled for missed webhooks, told on the issue or the commit.

Which place it is, and why, is `docs/adr/0006-where-the-project-tool-is-told.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Final
from urllib.parse import quote

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import MARKDOWN, Comment, keep, one_line, state
from ledger.errors import PermanentError, RejectedError, UnsupportedError

from . import missed
from .api import API_URL, GitHubApi

LONGEST_DESCRIPTION: Final = 140
"""https://docs.github.com/en/rest/commits/statuses#create-a-commit-status"""


class GitHubConnector(ProjectConnector):
    """One account on GitHub. A note is one comment or one status, changed in place."""

    key: ClassVar[str] = "github"
    name: ClassVar[str] = "GitHub"
    docs_url: ClassVar[str] = "https://docs.github.com/en/rest"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("token", "a fine-grained personal access token", secret=True),
        Setting("api_url", f"the API of your own GitHub server, if not {API_URL}", required=False),
        Setting(
            "repositories",
            "the repositories to poll: acme/site, acme/shop; without it none is",
            required=False,
        ),
        Setting(
            "hooks",
            "webhooks whose failed deliveries are fetched: acme/site:12345, or an organization's "
            "acme:12345",
            required=False,
        ),
    )
    polls: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the issue, or a commit status"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = GitHubApi(settings, http)

    def check(self) -> str:
        return str(self._account["login"])

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        return missed.changes_since(self._api, self.configured, cursor, now)

    def report(self, report: Report) -> str:
        kind = report.subject.partition(":")[0]
        if kind == "issue":
            return self._tell(report, [_number(report)])
        if kind == "milestone":
            return self._tell_milestone(report)
        if kind in ("release", "deployment"):
            return self._tell_commit(report)
        raise UnsupportedError(
            f"github: {report.subject}: no place is known for a note on it"
            " - look at the invoice in Billhook"
        )

    def _tell(self, report: Report, issues: Sequence[int]) -> str:
        """Tell the first of some issues; a note that stands on another one stays there."""
        path = f"{_repository(report)}/issues"
        return keep(
            MARKDOWN,
            report,
            (comment for issue in issues for comment in self._our_comments(path, issue)),
            lambda text: _comment(self._api.post(f"{path}/{issues[0]}/comments", {"body": text})),
            lambda ours, text: self._api.patch(f"{path}/comments/{ours.id}", {"body": text}),
            tool=self.key,
        ).url

    def _tell_milestone(self, report: Report) -> str:
        """Tell the milestone's oldest issue."""
        issues = list(self._issues_of_milestone(report))
        if not issues:
            raise UnsupportedError(
                f"github: milestone {_number(report)} of {report.project} has no issue to comment"
                " - give it one, or look at the invoice in Billhook"
            )
        return self._tell(report, issues)

    def _tell_commit(self, report: Report) -> str:
        repository, commit = _repository(report), self._commit(report)
        wanted = {
            # Always success: a pending or failed status would color the commit, and could stop
            # whatever waits for green commits until the customer has paid.
            "state": "success",
            "context": f"billhook/{one_line(report.invoice)}",
            "description": _description(report),
            "target_url": report.url,
        }
        # GitHub keeps every status and takes 1000 of one name, so an equal one is not sent again.
        statuses = self._api.pages(f"{repository}/commits/{commit}/status", of="statuses")
        if not any(self._says(status, wanted) for status in statuses):
            self._api.post(f"{repository}/statuses/{commit}", wanted)
        return f"{report.project}@{commit[:10]} {wanted['context']}"

    def _our_comments(self, path: str, issue: int) -> Iterator[Comment]:
        for told in self._api.pages(f"{path}/{issue}/comments"):
            with self._api.reading(f"the comments of {path}/{issue}"):
                is_ours = (told["user"] or {}).get("id") == self._account["id"]
                comment = _comment(told)
            if is_ours:
                yield comment

    def _issues_of_milestone(self, report: Report) -> Iterator[int]:
        """Return the numbers of the milestone's issues, oldest first, without pull requests."""
        issues = self._api.pages(
            f"{_repository(report)}/issues",
            milestone=_number(report),
            state="all",
            sort="created",
            direction="asc",
        )
        for issue in issues:
            with self._api.reading(f"the issues of {report.project}"):
                if "pull_request" not in issue:
                    yield int(issue["number"])

    def _commit(self, report: Report) -> str:
        """Return the sha that the event names, or else the one that its tag stands for."""
        sha, tag = report.fields.get("sha"), report.fields.get("tag")
        if not isinstance(sha, str) and isinstance(tag, str):
            with self._api.reading(f"the tag {tag} of {report.project}"):
                # Quoted whole, so that a tag with dots and slashes cannot leave this path.
                name = quote(f"tags/{tag}", safe="")
                sha = self._api.get(f"{_repository(report)}/commits/{name}")["sha"]
        if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha):
            raise RejectedError(
                f"github: {report.subject}: it names no commit - look at the event it came from"
            )
        return sha

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            user = self._api.get("/user")
            return {"id": user["id"], "login": user["login"]}

    def _says(self, status: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        """Return whether a commit status is the wanted one; GitHub ignores the case of its name."""
        with self._api.reading("a commit status"):
            if status["context"].lower() != wanted["context"].lower():
                return False
            return all(status[key] == wanted[key] for key in ("state", "description", "target_url"))


def _comment(told: Any) -> Comment:
    return Comment(str(int(told["id"])), told["body"] or "", str(told["html_url"]))


def _description(report: Report) -> str:
    """Return the words beside a commit status, which GitHub shows as plain text."""
    return f"Invoice {one_line(report.invoice)}: {state(report)}"[:LONGEST_DESCRIPTION]


def _repository(report: Report) -> str:
    """Return the repository's path; raise PermanentError unless the project is `owner/name`."""
    parts = (report.project or "").split("/")
    if len(parts) != 2 or not all(
        re.fullmatch(r"[A-Za-z0-9_.-]+", part) and part.strip(".") for part in parts
    ):
        raise PermanentError(
            f"github: {report.subject}: its project is not a repository like acme/site"
            " - look at the event that it came from"
        )
    return f"/repos/{parts[0]}/{parts[1]}"


def _number(report: Report) -> int:
    """Return the issue's or milestone's number; raise RejectedError if the event has none."""
    told = str(report.fields.get("number") or (report.item or "").removeprefix("#"))
    if not (told.isascii() and told.isdigit()):
        raise RejectedError(
            f"github: {report.subject}: it has no number - look at the event that it came from"
        )
    return int(told)
