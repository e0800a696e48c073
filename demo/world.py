"""The month that is played: what the tools post, in order, and what must come of it.

`month(today)` gives the postings of the last whole month and `world(today)` also the truth.
The same day gives the same month. Postings may be sent in any order and any number of
times: the invoices are the same, and the forged one stays refused.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from webhooks.registry import sources

from . import agency, bodies
from .agency import ANA, BEN, CHIARA, DENIZ, EMIL, FAY, Issue, Person
from .bodies import GUIDE, TEA
from .truth import Entry, Truth, truth_of

ENDPOINTS: Final = {
    "jira": "jira",
    "jira-museum": "jira",
    "github": "github",
    "scripts": "generic",
}
"""Each endpoint's tool."""
ZONE: Final = ZoneInfo("Europe/Berlin")
SEED: Final = 20817
_DESKS: Final = (
    (ANA, (*agency.SHOP, agency.GUIDE[0])),
    (BEN, (*agency.SHOP, *agency.GUIDE)),
    (CHIARA, (*agency.SHOP[3:], *agency.GUIDE)),
    (EMIL, (*agency.SHOP[:2], *agency.GUIDE)),
    (FAY, (*agency.INTERNAL, agency.SHOP[0], agency.GUIDE[2])),
)
"""Who works on what. Deniz works for the tea house, whose hours come as a timesheet."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One request of a tool, not signed yet: signatures hold the moment of sending."""

    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    delivery_id: str
    answer: str = "accepted"
    """What the tool is told: accepted, repeated, refused, or pong for a ping."""
    outcome: str = "normalized"
    """What becomes of it: normalized, ignored or unreadable; "" if it is not stored."""

    @property
    def is_forged(self) -> bool:
        """Return whether it is signed by somebody who does not know the secret."""
        return self.answer == "refused"

    def signed(self, secret: str, now: datetime) -> dict[str, str]:
        """Return all headers, with the signature that the tool would send."""
        scheme = sources()[ENDPOINTS[self.endpoint]].signature
        assert scheme is not None
        used = "d2hzZWMtbm90LXRoZS1zZWNyZXQ=" if self.is_forged else secret
        proof = scheme.sign(self.body, used, delivery_id=self.delivery_id, now=now)
        return {"Content-Type": "application/json", **self.headers, **proof}


@dataclass(frozen=True, slots=True)
class World:
    """One month of the agency."""

    first: date
    postings: tuple[Posting, ...]
    late: tuple[Posting, ...]
    """What is posted after the month was billed: an edited entry, and work of the next month."""
    entries: tuple[Entry, ...]
    """The time entries of both Jiras as they stand in the end."""
    truth: Truth


def month(today: date) -> list[Posting]:
    """Return the postings of the last whole month before a day, in the order they are sent."""
    return list(world(today).postings)


def world(today: date) -> World:
    """Return the last whole month before a day, with what must come of it."""
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    diary = _Diary(first, random.Random(SEED))
    diary.live()
    edited, postings = diary.edited_late(), diary.in_order()
    late_work = Entry(19001, agency.SHOP[1], ANA, _at(today, 9), 4 * 3600)
    late = (
        diary.of_worklog("worklog_updated", edited[1], _at(today, 8)),
        diary.of_worklog("worklog_created", late_work, _at(today, 13)),
    )
    truth = truth_of(
        first,
        today,
        entries=diary.entries,
        timesheet=diary.timesheet,
        edited=edited,
        late_work=late_work,
        answers=Counter(posting.answer for posting in postings),
        outcomes=Counter(posting.outcome for posting in postings if posting.outcome),
    )
    return World(first, tuple(postings), late, tuple(diary.entries), truth)


@dataclass
class _Diary:
    """Writes the month: what happens becomes entries, and postings with their moment."""

    first: date
    dice: random.Random
    entries: list[Entry] = field(default_factory=list)
    timesheet: list[Entry] = field(default_factory=list)
    told: list[tuple[datetime, Posting]] = field(default_factory=list)
    _count: int = 0

    def live(self) -> None:
        """Let the month happen."""
        for number, issue in enumerate(agency.ISSUES):
            at = _at(self._day(15 if issue is agency.LATE else 1), 8, number)
            self._jira(at, issue.endpoint, bodies.issue_created(at, issue, FAY), "ignored")
        for day in self._workdays():
            for person, issues in _DESKS:
                self._log(person, self.dice.choice(issues), day)
        self._odd_entries()
        self._edits()
        self._talk()
        self._github()
        self._scripts()
        self._repetitions()
        self._strangers()

    def in_order(self) -> list[Posting]:
        """Return the postings in the order of their moments."""
        return [posting for _, posting in sorted(self.told, key=lambda pair: pair[0])]

    def edited_late(self) -> tuple[Entry, Entry]:
        """Return an entry as it is billed, and as it is after a late edit: an hour less."""
        longest = max(
            (e for e in self.entries if e.person is ANA and e.issue in agency.SHOP and e.is_billed),
            key=lambda entry: (entry.seconds, entry.number),
        )
        return longest, replace(longest, seconds=longest.seconds - 3600)

    def of_worklog(self, what: str, entry: Entry, at: datetime) -> Posting:
        """Return Jira's posting about an entry."""
        body = bodies.worklog(
            what,
            at,
            number=entry.number,
            issue=entry.issue,
            person=entry.person,
            seconds=entry.seconds,
            started=entry.started,
        )
        return self._of_jira(entry.issue.endpoint, body, "normalized")

    def _log(self, person: Person, issue: Issue, day: date) -> Entry:
        started = _at(day, 9, self.dice.randrange(0, 240, 5))
        seconds = self.dice.randrange(25, 240) * 60 + self.dice.choice((0, 0, 0, 13, 41))
        return self._logged(person, issue, started, seconds)

    def _logged(self, person: Person, issue: Issue, started: datetime, seconds: int) -> Entry:
        entry = Entry(15001 + len(self.entries), issue, person, started, seconds)
        self.entries.append(entry)
        self._tell_worklog("worklog_created", entry, started + timedelta(seconds=seconds))
        return entry

    def _odd_entries(self) -> None:
        """Log time where something is missing or unusual."""
        self._log(ANA, agency.UNTOLD, self._day(8))
        self._log(BEN, agency.UNTOLD, self._day(9))
        self._log(EMIL, agency.LATE, self._day(13))
        self._log(BEN, agency.STRAY, self._day(10))
        self._log(agency.ZOE, agency.SHOP[1], self._day(12))
        # An evening in Vancouver, where the month is not over yet: the local date counts.
        evening = datetime.combine(
            self._workdays()[-1], time(19, 30), timezone(timedelta(hours=-7))
        )
        self._logged(FAY, agency.SHOP[0], evening, 5400)

    def _edits(self) -> None:
        """Change some entries a day later, delete two, and let one edit overtake its entry."""
        ordinary = range(len(self._workdays()) * len(_DESKS))
        chosen = self.dice.sample(ordinary, 11)
        for position in chosen[:9]:
            entry = self.entries[position]
            longer = replace(entry, seconds=entry.seconds + self.dice.randrange(-20, 50) * 60)
            self.entries[position] = longer
            at = entry.started + timedelta(days=1)
            if position == chosen[0]:
                self._postpone(entry, at + timedelta(minutes=9))
            self._tell_worklog("worklog_updated", longer, at)
        for position in chosen[9:]:
            entry = self.entries[position]
            self.entries[position] = replace(entry, is_gone=True)
            self._tell_worklog("worklog_deleted", entry, entry.started + timedelta(hours=6))

    def _postpone(self, entry: Entry, until: datetime) -> None:
        """Let the posting that told about an entry arrive later than it was due."""
        told = f'"id": "{entry.number}"'.encode()
        self.told = [(until if told in each.body else at, each) for at, each in self.told]

    def _talk(self) -> None:
        """Comment on issues, and finish some: neither is billed by itself."""
        for number, day in enumerate(self._workdays()[::2]):
            at = _at(day, 17, number)
            issue = self.dice.choice((*agency.SHOP, *agency.GUIDE))
            body = bodies.issue_commented(at, issue, CHIARA)
            self._jira(at, issue.endpoint, body, "ignored")
        for issue, day_number in zip(agency.SHOP[:3], (14, 20, 26), strict=True):
            at = _at(self._day(day_number), 18)
            self._jira(at, issue.endpoint, bodies.issue_done(at, issue, ANA), "normalized")

    def _github(self) -> None:
        """Work on the tea house's booking system and on the museum's guide."""
        for number, repository in enumerate((TEA, GUIDE)):
            hook = {
                "zen": "Small steps arrive.",
                "hook_id": 1,
                "hook": {"type": "Repository"},
            }
            body = bodies.github(repository, "", **hook)
            at = _at(self._day(1), 7, number)
            self._tell(at, self._of_github("ping", body, outcome="", answer="pong"))
        title = agency.PHASE[0]
        opened, closed = _at(self._day(2), 10), datetime.combine(self._day(27), time(14), UTC)
        created = bodies.github_milestone(2, title, closed=None, updated=opened)
        self._hub(opened, "milestone", bodies.github(TEA, "created", milestone=created), "ignored")
        done = bodies.github_milestone(2, title, closed=closed, updated=closed)
        self._hub(closed, "milestone", bodies.github(TEA, "closed", milestone=done), "normalized")
        for number, day in enumerate(self._workdays()[1::2]):
            at = _at(day, 16, number)
            push = {"ref": "refs/heads/main", "commits": [], "after": f"{number:040x}"}
            repository = GUIDE if number % 3 else TEA
            self._hub(at, "push", bodies.github(repository, "", **push), "ignored")
            pull = {
                "number": 100 + number,
                "pull_request": {"number": 100 + number, "merged": True},
            }
            self._hub(at, "pull_request", bodies.github(repository, "closed", **pull), "ignored")
        for number, day_number, name, labels, reason in (
            (7, 11, agency.BUGS[7], ["bug"], "completed"),
            (8, 19, agency.BUGS[8], ["bug", "audio"], "completed"),
            (9, 20, "Write down how to release", [], "completed"),
            (10, 21, "Support for pagers", ["idea"], "not_planned"),
        ):
            at = _at(self._day(day_number), 9, number)
            issue = bodies.github_issue(number, name, updated=at, labels=labels)
            self._hub(at, "issues", bodies.github(GUIDE, "opened", issue=issue), "ignored")
            at += timedelta(hours=5)
            issue = bodies.github_issue(number, name, updated=at, labels=labels, closed_as=reason)
            outcome = "normalized" if reason == "completed" else "ignored"
            self._hub(at, "issues", bodies.github(GUIDE, "closed", issue=issue), outcome)

    def _scripts(self) -> None:
        """Send the tea house's timesheet in one piece, and the museum's hosting fee."""
        for day in self._workdays():
            person = self.dice.choice((DENIZ, DENIZ, CHIARA, FAY))
            seconds = self.dice.randrange(1800, 20000, 7)
            issue = Issue(0, "SAK-0", "Booking system")
            self.timesheet.append(
                Entry(len(self.timesheet) + 1, issue, person, _at(day, 9), seconds)
            )
        at = _at(self._day(28), 18)
        events = [
            {
                "kind": "time.logged",
                "subject": f"timesheet:{entry.number}",
                "on": entry.on.isoformat(),
                "project": "SAK",
                "title": entry.issue.title,
                "person": entry.person.name,
                "seconds": entry.seconds,
                "billable": True,
                "changed_at": at.isoformat(),
            }
            for entry in self.timesheet
        ]
        self._tell(at, self._posting("scripts", {"events": events}))
        fee = {
            "kind": "usage.recorded",
            "subject": f"hosting:{self.first:%Y-%m}",
            "on": self._day(28).isoformat(),
            "project": "MUS",
            "title": "Hosting of the audio guide",
            # Gigabytes of traffic. The museum pays a fee, whatever they are.
            "fields": {"quantity": 412.5},
            "changed_at": at.isoformat(),
        }
        self._tell(at, self._posting("scripts", fee))

    def _repetitions(self) -> None:
        """Send some postings again: under the same id, or the same body under a new one."""
        stored = [pair for pair in self.told if pair[1].outcome == "normalized"]
        again = self.dice.sample(stored, 9)
        for at, posting in again[:6]:
            self._tell(at + timedelta(hours=1), replace(posting, answer="repeated", outcome=""))
        for at, posting in again[6:]:
            body = json.loads(posting.body)
            copy = self._posting(posting.endpoint, body, headers=dict(posting.headers))
            self._tell(at + timedelta(hours=2), replace(copy, body=posting.body))

    def _strangers(self) -> None:
        """Send one worklog that nobody of Jira's signed, and half of a body."""
        at = _at(self._day(22), 3)
        fake = Entry(66666, agency.SHOP[0], ANA, at, 8 * 3600)
        posting = self.of_worklog("worklog_created", fake, at)
        self._tell(at, replace(posting, answer="refused", outcome=""))
        at = _at(self._day(23), 11)
        whole = self.of_worklog("worklog_created", fake, at)
        self._tell(at, replace(whole, body=whole.body[:150], outcome="unreadable"))

    def _tell_worklog(self, what: str, entry: Entry, at: datetime) -> None:
        self._tell(at, self.of_worklog(what, entry, at))

    def _jira(self, at: datetime, endpoint: str, body: bodies.Body, outcome: str) -> None:
        self._tell(at, self._of_jira(endpoint, body, outcome))

    def _hub(self, at: datetime, event: str, body: bodies.Body, outcome: str) -> None:
        self._tell(at, self._of_github(event, body, outcome=outcome))

    def _tell(self, at: datetime, posting: Posting) -> None:
        self.told.append((at, posting))

    def _of_jira(self, endpoint: str, body: bodies.Body, outcome: str) -> Posting:
        return replace(self._posting(endpoint, body), outcome=outcome)

    def _of_github(
        self, event: str, body: bodies.Body, *, outcome: str, answer: str = "accepted"
    ) -> Posting:
        posting = self._posting("github", body, headers={"X-GitHub-Event": event})
        return replace(posting, outcome=outcome, answer=answer)

    def _posting(
        self, endpoint: str, body: Any, *, headers: Mapping[str, str] | None = None
    ) -> Posting:
        self._count += 1
        delivery_id = f"demo-{self.first:%Y-%m}-{self._count:04d}"
        known_as = {"jira": "x-atlassian-webhook-identifier", "github": "X-GitHub-Delivery"}
        name = known_as.get(ENDPOINTS[endpoint])
        named = {name: delivery_id} if name else {}
        return Posting(
            endpoint, {**(headers or {}), **named}, json.dumps(body).encode(), delivery_id
        )

    def _day(self, number: int) -> date:
        return self.first.replace(day=number)

    def _workdays(self) -> list[date]:
        days = (self.first + timedelta(days=number) for number in range(31))
        return [day for day in days if day.month == self.first.month and day.weekday() < 5]


def _at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour), ZONE) + timedelta(minutes=minute)
