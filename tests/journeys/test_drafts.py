"""A draft that must not go out is blocked, and set free when the cause is mended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import worker
from ledger import replay, tables
from ledger.approvals import ApprovalError
from ledger.drafts import QUIET
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("terms: net 30\n", "", "no payment terms"),
        ("billing_email: ap@acme.example\n", "", "nobody to send it to"),
        ("terms: net 30\n", "terms: net 30\npurchase_order_required: yes\n", "a purchase order"),
    ],
)
def test_a_draft_is_blocked_until_its_customers_file_says_what_is_missing(
    office: Office, old: str, new: str, reason: str
) -> None:
    complete = office.rules["acme.yaml"]
    office.change("acme.yaml", old, new)
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {OCTOBER: ("blocked", 12000)}
    assert reason in office.invoice(OCTOBER)["reasons"][0]
    with pytest.raises(ApprovalError, match=reason):
        office.approve(OCTOBER)
    office.rules["acme.yaml"] = complete.replace("terms:", "purchase_order: PO-1\nterms:")
    office.activate()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert office.invoice(OCTOBER)["reasons"] == []


def test_a_draft_with_a_vague_line_is_blocked_until_its_rule_says_more(office: Office) -> None:
    office.change("acme.yaml", "{role} engineering, {item} {title}", "Consulting services")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {OCTOBER: ("blocked", 12000)}
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert 'line 1 says only "Consulting services"' in reason
    assert "flask events remap --customer acme" in reason
    office.change("acme.yaml", "Consulting services", "Engineering, {item} {title}")
    office.activate()
    office.line.database.write(
        lambda connection: replay.remap_customer(
            connection, "acme", actor="mia", now=office.clock.now()
        )
    )
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_a_draft_with_more_lines_than_the_billing_system_takes_is_blocked(office: Office) -> None:
    office.change("acme.yaml", "      one_line_per: [item, person]\n", "")
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), *(worklog(number, seconds=900) for number in range(251)))
    assert office.invoices() == {OCTOBER: ("blocked", 251 * 3000)}
    assert "251 lines, and stripe takes 250" in office.invoice(OCTOBER)["reasons"][0]
    office.tell(worklog(1, seconds=900, version=2, kind="worklog_deleted"))
    assert office.invoices() == {OCTOBER: ("draft", 250 * 3000)}


def test_new_terms_void_the_approval_of_what_waits_to_be_pushed(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    office.change("acme.yaml", "net 30", "net 14")
    office.activate()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    office.bill(OCTOBER)
    assert office.invoice(OCTOBER)["content"]["days_until_due"] == 14


def test_new_terms_change_nothing_that_was_billed_or_canceled(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=3600))
    office.tell(worklog(2, seconds=3600, version=2, kind="worklog_deleted"))
    before = [(row["content"], row["revision"]) for row in office.rows(tables.invoice)]
    assert len(before) == 2
    office.change("acme.yaml", "net 30", "net 14")
    office.activate()
    assert [(row["content"], row["revision"]) for row in office.rows(tables.invoice)] == before


def test_an_approval_is_bound_to_the_content_that_was_seen(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    seen = office.invoice(OCTOBER)["content_hash"]
    office.tell(worklog(2, seconds=3600))
    with pytest.raises(ApprovalError, match="has changed since it was shown"):
        office.approve(OCTOBER, content_hash=seen)
    office.approve(OCTOBER, content_hash=office.invoice(OCTOBER)["content_hash"])
    assert office.invoices() == {OCTOBER: ("approved", 24000)}


@pytest.mark.parametrize("last", ["assemble", "map"])
def test_a_change_between_approval_and_push_voids_the_approval(office: Office, last: str) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    assert office.post(worklog(1, seconds=7200, version=2, kind="worklog_updated")) == 202
    # The worker has come so far with the edit when it comes to the push.
    for stage in worker.STAGES:
        worker.run(office.line, stage)
        if stage.name == last:
            break
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 24000)}
    assert office.rows(tables.intent) == []
    office.bill(OCTOBER)
    approvals = office.rows(tables.approval)
    assert len({row["content_hash"] for row in approvals}) == 2


def test_of_two_who_approve_one_wins(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER, by="mia")
    with pytest.raises(ApprovalError, match="is approved, and only a draft can be"):
        office.approve(OCTOBER, by="tom")
    assert [row["approved_by"] for row in office.rows(tables.approval)] == ["mia"]


@pytest.fixture
def automatic(office: Office) -> Office:
    """Give an office whose customer wants its drafts approved by rule."""
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    return office


def wait(office: Office, seconds: int) -> None:
    """Let time pass and the worker run."""
    office.clock.go_on(seconds)
    office.settle()


def test_automatic_approval_waits_until_the_period_is_over_where_the_customer_is(
    automatic: Office,
) -> None:
    # Midnight of Berlin, at the end of October: summer time has ended, so it is 23:00 UTC.
    automatic.clock.moment = datetime(2026, 10, 31, 22, 59, tzinfo=UTC)
    automatic.tell(issue(7), worklog(1, seconds=3600))
    wait(automatic, 59)
    assert automatic.invoices() == {OCTOBER: ("draft", 12000)}
    wait(automatic, 1)
    assert automatic.invoices() == {OCTOBER: ("pushed", 12000)}
    (approval,) = automatic.rows(tables.approval)
    assert approval["approved_by"] == "approval: automatic"


def test_automatic_approval_waits_for_the_rest_of_a_burst(automatic: Office) -> None:
    automatic.tell(issue(7), worklog(1, seconds=3600))
    wait(automatic, QUIET.seconds - 1)
    automatic.tell(worklog(2, seconds=3600))
    wait(automatic, QUIET.seconds - 1)
    assert automatic.invoices() == {OCTOBER: ("draft", 24000)}
    wait(automatic, 1)
    assert automatic.invoices() == {OCTOBER: ("pushed", 24000)}


def test_a_new_time_zone_moves_the_end_of_the_period(automatic: Office) -> None:
    automatic.clock.moment = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    automatic.change("workspace.yaml", "Europe/Berlin", "America/New_York")
    automatic.activate()
    automatic.tell(issue(7), worklog(1, seconds=3600))
    wait(automatic, QUIET.seconds)
    assert automatic.invoices() == {OCTOBER: ("draft", 12000)}
    automatic.change("workspace.yaml", "America/New_York", "Europe/Berlin")
    automatic.activate()
    assert automatic.invoices() == {OCTOBER: ("pushed", 12000)}


def test_what_is_invoiced_at_once_is_approved_at_once(automatic: Office) -> None:
    automatic.change("acme.yaml", "invoice: monthly", "invoice: at once")
    automatic.activate()
    automatic.clock.moment = datetime(2026, 10, 3, 12, tzinfo=UTC)
    automatic.tell(issue(7), worklog(1, seconds=3600))
    wait(automatic, QUIET.seconds)
    assert automatic.invoices() == {"acme-2026-10-03": ("pushed", 12000)}


def test_a_new_currency_of_a_customer_is_billed_beside_the_old_one(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.change("acme.yaml", "currency: EUR", "currency: USD")
    office.activate()
    office.tell(worklog(2, seconds=3600))
    assert office.invoices() == {OCTOBER: ("pushed", 12000), f"{OCTOBER}-USD": ("draft", 12000)}
    assert office.invoice(f"{OCTOBER}-USD")["currency"] == "USD"
