"""`ledger.deliveries`: facts apply by version, in whatever order and however often they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from ledger.events import Event, Fact
from ledger.tables import (
    activation,
    delivery,
    event,
    fact,
    hint,
    line_item,
    mapping_version,
    metadata,
    subject,
)
from tests.databases import copy_sqlite
from tests.ledger.seed import SmallFirm, completed, logged, removed

TOLD: tuple[Event | Fact, ...] = (
    logged("worklog:1", 3600),
    logged("worklog:1", 1800, version=2),
    logged("worklog:1", 1800, version=2, person="ben"),
    logged("worklog:1", 900, version=3, project="BETA"),
    logged("worklog:2", 600),
    removed("worklog:2", version=2),
    logged("worklog:2", 700, version=2),
    logged("worklog:3", 600, project=None, about="issue:7"),
    logged("worklog:3", 1200, version=5, project=None, about="issue:7"),
    Fact("issue:7", 1, "ACME", "ACME-7", "Login"),
    Fact("issue:7", 2, "SITE", "SITE-1", "Login page"),
    Fact("issue:7", 2, "WHO", "WHO-1", "Moved"),
    Fact("issue:8", 1, "ACME", "ACME-8", "Logout"),
    logged("worklog:4", 60, project=None, about="issue:9"),
    completed("milestone:1"),
    replace(completed("milestone:1", version=2), kind="milestone.reopened"),
    replace(logged("issue-time:7", 600), kind="time.total"),
    replace(logged("issue-time:7", 500, version=2), kind="time.total"),
)
"""What there is to be told: changes, contradictions at the same version, facts before and after."""


@pytest.fixture(scope="module")
def shared_firm(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallFirm]:
    """Give a small firm on SQLite that each example empties first."""
    path = tmp_path_factory.mktemp("deliveries") / "firm.sqlite3"
    firm = SmallFirm(copy_sqlite(sqlite_template, path))
    yield firm
    firm.close()


@pytest.fixture
def firm(database_url: str) -> Iterator[SmallFirm]:
    """Give a small firm on SQLite and on PostgreSQL."""
    firm = SmallFirm(database_url)
    yield firm
    firm.close()


def forget_all(firm: SmallFirm) -> None:
    """Empty the ledger, but for its rules."""

    def forget(connection: Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            if table not in (mapping_version, activation):
                connection.execute(table.delete())

    firm.database.write(forget)


def tell(firm: SmallFirm, told: list[Event | Fact]) -> None:
    """Deliver what is told, together."""
    events = tuple(each for each in told if isinstance(each, Event))
    firm.deliver(*events, facts=tuple(each for each in told if isinstance(each, Fact)))


def what_is_known(firm: SmallFirm) -> list[list[tuple[Any, ...]]]:
    """Return subjects, facts and open lines, without what tells when they came."""
    said = event.c.digest
    queries = (
        select(
            *(subject.c[name] for name in ("endpoint", "name", "kind", "version", "about", "item")),
            *(subject.c[name] for name in ("seconds", "state", "reason", "customer", "rule")),
            *(subject.c[name] for name in ("held_seconds", "excluded_seconds")),
            said,
        ).join(event, event.c.id == subject.c.event_id),
        select(fact.c.about, fact.c.state, fact.c.version, fact.c.project, fact.c.title),
        select(
            *(line_item.c[name] for name in ("customer", "item", "seconds", "amount", "rule")), said
        )
        .join(event, event.c.id == line_item.c.event_id)
        .where(line_item.c.state == "open"),
    )
    with firm.database.read() as connection:
        return [
            sorted((tuple(row) for row in connection.execute(query)), key=repr) for query in queries
        ]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(TOLD),
    repeated=st.lists(st.sampled_from(TOLD), max_size=6),
    cuts=st.lists(st.integers(0, 24), max_size=5),
    settled=st.integers(0, 31),
)
def test_any_order_and_repetition_gives_the_same_ledger(
    shared_firm: SmallFirm,
    order: list[Event | Fact],
    repeated: list[Event | Fact],
    cuts: list[int],
    settled: int,
) -> None:
    forget_all(shared_firm)
    tell(shared_firm, list(TOLD))
    shared_firm.settle()
    expected = what_is_known(shared_firm)

    forget_all(shared_firm)
    told = [*order, *repeated]
    edges = [0, *sorted(cuts), len(told)]
    for number, (start, end) in enumerate(pairwise(edges)):
        if told[start:end]:
            tell(shared_firm, told[start:end])
        if settled >> number & 1:
            shared_firm.settle()
    shared_firm.settle()
    assert what_is_known(shared_firm) == expected


def test_the_greatest_version_is_present_whoever_comes_last(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 900, version=3))
    firm.tell(logged("worklog:1", 3600, version=1))
    assert [row["seconds"] for row in firm.rows(subject)] == [900]


def test_an_entry_that_was_removed_stays_removed(firm: SmallFirm) -> None:
    firm.tell(removed("worklog:1", version=2))
    firm.tell(logged("worklog:1", 3600, version=1))
    (row,) = firm.rows(subject)
    assert (row["state"], row["seconds"]) == ("gone", 0)
    assert firm.rows(line_item) == []


def test_the_same_event_in_two_deliveries_is_stored_once(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.tell(logged("worklog:1", 3600))
    assert len(firm.rows(delivery)) == 2
    assert len(firm.rows(event)) == 1
    assert [row["events"] for row in firm.rows(delivery)] == [1, 1]


def test_an_event_waits_for_the_fact_that_tells_its_project(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600, project=None, about="issue:7"))
    (row,) = firm.rows(subject)
    assert row["state"] == "held"
    assert "issue:7" in row["reason"]
    firm.tell(facts=(Fact("issue:7", 1, "ACME", "ACME-7", "Login"),))
    (row,) = firm.rows(subject)
    assert (row["state"], row["customer"]) == ("priced", "acme")


def test_a_fact_that_changes_prices_the_event_anew(firm: SmallFirm) -> None:
    firm.tell(
        logged("worklog:1", 3600, project=None, about="issue:7"),
        facts=(Fact("issue:7", 1, "ACME", "ACME-7", "Login"),),
    )
    firm.tell(facts=(Fact("issue:7", 2, "BETA", "BETA-1", "Login"),))
    assert [row["customer"] for row in firm.rows(subject)] == ["beta"]
    assert {row["customer"] for row in firm.rows(line_item) if row["state"] == "open"} == {"beta"}


def test_a_hint_becomes_no_subject(firm: SmallFirm) -> None:
    firm.tell(replace(logged("invoice:in_1", 0), kind="invoice.changed", seconds=None))
    assert firm.rows(subject) == []
    assert [row["subject"] for row in firm.rows(hint)] == ["invoice:in_1"]
