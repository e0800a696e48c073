"""Recurring fees: the clock tells what is due, and every day of a fee is billed once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import clock
from console.commands.audit import _price_again as price_again
from dues import Dues
from ledger import replay, tables
from ledger.audit import audit
from ledger.calendar import NAME
from tests.databases import copy_sqlite
from tests.journeys.office import Office, open_office

FEES = """\
fees:
  - fee: Support plan
    description: "Support plan, {month}"
    every: month
    from: 2026-09-15
    unit_price: 500.00
    due: in advance
rules:
"""


def with_fees(office: Office, fees: str = FEES) -> None:
    """Activate the rules with these fees of acme."""
    office.change("acme.yaml", "rules:\n", fees)
    office.activate()
    tick(office)


def tick(office: Office) -> None:
    """Let the clock look, as a process that has just started, and the worker work."""
    clock.tick(office.line, 1)
    office.settle()


def at(office: Office, moment: str) -> None:
    """Set the clock and let it look."""
    office.clock.moment = datetime.fromisoformat(moment).astimezone(UTC)
    tick(office)


def is_sound(office: Office) -> bool:
    """Return whether every promise of the ledger is kept."""
    with office.line.database.read() as connection:
        found = audit(connection, office.clock.now(), price_again=price_again(office.line))
        assert found == []
    return True


def test_a_clock_that_was_off_for_months_catches_up(office: Office) -> None:
    with_fees(office)
    assert office.printed("acme-2026-09") == [("Support plan, September 2026", "0.53333", 26667)]
    assert office.invoices() == {
        "acme-2026-09": ("draft", 26667),
        "acme-2026-10": ("draft", 50000),
        "acme-2026-11": ("draft", 50000),
    }
    assert is_sound(office)


def test_clocks_restarts_and_replays_tell_a_fee_once(office: Office) -> None:
    with_fees(office)
    once = office.invoices()
    clock.tick(office.line, 1)
    clock.tick(office.line, 2)
    tick(office)
    ids = [row["id"] for row in office.rows(tables.delivery) if row["endpoint"] == NAME]
    assert len(ids) == 3
    office.bill("acme-2026-10")
    office.line.database.write(
        lambda connection: replay.replay(connection, ids, actor="mia", now=office.clock.now())
    )
    tick(office)
    assert len(office.rows(tables.event)) == 3
    assert {name: total for name, (_, total) in office.invoices().items()} == {
        name: total for name, (_, total) in once.items()
    }
    assert is_sound(office)


def test_what_two_clocks_tell_before_the_worker_reads_it_is_one_delivery(office: Office) -> None:
    office.change("acme.yaml", "rules:\n", FEES)
    office.activate()
    clock.tick(office.line, 1)
    office.clock.go_on(60)
    clock.tick(office.line, 1)
    told = [row for row in office.rows(tables.delivery) if row["endpoint"] == NAME]
    assert len(told) == 3
    office.settle()
    assert len(office.invoices()) == 3


def test_a_new_price_holds_for_what_is_not_billed_once_it_is_mapped_anew(office: Office) -> None:
    with_fees(office)
    office.bill("acme-2026-10")
    office.change("acme.yaml", "unit_price: 500.00", "unit_price: 600.00")
    office.activate()
    tick(office)
    assert office.invoices()["acme-2026-11"] == ("draft", 50000)
    office.line.database.write(
        lambda connection: replay.remap_customer(
            connection, "acme", actor="mia", now=office.clock.now()
        )
    )
    tick(office)
    assert office.invoices() == {
        "acme-2026-09": ("draft", 32000),
        "acme-2026-10": ("pushed", 50000),
        "acme-2026-11": ("draft", 60000),
    }
    assert is_sound(office)


def test_a_fee_that_is_taken_out_stops_and_what_is_billed_stays(office: Office) -> None:
    with_fees(office)
    office.bill("acme-2026-10")
    office.change("acme.yaml", FEES, "rules:\n")
    office.activate()
    # Who maps before the clock has looked holds it, with the reason.
    office.line.database.write(
        lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
    )
    office.settle()
    assert all("no fee" in reason for reason in office.held().values())
    assert len(office.held()) == 2
    tick(office)
    assert office.invoices() == {"acme-2026-10": ("pushed", 50000)}
    assert office.held() == {}
    states = {row["name"]: (row["state"], row["reason"]) for row in office.rows(tables.subject)}
    assert states["fee:acme:Support plan:2026-11-01"] == (
        "gone",
        "the rules no longer have this fee for these days",
    )
    assert is_sound(office)
    # And back again: as if nothing had been.
    office.change("acme.yaml", "rules:\n", FEES)
    office.activate()
    tick(office)
    assert {name: total for name, (_, total) in office.invoices().items()} == {
        "acme-2026-09": 26667,
        "acme-2026-10": 50000,
        "acme-2026-11": 50000,
    }
    assert is_sound(office)


def test_a_fee_that_ends_earlier_is_billed_to_its_last_day(office: Office) -> None:
    with_fees(office)
    office.change("acme.yaml", "from: 2026-09-15", "from: 2026-09-15\n    until: 2026-10-10")
    office.activate()
    tick(office)
    assert office.invoices() == {
        "acme-2026-09": ("draft", 26667),
        "acme-2026-10": ("draft", 16129),
    }
    office.bill("acme-2026-10")
    # It goes on after all: the days that stand on no invoice yet are due.
    office.change("acme.yaml", "    until: 2026-10-10\n", "")
    office.activate()
    tick(office)
    assert office.invoices() == {
        "acme-2026-09": ("draft", 26667),
        "acme-2026-10": ("pushed", 16129),
        "acme-2026-11": ("draft", 50000 + 33871),
    }
    assert is_sound(office)


@pytest.mark.parametrize("pro_rata", ["", "\n    pro_rata: no"])
def test_a_change_from_months_to_quarters_bills_no_day_twice(office: Office, pro_rata: str) -> None:
    with_fees(office, FEES.replace("2026-09-15", "2026-09-01" + pro_rata))
    office.bill("acme-2026-10")
    office.change("acme.yaml", "every: month", "every: quarter")
    office.change("acme.yaml", "unit_price: 500.00", "unit_price: 920.00")
    office.activate()
    tick(office)
    days = {
        (each["fields"]["from"], each["fields"]["to"])
        for row in office.rows(tables.subject)
        if row["state"] == "priced"
        for each in office.rows(tables.event)
        if each["id"] == row["event_id"]
    }
    assert days == {
        ("2026-09-01", "2026-09-30"),
        ("2026-10-01", "2026-10-31"),
        ("2026-11-01", "2026-12-31"),
    }
    assert office.invoices()["acme-2026-09"] == ("draft", 50000)
    office.line.database.write(
        lambda connection: replay.remap_all(connection, actor="mia", now=office.clock.now())
    )
    office.settle()
    # Of the quarter that ends in September only its last month is the fee's.
    september = 92000 if pro_rata else 30000
    assert office.invoices() == {
        "acme-2026-09": ("draft", september),
        "acme-2026-10": ("pushed", 50000),
        "acme-2026-11": ("draft", 61000),
    }
    assert is_sound(office)


ZONES = ("Europe/Berlin", "America/New_York", "Pacific/Auckland")
MIDNIGHTS = {
    # The clocks change on 2026-03-29 in Berlin, on 03-08 in New York, on 04-05 in Auckland.
    "Europe/Berlin": ["2026-02-28T23:00Z", "2026-03-31T22:00Z", "2026-10-31T23:00Z"],
    "America/New_York": ["2026-03-01T05:00Z", "2026-04-01T04:00Z", "2026-11-01T04:00Z"],
    "Pacific/Auckland": ["2026-02-28T11:00Z", "2026-03-31T11:00Z", "2026-10-31T11:00Z"],
}


@pytest.mark.parametrize("zone", ZONES)
def test_a_month_begins_at_midnight_in_the_customers_time_zone(
    tmp_path: Path, sqlite_template: Path, zone: str
) -> None:
    fees = FEES.replace("2026-09-15", "2026-01-01").replace("rules:", f"time_zone: {zone}\nrules:")
    with open_office(tmp_path, copy_sqlite(sqlite_template, tmp_path / "a.sqlite3")) as office:
        at(office, "2026-02-10T12:00Z")
        with_fees(office, fees)
        for midnight, month in zip(MIDNIGHTS[zone], (3, 4, 11), strict=True):
            begins = datetime.fromisoformat(midnight)
            at(office, (begins - timedelta(seconds=1)).isoformat())
            assert f"acme-2026-{month:02}" not in office.invoices()
            at(office, midnight)
            assert office.invoices()[f"acme-2026-{month:02}"] == ("draft", 50000)
        starts = sorted(row["on"] for row in office.rows(tables.event))
        assert starts == [date(2026, month, 1) for month in range(1, 12)]
        told = {row["subject"][-10:]: row["occurred_at"] for row in office.rows(tables.event)}
        assert told["2026-03-01"] == datetime.fromisoformat(MIDNIGHTS[zone][0])
        assert is_sound(office)


def test_what_is_due_in_arrears_comes_when_its_last_day_is_over(office: Office) -> None:
    fees = FEES.replace("in advance", "in arrears\n    invoice: at once")
    with_fees(office, fees)
    assert set(office.invoices()) == {"acme-2026-09-30", "acme-2026-10-31"}
    at(office, "2026-11-30T22:59:59Z")
    assert len(office.invoices()) == 2
    at(office, "2026-11-30T23:00:00Z")
    assert "acme-2026-11-30" in office.invoices()
    assert is_sound(office)


def test_a_long_time_is_billed_day_by_day_without_gaps(
    tmp_path: Path, sqlite_template: Path
) -> None:
    fees = FEES.replace("2026-09-15", "2024-02-20").replace("every: month", "every: week")
    with open_office(tmp_path, copy_sqlite(sqlite_template, tmp_path / "a.sqlite3")) as office:
        at(office, "2024-06-01T12:00Z")
        with_fees(office, fees)
        at(office, "2025-01-07T12:00Z")
        spans = sorted(
            (date.fromisoformat(row["fields"]["from"]), date.fromisoformat(row["fields"]["to"]))
            for row in office.rows(tables.event)
        )
        assert spans[0][0] == date(2024, 2, 20)
        assert all(one[1] + timedelta(1) == other[0] for one, other in pairwise(spans))
        assert spans[-1] == (date(2025, 1, 6), date(2025, 1, 12))


def test_a_running_clock_sees_new_rules_at_once_and_the_day_within_a_quarter_of_an_hour(
    office: Office,
) -> None:
    dues = Dues(office.line)
    assert dues.tell() == 0
    office.change("acme.yaml", "rules:\n", FEES)
    office.activate()
    assert dues.tell() == 3
    # What waits to be read is told again, which changes nothing, until it is heard.
    assert dues.tell() == 3
    office.settle()
    assert dues.tell() == 0
    office.clock.moment = datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC)
    assert dues.tell() == 0
    office.clock.go_on(1)
    assert dues.tell() == 1


def test_a_fee_in_another_currency_is_beside_the_budget_and_says_so(office: Office) -> None:
    order = "purchase_order: {number: PO-1, budget: 300.00}\n"
    with_fees(office, order + FEES.replace("    every", "    currency: CHF\n    every"))
    draft = office.invoice("acme-2026-10-CHF")
    assert (draft["state"], draft["total"], draft["order_use"]) == ("draft", 50000, None)
    assert "its budget in EUR: this draft in CHF is not counted" in draft["warnings"][0]
    assert is_sound(office)
