"""What is Xero's own when something is sent: tokens, tenants, limits, keys, lines, contacts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.customers import CustomerThere
from connectors.http import Response
from connectors.oauth import AccessTokens, AuthorizedHttp, OAuth2
from connectors.stand_in import InProcess
from connectors.stand_in_identity import CLIENT, TOKEN_PATH
from connectors.xero import documents
from connectors.xero.api import in_filter
from connectors.xero.connector import XeroConnector
from connectors.xero.stand_in import XeroStandIn
from connectors.xero.stand_in.rig import BASE, SETTINGS
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
from ledger.taxes import TaxWords
from ledger.tokens import Pair
from ledger.vault import Vault
from tests.connectors.xero_house import House, opened, today
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push
from tests.contracts.spoiled_http import SpoiledHttp
from tests.journeys.house import TestClock

VAULT = Vault("the-key-of-the-xero-tests-0123456789")


@pytest.fixture
def house() -> House:
    return House()


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
        today().isoformat(),
        (today() + timedelta(days=30)).isoformat(),
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


def test_a_line_of_a_lone_amount_is_shown_with_its_rate(house: House) -> None:
    draft: InvoiceDraft = draft_of(
        line("2", "100.00", "EUR"),
        PrintedLine("Credit", Decimal("-0.5"), Decimal("80.00"), -4000),
    )
    assert line_amount(Decimal("-0.5"), Decimal("80.00"), "EUR").minor == -4000
    rows = house.connector.shown(draft).lines
    assert [each.description for each in rows] == ["Engineering", "Credit (-0.50 x 80.00 EUR)"]
