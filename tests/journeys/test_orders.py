"""Deliveries come late, twice, under new ids and in any order: the invoices are the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

from ledger import tables
from tests.databases import copy_sqlite
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone, moved, open_office

GITHUB = "github"
TOLD: tuple[tuple[str, Any], ...] = (
    ("jira", issue(7)),
    ("jira", issue(8)),
    ("jira", moved(8, version=5, project="BETA", title="Sign in")),
    ("jira", worklog(1, seconds=3000)),
    ("jira", worklog(1, seconds=4000, version=2, kind="worklog_updated")),
    ("jira", worklog(2, seconds=1000, account="acc-ben")),
    ("jira", worklog(3, seconds=7200)),
    ("jira", worklog(3, seconds=7200, version=3, kind="worklog_deleted")),
    ("jira", worklog(4, seconds=500, issue_id=8)),
    ("jira", worklog(5, seconds=500, issue_id=9)),
    ("jira", worklog(6, seconds=500, account="acc-zoe")),
    (GITHUB, milestone("closed", at="2026-10-05T08:00:00Z")),
    (GITHUB, milestone("opened", at="2026-10-05T09:00:00Z")),
    (GITHUB, milestone("closed", at="2026-10-05T10:00:00Z")),
)
FEW = (
    ("jira", issue(7)),
    ("jira", worklog(1, seconds=3000)),
    ("jira", worklog(1, seconds=4000, version=2, kind="worklog_updated")),
    ("jira", worklog(2, seconds=4000, version=3, kind="worklog_deleted")),
)


def outcome(office: Office) -> dict[str, Any]:
    """Return what people see in the end: invoices with their lines, what is held and why."""
    lines = [
        (row["customer"], row["item"], row["on"], row["seconds"], row["amount"])
        for row in office.rows(tables.line_item)
        if row["state"] == "open"
    ]
    return {
        "invoices": {
            row["reference"]: (row["state"], row["content"])
            for row in office.rows(tables.invoice)
            if row["state"] != "canceled"
        },
        "lines": sorted(lines, key=repr),
        "held": office.held(),
    }


def played(
    folder: Path, url: str, told: Sequence[tuple[str, Any]], settle_after: set[int]
) -> dict[str, Any]:
    """Return the outcome of deliveries in this order, with the worker running now and then."""
    with open_office(folder, url) as office:
        for number, (endpoint, body) in enumerate(told):
            assert office.post(body, endpoint) == 202
            if number in settle_after:
                office.settle()
        office.settle()
        return outcome(office)


def test_every_order_of_a_handful_of_deliveries_comes_to_the_same(
    tmp_path: Path, sqlite_template: Path
) -> None:
    outcomes = [
        played(
            tmp_path,
            copy_sqlite(sqlite_template, tmp_path / f"{number}.sqlite3"),
            order,
            {1},
        )
        for number, order in enumerate(permutations(FEW))
    ]
    assert all(each == outcomes[0] for each in outcomes)


def test_a_month_told_three_times_in_any_order_comes_to_the_same(
    tmp_path: Path, sqlite_template: Path
) -> None:
    calm = played(tmp_path, copy_sqlite(sqlite_template, tmp_path / "calm.sqlite3"), TOLD, set())
    assert_is_the_month(calm)
    for seed in range(4):
        url = copy_sqlite(sqlite_template, tmp_path / f"{seed}.sqlite3")
        assert played(tmp_path, url, *shuffled(seed)) == calm, f"seed {seed}"


def test_both_kinds_of_database_come_to_the_same(
    tmp_path: Path, sqlite_url: str, postgres_url: str
) -> None:
    calm = played(tmp_path, sqlite_url, TOLD, set())
    assert played(tmp_path, postgres_url, *shuffled(100)) == calm


def shuffled(seed: int) -> tuple[list[tuple[str, Any]], set[int]]:
    """Return each delivery three times in some order, and when the worker runs in between."""
    random = Random(seed)
    told = list(TOLD * 3)
    random.shuffle(told)
    return told, {number for number in range(len(told)) if random.random() < 0.3}


def assert_is_the_month(seen: dict[str, Any]) -> None:
    """Assert that the month came to what it is worth."""
    totals = {name: content["total"] for name, (_, content) in seen["invoices"].items()}
    assert totals == {
        "acme-2026-10": 15000 + 4000,
        "acme-2026-10-05": 450000,
        "beta-2026-10": 3000,
    }
    assert set(seen["held"]) == {"worklog:5", "worklog:6"}
