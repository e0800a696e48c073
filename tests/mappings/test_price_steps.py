"""Prices are exact, and their steps alone let the amount be calculated again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import canonical_json
from ledger.money import exponent, product
from mappings.book import Book
from mappings.pricing import Held, Priced
from tests.mappings.nordic import CONTRACT, Files, Logged, contract, expense, priced, reason

NUMBERS = st.decimals(0, 10**6, places=4, allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=60)
@given(price=NUMBERS, factors=st.lists(NUMBERS, max_size=4))
def test_a_product_is_exact_and_keeps_the_decimals_of_the_price(
    price: Decimal, factors: list[Decimal]
) -> None:
    exact = Fraction(price)
    for factor in factors:
        exact *= Fraction(factor)
    found = product(price, *factors)
    assert Fraction(found) == exact
    assert len(f"{found:f}".partition(".")[2]) >= 4


CALCULATED = re.compile(
    r"(?:^|: )([\d.]+) x ([\d.]+)(?: [A-Z]{3} per [A-Z]{3})? = ([\d.,]+)(?: ([A-Z]{3}))?"
)
GIVEN = re.compile(r"(?:rate|cost) ([\d.]+) [A-Z]{3} (?:per hour|as told)")


def calculated_again(line: Priced) -> Fraction:
    """Return the amount that the steps alone come to; every step follows from the one before."""
    known: set[Fraction] = set()
    amount = Fraction(0)
    for step in line.steps[1:]:
        if told := GIVEN.match(step):
            known.add(Fraction(told[1]))
        if found := CALCULATED.search(step):
            one, other, result = (Fraction(found[n].replace(",", "")) for n in (1, 2, 3))
            if found[4] is None:
                assert one in known or not known, step
                assert one * other == result, step
                known = {result}
            else:
                unit = 10 ** exponent(line.currency)
                assert result == Fraction(int(one * other * unit + Fraction(1, 2)), unit), step
                assert other in known or not known or f"{line.unit_price:f}" in step, step
                amount = result
    return amount


EVENTS = st.one_of(
    st.fixed_dictionaries(
        {
            "seconds": st.integers(0, 86_400),
            "on": st.dates(date(2026, 1, 1), date(2026, 6, 30)),
            "person": st.sampled_from(["5b10a", "5c20b"]),
            "project": st.sampled_from(["ACME", "SITE"]),
            "labels": st.sampled_from([(), ("on-call",)]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("expense.logged"),
            "seconds": st.none(),
            "project": st.sampled_from(["ACME", "SITE"]),
            "on": st.dates(date(2026, 1, 1), date(2026, 4, 30)),
            "fields": st.fixed_dictionaries(
                {"amount": NUMBERS.map(str), "currency": st.sampled_from(["EUR", "USD"])}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("usage.recorded"),
            "seconds": st.none(),
            "fields": st.fixed_dictionaries({"quantity": NUMBERS}),
        }
    ),
)


@settings(deadline=None, max_examples=60)
@given(said=EVENTS)
def test_the_steps_alone_let_the_amount_be_calculated_again(
    nordic: Book, files: Files, logged: Logged, said: dict[str, Any]
) -> None:
    event = logged(**said)
    outcome = nordic.price(event)
    # What is stored keeps decimals as text: it has the same price.
    stored = logged(**{**said, "fields": _as_stored(event.fields)})
    assert nordic.price(stored) == outcome
    if isinstance(outcome, Held):
        assert "exchange rate from USD to JPY" in outcome.reason
        return
    line = priced(outcome)
    unit = 10 ** exponent(line.currency)
    assert calculated_again(line) == Fraction(line.amount, unit)
    exact = Fraction(line.quantity) * Fraction(line.unit_price) * unit
    assert line.amount == int(exact + Fraction(1, 2))


def _as_stored(fields: Mapping[str, Any]) -> Any:
    return json.loads(canonical_json(dict(fields)))


@settings(deadline=None, max_examples=60)
@given(
    days=st.lists(st.integers(1, 28), min_size=1, max_size=6, unique=True),
    ends=st.integers(0, 28),
    on=st.integers(1, 28),
)
def test_a_pinned_exchange_rate_is_used_on_its_days_only(
    files: Files, logged: Logged, days: list[int], ends: int, on: int
) -> None:
    newest = max(days)
    until = f", until: 2026-03-{ends:02}" if ends >= newest else ""
    listed = "".join(
        f"  - {{from: USD, to: EUR, rate: 0.{day:02}, since: 2026-03-{day:02}, source: s"
        f"{until if day == newest else ''}}}\n"
        for day in days
    )
    book = contract(
        files,
        CONTRACT.partition("exchange_rates:")[0]
        + f"exchange_rates:\n{listed}rules:{CONTRACT.partition('rules:')[2]}",
    )
    outcome = book.price(
        expense(logged, {"amount": "100", "currency": "USD"}, on=date(2026, 3, on))
    )
    begun = [day for day in days if day <= on]
    if not begun or (until and newest <= on and on > ends):
        assert "no exchange rate from USD to EUR" in reason(outcome)
    else:
        assert priced(outcome).amount == max(begun) * 110
