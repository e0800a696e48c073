"""What sources tell, in our words: events and facts. Everything after `normalize` speaks these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

KINDS: Final = {
    "time.logged": "a time entry as it now stands: new or changed",
    "time.removed": "a time entry that no longer exists",
    "time.total": "a work item's cumulative time; what is billed is the change",
    "milestone.completed": "a milestone, phase, version or sprint was completed",
    "milestone.reopened": "a completed milestone was opened again",
    "work.completed": "an issue, story, task or work package was completed",
    "work.reopened": "completed work was opened again",
    "release.published": "a release was published",
    "deployment.succeeded": "a deployment reached its environment",
    "approval.granted": "a timesheet was approved",
    "expense.logged": "an expense as it now stands",
    "usage.recorded": "a metered quantity as it now stands",
    "invoice.changed": "a billing system's hint that an invoice changed there",
}
"""Every event kind and what it means. A new kind starts here."""

UNDOES: Final = {
    "time.removed": ("time.logged",),
    "milestone.reopened": ("milestone.completed",),
    "work.reopened": ("work.completed",),
}
"""Kinds whose subject is worth nothing any more, and what they take back."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request as it arrived: nothing decoded, nothing trusted."""

    headers: Mapping[str, str]
    """Header values by lower-case name."""
    body: bytes
    """Exactly the bytes that were signed."""
    received_at: datetime
    endpoint: str = ""
    """The configured endpoint's name; a source reads it only to name itself."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact about one subject, in our words. What the tool does not say is None."""

    kind: str
    source: str
    endpoint: str
    subject: str
    """The thing that it is about, stable for ever within its endpoint: `worklog:100028`."""
    version: int
    """Orders the facts about one subject: the tool's own time of change in Unix milliseconds.

    The greatest version is the present one, in whatever order deliveries arrive.
    """
    occurred_at: datetime
    """When the work was done or the milestone was reached: aware, UTC."""
    on: date
    """The local date that the tool means; it decides the billing period."""
    project: str | None = None
    item: str | None = None
    title: str | None = None
    person: str | None = None
    """The tool's stable id of the person who worked (an account id, a login)."""
    person_name: str | None = None
    seconds: int | None = None
    billable: bool | None = None
    labels: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The tool's own fields that rules may reach by path: JSON values, decimals as `Decimal`."""
    about: str | None = None
    """Names the remembered thing (`issue:10014`) whose `Fact` fills in what is None here."""

    def as_json(self) -> dict[str, Any]:
        """Return the event as the JSON object that the command line and the API promise."""
        return {
            "kind": self.kind,
            "source": self.source,
            "endpoint": self.endpoint,
            "subject": self.subject,
            "occurred_at": as_utc_text(self.occurred_at),
            "on": self.on.isoformat(),
            "project": self.project,
            "item": self.item,
            "title": self.title,
            "person": self.person,
            "person_name": self.person_name,
            "seconds": self.seconds,
            "billable": self.billable,
            "labels": list(self.labels),
            "fields": dict(self.fields),
        }

    def digest(self) -> str:
        """Return the SHA-256 of everything that the event says: equal facts have equal digests."""
        content = [self.as_json(), self.version, self.about]
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def filled_in(self, fact: Fact) -> Event:
        """Return this event with what it leaves open taken from a remembered fact."""
        return replace(
            self,
            project=self.project or fact.project,
            item=self.item or fact.item,
            title=self.title or fact.title,
            labels=self.labels or fact.labels,
            fields={**fact.fields, **self.fields},
        )


@dataclass(frozen=True, slots=True)
class Fact:
    """What a delivery tells in passing about a thing that other events only name by an id."""

    about: str
    """The thing, stable within its endpoint: `issue:10014`, `project:10000`."""
    version: int
    """Unix milliseconds; the greatest is the present one."""
    project: str | None = None
    item: str | None = None
    title: str | None = None
    labels: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one delivery says: events, facts told in passing and, if there is no event, why not."""

    events: tuple[Event, ...] = ()
    facts: tuple[Fact, ...] = ()
    ignored: str | None = None
    """Why there is no event, in words for the admin; None if there are events."""


def as_utc_text(moment: datetime) -> str:
    """Return an aware datetime as RFC 3339 in UTC, whole seconds, with a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_json(value: object) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, decimals as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
