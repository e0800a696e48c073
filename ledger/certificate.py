"""The certificate of a period: where each second of a tool's time entries stands.

    in the tool = billed + drafted + open + held + excluded + gone + waiting
                  + missing here + differing (by how much) - removed there

Both sides are counted by themselves: the left one from what the tool lists, the right one from
line items and present values. So the equation fails where the ledger is out of balance too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from .completeness import (
    LOGGED,
    REMOVED,
    TOTAL,
    Gap,
    Gaps,
    compared,
    held_for,
    kinds_of,
    newest_of,
    portions,
)
from .corrections import BILLED
from .events import Event, Fact
from .facts import about_any_of, fact_from_row
from .tables import delivery, event, fact, hint, invoice, line_item, subject

PARTS: Final = {
    "billed": "on invoices that are approved or pushed",
    "drafted": "on drafts",
    "held back": "priced, and held back from its draft by a person",
    "open": "priced, on no draft yet",
    "held": "waits for a person",
    "excluded": "earns nothing",
    "gone": "was removed in the tool; what was billed of it is taken back",
    "waiting": "not priced yet",
}
"""Where the time of an entry can be, and what that means."""


@dataclass(frozen=True, slots=True)
class Part:
    """Entries of the period that stand alike here."""

    name: str
    """One of `PARTS`."""
    reason: str | None
    """Why, where they are held or excluded."""
    entries: int
    """An entry that was corrected after billing counts in each part that has a line of it."""
    seconds: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """What became of each time entry that a tool lists for a period."""

    endpoint: str
    first: date
    last: date
    entries_in_tool: int
    seconds_in_tool: int
    parts: tuple[Part, ...]
    gaps: Gaps
    waiting: tuple[str, ...] = ()
    """Unfinished work on this endpoint, in words: the numbers are not final before it is done."""
    unreadable: tuple[str, ...] = ()
    """Why some of what the tool lists could not be read."""
    uncertified: str | None = None
    """What stands in the ledger for these days and cannot be compared, in words."""

    @property
    def seconds_here(self) -> int:
        """Return the time that the ledger accounts for."""
        return sum(part.seconds for part in self.parts)

    @property
    def seconds_missing(self) -> int:
        """Return the time of entries that are missing here."""
        return sum(gap.change for gap in self.gaps.missing)

    @property
    def seconds_differing(self) -> int:
        """Return by how much differing entries are longer in the tool (negative: shorter)."""
        return sum(gap.change for gap in self.gaps.differing)

    @property
    def seconds_removed(self) -> int:
        """Return the time that stands here for entries that the tool does not list."""
        return -sum(gap.change for gap in self.gaps.removed)

    @property
    def seconds_accounted(self) -> int:
        """Return the right side of the equation."""
        gained = self.seconds_missing + self.seconds_differing - self.seconds_removed
        return self.seconds_here + gained

    @property
    def holds(self) -> bool:
        """Return whether the equation is true to the second."""
        return self.seconds_in_tool == self.seconds_accounted

    @property
    def is_clean(self) -> bool:
        """Return whether everything that the tool lists is here, finished, and nothing else is."""
        return self.holds and not (self.gaps or self.waiting or self.unreadable)

    def as_json(self) -> dict[str, Any]:
        """Return the certificate as the JSON object that the command line promises."""
        return {
            "endpoint": self.endpoint,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "clean": self.is_clean,
            "in_tool": {"entries": self.entries_in_tool, "seconds": self.seconds_in_tool},
            "here": [
                {
                    "part": part.name,
                    "reason": part.reason,
                    "entries": part.entries,
                    "seconds": part.seconds,
                }
                for part in self.parts
                if part.entries or part.seconds
            ],
            "equation": {
                "in_tool": self.seconds_in_tool,
                "here": self.seconds_here,
                "missing": self.seconds_missing,
                "differing": self.seconds_differing,
                "removed": self.seconds_removed,
                "holds": self.holds,
            },
            "missing": [gap.as_json() for gap in self.gaps.missing],
            "differing": [gap.as_json() for gap in self.gaps.differing],
            "removed": [gap.as_json() for gap in self.gaps.removed],
            "waiting": list(self.waiting),
            "unreadable": list(self.unreadable),
            "uncertified": self.uncertified,
        }


def certify(
    connection: Connection,
    endpoint: str,
    first: date,
    last: date,
    events: Iterable[Event],
    *,
    facts: Iterable[Fact] = (),
    unreadable: Sequence[str] = (),
) -> Certificate:
    """Return the certificate of a period: `gaps`, and where the time of all entries stands.

    `facts` were told in the same list; they fill in project and title of entries that are
    missing here. All is read from the one snapshot that the connection gives.
    """
    listed = newest_of(events)
    kinds = kinds_of(listed)
    period = (first, last)
    in_period = [one for one in listed.values() if first <= one.on <= last]
    found = compared(connection, endpoint, period, listed)
    return Certificate(
        endpoint=endpoint,
        first=first,
        last=last,
        entries_in_tool=len(in_period),
        seconds_in_tool=sum(one.seconds or 0 for one in in_period),
        parts=tuple(_parts(connection, endpoint, period, kinds)),
        gaps=_named(connection, endpoint, found, facts),
        waiting=tuple(_waiting(connection, endpoint)),
        unreadable=tuple(unreadable),
        uncertified=None if TOTAL in kinds else _totals(connection, endpoint, period),
    )


def _parts(
    connection: Connection, endpoint: str, period: tuple[date, date], kinds: Iterable[str]
) -> Iterator[Part]:
    held = held_for(endpoint, period, kinds)
    is_judged = subject.c.state.in_(("priced", "held", "nothing"))
    present = select(subject.c.id).join(event, event.c.id == subject.c.event_id)
    lines = _lines(connection, present.where(held, is_judged))
    yield from (Part(name, None, *lines[name]) for name in _PLACES)
    yield from _by_reason(connection, held, "held", subject.c.held_seconds)
    yield from _by_reason(connection, held, "excluded", subject.c.excluded_seconds)
    gone = _lines(connection, _gone(endpoint, period))
    yield Part(
        "gone",
        None,
        _count(connection, _gone(endpoint, period)),
        sum(seconds for _, seconds in gone.values()),
    )
    unfinished = connection.execute(
        select(func.count(), func.coalesce(func.sum(subject.c.seconds), 0))
        .join(event, event.c.id == subject.c.event_id)
        .where(held, ~is_judged)
    ).one()
    yield Part("waiting", None, int(unfinished[0]), int(unfinished[1]))


def _lines(connection: Connection, subjects: Any) -> dict[str, tuple[int, int]]:
    """Return entries and seconds on the lines of some subjects, by where the lines are."""
    went_out = or_(line_item.c.state.in_(BILLED), invoice.c.state.in_(("approved", "pushed")))
    place = case(
        (went_out, "billed"),
        (line_item.c.invoice_id.is_not(None), "drafted"),
        (line_item.c.edit_id.is_not(None), "held back"),
        else_="open",
    )
    rows = connection.execute(
        select(
            place.label("place"),
            func.count(line_item.c.subject_id.distinct()).label("entries"),
            func.sum(line_item.c.seconds).label("seconds"),
        )
        .select_from(line_item)
        .outerjoin(invoice, invoice.c.id == line_item.c.invoice_id)
        .where(line_item.c.subject_id.in_(subjects), line_item.c.state != "withdrawn")
        .group_by("place")
    )
    found = {row.place: (int(row.entries), int(row.seconds)) for row in rows}
    return {name: found.get(name, (0, 0)) for name in _PLACES}


_PLACES: Final = ("billed", "drafted", "held back", "open")


def _by_reason(
    connection: Connection, held: ColumnElement[bool], name: str, seconds: ColumnElement[int]
) -> Iterator[Part]:
    """Yield the parts that are held or excluded, the most time first."""
    state = "held" if name == "held" else "nothing"
    total = func.sum(seconds)
    rows = connection.execute(
        select(subject.c.reason, subject.c.rule, func.count(), total)
        .join(event, event.c.id == subject.c.event_id)
        .where(held, subject.c.state == state)
        .group_by(subject.c.reason, subject.c.rule)
        .order_by(total.desc(), subject.c.reason, subject.c.rule)
    )
    for reason, rule, entries, sum_of_seconds in rows:
        why = reason or (f'rule "{rule}"' if rule else "no reason was written down")
        yield Part(name, why, int(entries), int(sum_of_seconds))


def _gone(endpoint: str, period: tuple[date, date]) -> Any:
    """Return the query of entries that are gone and were last in the period, by their ids."""
    earlier = event.alias("earlier")
    last_on = (
        select(earlier.c.on)
        .where(
            earlier.c.endpoint == subject.c.endpoint,
            earlier.c.subject == subject.c.name,
            earlier.c.kind == LOGGED,
        )
        .order_by(earlier.c.version.desc(), earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(subject.c.id).where(
        subject.c.endpoint == endpoint,
        subject.c.kind == REMOVED,
        subject.c.state == "gone",
        last_on.between(*period),
    )


def _count(connection: Connection, query: Any) -> int:
    return connection.scalar(select(func.count()).select_from(query.subquery())) or 0


def _waiting(connection: Connection, endpoint: str) -> Iterator[str]:
    """Yield what is unfinished on an endpoint, in words."""
    unread = _rows(connection, delivery, endpoint, delivery.c.state == "waiting")
    if unread:
        yield f"{_number(unread, 'delivery waits', 'deliveries wait')} to be read"
    asked = _rows(connection, hint, endpoint, hint.c.state == "waiting")
    if asked:
        yield f"{_number(asked, 'thing waits', 'things wait')} to be looked up in the tool"
    is_time = subject.c.kind.in_((LOGGED, TOTAL, REMOVED))
    unpriced = _rows(connection, subject, endpoint, is_time & (subject.c.state == "waiting"))
    if unpriced:
        yield f"{_number(unpriced, 'entry waits', 'entries wait')} to be priced"
    failed = _rows(connection, subject, endpoint, is_time & (subject.c.state == "failed"))
    if failed:
        many = _number(failed, "entry", "entries")
        yield f"{many} could not be priced - the list of what is held tells why"


def is_worked_on(connection: Connection, endpoint: str, now: datetime) -> bool:
    """Return whether a worker holds deliveries or entries of an endpoint just now."""
    return any(
        _rows(
            connection, table, endpoint, (table.c.state == "waiting") & (table.c.lease_until > now)
        )
        for table in (delivery, subject)
    )


def _rows(connection: Connection, table: Any, endpoint: str, condition: Any) -> int:
    counted = select(func.count()).where(table.c.endpoint == endpoint, condition)
    return connection.scalar(counted) or 0


def _totals(connection: Connection, endpoint: str, period: tuple[date, date]) -> str | None:
    """Return what is known of cumulative times that the tool's list says nothing about."""
    found = _count(
        connection,
        select(subject.c.id)
        .join(event, event.c.id == subject.c.event_id)
        .where(held_for(endpoint, period, (TOTAL,)), subject.c.state != "nothing"),
    )
    if not found:
        return None
    many = _number(found, "work item has", "work items have")
    return f"{many} a total time here, which the tool does not list: it is not certified"


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _named(connection: Connection, endpoint: str, found: Gaps, told: Iterable[Fact]) -> Gaps:
    """Return the gaps with project, item and person filled in from what is remembered."""
    every = (*found.missing, *found.differing, *found.removed)
    abouts = {each.about for gap in every for each in (gap.there, gap.here) if each and each.about}
    if not abouts:
        return found
    facts = {each.about: each for each in told}
    for some in portions(sorted(abouts)):
        which = about_any_of(fact, [(endpoint, about) for about in some])
        rows = connection.execute(select(fact).where(which, fact.c.state == "known")).mappings()
        facts |= {row["about"]: fact_from_row(row) for row in rows}

    def filled(one: Event | None) -> Event | None:
        known = facts.get(one.about) if one is not None and one.about else None
        return one if one is None or known is None else one.filled_in(known)

    def named(some: Iterable[Gap]) -> tuple[Gap, ...]:
        return tuple(replace(gap, there=filled(gap.there), here=filled(gap.here)) for gap in some)

    return replace(
        found,
        missing=named(found.missing),
        differing=named(found.differing),
        removed=named(found.removed),
    )
