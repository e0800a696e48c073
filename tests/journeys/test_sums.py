"""Entries that are counted together, from the webhook to the invoice and to the next one."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from console.explanations import drawn
from ledger import tables
from ledger.audit import audit
from ledger.explain import explain
from mappings.judging import sum_up
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER, TODAY = "acme-2026-10", "acme-2026-11"
CARE = "senior engineering, ACME-7 Login"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office that rounds the work of a person on a day, not each entry."""
    office.change("acme.yaml", "minutes per entry", "minutes per person and day")
    office.change("acme.yaml", "[time.logged, time.total]", "time.logged")
    office.activate()
    return office


LOOKED_AT = ("prices", "sums", "origins", "billed once", "places", "corrections", "present", "time")


def violations(office: Office) -> list[str]:
    """Return what `flask audit` says of the prices."""
    with office.line.database.read() as connection:
        found = audit(
            connection,
            office.clock.now(),
            sum_again=lambda key, version, lines: sum_up(office.line.book_of(version), key, lines),
        )
    return [each.detail for each in found if each.invariant in LOOKED_AT]


def test_a_day_is_rounded_once_and_a_late_entry_bills_the_difference(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=600), worklog(2, seconds=1000))
    assert office.printed(OCTOBER) == [(CARE, "0.50", 6000)]
    assert office.seconds_billed() == 1600
    office.bill(OCTOBER)
    assert violations(office) == []
    # Three more minutes are paid for already: the day stays at half an hour.
    office.tell(worklog(3, seconds=180))
    assert office.invoices() == {OCTOBER: ("pushed", 6000)}
    assert violations(office) == []
    office.clock.go_on(30 * 24 * 3600)
    # With the next ones they are more than that, and all of it is on one invoice.
    office.tell(worklog(4, seconds=600))
    december = "acme-2026-12"
    assert office.printed(december) == [(CARE, "0.25", 3000)]
    states = {row["state"] for row in office.rows(tables.line_item) if row["kind"] == "counted"}
    assert states == {"billed", "open"}
    office.bill(december)
    office.tell(worklog(1, seconds=600, version=2, kind="worklog_deleted"))
    assert office.printed(december + "-2") == [(CARE, "-0.25", -3000)]
    assert violations(office) == []
    assert sum(total for _, total in office.invoices().values()) == 6000


def test_what_was_counted_is_explained_also_on_the_next_invoice(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=600))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=600))
    with office.line.database.read() as connection:
        found = explain(connection, TODAY)
    (line,) = found["lines"]
    total, counted = line["line_items"]
    assert (total["kind"], total["event"], counted["kind"]) == ("sum", None, "counted")
    assert counted["event"]["subject"] == "worklog:2"
    assert [(each["invoice"], each["seconds"]) for each in total["counted"]] == [
        (OCTOBER, 600),
        (TODAY, 600),
    ]
    text = "\n".join(drawn(found))
    assert "2 entries: 1200 s as logged" in text
    assert "less what was billed before: 0.25 x 120.00 = 30.00 EUR" in text
    assert f": 0.1667, Ana, ACME-7, on {OCTOBER}" in text
    assert found["adds_up"]


def test_the_last_entry_of_a_draft_takes_its_sum_along(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=600))
    office.tell(worklog(1, seconds=600, version=2, kind="worklog_deleted"))
    assert office.invoices() == {}
    assert {row["state"] for row in office.rows(tables.line_item)} == {"withdrawn"}
    assert violations(office) == []


def test_a_late_sum_stays_on_the_draft_where_it_waits(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=900))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=900))
    office.clock.go_on(30 * 24 * 3600)
    office.tell(worklog(3, seconds=900))
    assert office.invoices() == {OCTOBER: ("pushed", 3000), TODAY: ("draft", 6000)}


def test_a_new_way_to_round_does_not_price_again_what_is_billed(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=600))
    office.bill(OCTOBER)
    office.change("acme.yaml", "up to 15 minutes per person", "up to 1 hour per person")
    office.activate()
    office.tell(worklog(2, seconds=600))
    assert office.invoices() == {OCTOBER: ("pushed", 3000), TODAY: ("draft", 12000)}
    assert violations(office) == []


@pytest.mark.parametrize("state", ["open", "billed"])
def test_a_sum_that_was_changed_by_hand_is_found(office: Office, state: str) -> None:
    office.tell(issue(7), worklog(1, seconds=900))
    if state == "billed":
        office.bill(OCTOBER)
    office.line.database.write(
        lambda connection: connection.execute(
            update(tables.line_item)
            .where(tables.line_item.c.kind == "sum")
            .values(quantity=1, amount=12000)
        )
    )
    (found,) = [each for each in violations(office) if "pool" in each]
    assert "-0.75" in found
    assert found.endswith("is missing")
