"""What comes back from Stripe beyond the shared contract: finalizing, payments and changes."""

from __future__ import annotations

import pytest

from connectors.stripe.connector import StripeConnector
from connectors.stripe.stand_in import StripeStandIn
from ledger.errors import OutcomeUnknownError, RejectedError, UnsupportedError
from ledger.payments import payment_of

from .test_stripe import RecordedHttp, connected, push


@pytest.fixture
def app() -> StripeStandIn:
    return StripeStandIn()


@pytest.fixture
def http(app: StripeStandIn) -> RecordedHttp:
    return RecordedHttp(app)


@pytest.fixture
def connector(http: RecordedHttp) -> StripeConnector:
    return connected(http)


def test_a_finalized_invoice_cannot_be_deleted(connector: StripeConnector) -> None:
    remote_id = push(connector)
    connector.finalize(remote_id, send=False, idempotency_key="key-2")
    with pytest.raises(RejectedError):
        connector.delete_draft(remote_id, idempotency_key="key-3")


def test_an_incomplete_draft_is_not_finalized(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    app.faults.append({"path": "/add_lines", "do": "500_before"})
    with pytest.raises(OutcomeUnknownError):
        push(connector)
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    with pytest.raises(RejectedError, match="not complete"):
        connector.finalize(found.remote_id, send=True, idempotency_key="key-2")


def test_an_invoice_is_sent_only_if_asked(connector: StripeConnector, http: RecordedHttp) -> None:
    remote_id = push(connector)
    connector.finalize(remote_id, send=False, idempotency_key="key-2")
    assert not any(path.endswith("/send") for path in http.changes())
    sent = connector.finalize(remote_id, send=True, idempotency_key="key-3")
    assert http.changes()[-1].endswith("/send")
    assert sent.number
    assert http.form("/finalize") == {"auto_advance": "false"}


def test_many_payments_are_all_looked_at(app: StripeStandIn, connector: StripeConnector) -> None:
    remote_id = push(connector)
    app.happen("finalize", remote_id)
    for _ in range(18):
        app.happen("pay", remote_id, 1000)
        app.happen("refund", remote_id, 1000)
    amounts = connector.fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.refunded) == (18000, 18000)
    assert payment_of(amounts) == "refunded"


@pytest.mark.parametrize("kind", ["payment_intents", "charges"])
def test_a_payment_leads_to_its_invoice(
    app: StripeStandIn, connector: StripeConnector, kind: str
) -> None:
    remote_id = push(connector)
    app.happen("finalize", remote_id)
    app.happen("pay", remote_id)
    payment = next(iter(app.book.table(kind)))
    assert connector.invoices_for(f"payment:{payment}") == [remote_id]


def test_a_hint_about_something_else_is_named(connector: StripeConnector) -> None:
    with pytest.raises(UnsupportedError, match="payout:po_1"):
        connector.invoices_for("payout:po_1")


@pytest.mark.parametrize("what", ["refund", "dispute", "credit"])
def test_what_does_not_touch_the_invoice_is_listed_as_a_change_too(
    app: StripeStandIn, connector: StripeConnector, what: str
) -> None:
    remote_id = push(connector)
    app.happen("finalize", remote_id)
    app.happen("pay", remote_id)
    app.book.table("events").clear()
    app.happen(what, remote_id, 100)
    assert connector.changes_since(None)[0] == [remote_id]


def test_the_next_cursor_reaches_back_behind_stripes_own_clock(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    push(connector)
    cursor = int(connector.changes_since(None)[1])
    assert 110 <= app.book.now() - cursor <= 130
