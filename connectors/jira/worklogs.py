"""Worklogs that webhooks may have missed: what changed since a moment, as events.

`connector.py` calls it for the periodic poll; deliveries of the same facts are recognized
later by subject and version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jira import JIRA

from ledger.errors import PermanentError
from ledger.events import Event

from .session import reading

OVERLAP_MS: Final = 5 * 60 * 1000
"""How far each poll reaches back before the last one's end.

Jira leaves out what changed in the minute before the request, and a cluster's clocks differ:
https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issue-worklogs/
"""
MOST_IDS: Final = 1000
"""How many worklogs Jira gives for one request."""


def server_time(client: JIRA) -> int:
    """Return Jira's own clock in Unix milliseconds."""
    with reading("the server's time"):
        return milliseconds(moment(client.server_info()["serverTime"]))


def changed_since(client: JIRA, since: int, *, endpoint: str) -> tuple[list[Event], int]:
    """Return what was logged, changed or removed since a moment (Unix ms), and the one reached."""
    updated, updated_until = _ids(client, "updated", since - OVERLAP_MS)
    deleted, deleted_until = _ids(client, "deleted", since - OVERLAP_MS)
    events = [
        event
        for start in range(0, len(updated), MOST_IDS)
        for event in _logged(client, list(updated)[start : start + MOST_IDS], endpoint)
    ]
    events += [_removed(number, at, endpoint) for number, at in deleted.items()]
    return events, max(since, updated_until, deleted_until)


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


def _ids(client: JIRA, what: str, since: int) -> tuple[dict[int, int], int]:
    """Return worklog ids with their time of change, oldest first, over all pages, and the end."""
    found: dict[int, int] = {}
    with reading(f"worklogs {what}"):
        while True:
            # The next page's address in the answer is not used: addresses come from settings only.
            page = client._get_json(f"worklog/{what}", params={"since": max(since, 0)})
            for entry in page["values"]:
                found[int(entry["worklogId"])] = int(entry["updatedTime"])
            until = int(page.get("until") or since)
            if page["lastPage"]:
                return found, until
            if until <= since:
                break
            since = until
    raise PermanentError(
        f"jira: worklogs {what}: more than {MOST_IDS} have the same time, so that none can be"
        " skipped safely - replay them by hand"
    )


def _logged(client: JIRA, ids: list[int], endpoint: str) -> list[Event]:
    with reading("the list of worklogs"):
        url = client._get_url("worklog/list")
        answer = client._session.post(url, data=json.dumps({"ids": ids}))
        return [_event(worklog, endpoint) for worklog in answer.json()]


def _event(worklog: Mapping[str, Any], endpoint: str) -> Event:
    started = moment(worklog["started"])
    author = worklog.get("author") or {}
    comment = (worklog.get("comment") or "").strip()
    return Event(
        kind="time.logged",
        source="jira",
        endpoint=endpoint,
        subject=f"worklog:{worklog['id']}",
        version=milliseconds(moment(worklog["updated"])),
        occurred_at=started.astimezone(UTC),
        on=started.date(),
        # Cloud names people by accountId alone, Data Center by key and name.
        person=author.get("accountId") or author.get("key") or author.get("name"),
        person_name=author.get("displayName"),
        seconds=int(worklog["timeSpentSeconds"]),
        fields={
            "issue_id": str(worklog["issueId"]),
            **({"comment": comment} if comment else {}),
        },
        about=f"issue:{worklog['issueId']}",
    )


def _removed(worklog: int, at: int, endpoint: str) -> Event:
    seconds, rest = divmod(at, 1000)
    when = datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest * 1000)
    return Event(
        kind="time.removed",
        source="jira",
        endpoint=endpoint,
        subject=f"worklog:{worklog}",
        version=at,
        occurred_at=when,
        on=when.date(),
    )
