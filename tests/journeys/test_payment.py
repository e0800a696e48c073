"""What happens to an invoice at Stripe comes back, and the project tools are told of it."""

from __future__ import annotations

import json

import pytest

from connectors.http import Request
from ledger import tables
from ledger.sync import POLL
from tests.journeys.house import issue, worklog
from tests.journeys.office import GITHUB_ASKED, JIRA_ASKED, Office, milestone

OCTOBER, PHASE = "acme-2026-10", "acme-2026-10-05"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office with two pushed and finalized invoices, of hours and of a milestone."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe\nafter_push: finalize")
    office.change("workspace.yaml", "{tool: jira", "{tool: jira, write_back: yes" + JIRA_ASKED)
    office.change(
        "workspace.yaml", "{tool: github", "{tool: github, write_back: yes" + GITHUB_ASKED
    )
    office.jira.add_project(1, "ACME", "The shop")
    office.jira.add_issue(7, "ACME-7", "Login")
    office.github.add_repository("acme/site")
    office.github.add_milestone("acme/site", 3, "Phase 3", "closed")
    office.github.add_issue("acme/site", 11, "Build the checkout", milestone=3)
    office.activate()
    return office


def bill_hours(office: Office) -> str:
    """Push an invoice of 120.00 EUR; return its id at Stripe."""
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.deliver_mail()
    return str(office.invoice(OCTOBER)["remote_id"])


def payment(office: Office) -> str:
    """Return the payment word of the invoice."""
    return str(office.invoice(OCTOBER)["payment"])


def happen(office: Office, what: str, remote_id: str, amount: int | None = None) -> str:
    """Let something happen at Stripe, deliver its webhooks, and return the payment word."""
    office.stripe.happen(what, remote_id, amount)
    office.deliver_mail()
    return payment(office)


def test_an_invoice_is_paid_in_part_in_full_disputed_and_refunded(office: Office) -> None:
    remote_id = bill_hours(office)
    assert payment(office) == "open"
    assert happen(office, "pay", remote_id, 5000) == "partially_paid"
    assert happen(office, "pay", remote_id) == "paid"
    assert happen(office, "dispute", remote_id) == "disputed"
    assert happen(office, "win_dispute", remote_id) == "paid"
    assert happen(office, "refund", remote_id, 2000) == "partially_refunded"
    assert happen(office, "refund", remote_id) == "partially_refunded"
    (*_, last) = office.rows(tables.payment)
    assert (last["total"], last["paid"], last["refunded"]) == (12000, 12000, 7000)
    went_back = [each for each in office.log("invoice.payment") if each["went_back"]]
    assert [(each["before"], each["payment"]) for each in went_back] == [
        ("paid", "disputed"),
        ("paid", "partially_refunded"),
    ]


@pytest.mark.parametrize(
    ("what", "word"), [("void", "void"), ("credit", "credited"), ("write_off", "uncollectible")]
)
def test_an_invoice_that_nobody_pays_is_seen_too(office: Office, what: str, word: str) -> None:
    assert happen(office, what, bill_hours(office)) == word


def test_the_word_of_a_webhook_changes_nothing_by_itself(office: Office) -> None:
    remote_id = bill_hours(office)
    seen = office.rows(tables.payment)
    liar = {
        "id": "evt_liar",
        "type": "invoice.paid",
        "created": int(office.clock.now().timestamp()),
        "data": {"object": {"id": remote_id, "status": "paid", "amount_paid": 12000}},
    }
    office.tell(liar, endpoint="stripe")
    assert payment(office) == "open"
    assert office.rows(tables.payment) == seen
    # Nor does one that nobody at Stripe has signed, although the money is there by now.
    office.stripe.happen("pay", remote_id)
    raw = json.dumps(liar).encode()
    headers = office.signed(raw, "stripe", "", secret="a-secret-of-somebody-else")
    assert office.client.post("/webhooks/stripe", data=raw, headers=headers).status_code == 401
    office.settle()
    assert payment(office) == "open"


def test_a_hint_about_a_foreign_invoice_is_set_aside_with_a_reason(office: Office) -> None:
    foreign = {
        "id": "evt_1",
        "type": "invoice.paid",
        "created": 1_790_000_000,
        "data": {"object": {"id": "in_of_another_shop"}},
    }
    office.tell(foreign, endpoint="stripe")
    (hint,) = office.rows(tables.hint)
    assert (hint["state"], hint["reason"]) == ("unmatched", "it is about no invoice of ours")


def test_a_payment_whose_webhook_was_lost_is_found_within_the_hour(office: Office) -> None:
    office.stripe.happen("pay", bill_hours(office))
    office.mailbox.events.clear()
    office.clock.go_on(POLL.seconds - 1)
    office.settle()
    assert payment(office) == "open"
    office.clock.go_on(1)
    office.settle()
    assert payment(office) == "paid"


def test_a_payment_in_the_middle_of_a_look_is_not_missed(office: Office) -> None:
    remote_id = bill_hours(office)

    def pay_after_the_answer(request: Request) -> None:
        office.outside.after = lambda request: None
        office.clock.go_on(1)
        office.stripe.happen("pay", remote_id)
        for event in office.mailbox.events:
            assert office.post(event, "stripe") == 202
        office.settle()

    office.outside.after = pay_after_the_answer
    office.clock.go_on(POLL.seconds)
    office.settle()
    office.clock.go_on(1)
    office.settle()
    assert payment(office) == "paid"


def test_an_overdue_invoice_is_marked_until_it_is_paid(office: Office) -> None:
    remote_id = bill_hours(office)
    assert not office.invoice(OCTOBER)["is_overdue"]
    office.clock.go_on(32 * 24 * 3600)
    office.settle()
    assert office.invoice(OCTOBER)["is_overdue"]
    happen(office, "pay", remote_id)
    assert not office.invoice(OCTOBER)["is_overdue"]


def test_a_deleted_draft_is_seen_and_said(office: Office) -> None:
    office.change("acme.yaml", "\nafter_push: finalize", "")
    office.activate()
    assert happen(office, "delete", bill_hours(office)) == "deleted"


def test_the_project_tools_are_told_once_and_the_note_is_kept_up_to_date(office: Office) -> None:
    office.tell(milestone("closed", at="2026-10-05T08:00:00Z"), endpoint="github")
    office.bill(PHASE)
    remote_id = bill_hours(office)
    office.tell(worklog(1, seconds=3600), issue(7))
    (comment,) = office.jira.comments.values()
    assert "open" in comment["body"]
    happen(office, "pay", remote_id, 5000)
    (comment,) = office.jira.comments.values()
    assert "partially paid" in comment["body"]
    happen(office, "pay", remote_id)
    happen(office, "pay", office.invoice(PHASE)["remote_id"])
    (comment,) = office.jira.comments.values()
    assert f"Invoice {OCTOBER}" in comment["body"]
    assert "partially" not in comment["body"]
    (entry,) = office.jira.properties[7, "billhook"].values()
    assert (entry["invoice"], entry["state"]) == (OCTOBER, "paid")
    (comment,) = office.github.comments.values()
    assert comment["place"] == ("acme/site", 11)
    assert "paid" in comment["body"]
    assert {row["state"] for row in office.rows(tables.report)} == {"told"}


def test_a_note_that_cannot_be_written_says_why_and_an_outage_passes(office: Office) -> None:
    del office.jira.issues[7]
    remote_id = bill_hours(office)
    (report,) = office.rows(tables.report)
    assert report["state"] == "failed"
    assert "404" in report["reason"]
    office.jira.add_issue(7, "ACME-7", "Login")
    happen(office, "pay", remote_id)
    (entry,) = office.jira.properties[7, "billhook"].values()
    assert entry["state"] == "paid"


def test_nobody_is_told_where_the_rules_do_not_ask_for_it(office: Office) -> None:
    office.change("workspace.yaml", "{tool: jira, write_back: yes", "{tool: jira")
    office.activate()
    happen(office, "pay", bill_hours(office))
    assert office.jira.comments == {}
    assert office.jira.properties == {}
    assert office.rows(tables.report) == []
