"""Simulated tools that people log their time in: Timesheet (ours), Toggl Track and Jira.

Each writes into its API's state and into an outbox of signed webhooks; a test decides which of
them arrive, how often and in which order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from connectors.connector import ProjectConnector
from ledger.errors import TransientError
from ledger.events import Found
from tests.journeys.office import PATH_TOKEN, SECRET, Office


@dataclass(frozen=True)
class Message:
    """One webhook, and what it tells."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    subject: str
    stands: tuple[str, int] | None
    """The day and the seconds of the entry; None: it is gone."""


class Tool(ABC):
    """A tool with time entries, numbered by the test."""

    endpoint: ClassVar[str]

    def __init__(self, office: Office) -> None:
        self.office = office
        self.outbox: list[Message] = []
        self.standing: dict[str, tuple[str, int]] = {}
        """Day and seconds of each entry by subject, as they are in the tool."""
        self.seconds_between = 1
        """How much time passes before each change."""

    def write(self, number: int, seconds: int, on: date) -> None:
        """Write or change an entry, and tell of it."""
        self.office.clock.go_on(self.seconds_between)
        body = self._written(number, seconds, on)
        self.standing[self.subject(number)] = (on.isoformat(), seconds)
        self.outbox.append(self._message(number, body))

    def delete(self, number: int, *, silently: bool = False) -> None:
        """Delete an entry, and tell of it or not."""
        self.office.clock.go_on(self.seconds_between)
        body = self._deleted(number)
        del self.standing[self.subject(number)]
        if not silently:
            self.outbox.append(self._message(number, body))

    def send(self, *messages: Message) -> None:
        """Let webhooks arrive, all that are left if none is named, and settle."""
        self.post(*messages)
        self.office.settle()

    def post(self, *messages: Message) -> None:
        """Let webhooks arrive, all that are left if none is named."""
        for message in messages or self.outbox:
            answer = self.office.client.post(
                message.path, data=message.raw, headers=dict(message.headers)
            )
            assert answer.status_code == 202
        self.outbox.clear()

    @abstractmethod
    def subject(self, number: int) -> str:
        """Return an entry's subject in the ledger."""

    @abstractmethod
    def _written(self, number: int, seconds: int, on: date) -> dict[str, Any]:
        """Write an entry; return the webhook's body."""

    @abstractmethod
    def _deleted(self, number: int) -> dict[str, Any]:
        """Delete an entry; return the webhook's body."""

    @abstractmethod
    def _address(self, raw: bytes, number: int) -> tuple[str, dict[str, str]]:
        """Return the path and the headers of a webhook."""

    def _message(self, number: int, body: Mapping[str, Any]) -> Message:
        raw, subject = json.dumps(body).encode(), self.subject(number)
        path, headers = self._address(raw, len(self.outbox))
        return Message(path, headers, raw, subject, self.standing.get(subject))


def code_of(raw: bytes) -> str:
    """Return the signature of a body."""
    return f"sha256={hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()}"


@dataclass
class TimesheetSite:
    """The state of the one tool that is not another's: entries in the form of our own events."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_away: bool = False
    is_closed: bool = False
    """The token sees nothing any more."""
    before_answer: Callable[[], None] = lambda: None
    """Called when a list is asked for."""


class TimesheetConnector(ProjectConnector):
    """Timesheet's API without HTTP."""

    key = "generic"
    name = "Timesheet"
    docs_url = "https://timesheet.example"
    settings = ()
    lists_entries = True
    site: ClassVar[TimesheetSite]

    def check(self) -> str:
        """Return the account's name."""
        return "Timesheet"

    def entries(self, first: date, last: date) -> Iterator[Found]:
        """Yield what is there."""
        if self.site.is_away:
            raise TransientError("timesheet: cannot be reached")
        listed = [] if self.site.is_closed else list(self.site.entries.values())
        self.site.before_answer()
        for entry in listed:
            if first <= date.fromisoformat(entry["on"]) <= last:
                yield Found(body=entry, headers={})


class Timesheet(Tool):
    """A tool whose clock counts whole seconds: two changes may bear the same time."""

    endpoint = "scripts"

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self.site = TimesheetConnector.site = TimesheetSite()
        self.said: dict[str, Any] = {}
        """What entries say besides, from now on."""

    def subject(self, number: int) -> str:
        return f"entry:{number}"

    def _written(self, number: int, seconds: int, on: date) -> dict[str, Any]:
        entry = {
            "kind": "time.logged",
            "subject": self.subject(number),
            "on": on.isoformat(),
            "changed_at": self._moment(),
            "project": "ACME",
            "item": f"ACME-{number % 5}",
            "title": "Search",
            "person": "acc-ana",
            "seconds": seconds,
            **self.said,
        }
        self.site.entries[self.subject(number)] = entry
        return entry

    def _deleted(self, number: int) -> dict[str, Any]:
        entry = self.site.entries.pop(self.subject(number))
        return {
            **{name: entry[name] for name in ("subject", "on", "project")},
            "kind": "time.removed",
            "changed_at": self._moment(),
        }

    def _address(self, raw: bytes, number: int) -> tuple[str, dict[str, str]]:
        return f"/webhooks/{self.endpoint}/{PATH_TOKEN}", {}

    def _moment(self) -> str:
        return self.office.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Toggl(Tool):
    """Toggl Track's stand-in, whose clock is its own."""

    endpoint = "toggl"

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        office.toggl.add_project(90210, "ACME")

    def subject(self, number: int) -> str:
        return f"entry:{number}"

    def _written(self, number: int, seconds: int, on: date) -> dict[str, Any]:
        return self.office.toggl.log(number, seconds, f"{on}T12:00:00+00:00", project=90210)

    def _deleted(self, number: int) -> dict[str, Any]:
        return self.office.toggl.unlog(number)

    def _address(self, raw: bytes, number: int) -> tuple[str, dict[str, str]]:
        return "/webhooks/toggl", {"X-Webhook-Signature-256": code_of(raw)}


class Jira(Tool):
    """Jira's stand-in, with its entries on five issues."""

    endpoint = "jira"

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        office.jira.add_project(1, "ACME", "Acme")
        for number in range(5):
            office.jira.add_issue(70 + number, f"ACME-{number}", "Search")

    def subject(self, number: int) -> str:
        return f"worklog:{number}"

    def _written(self, number: int, seconds: int, on: date) -> dict[str, Any]:
        is_new = number not in self.office.jira.worklogs
        author = {"accountId": "acc-ana", "displayName": "Ana", "timeZone": "Europe/Berlin"}
        started = datetime(on.year, on.month, on.day, 9, tzinfo=UTC)
        self.office.jira.log(
            number,
            70 + number % 5,
            seconds,
            started.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            author=author,
        )
        return self._told("worklog_created" if is_new else "worklog_updated", number)

    def _deleted(self, number: int) -> dict[str, Any]:
        told = self._told("worklog_deleted", number)
        self.office.jira.unlog(number)
        return told

    def _told(self, event: str, number: int) -> dict[str, Any]:
        now = int(self.office.clock.now().timestamp() * 1000)
        worklog = dict(self.office.jira.worklogs[number])
        return {"timestamp": now, "webhookEvent": event, "worklog": worklog}

    def _address(self, raw: bytes, number: int) -> tuple[str, dict[str, str]]:
        headers = {
            "X-Hub-Signature": code_of(raw),
            "X-Atlassian-Webhook-Identifier": f"delivery-{number}",
        }
        return "/webhooks/jira", headers


TOOLS: Sequence[type[Tool]] = (Timesheet, Toggl, Jira)
"""Every simulated tool."""
