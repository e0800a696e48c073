"""What is Xero's own when something comes back: dates, payments, the poll; and its schema."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import ContractRig
from connectors.http import Http, Request, Response
from connectors.xero import dates, documents
from connectors.xero.stand_in import contract_setup
from ledger.errors import (
    TransientError,
    UnsupportedError,
)
from ledger.payments import payment_of
from tests.connectors.xero_house import House, opened, today
from tests.contracts.billing import DRAFT, draft_of, line, push
from tests.contracts.schemas import HeldToXero, corpus, loaded


@pytest.fixture
def house() -> House:
    return House()


# Dates


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("/Date(1573755038314)/", "2019-11-14T18:10:38.314+00:00"),
        ("/Date(1573755038314+0000)/", "2019-11-14T18:10:38.314+00:00"),
        ("/Date(1419937200000+1300)/", "2014-12-31T00:00:00+00:00"),
        ("/Date(1419937200000-0230)/", "2014-12-30T08:30:00+00:00"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999+00:00"),
        ("2019-11-14T18:10:38", "2019-11-14T18:10:38+00:00"),
        ("2019-11-14T18:10:38.314Z", "2019-11-14T18:10:38.314+00:00"),
        ("2019-11-14T18:10:38+13:00", "2019-11-14T05:10:38+00:00"),
        ("2019-11-14", "2019-11-14T00:00:00+00:00"),
    ],
)
def test_a_moment_is_read_in_each_way_that_xero_writes_it(told: str, moment: str) -> None:
    assert dates.moment(told) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("told", ["/Date(x)/", "soon", "/Date(-99999999999999)/", ""])
def test_what_is_no_moment_is_an_answer_of_the_wrong_shape(told: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|calendar"):
        dates.moment(told)


def test_the_day_on_which_it_is_due_comes_back(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    due = house.connector.fetch_invoice(remote_id).amounts.due_on
    assert due == today() + timedelta(days=30)


# What becomes of an invoice


def test_an_invoice_whose_payment_is_deleted_is_open_again(house: House) -> None:
    remote_id = opened(house)
    payment = house.site.books.pay(remote_id, Decimal("213.33"))
    paid = house.connector.fetch_invoice(remote_id)
    assert payment_of(paid.amounts) == "paid"
    house.clock.go_on(1)
    house.site.books.delete_payment(remote_id, payment)
    again = house.connector.fetch_invoice(remote_id)
    assert payment_of(again.amounts) == "open"
    assert again.amounts.version > paid.amounts.version


def test_what_is_paid_beyond_an_invoice_is_the_contacts_and_the_invoice_is_paid(
    house: House,
) -> None:
    remote_id = opened(house)
    house.happen("pay", remote_id, 30000)
    assert house.word(remote_id) == "paid"
    assert [each["RemainingCredit"] for each in house.site.books.overpayments] == [Decimal("86.67")]


def test_a_prepayment_is_money_and_a_credit_note_is_not(house: House) -> None:
    remote_id = opened(house)
    house.site.books.allocate("prepaid", remote_id, Decimal("100.00"))
    house.site.books.allocate("credits", remote_id, Decimal("13.33"))
    amounts = house.connector.fetch_invoice(remote_id).amounts
    assert (amounts.paid, amounts.credited, amounts.remaining) == (10000, 1333, 10000)
    assert payment_of(amounts) == "partially_paid"


WORDS = {
    ("pay",): "partially_paid",
    ("credit",): "partially_paid",
    ("pay", "credit"): "paid",
    ("credit", "pay"): "paid",
    ("void",): "void",
}


@pytest.mark.parametrize("steps", WORDS, ids=" then ".join)
def test_the_word_is_of_what_is_there_however_late_and_often_a_hint_comes(
    house: House, steps: tuple[str, ...]
) -> None:
    remote_id = opened(house)
    for step in steps:
        house.happen(step, remote_id, {"pay": 20000, "credit": 1333, "void": 0}[step])
    seen = set()
    for hints in itertools.permutations([f"invoice:{remote_id}"] * 2):
        for hint in hints:
            (found,) = house.connector.invoices_for(hint)
            seen.add(house.word(found))
    assert seen == {WORDS[steps]}


def test_a_snapshot_tells_when_it_was_changed_so_that_an_older_one_is_dropped(
    house: House,
) -> None:
    remote_id = opened(house)
    seen = []
    for minor in (5000, 16333):
        seen.append(house.connector.fetch_invoice(remote_id).amounts)
        house.happen("pay", remote_id, minor)
    seen.append(house.connector.fetch_invoice(remote_id).amounts)
    assert [payment_of(each) for each in seen] == ["open", "partially_paid", "paid"]
    assert [each.version for each in seen] == sorted({each.version for each in seen})


def test_a_word_that_xero_has_newly_is_unknown_and_never_guessed(house: House) -> None:
    remote_id = opened(house)
    house.site.books.invoices[remote_id]["Status"] = "ON HOLD"
    assert house.word(remote_id) == "unknown"


def test_an_amount_that_the_currency_does_not_have_is_not_rounded(house: House) -> None:
    draft = draft_of(line("1", "1500", "JPY"), currency="JPY")
    remote_id = push(house.connector, draft)
    house.site.books.invoices[remote_id]["LineItems"][1]["LineAmount"] = Decimal("1500.50")
    with pytest.raises(TransientError, match="unexpected shape"):
        house.connector.fetch_invoice(remote_id)


def test_a_hint_that_names_no_invoice_is_refused(house: House) -> None:
    for hint in ("contact:1", "invoice:", "invoice"):
        with pytest.raises(UnsupportedError, match="names no invoice"):
            house.connector.invoices_for(hint)


# The poll


def test_each_page_of_changes_is_read_and_bills_are_not(house: House) -> None:
    house = House(most_of_a_page=1000)
    remote_id = push(house.connector, DRAFT)
    there = house.site.books.invoices[remote_id]
    for number in range(1200):
        other = f"{number:08d}-5d91-4c7e-b483-318584e9e439"
        kind = "ACCREC" if number % 2 else "ACCPAY"
        copy = {**there, "InvoiceID": other, "InvoiceNumber": f"INV-{number}", "Type": kind}
        house.site.books.invoices[other] = copy
    house.clock.moment = datetime.now(UTC)
    changed, _ = house.connector.changes_since("0")
    assert len(changed) == 601
    assert len([each for each in house.http.requests if "If-Modified-Since" in each.headers]) == 1


def test_a_change_within_the_second_of_the_last_poll_is_seen_by_the_next(house: House) -> None:
    remote_id = opened(house)
    _, cursor = house.connector.changes_since("0")
    # In the same second, after the answer was given.
    house.rig.happenings["pay"](remote_id, 5000)
    changed, later = house.connector.changes_since(cursor)
    assert changed == [remote_id]
    assert later == cursor
    house.clock.go_on(3600)
    _, later = house.connector.changes_since(later)
    assert house.connector.changes_since(later)[0] == []


def test_the_first_poll_reaches_back_a_month(house: House) -> None:
    house.connector.changes_since(None)
    told = datetime.fromisoformat(house.http.requests[-1].headers["If-Modified-Since"])
    assert timedelta(days=29) < datetime.now(UTC) - told < timedelta(days=31)


def test_only_what_our_app_made_is_listed_after_a_restore(house: House) -> None:
    ours = push(house.connector, DRAFT)
    house.site.app = "another app"
    push(house.connector, replace(DRAFT, reference="INV-0042"), key="key-2")
    house.site.app = "billhook"
    since = house.clock.now() - timedelta(hours=1)
    assert [each.remote_id for each in house.connector.made_since(since)] == [ours]
    assert list(house.connector.made_since(house.clock.now() + timedelta(days=2))) == []


# Held to Xero's own schema


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sent: sent.update(Memo="Work"),
        lambda sent: sent.update(Status="OPEN"),
        lambda sent: sent.update(CurrencyCode="EURO"),
        lambda sent: sent["LineItems"][1].update(Quantity="1.5"),
        lambda sent: sent["LineItems"][1].update(Price=1),
        lambda sent: sent["Contact"].update(ContactID="acme"),
        lambda sent: sent["Contact"].update(Email="ap@acme.example"),
    ],
)
def test_xeros_schema_notices_what_xero_would_not_know(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    if corpus() is None:
        pytest.skip("BILLHOOK_CORPUS is not set: Xero's published schema is not at hand")
    rig: ContractRig = contract_setup(tmp_path)
    assert rig.http

    class Spoiling:
        def __init__(self, inner: Http) -> None:
            self._inner = inner

        def send(self, request: Request) -> Response:
            if request.method == "PUT" and request.url.endswith("/Invoices?unitdp=4"):
                sent = json.loads(request.body or b"")
                spoil(sent["Invoices"][0])
                request = replace(request, body=json.dumps(sent).encode())
            return self._inner.send(request)

    held = HeldToXero(rig.http)
    push(rig.connect(held), replace(DRAFT, reference="acme-0"), key="key-0")
    assert held.checked
    with pytest.raises(AssertionError):
        push(rig.connect(Spoiling(held)), DRAFT)


def test_our_limits_are_those_of_xeros_schema() -> None:
    if corpus() is None:
        pytest.skip("BILLHOOK_CORPUS is not set: Xero's published schema is not at hand")
    known = loaded("xero_accounting.yaml")["components"]["schemas"]
    assert known["Invoice"]["properties"]["InvoiceNumber"]["maxLength"] == documents.NUMBER
    assert known["Contact"]["properties"]["Name"]["maxLength"] == documents.NAME
    assert known["Contact"]["properties"]["ContactNumber"]["maxLength"] == documents.SHORT
