"""A minimum fee in periods with and without any work: the clock tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import clock
from console.commands.audit import _price_again as price_again
from ledger import replay, tables
from ledger.audit import audit
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office

SEPTEMBER, OCTOBER, NOVEMBER = "acme-2026-09", "acme-2026-10", "acme-2026-11"
MINIMUM = """\
minimum_fee: {at_least: 500.00, from: 2026-10-01}
rules:
"""
LINE = ("Up to the minimum fee of 500.00 EUR", "1.00", 50000)


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    """Give an office with an issue to work on."""
    with open_office(tmp_path, database_url) as office:
        office.tell(issue(7))
        yield office


def agree(office: Office, terms: str = MINIMUM) -> None:
    office.change("acme.yaml", "rules:\n", terms)
    office.activate()
    tick(office)


def tick(office: Office) -> None:
    clock.tick(office.line, 1)
    office.settle()


def at(office: Office, moment: str) -> None:
    """Set the clock and let it look."""
    office.clock.moment = datetime.fromisoformat(moment).astimezone(UTC)
    tick(office)


def is_sound(office: Office) -> bool:
    with office.line.database.read() as connection:
        found = audit(connection, office.clock.now(), price_again=price_again(office.line))
        assert found == []
    return True


def test_a_period_without_work_owes_the_minimum_once(office: Office) -> None:
    agree(office)
    assert office.invoices() == {OCTOBER: ("draft", 50000), NOVEMBER: ("draft", 50000)}
    assert office.printed(OCTOBER) == [LINE]
    tick(office)
    office.bill(OCTOBER)
    tick(office)
    assert office.invoices() == {OCTOBER: ("pushed", 50000), NOVEMBER: ("draft", 50000)}
    assert is_sound(office)


def test_the_minimum_is_there_when_its_period_begins_where_the_customer_is(
    office: Office,
) -> None:
    at(office, "2026-11-30T23:59:59+01:00")
    agree(office, MINIMUM.replace("2026-10-01", "2026-12-01"))
    assert office.invoices() == {}
    at(office, "2026-12-01T00:00:00+01:00")
    assert office.printed("acme-2026-12") == [LINE]
    assert is_sound(office)


def test_work_fills_the_minimum_and_what_is_above_it_prints_no_minimum(office: Office) -> None:
    agree(office)
    office.tell(worklog(1, seconds=3600))
    assert office.printed(OCTOBER) == [
        ("senior engineering, ACME-7 Login", "1.00", 12000),
        ("Up to the minimum fee of 500.00 EUR", "1.00", 38000),
    ]
    office.tell(worklog(2, seconds=36000))
    assert office.printed(OCTOBER) == [("senior engineering, ACME-7 Login", "11.00", 132000)]
    office.bill(OCTOBER)
    tick(office)
    assert office.invoices()[NOVEMBER] == ("draft", 50000)
    assert is_sound(office)


def test_late_work_is_billed_above_the_minimum_that_was_billed_already(office: Office) -> None:
    agree(office)
    office.bill(OCTOBER)
    office.tell(worklog(1, seconds=3600))
    assert office.printed(NOVEMBER) == [
        ("senior engineering, ACME-7 Login", "1.00", 12000),
        ("Taken back: Up to the minimum fee of 500.00 EUR", "-1.00", -50000),
        ("Up to the minimum fee of 500.00 EUR", "1.00", 38000),
        LINE,
    ]
    office.tell(worklog(2, seconds=18000))
    assert office.invoices()[NOVEMBER] == ("draft", 50000 + 72000 - 50000)
    assert is_sound(office)


def test_a_month_that_was_billed_before_the_minimum_was_agreed_owes_what_is_missing(
    office: Office,
) -> None:
    office.tell(worklog(1, seconds=3600))
    office.bill(OCTOBER)
    agree(office)
    assert office.printed(NOVEMBER) == [
        ("Up to the minimum fee of 500.00 EUR", "1.00", 38000),
        LINE,
    ]
    assert is_sound(office)


@pytest.mark.parametrize(
    "instead",
    [
        "rules:\n",
        MINIMUM.replace("}", ", until: 2026-10-31}"),
        MINIMUM.replace(", from: 2026-10-01", ""),
    ],
)
def test_a_minimum_that_is_taken_out_or_ends_goes_and_what_is_billed_stays(
    office: Office, instead: str
) -> None:
    agree(office)
    office.bill(OCTOBER)
    office.change("acme.yaml", MINIMUM, instead)
    office.activate()
    # Who maps before the clock has looked holds it, with the reason.
    office.line.database.write(
        lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
    )
    office.settle()
    assert all("Minimum fee" in reason for reason in office.held().values())
    tick(office)
    assert office.held() == {}
    assert office.invoices() == {OCTOBER: ("pushed", 50000)}
    assert is_sound(office)


def test_a_minimum_has_the_tax_of_the_customer_and_draws_nothing_else(office: Office) -> None:
    taxes = "taxes: [{tax: DE19, rate: 19 %}, {tax: DE7, rate: 7 %}]\ntax: DE19\n"
    agree(office, taxes + MINIMUM)
    draft = office.invoice(OCTOBER)
    assert (draft["state"], draft["net"], draft["total"]) == ("draft", 50000, 59500)
    office.change("acme.yaml", "from: 2026-10-01", "tax: DE7, from: 2026-10-01")
    office.activate()
    office.line.database.write(
        lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
    )
    tick(office)
    assert office.invoice(OCTOBER)["total"] == 53500
    office.tell(worklog(1, seconds=3600))
    assert office.invoice(OCTOBER)["total"] == 59500
    assert is_sound(office)


def test_rules_that_invoice_at_once_owe_no_minimum(office: Office) -> None:
    office.change("acme.yaml", "invoice: monthly", "invoice: at once")
    agree(office)
    assert office.invoices() == {}
    assert office.rows(tables.event) == [
        row for row in office.rows(tables.event) if row["kind"] != "fee.due"
    ]
