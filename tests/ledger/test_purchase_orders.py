"""A purchase order warns from its threshold on, and no draft that adds to it goes over it."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.purchase_orders import PurchaseOrder, Use, not_counted, too_late

AMOUNTS = st.integers(-100_000, 1_000_000)
ORDERS = st.builds(
    PurchaseOrder,
    st.just("PO-1"),
    st.integers(1, 1_000_000),
    st.decimals(0, 100, places=2),
)


@given(ORDERS, AMOUNTS, AMOUNTS)
def test_what_is_over_the_budget_is_blocked_and_only_that(
    order: PurchaseOrder, before: int, this: int
) -> None:
    use = Use(order, before, this, "EUR")
    assert order.budget is not None
    assert bool(use.reasons()) == (before + this > order.budget and this > 0)
    warns = Fraction(before + this, order.budget) * 100 >= Fraction(order.warn_at)
    assert bool(use.warnings()) == warns
    assert (use.as_json() or {})["used"] == before + this


@pytest.mark.parametrize(
    ("before", "this", "warns", "blocks"),
    [
        (0, 7999, False, False),
        (0, 8000, True, False),
        (7999, 1, True, False),
        (5000, 5000, True, False),
        (5000, 5001, True, True),
        (10_001, 0, True, False),
        (20_000, -500, True, False),
    ],
)
def test_the_thresholds_are_exact(before: int, this: int, warns: bool, blocks: bool) -> None:
    use = Use(PurchaseOrder("PO-1", 10_000), before, this, "EUR")
    assert (bool(use.warnings()), bool(use.reasons())) == (warns, blocks)


def test_without_a_budget_there_is_nothing_to_say() -> None:
    use = Use(PurchaseOrder("PO-1"), 10_000, 10_000, "EUR")
    assert (use.reasons(), use.warnings(), use.as_json()) == ([], [], None)


def test_the_last_day_of_an_order_is_included() -> None:
    order = PurchaseOrder("PO-1", until=date(2026, 10, 13))
    assert too_late(order, [date(2026, 10, 13), date(2026, 1, 1)]) == []
    (reason,) = too_late(order, [date(2026, 10, 15), date(2026, 10, 14), date(2026, 10, 1)])
    assert "there is work of 2026-10-15 - ask the customer for a new order" in reason
    assert too_late(PurchaseOrder("PO-1"), [date.max]) == []


def test_a_draft_in_another_currency_is_not_counted_and_a_person_is_told() -> None:
    order = PurchaseOrder("PO-1", 10_000)
    assert not_counted(order, "EUR", "EUR") == []
    assert not_counted(PurchaseOrder("PO-1"), "USD", "EUR") == []
    (warning,) = not_counted(order, "USD", "EUR")
    assert warning.startswith("purchase order PO-1 has its budget in EUR: this draft in USD")
