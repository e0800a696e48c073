"""What Jira's webhooks may have missed, page by page: worklogs, deletions, issues that moved.

The cursor says how far each of the three was read, by Jira's own clock, and while pages are being
turned also where each of them goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from jira import JIRA

from connectors.connector import Changes
from connectors.cursor import Cursor
from ledger.errors import RejectedError
from ledger.events import GONE, Found

from . import issues, worklogs

OVERLAP_MS: Final = 5 * 60 * 1000
"""How far each poll reaches back before the last one's end: a cluster's clocks differ."""
ISSUE_OVERLAP_MS: Final = 15 * 60 * 1000
"""The same for issues: a search may not see yet what has just changed."""
MINUTE_MS: Final = 60 * 1000


@dataclass(frozen=True, slots=True)
class Pages(Cursor):
    """Where a poll that is under way goes on; None: that one is finished."""

    jql: str
    until: int
    """Jira's clock when the poll began."""
    updated: int | None = None
    deleted: int | None = None
    issues: str | None = None


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """How far was read, in Unix milliseconds by Jira's clock."""

    updated: int
    deleted: int
    issues: int
    pages: Pages | None = None


def changes_since(client: JIRA, cursor: str | None) -> Changes:
    """Return one page of what changed; see `ProjectConnector.changes_since`."""
    where = issues.site(client)
    if cursor is None:
        return Changes((), Place(where.now, where.now, where.now).text)
    at = Place.read(cursor, "jira")
    pages = at.pages or _begin(at, where.now)
    found: list[Found] = []
    if pages.updated is not None:
        told = worklogs.changed(client, "updated", pages.updated)
        found += [Found.thing("worklog", each) for each in worklogs.listed(client, told.at)]
        at = replace(at, updated=max(at.updated, told.until))
        pages = replace(pages, updated=None if told.is_last else told.until)
    if pages.deleted is not None:
        told = worklogs.changed(client, "deleted", pages.deleted)
        found += [
            Found.thing(GONE, {"subject": f"worklog:{number}", "version": when})
            for number, when in told.at.items()
        ]
        at = replace(at, deleted=max(at.deleted, told.until))
        pages = replace(pages, deleted=None if told.is_last else told.until)
    if pages.issues is not None:
        moved, following = _moved(client, where, at, pages, pages.issues)
        found += [Found.thing("issue", each) for each in moved]
        pages = replace(pages, issues=following)
    if (pages.updated, pages.deleted, pages.issues) != (None, None, None):
        return Changes(found, replace(at, pages=pages).text, is_all=False)
    return Changes(found, replace(at, issues=max(at.issues, pages.until), pages=None).text)


def _begin(at: Place, now: int) -> Pages:
    # Dates in JQL are minutes in the account's own zone; "so many minutes ago" needs no zone.
    minutes = -(-max(now - at.issues, 0) // MINUTE_MS) + ISSUE_OVERLAP_MS // MINUTE_MS
    return Pages(
        updated=at.updated - OVERLAP_MS,
        deleted=at.deleted - OVERLAP_MS,
        issues="",
        jql=f'updated >= "-{minutes}m" {issues.ORDER}',
        until=now,
    )


def _moved(
    client: JIRA, where: issues.Site, at: Place, pages: Pages, page: str
) -> tuple[list[dict[str, Any]], str | None]:
    wanted = {"fields": issues.FIELDS, "expand": "changelog"}
    try:
        told, following = issues.page_of(client, where, pages.jql, page, **wanted)
    except RejectedError:
        if not page:
            raise
        # A page's name expires after some days; the first page's never does.
        told, following = issues.page_of(client, where, pages.jql, "", **wanted)
    since = at.issues - ISSUE_OVERLAP_MS
    moved = [issues.moved_since(client, each, since) for each in told]
    return [each for each in moved if each is not None], following
