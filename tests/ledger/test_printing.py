"""`ledger.printing`: however entries are spread over invoices, the totals are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.corrections import KnownLine, LineItem, taking_back
from ledger.invoices import PrintedLine
from ledger.layouts import ORDERS, Label, Layout, layout_from_json
from ledger.money import line_amount
from ledger.printing import ALL_IN_ONE, NumberedLine, print_lines
from ledger.sums import ROUNDING
from tests.mappings.small_ledger import entry as priced


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


LAYOUTS = st.builds(
    Layout,
    order=st.lists(st.sampled_from(sorted(ORDERS)), unique=True).map(tuple),
    rules=st.permutations(["Hours", "Travel"]).map(tuple),
    labels=st.sampled_from([(), (Label("Hours", date(2026, 10, 1), "October 2026"),)]),
)
GROUPINGS = st.sampled_from([(), ALL_IN_ONE, ("ACME-1",), ("ana",)])


@given(invoices(), LAYOUTS, st.data())
def test_every_layout_prints_the_same_money_in_an_order_of_its_own(
    lines: list[NumberedLine], layout: Layout, data: st.DataObject
) -> None:
    grouped = [
        replace(each, line=replace(each.line, grouping=data.draw(GROUPINGS))) for each in lines
    ]
    printed = print_lines(grouped, CORRECTED, layout)
    assert total(printed) == sum(each.line.amount for each in grouped)
    behind = [number for line in printed for number in line.line_items]
    assert sorted(behind) == sorted(each.id for each in grouped)
    shuffled = data.draw(st.permutations(grouped))
    assert print_lines(shuffled, CORRECTED, layout) == printed
    as_ever = print_lines(grouped, CORRECTED, replace(layout, order=()))
    assert sorted(map(repr, printed)) == sorted(map(repr, as_ever))


@given(invoices(), LAYOUTS, st.randoms(use_true_random=False))
def test_no_layout_depends_on_arrival(
    lines: list[NumberedLine], layout: Layout, random: Random
) -> None:
    entries_only = [each for each in lines if each.line.corrects_id is None]
    shuffled = random.sample(entries_only, len(entries_only))
    renumbered = [replace(each, id=number) for number, each in enumerate(shuffled, 1)]
    assert [line.as_json() for line in print_lines(renumbered, {}, layout)] == [
        line.as_json() for line in print_lines(entries_only, {}, layout)
    ]


@pytest.mark.parametrize(
    ("order", "texts"),
    [
        ("day", ["c", "a", "b"]),
        ("item", ["a", "c", "b"]),
        ("person", ["b", "c", "a"]),
        ("rule", ["c", "b", "a"]),
        ("project", ["b", "a", "c"]),
        ("description", ["a", "b", "c"]),
        ("amount", ["b", "c", "a"]),
    ],
)
def test_lines_come_in_the_order_that_is_asked_for(order: str, texts: list[str]) -> None:
    def line(number: int, text: str, day: int, hours: str, **said: object) -> NumberedLine:
        on = date(2026, 10, day)
        return entry(number, hours, description=text, grouping=(), on=on, **said)

    lines = [
        line(1, "a", 7, hours="1", item="ACME-9", person="cem", rule="Z", project="SITE 2"),
        line(2, "b", 9, hours="3", item="ACME-10", person="Ana", rule="Y", project="SITE 1"),
        line(3, "c", 5, hours="2", item="ACME-09x", person="ben", rule="X", project="SITE 10"),
    ]
    layout = Layout(order=(order,), rules=("X", "Y", "Z"))
    assert [line.description for line in print_lines(lines, {}, layout)] == texts


def test_the_second_word_orders_what_is_equal_in_the_first() -> None:
    lines = [
        entry(1, "1", description="x", grouping=(), item="ACME-2"),
        entry(2, "2", description="y", grouping=(), item="ACME-1"),
        entry(3, "3", description="z", grouping=(), item="ACME-2"),
    ]
    printed = print_lines(lines, {}, Layout(order=("item", "amount")))
    assert [line.description for line in printed] == ["y", "z", "x"]


def test_an_agreement_that_stands_alone_comes_last_in_every_order() -> None:
    fee = entry(1, "9", kind="agreement", pool="Fee", grouping=(), rule="A", description="a fee")
    lines = [fee, entry(2, "1", grouping=())]
    for order in ORDERS:
        assert print_lines(lines, {}, Layout(order=(order,)))[-1].description == "a fee"


def test_what_came_late_names_its_period_and_keeps_a_line_of_its_own() -> None:
    september = {"period_from": date(2026, 9, 1), "on": date(2026, 9, 5)}
    lines = [entry(1, "1"), entry(2, "1", **september), entry(3, "1", rule="Other", **september)]
    taken_back = entry(4, "-1", corrects_id=7, **september)
    layout = Layout(labels=(Label("Hours", date(2026, 9, 1), "September 2026"),))
    printed = print_lines([*lines, taken_back], {7: "acme-2026-09"}, layout)
    assert sorted(line.description for line in printed) == [
        "Correction to acme-2026-09: work",
        "September 2026: work",
        "work",
        "work",
    ]


def test_all_in_one_takes_several_rules_and_projects_but_one_text_and_price() -> None:
    alike = {"grouping": ALL_IN_ONE}
    lines = [
        entry(1, "1", **alike),
        entry(2, "2", rule="Other", project="SITE", **alike),
        entry(3, "4", description="else", **alike),
        entry(4, "8", unit_price=Decimal("90.00"), amount=72000, **alike),
        entry(5, "-1", corrects_id=70, **alike),
        entry(6, "16", tax="DE7", **alike),
        entry(7, "-3", kind="agreement", pool="Cap", description="over the cap", **alike),
    ]
    printed = print_lines(lines, {70: "acme-2026-09"})
    assert sorted((line.description, str(line.quantity)) for line in printed) == [
        ("Correction to acme-2026-09: work", "-1"),
        ("else", "1"),
        ("work", "16"),
        ("work", "3"),
        ("work", "8"),
    ]


@given(LAYOUTS)
def test_a_layout_is_read_back_as_it_was_written(layout: Layout) -> None:
    assert layout_from_json({"layout": layout.as_json()}) == layout
    assert layout_from_json({}) == Layout()
    assert Layout().as_json() == {}


@pytest.mark.parametrize(
    "other", [{"tax": "DE7 7 %"}, {"project": "SITE"}, {"rule": "Travel"}, {"unit_price": "2.00"}]
)
def test_what_differs_in_tax_project_rule_or_price_is_printed_apart(other: dict[str, str]) -> None:
    on, price = date(2026, 10, 2), other.pop("unit_price", "1.00")
    lines = [
        priced(on, "1", "1.00", grouping=("A",)),
        priced(on, "1", price, grouping=("A",), **other),
    ]
    numbered = [NumberedLine(number, line) for number, line in enumerate(lines, 1)]
    assert [line.line_items for line in print_lines(numbered, {})] in ([(1,), (2,)], [(2,), (1,)])


def test_what_an_agreement_takes_off_a_line_is_printed_with_it() -> None:
    line = priced(date(2026, 10, 2), "5", "1.00")
    taken_off = replace(line, kind="agreement", quantity=Decimal(-2), amount=-200, adjusts_id=1)
    (printed,) = print_lines([NumberedLine(1, line), NumberedLine(2, taken_off)], {})
    assert (printed.line_items, printed.amount) == ((1, 2), 300)


def test_what_an_agreement_shows_at_nothing_is_printed() -> None:
    shown = priced(date(2026, 10, 2), "5", "0.00", kind="agreement")
    assert [line.quantity for line in print_lines([NumberedLine(1, shown)], {})] == [Decimal(5)]


@pytest.mark.parametrize(("currency", "missing"), [("EUR", "-0.01"), ("KWD", "-0.001")])
def test_rounding_has_the_tax_and_the_decimals_of_what_it_makes_up_for(
    currency: str, missing: str
) -> None:
    on = date(2026, 10, 2)
    line = priced(on, "0.25", "0.33333", currency=currency, grouping=("A",), tax="DE19 19 %")
    _, rounding = print_lines([NumberedLine(number, line) for number in (1, 2, 3)], {})
    assert (rounding.description, rounding.tax, rounding.amount) == (ROUNDING, "DE19 19 %", -1)
    assert rounding.unit_price == Decimal(missing)
