"""A line that a person holds back is billed to nobody until it is let go, and is seen meanwhile."""

from __future__ import annotations

import pytest

from ledger.edits import EditError, HoldBack
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office
from tests.journeys.test_edits import (
    BEN,
    LOGIN,
    OCTOBER,
    SEARCH,
    TODAY,
    again,
    edit,
    held_lines,
    is_sound,
    make_only,
    take_out,
    three_lines,
)


def test_a_line_that_is_held_back_waits_in_plain_sight_and_then_goes_to_todays_draft(
    office: Office,
) -> None:
    three_lines(office)
    held = edit(office, HoldBack(1))
    assert [line[0] for line in office.printed(OCTOBER)] == [BEN, SEARCH]
    assert held_lines(office) == [f'"{LOGIN}": 120.00 EUR']
    assert office.seconds_billed() == 14400
    office.bill(OCTOBER)
    # What is done to it meanwhile is done to what waits.
    office.tell(again(1, 5400))
    assert office.invoices() == {OCTOBER: ("pushed", 32000)}
    assert is_sound(office)
    take_out(office, held)
    assert office.printed(TODAY) == [(LOGIN, "1.50", 18000)]
    assert held_lines(office) == []
    assert office.seconds_billed() == 16200
    assert is_sound(office)


def test_what_takes_a_billed_line_back_is_held_back_with_what_bills_it_anew(
    office: Office,
) -> None:
    three_lines(office)
    office.bill(OCTOBER)
    office.tell(again(1, 5400))
    before = office.printed(TODAY)
    assert sorted(amount for _, _, amount in before) == [-12000, 18000]
    back = next(number for number, line in enumerate(before, 1) if line[2] < 0)
    # Without it the entry would be billed twice: 1.00 h in October, and 1.50 h now.
    held = edit(office, HoldBack(back), TODAY)
    assert office.invoices() == {OCTOBER: ("pushed", 44000)}
    assert held_lines(office)[0].startswith('"Correction to acme-2026-10: ')
    assert is_sound(office)
    take_out(office, held, TODAY)
    assert office.printed(TODAY) == before
    assert is_sound(office)


def test_nothing_is_left_on_a_draft_of_which_all_is_held_back(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    held = edit(office, HoldBack(1))
    assert (office.invoice(OCTOBER)["state"], is_sound(office)) == ("canceled", True)
    take_out(office, held)
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_agreements_are_not_about_what_is_held_back(office: Office) -> None:
    loyal = "discounts:\n  - {discount: Loyalty, percent: 10 %}\nrules:\n"
    office.change("acme.yaml", "rules:\n", loyal)
    office.activate()
    office.tell(issue(7), issue(8, title="Search"))
    office.tell(worklog(1, seconds=3600), worklog(3, seconds=7200, issue_id=8))
    assert office.invoices() == {OCTOBER: ("draft", 32400)}
    with pytest.raises(EditError, match="line 3 follows from the others"):
        make_only(office, HoldBack(3))
    held = edit(office, HoldBack(2))
    assert office.invoices() == {OCTOBER: ("draft", 10800)}
    office.bill(OCTOBER)
    take_out(office, held)
    assert sum(total for _, total in office.invoices().values()) == 32400
    assert office.violations() == []


def test_what_is_counted_is_held_back_with_what_it_comes_to(office: Office) -> None:
    office.change("acme.yaml", "per entry\n", "per person and day\n")
    office.activate()
    three_lines(office)
    held = edit(office, HoldBack(1))
    assert [line[0] for line in office.printed(OCTOBER)] == [BEN, SEARCH]
    office.tell(worklog(7, seconds=1800))
    assert [line[0] for line in office.printed(OCTOBER)] == [BEN, SEARCH]
    assert office.violations() == []
    take_out(office, held)
    assert office.printed(OCTOBER)[0] == (LOGIN, "1.50", 18000)
    assert office.violations() == []
