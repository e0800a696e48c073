"""What the Stripe connector does beyond the shared contract, against the stand-in."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
import stripe

from connectors.http import Request, Response
from connectors.stripe import parameters
from connectors.stripe.connector import WATCHED, StripeConnector
from connectors.stripe.stand_in import StripeStandIn
from connectors.stripe.stand_in.parameters import decoded
from connectors.stripe.stand_in.rig import BASE, InProcessHttp
from connectors.stripe.stand_in.server import API_KEY
from connectors.stripe.transport import API_VERSION
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import Address, BilledCustomer, InvoiceDraft, Particulars, PrintedLine
from ledger.money import line_amount
from ledger.taxes import TaxWords


class RecordedHttp(InProcessHttp):
    def __init__(self, app: StripeStandIn) -> None:
        super().__init__(app)
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return super().send(request)

    def changes(self) -> list[str]:
        return [one.url.removeprefix(BASE) for one in self.requests if one.method == "POST"]

    def form(self, ending: str) -> dict[str, Any]:
        found = next(one for one in self.requests if one.url.endswith(ending) and one.body)
        assert found.body
        return decoded(parse_qsl(found.body.decode(), keep_blank_values=True))


@pytest.fixture
def app() -> StripeStandIn:
    return StripeStandIn()


@pytest.fixture
def http(app: StripeStandIn) -> RecordedHttp:
    return RecordedHttp(app)


@pytest.fixture
def connector(http: RecordedHttp) -> StripeConnector:
    return connected(http)


def connected(http: RecordedHttp, **more: str) -> StripeConnector:
    return StripeConnector({"api_key": API_KEY, "api_base": BASE, **more}, http)


def line(quantity: str, price: str, currency: str = "EUR", text: str = "Work") -> PrintedLine:
    amount = line_amount(Decimal(quantity), Decimal(price), currency).minor
    return PrintedLine(text, Decimal(quantity), Decimal(price), amount)


DRAFT = InvoiceDraft(
    reference="acme-1",
    customer=BilledCustomer("acme", "Acme GmbH", "ap@acme.example"),
    currency="EUR",
    lines=(line("1.5", "120.00"),),
    period_from=date(2026, 3, 1),
    period_to=date(2026, 3, 31),
    days_until_due=30,
    purchase_order="PO-4471",
    memo="Work in March",
    footer="Thank you",
    metadata={"project": "ACME"},
)


def push(connector: StripeConnector, draft: InvoiceDraft = DRAFT, key: str = "key") -> str:
    customer = connector.resolve_customer(draft, idempotency_key=key)
    pushed = connector.create_draft(draft, remote_customer=customer, idempotency_key=key)
    return pushed.remote_id


def test_the_api_version_is_the_installed_packages_own() -> None:
    assert stripe.api_version == API_VERSION
    assert len(set(WATCHED)) == len(WATCHED) <= 20


def test_250_lines_take_two_calls_that_write(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    customer = connector.resolve_customer(DRAFT, idempotency_key="key")
    http.requests.clear()
    draft = replace(DRAFT, lines=(line("0.25", "99.99"),) * 250)
    pushed = connector.create_draft(draft, remote_customer=customer, idempotency_key="key")
    assert http.changes() == ["/v1/invoices", f"/v1/invoices/{pushed.remote_id}/add_lines"]
    # Ten lines come with the answer; the others are read, a hundred at a time.
    assert len(http.requests) == 2 + 3
    assert pushed.lines == connector.shown(draft).lines
    assert pushed.amounts.total == 250 * 2500


def test_a_draft_is_made_to_be_sent_by_hand_and_carries_our_words(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    push(connector)
    assert http.form("/v1/invoices") == {
        "customer": "cus_standin000001",
        "currency": "eur",
        "collection_method": "send_invoice",
        "days_until_due": "30",
        "auto_advance": "false",
        "pending_invoice_items_behavior": "exclude",
        "description": "Work in March",
        "footer": "Thank you",
        "custom_fields": [{"name": "PO", "value": "PO-4471"}],
        "metadata": {
            "project": "ACME",
            "billhook_reference": "acme-1",
            "billhook_customer": "acme",
            "billhook_content": DRAFT.content_hash(),
        },
    }


def test_the_lines_come_with_the_mark_that_they_are_complete(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    push(connector)
    assert http.form("/add_lines") == {
        "lines": [
            {
                "description": "Work",
                "quantity_decimal": "1.5",
                "price_data": {
                    "currency": "eur",
                    "unit_amount_decimal": "12000",
                    "product_data": {"name": "Work"},
                },
            }
        ],
        "invoice_metadata": {"billhook_lines": DRAFT.content_hash()},
    }


def test_each_call_has_a_key_of_its_own_and_the_pinned_version(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    push(connector)
    posted = [one.headers for one in http.requests if one.method == "POST"]
    keys = [headers["Idempotency-Key"] for headers in posted]
    assert keys == ["key-customer", "key-invoice", "key-lines"]
    assert {headers["Stripe-Version"] for headers in posted} == {API_VERSION}
    assert not any("Telemetry" in name for headers in posted for name in headers)


def test_a_configured_product_is_used_for_all_lines(http: RecordedHttp) -> None:
    connector = connected(http, product="prod_services")
    push(connector)
    price = http.form("/add_lines")["lines"][0]["price_data"]
    assert price["product"] == "prod_services"
    assert "product_data" not in price
    assert connector.check()


@pytest.mark.parametrize(
    ("quantity", "price", "currency", "text"),
    [
        ("-1.5", "120.00", "EUR", "Work (-1.50 x 120.00 EUR)"),
        ("1", "-20.00", "EUR", "Work (1.00 x -20.00 EUR)"),
        ("0.0000000000001", "1.00", "EUR", "Work (0.0000000000001 x 1.00 EUR)"),
        ("0.3333", "1000", "ISK", "Work (0.3333 x 1000 ISK)"),
    ],
)
def test_what_stripe_would_not_take_or_round_otherwise_goes_as_an_amount(
    connector: StripeConnector,
    http: RecordedHttp,
    quantity: str,
    price: str,
    currency: str,
    text: str,
) -> None:
    draft = replace(DRAFT, currency=currency, lines=(line(quantity, price, currency),))
    remote_id = push(connector, draft)
    sent = http.form("/add_lines")["lines"][0]
    assert sent.keys() == {"description", "amount"}
    assert sent["description"] == text
    assert connector.fetch_invoice(remote_id).amounts.total == draft.total.minor


def test_a_tiny_quantity_is_written_in_plain_digits(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    push(connector, replace(DRAFT, lines=(line("0.0000001", "5000.00"),)))
    assert http.form("/add_lines")["lines"][0]["quantity_decimal"] == "0.0000001"


def taxed(price: str, tax: str, currency: str = "EUR") -> PrintedLine:
    return replace(line("1", price, currency), tax=tax)


WORDS = {"DE19": TaxWords("VAT"), "RC": TaxWords("Reverse charge", "The customer owes it.")}


def test_taxes_go_with_their_lines(connector: StripeConnector, http: RecordedHttp) -> None:
    lines = (
        taxed("0.03", "DE19 19 %"),
        taxed("0.03", "DE19 19 %"),
        taxed("1.19", "DE19 19 % included"),
        taxed("5.00", "RC reverse charge"),
        line("1", "2.00"),
    )
    push(connector, replace(DRAFT, lines=lines, tax_words=WORDS, footer="Thanks"))
    sent = [one.get("tax_amounts") for one in http.form("/add_lines")["lines"]]
    vat = {"display_name": "VAT", "description": "DE19", "percentage": "19"}
    assert sent == [
        [{"amount": "1", "taxable_amount": "3", "tax_rate_data": {**vat, "inclusive": "false"}}],
        [{"amount": "0", "taxable_amount": "3", "tax_rate_data": {**vat, "inclusive": "false"}}],
        [{"amount": "19", "taxable_amount": "100", "tax_rate_data": {**vat, "inclusive": "true"}}],
        [
            {
                "amount": "0",
                "taxable_amount": "500",
                "taxability_reason": "reverse_charge",
                "tax_rate_data": {
                    "display_name": "Reverse charge",
                    "description": "RC",
                    "inclusive": "false",
                    "percentage": "0",
                },
            }
        ],
        None,
    ]
    assert http.form("/v1/invoices")["footer"] == "Thanks\n\nThe customer owes it."


def test_a_tax_that_stripe_cannot_express_is_refused_before_any_call(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    draft = replace(DRAFT, currency="KWD", lines=(taxed("1.230", "A 5 %", "KWD"),))
    with pytest.raises(UnsupportedError, match=r"the taxes \(0.062 KWD\) have more decimals"):
        connector.create_draft(draft, remote_customer="cus_1", idempotency_key="key")
    assert http.requests == []


def test_a_customer_that_is_as_the_rules_say_is_left_alone(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    address = Address(("Hafenstr. 1",), "Hamburg", "DE")
    said = replace(DRAFT.customer, legal_name="Acme AG", address=address, language="de")
    draft = replace(DRAFT, customer=said)
    first = connector.resolve_customer(draft, idempotency_key="key")
    assert connector.resolve_customer(draft, idempotency_key="other") == first
    assert http.changes() == ["/v1/customers"]
    moved = replace(said, address=replace(address, lines=("Hafenstr. 2", "B")))
    connector.resolve_customer(replace(DRAFT, customer=moved), idempotency_key="key-2")
    assert http.changes()[1:] == [f"/v1/customers/{first}"]
    # What the rules do not say is somebody else's, and is left as it is there.
    connector.resolve_customer(DRAFT, idempotency_key="key-3")
    assert len(http.changes()) == 2


def test_what_is_not_agreed_any_more_is_unset() -> None:
    fields = parameters.invoice_update(replace(DRAFT, purchase_order=None))
    assert fields["custom_fields"] == ""
    assert fields["payment_settings"] == {"payment_method_types": ""}


TOO_LONG: list[tuple[dict[str, Any], str]] = [
    ({"memo": "x" * 1501}, "memo has 1501"),
    ({"footer": "x" * 5001}, "footer has 5001"),
    ({"purchase_order": "x" * 141}, "purchase order has 141"),
    ({"particulars": Particulars(contract="x" * 141)}, 'field "Contract" has 141'),
    ({"particulars": Particulars(late_payment="x" * 4999)}, "footer has"),
    (
        {"lines": (taxed("1", "A 19 %"),), "tax_words": {"A": TaxWords("x" * 51)}},
        "the name of tax A has 51",
    ),
    ({"lines": (line("1", "1", text="x" * 5001),)}, "description of line 1 has 5001"),
    ({"lines": (line("-1", "1", text="x" * 4990),)}, "description of line 1 has 50"),
    ({"metadata": {"k" * 41: "v"}}, "a metadata key has 41"),
    ({"metadata": {"k": "v" * 501}}, 'metadata "k" has 501'),
    ({"metadata": {"a[b]": "v"}}, "square brackets"),
    ({"metadata": {f"k{n}": "v" for n in range(47)}}, "51 metadata keys"),
    ({"days_until_due": None}, "terms"),
]


@pytest.mark.parametrize(("change", "message"), TOO_LONG)
def test_what_does_not_fit_is_refused_by_name_before_any_call(
    connector: StripeConnector, http: RecordedHttp, change: dict[str, Any], message: str
) -> None:
    draft = replace(DRAFT, **change)
    with pytest.raises(RejectedError, match=message):
        connector.create_draft(draft, remote_customer="cus_1", idempotency_key="key")
    assert http.requests == []


def test_an_amount_that_stripe_cannot_express_is_refused_before_any_call(
    connector: StripeConnector, http: RecordedHttp
) -> None:
    draft = replace(DRAFT, currency="KWD", lines=(line("1", "1.234", "KWD"),))
    with pytest.raises(UnsupportedError, match="KWD"):
        connector.create_draft(draft, remote_customer="cus_1", idempotency_key="key")
    assert http.requests == []


def test_a_customer_is_found_though_its_address_has_changed(connector: StripeConnector) -> None:
    first = connector.resolve_customer(DRAFT, idempotency_key="key")
    moved = replace(DRAFT, customer=replace(DRAFT.customer, email="new@acme.example"))
    nameless = replace(DRAFT, customer=replace(DRAFT.customer, email=None))
    assert connector.resolve_customer(moved, idempotency_key="other") == first
    assert connector.resolve_customer(nameless, idempotency_key="third") == first


def test_a_customer_is_found_beyond_the_first_page(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    first = connector.resolve_customer(DRAFT, idempotency_key="key")
    for number in range(150):
        app.book.create_customer({"name": f"Customer {number}"})
    moved = replace(DRAFT, customer=replace(DRAFT.customer, email="new@acme.example"))
    assert connector.resolve_customer(moved, idempotency_key="other") == first


def test_two_customers_with_our_key_are_a_question_for_a_person(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    for _ in range(2):
        app.book.create_customer({"metadata": {"billhook_customer": "acme"}})
    with pytest.raises(PermanentError, match="cus_standin000003 and cus_standin000001"):
        connector.resolve_customer(DRAFT, idempotency_key="key")


def test_two_invoices_with_our_reference_are_a_question_for_a_person(
    connector: StripeConnector,
) -> None:
    both = {push(connector, key="one"), push(connector, key="two")}
    with pytest.raises(PermanentError) as caught:
        connector.find_invoice("acme-1", remote_customer=None)
    assert all(remote_id in str(caught.value) for remote_id in both)


def test_an_invoice_is_found_beyond_the_first_page(connector: StripeConnector) -> None:
    remote_id = push(connector)
    customer = connector.resolve_customer(DRAFT, idempotency_key="key")
    for number in range(101):
        other = replace(DRAFT, reference=f"other-{number}")
        connector.create_draft(other, remote_customer=customer, idempotency_key=f"key{number}")
    found = connector.find_invoice("acme-1", remote_customer=customer)
    assert found is not None
    assert found.remote_id == remote_id


def test_refused_lines_leave_a_draft_that_the_next_push_takes_over(http: RecordedHttp) -> None:
    wrong = connected(http, product="prod_none")
    customer = wrong.resolve_customer(DRAFT, idempotency_key="key")
    with pytest.raises(PermanentError, match="prod_none"):
        wrong.create_draft(DRAFT, remote_customer=customer, idempotency_key="key")
    mended = connected(http, product="prod_services")
    changed = replace(DRAFT, memo=None, purchase_order="PO-2", days_until_due=14)
    found = mended.find_invoice("acme-1", remote_customer=customer)
    assert found is not None
    assert (found.is_complete, found.lines) == (False, ())
    finished = mended.complete_draft(changed, found, idempotency_key="key-2")
    assert finished.is_complete
    assert finished.lines == mended.shown(changed).lines
    assert http.form(finished.remote_id)["description"] == ""
    assert http.form(finished.remote_id)["custom_fields"] == [{"name": "PO", "value": "PO-2"}]


def test_an_empty_draft_in_another_currency_waits_for_a_person(http: RecordedHttp) -> None:
    wrong = connected(http, product="prod_none")
    with pytest.raises(PermanentError):
        push(wrong)
    found = wrong.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    dollars = replace(DRAFT, currency="USD")
    with pytest.raises(PermanentError, match="another currency"):
        wrong.complete_draft(dollars, found, idempotency_key="key-2")


def test_lines_that_somebody_else_added_wait_for_a_person(
    app: StripeStandIn, http: RecordedHttp
) -> None:
    wrong = connected(http, product="prod_none")
    with pytest.raises(PermanentError):
        push(wrong)
    found = wrong.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    app.book.add_lines(found.remote_id, {"lines": [{"amount": 5, "description": "Theirs"}]})
    with pytest.raises(PermanentError, match="no mark of being complete"):
        wrong.complete_draft(DRAFT, found, idempotency_key="key-2")


def test_a_busy_second_call_is_not_called_definitely_not_carried_out(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    app.faults.append({"path": "/add_lines", "do": "429"})
    with pytest.raises(OutcomeUnknownError, match="is there without lines"):
        push(connector)
    assert push(connector)


def test_a_replayed_500_is_recognizable_and_leaves_the_outcome_open(
    app: StripeStandIn, connector: StripeConnector
) -> None:
    customer = connector.resolve_customer(DRAFT, idempotency_key="key")
    app.faults.append({"path": "/v1/invoices", "do": "500_after"})
    for message in ("Something went wrong", "replays this answer"):
        with pytest.raises(OutcomeUnknownError, match=message):
            connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key")
    found = connector.find_invoice("acme-1", remote_customer=customer)
    assert found is not None
    assert connector.complete_draft(DRAFT, found, idempotency_key="key-2").is_complete


def test_the_same_key_for_other_content_leaves_the_outcome_open(
    connector: StripeConnector,
) -> None:
    customer = connector.resolve_customer(DRAFT, idempotency_key="key")
    connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key")
    other = replace(DRAFT, memo="Other work")
    with pytest.raises(OutcomeUnknownError, match="look for the invoice"):
        connector.create_draft(other, remote_customer=customer, idempotency_key="key")


def test_a_key_in_use_may_be_tried_again(app: StripeStandIn, connector: StripeConnector) -> None:
    app.faults.append({"path": "/v1/customers", "do": "409"})
    with pytest.raises(TransientError):
        push(connector)


def test_a_test_key_asking_for_a_live_invoice_does_not_prove_that_it_is_gone(
    connector: StripeConnector, http: RecordedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        b'{"error": {"type": "invalid_request_error", "message": "No such invoice: in_1; a similar '
        b'object exists in live mode, but a test mode key was used to make this request."}}'
    )
    monkeypatch.setattr(http, "send", lambda _: Response(404, {}, said))
    with pytest.raises(PermanentError, match="mode it was created in"):
        connector.fetch_invoice("in_1")


def test_neither_key_nor_texts_reach_the_log(
    app: StripeStandIn, connector: StripeConnector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    remote_id = push(connector)
    app.faults.append({"do": "500_before"})
    with pytest.raises(ConnectorError):
        connector.fetch_invoice(remote_id)
    assert API_KEY not in caplog.text
    assert "Work in March" not in caplog.text


def test_a_wrong_key_is_refused_without_repeating_it(http: RecordedHttp) -> None:
    connector = StripeConnector({"api_key": "sk_live_secret", "api_base": BASE}, http)
    with pytest.raises(PermanentError, match="refused") as caught:
        connector.check()
    assert "sk_live_secret" not in repr(caught.value)
