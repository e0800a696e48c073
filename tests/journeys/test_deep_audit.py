"""`flask audit --deep` against Stripe: what is there twice, strange or out of reach is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditing import Asked, ask, sent
from connectors.connector import BillingConnector
from ledger import tables
from ledger.errors import TransientError
from ledger.invoices import InvoiceDraft, draft_from_json
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER, NOTE = "acme-2026-10", "acme-2026-10-credit"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office whose invoice is at Stripe, and looked at."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=900))
    office.bill(OCTOBER)
    return office


def deep(office: Office) -> Asked:
    with office.line.database.read() as snapshot:
        told = sent(snapshot)
    return ask(office.line, told)


def found(office: Office) -> list[tuple[str, str]]:
    asked = deep(office)
    assert asked.unchecked == []
    return [(each.invariant, each.detail) for each in asked.violations]


def draft(office: Office) -> InvoiceDraft:
    return draft_from_json(office.invoice(OCTOBER)["content"])


def stripe(office: Office) -> BillingConnector:
    return office.line.billing("stripe")


def create(office: Office, draft: InvoiceDraft) -> str:
    """Create an invoice behind the ledger's back; return its id at Stripe."""
    customer = office.invoice(OCTOBER)["remote_customer"]
    return (
        stripe(office)
        .create_draft(draft, remote_customer=customer, idempotency_key=draft.content_hash()[:20])
        .remote_id
    )


def test_stripe_has_what_was_sent(office: Office) -> None:
    assert found(office) == []


def test_a_second_invoice_under_one_reference_is_named(office: Office) -> None:
    first, second = office.invoice(OCTOBER)["remote_id"], create(office, draft(office))
    assert found(office) == [
        ("remote", f"stripe has it 2 times: {', '.join(sorted([first, second]))}")
    ]


def test_an_invoice_with_our_mark_that_was_never_sent_is_named(office: Office) -> None:
    stranger = create(office, replace(draft(office), reference="acme-2026-09"))
    (wrong,) = deep(office).violations
    assert (wrong.invariant, wrong.entity) == ("strangers", f"stripe:{stranger}")
    assert (wrong.amount_at_risk, wrong.currency) == (15000, "EUR")
    # Once it is gone there nobody can pay it.
    stripe(office).delete_draft(stranger, idempotency_key="gone")
    assert found(office) == []


def test_an_invoice_that_is_gone_is_named(office: Office) -> None:
    stripe(office).delete_draft(office.invoice(OCTOBER)["remote_id"], idempotency_key="gone")
    assert ("remote", "stripe has no invoice with this reference") in found(office)


def test_a_payment_that_was_not_seen_yet_is_named_until_it_is(office: Office) -> None:
    remote_id = office.invoice(OCTOBER)["remote_id"]
    stripe(office).finalize(remote_id, send=False, idempotency_key="f")
    assert [name for name, _ in found(office)] == ["remote payments"]
    office.deliver_mail()
    assert found(office) == []


def test_what_cannot_be_asked_is_told_and_is_no_violation(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(request: object) -> None:
        raise TransientError("stripe: cannot be reached")

    monkeypatch.setattr(office.outside, "send", away)
    asked = deep(office)
    assert asked.violations == []
    assert any(told.startswith(f"{OCTOBER}: ") for told in asked.unchecked)


@pytest.fixture
def credited(office: Office) -> Office:
    """Give an office that has credited an hour of its open invoice, at Stripe and looked at."""
    office.change("acme.yaml", "send_to: stripe", "send_to: stripe\ncorrections: credit note")
    office.activate()
    stripe(office).finalize(
        office.invoice(OCTOBER)["remote_id"], send=False, idempotency_key="finalize"
    )
    office.deliver_mail()
    office.tell(worklog(1, seconds=0, version=9, kind="worklog_deleted"))
    office.bill(NOTE)
    office.deliver_mail()
    office.settle()
    return office


def note(office: Office) -> dict[str, Any]:
    (only,) = office.stripe.book.table("credit_notes").values()
    return only


def test_a_credit_note_is_there_as_it_was_issued(credited: Office) -> None:
    assert note(credited)["total"] == 12000
    assert found(credited) == []


def test_a_credit_note_of_another_amount_is_named(credited: Office) -> None:
    note(credited)["total"] = 11999
    (wrong,) = deep(credited).violations
    assert (wrong.invariant, wrong.entity) == ("remote", f"invoice:{NOTE}")
    assert wrong.detail == "stripe credits 119.99 EUR, and the ledger 120.00 EUR"
    assert (wrong.amount_at_risk, wrong.currency) == (12000, "EUR")


def test_a_credit_note_that_somebody_voided_there_is_named(credited: Office) -> None:
    note(credited)["status"] = "void"
    invoice = credited.invoice(OCTOBER)["remote_id"]
    assert ("remote", f"stripe has no credit note with this reference for {invoice}") in found(
        credited
    )


def test_a_credit_note_that_has_another_number_here_is_named(credited: Office) -> None:
    other = tables.invoice.update().where(tables.invoice.c.reference == NOTE)
    credited.line.database.write(
        lambda connection: connection.execute(other.values(remote_id="cn_other"))
    )
    ours = note(credited)["id"]
    assert found(credited) == [
        ("remote", f"stripe has it as {ours}, and the ledger as cn_other"),
    ]


def test_a_credit_note_that_cannot_be_asked_for_is_told(
    credited: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise TransientError("stripe: cannot be reached")

    monkeypatch.setattr(type(stripe(credited)), "find_credit", away)
    asked = deep(credited)
    assert (asked.violations, asked.unchecked) == ([], [f"{NOTE}: stripe: cannot be reached"])
