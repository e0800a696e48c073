"""`ledger.completeness`: exactly the differences are named, and every second has its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, text

from ledger.audit import audit
from ledger.certificate import Certificate, certify
from ledger.completeness import Gaps, gaps
from ledger.events import Event, Fact
from ledger.tables import hint, line_item
from tests.databases import copy_sqlite
from tests.ledger.seed import NOW, SmallFirm, logged, month_of_work, removed
from tests.ledger.test_deliveries import forget_all

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
NOVEMBER = date(2026, 11, 1)
IN_TOOL = (
    logged("worklog:1", 5400, version=2),
    logged("worklog:3", 5000, person="ben"),
    logged("worklog:4", 1800, project=None, about="issue:7"),
    logged("worklog:5", 900, project="FREE"),
    logged("worklog:6", 700, project="WHO"),
    logged("worklog:7", 7200, project="BETA"),
)
"""What the tool has in October after the small firm's month of work."""


@pytest.fixture
def firm(database_url: str) -> Iterator[SmallFirm]:
    """Give the small firm after its month of work, on SQLite and on PostgreSQL."""
    firm = SmallFirm(database_url)
    month_of_work(firm)
    yield firm
    firm.close()


@pytest.fixture
def small_firm(sqlite_url: str) -> Iterator[SmallFirm]:
    """Give the small firm after its month of work, on SQLite."""
    firm = SmallFirm(sqlite_url)
    month_of_work(firm)
    yield firm
    firm.close()


@pytest.fixture(scope="module")
def shared_firm(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallFirm]:
    """Give a small firm on SQLite that each example empties first."""
    path = tmp_path_factory.mktemp("completeness") / "firm.sqlite3"
    firm = SmallFirm(copy_sqlite(sqlite_template, path))
    yield firm
    firm.close()


def certificate(firm: SmallFirm, *events: Event, **other: Any) -> Certificate:
    with firm.database.read() as connection:
        return certify(connection, "jira", FIRST, LAST, events, **other)


def parts(found: Certificate) -> dict[str, tuple[int, int]]:
    """Return entries and seconds of each part that has any."""
    told: dict[str, tuple[int, int]] = {}
    for part in found.parts:
        entries, seconds = told.get(part.name, (0, 0))
        told[part.name] = (entries + part.entries, seconds + part.seconds)
    return {name: numbers for name, numbers in told.items() if numbers[0]}


def named(found: Gaps) -> tuple[list[str], list[str], list[str]]:
    missing, differing, gone = (
        [gap.subject for gap in some] for some in (found.missing, found.differing, found.removed)
    )
    return missing, differing, gone


def test_every_second_of_a_month_has_its_place(firm: SmallFirm) -> None:
    found = certificate(firm, *IN_TOOL)
    assert parts(found) == {
        # Three entries on two invoices; the first was edited afterwards.
        "billed": (4, 3600 + 5000 + 1800 + 7200),
        "drafted": (1, -3600 + 5400),
        "held": (1, 700),
        "excluded": (1, 900),
        # One was billed and is taken back on a draft, the other never was.
        "gone": (2, 0),
    }
    assert {part.name: part.reason for part in found.parts if part.reason} == {
        "held": "no customer takes project WHO",
        "excluded": "internal work is free",
    }
    assert (found.entries_in_tool, found.seconds_in_tool) == (6, 21000)
    assert (found.holds, found.is_clean, found.seconds_here) == (True, True, 21000)


def test_each_kind_of_gap_is_named_and_the_equation_holds(firm: SmallFirm) -> None:
    entries = [one for one in IN_TOOL if one.subject not in ("worklog:3", "worklog:4")]
    # Ben's entry is gone; one is longer and another is somebody else's; one is new, one revived.
    entries[0] = logged("worklog:1", 6000, version=3)
    entries[1] = logged("worklog:5", 900, project="FREE", person="ben", version=2)
    entries += [logged("worklog:20", 60), logged("worklog:2", 3000, version=5)]
    found = certificate(firm, *entries)
    assert named(found.gaps) == (
        ["worklog:2", "worklog:20"],
        ["worklog:1", "worklog:5"],
        ["worklog:3", "worklog:4"],
    )
    assert [gap.differs for gap in found.gaps.differing] == [("seconds",), ("person",)]
    assert (found.seconds_missing, found.seconds_differing) == (3060, 600)
    assert (found.seconds_removed, found.holds, found.is_clean) == (6800, True, False)


def test_an_entry_that_moved_between_periods_counts_once(firm: SmallFirm) -> None:
    moved_out = replace(IN_TOOL[1], on=NOVEMBER, version=2)
    moved_in = logged("worklog:9", 7200, version=3, on=LAST)
    # What else the tool lists outside the period is none of its business.
    beside = logged("worklog:30", 60, on=NOVEMBER)
    entries = [one for one in IN_TOOL if one.subject != "worklog:3"]
    found = certificate(firm, *entries, moved_out, moved_in, beside)
    assert named(found.gaps) == ([], ["worklog:9", "worklog:3"], [])
    assert [(gap.differs, gap.change) for gap in found.gaps.differing] == [
        (("on",), 7200),
        (("on",), -5000),
    ]
    assert (found.seconds_in_tool, found.holds) == (21000 - 5000 + 7200, True)


def test_an_entry_that_is_gone_counts_where_it_was_last(small_firm: SmallFirm) -> None:
    small_firm.tell(replace(logged("worklog:1", 5400, version=3), on=NOVEMBER))
    small_firm.tell(removed("worklog:1", version=4))
    # Two others are gone in October.
    assert parts(certificate(small_firm, *IN_TOOL[1:]))["gone"] == (2, 0)
    with small_firm.database.read() as connection:
        november = certify(connection, "jira", NOVEMBER, NOVEMBER, [])
    assert (parts(november)["gone"], november.is_clean) == ((1, 0), True)


def test_what_one_side_does_not_say_is_no_difference(small_firm: SmallFirm) -> None:
    entries = list(IN_TOOL)
    entries[0] = replace(entries[0], project=None, person=None, title="Other", labels=("x",))
    entries[1] = replace(entries[1], billable=True)
    assert not certificate(small_firm, *entries).gaps


def test_of_a_newer_state_everything_counts_that_a_rule_may_ask_for(small_firm: SmallFirm) -> None:
    entries = list(IN_TOOL)
    entries[1] = replace(IN_TOOL[1], version=9, occurred_at=NOW, person_name="Ben")
    assert not certificate(small_firm, *entries).gaps
    entries[1] = replace(IN_TOOL[1], project=None, about="project:5", version=9)
    assert [gap.differs for gap in certificate(small_firm, *entries).gaps.differing] == [
        ("project", "about")
    ]
    entries[1] = replace(IN_TOOL[1], labels=("urgent",), version=9)
    assert [gap.differs for gap in certificate(small_firm, *entries).gaps.differing] == [
        ("labels",)
    ]
    entries[1] = replace(IN_TOOL[1], title="Another", version=9)
    assert [gap.differs for gap in certificate(small_firm, *entries).gaps.differing] == [("title",)]


def test_an_entry_that_is_listed_twice_counts_once_and_its_newest_state(
    small_firm: SmallFirm,
) -> None:
    older = logged("worklog:1", 60, version=1)
    found = certificate(small_firm, *IN_TOOL, IN_TOOL[0], older)
    assert (found.entries_in_tool, found.is_clean) == (6, True)
    # Some tools list what was deleted, marked as such.
    found = certificate(small_firm, *IN_TOOL, removed("worklog:7", version=2))
    assert named(found.gaps) == ([], [], ["worklog:7"])


def test_unfinished_work_is_named_and_not_clean(small_firm: SmallFirm) -> None:
    small_firm.deliver(logged("worklog:1", 5400, version=2))
    found = certificate(small_firm, *IN_TOOL)
    assert (found.waiting, found.is_clean) == (("1 delivery waits to be read",), False)
    small_firm.settle()
    assert certificate(small_firm, *IN_TOOL).is_clean
    small_firm.database.write(
        lambda connection: connection.execute(
            text("update subject set state = 'waiting' where name in ('worklog:2', 'worklog:3')")
        )
    )
    found = certificate(small_firm, *IN_TOOL)
    assert found.waiting == ("2 entries wait to be priced",)
    assert (parts(found)["waiting"], found.holds) == ((1, 5000), True)


def test_what_cannot_be_read_is_not_clean(small_firm: SmallFirm) -> None:
    found = certificate(small_firm, *IN_TOOL, unreadable=["seconds: is missing"])
    assert (found.holds, found.is_clean) == (True, False)


@pytest.mark.parametrize(
    "statement",
    [
        "update line_item set seconds = seconds + 1 where amount > 0 and state = 'billed'",
        "update line_item set state = 'withdrawn' where amount < 0",
        "update subject set held_seconds = 0",
        "update subject set excluded_seconds = 1 where state = 'nothing'",
    ],
)
def test_the_equation_fails_where_the_ledger_is_out_of_balance(
    small_firm: SmallFirm, statement: str
) -> None:
    small_firm.database.write(lambda connection: connection.execute(text(statement)))
    found = certificate(small_firm, *IN_TOOL)
    assert not found.gaps
    assert (found.holds, found.is_clean) == (False, False)


def test_other_endpoints_are_not_counted(small_firm: SmallFirm) -> None:
    with small_firm.database.read() as connection:
        found = certify(connection, "toggl", FIRST, LAST, [])
    assert (found.seconds_here, found.gaps, found.is_clean) == (0, Gaps(), True)
    namesake = logged("worklog:20", 60)
    small_firm.tell(replace(namesake, endpoint="toggl"))
    found = certificate(small_firm, *IN_TOOL, namesake)
    assert (named(found.gaps), found.holds) == ((["worklog:20"], [], []), True)


def test_what_is_approved_counts_as_billed_before_it_is_pushed(small_firm: SmallFirm) -> None:
    before = parts(certificate(small_firm, *IN_TOOL))
    small_firm.approve("acme-2026-11")
    after = parts(certificate(small_firm, *IN_TOOL))
    assert "drafted" not in after
    assert after["billed"][1] == before["billed"][1] + before["drafted"][1]


def test_a_look_up_that_waits_and_an_entry_that_failed_are_named(small_firm: SmallFirm) -> None:
    def leave_undone(connection: Connection) -> None:
        values = {"endpoint": "jira", "subject": "issue:7", "state": "waiting", "next_at": NOW}
        connection.execute(insert(hint).values(attempts=0, **values))
        connection.execute(text("update subject set state = 'failed' where name = 'worklog:3'"))

    small_firm.database.write(leave_undone)
    found = certificate(small_firm, *IN_TOOL)
    assert found.waiting == (
        "1 thing waits to be looked up in the tool",
        "1 entry could not be priced - the list of what is held tells why",
    )
    assert (found.holds, found.is_clean) == (True, False)


def test_totals_are_compared_where_the_tool_lists_them_and_named_where_not(
    small_firm: SmallFirm,
) -> None:
    total = replace(logged("issue-time:7", 600), kind="time.total")
    small_firm.tell(total)
    found = certificate(small_firm, *IN_TOOL)
    assert (found.is_clean, "1 work item has a total" in str(found.uncertified)) == (True, True)
    more = replace(total, seconds=900, version=2)
    found = certificate(small_firm, *IN_TOOL, more)
    assert (named(found.gaps), found.uncertified) == (([], ["issue-time:7"], []), None)
    small_firm.tell(more)
    assert certificate(small_firm, *IN_TOOL, more).is_clean


def test_gaps_are_shown_with_what_is_remembered(small_firm: SmallFirm) -> None:
    new = logged("worklog:40", 60, project=None, about="issue:40")
    entries = [one for one in IN_TOOL if one.subject != "worklog:4"]
    fact = Fact("issue:40", 1, "ACME", "ACME-40", "Logout")
    found = certificate(small_firm, *entries, new, facts=[fact])
    (missing,), (gone,) = found.gaps.missing, found.gaps.removed
    assert missing.there is not None
    assert gone.here is not None
    assert (missing.there.item, gone.here.item) == ("ACME-40", "ACME-9")


def test_what_is_listed_may_be_behind_what_is_held(small_firm: SmallFirm) -> None:
    entries = [logged("worklog:1", 1, version=2), logged("worklog:2", 3000), *IN_TOOL[1:]]
    found = certificate(small_firm, *entries)
    (missing,), (differing,) = found.gaps.missing, found.gaps.differing
    # The second was removed here by something newer than what is listed.
    assert [(gap.version, gap.is_behind) for gap in (missing, differing)] == [(2, True), (2, True)]


@dataclass(frozen=True)
class Step:
    """One change of an entry in the tool, and how many of its webhooks arrive: 0, 1 or 2."""

    name: str
    seconds: int | None
    """None: it is deleted."""
    on: date
    project: str
    is_at_once: bool
    """It happens in the same moment as the step before, by the tool's clock."""
    arrivals: int


STEPS = st.builds(
    Step,
    name=st.sampled_from(["entry:1", "entry:2", "entry:3", "entry:4"]),
    seconds=st.sampled_from([None, 0, 60, 900, 3600]),
    on=st.sampled_from([FIRST, LAST, NOVEMBER]),
    project=st.sampled_from(["ACME", "BETA", "FREE", "WHO"]),
    is_at_once=st.booleans(),
    arrivals=st.sampled_from([0, 1, 1, 2]),
)


def told_by(steps: Sequence[Step]) -> list[Event]:
    events, version = [], 0
    for step in steps:
        version += 0 if step.is_at_once else 1
        if step.seconds is None:
            events.append(removed(step.name, version=version))
        else:
            events.append(
                logged(step.name, step.seconds, version=version, on=step.on, project=step.project)
            )
    return events


def differing_by_hand(listed: dict[str, Event], held: dict[str, Event]) -> set[tuple[str, str]]:
    found = set()
    for name in listed.keys() | held.keys():
        there, here = listed.get(name), held.get(name)
        if here is not None and here.kind == "time.removed":
            here = None
        days = {one.on for one in (there, here) if one is not None}
        if not any(FIRST <= day <= LAST for day in days):
            continue
        if there is None:
            found.add(("removed", name))
        elif here is None:
            if FIRST <= there.on <= LAST:
                found.add(("missing", name))
        elif (there.seconds, there.on, there.project) != (here.seconds, here.on, here.project):
            found.add(("differing", name))
    return found


def heal(firm: SmallFirm, found: Gaps) -> None:
    """Close gaps as the command does."""
    for gap in (*found.missing, *found.differing):
        assert gap.there is not None
        version = gap.version + 1 if gap.is_behind else gap.there.version
        firm.deliver(replace(gap.there, version=version))
    for gap in found.removed:
        firm.deliver(removed(gap.subject, version=gap.version + 1))
    firm.settle()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=12), order=st.randoms(), is_billed=st.booleans())
def test_any_history_is_certified_and_healed(
    shared_firm: SmallFirm, steps: list[Step], order: Any, is_billed: bool
) -> None:
    firm = shared_firm
    forget_all(firm)
    events = told_by(steps)
    in_tool = {event.subject: event for event in events}
    listed = {name: event for name, event in in_tool.items() if event.kind == "time.logged"}
    arriving = [
        event for event, step in zip(events, steps, strict=True) for _ in range(step.arrivals)
    ]
    order.shuffle(arriving)
    for event in arriving:
        firm.deliver(event)
    firm.settle()
    if is_billed:
        drafts = [row["reference"] for row in firm.invoices().values() if row["state"] == "draft"]
        firm.bill(*drafts)
    held: dict[str, Event] = {}
    for event in sorted(
        arriving, key=lambda one: (one.version, one.kind == "time.removed", one.digest())
    ):
        held[event.subject] = event
    with firm.database.read() as connection:
        found = gaps(connection, "jira", FIRST, LAST, listed.values())
    expected = differing_by_hand(listed, held)
    missing, differing, gone = named(found)
    assert {
        *(("missing", name) for name in missing),
        *(("differing", name) for name in differing),
        *(("removed", name) for name in gone),
    } == expected
    assert certificate(firm, *listed.values()).holds
    heal(firm, found)
    after = certificate(firm, *listed.values())
    assert after.is_clean, after
    on_lines = sum(row["seconds"] for row in firm.rows(line_item) if row["state"] != "withdrawn")
    with firm.database.read() as connection:
        november = certify(connection, "jira", NOVEMBER, NOVEMBER, listed.values())
        heal_too = gaps(connection, "jira", NOVEMBER, NOVEMBER, listed.values())
    assert november.holds
    heal(firm, heal_too)
    on_lines = sum(row["seconds"] for row in firm.rows(line_item) if row["state"] != "withdrawn")
    priced = [one for one in listed.values() if one.project in ("ACME", "BETA")]
    with firm.database.read() as connection:
        assert audit(connection, NOW) == []
        held_back = connection.scalar(text("select coalesce(sum(held_seconds), 0) from subject"))
    held_in_tool = sum(one.seconds or 0 for one in listed.values() if one.project == "WHO")
    assert on_lines + int(held_back or 0) == sum(one.seconds or 0 for one in priced) + held_in_tool
