"""What stood on an invoice that is void or deleted at Stripe is due again, once."""

from __future__ import annotations

import pytest

from ledger import tables
from ledger.drafts import QUIET
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER, SECOND, THIRD, TODAY = "acme-2026-10", "acme-2026-10-2", "acme-2026-10-3", "acme-2026-11"
WORK = "senior engineering, ACME-7 Login"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office whose customer is billed by Stripe with finalized invoices."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe\nafter_push: finalize")
    office.activate()
    office.tell(issue(7))
    return office


def bill(office: Office, reference: str) -> None:
    """Push a draft and hear what became of it."""
    office.bill(reference)
    office.deliver_mail()


def happen(office: Office, what: str, reference: str) -> None:
    """Let something happen to an invoice at Stripe, and hear of it."""
    office.stripe.happen(what, office.invoice(reference)["remote_id"], None)
    office.deliver_mail()


def edit(office: Office, number: int, seconds: int, version: int) -> None:
    """Change how long an entry took."""
    office.tell(worklog(number, seconds=seconds, version=version, kind="worklog_updated"))


def owed(office: Office) -> int:
    """Return what the customers owe on all invoices and drafts that stand, in cents."""
    gone = {row["id"] for row in office.rows(tables.invoice) if row["released_at"]}
    return sum(
        row["amount"]
        for row in office.rows(tables.line_item)
        if row["state"] in ("open", "billed") and row["invoice_id"] not in gone
    )


@pytest.mark.parametrize("what", ["void", "delete"])
def test_work_of_a_void_invoice_is_billed_once_more_under_the_next_number(
    office: Office, what: str
) -> None:
    if what == "delete":
        office.change("acme.yaml", "\nafter_push: finalize", "")
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    office.tell(worklog(1, seconds=3600), worklog(2, seconds=1800, account="acc-ben"))
    office.clock.go_on(QUIET.seconds)
    office.settle()
    office.deliver_mail()
    happen(office, what, OCTOBER)
    assert office.printed(SECOND) == office.printed(OCTOBER)
    assert office.invoices() == {OCTOBER: ("pushed", 16000), SECOND: ("draft", 16000)}
    (warning,) = office.invoice(SECOND)["warnings"]
    word = "voided" if what == "void" else "deleted"
    assert f"its work stood on {OCTOBER}, which was {word} on 2026-11-22 at 09:00" in warning
    # No machine approves that, however long it stays.
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices()[SECOND] == ("draft", 16000)
    assert office.violations() == []
    bill(office, SECOND)
    assert owed(office) == 16000
    # Nothing wakes up again by itself, and what changes now is corrected there.
    happen_again = [row["state"] for row in office.rows(tables.line_item)]
    office.clock.go_on(8 * 24 * 3600)
    office.settle()
    assert [row["state"] for row in office.rows(tables.line_item)] == happen_again
    assert office.violations() == []


def test_an_edit_that_was_corrected_elsewhere_before_its_invoice_was_void(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    edit(office, 1, 5400, version=2)
    bill(office, TODAY)
    happen(office, "void", OCTOBER)
    # What took the void line back takes back too much.
    assert office.printed(SECOND) == [(f"Correction to {TODAY}: {WORK}", "1.00", 12000)]
    assert owed(office) == 18000
    assert office.violations() == []
    happen(office, "void", TODAY)
    assert owed(office) == 18000
    assert office.invoices()[SECOND] == ("draft", 18000)
    assert office.violations() == []


def test_a_correction_whose_own_invoice_was_void_is_made_once_more(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    edit(office, 1, 5400, version=2)
    bill(office, TODAY)
    happen(office, "void", TODAY)
    assert owed(office) == 18000
    assert sorted(office.printed(f"{TODAY}-2")) == [
        (f"Correction to {OCTOBER}: {WORK}", "-1.00", -12000),
        (WORK, "1.50", 18000),
    ]
    assert office.violations() == []
    bill(office, f"{TODAY}-2")
    happen(office, "void", OCTOBER)
    happen(office, "void", f"{TODAY}-2")
    assert owed(office) == 18000
    assert office.violations() == []


def test_an_edit_and_a_deletion_after_the_invoice_was_void(office: Office) -> None:
    office.tell(worklog(1, seconds=3600), worklog(2, seconds=3600, account="acc-ben"))
    bill(office, OCTOBER)
    happen(office, "void", OCTOBER)
    edit(office, 1, 1800, version=2)
    office.tell(worklog(2, seconds=3600, version=2, kind="worklog_deleted"))
    assert office.printed(SECOND) == [(WORK, "0.50", 6000)]
    assert office.violations() == []


def test_work_that_was_deleted_while_its_invoice_was_void_is_owed_by_nobody(
    office: Office,
) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    office.tell(worklog(1, seconds=3600, version=2, kind="worklog_deleted"))
    assert office.invoices()[TODAY] == ("blocked", -12000)
    happen(office, "void", OCTOBER)
    assert owed(office) == 0
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    # New work of the month is no late work: no invoice of it stands.
    office.tell(worklog(2, seconds=3600))
    assert office.invoices()[SECOND] == ("draft", 12000)
    assert office.invoice(SECOND)["warnings"] == []
    assert office.violations() == []


def test_late_work_waits_apart_from_what_is_billed_once_more(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    office.tell(worklog(2, seconds=7200))
    assert office.invoices()[TODAY] == ("draft", 24000)
    bill(office, TODAY)
    happen(office, "void", OCTOBER)
    bill(office, SECOND)
    happen(office, "void", SECOND)
    assert office.invoices()[THIRD] == ("draft", 12000)
    (first, second) = office.invoice(THIRD)["warnings"]
    assert (OCTOBER in first, SECOND in second) == (True, True)
    assert owed(office) == 36000
    assert office.violations() == []


def test_a_void_invoice_that_stands_again_is_a_problem_in_plain_sight(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    remote_id = office.invoice(OCTOBER)["remote_id"]
    happen(office, "void", OCTOBER)
    before = office.rows(tables.line_item)
    office.stripe.book.get("invoices", remote_id)["status"] = "open"
    office.clock.go_on(8 * 24 * 3600)
    office.settle()
    assert "void it there once more" in office.invoice(OCTOBER)["problem"]
    office.clock.go_on(8 * 24 * 3600)
    office.settle()
    assert "void it there once more" in office.invoice(OCTOBER)["problem"]
    assert len(office.log("invoice.stands_again")) == 1
    assert office.rows(tables.line_item) == before
    happen(office, "void", OCTOBER)
    assert office.invoice(OCTOBER)["problem"] is None


def test_an_uncollectible_invoice_is_not_released(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    happen(office, "write_off", OCTOBER)
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}


def test_what_was_paid_and_then_vanished_is_left_to_a_person(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    happen(office, "pay", OCTOBER)
    remote_id = office.invoice(OCTOBER)["remote_id"]
    del office.stripe.book.table("invoices")[remote_id]
    office.clock.go_on(2 * 3600)
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert "120.00 EUR were paid" in office.invoice(OCTOBER)["problem"]
    # Nor does the next look forget that.
    office.look()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert "120.00 EUR were paid" in office.invoice(OCTOBER)["problem"]


def test_what_was_paid_and_voided_between_two_looks_is_left_to_a_person(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    remote_id = office.invoice(OCTOBER)["remote_id"]
    office.stripe.happen("pay", remote_id, 5000)
    office.stripe.happen("void", remote_id, None)
    office.deliver_mail()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert "50.00 EUR were paid" in office.invoice(OCTOBER)["problem"]


def test_each_payer_of_shared_work_gets_back_its_own_share_only(office: Office) -> None:
    office.change("acme.yaml", "when_no_rule", "    split: {acme: 60 %, beta: 40 %}\nwhen_no_rule")
    office.activate()
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    bill(office, "beta-2026-10")
    happen(office, "void", OCTOBER)
    assert office.invoices() == {
        OCTOBER: ("pushed", 7200),
        SECOND: ("draft", 7200),
        "beta-2026-10": ("pushed", 4800),
    }
    assert office.violations() == []


def test_sums_of_counted_work_are_due_again(office: Office) -> None:
    office.change("acme.yaml", "minutes per entry", "minutes per person and day")
    office.change("acme.yaml", "[time.logged, time.total]", "time.logged")
    office.activate()
    office.tell(worklog(1, seconds=600), worklog(2, seconds=1000))
    bill(office, OCTOBER)
    office.tell(worklog(1, seconds=600, version=2, kind="worklog_deleted"))
    office.tell(worklog(3, seconds=7200))
    bill(office, TODAY)
    assert owed(office) == 30000
    happen(office, "void", OCTOBER)
    assert owed(office) == 30000
    assert office.violations() == []
    bill(office, SECOND)
    happen(office, "void", TODAY)
    happen(office, "void", SECOND)
    assert owed(office) == 30000
    assert office.violations() == []


def test_a_minimum_fee_and_a_discount_are_due_again_with_their_work(office: Office) -> None:
    office.change(
        "acme.yaml",
        "rules:\n",
        "discounts:\n  - {discount: Loyalty, percent: 10 %}\n"
        "minimum_fee: {at_least: 500.00, from: 2026-10-01}\nrules:\n",
    )
    office.activate()
    office.tell(worklog(1, seconds=3600))
    bill(office, OCTOBER)
    happen(office, "void", OCTOBER)
    assert office.printed(SECOND) == office.printed(OCTOBER)
    assert owed(office) == office.invoice(OCTOBER)["total"]
    assert office.violations() == []
