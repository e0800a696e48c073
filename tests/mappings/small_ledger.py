"""A ledger in memory: entries that are logged, edited, removed and billed, and their agreements.

It does what `ledger.subjects` and `ledger.sums` do with a database, so that a property can be tried
on thousands of histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ledger.corrections import KnownLine, LineItem, plan, towards
from ledger.money import line_amount
from ledger.sums import Agreement, difference
from mappings.periods import period_of
from mappings.reading import Place

AT = Place("acme.yaml", 3, 5)
VERSION = "v1"


def entry(on: date, quantity: str, price: str, **other: Any) -> LineItem:
    """Return a priced entry, billed by the month."""
    currency, period = other.pop("currency", "EUR"), period_of("monthly", on)
    made = LineItem(
        customer="acme",
        project="ACME",
        item="ACME-7",
        person="Ana",
        on=on,
        description=f"work at {price}",
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        currency=currency,
        amount=line_amount(Decimal(quantity), Decimal(price), currency).minor,
        seconds=0,
        rule="Hours",
        mapping_version=VERSION,
        grouping=(),
        schedule="monthly",
        period_from=period.start,
        period_to=period.end,
        steps=(),
        event_id=None,
    )
    return replace(made, **other)


class SmallLedger:
    """Entries by subject, with the agreement lines that they call for."""

    def __init__(self, agreements: Sequence[Agreement]) -> None:
        self.agreements = agreements
        self.known: list[KnownLine] = []
        self._subject_of: dict[int, int] = {}
        self._numbers = 0

    def tell(self, subject: int, line: LineItem | None) -> None:
        """Log or edit an entry; None removes it. Then bring the agreements in line."""
        mine = [each for each in self.known if self._subject_of.get(each.id) == subject]
        change = plan(
            mine, [] if line is None else [replace(line, event_id=subject)], event_id=subject
        )
        self.known = [each for each in self.known if each.id not in change.withdraw]
        for added in change.add:
            self._subject_of[self._add(added)] = subject
        self.assemble()

    def bill(self, period_from: date) -> None:
        """Bill what is open of a billing period."""
        self.known = [
            replace(each, is_billed=each.is_billed or each.line.period_from == period_from)
            for each in self.known
        ]
        self.assemble()

    def assemble(self) -> None:
        """Bring the agreement lines in line with the entries."""
        standing = [each for each in self.known if each.line.kind == "agreement"]
        base = [each for each in self.known if each.line.kind != "agreement"]
        wanted: list[LineItem] = []
        for agreement in self.agreements:
            wanted += agreement.wanted([*base, *(KnownLine(0, False, line) for line in wanted)])
        billed = [each.line for each in standing if each.is_billed]
        change = towards(standing, difference(wanted, billed))
        self.known = [each for each in self.known if each.id not in change.withdraw]
        for line in change.add:
            self._add(line)

    def _add(self, line: LineItem) -> int:
        self._numbers += 1
        self.known.append(KnownLine(self._numbers, False, line))
        return self._numbers

    @property
    def lines(self) -> list[LineItem]:
        """Return all lines that stand, billed or not."""
        return [each.line for each in self.known]

    def entries(self) -> list[LineItem]:
        """Return the entries alone, with what takes some of them back."""
        return [line for line in self.lines if line.kind != "agreement"]

    def agreed(self) -> list[LineItem]:
        """Return the agreement lines alone."""
        return [line for line in self.lines if line.kind == "agreement"]


def total(lines: Iterable[LineItem]) -> int:
    """Return what lines come to."""
    return sum(line.amount for line in lines)


def amounts_are_right(lines: Iterable[LineItem]) -> bool:
    """Return whether each amount is quantity x unit price."""
    return all(
        line_amount(line.quantity, line.unit_price, line.currency).minor == line.amount
        for line in lines
    )


days = st.dates(date(2026, 1, 1), date(2026, 5, 31))
PRICES = ("120.00", "80.00", "99.99", "0.33333")


def worked(prices: Sequence[str] = PRICES, **other: st.SearchStrategy[Any]) -> Any:
    """Return a strategy for entries of a few months, some of them printed together."""
    return st.builds(
        entry,
        days,
        st.integers(1, 160).map(lambda quarters: str(Decimal(quarters) / 4)),
        st.sampled_from(prices),
        grouping=st.sampled_from([(), ("ACME-7",)]),
        **other,
    )


def histories(entries: Any) -> Any:
    """Return a strategy for what happens: (subject, entry or None), or a month that is billed."""
    months = st.sampled_from([date(2026, month, 1) for month in range(1, 7)])
    told = st.tuples(st.integers(1, 6), st.none() | entries)
    return st.lists(told | told | months, min_size=1, max_size=12)


def play(ledger: SmallLedger, history: Iterable[Any]) -> None:
    """Let a history happen."""
    for act in history:
        if isinstance(act, date):
            ledger.bill(act)
        else:
            ledger.tell(*act)


def all_at_once(agreements: Sequence[Agreement], present: Iterable[LineItem]) -> SmallLedger:
    """Return the ledger of entries of which nothing was billed or changed before the last came."""
    ledger = SmallLedger(agreements)
    for number, line in enumerate(present, 1):
        ledger.tell(number, line)
    return ledger
