"""Jira's issues as its API tells them: searched, asked for in bulk, and as facts.

Cloud and Data Center search at different addresses: Cloud has only `search/jql`, whose pages
are named by a token; Data Center has only `search`, whose pages are counted.
https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-search/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from jira import JIRA

from ledger.errors import RejectedError
from ledger.events import Fact

from .session import reading
from .worklogs import milliseconds, moment

FIELDS: Final = "*all,-comment,-worklog,-attachment,-description,-issuelinks,-lastViewed,-watches"
"""Jira can leave fields out but not select "all custom fields": these are long or fickle ones."""
LONGEST_FIELD: Final = 255
"""Jira's one-line texts end here; longer ones are prose or an app's internal state."""
ISSUES_A_PAGE: Final = 50
MOST_AT_ONCE: Final = 100
"""https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/"""
STEP_BACK: Final = 10
"""By how many issues counted pages overlap, because one may vanish while they are turned."""
ORDER: Final = "ORDER BY created ASC, key ASC"
"""Neither changes, so that a page keeps its place while issues are worked on."""


@dataclass(frozen=True, slots=True)
class Site:
    """What Jira says of itself."""

    now: int
    """Its own clock in Unix milliseconds."""
    is_cloud: bool


def site(client: JIRA) -> Site:
    """Return Jira's clock and which of the two it is."""
    with reading("the server's time"):
        told = client.server_info()
        now = milliseconds(moment(told["serverTime"]))
        return Site(now, told.get("deploymentType") == "Cloud")


def page_of(
    client: JIRA, where: Site, jql: str, page: str, *, fields: str, expand: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of the issues that fit, and the name of the next one, None after the last.

    The first page's name is empty.
    """
    words: dict[str, str | int] = {"jql": jql, "fields": fields, "maxResults": ISSUES_A_PAGE}
    if expand:
        words["expand"] = expand
    if where.is_cloud:
        if page:
            words["nextPageToken"] = page
        answer = _asked(client, "search/jql", words)
        with reading("a search"):
            return list(answer["issues"]), answer.get("nextPageToken") or None
    start = int(page) if page.isdecimal() else 0
    answer = _asked(client, "search", {**words, "startAt": start})
    with reading("a search"):
        issues, end = list(answer["issues"]), start + len(answer["issues"])
        if not issues or end >= answer["total"]:
            return issues, None
        return issues, str(max(end - STEP_BACK, start + 1))


def all_of(client: JIRA, where: Site, jql: str, *, fields: str) -> Iterator[dict[str, Any]]:
    """Yield all issues that fit, each once."""
    page: str | None = ""
    seen: set[str] = set()
    while page is not None:
        issues, page = page_of(client, where, f"{jql} {ORDER}", page, fields=fields)
        with reading("a search"):
            fresh = [issue for issue in issues if issue["id"] not in seen]
            seen |= {issue["id"] for issue in fresh}
        yield from fresh


def facts(client: JIRA, where: Site, numbers: Sequence[str]) -> dict[str, Fact]:
    """Return what Jira tells about issues by their ids, a hundred for each request."""
    told: dict[str, Fact] = {}
    for start in range(0, len(numbers), MOST_AT_ONCE):
        for issue in _bulk(client, where, numbers[start : start + MOST_AT_ONCE]):
            with reading("issues"):
                told[str(issue["id"])] = fact(issue)
    return told


def fact(issue: Mapping[str, Any]) -> Fact:
    """Return an issue as it is remembered; as a delivery about it would tell it."""
    fields = issue["fields"]
    custom = {
        name: told
        for name, value in fields.items()
        if name.startswith("customfield_") and (told := _told(value)) is not None
    }
    return Fact(
        about=f"issue:{issue['id']}",
        version=milliseconds(moment(fields["updated"])),
        project=fields["project"]["key"],
        item=issue["key"],
        title=fields["summary"],
        labels=tuple(fields.get("labels") or ()),
        fields={
            "issue_type": fields["issuetype"]["name"],
            "fix_versions": [version["name"] for version in fields.get("fixVersions") or ()],
            **custom,
        },
    )


def moved_since(client: JIRA, issue: Mapping[str, Any], since: int) -> dict[str, Any] | None:
    """Return an issue with its last move from status to status, None if it did not move since.

    What else changed in an issue is not told: it would give the old completion other fields.
    """
    with reading("the history of an issue"):
        fields = issue["fields"]
        status = fields.get("status") or {}
        category = (status.get("statusCategory") or {}).get("key")
        # Servers that know no status categories mark what is done by its resolution.
        decisive = "status" if category else "resolution"
        log = issue.get("changelog") or {}
        moves = [each for each in log.get("histories") or () if _is_of(each, decisive)]
        if not moves and len(log.get("histories") or ()) < (log.get("total") or 0):
            moves = [each for each in _history(client, issue) if _is_of(each, decisive)]
        last = max(moves, key=_made_at, default=None)
        is_done = category == "done" if category else bool(fields.get("resolution"))
        if last is None and not is_done:
            return None
        at = _made_at(last or fields)
        if at < since:
            return None
        named = {name: issue[name] for name in ("id", "key", "fields")}
        return {**named, "changelog": {"histories": [last] if last else []}}


def _history(client: JIRA, issue: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an issue's whole history, of which a search in Cloud gives only the newest part."""
    url, start, is_last = client._get_url(f"issue/{int(issue['id'])}/changelog"), 0, False
    while not is_last:
        words = {"startAt": start, "maxResults": MOST_AT_ONCE}
        page = client._session.get(url, params=words).json()
        yield from page["values"]
        start += len(page["values"])
        is_last = start >= page["total"] or not page["values"]


def _is_of(change: Mapping[str, Any], field: str) -> bool:
    return any(
        (item.get("fieldId") or item["field"]).lower() == field
        for item in change["items"]
        if item.get("fieldtype") != "custom"
    )


def _made_at(thing: Mapping[str, Any]) -> int:
    return milliseconds(moment(thing["created"]))


def _asked(
    client: JIRA,
    path: str,
    words: Mapping[str, str | int],
    *,
    parse_float: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Return an answer; its fractions stay JSON numbers, as webhooks write them, unless parsed."""
    with reading("a search"):
        answer = client._session.get(client._get_url(path), params=words)
        return dict(answer.json(parse_float=parse_float))


def _bulk(client: JIRA, where: Site, numbers: Sequence[str]) -> list[Mapping[str, Any]]:
    if where.is_cloud:
        with reading("issues"):
            sent = {"issueIdsOrKeys": list(numbers), "fields": FIELDS.split(",")}
            url = client._get_url("issue/bulkfetch")
            answer = client._session.post(url, data=json.dumps(sent))
            return list(answer.json(parse_float=Decimal)["issues"])
    words: dict[str, str | int] = {
        "jql": f"id in ({','.join(numbers)})",
        "fields": FIELDS,
        "maxResults": MOST_AT_ONCE,
        # Otherwise one id that is gone or hidden refuses them all.
        "validateQuery": "false",
    }
    try:
        return list(_asked(client, "search", words, parse_float=Decimal).get("issues") or ())
    except RejectedError:
        return []


def _told(value: object) -> object:
    """Return a custom field as rules can compare it, None if it is of no use to them.

    These are the conventions of the webhook source, so that a fact reads the same whether it
    was told or asked for: options are objects with a `value`, users and versions have a `name`.
    """
    if isinstance(value, dict):
        value = value.get("value", value.get("name"))
        return None if isinstance(value, dict | list) else _told(value)
    if isinstance(value, list):
        entries = [_told(entry) for entry in value if not isinstance(entry, list)]
        return [entry for entry in entries if entry is not None] or None
    if isinstance(value, str) and not 0 < len(value) <= LONGEST_FIELD:
        return None
    return value
