"""Our taxes in systems that take a rate with each line: FreshBooks, FreeAgent, Invoice Ninja."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connectors.connector import BillingConnector
from connectors.freeagent import stand_in as freeagent
from connectors.freeagent.connector import FreeAgentConnector
from connectors.freshbooks import stand_in as freshbooks
from connectors.freshbooks.connector import FreshBooksConnector
from connectors.invoice_ninja import stand_in as invoice_ninja
from connectors.invoice_ninja.connector import InvoiceNinjaConnector
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import AccountingStandIn, Bearer
from connectors.taxes import TaxesDifferError
from ledger.errors import UnsupportedError
from ledger.invoices import PrintedLine
from ledger.shown import differences
from ledger.taxes import TaxWords
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push


@dataclass(frozen=True)
class House:
    """A stand-in, the connector to it, and how a line there tells its tax."""

    site: AccountingStandIn
    connect: Callable[..., BillingConnector]
    taxes: Callable[[dict[str, Any]], tuple[str, float]]

    @property
    def connector(self) -> BillingConnector:
        return self.connect()


def fresh_books() -> House:
    site = freshbooks.FreshBooksStandIn()
    http = Bearer(InProcess(site), freshbooks.TOKEN)
    return House(
        site,
        lambda **more: FreshBooksConnector({**freshbooks.SETTINGS, **more}, http),
        lambda there: (there["taxName1"], float(there["taxAmount1"])),
    )


def free_agent() -> House:
    site = freeagent.FreeAgentStandIn()
    http = Bearer(InProcess(site), freeagent.TOKEN)
    return House(
        site,
        lambda **more: FreeAgentConnector({**freeagent.SETTINGS, **more}, http),
        # The name is FreeAgent's own.
        lambda there: (
            "VAT" if float(there["sales_tax_rate"]) else "",
            float(there["sales_tax_rate"]),
        ),
    )


def ninja() -> House:
    site = invoice_ninja.InvoiceNinjaStandIn()
    return House(
        site,
        lambda **more: InvoiceNinjaConnector({**invoice_ninja.SETTINGS, **more}, InProcess(site)),
        lambda there: (there["tax_name1"], float(there["tax_rate1"])),
    )


HOUSES = [fresh_books, free_agent, ninja]


@pytest.fixture(params=HOUSES, ids=[each.__name__ for each in HOUSES])
def house(request: pytest.FixtureRequest) -> House:
    made: House = request.param()
    return made


def taxed(tax: str, quantity: str = "1", price: str = "100.00") -> PrintedLine:
    return replace(line(quantity, price, "EUR"), tax=tax)


WORDS = {"DE19": TaxWords("VAT"), "DE7": TaxWords("VAT"), "RC": TaxWords("VAT", "You owe it.")}


def test_a_line_has_name_and_rate_of_its_tax(house: House) -> None:
    draft = replace(
        draft_of(
            *(taxed("DE19 19 %"), taxed("DE7 8.1 %"), taxed("RC reverse charge"), taxed("")),
            taxed("DE19 19 %", "0.33", "0.31"),
        ),
        tax_words=WORDS,
    )
    connector = house.connector
    there = connector.fetch_invoice(push(connector, draft))
    (paper,) = house.site.papers.values()
    assert [house.taxes(each) for each in paper.lines] == [
        *(("VAT", 19), ("VAT", 8.1), ("", 0), ("", 0), ("VAT", 19))
    ]
    assert there.amounts.total == 40010 + 1902 + 810
    assert_shows(connector, draft, there)
    assert "You owe it." in " ".join(there.header.values())


@pytest.mark.parametrize("rounding", ["line", "sum"])
def test_how_it_rounds_is_said_or_both_ways_must_come_to_ours(house: House, rounding: str) -> None:
    cents = draft_of(*[taxed("A 19 %", price="0.03")] * 10)
    with pytest.raises(TaxesDifferError, match=r"each line\), 0\.04 EUR more .*tax_rounding:"):
        push(house.connector, cents)
    # 19 % of 0.05 are 0.0095: 0.01 on each line, and 0.02 on both together.
    even = draft_of(*[taxed("A 19 %", price="0.05")] * 2)
    told = house.connect(tax_rounding=rounding)
    if hasattr(house.site, "is_rounded_by_line"):
        house.site.is_rounded_by_line = rounding == "line"
        there = told.fetch_invoice(push(told, even))
        assert_shows(told, even, there)
    if rounding == "line":
        with pytest.raises(TaxesDifferError, match=r"0\.10 EUR of tax"):
            push(told, replace(cents, reference="acme-2"))
    elif hasattr(house.site, "is_rounded_by_line"):
        there = told.fetch_invoice(push(told, replace(cents, reference="acme-2")))
        assert there.amounts.total == 36


def test_prices_that_hold_their_tax_go_out_as_net_or_as_they_are(house: House) -> None:
    connector = house.connector
    draft = draft_of(taxed("G 19 % included", "3", "11.90"), taxed("RC reverse charge"))
    there = connector.fetch_invoice(push(connector, draft))
    assert there.amounts.total == 3570 + 10000
    assert_shows(connector, draft, there)
    (paper,) = house.site.papers.values()
    is_inclusive = paper.written.get("uses_inclusive_taxes", False)
    assert paper.amounts[0] == (3570 if is_inclusive else 3000)
    assert is_inclusive is (connector.key == "invoice_ninja")


def test_a_price_whose_net_does_not_come_to_it_is_refused(house: House) -> None:
    # 0.03 without its tax is 0.03, and 19 % of 0.03 are 0.01 again.
    connector = house.connector
    for price in range(1, 120):
        mixed = [taxed("G 19 % included", "1", f"{price / 100:.2f}"), taxed("B 7 %")]
        draft = draft_of(*mixed, reference=f"acme-{price}")
        try:
            remote_id = push(connector, draft)
        except TaxesDifferError:
            assert connector.find_invoice(draft.reference, remote_customer=None) is None
        else:
            there = connector.fetch_invoice(remote_id)
            assert there.amounts.total == draft.total.minor
    # Every net comes to one gross, and there are 100 nets to 119 of them.
    assert len(house.site.papers) == 100


def test_taxes_in_a_currency_without_cents_are_refused(house: House) -> None:
    draft = draft_of(replace(line("1", "1500", "JPY"), tax="A 10 %"), currency="JPY")
    with pytest.raises(UnsupportedError, match="rounds taxes to 2 decimals"):
        push(house.connector, draft)
    assert house.site.papers == {}


def test_taxes_come_and_go_when_a_draft_is_brought_up_to_date(house: House) -> None:
    connector = house.connector
    remote_id = push(connector, DRAFT)
    first = DRAFT.lines[0]
    with_tax = replace(DRAFT, lines=(replace(first, tax="A 19 %"),))
    for draft in (with_tax, replace(DRAFT, lines=(first,))):
        updated = connector.update_draft(
            draft, remote_id, idempotency_key=f"key-{draft.total.minor}"
        )
        assert updated.amounts.total == draft.total.minor
        assert_shows(connector, draft, updated)


def test_a_line_that_takes_back_takes_its_tax_back(house: House) -> None:
    lines = [taxed("A 19 %"), taxed("A 19 %", "-1", "50.00"), taxed("A 19 %", "-1", "10.00")]
    for rounding in ("line", "sum"):
        connector = house.connect(tax_rounding=rounding)
        draft = draft_of(*lines, reference=f"acme-{rounding}")
        assert connector.fetch_invoice(push(connector, draft)).amounts.total == 4000 + 760


def test_a_forecast_that_is_wrong_does_not_go_by_unnoticed(house: House) -> None:
    if not hasattr(house.site, "is_rounded_by_line"):
        pytest.skip("it rounds on each line, and nothing else")
    house.site.is_rounded_by_line = True
    connector = house.connect(tax_rounding="sum")
    draft = draft_of(*[taxed("A 19 %", price="0.03")] * 10)
    there = connector.fetch_invoice(push(connector, draft))
    assert there.shown is not None
    (told,) = differences(connector.shown(draft), there.shown)
    assert told == "the total is 0.40 EUR where we sent 0.36 EUR"
