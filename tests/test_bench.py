"""The measurements run, on both kinds of database, and count what they say they count.

Everything is tiny here and no time is asserted: `make bench` is for that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bench.__main__ import MEASUREMENTS
from bench.bodies import worklog
from bench.copies import multiply
from bench.load import is_whole
from bench.places import Place, postgres_place, sqlite_place
from bench.results import Finding, as_json, median_ratio, percentile, table
from bench.sizes import TINY
from ledger.tables import delivery, event, invoice, line_item, subject
from tests.conftest import ON_BOTH
from tests.databases import PostgresDatabases

ROOT = Path(__file__).parent.parent


@pytest.fixture
def on_sqlite(sqlite_template: Path, tmp_path: Path) -> Place:
    """Give a place to measure on SQLite."""
    return sqlite_place(tmp_path, sqlite_template)


@pytest.fixture
def on_postgres(
    postgres_server: PostgresDatabases, postgres_template: str, tmp_path: Path
) -> Place:
    """Give a place to measure on PostgreSQL."""
    return postgres_place(tmp_path, postgres_server, postgres_template)


@pytest.fixture(params=ON_BOTH)
def place(request: pytest.FixtureRequest) -> Place:
    """Give a place to measure on SQLite and on PostgreSQL."""
    found: Place = request.getfixturevalue(f"on_{request.param}")
    return found


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_each_measurement_runs_and_finds_something(name: str, place: Place) -> None:
    findings = MEASUREMENTS[name](place, TINY)
    assert findings
    assert all(each.database == place.name and each.ratio is not None for each in findings)
    assert all(each.measured.startswith(f"{name}: ") for each in findings)
    assert any(each.aim is not None for each in findings)
    assert len({each.measured for each in findings}) == len(findings)


def test_a_draft_takes_two_calls_however_long_it_is(on_sqlite: Place) -> None:
    findings = MEASUREMENTS["push"](on_sqlite, TINY)
    assert [each.ratio for each in findings] == [1.0, 1.0]


def test_a_measured_firm_leaves_nothing_behind(place: Place) -> None:
    before = sorted(place.folder.iterdir())
    with place.firm() as firm:
        firm.store_worklogs(1, 3)
    assert sorted(place.folder.iterdir()) == before


def test_a_multiplied_ledger_hangs_together(place: Place) -> None:
    with place.firm() as firm:
        firm.store_issues()
        firm.store_worklogs(1, 30)
        firm.run("normalize", "map", "assemble")
        firm.approve_all()
        firm.run("push")
        multiply(firm, 4)
        query = (
            select(delivery.c.delivery_id, subject.c.name, invoice.c.reference, event.c.subject)
            .select_from(line_item)
            .join(subject, subject.c.id == line_item.c.subject_id)
            .join(event, (event.c.id == line_item.c.event_id) & (event.c.id == subject.c.event_id))
            .join(delivery, delivery.c.id == event.c.delivery_id)
            .join(invoice, invoice.c.id == line_item.c.invoice_id)
        )
        with firm.line.database.read() as connection:
            rows = connection.execute(query).all()
            totals = connection.execute(
                select(invoice.c.total, func.sum(line_item.c.amount))
                .join(line_item, line_item.c.invoice_id == invoice.c.id)
                .group_by(invoice.c.id)
            ).all()
        # A copy's rows carry its number behind a plus sign, and name none of another copy.
        copies = [{text.partition("+")[2] for text in row} for row in rows]
        assert all(len(numbers) == 1 for numbers in copies)
        assert sorted({number for numbers in copies for number in numbers}) == ["", "1", "2", "3"]
        assert len(rows) == 4 * 30
        assert all(total == summed for total, summed in totals)
        # What comes next is still new to it.
        firm.store({"next": worklog(31)})
        firm.run("normalize", "map")
        with firm.line.database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(line_item)) == 4 * 30 + 1


def test_rules_that_fit_nothing_price_nothing_differently(on_sqlite: Place) -> None:
    prices = []
    for rules in (10, 500):
        with on_sqlite.firm(rules=rules) as firm:
            firm.store_issues()
            firm.store_worklogs(1, 20)
            firm.run("normalize", "map")
            assert sum(len(each.rules) for each in firm.book().customers.values()) == rules
            with firm.line.database.read() as connection:
                prices.append(list(connection.scalars(select(line_item.c.amount))))
    assert prices[0] == prices[1]
    assert len(prices[0]) == 20


def test_bodies_are_between_one_and_four_kilobytes() -> None:
    lengths = [len(json.dumps(worklog(number))) for number in range(100)]
    assert min(lengths) >= 1024
    assert max(lengths) <= 4096


def test_an_answer_is_whole_when_its_body_is() -> None:
    head = b"HTTP/1.1 202 ACCEPTED\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n"
    assert not is_whole(bytearray(head))
    assert not is_whole(bytearray(head + b"\r\naccepte"))
    assert is_whole(bytearray(head + b"\r\naccepted"))


def test_an_aim_is_met_on_its_own_side() -> None:
    def finding(ratio: float, better: str) -> Finding:
        return Finding(
            measured="speed",
            database="SQLite",
            found="1/s",
            ratio=ratio,
            aim=0.5,
            better="at least" if better == "at least" else "at most",
        )

    met = [finding(ratio, "at least").is_met for ratio in (0.4, 0.5, 0.6)]
    assert met == [False, True, True]
    met = [finding(ratio, "at most").is_met for ratio in (0.4, 0.5, 0.6)]
    assert met == [True, True, False]


def test_the_table_and_the_json_say_the_same() -> None:
    missed = Finding(measured="a speed", database="SQLite", found="7 ms", ratio=2, aim=1.5)
    no_aim = Finding(measured="a fact", database="PostgreSQL", found="8 ms")
    lines = table([missed, no_aim]).splitlines()
    assert lines[2].split() == [
        "a",
        "speed",
        "SQLite",
        "7",
        "ms",
        "2.00",
        "at",
        "most",
        "1.5",
        "NO",
    ]
    assert lines[3].split() == ["a", "fact", "PostgreSQL", "8", "ms"]
    told = json.loads(as_json([missed, no_aim]))
    assert [each["is_met"] for each in told] == [False, None]
    assert told[0]["ratio"] == 2


def test_the_99th_percentile_and_the_median_ratio_are_what_they_are_called() -> None:
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 100
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2
    assert median_ratio([1, 9, 4], [2, 3, 4]) == 1


def test_an_unknown_measurement_is_named_with_what_there_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "everything"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "invalid choice: 'everything'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_measurement_is_explained() -> None:
    page = (ROOT / "docs/bench.md").read_text()
    assert [name for name in MEASUREMENTS if f"`{name}`" not in page] == []
