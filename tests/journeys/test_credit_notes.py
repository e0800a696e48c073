"""Corrections of what is final at the billing system: a credit note, where that was agreed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.http import Request
from ledger import auditlog, tables
from ledger.audit import audit
from ledger.errors import OutcomeUnknownError
from ledger.invoices import draft_from_json
from ledger.pushing import try_again
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone

OCTOBER, NOTE, TODAY = "acme-2026-10", "acme-2026-10-credit", "acme-2026-11"
TAXED = "taxes:\n  - {tax: DE19, name: VAT, rate: 19 %}\ntax: DE19\n"


@pytest.fixture
def agreed(office: Office) -> Office:
    """Give an office whose customer gets credit notes, by Stripe, with an open invoice there."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe\ncorrections: credit note")
    office.change("acme.yaml", "invoice: monthly\n", "invoice: monthly\nafter_push: finalize\n")
    office.change("acme.yaml", "rates:\n", f"{TAXED}rates:\n")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=7200, account="acc-ben"))
    office.bill(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["payment"] == "open"
    return office


def again(number: int, seconds: int, version: int = 2, **other: Any) -> Any:
    return worklog(number, seconds=seconds, version=version, kind="worklog_updated", **other)


def gone(number: int, version: int = 9, **other: Any) -> Any:
    return worklog(number, seconds=0, version=version, kind="worklog_deleted", **other)


def notes(office: Office) -> list[dict[str, Any]]:
    return list(office.stripe.book.table("credit_notes").values())


def credited(office: Office) -> int:
    return int(office.rows(tables.payment)[-1]["credited"])


def unsound(office: Office) -> list[Any]:
    office.line.database.write(auditlog.seal)
    with office.line.database.read() as connection:
        return list(audit(connection, office.clock.now() + timedelta(seconds=25)))


def test_what_lowers_an_open_invoice_is_a_credit_note_that_a_person_approves(
    agreed: Office,
) -> None:
    agreed.tell(gone(1))
    assert agreed.invoices() == {OCTOBER: ("pushed", 33320), NOTE: ("draft", -14280)}
    row = agreed.invoice(NOTE)
    assert (row["kind"], row["credits_id"]) == ("credit note", agreed.invoice(OCTOBER)["id"])
    assert (row["approval"], row["content"]["credits"]) == ("by hand", OCTOBER)
    assert notes(agreed) == []
    assert unsound(agreed) == []
    agreed.bill(NOTE)
    (note,) = notes(agreed)
    assert (note["total"], note["pre_payment_amount"]) == (14280, 14280)
    assert note["metadata"]["billhook_reference"] == NOTE
    agreed.settle()
    assert credited(agreed) == 14280
    assert unsound(agreed) == []
    # The next one has a number of its own.
    agreed.tell(gone(2, account="acc-ben"))
    assert agreed.invoices()[f"{NOTE}-2"] == ("draft", -19040)
    agreed.bill(f"{NOTE}-2")
    agreed.settle()
    assert (credited(agreed), agreed.invoice(OCTOBER)["payment"]) == (33320, "credited")
    assert agreed.seconds_billed() == 0
    assert unsound(agreed) == []


def test_of_a_paid_invoice_it_goes_to_the_customers_balance(agreed: Office) -> None:
    agreed.stripe.happen("pay", agreed.invoice(OCTOBER)["remote_id"])
    agreed.deliver_mail()
    assert agreed.invoice(OCTOBER)["payment"] == "paid"
    agreed.tell(again(1, 900))
    assert agreed.invoices()[NOTE] == ("draft", -10710)
    agreed.bill(NOTE)
    (note,) = notes(agreed)
    assert (note["total"], note["post_payment_amount"]) == (10710, 10710)
    assert agreed.stripe.book.table("refunds") == {}
    agreed.settle()
    assert credited(agreed) == 10710
    assert unsound(agreed) == []


def test_what_comes_to_more_than_zero_goes_to_the_next_invoice(agreed: Office) -> None:
    agreed.tell(again(1, 7200))
    assert agreed.invoices() == {OCTOBER: ("pushed", 33320), TODAY: ("draft", 14280)}
    # Both together are less again.
    agreed.tell(gone(2, account="acc-ben"))
    assert agreed.invoices() == {OCTOBER: ("pushed", 33320), NOTE: ("draft", -4760)}
    agreed.tell(again(1, 10800, version=3))
    assert agreed.invoices() == {OCTOBER: ("pushed", 33320), TODAY: ("draft", 9520)}
    assert unsound(agreed) == []


def test_what_is_back_after_it_was_credited_is_billed_anew(agreed: Office) -> None:
    agreed.tell(milestone("closed", at="2026-10-05T08:00:00Z"), endpoint="github")
    first = "acme-2026-10-05"
    agreed.bill(first)
    agreed.settle()
    agreed.tell(milestone("opened", at="2026-10-06T08:00:00Z"), endpoint="github")
    assert agreed.invoices()[f"{first}-credit"] == ("draft", -535500)
    agreed.bill(f"{first}-credit")
    agreed.tell(milestone("closed", at="2026-10-07T08:00:00Z"), endpoint="github")
    assert agreed.invoices()["acme-2026-10-07"] == ("draft", 535500)
    assert unsound(agreed) == []


def test_a_credit_note_whose_answer_was_lost_is_issued_once(agreed: Office) -> None:
    agreed.tell(gone(1))
    lost = iter((True,))

    def lose(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/credit_notes") and next(lost, False):
            raise OutcomeUnknownError("the answer was lost")

    agreed.outside.after = lose
    agreed.approve(NOTE)
    agreed.settle()
    assert (agreed.invoice(NOTE)["state"], len(notes(agreed))) == ("approved", 1)
    agreed.clock.go_on(120)
    agreed.settle()
    assert (agreed.invoice(NOTE)["state"], len(notes(agreed))) == ("pushed", 1)
    assert agreed.invoice(NOTE)["remote_id"] == notes(agreed)[0]["id"]
    assert unsound(agreed) == []


def test_a_credit_note_that_a_restored_ledger_has_forgotten_is_not_issued_again(
    agreed: Office,
) -> None:
    agreed.tell(gone(1))
    draft = draft_from_json(agreed.invoice(NOTE)["content"])
    invoice = str(agreed.invoice(OCTOBER)["remote_id"])
    agreed.line.billing("stripe").credit(draft, invoice, idempotency_key="of another life")
    agreed.bill(NOTE)
    assert [note["id"] for note in notes(agreed)] == [agreed.invoice(NOTE)["remote_id"]]
    assert unsound(agreed) == []


def test_another_amount_under_our_reference_stops_for_a_person(agreed: Office) -> None:
    agreed.tell(gone(1))
    draft = draft_from_json(agreed.invoice(NOTE)["content"])
    invoice = str(agreed.invoice(OCTOBER)["remote_id"])
    agreed.line.billing("stripe").credit(draft, invoice, idempotency_key="by hand")
    notes(agreed)[0]["total"] = 1
    agreed.approve(NOTE)
    agreed.settle()
    row = agreed.invoice(NOTE)
    assert (row["state"], len(notes(agreed))) == ("approved", 1)
    assert "has credited 0.01 EUR, and we 142.80 EUR" in row["problem"]
    # Voided there, it is issued anew.
    notes(agreed)[0]["status"] = "void"
    agreed.line.database.write(
        lambda connection: try_again(connection, NOTE, "mia", agreed.clock.now())
    )
    agreed.settle()
    assert (agreed.invoice(NOTE)["state"], len(notes(agreed))) == ("pushed", 2)


def test_files_take_credit_notes_too(office: Office) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: files\ncorrections: credit note")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=7200))
    office.bill(OCTOBER)
    folder = office.line.billing("files").configured["folder"]
    with open(f"{folder}/payments.csv", "w") as file:
        file.write(f"reference,date,amount\n{OCTOBER},2026-11-01,0\n")
    office.clock.go_on(4000)
    office.settle()
    assert office.invoice(OCTOBER)["payment"] == "open"
    office.tell(gone(1))
    office.bill(NOTE)
    office.settle()
    assert (credited(office), office.invoices()[NOTE]) == (12000, ("pushed", -12000))
    assert unsound(office) == []


def test_an_invoice_that_is_written_off_is_credited_no_more(agreed: Office) -> None:
    agreed.tell(gone(1))
    assert agreed.invoice(NOTE)["state"] == "draft"
    agreed.stripe.happen("write_off", agreed.invoice(OCTOBER)["remote_id"])
    agreed.deliver_mail()
    agreed.settle()
    assert agreed.invoice(OCTOBER)["payment"] == "uncollectible"
    # Stripe would refuse the note, so what it took back goes to the next invoice.
    assert agreed.invoice(NOTE)["state"] == "canceled"
    assert sum(net for state, net in agreed.invoices().values() if state == "blocked") == -14280
    assert unsound(agreed) == []


def test_without_the_policy_corrections_go_to_the_next_invoice(agreed: Office) -> None:
    agreed.tell(gone(1))
    assert NOTE in agreed.invoices()
    agreed.change("acme.yaml", "corrections: credit note", "corrections: next invoice")
    agreed.activate()
    agreed.tell(worklog(3, seconds=36000))
    assert agreed.invoices() == {OCTOBER: ("pushed", 33320), TODAY: ("draft", 128520)}
    assert unsound(agreed) == []


def test_a_system_without_credit_notes_blocks_them_and_says_what_to_do(
    agreed: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from connectors.stripe.connector import StripeConnector

    unable = replace(StripeConnector.abilities, credit=False)
    monkeypatch.setattr(StripeConnector, "abilities", unable)
    agreed.tell(gone(1))
    assert agreed.invoice(NOTE)["state"] == "blocked"
    assert "write corrections: next invoice" in agreed.invoice(NOTE)["reasons"][0]
