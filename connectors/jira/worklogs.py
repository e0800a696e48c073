"""Jira's worklogs as its API tells them: what changed since a moment, and those of a period."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from jira import JIRA

from ledger.errors import PermanentError

from .session import reading

MOST_IDS: Final = 1000
"""How many worklogs Jira gives for one request."""
WORKLOGS_A_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Ids:
    """One page of worklogs that changed or were deleted."""

    at: Mapping[int, int]
    """When, in Unix milliseconds, by the worklog's id; oldest first."""
    until: int
    """How far this page reaches, in Unix milliseconds."""
    is_last: bool


def changed(client: JIRA, what: str, since: int) -> Ids:
    """Return the first page of worklogs `updated` or `deleted` since a moment (Unix ms).

    Jira leaves out what happened in the minute before the request:
    https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-worklogs/
    """
    with reading(f"worklogs {what}"):
        # The next page's address in the answer is not used: addresses come from settings only.
        page = client._get_json(f"worklog/{what}", params={"since": max(since, 0)})
        at = {int(entry["worklogId"]): int(entry["updatedTime"]) for entry in page["values"]}
        # Data Center's reference knows both words.
        is_last = bool(page["isLastPage"] if "isLastPage" in page else page["lastPage"])
        until = int(page.get("until") or since)
    if not is_last and until <= since:
        raise PermanentError(
            f"jira: worklogs {what}: more than {MOST_IDS} have the same time, so that none can be"
            " skipped safely - replay them by hand"
        )
    return Ids(at, until, is_last)


def listed(client: JIRA, ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return the worklogs with these ids, at most `MOST_IDS`; those that are gone are left out."""
    wanted = list(ids)
    if not wanted:
        return []
    with reading("the list of worklogs"):
        url = client._get_url("worklog/list")
        answer = client._session.post(url, data=json.dumps({"ids": wanted}))
        return [dict(worklog) for worklog in answer.json(parse_float=Decimal)]


def days_around(first: date, last: date) -> str:
    """Return the JQL for issues with work on these days, whatever zone their dates are meant in."""
    before, after = first - timedelta(days=1), last + timedelta(days=1)
    return f'worklogDate >= "{before}" AND worklogDate <= "{after}"'


def in_period(
    client: JIRA, issue: Mapping[str, Any], first: date, last: date
) -> Iterator[dict[str, Any]]:
    """Yield an issue's worklogs of a period; `issue` may hold the first ones, as a search gives."""
    with reading(f"the worklogs of issue {issue['id']}"):
        page = (issue.get("fields") or {}).get("worklog") or {"worklogs": [], "total": None}
        start, seen = 0, set[str]()
        while True:
            # Data Center gives all of them from the first, whatever page is asked for.
            fresh = [worklog for worklog in page["worklogs"] if str(worklog["id"]) not in seen]
            seen |= {str(worklog["id"]) for worklog in fresh}
            yield from (dict(each) for each in fresh if first <= local_date(each) <= last)
            start += len(page["worklogs"])
            is_begun = page["total"] is not None
            if is_begun and (start >= page["total"] or not page["worklogs"]):
                return
            url = client._get_url(f"issue/{int(issue['id'])}/worklog")
            words = {"startAt": start, "maxResults": WORKLOGS_A_PAGE}
            page = client._session.get(url, params=words).json(parse_float=Decimal)


def local_date(worklog: Mapping[str, Any]) -> date:
    """Return the date that the author means, as the webhook source reads it.

    Cloud writes times in the zone of the account that asks, so the author's own is used; Data
    Center writes them in its server's.
    """
    started, author = moment(worklog["started"]), worklog.get("author") or {}
    zone = author.get("timeZone") if author.get("accountId") else None
    try:
        return started.astimezone(ZoneInfo(zone)).date() if zone else started.date()
    except (ValueError, OSError, KeyError):
        return started.date()


def moment(text: str) -> datetime:
    """Return a Jira time, `2021-01-17T12:34:00.000+0000`, with its own offset; raise ValueError.

    >>> moment("2026-03-04T23:30:00.000-0500").isoformat()
    '2026-03-04T23:30:00-05:00'
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without its offset")
    return found


def milliseconds(at: datetime) -> int:
    """Return an aware time in Unix milliseconds, exactly.

    >>> milliseconds(datetime(2026, 1, 1, 0, 0, 0, 652000, tzinfo=UTC)) % 1000
    652
    """
    since_1970 = at - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since_1970.days * 86400 + since_1970.seconds
    return seconds * 1000 + since_1970.microseconds // 1000
