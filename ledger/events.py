"""What sources tell, in our words: events and facts. Everything after `normalize` speaks these."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
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
    "fee.due": "a recurring fee whose period has come",
    "fee.dropped": "a recurring fee that the rules no longer have for a period",
}
"""Every event kind and what it means. A new kind starts here."""

UNDOES: Final = {
    "time.removed": ("time.logged",),
    "milestone.reopened": ("milestone.completed",),
    "work.reopened": ("work.completed",),
    "fee.dropped": ("fee.due",),
}
"""Kinds whose subject is worth nothing any more, and what they take back."""

OF_THE_CALENDAR: Final = ("fee.due", "fee.dropped")
"""Kinds that no tool tells: Billhook's own calendar does, see `calendar.py`."""
TOLD_BY_TOOLS: Final = {kind: told for kind, told in KINDS.items() if kind not in OF_THE_CALENDAR}
"""Every other kind."""


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
    url: str = ""
    """The address posted to, query included, as Billhook's own settings have it: never taken from
    the Host header, and never stored, because some tools put their token into it."""


FOUND: Final = "billhook-found"
"""The header of a delivery that Billhook fetched from a tool's API itself: what kind of thing the
body is. A request from outside cannot carry it; see `Found`."""
GONE: Final = "gone"
"""What is found where a time entry is missing: its body says `subject` and `version`."""
RESTATED: Final = "restated"
"""What is found again although the ledger took something else for newer; see `restated`."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing as a tool's API tells it now. It goes through the line as a delivery does.

    So whatever was missed is read by the tool's source, kept with its raw body, and listed
    like anything else that arrived.
    """

    body: Mapping[str, Any]
    """The JSON object as the tool tells it, numbers with a fraction as `Decimal`."""
    headers: Mapping[str, str]
    """By lower-case name: `billhook-found`, or those of a delivery that the tool kept."""

    @classmethod
    def thing(cls, kind: str, body: Mapping[str, Any]) -> Found:
        """Return a found thing that the source reads as type `found:<kind>`."""
        return cls(body=body, headers={FOUND: kind})

    def delivery(self, endpoint: str, at: datetime) -> Delivery:
        """Return it as a delivery that arrived when it was asked for."""
        return Delivery(self.headers, json_with_numbers(self.body).encode(), at, endpoint)


def restated(found: Delivery, version: int) -> Delivery:
    """Return a found delivery whose events count as at least so new (Unix milliseconds).

    Where a tool's clock counts whole seconds, or an entry was taken for deleted by mistake, what
    the tool shows now would lose against what is held. It is shown again, so it is the truth.
    """
    told = {"version": version, "headers": dict(found.headers), "body": found.body.decode()}
    again = Found.thing(RESTATED, told)
    return again.delivery(found.endpoint, found.received_at)


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
    seconds_before: int | None = None
    """Of a `time.total`: the total before this change, where the tool tells it. What stood there
    before the first change that we heard of is not billed."""
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
        if self.seconds_before is not None:
            content.append(self.seconds_before)
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def filled_in(self, fact: Fact) -> Event:
        """Return this event with what it leaves open taken from a remembered fact."""
        return replace(
            self,
            person=self.person or fact.person,
            person_name=self.person_name or fact.person_name,
            billable=fact.billable if self.billable is None else self.billable,
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
    person: str | None = None
    person_name: str | None = None
    billable: bool | None = None
    labels: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one delivery says: events, facts told in passing, things to ask, or why none of it."""

    events: tuple[Event, ...] = ()
    facts: tuple[Fact, ...] = ()
    asks: tuple[str, ...] = ()
    """Things that changed, the delivery does not say how: `task:1203`. The tool is asked about
    each, and its answer comes in as a delivery of its own; see `Found`."""
    ignored: str | None = None
    """Why there is nothing to bill, in words for the admin; None if there are events or asks."""


_DECIMAL_MARK: Final = "\ue000"
"""Stands before a decimal while JSON is written, which knows only floats for fractions."""
_MARKED: Final = re.compile(f'"{_DECIMAL_MARK}(-?[0-9]+(?:[.][0-9]+)?)"', re.ASCII)


def _marked(other: object) -> str:
    return f"{_DECIMAL_MARK}{other:f}" if isinstance(other, Decimal) else str(other)


# Made once: `json.dumps` would make a new one for each of the many values that are stored.
_WITH_NUMBERS: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_marked
)
_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
)


def json_with_numbers(value: object) -> str:
    """Return canonical JSON in which a decimal is the number that the tool wrote."""
    text = _WITH_NUMBERS.encode(value)
    return _MARKED.sub(r"\1", text) if _DECIMAL_MARK in text else text


def as_utc_text(moment: datetime) -> str:
    """Return an aware datetime as RFC 3339 in UTC, whole seconds, with a Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_json(value: object) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, decimals as text."""
    return _CANONICAL.encode(value)
