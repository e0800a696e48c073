"""`flask audit`: every invariant of the ledger, checked on one snapshot of the database.

Nothing is written. What is looked at together is one check in a file of its own, beside the
invariants that it names; a new promise is a new line in `INVARIANTS`. What other systems say is
compared in `remote.py`. `docs/audit.md` lists the invariants with what proves them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from . import (
    arrivals,
    balances,
    billing,
    chain,
    contents,
    intents,
    order,
    paid,
    prices,
    reasons,
    resting,
    rules,
    secrecy,
    states,
)
from .chain import Anchor
from .figures import Figures, count_all, unbalanced
from .prices import PriceAgain, SumAgain
from .violations import Check, Invariant, Violation

__all__ = [
    "INVARIANTS",
    "Anchor",
    "Audit",
    "Invariant",
    "PriceAgain",
    "SumAgain",
    "Violation",
    "audit",
    "examine",
]

MOST_SHOWN: Final = 1000
"""The most violations of one invariant that are named; a broken ledger must fit into memory."""

INVARIANTS: Final = (
    arrivals.DELIVERIES,
    arrivals.BODIES,
    reasons.REASONS,
    resting.RESTING,
    resting.ATTEMPTS,
    balances.PRESENT,
    balances.TIME,
    billing.BILLED_ONCE,
    billing.PLACES,
    billing.CORRECTIONS,
    prices.PRICES,
    prices.ORIGINS,
    prices.PRICED_AGAIN,
    prices.SUMS,
    rules.RULES,
    contents.CONTENTS,
    contents.PRINTING,
    contents.ONE_CURRENCY,
    contents.FROZEN,
    states.STATES,
    states.APPROVALS,
    intents.INTENTS,
    intents.DOUBTS,
    intents.REMOTE_IDS,
    order.ORDER,
    paid.PAID,
    chain.AUDIT_LOG,
    secrecy.SECRETS,
)
"""All of them, in the order of the line."""
CHECKS: Final[tuple[Check, ...]] = (
    arrivals.find,
    reasons.find,
    resting.find,
    balances.find,
    billing.find,
    prices.find,
    rules.find,
    contents.find,
    states.find,
    intents.find,
    order.find,
    paid.find,
    chain.find,
    secrecy.find,
)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit has found."""

    violations: list[Violation]
    """In the order of `INVARIANTS`, of each at most `MOST_SHOWN`."""
    figures: Figures


def audit(
    connection: Connection,
    now: datetime,
    *,
    price_again: PriceAgain | None = None,
    sum_again: SumAgain | None = None,
    anchor: Anchor | None = None,
) -> list[Violation]:
    """Return what is wrong: the violations of `examine`."""
    found = examine(connection, now, price_again=price_again, sum_again=sum_again, anchor=anchor)
    return found.violations


def examine(
    connection: Connection,
    now: datetime,
    *,
    price_again: PriceAgain | None = None,
    sum_again: SumAgain | None = None,
    anchor: Anchor | None = None,
) -> Audit:
    """Check the whole ledger.

    With `price_again` lines are priced again under their own rules, with `sum_again` pools are
    summed up again; with `anchor` the audit log is held against it.
    """
    found: list[Iterable[Violation]] = [check(connection, now) for check in CHECKS]
    if price_again is not None:
        found.append(prices.priced_again(connection, price_again))
    if sum_again is not None:
        found.append(prices.summed_again(connection, sum_again))
    if anchor is not None:
        found.append(chain.not_anchored(connection, anchor))
    counted = count_all(connection)
    found.append(unbalanced(counted))
    return Audit(_some(found), counted)


def _some(found: Iterable[Iterable[Violation]]) -> list[Violation]:
    kept: Counter[str] = Counter()
    place = {invariant.name: at for at, invariant in enumerate(INVARIANTS)}

    def named(violations: Iterable[Violation]) -> Iterator[Violation]:
        # A check names one or a few invariants: when it has said enough of one, it goes on.
        for each in violations:
            kept[each.invariant] += 1
            if kept[each.invariant] <= MOST_SHOWN:
                yield each

    every = [each for violations in found for each in named(violations)]
    return sorted(every, key=lambda each: place[each.invariant])
