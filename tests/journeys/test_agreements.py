"""Caps and prepaid hours in the whole house: drafts, invoices, late entries, corrections."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import clock
from ledger import audit
from ledger.approvals import ApprovalError
from ledger.held import first_held
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

OCTOBER, NOVEMBER = "acme-2026-10", "acme-2026-11"
CAP = """\
caps:
  - {cap: Ceiling, rules: [Engineering hours], at_most: 1000.00, per: period, over_the_cap: OVER}
rules:
"""
PREPAID = """\
prepaid:
  - {prepaid: Support hours, rules: [Engineering hours], hours: 5, every: month,
     from: 2026-10-01, rolls_over: 1 month}
rules:
"""


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    """Give an office with an issue to work on."""
    with open_office(tmp_path, database_url) as office:
        office.tell(issue(7))
        yield office


def agree(office: Office, terms: str) -> None:
    """Put terms into the customer's contract."""
    office.change("acme.yaml", "rules:\n", terms)
    office.activate()


def is_sound(office: Office) -> bool:
    """Return whether the audit finds nothing."""
    with office.line.database.read() as connection:
        return audit.audit(connection, office.clock.now()) == []


def kept_back(office: Office) -> list[tuple[str, str]]:
    """Return what is held over a cap, as the list of what waits for a person has it."""
    with office.line.database.read() as connection:
        return [
            (each.where, each.what)
            for each in first_held(connection, "agreement", 9, office.clock.now())
        ]


def test_a_cap_is_filled_over_several_invoices(office: Office) -> None:
    agree(office, CAP.replace("OVER", "show"))
    office.tell(worklog(1, seconds=36000), worklog(2, seconds=7200, account="acc-ben", day=2))
    assert office.printed(OCTOBER) == [
        ("senior engineering, ACME-7 Login", "7.00", 84000),
        ("junior engineering, ACME-7 Login", "2.00", 16000),
        ("senior engineering, ACME-7 Login, over the cap of 1,000.00 EUR", "3.00", 0),
    ]
    office.bill(OCTOBER)
    # It belongs to October, which is full.
    office.tell(worklog(3, seconds=3600))
    assert office.invoices()[NOVEMBER] == ("draft", 0)
    assert office.printed(NOVEMBER) == [
        ("senior engineering, ACME-7 Login, over the cap of 1,000.00 EUR", "1.00", 0),
    ]
    # What is taken back makes room for it.
    office.tell(
        worklog(2, seconds=3600, version=2, kind="worklog_updated", account="acc-ben", day=2)
    )
    assert office.invoices()[NOVEMBER] == ("draft", 0)
    assert is_sound(office)


def test_what_is_held_over_a_cap_waits_for_a_person_until_it_is_raised(office: Office) -> None:
    agree(office, CAP.replace("OVER", "hold"))
    office.tell(worklog(1, seconds=36000))
    assert office.printed(OCTOBER) == [("senior engineering, ACME-7 Login", "8.3333", 100000)]
    assert "raise at_most:" in office.invoice(OCTOBER)["warnings"][0]
    office.bill(OCTOBER)
    assert kept_back(office) == [("acme", "cap: Ceiling, monthly 2026-10-01")]
    office.change("acme.yaml", "at_most: 1000.00", "at_most: 1100.00")
    office.activate()
    text = "Taken back: senior engineering, ACME-7 Login, over the cap of 1,100.00 EUR"
    assert office.printed(NOVEMBER) == [("Rounding", "1.00", -1), (text, "0.8334", 10001)]
    office.tell(worklog(2, seconds=900))
    assert office.invoices()[NOVEMBER] == ("draft", 10000)
    office.change("acme.yaml", "at_most: 1100.00", "at_most: 9000.00")
    office.activate()
    office.tell(worklog(2, seconds=1800, version=2, kind="worklog_updated"))
    assert office.invoices()[NOVEMBER] == ("draft", 26000)
    assert kept_back(office) == []
    assert is_sound(office)


def test_prepaid_hours_are_drawn_over_several_invoices(office: Office) -> None:
    agree(office, PREPAID)
    office.tell(worklog(1, seconds=14400))
    assert office.printed(OCTOBER) == [
        ("senior engineering, ACME-7 Login", "4.00", 48000),
        ("Drawn from Support hours", "-4.00", -48000),
        ("Support hours: 4.00 h drawn, 1.00 h left on 2026-10-31", "1.00", 0),
    ]
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=7200, day=9))
    assert office.printed(NOVEMBER) == [
        ("senior engineering, ACME-7 Login", "2.00", 24000),
        ("Drawn from Support hours", "-1.00", -12000),
    ]
    office.bill(NOVEMBER)
    office.tell(worklog(1, seconds=0, version=3, kind="worklog_deleted"))
    assert office.printed(f"{NOVEMBER}-2") == [
        (f"Correction to {OCTOBER}: senior engineering, ACME-7 Login", "-4.00", -48000),
        ("Taken back: Drawn from Support hours", "3.00", 36000),
    ]
    assert is_sound(office)


def test_what_is_carried_over_waits_for_its_period_to_begin(office: Office) -> None:
    agree(office, CAP.replace("OVER", "carry over"))
    office.tell(worklog(1, seconds=3600 * 24))
    december = "acme-2026-12"
    assert office.invoices() == {
        OCTOBER: ("draft", 100000),
        NOVEMBER: ("draft", 100000),
        december: ("blocked", 88000),
    }
    assert office.invoice(december)["reasons"][0].startswith("its period begins on 2026-12-01")
    with pytest.raises(ApprovalError, match="its period begins on 2026-12-01"):
        office.approve(december)
    office.clock.moment = datetime.fromisoformat("2026-11-30T23:59:59+01:00").astimezone(UTC)
    clock.tick(office.line, 1)
    office.settle()
    assert office.invoices()[december] == ("blocked", 88000)
    office.clock.moment = datetime.fromisoformat("2026-12-01T00:00:00+01:00").astimezone(UTC)
    clock.tick(office.line, 1)
    office.settle()
    assert office.invoices()[december] == ("draft", 88000)
    office.bill(december)
    assert is_sound(office)


def test_what_no_period_takes_is_held_for_a_person(office: Office) -> None:
    agree(office, CAP.replace("OVER", "carry over").replace("1000.00", "10.00"))
    office.tell(worklog(1, seconds=3600 * 24))
    assert kept_back(office) == [("acme", "cap: Ceiling, monthly 2026-10-01")]
    assert is_sound(office)


def test_a_timesheet_bills_an_hour_of_overtime_once(office: Office) -> None:
    overtime = "{overtime: Long days, after: 8 hours per person and day, times: 1.5}"
    agree(office, f"timesheet: yes\novertime: [{overtime}]\nrules:\n")
    office.tell(worklog(1, seconds=36000))
    assert office.invoices()[OCTOBER] == ("draft", 120000 + 12000)
    (row,) = office.invoice(OCTOBER)["content"]["timesheet"]
    assert row[-2:] == ["10.00", "10.00"]


@pytest.mark.parametrize("round_", ["per entry", "per person and day"])
def test_a_month_whose_work_is_all_taken_back_owes_no_minimum(office: Office, round_: str) -> None:
    office.change("acme.yaml", "per entry", round_)
    office.change("acme.yaml", "[time.logged, time.total]", "time.logged")
    agree(office, "minimum_fee: {at_least: 300.00}\nrules:\n")
    office.tell(worklog(1, seconds=3600))
    assert office.invoices() == {OCTOBER: ("draft", 30000)}
    office.bill(OCTOBER)
    office.tell(worklog(1, seconds=0, version=2, kind="worklog_deleted"))
    assert office.invoices()[NOVEMBER] == ("blocked", -30000)
    office.tell(worklog(2, seconds=3600))
    assert sum(total for _, total in office.invoices().values()) == 30000
    assert is_sound(office)
