"""`flask audit --deep` against Stripe: what is there twice, strange or out of reach is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditing import Asked, ask, sent
from connectors.connector import BillingConnector
from ledger.errors import TransientError
from ledger.invoices import InvoiceDraft, draft_from_json
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"


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
