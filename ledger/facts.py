"""What is remembered about things that events only name: told in passing, or asked for.

A fact has a version, as an event has: the newest one counts, whoever told it when. Learning one
wakes the work that names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, or_, select, update

from .claims import AFRESH, Claim, hold, needing, postponed, released
from .database import insert_for
from .events import Fact, canonical_json
from .tables import fact, subject


@dataclass(frozen=True, slots=True)
class Wanted:
    """A thing that events name, and that its tool can be asked about."""

    id: int
    endpoint: str
    about: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of asking about one thing."""

    wanted: Wanted
    told: Fact | None = None
    problem: str = ""
    """Why nothing was told, for people."""
    again_at: datetime | None = None
    """When the tool is asked again; None: when a person asks for that."""
    wait_seconds: int | None = None
    """Not answered just now: asked again after a while that grows, at least this long."""


def load_wanted(connection: Connection, claimed: Claim) -> list[Wanted]:
    """Return the claimed things to ask about."""
    rows = connection.execute(
        select(fact.c.id, fact.c.endpoint, fact.c.about)
        .where(fact.c.id.in_(claimed.ids))
        .order_by(fact.c.id)
    )
    return [Wanted(row.id, row.endpoint, row.about) for row in rows]


def answer(
    connection: Connection, claimed: Claim, answers: Sequence[Answer], now: datetime
) -> None:
    """End a claim with what the tools told, or with the problem where they told nothing."""
    ours = set(hold(connection, claimed))
    done = [each for each in answers if each.wanted.id in ours]
    learn(
        connection,
        [(each.wanted.endpoint, each.told) for each in done if each.told is not None],
        now,
    )
    untold = [each for each in done if each.told is None]
    for each in untold:
        if each.wait_seconds is not None:
            # The attempts go on counting, so that the waits grow.
            values = postponed(now, claimed.attempt, at_least=each.wait_seconds)
        else:
            values = released(each.again_at)
        is_over = each.wait_seconds is None and each.again_at is None
        connection.execute(
            update(fact)
            .where(fact.c.id == each.wanted.id)
            .values(
                state="unknown" if is_over else "wanted",
                reason=each.problem,
                **needing(fact, now, is_needed=is_over),
                **values,
            )
        )
    if untold:
        named = [(each.wanted.endpoint, each.wanted.about) for each in untold]
        wake(connection, about_any_of(subject, named), now)


def ask_again(connection: Connection, askable: Collection[str], now: datetime) -> int:
    """Have the tools of these endpoints asked about all that is unknown; return how much it is."""
    return connection.execute(
        update(fact)
        .where(fact.c.state == "unknown", fact.c.endpoint.in_(askable))
        .values(state="wanted", next_at=now, **released())
    ).rowcount


def learn(connection: Connection, facts: Iterable[tuple[str, Fact]], now: datetime) -> None:
    """Remember what was told about things, newest version first, and wake what names them."""
    newest = _newest(facts)
    known = _known_facts(connection, newest)
    fresh = {key: told for key, told in sorted(newest.items()) if _is_news(told, known.get(key))}
    if not fresh:
        return
    statement = insert_for(connection, fact)
    excluded = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["endpoint", "about"],
            set_={
                name: excluded[name]
                for name in (
                    *("state", "version", "digest", "project", "item", "title"),
                    *("person", "person_name", "billable", "labels", "fields"),
                    *("reason", "attempts", "unended", "lease_token", "lease_until"),
                    "since_at",
                )
            },
            where=or_(
                fact.c.state != "known",
                excluded.version > fact.c.version,
                and_(excluded.version == fact.c.version, excluded.digest > fact.c.digest),
            ),
        ),
        [
            {
                "endpoint": endpoint,
                "about": about,
                "state": "known",
                "version": told.version,
                "digest": _content(told),
                "project": told.project,
                "item": told.item,
                "title": told.title,
                "person": told.person,
                "person_name": told.person_name,
                "billable": told.billable,
                "labels": list(told.labels),
                "fields": dict(told.fields),
                "reason": None,
                **AFRESH,
                "lease_token": None,
                "lease_until": None,
                "since_at": None,
                "next_at": now,
            }
            for (endpoint, about), told in fresh.items()
        ],
    )
    changed = [
        key
        for key, told in fresh.items()
        if key not in known or known[key].state != "known" or known[key].digest != _content(told)
    ]
    if changed:
        wake(connection, about_any_of(subject, changed), now)


def unheard(
    connection: Connection, facts: Iterable[tuple[str, Fact]]
) -> dict[tuple[str, str], Fact]:
    """Return the facts, by endpoint and thing, that say something else than what is remembered."""
    newest = _newest(facts)
    known = _known_facts(connection, newest)
    return {
        key: told
        for key, told in newest.items()
        if _is_news(told, known.get(key))
        and (known.get(key) is None or known[key].digest != _content(told))
    }


def _newest(facts: Iterable[tuple[str, Fact]]) -> dict[tuple[str, str], Fact]:
    newest: dict[tuple[str, str], Fact] = {}
    for endpoint, told in facts:
        key = (endpoint, told.about)
        if key not in newest or _rank(told) > _rank(newest[key]):
            newest[key] = told
    return newest


def about_any_of(table: Table, named: Iterable[tuple[str, str]]) -> Any:
    """Return the condition of the rows about these things, each (endpoint, about)."""
    names: dict[str, list[str]] = {}
    for endpoint, about in sorted(named):
        names.setdefault(endpoint, []).append(about)
    # Endpoint by endpoint: for a list of pairs SQLite reads the whole table.
    return or_(
        *(
            and_(table.c.endpoint == endpoint, table.c.about.in_(abouts))
            for endpoint, abouts in names.items()
        )
    )


def wake(connection: Connection, which: Any, now: datetime) -> int:
    """Make subjects wait for mapping again; return how many there are.

    Who is mapping one of them just now, by rules that are no longer active, loses the claim.
    """
    return connection.execute(
        update(subject).where(which).values(state="waiting", **released(now))
    ).rowcount


def _rank(told: Fact) -> tuple[int, str]:
    return told.version, _content(told)


def _content(told: Fact) -> str:
    """Return what a fact says, whenever it was said; it also decides between equal versions."""
    said: list[Any] = [told.project, told.item, told.title, told.labels, dict(told.fields)]
    worker = [told.person, told.person_name, told.billable]
    if worker != [None, None, None]:
        said.append(worker)
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def _known_facts(connection: Connection, keys: Collection[tuple[str, str]]) -> dict[Any, Any]:
    if not keys:
        return {}
    rows = connection.execute(
        select(fact.c.endpoint, fact.c.about, fact.c.state, fact.c.version, fact.c.digest).where(
            about_any_of(fact, keys)
        )
    )
    return {(row.endpoint, row.about): row for row in rows}


def _is_news(told: Fact, known: Any) -> bool:
    return known is None or known.state != "known" or _rank(told) > (known.version, known.digest)


def fact_from_row(row: Mapping[Any, Any]) -> Fact:
    """Return a remembered fact (a row's mapping) as it was told."""
    return Fact(
        about=row["about"],
        version=row["version"],
        project=row["project"],
        item=row["item"],
        title=row["title"],
        person=row["person"],
        person_name=row["person_name"],
        billable=row["billable"],
        labels=tuple(row["labels"]),
        fields=row["fields"],
    )
