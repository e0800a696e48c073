"""The detailed report as the stand-in answers it; never for production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

ZONE: Final = timezone(timedelta(hours=-5))
"""The time zone of the account, in which the report writes its moments."""
PAGE_SIZE: Final = 20
"""The most rows that a page holds here."""
FILTERS: Final = (
    *("billable", "client_ids", "description", "end_date", "enrich_response", "first_id"),
    *("first_row_number", "first_timestamp", "group_ids", "grouped", "hide_amounts"),
    *("max_duration_seconds", "min_duration_seconds", "order_by", "order_dir", "page_size"),
    *("project_ids", "rounding", "rounding_minutes", "start_date", "tag_ids", "task_ids"),
    *("time_entry_ids", "user_ids"),
)
_YEAR: Final = timedelta(days=366)


def within_a_year(filters: Mapping[str, Any]) -> bool:
    """Return whether the report's period, if it has one, is short enough."""
    first, last = (filters.get(name) for name in ("start_date", "end_date"))
    return not (first and last) or date.fromisoformat(last) - date.fromisoformat(first) <= _YEAR


def page(
    entries: Sequence[Mapping[str, Any]], filters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], int | None]:
    """Return one page of rows, and the number of the next page's first row."""
    if "first_id" in filters:
        return [], None
    first, last = (filters.get(name) for name in ("start_date", "end_date"))
    found = [
        entry
        for entry in entries
        if entry["duration"] >= 0
        and (not first or first <= _local(entry["start"])[:10])
        and (not last or _local(entry["start"])[:10] <= last)
        and entry["id"] in filters.get("time_entry_ids", [entry["id"]])
    ]
    by = {"date": "start", "last_update": "at"}[filters.get("order_by", "date")]
    found.sort(key=lambda entry: str(entry[by]), reverse=filters.get("order_dir") == "DESC")
    begin = filters.get("first_row_number", 1) - 1
    size = min(filters.get("page_size", 50), PAGE_SIZE)
    rounding = 0 if filters.get("rounding") == 0 else 900
    shown = found[begin : begin + size]
    rows = [_row(entry, begin + place, rounding) for place, entry in enumerate(shown, 1)]
    return rows, begin + size + 1 if begin + size < len(found) else None


def _row(entry: Mapping[str, Any], number: int, rounding: int) -> dict[str, Any]:
    seconds = entry["duration"]
    if rounding:
        seconds = -(-seconds // rounding) * rounding
    return {
        **{name: entry[name] for name in ("user_id", "project_id", "task_id", "billable")},
        "username": f"Person {entry['user_id']}",
        "description": entry["description"],
        "tag_ids": list(entry["tag_ids"]) or None,
        "billable_amount_in_cents": None,
        "hourly_rate_in_cents": None,
        "currency": "EUR",
        "time_entries": [
            {
                "id": entry["id"],
                "seconds": seconds,
                "start": _local(entry["start"]),
                "stop": _local(entry["stop"]),
                "at": entry["at"],
                "at_tz": _local(entry["at"]),
            }
        ],
        "row_number": number,
    }


def _local(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(ZONE).isoformat(timespec="seconds")
