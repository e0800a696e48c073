"""What changes after it was told: replaced while it is on a draft, corrected once it is billed."""

from __future__ import annotations

from datetime import timedelta

from ledger import tables
from ledger.drafts import QUIET
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone, moved

OCTOBER, TODAY = "acme-2026-10", "acme-2026-11"


def test_an_edit_while_on_a_draft_replaces_the_line(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    assert office.printed(OCTOBER) == [("senior engineering, ACME-7 Login", "2.00", 24000)]
    assert office.seconds_billed() == 7200


def test_an_edit_after_billing_takes_back_and_bills_anew_on_todays_draft(office: Office) -> None:
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    office.note_payment(OCTOBER, 0)
    office.tell(worklog(1, seconds=5400, version=2, kind="worklog_updated"))
    assert sorted(office.printed(TODAY)) == [
        (f"Correction to {OCTOBER}: senior engineering, ACME-7 Login", "-1.00", -12000),
        ("senior engineering, ACME-7 Login", "1.50", 18000),
    ]
    assert office.seconds_billed() == 5400
    # Its period is over long ago then, and still no machine approves it: it takes back.
    office.clock.go_on(30 * 24 * 3600)
    office.settle()
    assert office.invoices()[TODAY] == ("draft", 6000)
    office.bill(TODAY)
    assert office.seconds_billed() == 5400


def test_a_deletion_after_billing_is_taken_back(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, account="acc-ben"))
    office.bill(OCTOBER)
    office.tell(worklog(1, seconds=3600, version=2, kind="worklog_deleted"))
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("blocked", -12000)}
    assert "-120.00" in office.invoice(TODAY)["reasons"][0]
    assert office.seconds_billed() == 3600
    # More work outweighs it, and then it may go out.
    office.tell(worklog(3, seconds=7200))
    assert office.invoices()[TODAY] == ("draft", 12000)


def test_what_was_deleted_before_it_was_told_is_never_billed(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600, version=2, kind="worklog_deleted"))
    office.tell(worklog(1, seconds=3600))
    assert office.invoices() == {}
    assert office.held() == {}


def test_an_issue_that_moves_to_another_customer_after_billing_takes_its_time_along(
    office: Office,
) -> None:
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=1800))
    office.bill(OCTOBER)
    office.tell(moved(7, version=9, project="BETA"))
    assert office.invoices() == {
        OCTOBER: ("pushed", 18000),
        TODAY: ("blocked", -18000),
        "beta-2026-10": ("draft", 18000),
    }
    assert office.seconds_billed() == 5400
    # And back again: as if nothing had been.
    office.tell(moved(7, version=10, project="ACME"))
    assert office.invoices() == {OCTOBER: ("pushed", 18000)}
    assert office.seconds_billed() == 5400


def test_an_older_fact_does_not_overwrite_a_newer_one(office: Office) -> None:
    office.tell(moved(7, version=9, project="BETA"), worklog(1, seconds=3600))
    office.tell(issue(7, version=1))
    assert office.invoices() == {"beta-2026-10": ("draft", 12000)}


def test_a_new_title_changes_drafts_and_nothing_that_was_billed(office: Office) -> None:
    office.tell(issue(7), issue(8), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=3600, issue_id=8))
    office.tell(moved(7, version=9, project="ACME", title="Sign in"))
    office.tell(moved(8, version=9, project="ACME", title="Sign in"))
    assert office.printed(OCTOBER) == [("senior engineering, ACME-7 Login", "1.00", 12000)]
    assert office.printed(TODAY) == [("senior engineering, ACME-8 Sign in", "1.00", 12000)]


def test_a_late_entry_goes_to_todays_draft_and_stays_there(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=3600))
    assert office.invoices()[TODAY] == ("draft", 12000)
    for number in (3, 4):
        office.clock.go_on(int(timedelta(days=30).total_seconds()))
        office.tell(worklog(number, seconds=3600, account="acc-ben"))
    assert office.invoices() == {
        OCTOBER: ("pushed", 12000),
        TODAY: ("draft", 12000),
        "acme-2026-12": ("draft", 8000),
        "acme-2027-01": ("draft", 8000),
    }


def test_a_second_invoice_of_a_period_gets_a_number_of_its_own(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=3600))
    office.bill(TODAY)
    office.tell(worklog(3, seconds=3600))
    assert office.invoices()[f"{TODAY}-2"] == ("draft", 12000)


def test_a_milestone_is_billed_when_it_is_closed_and_not_while_it_is_open_again(
    office: Office,
) -> None:
    first = "acme-2026-10-05"
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z"), endpoint="github")
    assert office.invoices() == {first: ("draft", 450000)}
    office.tell(milestone("opened", at="2026-10-05T09:00:00Z"), endpoint="github")
    assert office.invoice(first)["state"] == "canceled"
    office.tell(milestone("closed", at="2026-10-05T16:00:00Z"), endpoint="github")
    assert office.invoices() == {first: ("draft", 450000)}


def test_a_milestone_reopened_after_billing_is_taken_back_until_it_is_closed_again(
    office: Office,
) -> None:
    first, today = "acme-2026-10-05", "acme-2026-11-22"
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z"), endpoint="github")
    office.bill(first)
    office.tell(milestone("opened", at="2026-10-06T08:00:00Z"), endpoint="github")
    assert office.invoices() == {first: ("pushed", 450000), today: ("blocked", -450000)}
    office.tell(milestone("closed", at="2026-10-07T08:00:00Z"), endpoint="github")
    assert office.invoices() == {first: ("pushed", 450000)}
    states = [row["state"] for row in office.rows(tables.line_item)]
    assert sorted(states) == ["billed", "withdrawn"]
