"""What the stored facts say now, as rules see them: for trying rules out before they are active.

Nothing is changed. Called by `flask rules check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from .deliveries import event_from_row
from .events import UNDOES, Event, Fact
from .facts import fact_from_row
from .tables import event, fact, subject

AT_ONCE: Final = 1000
"""Rows that are read at once, so that memory stays flat however many there are."""
_FACT: Final = tuple(Fact.__dataclass_fields__)
_IS_ITS_FACT: Final = and_(
    fact.c.endpoint == event.c.endpoint, fact.c.about == event.c.about, fact.c.state == "known"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A project and a person that stand together in stored events."""

    source: str
    endpoint: str
    project: str | None
    person: str | None
    person_name: str | None
    events: int
    seconds: int


def present_events(connection: Connection) -> Iterator[tuple[int, Event]]:
    """Yield the id and the present event of each subject, filled in with what is remembered.

    What was removed or opened again is left out: no rule prices it.
    """
    query = (
        select(event, *(fact.c[name].label(f"fact_{name}") for name in _FACT))
        .select_from(subject)
        .join(event, event.c.id == subject.c.event_id)
        .outerjoin(fact, _IS_ITS_FACT)
        .where(event.c.kind.not_in(tuple(UNDOES)))
        .order_by(event.c.id)
    )
    rows = connection.execution_options(yield_per=AT_ONCE).execute(query).mappings()
    for row in rows:
        told = event_from_row(row)
        if row["fact_about"] is not None:
            remembered = {name: row[f"fact_{name}"] for name in _FACT}
            told = told.filled_in(fact_from_row(remembered))
        yield row["id"], told


def projects_and_persons(connection: Connection) -> Iterator[Seen]:
    """Yield each project with each person in it, with how many present events and seconds.

    The database counts, so that a million events are a second's work.
    """
    project = func.coalesce(event.c.project, fact.c.project)
    person = func.coalesce(event.c.person, fact.c.person)
    name = func.max(func.coalesce(event.c.person_name, fact.c.person_name))
    keys: tuple[Any, ...] = (event.c.source, event.c.endpoint, project, person)
    query = (
        select(*keys, name, func.count(), func.coalesce(func.sum(event.c.seconds), 0))
        .select_from(subject)
        .join(event, event.c.id == subject.c.event_id)
        .outerjoin(fact, _IS_ITS_FACT)
        .where(event.c.kind.not_in(tuple(UNDOES)))
        .group_by(*keys)
        .order_by(*keys)
    )
    for row in connection.execution_options(yield_per=AT_ONCE).execute(query):
        source, endpoint, at, who, called, count, seconds = tuple(row)
        yield Seen(source, endpoint, at, who, called, count, int(seconds))
