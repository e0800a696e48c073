"""What Redmine's bodies say: time entries, issues and versions, as its REST API shows them.

Its moments are UTC to the second, so the date of a closed issue is the UTC date; a time entry
says its own date (`spent_on`).
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Final

from ledger.errors import PayloadError
from ledger.events import Delivery, Event, Fact, Reading
from ledger.money import round_seconds, seconds_of

from ..payload import Payload, milliseconds

KEY: Final = "redmine"
MOST_HOURS: Final = Decimal(500_000)
REJECTED: Final = frozenset(
    {"rejected", "abgewiesen", "abgelehnt", "rejeté", "rejetée", "rechazado", "rechazada"}
    | {"afgewezen", "rifiutato", "odrzucony", "rejeitado", "rejeitada"}
)
"""Closed without the work being done. Redmine marks it by nothing but the name."""


def entry_logged(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry.created` and `time_entry.updated`: the entry as it now stands."""
    return found_entry(payload["data"]["time_entry"], delivery)


def found_entry(entry: Payload, delivery: Delivery) -> Reading:
    """Read a time entry as the API gives it."""
    version = milliseconds(entry.moment("updated_on"))
    return _one(_entry("time.logged", entry, delivery, version, seconds(entry, "hours")))


def entry_removed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `time_entry.deleted`, which still carries the entry; when it went is beside it."""
    entry = payload["data"]["time_entry"]
    version = milliseconds(payload.moment("timestamp"))
    return _one(_entry("time.removed", entry, delivery, version, None))


def _entry(
    kind: str, entry: Payload, delivery: Delivery, version: int, worked: int | None
) -> Event:
    day = entry.day("spent_on")
    issue, user = _id(entry, "issue"), entry.optional("user")
    return Event(
        kind=kind,
        source=KEY,
        endpoint=delivery.endpoint,
        subject=f"time_entry:{entry.integer('id', least=1)}",
        version=version,
        occurred_at=datetime.combine(day, time(), UTC),
        on=day,
        project=_name(entry, "project"),
        item=None if issue is None else f"#{issue}",
        person=_id(entry, "user"),
        person_name=user.optional_text("name") if user is not None else None,
        seconds=worked,
        fields=_said(
            **_custom_fields(entry),
            activity=_name(entry, "activity"),
            comment=(entry.optional_text("comments") or "").strip() or None,
            issue_id=issue,
            project_id=_id(entry, "project"),
        ),
        about=None if issue is None else f"issue:{issue}",
    )


def seconds(entry: Payload, name: str) -> int:
    """Return decimal hours in seconds.

    Redmine counts minutes (since 6.0) but writes hours with two decimals: 20 minutes are 0.33.
    Hours that some number of minutes is written as are those minutes, exactly. Others, which
    only older servers can have, are taken as they stand, to the second, half up.
    """
    hours = entry.decimal(name)
    if not 0 <= hours <= MOST_HOURS:
        raise PayloadError(entry.path_of(name), f"must be between 0 and {MOST_HOURS} hours")
    exact = seconds_of(hours)
    minutes = round_seconds(exact, 60, "nearest")
    # Two decimals are at most 18 seconds off: less than half a minute, so there is only one.
    is_written_for_minutes = hours * 100 % 1 == 0 and abs(minutes - exact) < 18
    return minutes if is_written_for_minutes else exact


def issue_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issue.created`, which counts only if it is closed already."""
    issue = payload["data"]["issue"]
    if _is_completed(issue):
        return _state(issue, delivery)
    facts = (_fact(issue),)
    return Reading(facts=facts, ignored="the issue was created: no work is completed yet")


def issue_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issue.updated`: completed or reopened if its journal tells another status.

    Without a journal it is not known what changed, so that the present status counts; an open
    issue is then told as reopened, which changes nothing where nothing was completed before.
    """
    data = payload["data"]
    issue, journal = data["issue"], data.optional("journal")
    if journal is not None and journal.has("details"):
        changed = {detail.optional_text("prop_key") for detail in journal.items("details")}
        if "status_id" not in changed:
            return Reading(facts=(_fact(issue),), ignored="the issue changed, but not its status")
    return _state(issue, delivery)


def issue_closed(payload: Payload, delivery: Delivery) -> Reading:
    """Read `issue.closed`, which tells what the `issue.updated` of the same moment tells."""
    return _state(payload["data"]["issue"], delivery)


def found_issue(issue: Payload, delivery: Delivery) -> Reading:
    """Read an issue as the API gives it: completed, or open."""
    return _state(issue, delivery)


def _state(issue: Payload, delivery: Delivery) -> Reading:
    is_completed = _is_completed(issue)
    # Issues that were closed before Redmine kept the moment have none.
    is_told = is_completed and issue.has("closed_on")
    at = issue.moment("closed_on" if is_told else "updated_on")
    fact, assignee = _fact(issue), issue.optional("assigned_to")
    event = Event(
        kind="work.completed" if is_completed else "work.reopened",
        source=KEY,
        endpoint=delivery.endpoint,
        subject=fact.about,
        version=fact.version,
        occurred_at=at.astimezone(UTC),
        on=at.astimezone(UTC).date(),
        project=fact.project,
        item=fact.item,
        title=fact.title,
        person=_id(issue, "assigned_to"),
        person_name=assignee.optional_text("name") if assignee is not None else None,
        fields={
            **fact.fields,
            **_said(
                **_custom_fields(issue),
                priority=_name(issue, "priority"),
                project_id=_id(issue, "project"),
                status=issue["status"].optional_text("name"),
            ),
        },
    )
    return Reading(events=(event,), facts=(fact,))


def _fact(issue: Payload) -> Fact:
    """Return what time entries leave out about their issue."""
    number = issue.integer("id", least=1)
    return Fact(
        about=f"issue:{number}",
        version=milliseconds(issue.moment("updated_on")),
        project=_name(issue, "project"),
        item=f"#{number}",
        title=issue.optional_text("subject"),
        fields=_said(
            category=_name(issue, "category"),
            tracker=_name(issue, "tracker"),
            version=_name(issue, "fixed_version"),
        ),
    )


def _is_completed(issue: Payload) -> bool:
    """Return whether the work is done: the status is a closed one, and not called "Rejected".

    https://www.redmine.org/projects/redmine/wiki/Rest_Issues (`is_closed` since 5.0)
    """
    status = issue["status"]
    name = (status.optional_text("name") or "").strip().casefold()
    return status.boolean("is_closed") and name not in REJECTED


def version_created(payload: Payload, delivery: Delivery) -> Reading:
    """Read `version.created`, which counts only if it is closed already."""
    version = payload["data"]["version"]
    if version.text("status") != "closed":
        return Reading(ignored="the version was created: it is not closed yet")
    return found_version(version, delivery)


def version_updated(payload: Payload, delivery: Delivery) -> Reading:
    """Read `version.updated`: it tells no previous status, so each update tells the present."""
    return found_version(payload["data"]["version"], delivery)


def found_version(version: Payload, delivery: Delivery) -> Reading:
    """Read a version as the API gives it; one that stands open is told as reopened."""
    is_closed = version.text("status") == "closed"
    at = version.moment("updated_on")
    return _one(
        Event(
            kind="milestone.completed" if is_closed else "milestone.reopened",
            source=KEY,
            endpoint=delivery.endpoint,
            subject=f"version:{version.integer('id', least=1)}",
            version=milliseconds(at),
            occurred_at=at.astimezone(UTC),
            on=at.astimezone(UTC).date(),
            project=_name(version, "project"),
            title=version.text("name"),
            fields=_said(
                **_custom_fields(version),
                due_date=version.optional_text("due_date"),
                project_id=_id(version, "project"),
            ),
        )
    )


def _name(thing: Payload, member: str) -> str | None:
    named = thing.optional(member)
    return named.optional_text("name") if named is not None else None


def _id(thing: Payload, member: str) -> str | None:
    named = thing.optional(member)
    return str(named.integer("id", least=1)) if named is not None else None


def _custom_fields(thing: Payload) -> dict[str, Any]:
    """Return the custom fields by the names that Redmine's own filters use: `cf_3`."""
    found = {}
    for field in thing.items("custom_fields") if thing.has("custom_fields") else ():
        value = field.raw("value")
        values = value if isinstance(value, list) else [value]
        if value not in ("", []) and all(isinstance(each, str) for each in values):
            found[f"cf_{field.integer('id', least=1)}"] = value
    return found


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _one(event: Event) -> Reading:
    return Reading(events=(event,))
