"""What Tempo's worklogs say: whose time, how much of it is billed, on which issue."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, Final

from ledger.events import Delivery, Event, Reading

from ..payload import Payload, milliseconds

KEY: Final = "tempo"
MOST_SECONDS: Final = 2**31 - 1


def worklog(payload: Payload, delivery: Delivery) -> Reading:
    """Read one worklog as the API tells it."""
    return Reading(events=(_entry(payload, delivery),))


def worklogs(payload: Payload, delivery: Delivery) -> Reading:
    """Read a page of worklogs."""
    events = tuple(_entry(each, delivery) for each in payload.items("results"))
    return Reading(events=events, ignored=None if events else "the page holds no worklog")


def _entry(entry: Payload, delivery: Delivery) -> Event:
    spent = entry.integer("timeSpentSeconds", least=0, most=MOST_SECONDS)
    billed = (
        entry.integer("billableSeconds", least=0, most=MOST_SECONDS)
        if entry.has("billableSeconds")
        else None
    )
    day = entry.day("startDate")
    # `startTime` is in the author's own time zone, which Tempo does not tell.
    started = (
        entry.moment("startDateTimeUtc").astimezone(UTC)
        if entry.has("startDateTimeUtc")
        else datetime.combine(day, time(), UTC)
    )
    issue = entry["issue"].identifier("id")
    return Event(
        kind="time.logged",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"worklog:{entry.identifier('tempoWorklogId')}",
        version=milliseconds(entry.moment("updatedAt")),
        occurred_at=started,
        on=day,
        person=entry["author"].identifier("accountId"),
        # What the firm wants billed; where that is nothing, the time that is not billed.
        seconds=billed or spent,
        billable=None if billed is None else billed > 0,
        fields=_fields(entry, issue, spent, billed),
        about=f"issue:{issue}",
    )


def _fields(entry: Payload, issue: str, spent: int, billed: int | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"issue_id": issue, "time_spent_seconds": spent}
    if billed is not None:
        fields["billable_seconds"] = billed
    comment = (entry.optional_text("description") or "").strip()
    if comment:
        fields["comment"] = comment
    attributes = entry.optional("attributes")
    if attributes is not None and attributes.has("values"):
        told = {each.text("key"): each.raw("value") for each in attributes.items("values")}
        known = {key: value for key, value in told.items() if isinstance(value, str | int | bool)}
        if known:
            fields["attributes"] = known
        account = known.get("_Account_")
        if isinstance(account, str) and account:
            fields["account"] = account
    return fields
