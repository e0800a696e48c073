"""A ledger that grows stays as fast: no step reads a table as a whole, and claims keep in order.

SQLite tells how it would carry out each statement. It knows nothing of how many rows there
are, so what it says of this small ledger holds for a large one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, update

from ledger.audit.contents import printed_again
from ledger.audit.prices import priced_again
from ledger.bank import Entry, recorded_payment
from ledger.claims import claim
from ledger.database import Database
from ledger.matching import import_entries
from ledger.recording import Recorder
from ledger.retold import Retold
from ledger.tables import delivery
from line import Line
from tests.journeys.house import House, client, issue, post, worklog
from worker import STAGES, run

GROWING = ("delivery", "event", "fact", "subject", "line_item")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class Plans:
    """Asks SQLite how it carries out each statement that goes to a database."""

    def __init__(self, database: Database) -> None:
        self.found: list[str] = []
        self._is_asking = False
        event.listen(database.engine, "before_cursor_execute", self._ask)

    def _ask(self, connection: Connection, *about: Any) -> None:
        _, statement, parameters, _, is_many = about
        if self._is_asking or not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            return
        self._is_asking = True
        asked = parameters[0] if is_many else parameters
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", asked).all()
        self._is_asking = False
        first = statement.partition("\n")[0][:60]
        self.found += [f"{row.detail} <- {first}" for row in rows]

    def read_as_a_whole(self) -> list[str]:
        """Return where a table that grows was read from its beginning to its end."""
        names = tuple(f"SCAN {table} " for table in GROWING)
        return [plan for plan in self.found if plan.startswith(names)]


@pytest.fixture
def line(tmp_path: Path, sqlite_url: str) -> Line:
    """Give the line of a firm with active rules."""
    house = House(tmp_path, sqlite_url)
    line = house.line()
    house.activate(line)
    return line


def test_nothing_that_a_delivery_sets_going_reads_a_whole_table(line: Line) -> None:
    plans = Plans(line.database)
    to = client(line)
    stages = [stage for stage in STAGES if stage.name in ("normalize", "map")]
    # Time on an issue that is told later, then edited, renamed and deleted: every path to wake it.
    for number, body in enumerate(
        (
            worklog(1, seconds=3600),
            issue(7),
            worklog(1, seconds=7200, version=2),
            issue(7, version=3, title="Sign-in"),
            worklog(1, seconds=7200, version=4, kind="worklog_deleted"),
        )
    ):
        assert post(to, body, f"delivery-{number}") == 202
        for stage in stages:
            while run(line, stage):
                pass
    assert plans.found
    assert plans.read_as_a_whole() == []


def test_a_part_of_the_audit_looks_at_its_own_lines_alone(line: Line) -> None:
    to = client(line)
    for number, body in enumerate((issue(7), worklog(1, seconds=3600))):
        assert post(to, body, f"delivery-{number}") == 202
    for stage in STAGES:
        if stage.name in ("normalize", "map", "assemble"):
            while run(line, stage):
                pass
    plans = Plans(line.database)
    with line.database.read() as connection:
        assert [*priced_again(connection, lambda _version, _event: (), first=1, last=9)]
        assert not [*printed_again(connection, first=1, last=9)]
    looked_up = [plan.partition(" <- ")[0] for plan in plans.found if " line_item " in plan]
    # An index of states would lead through all lines, for each part anew.
    assert looked_up == [
        "SEARCH line_item USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        "SEARCH line_item USING INDEX ix_line_item_invoice_id (invoice_id=?)",
    ]


def test_a_claim_does_not_sort_what_waits(line: Line) -> None:
    plans = Plans(line.database)
    line.database.write(lambda connection: claim(connection, delivery, "waiting", NOW, 500))
    _store(line.database, [0])
    line.database.write(lambda connection: claim(connection, delivery, "waiting", NOW, 500))
    assert plans.found
    assert [plan for plan in plans.found if "TEMP B-TREE" in plan] == []


def test_what_has_waited_longest_is_claimed_first(database_url: str) -> None:
    database = Database(database_url)
    try:
        _store(database, [3, 1, 2, 0])
        claimed = [
            database.write(lambda connection: claim(connection, delivery, "waiting", NOW, 2)).ids
            for _ in range(3)
        ]
        with database.read() as connection:
            rows = connection.execute(select(delivery.c.id, delivery.c.delivery_id))
            names = {row.id: row.delivery_id for row in rows}
        told = [sorted(names[each] for each in ids) for ids in claimed]
        assert told == [["waited-2", "waited-3"], ["waited-0", "waited-1"], []]
    finally:
        database.close()


def test_what_failed_before_is_claimed_alone(database_url: str) -> None:
    database = Database(database_url)
    try:
        _store(database, [5, 4, 3])
        failed = update(delivery).where(delivery.c.delivery_id == "waited-5").values(attempts=2)
        database.write(lambda connection: connection.execute(failed))
        first = database.write(lambda connection: claim(connection, delivery, "waiting", NOW, 9))
        second = database.write(lambda connection: claim(connection, delivery, "waiting", NOW, 9))
        assert (len(first.ids), first.attempt) == (1, 3)
        assert (len(second.ids), second.attempt) == (2, 1)
    finally:
        database.close()


def _store(database: Database, minutes_waited: list[int]) -> None:
    """Store deliveries that have waited so long."""
    rows = [
        {
            "endpoint": "jira-acme",
            "source": "jira",
            "delivery_id": f"waited-{minutes}",
            "body_hash": "",
            "headers": {},
            "body": b"{}",
            "received_at": NOW - timedelta(minutes=minutes),
            "state": "waiting",
            "events": 0,
            "attempts": 0,
            "next_at": NOW - timedelta(minutes=minutes),
        }
        for minutes in minutes_waited
    ]
    database.write(lambda connection: connection.execute(insert(delivery), rows))


def booked(source: str, count: int) -> list[Entry]:
    """Return so many equal amounts of one day, as a format tells them."""
    on = date(2026, 11, 16)
    return [
        Entry(source, "1", 12000, "EUR", on, (f"text {at}",), entry_reference=f"{source}-{at}")
        for at in range(count)
    ]


def steps(database: Database, work: Callable[[Connection], object]) -> int:
    """Return how many instructions SQLite carries out, in hundreds."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    def measured(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, 100)
        try:
            work(connection)
        finally:
            driver.set_progress_handler(None, 100)

    database.write(measured)
    return counted[0]


@pytest.mark.parametrize("before", ["nothing", "told by another format", "one by one"])
def test_equal_amounts_on_one_day_are_not_compared_with_each_other(line: Line, before: str) -> None:
    by = Recorder("mia", "statement", frozenset({"files"}), (), NOW)

    def imported(source: str, count: int) -> Callable[[Connection], object]:
        entries = booked(source, count)
        if before == "one by one":
            return lambda connection: [
                Retold(connection, entries).find(entry, at) for at, entry in enumerate(entries)
            ]
        return lambda connection: import_entries(connection, entries, by)

    def each(count: int) -> float:
        if before != "nothing":
            line.database.write(
                lambda connection: import_entries(connection, booked("mt940", count), by)
            )
        found = steps(line.database, imported("csv", count)) / count
        line.database.write(lambda connection: connection.execute(recorded_payment.delete()))
        return found

    # Eight times as many take as much each.
    few, many = each(50), each(400)
    assert 0 < many < 1.5 * few
