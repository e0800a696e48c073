"""`ledger.corrections`: whatever happens to a subject, its lines add up to its present value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from ledger.corrections import (
    KnownLine,
    LineItem,
    Plan,
    plan,
    plan_beside,
    remaining,
    standing,
    taking_back,
)
from ledger.money import hours, line_amount
from ledger.tables import line_item, subject
from tests.examples import examples
from tests.ledger.seed import SmallFirm, completed, logged, removed


def priced(seconds: int, *, customer: str = "acme", hourly: str = "120.00") -> LineItem:
    """Return what an entry is worth."""
    quantity, unit_price = hours(seconds), Decimal(hourly)
    return LineItem(
        customer=customer,
        project="ACME",
        item="ACME-7",
        person="ana",
        on=date(2026, 10, 5),
        description="work",
        quantity=quantity,
        unit_price=unit_price,
        currency="EUR",
        amount=line_amount(quantity, unit_price, "EUR").minor,
        seconds=seconds,
        rule="Hours",
        mapping_version="1",
        grouping=(),
        schedule="monthly",
        period_from=date(2026, 10, 1),
        period_to=date(2026, 10, 31),
        steps=(),
        event_id=1,
    )


def fixed(seconds: int) -> LineItem:
    """Return what an entry is worth that has a fixed price, however long it took."""
    return replace(priced(3600, hourly="4500.00"), seconds=seconds)


durations = st.sampled_from([0, 1, 899, 3000, 3600])
worth = (
    st.none()
    | st.builds(fixed, durations)
    | st.builds(
        priced,
        durations,
        customer=st.sampled_from(["acme", "beta"]),
        hourly=st.sampled_from(["120.00", "99.99", "0.00"]),
    )
)


class Subject(RuleBasedStateMachine):
    """One subject with its lines, as the ledger keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[KnownLine] = []
        self.billed: dict[int, LineItem] = {}
        self.present: LineItem | None = None
        self.is_held = False
        self.numbers = 0

    def carry_out(self, change: Plan) -> None:
        assert not set(change.withdraw) & set(self.billed)
        self.lines = [each for each in self.lines if each.id not in change.withdraw]
        for line in change.add:
            self.numbers += 1
            self.lines.append(KnownLine(self.numbers, False, line))

    @rule(wanted=worth)
    def is_told(self, wanted: LineItem | None) -> None:
        """An edit, a removal (None), a move to another customer or another rate."""
        change = plan(self.lines, [wanted] if wanted else [], event_id=2)
        self.carry_out(change)
        self.present, self.is_held = wanted, False
        assert plan(self.lines, [wanted] if wanted else [], event_id=2) == Plan()

    @rule()
    def is_held_for_a_person(self) -> None:
        self.carry_out(plan_beside(self.lines, ()))
        self.is_held = True
        assert plan_beside(self.lines, ()) == Plan()
        assert all(each.is_billed for each in self.lines)

    @precondition(lambda self: any(not each.is_billed for each in self.lines))
    @rule(data=st.data())
    def some_lines_are_billed(self, data: st.DataObject) -> None:
        open_lines = [each for each in self.lines if not each.is_billed]
        chosen = data.draw(st.lists(st.sampled_from(open_lines), min_size=1, unique=True))
        self.lines = [
            replace(each, is_billed=True) if each in chosen else each for each in self.lines
        ]
        self.billed |= {each.id: each.line for each in chosen}

    @invariant()
    def lines_add_up_to_the_present_value(self) -> None:
        if self.is_held:
            return
        seconds: Counter[str] = Counter()
        money: Counter[str] = Counter()
        for each in self.lines:
            seconds[each.line.customer] += each.line.seconds
            money[each.line.customer] += each.line.amount
        if self.present is not None:
            seconds[self.present.customer] -= self.present.seconds
            money[self.present.customer] -= self.present.amount
        assert not any(seconds.values())
        assert not any(money.values())

    @invariant()
    def a_billed_line_never_changes(self) -> None:
        assert {each.id: each.line for each in self.lines if each.is_billed} == self.billed

    @invariant()
    def nothing_is_taken_back_twice(self) -> None:
        taken = [each.line.corrects_id for each in self.lines if each.line.corrects_id is not None]
        assert len(taken) == len(set(taken))
        assert set(taken) <= set(self.billed)


Subject.TestCase.settings = settings(
    max_examples=examples(200), stateful_step_count=25, deadline=None
)
test_lines_follow_their_subject = Subject.TestCase


class VoidableSubject(RuleBasedStateMachine):
    """One subject whose lines go out on invoices, any of which may be void at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[KnownLine] = []
        self.invoice_of: dict[int, int] = {}
        self.void: set[int] = set()
        self.present: LineItem | None = None
        self.numbers = self.invoices = 0

    def follow(self) -> None:
        """Bring the lines in line with the present value."""
        wanted = [self.present] if self.present else []
        change = plan(self.lines, wanted, event_id=2)
        assert not set(change.withdraw) & set(self.invoice_of)
        self.lines = [each for each in self.lines if each.id not in change.withdraw]
        for line in change.add:
            self.add(line)
        assert plan(self.lines, wanted, event_id=2) == Plan()

    def add(self, line: LineItem, *, is_released: bool = False) -> int:
        self.numbers += 1
        self.lines.append(KnownLine(self.numbers, is_released, line, is_released))
        return self.numbers

    @rule(wanted=worth)
    def is_told(self, wanted: LineItem | None) -> None:
        """An edit, a removal (None), a move to another customer or another rate."""
        self.present = wanted
        self.follow()

    @precondition(lambda self: any(not each.is_billed for each in self.lines))
    @rule(data=st.data())
    def some_lines_are_billed(self, data: st.DataObject) -> None:
        open_lines = [each for each in self.lines if not each.is_billed]
        chosen = data.draw(st.lists(st.sampled_from(open_lines), min_size=1, unique=True))
        self.invoices += 1
        self.lines = [
            replace(each, is_billed=True) if each in chosen else each for each in self.lines
        ]
        self.invoice_of |= {each.id: self.invoices for each in chosen}

    @precondition(lambda self: self.invoices > len(self.void))
    @rule(data=st.data())
    def an_invoice_is_void(self, data: st.DataObject) -> None:
        left = sorted(set(range(1, self.invoices + 1)) - self.void)
        number = data.draw(st.sampled_from(left))
        self.void.add(number)
        on_it = [each for each in self.lines if self.invoice_of.get(each.id) == number]
        for each in remaining(on_it):
            self.invoice_of[self.add(taking_back(each, 1), is_released=True)] = number
        self.follow()

    @invariant()
    def what_the_customers_owe_is_the_present_value(self) -> None:
        """Void invoices left out, as the customers see it; and all lines together."""
        for lines in (
            self.lines,
            [each for each in self.lines if self.invoice_of.get(each.id) not in self.void],
        ):
            owed: Counter[str] = Counter()
            for each in lines:
                owed[each.line.customer] += each.line.amount
            if self.present is not None:
                owed[self.present.customer] -= self.present.amount
            assert not any(owed.values())

    @invariant()
    def no_line_is_taken_back_twice(self) -> None:
        """It is what the unique indexes of the database ask for."""
        corrections = [each for each in self.lines if each.line.corrects_id is not None]
        keys = [(each.line.corrects_id, each.line.again, each.is_released) for each in corrections]
        assert len(keys) == len(set(keys))


VoidableSubject.TestCase.settings = settings(
    max_examples=examples(100), stateful_step_count=15, deadline=None
)
test_void_invoices_leave_the_present_value_owed = VoidableSubject.TestCase


@given(st.integers(0, 100_000), st.sampled_from(["120.00", "99.99", "0.33"]))
def test_a_line_is_taken_back_to_the_last_minor_unit(seconds: int, hourly: str) -> None:
    line = priced(seconds, hourly=hourly)
    back = taking_back(KnownLine(7, True, line), 2)
    assert (back.amount, back.seconds, back.corrects_id) == (-line.amount, -line.seconds, 7)
    assert back.amount == line_amount(back.quantity, back.unit_price, "EUR").minor


def test_what_the_customer_does_not_notice_is_no_correction() -> None:
    billed = KnownLine(1, True, priced(3600))
    reworded = replace(priced(3600), description="the same, better said", rule="Renamed")
    assert plan([billed], [reworded], event_id=2) == Plan()


def test_a_change_after_billing_is_a_line_back_and_a_new_one() -> None:
    billed = KnownLine(1, True, priced(3600))
    change = plan([billed], [priced(1800)], event_id=2)
    assert [line.amount for line in change.add] == [-12000, 6000]
    assert standing([billed]) == [billed]


@pytest.fixture
def firm(database_url: str) -> Iterator[SmallFirm]:
    """Give the small firm before its first day."""
    firm = SmallFirm(database_url)
    yield firm
    firm.close()


def lines_of(firm: SmallFirm, name: str) -> list[tuple[str, int, int]]:
    """Return state, seconds and amount of a subject's lines that still count."""
    query = (
        select(line_item.c.state, line_item.c.seconds, line_item.c.amount)
        .join(subject, subject.c.id == line_item.c.subject_id)
        .where(subject.c.name == name, line_item.c.state != "withdrawn")
        .order_by(line_item.c.id)
    )
    with firm.database.read() as connection:
        return [(row.state, row.seconds, row.amount) for row in connection.execute(query)]


def test_an_edit_before_billing_replaces_the_line(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.tell(logged("worklog:1", 1800, version=2))
    assert lines_of(firm, "worklog:1") == [("open", 1800, 6000)]


def test_an_edit_after_billing_leaves_the_billed_line_alone(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600), completed("milestone:1"))
    firm.bill("acme-2026-10")
    firm.tell(logged("worklog:1", 1800, version=2))
    assert lines_of(firm, "worklog:1") == [
        ("billed", 3600, 12000),
        ("open", -3600, -12000),
        ("open", 1800, 6000),
    ]


def test_a_second_edit_before_the_next_invoice_replaces_only_the_new_line(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.bill("acme-2026-10")
    firm.tell(logged("worklog:1", 1800, version=2))
    firm.tell(logged("worklog:1", 3600, version=3))
    assert lines_of(firm, "worklog:1") == [("billed", 3600, 12000)]


def test_a_move_after_billing_takes_back_there_and_bills_here(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.bill("acme-2026-10")
    firm.tell(logged("worklog:1", 3600, version=2, project="BETA"))
    assert lines_of(firm, "worklog:1") == [
        ("billed", 3600, 12000),
        ("open", -3600, -12000),
        ("open", 3600, 120),
    ]
    assert set(firm.invoices()) == {"acme-2026-10", "acme-2026-11", "beta-2026-10"}


def test_an_entry_that_is_removed_after_billing_is_taken_back_and_waits_for_a_person(
    firm: SmallFirm,
) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.bill("acme-2026-10")
    firm.tell(removed("worklog:1", version=2))
    assert lines_of(firm, "worklog:1") == [("billed", 3600, 12000), ("open", -3600, -12000)]
    assert firm.invoices()["acme-2026-11"]["state"] == "blocked"


def test_a_line_that_is_billed_while_it_is_priced_anew_is_seen(firm: SmallFirm) -> None:
    firm.tell(logged("worklog:1", 3600))
    firm.approve("acme-2026-10")
    firm.deliver(logged("worklog:1", 1800, version=2))
    firm.push("acme-2026-10")
    firm.settle()
    assert [state for state, _, _ in lines_of(firm, "worklog:1")] == ["billed", "open", "open"]
