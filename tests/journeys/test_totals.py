"""Data Center's older webhook tells an issue's whole time: what is billed is its change."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from ledger import tables
from ledger.audit import balances
from tests.databases import copy_sqlite
from tests.journeys.house import worklog
from tests.journeys.office import Office, open_office, total

OCTOBER, TODAY = "acme-2026-10", "acme-2026-11"


def test_a_total_is_billed_by_its_change(office: Office) -> None:
    office.tell(total(3600, version=1))
    office.bill(OCTOBER)
    office.tell(total(10800, version=2))
    assert office.printed(TODAY) == [("senior engineering, ACME-7 Login", "2.00", 24000)]
    office.bill(TODAY)
    office.tell(total(9000, version=3))
    assert office.invoices()[f"{TODAY}-2"] == ("blocked", -6000)
    assert office.seconds_billed() == 9000
    office.tell(total(10800, version=4))
    assert office.invoices() == {OCTOBER: ("pushed", 12000), TODAY: ("pushed", 24000)}


def test_a_total_is_held_where_its_entries_are_told_too(office: Office) -> None:
    office.tell(worklog(1, seconds=3600), total(3600, version=2))
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert "single entries" in office.held()["issue-time:7"]
    assert office.seconds_billed() == 3600


def test_a_billed_total_is_taken_back_when_its_entries_are_told_too(office: Office) -> None:
    office.tell(total(3600, version=1))
    office.bill(OCTOBER)
    office.tell(worklog(1, seconds=3600), worklog(2, seconds=1800, account="acc-ben"))
    assert sorted(amount for _, _, amount in office.printed(TODAY)) == [-12000, 4000, 12000]
    assert office.seconds_billed() == 5400
    office.bill(TODAY)
    office.tell(total(5400, version=2))
    assert office.invoices() == {OCTOBER: ("pushed", 12000), TODAY: ("pushed", 4000)}


def test_a_deletion_told_by_the_old_event_alone_does_not_hold_the_total(office: Office) -> None:
    office.tell(total(7200, version=1))
    office.tell(total(3600, version=2, deleted_entry=55))
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert office.held() == {}


def test_the_older_kind_of_webhook_deletes_an_entry_that_the_newer_kind_told(
    office: Office,
) -> None:
    office.tell(total(3600, version=1), worklog(55, seconds=3600))
    office.tell(total(0, version=2, deleted_entry=55))
    assert office.invoices() == {}
    assert office.seconds_billed() == 0
    states = {row["name"]: row["state"] for row in office.rows(tables.subject)}
    assert states["worklog:55"] == "gone"


TOLD = (
    total(7200, version=1),
    worklog(1, seconds=3600),
    worklog(1, seconds=3600, version=2, kind="worklog_deleted"),
)


def test_totals_and_entries_come_to_the_same_in_any_order(
    tmp_path: Path, sqlite_template: Path
) -> None:
    seen = []
    for number, order in enumerate(permutations(TOLD)):
        url = copy_sqlite(sqlite_template, tmp_path / f"{number}.sqlite3")
        with open_office(tmp_path, url) as office:
            for body in order:
                office.tell(body)
            seen.append((office.invoices(), office.held(), office.seconds_billed()))
    assert all(each == seen[0] for each in seen), seen


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_total_of_nothing_bills_nothing(office: Office, seconds: int) -> None:
    office.tell(total(0, version=1))
    assert office.invoices() == {}
    office.tell(total(seconds, version=2))
    assert office.seconds_billed() == seconds


def test_what_stood_there_before_the_first_change_is_not_billed(office: Office) -> None:
    office.tell(total(10800, version=1, before=7200))
    assert office.seconds_billed() == 3600
    (subject,) = [row for row in office.rows(tables.subject) if row["name"] == "issue-time:7"]
    assert (subject["state"], subject["excluded_seconds"]) == ("priced", 7200)
    assert "7200 s stood there before" in subject["reason"]
    office.bill(OCTOBER)
    office.tell(total(12600, version=2, before=10800))
    assert office.seconds_billed() == 5400
    with office.line.database.read() as connection:
        assert list(balances.find(connection, office.clock.now())) == []


def test_an_earlier_change_that_is_told_late_says_where_the_total_began(office: Office) -> None:
    office.tell(total(10800, version=2, before=7200))
    office.tell(total(7200, version=1, before=3600))
    assert office.seconds_billed() == 7200


def test_less_than_stood_there_before_bills_nothing_and_what_comes_after_is_new(
    office: Office,
) -> None:
    office.tell(total(1800, version=1, before=7200))
    assert office.seconds_billed() == 0
    office.tell(total(5400, version=2, before=1800))
    assert office.seconds_billed() == 3600


CHANGES = (
    total(7200, version=1, before=3600),
    total(1800, version=2, before=7200),
    total(9000, version=3, before=1800),
)


def test_changes_of_a_total_come_to_the_same_in_any_order(
    tmp_path: Path, sqlite_template: Path
) -> None:
    for number, order in enumerate(permutations(CHANGES)):
        url = copy_sqlite(sqlite_template, tmp_path / f"{number}.sqlite3")
        with open_office(tmp_path, url) as office:
            for body in order:
                office.tell(body)
            assert office.seconds_billed() == 7200, number
            with office.line.database.read() as connection:
                assert list(balances.find(connection, office.clock.now())) == []
