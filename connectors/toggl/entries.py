"""Rows of the detailed report as time entries, in the shape that webhooks give them.

The report is the one list in which an administrator finds everybody's entries; `/me/time_entries`
has only the account's own. A row names its tags by id and writes moments in the account's time
zone, a webhook writes names and UTC; what is found must read as the webhook would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ledger.events import as_utc_text

from .api import TogglApi

ROWS_AGAIN: Final = 5
"""How many rows of the last page the next one repeats: a deletion meanwhile moves all up."""
MOST_DAYS: Final = 360
"""The longest period of one report is a year."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Entries:
    """The workspace's time entries, page by page."""

    def __init__(self, api: TogglApi) -> None:
        self._api = api
        self._tags: dict[int, str] = {}

    def page(self, first_row: int, **filters: object) -> tuple[list[dict[str, Any]], int | None]:
        """Return one page of entries and the row at which to go on; None at the end."""
        rows, following = self._api.rows(first_row, **filters)
        with self._api.reading("the detailed report"):
            entries = [entry for row in rows for entry in self._entries_of(row)]
        if following is None or not rows:
            return entries, None
        return entries, max(following - ROWS_AGAIN, first_row + 1)

    def between(self, first: date, last: date) -> Iterator[dict[str, Any]]:
        """Yield the entries whose start lies on these days, in UTC as webhooks have it."""
        for begin, end in _periods(first, last):
            seen: set[int] = set()
            row: int | None = 1
            while row is not None:
                # The report's days are those of the account's time zone: one more at each end.
                entries, row = self.page(
                    row,
                    start_date=(begin - timedelta(days=1)).isoformat(),
                    end_date=(end + timedelta(days=1)).isoformat(),
                    order_by="date",
                    order_dir="ASC",
                )
                for entry in entries:
                    is_in = begin <= moment(entry["start"]).date() <= end
                    if is_in and entry["id"] not in seen:
                        yield entry
                    seen.add(entry["id"])

    def tag_names(self, ids: Iterable[int]) -> list[str]:
        """Return the names of tags; one that was deleted has none and is left out."""
        wanted = [int(number) for number in ids]
        if not self._tags.keys() >= set(wanted):
            # Asked for after the entries, so that a tag that is new on them is known.
            self._tags = self._api.tags()
        return [self._tags[number] for number in wanted if number in self._tags]

    def _entries_of(self, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        tags = self.tag_names(row.get("tag_ids") or [])
        told: Sequence[Mapping[str, Any]] = row["time_entries"]
        for entry in told:
            stop = entry.get("stop")
            yield {
                "id": int(entry["id"]),
                "workspace_id": self._api.workspace,
                "user_id": row["user_id"],
                "project_id": row.get("project_id"),
                "task_id": row.get("task_id"),
                "billable": row.get("billable"),
                "description": row.get("description"),
                "tags": tags,
                "tag_ids": list(row.get("tag_ids") or []),
                "start": as_utc_text(moment(entry["start"])),
                "stop": as_utc_text(moment(stop)) if stop else None,
                "duration": entry["seconds"],
                "at": moment(entry["at"]).astimezone(UTC).isoformat(),
            }


def moment(text: str) -> datetime:
    """Return a moment with its offset; raise ValueError if it has none."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a moment without its offset")
    return found


def milliseconds(at: datetime) -> int:
    """Return an aware moment in Unix milliseconds."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _periods(first: date, last: date) -> Iterator[tuple[date, date]]:
    while first <= last:
        end = min(first + timedelta(days=MOST_DAYS), last)
        yield first, end
        first = end + timedelta(days=1)
