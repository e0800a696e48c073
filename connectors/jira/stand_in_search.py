"""The half of the stand-in that answers searches, histories and lists; see `stand_in.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from werkzeug.exceptions import BadRequest, Gone, NotFound
from werkzeug.wrappers import Request, Response

from connectors.stand_in import StandIn, body, json_answer, query

PAGE_OF_WORKLOGS: Final = 1000
MINUTE_MS: Final = 60_000


class Searchable(StandIn):
    """What stands on a Jira site, and how it is found."""

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__()
        self.now = now
        """The site's clock: Unix milliseconds."""
        self.is_cloud = True
        """False: Data Center, which searches at another address and asks for no account id."""
        self.page_of_worklogs = PAGE_OF_WORKLOGS
        self.page_of_issues = 100
        self.page_of_changes = 40
        """How much of a history a search in Cloud shows; the rest has an address of its own."""
        self.issues: dict[int, dict[str, Any]] = {}
        self.worklogs: dict[int, dict[str, Any]] = {}
        self.histories: dict[int, list[dict[str, Any]]] = {}
        """By the issue's id, newest first."""

    def search_jql(self, request: Request) -> Response:
        """Answer with a page of issues as Cloud does, whose next page has a name."""
        if not self.is_cloud:
            raise NotFound("null for uri")
        known = ("jql", "nextPageToken", "maxResults", "fields", "expand")
        words = query(request, *known)
        found = self._found_by(words["jql"])
        token = words.get("nextPageToken", "page-0")
        if not token.startswith("page-"):
            raise BadRequest("The provided next page token is invalid or expired.")
        start = int(token.removeprefix("page-"))
        end = start + min(int(words.get("maxResults", 50)), self.page_of_issues)
        answer: dict[str, Any] = {
            "issues": [self._seen(issue, words) for issue in found[start:end]]
        }
        if end < len(found):
            answer["nextPageToken"] = f"page-{end}"
        return json_answer({**answer, "isLast": end >= len(found)})

    def search(self, request: Request) -> Response:
        """Answer with a page of issues as Data Center does; Cloud has taken this away."""
        if self.is_cloud:
            raise Gone("The requested API has been removed. Please migrate to search/jql.")
        known = ("jql", "startAt", "maxResults", "validateQuery", "fields", "expand")
        words = query(request, *known)
        found = self._found_by(words["jql"], validates=words.get("validateQuery") != "false")
        start = int(words.get("startAt", 0))
        most = min(int(words.get("maxResults", 50)), self.page_of_issues)
        shown = [self._seen(issue, words) for issue in found[start : start + most]]
        page = {"startAt": start, "maxResults": most, "total": len(found)}
        return json_answer({**page, "issues": shown})

    def bulk_fetch(self, request: Request) -> Response:
        """Answer with issues by id or key, and which of them there are not; Cloud only."""
        if not self.is_cloud:
            raise NotFound("null for uri")
        query(request)
        content = body(request, "issueIdsOrKeys", "fields", "expand", "fieldsByKeys", "properties")
        if len(content["issueIdsOrKeys"]) > 100:
            raise BadRequest("At most 100 issues can be fetched.")
        wanted = [int(each) for each in content["issueIdsOrKeys"]]
        known = [self.issues[each] for each in wanted if each in self.issues]
        errors = [{"id": str(each)} for each in wanted if each not in self.issues]
        return json_answer({"issues": known, "issueErrors": errors})

    def changelog_of(self, request: Request, name: str) -> Response:
        """Answer with a page of an issue's history, oldest first; Cloud only."""
        issue = int(found(self.issues, name)["id"])
        if not self.is_cloud:
            raise NotFound("null for uri")
        words = query(request, "startAt", "maxResults")
        start, most = int(words.get("startAt", 0)), min(int(words.get("maxResults", 100)), 100)
        made = self.histories.get(issue, [])[::-1]
        page = {"startAt": start, "maxResults": most, "total": len(made)}
        end = start + most
        return json_answer({**page, "isLast": end >= len(made), "values": made[start:end]})

    def worklogs_of(self, request: Request, name: str) -> Response:
        """Answer with an issue's worklogs; Data Center gives all at once, whatever is asked."""
        words = query(request, "startAt", "maxResults", "expand")
        issue = found(self.issues, name)["id"]
        here = [each for each in self.worklogs.values() if each["issueId"] == issue]
        start, most = int(words.get("startAt", 0)), int(words.get("maxResults", 5000))
        if not self.is_cloud:
            start, most = 0, len(here)
        page = {"startAt": start, "maxResults": most, "total": len(here)}
        return json_answer({**page, "worklogs": here[start : start + most]})

    def _found_by(self, jql: str, *, validates: bool = True) -> list[dict[str, Any]]:
        """Return the issues that fit one of the three queries that are understood here."""
        every = list(self.issues.values())
        if match := re.fullmatch(r'updated >= "-([0-9]+)m" ORDER BY created ASC, key ASC', jql):
            since = self.now() - int(match[1]) * MINUTE_MS
            return [each for each in every if _at(each["fields"]["updated"]) >= since]
        day = r'"([0-9]{4}-[0-9]{2}-[0-9]{2})"'
        order = " ORDER BY created ASC, key ASC"
        if match := re.fullmatch(f"worklogDate >= {day} AND worklogDate <= {day}{order}", jql):
            # In UTC, as the account that asks has it here.
            worked = {
                log["issueId"]
                for log in self.worklogs.values()
                if match[1] <= str(_utc(log["started"]).date()) <= match[2]
            }
            return [each for each in every if each["id"] in worked]
        if match := re.fullmatch(r"id in \(([0-9,]+)\)", jql):
            wanted = match[1].split(",")
            if validates and any(int(each) not in self.issues for each in wanted):
                raise BadRequest("An issue with this id does not exist for field 'id'.")
            return [each for each in every if each["id"] in wanted]
        raise BadRequest(f"Error in the JQL Query: {jql}")

    def _seen(self, issue: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
        """Return an issue as a search shows it: with the beginning of its history and worklogs."""
        shown = {**issue, "fields": dict(issue["fields"])}
        if words.get("fields") == "worklog":
            here = [each for each in self.worklogs.values() if each["issueId"] == issue["id"]]
            page = {"startAt": 0, "maxResults": 20, "total": len(here), "worklogs": here[:20]}
            shown["fields"] = {"worklog": page}
        if words.get("expand") == "changelog":
            made = self.histories.get(int(issue["id"]), [])
            part = made[: self.page_of_changes] if self.is_cloud else made
            shown["changelog"] = {"startAt": 0, "total": len(made), "histories": part}
        return shown


def found(things: dict[int, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return a thing by id or key; raise NotFound."""
    for number, thing in things.items():
        if name in (str(number), thing.get("key")):
            return thing
    raise NotFound("It does not exist or you do not have permission to see it.")


def _at(text: str) -> int:
    return (_utc(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def jira_time(at: int) -> str:
    """Return Unix milliseconds as Jira writes them."""
    moment = datetime.fromtimestamp(at // 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}+0000"
