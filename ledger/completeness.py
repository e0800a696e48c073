"""Where do a tool's time entries of a period differ from the ledger? Compared to the second.

The tool's side is what its source reads from the tool's own list; `certificate.py` adds what
became of the entries that agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, select

from .deliveries import event_from_row
from .events import Event, canonical_json
from .tables import event, subject

LOGGED: Final = "time.logged"
TOTAL: Final = "time.total"
REMOVED: Final = "time.removed"
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
    return compared(connection, endpoint, (first, last), newest_of(events))


def newest_of(events: Iterable[Event]) -> dict[str, Event]:
    """Return the entries that the tool has, by subject; one that it lists as removed is not."""
    newest: dict[str, Event] = {}
    for told in events:
        if told.kind not in (LOGGED, TOTAL, REMOVED):
            continue
        known = newest.get(told.subject)
        if known is None or (told.version, told.kind) > (known.version, known.kind):
            newest[told.subject] = told
    return {name: told for name, told in newest.items() if told.kind != REMOVED}


def kinds_of(listed: Mapping[str, Event]) -> frozenset[str]:
    """Return the kinds of events that are compared: entries, and totals where they are listed."""
    # A work item's total is compared where the tool lists totals. Where it lists entries, a total
    # is the older way to tell the same time.
    return frozenset({LOGGED, *(told.kind for told in listed.values())})


def compared(
    connection: Connection,
    endpoint: str,
    period: tuple[date, date],
    listed: Mapping[str, Event],
) -> Gaps:
    """Return the gaps of a period; `listed` has each entry's newest event by subject."""
    first, last = period
    kinds = kinds_of(listed)
    missing, differing, removed = [], [], []
    seen = set()
    for row in _present(connection, held_for(endpoint, period, kinds)):
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
    for some in portions(others):
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


def held_for(endpoint: str, period: tuple[date, date], kinds: Iterable[str]) -> ColumnElement[bool]:
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


def portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the names in portions that one query can ask for."""
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
