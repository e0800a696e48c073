"""What is Xero's own, which the shared contract does not ask: tokens, limits, dates, payments."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.http import Http, Request, Response
from connectors.oauth import AccessTokens, AuthorizedHttp, OAuth2
from connectors.stand_in import InProcess
from connectors.stand_in_identity import CLIENT, TOKEN_PATH, IdentityStandIn
from connectors.xero import dates, documents
from connectors.xero.api import in_filter
from connectors.xero.connector import XeroConnector
from connectors.xero.stand_in import XeroStandIn, contract_setup
from connectors.xero.stand_in.rig import BASE, SETTINGS, Bearer, rig_of
from ledger import tokens
from ledger.database import Database
from ledger.errors import (
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import Address, Coding, InvoiceDraft, PrintedLine
from ledger.money import line_amount
from ledger.payments import payment_of
from ledger.taxes import TaxWords
from ledger.tokens import Pair
from ledger.vault import Vault
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push
from tests.contracts.schemas import HeldToXero, corpus
from tests.contracts.spoiled_http import SpoiledHttp
from tests.journeys.house import TestClock

VAULT = Vault("the-key-of-the-xero-tests-0123456789")


class Recorder:
    """An HTTP port that remembers the requests."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return self._inner.send(request)

    def body(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].body or b"", parse_float=Decimal)


class House:
    """A stand-in whose clock stands still, and a connector to it."""

    def __init__(self, **more: Any) -> None:
        self.clock = TestClock()
        # Its tokens outlast each test but the one about them.
        identity = IdentityStandIn(self.clock, lasts_seconds=10**8)
        self.site = XeroStandIn(self.clock, identity=identity, **more)
        self.rig = rig_of(self.site)
        self.http = Recorder(self.rig.http or InProcess(self.site))
        connector = self.rig.connect(self.http)
        assert isinstance(connector, XeroConnector)
        self.connector = connector

    def happen(self, what: str, remote_id: str, minor: int = 0) -> None:
        self.clock.go_on(1)
        self.rig.happenings[what](remote_id, minor)

    def word(self, remote_id: str) -> str:
        return payment_of(self.connector.fetch_invoice(remote_id).amounts)

    def with_settings(self, **more: str) -> XeroConnector:
        token = self.site.identity.grant()
        return XeroConnector({**SETTINGS, **more}, Bearer(self.http, token))


@pytest.fixture
def house() -> House:
    return House()


def opened(house: House) -> str:
    remote_id = push(house.connector, DRAFT)
    house.happen("finalize", remote_id)
    return remote_id


# Tokens and tenants


def test_of_two_workers_whose_token_has_ended_one_renews(sqlite_url: str) -> None:
    clock = TestClock()
    site = XeroStandIn(clock)
    database = Database(sqlite_url)
    pair = Pair("", site.identity.consent(), clock.now())
    database.write(lambda at: tokens.store(at, VAULT, "xero", pair, actor="mia", now=clock.now()))

    def worker() -> XeroConnector:
        access = AccessTokens(
            database,
            clock,
            VAULT,
            InProcess(site),
            name="xero",
            oauth=OAuth2(BASE + TOKEN_PATH),
            client=CLIENT,
            delay=lambda seconds: None,
        )
        return XeroConnector(SETTINGS, AuthorizedHttp(InProcess(site), access))

    workers = [worker(), worker()]
    for renewals in (1, 2):
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda one: one.check(), workers))
        assert told == ["Studio Nord, EUR, a demo company"] * 2
        assert (site.identity.renewals, site.identity.reuses) == (renewals, 0)
        clock.go_on(1800)
    database.close()


def test_what_a_person_has_connected_is_listed_before_a_tenant_is_chosen(house: House) -> None:
    connector = house.with_settings(tenant="")
    # A practice has no books of its own.
    assert connector.accounts() == {SETTINGS["tenant"]: "Studio Nord"}


@pytest.mark.parametrize(
    "asked",
    [
        lambda one: one.check(),
        lambda one: one.find_invoice("acme-1", remote_customer=None),
        lambda one: one.fetch_invoice("a0ffccd2-5d91-4c7e-b483-318584e9e439"),
        lambda one: one.changes_since(None),
        lambda one: push(one, DRAFT),
    ],
)
def test_without_a_tenant_nothing_is_sent_and_the_setting_is_named(
    house: House, asked: Callable[[XeroConnector], object]
) -> None:
    with pytest.raises(PermanentError, match="tenant:"):
        asked(house.with_settings(tenant=""))
    assert house.http.requests == []


def test_another_organisations_tenant_is_refused(house: House) -> None:
    with pytest.raises(PermanentError, match="`tenant:`"):
        house.with_settings(tenant="7e9c1f0c-0000-4000-8000-000000000000").check()


def test_an_invoice_that_is_not_there_is_never_taken_for_deleted(house: House) -> None:
    with pytest.raises(PermanentError, match="not there"):
        house.connector.fetch_invoice("a0ffccd2-5d91-4c7e-b483-318584e9e439")


# Limits


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "42", "x-rate-limit-problem": "minute"}, 42),
        ({"retry-after": "66975", "x-rate-limit-problem": "day"}, 66975),
        # Of too many at once no time is told.
        ({"x-rate-limit-problem": "concurrent"}, 60),
    ],
)
def test_a_limit_is_waited_for_as_long_as_xero_says(
    house: House, headers: dict[str, str], seconds: int
) -> None:
    spoiled = SpoiledHttp(house.http, house.rig.is_change)
    connector = house.rig.connect(spoiled)
    spoiled.at, spoiled.spoil = 2, lambda _: Response(429, headers, b"")
    with pytest.raises(TransientError) as caught:
        push(connector, DRAFT)
    assert caught.value.retry_after == seconds
    assert house.site.books.invoices == {}


def test_a_push_takes_one_request_besides_those_for_its_customer(house: House) -> None:
    push(house.connector, DRAFT)
    house.http.requests.clear()
    push(house.connector, replace(DRAFT, reference="acme-2"), key="key-2")
    asked = [(each.method, urlsplit(each.url).path) for each in house.http.requests]
    assert asked == [("GET", "/api.xro/2.0/Contacts"), ("PUT", "/api.xro/2.0/Invoices")]


# Keys


def test_a_key_brings_the_same_invoice_for_six_minutes_and_no_second_one_after(
    house: House,
) -> None:
    first = push(house.connector, DRAFT)
    house.clock.go_on(int(house.connector.abilities.key_life.total_seconds()))
    assert push(house.connector, DRAFT) == first
    house.clock.go_on(120)
    # The key is forgotten, and the number still is not free.
    with pytest.raises(OutcomeUnknownError, match="acme-1 is there already"):
        push(house.connector, DRAFT)
    assert len(house.site.books.invoices) == 1


def test_a_key_that_was_used_for_something_else_is_looked_up_first(house: House) -> None:
    push(house.connector, DRAFT)
    with pytest.raises(OutcomeUnknownError, match="key was used"):
        push(house.connector, replace(DRAFT, reference="acme-2"))


def test_a_long_key_is_cut_at_its_front(house: House) -> None:
    customer = house.connector.resolve_customer(DRAFT, idempotency_key="key-1")
    for start in ("a", "b"):
        draft = replace(DRAFT, reference=f"acme-{start}")
        key = "x" * 200 + start
        house.connector.create_draft(draft, remote_customer=customer, idempotency_key=key)
    sent = [each.headers["Idempotency-Key"] for each in house.http.requests[-2:]]
    assert [len(each) for each in sent] == [128, 128]
    assert len(set(sent)) == 2


def test_a_number_that_xero_keeps_for_a_deleted_invoice_is_named(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    # As if Xero did not give it free.
    there = house.site.books.invoices[remote_id]
    house.site.books.invoices[remote_id] = {**there, "Type": "ACCPAY"}
    with pytest.raises(RejectedError, match="still keeps this number"):
        push(house.connector, DRAFT, key="key-2")


# What is sent


def test_a_draft_is_sent_with_exact_numbers_and_nothing_else_of_the_contact(house: House) -> None:
    coded = replace(
        line("0.3333", "100.0725", "EUR", "Review"),
        tax="DE19 19 %",
        coding=Coding("Consulting", "260", "OUTPUT2", (("Region", "North"), ("Team", "Blue"))),
    )
    draft = replace(draft_of(line("1.5", "120.00", "EUR"), coded), memo="A", footer="B")
    push(house.connector, draft)
    (sent,) = house.http.body()["Invoices"]
    assert b'"UnitAmount":100.0725' in (house.http.requests[-1].body or b"")
    assert sent["Contact"] == {"ContactID": next(iter(house.site.books.contacts))}
    assert (sent["Status"], sent["InvoiceNumber"], sent["Reference"]) == (
        "DRAFT",
        "acme-1",
        "PO-4471",
    )
    assert (sent["Date"], sent["DueDate"]) == (
        _today().isoformat(),
        (_today() + timedelta(days=30)).isoformat(),
    )
    memo, first, second, footer = sent["LineItems"]
    assert (memo, footer) == ({"Description": "A"}, {"Description": "B"})
    assert (first["AccountCode"], first["TaxType"], first["TaxAmount"]) == ("200", "NONE", 0)
    assert second == {
        "Description": "Review",
        "Quantity": Decimal("0.3333"),
        "UnitAmount": Decimal("100.0725"),
        "LineAmount": Decimal("33.35"),
        "AccountCode": "260",
        "ItemCode": "Consulting",
        "TaxType": "OUTPUT2",
        "TaxAmount": Decimal("6.34"),
        "Tracking": [{"Name": "Region", "Option": "North"}, {"Name": "Team", "Option": "Blue"}],
    }
    assert parse_qs(urlsplit(house.http.requests[-1].url).query) == {"unitdp": ["4"]}


def _today() -> date:
    return datetime.now(UTC).date()


@pytest.mark.parametrize("quantity", ["0.5", "1.5", "0.3333", "2", "0.0001"])
@pytest.mark.parametrize("price", ["0.01", "0.03", "0.335", "8.11", "100.0725", "0.00005"])
@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_totals_hold_however_xero_rounds_halves(quantity: str, price: str, currency: str) -> None:
    house = House(rounding=ROUND_HALF_EVEN)
    draft = draft_of(line(quantity, price, currency), line("1", "1", currency), currency=currency)
    remote = house.connector.fetch_invoice(push(house.connector, draft))
    assert remote.amounts.total == draft.total.minor
    assert_shows(house.connector, draft, remote)


def test_net_and_gross_prices_on_one_invoice_come_to_our_total(house: House) -> None:
    lines = (
        replace(line("3", "39.98", "EUR", "Gross"), tax="DE19 19 % included"),
        replace(line("1", "50.05", "EUR", "Net"), tax="DE19 19 %"),
    )
    draft = replace(draft_of(*lines), tax_words={"DE19": TaxWords("VAT")})
    remote = house.connector.fetch_invoice(push(house.connector, draft))
    assert remote.amounts.total == draft.total.minor
    assert remote.lines is not None
    assert remote.lines[0].description == "Gross (3.00 x 39.98 EUR)"
    only_gross = replace(draft, lines=lines[:1], reference="acme-2")
    house.connector.fetch_invoice(push(house.connector, only_gross, key="key-2"))
    sent = next(body["Invoices"][0] for body in (house.http.body(at) for at in (-2,)))
    assert (sent["LineAmountTypes"], sent["LineItems"][1]["UnitAmount"]) == (
        "Inclusive",
        Decimal("39.98"),
    )


def test_a_reverse_charge_has_its_own_tax_type_and_its_sentence_stands_below(house: House) -> None:
    connector = house.with_settings(no_tax_code="ECOUTPUTSERVICES")
    words = {"RC": TaxWords("VAT", "The recipient owes the tax.")}
    taxed = replace(line("1", "100.00", "EUR"), tax="RC reverse charge")
    push(connector, replace(draft_of(taxed), tax_words=words))
    (sent,) = house.http.body()["Invoices"]
    assert sent["LineItems"][1]["TaxType"] == "ECOUTPUTSERVICES"
    assert sent["LineItems"][-1] == {"Description": "Thank you\n\nThe recipient owes the tax."}


def test_a_tax_whose_type_nobody_named_is_not_guessed(house: House) -> None:
    taxed = replace(line("1", "100.00", "EUR"), tax="DE19 19 %")
    with pytest.raises(RejectedError, match=r"line 1 has the tax DE19 19 %.*tax_code:"):
        push(house.with_settings(tax_code=""), draft_of(taxed))


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"coding": Coding(account="999")}, RejectedError, "account:"),
        ({"coding": Coding(item="Nothing")}, RejectedError, "item:"),
        ({"coding": Coding(tax_code="MOON")}, RejectedError, "tax_code:"),
        ({"coding": Coding(tracking=(("Region", "West"),))}, RejectedError, "tracking:"),
        ({"coding": Coding(tracking=(("A", "1"), ("B", "2"), ("C", "3")))}, RejectedError, "3 tra"),
        ({"description": "x" * 4001}, RejectedError, "description of line 1 has 4001"),
    ],
)
def test_what_xero_does_not_take_is_said_where_it_is_mended(
    house: House, changed: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        push(house.connector, draft_of(replace(line("1", "2.00", "EUR"), **changed)))
    assert house.site.books.invoices == {}


def test_a_currency_that_the_organisation_lacks_is_named(house: House) -> None:
    with pytest.raises(UnsupportedError, match="no SEK"):
        push(house.connector, draft_of(line("1", "2.00", "SEK"), currency="SEK"))


def test_an_amended_coding_is_sent_though_nothing_else_changed(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    recoded = replace(
        DRAFT, lines=tuple(replace(each, coding=Coding(account="260")) for each in DRAFT.lines)
    )
    sent = len(house.http.requests)
    house.connector.update_draft(DRAFT, remote_id, idempotency_key="key-2")
    assert [each.method for each in house.http.requests[sent:]] == ["GET"]
    house.connector.update_draft(recoded, remote_id, idempotency_key="key-3")
    rows = house.site.books.invoices[remote_id]["LineItems"]
    assert [each.get("AccountCode") for each in rows] == [None, "260", "260", None]


def test_what_was_approved_between_our_look_and_our_change_is_left(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    spoiled = SpoiledHttp(house.http, house.rig.is_change)
    connector = house.rig.connect(spoiled)
    spoiled.at, spoiled.changes = 1, True
    spoiled.spoil = spoiled.after(lambda: house.happen("finalize", remote_id))
    other = replace(DRAFT, lines=DRAFT.lines[:1])
    with pytest.raises(RejectedError, match="no draft any more"):
        connector.update_draft(other, remote_id, idempotency_key="key-2")
    assert house.connector.fetch_invoice(remote_id).amounts.total == DRAFT.total.minor


def test_what_waits_for_approval_there_is_amended_and_still_waits(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    house.site.books.update_invoice(remote_id, {"Status": "SUBMITTED"}, places=4)
    assert house.word(remote_id) == "draft"
    other = replace(DRAFT, memo="Other")
    house.connector.update_draft(other, remote_id, idempotency_key="key-2")
    assert house.site.books.invoices[remote_id]["Status"] == "SUBMITTED"


def test_what_is_open_is_not_deleted(house: House) -> None:
    remote_id = opened(house)
    with pytest.raises(RejectedError):
        house.connector.delete_draft(remote_id, idempotency_key="key-2")
    assert house.word(remote_id) == "open"


def test_an_invoice_is_mailed_once(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    for attempt in ("key-2", "key-3"):
        house.connector.finalize(remote_id, send=True, idempotency_key=attempt)
    assert house.site.emailed == [remote_id]


def test_without_an_account_a_draft_is_taken_and_not_approved(house: House) -> None:
    connector = house.with_settings(account="")
    remote_id = push(connector, DRAFT)
    with pytest.raises(RejectedError, match="account:"):
        connector.finalize(remote_id, send=False, idempotency_key="key-2")


# Contacts


@pytest.mark.parametrize(
    ("text", "filtered"),
    [
        ("acme", '"acme"'),
        ("O'Hara & Søn, 100 %", '"O\'Hara & Søn, 100 %"'),
        ('The "Bat" Man', None),
        ("back\\slash", None),
        ('" OR 1==1 OR "', None),
        ("two\nlines", None),
    ],
)
def test_what_no_filter_can_hold_is_not_put_into_one(text: str, filtered: str | None) -> None:
    assert in_filter(text) == filtered


@pytest.mark.parametrize("name", ['The "Bat" Man', "A & B + C", "100 % OR 1==1", "back\\slash"])
def test_a_contact_with_an_odd_name_is_found(house: House, name: str) -> None:
    assert house.rig.customers
    (remote_id,) = house.rig.customers([CustomerThere("", name)])
    customer = replace(DRAFT.customer, name=name, email=None, may_be_created=False)
    draft = replace(DRAFT, customer=customer)
    assert house.connector.resolve_customer(draft, idempotency_key="key-1") == remote_id


def test_every_page_of_contacts_is_looked_through() -> None:
    house = House()
    assert house.rig.customers
    many = [CustomerThere("", f"Customer {number}") for number in range(1500)]
    ids = house.rig.customers([*many, CustomerThere("", "Acme GmbH")])
    assert house.connector.resolve_customer(DRAFT, idempotency_key="key-1") == ids[-1]


def test_a_contact_is_created_with_what_stands_on_invoices(house: House) -> None:
    address = Address(("Haus A", "Ringstr. 1", "2. Stock", "links", "hinten"), "Berlin", "DE", "1")
    customer = replace(
        DRAFT.customer,
        legal_name="Acme Gesellschaft mbH",
        tax_id="DE123456789",
        address=address,
        contact="Mia Krystof",
    )
    push(house.connector, replace(DRAFT, customer=customer))
    (there,) = house.site.books.contacts.values()
    assert (there["Name"], there["ContactNumber"]) == ("Acme Gesellschaft mbH", "acme")
    (written,) = there["Addresses"]
    assert (written["AddressType"], written["AttentionTo"]) == ("POBOX", "Mia Krystof")
    assert (written["AddressLine1"], written["AddressLine4"]) == ("Haus A", "links, hinten")


def test_a_name_that_is_taken_meanwhile_is_no_second_contact(house: House) -> None:
    assert house.rig.customers
    house.rig.customers([CustomerThere("", "Acme GmbH", ours="other")])
    created = documents.contact(DRAFT.customer)
    api = house.connector._api
    with pytest.raises(RejectedError, match="another contact has this name"):
        api.write("PUT", "Contacts", created, key="key-1")


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
    with pytest.raises(ValueError, match="isoformat|calendar"):
        dates.moment(told)


def test_the_day_on_which_it_is_due_comes_back(house: House) -> None:
    remote_id = push(house.connector, DRAFT)
    due = house.connector.fetch_invoice(remote_id).amounts.due_on
    assert due == _today() + timedelta(days=30)


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


# Answers that cannot be read


@pytest.mark.parametrize("body", [b'{"Invoices": []}', b'{"Invoices": [{}]}', b'{"Invoices": [1]}'])
def test_an_answer_to_a_change_that_cannot_be_read_leaves_it_open(
    house: House, body: bytes
) -> None:
    spoiled = SpoiledHttp(house.http, house.rig.is_change)
    connector = house.rig.connect(spoiled)
    customer = connector.resolve_customer(DRAFT, idempotency_key="key-1")
    spoiled.at, spoiled.spoil = 1, lambda _: Response(200, {}, body)
    with pytest.raises(OutcomeUnknownError):
        connector.create_draft(DRAFT, remote_customer=customer, idempotency_key="key-1")


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
    from tests.contracts.schemas import loaded

    known = loaded("xero_accounting.yaml")["components"]["schemas"]
    assert known["Invoice"]["properties"]["InvoiceNumber"]["maxLength"] == documents.NUMBER
    assert known["Contact"]["properties"]["Name"]["maxLength"] == documents.NAME
    assert known["Contact"]["properties"]["ContactNumber"]["maxLength"] == documents.SHORT


def test_a_line_of_a_lone_amount_is_shown_with_its_rate(house: House) -> None:
    draft: InvoiceDraft = draft_of(
        line("2", "100.00", "EUR"),
        PrintedLine("Credit", Decimal("-0.5"), Decimal("80.00"), -4000),
    )
    assert line_amount(Decimal("-0.5"), Decimal("80.00"), "EUR").minor == -4000
    rows = house.connector.shown(draft).lines
    assert [each.description for each in rows] == ["Engineering", "Credit (-0.50 x 80.00 EUR)"]
