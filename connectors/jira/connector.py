"""Jira as a project tool: asked what an issue is, polled for what was missed, told of invoices."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Final

from connectors.connector import Changes, ProjectConnector, Report, Setting
from connectors.http import Http
from connectors.note import Comment, keep, marker
from connectors.rest import NotThereError
from ledger.errors import RejectedError, UnsupportedError
from ledger.events import Fact, Found

from . import issues, polling, worklogs
from .note import WIKI
from .session import open_jira, reading

PROPERTY: Final = "billhook"
"""The issue property in which our notes and what they say are listed, for scripts and for us."""
LONGEST_PROPERTY: Final = 32768
"""https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-properties/"""
NOT_FOR_CUSTOMERS: Final = {"key": "sd.public.comment", "value": {"internal": True}}
"""Keeps a comment in a service project from the customer, who would see it otherwise."""
COMMENTS_A_PAGE: Final = 100


class JiraConnector(ProjectConnector):
    """One Jira site. A note is one comment for each marker, changed in place, never added twice."""

    key: ClassVar[str] = "jira"
    name: ClassVar[str] = "Jira"
    docs_url: ClassVar[str] = "https://developer.atlassian.com/cloud/jira/platform/rest/v2/intro/"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "the address of your Jira: https://acme.atlassian.net"),
        Setting(
            "user",
            "the account's e-mail address for Jira Cloud; leave it out for Data Center",
            required=False,
        ),
        Setting(
            "token", "an API token (Cloud) or a personal access token (Data Center)", secret=True
        ),
    )

    polls: ClassVar[bool] = True
    lists_entries: ClassVar[bool] = True
    tells: ClassVar[str | None] = "a comment and the property `billhook` on the issue"

    def __init__(self, settings: Mapping[str, str], http: Http) -> None:
        super().__init__(settings, http)
        self._jira = open_jira(settings, http)

    def check(self) -> str:
        with reading("the account"):
            return str(self._jira.myself()["displayName"])

    def enrich(self, about: str) -> Fact | None:
        kind, _, number = about.partition(":")
        if not re.fullmatch(r"[0-9]+", number):
            return None
        try:
            with reading(about):
                if kind == "issue":
                    return self._issue(number)
                if kind == "project":
                    return self._project(about, number)
                if kind == "board":
                    return self._board(about, number)
        except NotThereError:
            return None
        return None

    def enrich_all(self, abouts: Sequence[str]) -> Mapping[str, Fact | None]:
        numbers = [
            about.removeprefix("issue:") for about in abouts if re.fullmatch(r"issue:[0-9]+", about)
        ]
        told: dict[str, Fact] = {}
        if len(numbers) > 1:
            told = issues.facts(self._jira, issues.site(self._jira), numbers)
        found: dict[str, Fact | None] = {}
        for about in abouts:
            fact = told.get(about.removeprefix("issue:")) if about.startswith("issue:") else None
            # What is not in the answer is asked for alone: an answer may have been cut.
            found[about] = fact or self.enrich(about)
        return found

    def look_up(self, about: str) -> Sequence[Found]:
        kind, _, number = about.partition(":")
        if kind != "worklog" or not re.fullmatch(r"[0-9]{1,18}", number):
            return ()
        told = worklogs.listed(self._jira, [int(number)])
        return [Found.thing("worklog", worklog) for worklog in told]

    def changes_since(self, cursor: str | None, now: datetime) -> Changes:
        return polling.changes_since(self._jira, cursor)

    def entries(self, first: date, last: date) -> Iterator[Found]:
        where, jql = issues.site(self._jira), worklogs.days_around(first, last)
        for issue in issues.all_of(self._jira, where, jql, fields="worklog"):
            for worklog in worklogs.in_period(self._jira, issue, first, last):
                yield Found.thing("worklog", worklog)

    def report(self, report: Report) -> str:
        issue = _issue_of(report)
        name = marker(report)
        listed = self._listed_notes(issue)
        # The comment comes before the property that names it: after a crash in between, the
        # comment is found by its marker, while a name without a comment would help nobody.
        ours = keep(
            WIKI,
            report,
            self._our_comments(issue, listed.get(name)),
            lambda text: Comment(
                str(self._jira.add_comment(issue, text, is_internal=True).raw["id"]), text
            ),
            lambda ours, text: self._change(f"issue/{issue}/comment/{ours.id}", text),
            tool=self.key,
        )
        entry = {
            "comment_id": ours.id,
            "invoice": report.invoice,
            "state": report.state,
            "url": report.url,
        }
        if listed.get(name) != entry:
            listed.pop(name, None)
            notes = _shortened({**listed, name: entry})
            self._jira.add_issue_property(issue, PROPERTY, notes)
        return f"{self._jira.server_url}/browse/{issue}?focusedCommentId={ours.id}"

    def _change(self, comment: str, text: str) -> None:
        content = {"body": text, "properties": [NOT_FOR_CUSTOMERS]}
        self._jira._session.put(self._jira._get_url(comment), data=json.dumps(content))

    def _issue(self, number: str) -> Fact:
        # The package would read numbers as floats, which later are quantities of money or hours.
        url = self._jira._get_url(f"issue/{number}")
        answer = self._jira._session.get(url, params={"fields": issues.FIELDS})
        return issues.fact(answer.json(parse_float=Decimal))

    def _project(self, about: str, number: str) -> Fact:
        project = self._jira._get_json(f"project/{number}")
        # The answer has no time of change, so whatever a delivery tells counts as newer.
        return Fact(about=about, version=0, project=project["key"], title=project["name"])

    def _board(self, about: str, number: str) -> Fact | None:
        board = self._jira._get_json(f"board/{number}", base=self._jira.AGILE_BASE_URL)
        # A board may belong to a person instead of a project; then it has no key.
        key = (board.get("location") or {}).get("projectKey")
        return Fact(about=about, version=0, project=key, title=board["name"]) if key else None

    def _listed_notes(self, issue: str) -> dict[str, Any]:
        """Return the issue property's content by marker; empty if it is not there or not ours."""
        try:
            with reading(f"the property {PROPERTY} of {issue}"):
                found = self._jira._get_json(f"issue/{issue}/properties/{PROPERTY}")["value"]
        except NotThereError:
            return {}
        return found if isinstance(found, dict) else {}

    def _our_comments(self, issue: str, entry: object) -> Iterator[Comment]:
        """Yield the comment that the property names, if it is ours, and all that are."""
        if isinstance(entry, dict) and str(entry.get("comment_id", "")).isdecimal():
            try:
                with reading(f"a comment of {issue}"):
                    url = f"issue/{issue}/comment/{entry['comment_id']}"
                    named = self._ours([self._jira._get_json(url)])
                yield from named
            except NotThereError:
                pass
        start, total = 0, 1
        while start < total:
            with reading(f"the comments of {issue}"):
                page = self._jira._get_json(
                    f"issue/{issue}/comment",
                    params={"startAt": start, "maxResults": COMMENTS_A_PAGE},
                )
                ours = self._ours(page["comments"])
                start, total = start + max(len(page["comments"]), 1), page["total"]
            yield from ours

    def _ours(self, comments: Sequence[Mapping[str, Any]]) -> list[Comment]:
        return [
            Comment(str(each["id"]), each["body"])
            for each in comments
            if _account(each["author"]) == self._me
        ]

    @cached_property
    def _me(self) -> str:
        with reading("the account"):
            return _account(self._jira.myself())


def _issue_of(report: Report) -> str:
    """Return the issue's key, safe in a path; raise RejectedError for anything else.

    Versions and sprints have no comments in Jira. Their descriptions are the team's own text,
    so nothing is written there: raise UnsupportedError.
    """
    if report.item is None:
        raise UnsupportedError(
            f"jira: {report.subject}: versions and sprints have no place for a note"
            " - look at the invoice in Billhook"
        )
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*-[0-9]+", report.item):
        raise RejectedError(
            f"jira: {report.subject}: its item is not an issue key like ACME-7"
            " - look at the event that it came from"
        )
    return report.item


def _account(user: Mapping[str, Any]) -> str:
    """Return a user's stable id: Cloud has accountId, Data Center has key and name."""
    return str(user.get("accountId") or user.get("key") or user["name"])


def _shortened(notes: dict[str, Any]) -> dict[str, Any]:
    """Return the notes without the oldest beyond Jira's limit; they are found by their comments."""
    while len(json.dumps(notes)) > LONGEST_PROPERTY:
        notes.pop(next(iter(notes)))
    return notes
