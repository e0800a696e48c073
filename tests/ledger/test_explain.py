"""Every cent is explained: each printed line leads to entries, events and raw deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from ledger import tables
from ledger.explain import UnexplainedError, explain
from ledger.sums import ROUNDING
from tests.ledger.seed import SmallFirm, logged, month_of_work

BILLED = "acme-2026-10"
DRAFT = "acme-2026-11"


@pytest.fixture
def firm(database_url: str) -> Iterator[SmallFirm]:
    """Give the small firm after its month of work, on both databases."""
    firm = SmallFirm(database_url)
    month_of_work(firm)
    yield firm
    firm.close()


def _explained(firm: SmallFirm, reference: str, number: int | None = None) -> dict[str, Any]:
    with firm.database.read() as connection:
        return explain(connection, reference, number)


def _entries(explanation: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for line in explanation["lines"] for entry in line["line_items"]]


@pytest.mark.parametrize("reference", [BILLED, DRAFT, "beta-2026-10"])
def test_the_sums_agree_from_entries_to_the_total(firm: SmallFirm, reference: str) -> None:
    found = _explained(firm, reference)
    total = firm.invoices()[reference]["total"]
    assert found["adds_up"]
    assert found["is_current"]
    assert {amount["minor"] for amount in found["sums"].values()} == {total}
    assert sum(entry["amount"]["minor"] for entry in _entries(found)) == total
    assert sum(line["amount"]["minor"] for line in found["lines"]) == total


def test_every_entry_leads_to_its_rule_its_event_and_its_delivery(firm: SmallFirm) -> None:
    events = {row["id"]: row for row in firm.rows(tables.event)}
    deliveries = {row["id"]: row for row in firm.rows(tables.delivery)}
    lines = {row["id"]: row for row in firm.rows(tables.line_item)}
    entries = _entries(_explained(firm, BILLED)) + _entries(_explained(firm, DRAFT))
    assert len(entries) > 5
    for entry in entries:
        line = lines[entry["id"]]
        assert (entry["rule"], entry["rules_version"]) == (line["rule"], line["mapping_version"])
        assert entry["steps"] == line["steps"]
        event = events[line["event_id"]]
        assert entry["event"]["subject"] == event["subject"]
        delivery = deliveries[event["delivery_id"]]
        told = (delivery["id"], delivery["delivery_id"], delivery["body_hash"])
        shown = entry["delivery"]
        assert (shown["id"], shown["delivery_id"], shown["body_hash"]) == told


def test_what_was_filled_in_from_another_delivery_is_named(firm: SmallFirm) -> None:
    entry = next(
        each
        for each in _entries(_explained(firm, BILLED))
        if each["event"]["subject"] == "worklog:4"
    )
    assert entry["event"]["project"] is None
    assert entry["filled_in"]["about"] == "issue:7"
    assert entry["filled_in"]["said"] == {"project": "ACME", "item": "ACME-9", "title": "Login"}
    others = [each for each in _entries(_explained(firm, BILLED)) if each is not entry]
    assert all(each["filled_in"] is None for each in others if each["id"] != entry["id"])


def test_a_correction_names_the_line_and_the_invoice_that_it_takes_back(firm: SmallFirm) -> None:
    billed = {entry["id"]: entry for entry in _entries(_explained(firm, BILLED))}
    corrections = [each for each in _entries(_explained(firm, DRAFT)) if each["corrects"]]
    assert len(corrections) == 2
    for entry in corrections:
        original = entry["takes_back"]
        assert original["invoice"] == BILLED
        assert original["amount"]["minor"] == -entry["amount"]["minor"]
        assert original["event"] == billed[original["id"]]["event"]
        assert original["delivery"] == billed[original["id"]]["delivery"]


def test_the_line_for_rounding_says_what_it_makes_up_for(firm: SmallFirm) -> None:
    # Three entries of 0.3333 h at 80.00 are 26.66 each, but 0.9999 h at 80.00 is 79.99.
    for number in range(3):
        firm.tell(logged(f"worklog:7{number}", 1200, person="ben"))
    found = _explained(firm, DRAFT)
    rounding = found["lines"][-1]
    assert rounding["description"] == ROUNDING
    assert rounding["line_items"] == []
    assert rounding["amount"]["minor"] == -1
    assert sum(each["difference"]["minor"] for each in rounding["makes_up_for"]) == -1
    line = found["lines"][rounding["makes_up_for"][0]["line"] - 1]
    assert (line["entries_amount"]["minor"], line["amount"]["minor"]) == (7998, 7999)
    assert found["adds_up"]


def test_one_line_can_be_asked_for_by_its_number(firm: SmallFirm) -> None:
    whole = _explained(firm, BILLED)
    for line in whole["lines"]:
        assert _explained(firm, BILLED, line["number"])["lines"] == [line]
        assert _explained(firm, BILLED, line["number"])["sums"] == whole["sums"]


@pytest.mark.parametrize("number", [0, 99])
def test_a_line_that_is_not_there_is_said(firm: SmallFirm, number: int) -> None:
    with pytest.raises(UnexplainedError, match=f"there is no line {number}"):
        _explained(firm, BILLED, number)


def test_an_unknown_invoice_is_said(firm: SmallFirm) -> None:
    with pytest.raises(UnexplainedError, match="no such invoice"):
        _explained(firm, "no-such")


def test_an_amount_that_does_not_agree_is_not_hidden(firm: SmallFirm) -> None:
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.line_item).where(tables.line_item.c.id == 1).values(amount=450001)
        )
    )
    found = _explained(firm, BILLED)
    assert not found["adds_up"]
    assert not found["is_current"]


def test_a_draft_whose_lines_changed_since_it_was_assembled_says_so(firm: SmallFirm) -> None:
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.line_item)
            .where(tables.line_item.c.state == "open", tables.line_item.c.corrects_id.is_(None))
            .values(description="another text")
        )
    )
    found = _explained(firm, DRAFT)
    assert not found["is_current"]
    assert found["adds_up"]


def test_an_invoice_without_lines_is_explained_too(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:80", 60, project="BETA"))
    firm.tell(logged("worklog:80", 60, version=2, project="FREE"))
    canceled = [key for key, row in firm.invoices().items() if row["state"] == "canceled"]
    found = _explained(firm, canceled[0])
    assert found["lines"] == []
    assert found["adds_up"]
