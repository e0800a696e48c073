"""Is each time entry of a period here, to the second? What the tool lists against what is held.

    in the tool = billed + drafted + open + held + excluded + gone + waiting
                  + missing here + differing (by how much) - removed there

Both sides are counted by themselves: the left one from what the tool lists, the right one from
line items and present values. So the equation fails where the ledger is out of balance too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from .deliveries import event_from_row
from .events import Event, Fact, canonical_json
from .facts import about_any_of, fact_from_row
from .tables import delivery, event, fact, hint, invoice, line_item, subject

LOGGED: Final = "time.logged"
TOTAL: Final = "time.total"
REMOVED: Final = "time.removed"
PARTS: Final = {
    "billed": "on invoices that are approved or pushed",
    "drafted": "on drafts",
    "open": "priced, on no draft yet",
    "held": "waits for a person",
    "excluded": "earns nothing",
    "gone": "was removed in the tool; what was billed of it is taken back",
    "waiting": "not priced yet",
}
"""Where the time of an entry can be, and what that means."""
_ALWAYS: Final = ("seconds", "on")
_SAID: Final = ("person", "billable", "project", "about")
_IF_NEWER: Final = ("item", "title", "labels")
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Gap:
    """One time entry that does not stand here as it stands in the tool."""

    subject: str
    on: date
    """The day that the tool lists it under, else the one that it has here."""
    there: Event | None
    """As the tool lists it; None where it does not."""
    here: Event | None
    """As the ledger holds it, None where it never heard of it; a `time.removed` is gone here."""
    differs: tuple[str, ...]
    """What is different, where both have it: `seconds`, `on`, `person` ..."""
    change: int
    """How many seconds the period gains here once the gap is closed."""

    @property
    def version(self) -> int:
        """Return the version of what the ledger holds, 0 where it holds nothing."""
        return 0 if self.here is None else self.here.version

    @property
    def is_behind(self) -> bool:
        """Return whether what is listed is no newer than what is held, so that it would lose."""
        return self.there is not None and self.there.version <= self.version

    def as_json(self) -> dict[str, Any]:
        """Return the gap as the JSON object that the command line promises."""
        known = self.there or self.here
        return {
            "subject": self.subject,
            "on": self.on.isoformat(),
            "project": known.project if known else None,
            "item": known.item if known else None,
            "title": known.title if known else None,
            "there": _side(self.there),
            "here": _side(self.here),
            "differs": list(self.differs),
            "change": self.change,
        }


@dataclass(frozen=True, slots=True)
class Gaps:
    """Where a period's entries differ between tool and ledger; empty if they agree."""

    missing: tuple[Gap, ...] = ()
    """In the tool, but unknown or gone here."""
    differing: tuple[Gap, ...] = ()
    """In both, with other content; also what moved into or out of the period."""
    removed: tuple[Gap, ...] = ()
    """Here, but not in the tool's list."""
    entries_here: int = 0
    """How many entries the ledger holds for the period."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.differing or self.removed)


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


def _side(told: Event | None) -> dict[str, Any] | None:
    if told is None or told.kind == REMOVED:
        return None
    return {
        "on": told.on.isoformat(),
        "seconds": told.seconds,
        "person": told.person,
        "person_name": told.person_name,
        "billable": told.billable,
        "project": told.project,
        "labels": list(told.labels),
    }


def gaps(
    connection: Connection, endpoint: str, first: date, last: date, events: Iterable[Event]
) -> Gaps:
    """Compare what the tool lists for a period (both days included) with what is held for it.

    `events` are those read from the list; other kinds than those of time are passed over, and of
    an entry that is listed twice the newest counts.
    """
    return _compared(connection, endpoint, (first, last), _newest(events))


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
    listed = _newest(events)
    kinds = _kinds(listed)
    period = (first, last)
    in_period = [one for one in listed.values() if first <= one.on <= last]
    found = _compared(connection, endpoint, period, listed)
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


def _newest(events: Iterable[Event]) -> dict[str, Event]:
    """Return the entries that the tool has, by subject; one that it lists as removed is not."""
    newest: dict[str, Event] = {}
    for told in events:
        if told.kind not in (LOGGED, TOTAL, REMOVED):
            continue
        known = newest.get(told.subject)
        if known is None or (told.version, told.kind) > (known.version, known.kind):
            newest[told.subject] = told
    return {name: told for name, told in newest.items() if told.kind != REMOVED}


def _kinds(listed: Mapping[str, Event]) -> frozenset[str]:
    # A work item's total is compared where the tool lists totals. Where it lists entries, a total
    # is the older way to tell the same time.
    return frozenset({LOGGED, *(told.kind for told in listed.values())})


def _compared(
    connection: Connection,
    endpoint: str,
    period: tuple[date, date],
    listed: Mapping[str, Event],
) -> Gaps:
    first, last = period
    kinds = _kinds(listed)
    missing, differing, removed = [], [], []
    seen = set()
    for row in _present(connection, _held(endpoint, period, kinds)):
        here = event_from_row(row)
        seen.add(here.subject)
        there = listed.get(here.subject)
        if there is None:
            removed.append(_gap(here, None, here, period))
        elif names := _differences(there, here, row["digest"]):
            differing.append(_gap(there, there, here, period, names))
    others = [
        name for name, told in listed.items() if name not in seen and first <= told.on <= last
    ]
    known: dict[str, Mapping[Any, Any]] = {}
    for some in _portions(others):
        named = and_(subject.c.endpoint == endpoint, subject.c.name.in_(some))
        known |= {row["subject"]: row for row in _present(connection, named)}
    for name in others:
        told, found = listed[name], known.get(name)
        held = None if found is None else event_from_row(found)
        if found is None or held is None or held.kind not in kinds:
            missing.append(_gap(told, told, held, period))
        else:
            names = _differences(told, held, found["digest"])
            differing.append(_gap(told, told, held, period, names))
    for some_gaps in (missing, differing, removed):
        some_gaps.sort(key=_place)
    return Gaps(tuple(missing), tuple(differing), tuple(removed), entries_here=len(seen))


def _gap(
    known: Event,
    there: Event | None,
    here: Event | None,
    period: tuple[date, date],
    differs: tuple[str, ...] = (),
) -> Gap:
    change = _counted(there, period) - _counted(here, period)
    return Gap(known.subject, known.on, there, here, differs, change)


def _counted(told: Event | None, period: tuple[date, date]) -> int:
    if told is None or told.kind == REMOVED or not period[0] <= told.on <= period[1]:
        return 0
    return told.seconds or 0


def _place(gap: Gap) -> tuple[date, str]:
    return gap.on, gap.subject


def _differences(there: Event, here: Event, digest: str) -> tuple[str, ...]:
    """Return what the tool lists otherwise than the ledger holds it, as far as it matters.

    Of one state of an entry the tool may tell more in one place than in another, so what one side
    leaves open is no difference. Where the tool's entry is newer, everything that a rule may ask
    for counts.
    """
    if there.digest() == digest:
        return ()
    names = [name for name in _ALWAYS if getattr(there, name) != getattr(here, name)]
    is_newer = there.version > here.version
    for name in (*_SAID, *(_IF_NEWER if is_newer else ())):
        told, known = getattr(there, name), getattr(here, name)
        if told != known and (is_newer or (told is not None and known is not None)):
            names.append(name)
    if is_newer:
        both = there.fields.keys() & here.fields.keys()
        # Stored decimals are text; as canonical JSON they are the same.
        if any(
            canonical_json(there.fields[name]) != canonical_json(here.fields[name]) for name in both
        ):
            names.append("fields")
    return tuple(names)


def _held(endpoint: str, period: tuple[date, date], kinds: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition of the entries that the ledger holds for a period."""
    return and_(
        subject.c.endpoint == endpoint,
        subject.c.kind.in_(sorted(kinds)),
        event.c.on.between(*period),
    )


def _present(connection: Connection, condition: ColumnElement[bool]) -> Iterator[Mapping[Any, Any]]:
    """Yield the present events of subjects."""
    query = select(event).join(subject, subject.c.event_id == event.c.id).where(condition)
    yield from connection.execute(query.order_by(subject.c.id)).mappings()


def _parts(
    connection: Connection, endpoint: str, period: tuple[date, date], kinds: Iterable[str]
) -> Iterator[Part]:
    held = _held(endpoint, period, kinds)
    is_judged = subject.c.state.in_(("priced", "held", "nothing"))
    present = select(subject.c.id).join(event, event.c.id == subject.c.event_id)
    lines = _lines(connection, present.where(held, is_judged))
    yield from (Part(name, None, *lines[name]) for name in ("billed", "drafted", "open"))
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
    went_out = or_(line_item.c.state == "billed", invoice.c.state.in_(("approved", "pushed")))
    place = case(
        (went_out, "billed"), (line_item.c.invoice_id.is_not(None), "drafted"), else_="open"
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
    return {name: found.get(name, (0, 0)) for name in ("billed", "drafted", "open")}


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


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


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
        yield f"{many} could not be priced - `flask events list` tells why"


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
        .where(_held(endpoint, period, (TOTAL,)), subject.c.state != "nothing"),
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
    for some in _portions(sorted(abouts)):
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
