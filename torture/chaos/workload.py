"""The work of a firm in a storm: what people log, change, move and delete, and how it is told.

`Workload` invents one change after another by its seed, carries it out in the project tool and in
the truth, and says what is posted about it: in another order, repeated, under other ids, or never.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from connectors.jira.stand_in import JiraStandIn

from . import bodies
from .bodies import Posting
from .firm import ACCOUNTS, FIRST_DAY, LAST_DAY, NOBODYS, PAYER, RAISES, STRANGER
from .truth import Entry, Issue, Milestone, Truth

WINDOW: Final = 15
"""How many other postings one may overtake."""
REPEATED: Final = 0.17
RENAMED: Final = 0.08
"""The same body again under a new delivery id; with `REPEATED` a quarter of all."""
NEVER_TOLD: Final = 0.05
POISON: Final = 0.01
ISSUES_A_PROJECT: Final = 6
ZONE: Final = ZoneInfo("Europe/Berlin")
DST_DAYS: Final = (date(2026, 3, 29), date(2026, 10, 25))
BULK: Final = 1000
"""How many entries come in one piece, for the longest invoice."""
BULK_DAY: Final = date(2026, 5, 12)
"""In a month in which nobody logs anything else for its customer."""

CHANGES: Final = {
    "edit": 20,
    "delete": 6,
    "restore": 5,
    "move to another issue": 6,
    "move to another project": 6,
    "move to another customer": 8,
    "re-date over a period's end": 8,
    "move to internal work": 4,
}
"""What may happen to an entry that is there, with its weight."""
STATES: Final = ("unbilled", "draft", "pushed, draft", "pushed, open", "pushed, paid")
"""On an invoice of which state an entry must stand when it changes, as often as each other.
`approved`, `blocked` and `canceled` occur too, but an invoice may pass through them too quickly
to be sure of them."""
RARER: Final = 3
"""How much rarer changes are steered to any other state."""
NEW: Final = 34
"""The weight of a new entry."""
STEERED: Final = 0.5
"""How often a change is the one that was rarest so far, whatever its weight."""
OTHERS: Final = {"milestone": 3, "issue moves": 1}


@dataclass
class Workload:
    """Invents the work; one thread calls `next_postings`."""

    dice: random.Random
    truth: Truth
    jira: JiraStandIn
    where: Callable[[], Mapping[str, str]]
    """Says on an invoice of which state each entry last was, by endpoint and subject."""
    raises: Callable[[], int] = lambda: 0
    """Says how many raises are active: later days have no entries before."""
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each change met each state of an invoice."""
    told: Counter[str] = field(default_factory=Counter)
    """How often each way of telling, or not telling, was used."""
    _count: int = 0
    _version: int = 0
    _window: list[Posting] = field(default_factory=list)

    def begin(self) -> list[Posting]:
        """Open the projects and issues; return what is posted about them."""
        postings = []
        for project, number in bodies.PROJECTS.items():
            self.jira.add_project(number, project, f"Project {project}")
            for place in range(1, ISSUES_A_PROJECT + 1):
                issue = Issue(1000 * number + place, project, place, f"Part {place} of {project}")
                self.truth.issues[issue.number] = issue
                self.jira.add_issue(issue.number, issue.key, issue.title)
                if place > 1:
                    # Nobody tells about the first issue of a project: Jira is asked.
                    told = bodies.issue("jira:issue_created", self._now(), issue)
                    postings.append(self._posting("jira", told))
        return postings

    def bulk(self) -> list[Posting]:
        """Let a script tell many entries, all for one invoice; return what it posts."""
        at = datetime.now(UTC)
        entries = [
            Entry(
                number,
                0,
                self.dice.choice(list(ACCOUNTS.values())),
                f"{BULK_DAY}T10:00:00+02:00",
                self.dice.randrange(360, 20000),
                endpoint="scripts",
                project="GLF",
            )
            for number in range(1, BULK + 1)
        ]
        with self.truth.lock:
            for entry in entries:
                self.truth.entries[f"scripts {entry.subject}"] = entry
        pieces = [entries[first : first + 100] for first in range(0, BULK, 100)]
        return [self._posting("scripts", bodies.script_entries(at.isoformat(), p)) for p in pieces]

    def next_postings(self) -> list[Posting]:
        """Let one thing happen; return what is posted by now, not always about it."""
        with self.truth.lock:
            fresh = self._happen()
        self._window += fresh
        self.dice.shuffle(self._window)
        ready, self._window = self._window[WINDOW:], self._window[:WINDOW]
        return ready

    def rest(self) -> list[Posting]:
        """Return what was not posted yet."""
        rest, self._window = self._window, []
        return rest

    def _happen(self) -> list[Posting]:
        self._count += 1
        if self.dice.random() < POISON:
            self.told["poison"] += 1
            raw = bodies.poison(self.dice, self._count, self._now())
            return [Posting("jira", f"storm-{self._count}", raw, "poison")]
        kinds = {"new": NEW, **CHANGES, **OTHERS}
        kind = self.dice.choices(list(kinds), list(kinds.values()))[0]
        if kind in OTHERS:
            self.told[kind] += 1
            made = self._milestone() if kind == "milestone" else self._issue_moves()
            return self._repeat(made)
        before: Entry | None = None
        if kind != "new":
            kind, before = self._chosen(kind)
        after = self._changed(kind, before) if before else self._new()
        what = "worklog_updated" if before else "worklog_created"
        if after.is_gone:
            what = "worklog_deleted"
        version = self._carry_out(after)
        if self.dice.random() < NEVER_TOLD:
            self.told["never"] += 1
            return []
        return self._repeat(self._posting("jira", bodies.worklog(what, version, after)))

    def _repeat(self, posting: Posting) -> list[Posting]:
        """Return a posting, and again what is told twice."""
        self.told["event"] += 1
        draw = self.dice.random()
        if draw < REPEATED:
            self.told["repeated"] += 1
            return [posting, replace(posting, what="repeated")]
        if draw < REPEATED + RENAMED:
            self.told["renamed"] += 1
            renamed = replace(posting, what="renamed", delivery_id=f"{posting.delivery_id}-again")
            return [posting, renamed]
        return [posting]

    def _chosen(self, kind: str) -> tuple[str, Entry | None]:
        """Return a change, this one or one that was rare so far, and the entry that it happens to.

        None: there is no such entry, and a new one is logged.
        """
        there = self._by_state()
        if self.dice.random() < STEERED:
            cases = [(each, state) for each in CHANGES for state in there[each == "restore"]]
        else:
            cases = [(kind, state) for state in there[kind == "restore"]]
        if not cases:
            return kind, None
        self.dice.shuffle(cases)
        kind, state = min(cases, key=self._often)
        self.hits[state, kind] += 1
        return kind, self.dice.choice(there[kind == "restore"][state])

    def _often(self, case: tuple[str, str]) -> int:
        kind, state = case
        return self.hits[state, kind] * (1 if state in STATES else RARER)

    def _by_state(self) -> dict[bool, dict[str, list[Entry]]]:
        """Return the entries that may change, by whether they are gone, and by state."""
        where = self.where()
        there: dict[bool, dict[str, list[Entry]]] = {True: {}, False: {}}
        for name, entry in self.truth.entries.items():
            if entry.endpoint == "jira" and self._fits(entry):
                states = there[entry.is_gone]
                states.setdefault(where.get(name, "unbilled"), []).append(entry)
        return there

    def _fits(self, entry: Entry) -> bool:
        # What is held and was billed before keeps its lines until a person decides: nothing that
        # a sum could say. So what is held stays held, and nothing else becomes held.
        return entry.account != STRANGER and self.truth.project_of(entry) != NOBODYS

    def _new(self) -> Entry:
        number = 1 + sum(1 for each in self.truth.entries.values() if each.endpoint == "jira")
        project = self.dice.choices(["ACME", "SITE", "KYO", "GLF", "INT", "STRAY"], weights=_BUSY)
        account = STRANGER if self.dice.random() < 0.01 else self.dice.choice([*ACCOUNTS.values()])
        return Entry(
            number, self._issue_of(project[0]).number, account, self._started(), self._seconds()
        )

    def _changed(self, kind: str, entry: Entry) -> Entry:
        project = self.truth.project_of(entry)
        if kind == "delete":
            return replace(entry, is_gone=True)
        if kind == "restore":
            return replace(entry, is_gone=False, seconds=self._seconds())
        if kind == "re-date over a period's end":
            return replace(entry, started=self._started(other_than=entry.on))
        if kind == "move to another issue":
            return replace(entry, issue=self._issue_of(project).number)
        if kind == "move to another project":
            same = PAYER.get(project)
            others = [one for one in PAYER if PAYER[one] is same and one != project]
            return replace(entry, issue=self._issue_of(self.dice.choice(others or ["INT"])).number)
        if kind == "move to another customer":
            others = [one for one in PAYER if PAYER[one] is not PAYER.get(project)]
            return replace(entry, issue=self._issue_of(self.dice.choice(others)).number)
        if kind == "move to internal work":
            return replace(entry, issue=self._issue_of("INT").number)
        return replace(entry, seconds=self._seconds())

    def _carry_out(self, entry: Entry) -> int:
        """Change an entry in Jira and in the truth; return the moment in Unix milliseconds."""
        version = self._now()
        with self.jira._lock:
            usual, self.jira.now = self.jira.now, lambda: version
            if entry.is_gone:
                self.jira.unlog(entry.number)
            else:
                self.jira.log(
                    entry.number,
                    entry.issue,
                    entry.seconds,
                    entry.started,
                    issueId=str(entry.issue),
                    author=bodies.author(entry.account),
                )
            self.jira.now = usual
        self.truth.entries[f"jira {entry.subject}"] = entry
        return version

    def _issue_moves(self) -> Posting:
        """Move an issue with all its entries to another customer's project."""
        movable = [each for each in self.truth.issues.values() if each.project in PAYER]
        before = self.dice.choice(movable)
        project = self.dice.choice([each for each in PAYER if each != before.project])
        taken = [each.place for each in self.truth.issues.values() if each.project == project]
        after = replace(before, project=project, place=max([*taken, 100]) + 1)
        version = self._now()
        self.truth.issues[after.number] = after
        with self.jira._lock:
            there = self.jira.issues[after.number]
            there["key"] = after.key
            there["fields"]["project"] = self.jira.projects[bodies.PROJECTS[project]]
            there["fields"]["updated"] = datetime.fromtimestamp(version / 1000, UTC).isoformat(
                timespec="milliseconds"
            )
        told = bodies.issue("jira:issue_updated", version, after, moved_from=before.key)
        return self._posting("jira", told)

    def _milestone(self) -> Posting:
        known = list(self.truth.milestones.values())
        if known and self.dice.random() < 0.4:
            before = self.dice.choice(known)
            after = replace(before, is_done=not before.is_done)
        else:
            project = self.dice.choice(list(PAYER))
            after = Milestone(len(known) + 1, project, self._day())
        self.truth.milestones[after.subject] = after
        return self._posting("jira", bodies.version(self._now(), after))

    def _posting(self, endpoint: str, body: bodies.Body) -> Posting:
        self._count += 1
        return Posting(endpoint, f"storm-{self._count}", json.dumps(body).encode(), "event")

    def _issue_of(self, project: str) -> Issue:
        there = [each for each in self.truth.issues.values() if each.project == project]
        return self.dice.choice(there or [self.truth.issues[1000 * bodies.PROJECTS["INT"] + 1]])

    def _now(self) -> int:
        """Return the present moment in Unix milliseconds, never the same twice."""
        self._version = max(self._version + 1, int(datetime.now(UTC).timestamp() * 1000))
        return self._version

    def _seconds(self) -> int:
        return self.dice.randrange(60, 30_000, self.dice.choice([1, 7, 60, 900]))

    def _day(self) -> date:
        raises = self.raises()
        last = RAISES[raises] - timedelta(days=1) if raises < len(RAISES) else LAST_DAY
        draw = self.dice.random()
        days = (last - FIRST_DAY).days
        day = FIRST_DAY + timedelta(days=self.dice.randrange(days + 1))
        if draw < 0.08:
            return self.dice.choice([each for each in DST_DAYS if each <= last])
        if draw < 0.2:
            # The last or first day of a month.
            first = day.replace(day=1)
            day = self.dice.choice([first, max(first - timedelta(days=1), FIRST_DAY)])
        if draw > 0.6:
            day = last - timedelta(days=self.dice.randrange(15))
        return max(day, FIRST_DAY)

    def _started(self, *, other_than: date | None = None) -> str:
        """Return a start on a day that is open; at the ends of days the offset decides."""
        day = self._day()
        while day == other_than or (other_than and day.month == other_than.month):
            day = self._day()
        at = self.dice.choice([time(9), time(13, 30), time(23, 50), time(0, 5), time(2, 30)])
        moment = datetime.combine(day, at, ZONE).replace(fold=self.dice.randrange(2))
        if self.dice.random() < 0.1:
            moment = datetime.combine(day, at, timezone(timedelta(hours=self.dice.choice(_AWAY))))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000%z")


_BUSY: Final[Sequence[int]] = (26, 14, 24, 24, 8, 2)
_AWAY: Final[Sequence[int]] = (-11, -7, 9, 13)
