"""What every billing connector promises, tried against its own stand-in.

A new connector is covered by being registered: `connectors/<key>/stand_in.py` has
`contract_setup(folder) -> ContractRig`, and no test code is needed (docs/adding-a-connector.md).
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connectors.connector import BillingConnector
from connectors.contract import ContractRig
from connectors.http import Response
from connectors.registry import billing_connectors
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from ledger.invoices import PrintedLine
from ledger.payments import payment_of
from tests.examples import examples

from .billing import (
    ABLE_TO,
    DRAFT,
    KEYS,
    assert_nothing_secret,
    assert_shows,
    draft_of,
    line,
    push,
    push_if_possible,
    setup_of,
    with_all_lines,
)
from .spoiled_http import NoHttp, SpoiledHttp

EVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Before everything that is there."""


@pytest.mark.parametrize("key", KEYS)
def test_every_connector_says_what_it_is_and_how_far_it_is_proven(key: str) -> None:
    connector = billing_connectors()[key]
    module = importlib.import_module(f"connectors.{key}")
    readme = Path(module.__file__ or "").with_name("README.md").read_text(encoding="utf-8")
    assert connector.key == key
    assert connector.docs_url.startswith("https://")
    assert "How far it is proven" in readme
    assert all(f"`{setting.name}`" in readme for setting in connector.settings)


def test_the_check_names_the_account(connector: BillingConnector) -> None:
    assert connector.check()


def test_an_unknown_reference_finds_nothing(connector: BillingConnector) -> None:
    push(connector, DRAFT)
    assert connector.find_invoice("acme-2", remote_customer=None) is None


def test_what_carries_our_mark_is_listed(connector: BillingConnector) -> None:
    push(connector, DRAFT)
    found = connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    listed = [(one.reference, one.remote_id) for one in connector.made_since(EVER)]
    assert listed == [(DRAFT.reference, found.remote_id)]


def test_a_customer_is_found_again(connector: BillingConnector) -> None:
    first = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    assert connector.resolve_customer(DRAFT, idempotency_key="key-2") == first


def test_a_pushed_draft_is_a_complete_draft_with_our_total(connector: BillingConnector) -> None:
    customer = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    created = connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key-1")
    pushed = with_all_lines(connector, DRAFT, created)
    assert (pushed.reference, pushed.is_complete) == ("acme-1", True)
    assert_shows(connector, DRAFT, pushed)
    assert (pushed.amounts.document, payment_of(pushed.amounts)) == ("draft", "draft")
    assert (pushed.amounts.total, pushed.amounts.currency) == (DRAFT.total.minor, "EUR")


def test_the_same_key_never_bills_twice(connector: BillingConnector) -> None:
    assert push(connector, DRAFT) == push(connector, DRAFT)
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    assert_shows(connector, DRAFT, found)


@pytest.mark.parametrize("lost", ["lose_reply", "lose_request"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_invoice_whose_reply_was_lost_is_found_again_and_finished(
    http_rig: ContractRig, spoiled: SpoiledHttp, nth: int, lost: str
) -> None:
    connector = http_rig.connect(spoiled)
    customer = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    spoiled.at, spoiled.spoil = nth, getattr(spoiled, lost)
    try:
        created = connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key-1")
    except OutcomeUnknownError:
        assert spoiled.at == 0
    else:
        assert nth > 1, "nothing was sent"
        assert spoiled.at > 0, "the reply was lost, and nobody noticed"
        assert_shows(connector, DRAFT, with_all_lines(connector, DRAFT, created))
        return

    found = connector.find_invoice("acme-1", remote_customer=customer)
    if found is None:
        found = connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key-2")
    else:
        found = connector.complete_draft(DRAFT, found, idempotency_key="key-2")
    with_all_lines(connector, DRAFT, found)

    again = connector.find_invoice("acme-1", remote_customer=customer)
    assert again is not None
    assert again.is_complete
    assert_shows(connector, DRAFT, again)


def test_a_complete_draft_stays_as_it_is(connector: BillingConnector) -> None:
    push(connector, DRAFT)
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    assert_shows(connector, DRAFT, connector.complete_draft(DRAFT, found, idempotency_key="key-9"))


def test_other_content_under_the_same_reference_is_refused(connector: BillingConnector) -> None:
    push(connector, DRAFT)
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    other = replace(DRAFT, lines=(DRAFT.lines[0], line("1", "0.01", "EUR", "Other work")))
    with pytest.raises(PermanentError, match="acme-1"):
        connector.complete_draft(other, found, idempotency_key="key-2")


AMOUNTS = [
    ("EUR", "1", "0.01", 1),
    ("EUR", "0.005", "1.00", 1),
    ("EUR", "-1.5", "120.00", -18000),
    ("EUR", "3", "0.3333", 100),
    ("EUR", "1", "0.005", 1),
    ("EUR", "0.5", "0.01", 1),
    ("EUR", "1", "1.005", 101),
    ("EUR", "1", "1.0049", 100),
    ("EUR", "3", "0.335", 101),
    ("EUR", "-1", "1.005", -101),
    ("EUR", "2.5", "8.11", 2028),
    ("JPY", "1", "1500", 1500),
    ("JPY", "0.5", "3001", 1501),
    ("KWD", "1", "1.230", 1230),
    ("KWD", "0.5", "0.010", 5),
    ("BHD", "2", "0.5", 1000),
    ("ISK", "0.3333", "1000", 333),
    ("UGX", "1", "70000", 70000),
    ("MGA", "1", "1500", 150000),
]


@pytest.mark.parametrize(("currency", "quantity", "price", "minor"), AMOUNTS)
def test_the_total_arrives_to_the_last_minor_unit(
    connector: BillingConnector, currency: str, quantity: str, price: str, minor: int
) -> None:
    draft = draft_of(line(quantity, price, currency), currency=currency)
    assert draft.total.minor == minor
    remote_id = push_if_possible(connector, draft)
    if remote_id is None:
        pytest.skip(f"{connector.name} cannot take {quantity} x {price} {currency}, and says so")
    assert connector.fetch_invoice(remote_id).amounts.total == minor


PLAIN = st.decimals(min_value=-9999, max_value=9999, places=4)
PRICES = st.decimals(min_value=0, max_value=99999, places=5)


@pytest.mark.parametrize("key", KEYS)
@given(
    lines=st.lists(st.tuples(PLAIN, PRICES), min_size=1, max_size=5),
    currency=st.sampled_from(["EUR", "USD", "JPY", "CHF", "ISK"]),
)
@settings(
    max_examples=examples(40),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_quantity_and_price_give_our_total(
    key: str, lines: list[tuple[Decimal, Decimal]], currency: str
) -> None:
    with TemporaryDirectory() as folder:
        rig = setup_of(key)(Path(folder))
        connector = rig.connect(rig.http or NoHttp())
        able = connector.abilities
        quantity_places, price_places = min(able.quantity_places, 4), min(able.price_places, 5)
        printed = [
            line(f"{round(quantity, quantity_places)}", f"{round(price, price_places)}", currency)
            for quantity, price in lines
        ]
        draft = draft_of(*printed, currency=currency)
        remote_id = push_if_possible(connector, draft)
        assume(remote_id is not None)
        assert connector.fetch_invoice(remote_id or "").amounts.total == draft.total.minor


TAXED = [
    # currency, prices and their taxes, net, tax
    ("EUR", [("0.01", "A 19 %")], 1, 0),
    ("EUR", [("0.03", "A 19 %")], 3, 1),
    ("EUR", [("0.03", "A 19 %")] * 10, 30, 6),
    ("EUR", [("1.19", "A 19 % included")], 100, 19),
    ("EUR", [("0.01", "A 19 % included")] * 7, 6, 1),
    ("EUR", [("100.00", "A 19 %"), ("50.00", "B 7 %"), ("9.99", "RC reverse charge")], 15999, 2250),
    ("EUR", [("100.00", "A 19 %"), ("-99.99", "A 19 %")], 1, 0),
    ("EUR", [("100.00", "A 8.1 %"), ("20.00", "EX exempt"), ("3.00", "")], 12300, 810),
    ("JPY", [("1501", "A 10 %"), ("4", "A 10 %")], 1505, 151),
    ("KWD", [("1.230", "A 0 %")], 1230, 0),
    ("KWD", [("10.000", "A 5 %"), ("2.000", "A 5 %")], 12000, 600),
    ("KWD", [("3.000", "A 1 %")] * 3, 9000, 90),
    ("ISK", [("1000", "A 24 %"), ("3", "A 24 %")], 1003, 241),
    ("MGA", [("1500", "A 20 %")], 150000, 30000),
]


def taxed(text: str, tax: str, currency: str) -> PrintedLine:
    quantity = "-1" if text.startswith("-") else "1"
    return replace(line(quantity, text.removeprefix("-"), currency), tax=tax)


@pytest.mark.parametrize(("currency", "lines", "net", "tax"), TAXED)
def test_net_and_taxes_arrive_to_the_last_minor_unit_or_are_refused(
    connector: BillingConnector,
    currency: str,
    lines: list[tuple[str, str]],
    net: int,
    tax: int,
) -> None:
    draft = draft_of(*(taxed(price, key, currency) for price, key in lines), currency=currency)
    assert (draft.net.minor, draft.tax.minor) == (net, tax)
    assert draft.total.minor == net + tax
    if not connector.abilities.taxes:
        pytest.skip(f"{connector.name} takes no taxes: the push refuses them")
    remote_id = push_if_possible(connector, draft)
    if remote_id is None:
        pytest.skip(f"{connector.name} cannot take {currency}, and says so")
    assert connector.fetch_invoice(remote_id).amounts.total == draft.total.minor


@pytest.mark.parametrize("key", KEYS)
@given(
    lines=st.lists(
        st.tuples(
            st.decimals(min_value=-999, max_value=9999, places=2),
            st.sampled_from(["", "A 19 %", "A 19 % included", "B 8.1 %", "RC reverse charge"]),
        ),
        min_size=1,
        max_size=6,
    ),
    currency=st.sampled_from(["EUR", "JPY"]),
)
@settings(
    max_examples=examples(25),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_any_lines_with_any_taxes_give_our_total(
    key: str, lines: list[tuple[Decimal, str]], currency: str
) -> None:
    with TemporaryDirectory() as folder:
        rig = setup_of(key)(Path(folder))
        connector = rig.connect(rig.http or NoHttp())
        draft = draft_of(
            *(taxed(f"{price}", tax, currency) for price, tax in lines), currency=currency
        )
        remote_id = push_if_possible(connector, draft)
        assume(remote_id is not None)
        assert connector.fetch_invoice(remote_id or "").amounts.total == draft.total.minor


def test_a_draft_without_lines_is_refused(connector: BillingConnector) -> None:
    with pytest.raises(RejectedError, match="no lines"):
        push(connector, draft_of())


HAPPENINGS: list[tuple[list[tuple[str, int]], str]] = [
    ([("finalize", 0)], "open"),
    ([("finalize", 0), ("pay", 5000)], "partially_paid"),
    ([("finalize", 0), ("pay", 5000), ("pay", 16333)], "paid"),
    ([("finalize", 0), ("pay", 21333), ("refund", 21333)], "refunded"),
    ([("finalize", 0), ("pay", 21333), ("refund", 1)], "partially_refunded"),
    ([("finalize", 0), ("overpay", 30000)], "overpaid"),
    ([("finalize", 0), ("pay", 21333), ("dispute", 21333)], "disputed"),
    ([("finalize", 0), ("credit", 21333)], "credited"),
    ([("finalize", 0), ("void", 0)], "void"),
    ([("finalize", 0), ("write_off", 0)], "uncollectible"),
    ([("finalize", 0), ("start_payment", 21333)], "processing"),
    ([("finalize", 0), ("pay", 21333), ("dispute", 21333), ("win_dispute", 0)], "paid"),
    ([("delete", 0)], "deleted"),
]


@pytest.mark.parametrize(
    ("key", "steps", "word"),
    [
        pytest.param(key, steps, word, id=f"{key}-{word}-after-{steps[-1][0]}")
        for key in KEYS
        for steps, word in HAPPENINGS
        if {step for step, _ in steps} <= ABLE_TO[key]
    ],
)
def test_what_happens_to_an_invoice_is_seen(
    key: str, steps: list[tuple[str, int]], word: str, tmp_path: Path
) -> None:
    rig = setup_of(key)(tmp_path)
    connector = rig.connect(rig.http or NoHttp())
    remote_id = push(connector, DRAFT)
    for step, minor in steps:
        rig.happenings[step](remote_id, minor)
    assert payment_of(connector.fetch_invoice(remote_id).amounts) == word


def test_a_change_is_listed_since_the_cursor(rig: ContractRig, connector: BillingConnector) -> None:
    _, cursor = connector.changes_since(None)
    remote_id = push(connector, DRAFT)
    rig.happenings["finalize"](remote_id, 0)
    rig.happenings["pay"](remote_id, 5000)
    changed, later = connector.changes_since(cursor)
    assert remote_id in changed
    rig.happenings["pay"](remote_id, 100)
    assert remote_id in connector.changes_since(later)[0]


def test_a_hint_leads_to_its_invoice(connector: BillingConnector) -> None:
    remote_id = push(connector, DRAFT)
    assert connector.invoices_for(f"invoice:{remote_id}") == [remote_id]


def test_a_deleted_draft_is_absent_and_deleting_it_again_is_no_error(
    connector: BillingConnector,
) -> None:
    remote_id = push(connector, DRAFT)
    connector.delete_draft(remote_id, idempotency_key="key-2")
    connector.delete_draft(remote_id, idempotency_key="key-3")
    assert connector.find_invoice("acme-1", remote_customer=None) is None


@pytest.mark.parametrize(
    "key", [key for key in KEYS if billing_connectors()[key].abilities.finalize]
)
def test_finalizing_makes_the_draft_an_open_invoice_and_may_be_repeated(
    key: str, tmp_path: Path
) -> None:
    rig = setup_of(key)(tmp_path)
    connector = rig.connect(rig.http or NoHttp())
    remote_id = push(connector, DRAFT)
    for attempt in ("key-2", "key-3"):
        opened = connector.finalize(remote_id, send=False, idempotency_key=attempt)
        assert (opened.amounts.document, payment_of(opened.amounts)) == ("open", "open")


# What a status means for a request that reads and for one that changes something.
STATUSES: dict[int, tuple[type[ConnectorError], type[ConnectorError]]] = {
    400: (RejectedError, RejectedError),
    401: (PermanentError, PermanentError),
    403: (PermanentError, PermanentError),
    404: (PermanentError, PermanentError),
    409: (TransientError, TransientError),
    422: (RejectedError, RejectedError),
    429: (RateLimitedError, RateLimitedError),
    500: (TransientError, OutcomeUnknownError),
    503: (TransientError, OutcomeUnknownError),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("changes", [False, True])
def test_every_status_becomes_one_of_our_errors_without_a_secret(
    http_rig: ContractRig, spoiled: SpoiledHttp, status: int, changes: bool
) -> None:
    connector = http_rig.connect(spoiled)
    customer = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    assert http_rig.refusal
    answer = http_rig.refusal(status)
    spoiled.at, spoiled.changes, spoiled.spoil = 1, changes, lambda _: answer
    asked = partial(connector.find_invoice, "acme-1", remote_customer=customer)
    changed = partial(
        connector.create_draft, DRAFT, remote_customer=customer, idempotency_key="key-1"
    )
    with pytest.raises(STATUSES[status][changes]) as caught:
        changed() if changes else asked()
    if status == 429:
        assert isinstance(caught.value, TransientError)
        assert caught.value.retry_after == 7
    assert_nothing_secret(caught.value, http_rig)


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500, 502])
@pytest.mark.parametrize(
    "body",
    [b"<html>Bad gateway</html>", b"", b"[]", b"null", b'{"error": "gone"}', b"\xff", b"{"],
)
@pytest.mark.parametrize("changes", [False, True])
def test_an_answer_that_is_not_the_vendors_proves_nothing(
    http_rig: ContractRig, spoiled: SpoiledHttp, status: int, body: bytes, changes: bool
) -> None:
    connector = http_rig.connect(spoiled)
    remote_id = push(connector, DRAFT)
    answer = Response(status, {}, body)
    spoiled.at, spoiled.changes, spoiled.spoil = 1, changes, lambda _: answer
    expected = OutcomeUnknownError if changes and status != 429 else TransientError
    deleted = partial(connector.delete_draft, remote_id, idempotency_key="key-2")
    with pytest.raises(expected):
        deleted() if changes else connector.fetch_invoice(remote_id)


@pytest.mark.parametrize(
    ("changes", "error"), [(False, TransientError), (True, OutcomeUnknownError)]
)
def test_a_time_out_leaves_a_change_open_but_not_a_reading(
    http_rig: ContractRig, spoiled: SpoiledHttp, changes: bool, error: type[ConnectorError]
) -> None:
    connector = http_rig.connect(spoiled)
    remote_id = push(connector, DRAFT)
    spoiled.at, spoiled.changes, spoiled.spoil = 1, changes, spoiled.lose_request
    deleted = partial(connector.delete_draft, remote_id, idempotency_key="key-2")
    with pytest.raises(error) as caught:
        deleted() if changes else connector.fetch_invoice(remote_id)
    assert_nothing_secret(caught.value, http_rig)
