"""`ledger.printing`: however entries are spread over invoices, the totals are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import KnownLine, LineItem, taking_back
from ledger.invoices import PrintedLine
from ledger.money import line_amount
from ledger.printing import NumberedLine, print_lines
from ledger.sums import ROUNDING


@st.composite
def entries(draw: st.DrawFn, currency: str) -> LineItem:
    """Return an entry that may well be printed together with another one."""
    quantity = draw(st.decimals(min_value=0, max_value=40, places=4))
    unit_price = draw(st.sampled_from([Decimal(each) for each in ("99.99", "120.00", "0.33333")]))
    item = draw(st.sampled_from(["ACME-1", "ACME-2"]))
    on = date(2026, 10, draw(st.integers(1, 31)))
    return LineItem(
        customer="acme",
        project=draw(st.sampled_from(["ACME", "SITE", None])),
        item=item,
        person=draw(st.sampled_from(["ana", "ben"])),
        on=on,
        description=f"work on {item}",
        quantity=quantity,
        unit_price=unit_price,
        currency=currency,
        amount=line_amount(quantity, unit_price, currency).minor,
        seconds=0,
        rule=draw(st.sampled_from(["Hours", "Travel"])),
        mapping_version="1",
        grouping=draw(st.sampled_from([(), (item,), (item, "ana")])),
        schedule="monthly",
        period_from=on.replace(day=1),
        period_to=on.replace(day=31),
        steps=(),
        event_id=1,
    )


@st.composite
def invoices(draw: st.DrawFn) -> list[NumberedLine]:
    """Return the lines of an invoice: entries, and some that take billed ones back."""
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    lines = draw(st.lists(entries(currency), min_size=1, max_size=12))
    corrected = draw(st.lists(entries(currency), max_size=4))
    taken_back = [
        taking_back(KnownLine(100 + number, True, line), 2) for number, line in enumerate(corrected)
    ]
    return [NumberedLine(number, line) for number, line in enumerate([*lines, *taken_back], 1)]


CORRECTED = {100 + number: "acme-2026-09" for number in range(4)}


def total(printed: Sequence[PrintedLine]) -> int:
    return sum(line.amount for line in printed)


@given(invoices())
def test_the_printed_total_is_the_sum_of_the_entries(lines: list[NumberedLine]) -> None:
    printed = print_lines(lines, CORRECTED)
    assert total(printed) == sum(each.line.amount for each in lines)


@given(invoices(), st.data())
def test_splitting_entries_over_invoices_never_changes_the_total(
    lines: list[NumberedLine], data: st.DataObject
) -> None:
    number_of = {each.id: data.draw(st.integers(0, 3)) for each in lines}
    parts = [[each for each in lines if number_of[each.id] == number] for number in range(4)]
    split = sum(total(print_lines(part, CORRECTED)) for part in parts)
    assert split == total(print_lines(lines, CORRECTED))


@given(invoices())
def test_each_printed_amount_is_quantity_times_unit_price(lines: list[NumberedLine]) -> None:
    currency = lines[0].line.currency
    for line in print_lines(lines, CORRECTED):
        assert line.amount == line_amount(line.quantity, line.unit_price, currency).minor


@given(invoices(), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_arrival(lines: list[NumberedLine], random: Random) -> None:
    entries_only = [each for each in lines if each.line.corrects_id is None]
    shuffled = random.sample(entries_only, len(entries_only))
    renumbered = [replace(each, id=number) for number, each in enumerate(shuffled, 1)]
    assert [line.as_json() for line in print_lines(renumbered, {})] == [
        line.as_json() for line in print_lines(entries_only, {})
    ]
    assert print_lines(random.sample(lines, len(lines)), CORRECTED) == print_lines(lines, CORRECTED)


@given(invoices())
def test_each_entry_stands_behind_one_printed_line(lines: list[NumberedLine]) -> None:
    behind = [number for line in print_lines(lines, CORRECTED) for number in line.line_items]
    assert sorted(behind) == sorted(each.id for each in lines)


def entry(number: int, hours: str, **other: object) -> NumberedLine:
    quantity, unit_price = Decimal(hours), Decimal("100.00")
    line = LineItem(
        customer="acme",
        project="ACME",
        item="ACME-1",
        person="ana",
        on=date(2026, 10, 5),
        description="work",
        quantity=quantity,
        unit_price=unit_price,
        currency="EUR",
        amount=line_amount(quantity, unit_price, "EUR").minor,
        seconds=0,
        rule="Hours",
        mapping_version="1",
        grouping=("ACME-1",),
        schedule="monthly",
        period_from=date(2026, 10, 1),
        period_to=date(2026, 10, 31),
        steps=(),
        event_id=1,
    )
    return NumberedLine(number, replace(line, **other))  # type: ignore[arg-type]


def test_what_rounding_leaves_over_stands_on_a_line_of_its_own() -> None:
    thirds = [entry(number, "0.33335") for number in (1, 2, 3)]
    printed = print_lines(thirds, {})
    assert [(line.description, line.amount) for line in printed] == [
        ("work", 10001),
        (ROUNDING, 1),
    ]
    assert (printed[1].quantity, printed[1].unit_price) == (Decimal(1), Decimal("0.01"))


def test_entries_without_grouping_are_lines_of_their_own() -> None:
    assert len(print_lines([entry(1, "1", grouping=()), entry(2, "1", grouping=())], {})) == 2


def test_a_correction_names_the_invoice_that_it_corrects() -> None:
    (line,) = print_lines([entry(1, "-1", corrects_id=7)], {7: "acme-2026-09"})
    assert (line.description, line.amount) == ("Correction to acme-2026-09: work", -10000)
