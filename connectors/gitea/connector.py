"""Gitea and Forgejo as a project tool: tracked times are polled, issues told about the invoice.

Where it is told, and why there, is `docs/adr/0006-where-the-project-tool-is-told.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import MARKDOWN, Comment, keep
from connectors.rest import Rest, content
from connectors.sweep import Page, Sweep, swept
from ledger.errors import (
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.events import Found

PAGE: Final = 50
"""What a server gives at most unless its admin changed it (`[api] MAX_RESPONSE_ITEMS`)."""
WIDEST_OFFSET: Final = timedelta(hours=14)
"""How far a local day may begin or end from the same one in UTC."""


class GiteaConnector(ProjectConnector):
    """One account on a Gitea or Forgejo server. A note is one comment, changed in place."""

    key: ClassVar[str] = "gitea"
    name: ClassVar[str] = "Gitea and Forgejo"
    docs_url: ClassVar[str] = "https://docs.gitea.com/api/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "the server's address: https://git.agency.example"),
        Setting("token", "an access token of an account that may write issues", secret=True),
        Setting(
            "repositories",
            "the repositories to poll: acme/web, acme/shop; without it, all that the account sees "
            "as its own, its organizations' or as a collaborator",
            required=False,
        ),
    )
    polls: ClassVar[bool] = True
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment on the issue"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._api = Rest(
            http,
            settings["url"].rstrip("/") + "/api/v1",
            {"Authorization": f"token {settings['token']}"},
            tool="gitea",
            advice={
                403: "give its account write access to the issues of this repository, and the "
                "token the scopes issue (write), repository and user (read)",
                404: "give the token's account access to this repository, or take it out of "
                "workspace.yaml",
            },
        )

    def check(self) -> str:
        return str(self._account["login"])

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        if cursor is None:
            return Changes((), Sweep(since=now).text)
        lists = ("issues", "times", "milestones", "releases")
        steps = [f"{each} {name}" for name in self._repositories() for each in lists]
        return swept("gitea", cursor, now, steps, self._read)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        since = datetime.combine(first, time(), UTC) - WIDEST_OFFSET
        before = datetime.combine(last, time(), UTC) + timedelta(days=1) + WIDEST_OFFSET
        for name in self._repositories():
            for entry in self._all_times(name, since, before):
                with self._api.reading(f"the times of {name}"):
                    if first <= _moment(entry["created"]).date() <= last:
                        yield Found.thing("time", _within(name, time=entry))

    def report(self, report: Report) -> str:
        kind = report.subject.partition(":")[0]
        if kind in ("issue", "time"):
            return self._tell(report, [_number(report)])
        if kind == "milestone":
            return self._tell_milestone(report)
        raise UnsupportedError(
            f"gitea: {report.subject}: no place is known for a note on it"
            " - look at the invoice in Billhook"
        )

    # --- polling ---------------------------------------------------------------------------

    def _repositories(self) -> list[str]:
        """Return the names of the repositories to poll, always in the same order."""
        words = re.split(r"[\s,]+", self.configured.get("repositories", "").strip())
        chosen = list(dict.fromkeys(filter(None, words)))
        if not all(re.fullmatch(_REPOSITORY, name) for name in chosen):
            raise PermanentError(
                "gitea: `repositories:` in workspace.yaml has an entry that is not like acme/web"
                " - correct it"
            )
        if chosen:
            return chosen
        with self._api.reading("the repositories"):
            return sorted(str(each["full_name"]) for each in self._pages("/user/repos"))

    def _read(self, to: Sweep) -> Page:
        what, _, name = to.step.partition(" ")
        with self._api.reading(to.step):
            if what == "issues":
                return self._issues(to, name)
            if what == "times":
                return self._times(to, name)
            if what == "milestones":
                return self._milestones(to, name)
            return self._releases(to, name)

    def _issues(self, to: Sweep, name: str) -> Page:
        """Return one page of the issues that changed; those created last come first.

        What changes meanwhile moves no other one to an earlier page: all of them stay in the list.
        """
        words = {"state": "all", "type": "issues", "since": _text(to.start)}
        told, is_last = self._page(f"/repos/{name}/issues", to.page, **words)
        fresh = [each for each in told if _is_fresh(to, each)]
        found = [Found.thing("issue", _within(name, issue=each)) for each in fresh]
        return to.by_number(found, is_last=is_last)

    def _times(self, to: Sweep, name: str) -> Page:
        """Return one page of the times that were tracked since the last round.

        This list names no next page, and the server may give fewer entries than asked for.
        """
        told, count = self._times_at(name, to.page, {"since": _text(to.start)})
        found = [Found.thing("time", _within(name, time=each)) for each in told]
        return to.by_number(found, is_last=not told or (to.page == 1 and count <= len(told)))

    def _milestones(self, to: Sweep, name: str) -> Page:
        """Return one page of all milestones: the list cannot be asked for what changed."""
        told, is_last = self._page(f"/repos/{name}/milestones", to.page, state="all")
        changed = [each for each in told if _moment(each["updated_at"]) >= to.begin]
        fresh = [each for each in changed if _is_fresh(to, each)]
        found = [Found.thing("milestone", _within(name, milestone=each)) for each in fresh]
        return to.by_number(found, is_last=is_last)

    def _releases(self, to: Sweep, name: str) -> Page:
        """Return the releases since the last round; the newest come first."""
        told, is_last = self._page(f"/repos/{name}/releases", to.page, draft="false")
        fresh = [each for each in told if _moment(each["published_at"]) >= to.begin]
        found = [Found.thing("release", _within(name, release=each)) for each in fresh]
        return to.by_number(found, is_last=is_last or len(fresh) < len(told))

    def _all_times(self, name: str, since: datetime, before: datetime) -> list[dict[str, Any]]:
        """Return every tracked time between two moments.

        What is missing here counts as deleted. So the pages are read from the last to the first:
        where one is deleted meanwhile, the others move to pages that are still to be read.
        """
        words = {"since": _text(since), "before": _text(before)}
        told, count = self._times_at(name, 1, words)
        found = {int(each["id"]): each for each in told}
        pages = -(-count // len(told)) if told else 0
        for page in range(pages, 0, -1) if pages > 1 else ():
            told, count = self._times_at(name, page, words)
            found |= {int(each["id"]): each for each in told}
        if len(found) < count:
            raise TransientError(f"gitea: the times of {name} changed while they were read")
        return list(found.values())

    def _times_at(
        self, name: str, page: int, words: Mapping[str, str]
    ) -> tuple[list[dict[str, Any]], int]:
        """Return one page of the tracked times and how many there are; none if they are off."""
        path = f"/repos/{name}/times"
        try:
            answer = self._api.send("GET", path, {**words, "limit": PAGE, "page": page})
        except RejectedError:
            repository = self._api.get(f"/repos/{name}")
            with self._api.reading(name):
                if (repository.get("internal_tracker") or {}).get("enable_time_tracker"):
                    raise
            # It keeps no times, which Gitea answers like a mistake.
            return [], 0
        with self._api.reading(path):
            told = [dict(each) for each in content(answer)]
            return told, int(answer.headers["x-total-count"])

    def _page(self, path: str, page: int, **query: str) -> tuple[list[dict[str, Any]], bool]:
        """Return one page of a list, and whether it is the last one.

        Where no next page is named, the last one is the first without any entry: the server may
        give fewer than asked for.
        """
        answer = self._api.send("GET", path, {**query, "limit": PAGE, "page": page})
        with self._api.reading(path):
            told = [dict(each) for each in content(answer)]
        link, count = answer.headers.get("link"), answer.headers.get("x-total-count")
        if link is not None:
            return told, 'rel="next"' not in link
        return told, not told or (page == 1 and count == str(len(told)))

    def _pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        page, is_last = 1, False
        while not is_last:
            told, is_last = self._page(path, page, **query)
            yield from told
            page += 1

    # --- telling ---------------------------------------------------------------------------

    def _tell_milestone(self, report: Report) -> str:
        """Tell the milestone's oldest issue."""
        name, milestone = _repository(report), report.subject.partition(":")[2]
        if not re.fullmatch("[0-9]+", milestone):
            raise RejectedError(f"gitea: {report.subject}: it has no number")
        words = {"state": "all", "type": "issues", "milestones": milestone}
        told = self._pages(f"/repos/{name}/issues", **words)
        with self._api.reading(f"the issues of {report.subject}"):
            # The server takes the number for a title first.
            here = [each for each in told if str(each["milestone"]["id"]) == milestone]
            issues = sorted(int(each["number"]) for each in here)
        if not issues:
            raise UnsupportedError(
                f"gitea: {report.subject} of {name} has no issue to comment"
                " - give it one, or look at the invoice in Billhook"
            )
        return self._tell(report, issues)

    def _tell(self, report: Report, issues: Sequence[int]) -> str:
        """Tell the first of some issues; a note that stands on another one stays there."""
        path = f"/repos/{_repository(report)}/issues"
        return keep(
            MARKDOWN,
            report,
            (comment for issue in issues for comment in self._our_comments(path, issue)),
            lambda text: _comment(self._api.post(f"{path}/{issues[0]}/comments", {"body": text})),
            lambda ours, text: self._api.patch(f"{path}/comments/{ours.id}", {"body": text}),
            tool=self.key,
        ).url

    def _our_comments(self, path: str, issue: int) -> list[Comment]:
        # This list has no pages: https://docs.gitea.com/api/#tag/issue/operation/issueGetComments
        told = self._api.get(f"{path}/{issue}/comments")
        with self._api.reading(f"the comments of {path}/{issue}"):
            return [_comment(each) for each in told if each["user"]["id"] == self._account["id"]]

    @cached_property
    def _account(self) -> Mapping[str, Any]:
        with self._api.reading("the account"):
            user = self._api.get("/user")
            return {"id": user["id"], "login": user["login"]}


def _comment(told: Any) -> Comment:
    return Comment(str(int(told["id"])), told["body"] or "", str(told["html_url"]))


_NAME: Final = r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_REPOSITORY: Final = f"{_NAME}/{_NAME}"
"""No part is made of dots alone."""


def _repository(report: Report) -> str:
    """Return the repository's name; raise PermanentError unless the project is `owner/name`."""
    if not re.fullmatch(_REPOSITORY, report.project or ""):
        raise PermanentError(
            f"gitea: {report.subject}: its project is not a repository like acme/site"
            " - look at the event that it came from"
        )
    return str(report.project)


def _number(report: Report) -> int:
    """Return the issue's number; raise RejectedError if the event has none."""
    told = (report.item or "").removeprefix("#")
    if not (told.isascii() and told.isdigit()):
        raise RejectedError(
            f"gitea: {report.subject}: it has no number - look at the event that it came from"
        )
    return int(told)


def _is_fresh(to: Sweep, thing: Mapping[str, Any]) -> bool:
    """Return whether an issue or a milestone is open or was closed since the last round."""
    return thing["state"] != "closed" or _moment(thing["closed_at"]) >= to.begin


def _within(name: str, **thing: Mapping[str, Any]) -> dict[str, Any]:
    """Return a thing with its repository, in the shape of the webhooks' bodies."""
    return {**thing, "repository": {"full_name": name}}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
