"""`flask audit`: every invariant of the ledger, checked on one snapshot of the database.

Nothing is written. What is looked at together is one check in a file of its own, beside the
invariants that it names; a new promise is a new line in `INVARIANTS`. What other systems say is
compared in `remote.py`. `docs/audit.md` lists the invariants with what proves them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
    recorded,
    resting,
    rules,
    secrecy,
    states,
)
from .chain import Anchor
from .figures import Figures, count_all, unbalanced
from .prices import PriceAgain, SumAgain
from .violations import NO_LIMIT, Check, Invariant, Violation

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
    recorded.RECORDED,
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
    recorded.find,
    chain.find,
    secrecy.find,
)
Task = Callable[[Connection], Iterable[Violation]]
"""A part of the audit: yields what it finds on a snapshot."""


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
    """Check the whole ledger, one check after the other.

    With `price_again` lines are priced again under their own rules, with `sum_again` pools are
    summed up again; with `anchor` the audit log is held against it. A large ledger is checked by
    several processes, see `side_by_side.py`.
    """
    counted = count_all(connection)
    parts = tasks(now, price_again=price_again, sum_again=sum_again, anchor=anchor)
    found = (each for part in parts for each in some(part(connection)))
    return together(found, counted)


def tasks(
    now: datetime,
    *,
    price_again: PriceAgain | None = None,
    sum_again: SumAgain | None = None,
    anchor: Anchor | None = None,
    invoices: Sequence[tuple[int, int]] = ((0, NO_LIMIT),),
    lines: Sequence[tuple[int, int]] = ((0, NO_LIMIT),),
) -> list[Task]:
    """Return all that there is to check, the longest first.

    What takes long is divided: printing again by the ids of `invoices`, pricing again by those of
    `lines`, each a first and a last one.
    """
    found: list[Task] = []
    if price_again is not None:
        found += [
            partial(prices.priced_again, price_again=price_again, first=first, last=last)
            for first, last in lines
        ]
    found += [partial(contents.printed_again, first=first, last=last) for first, last in invoices]
    if sum_again is not None:
        found.append(partial(prices.summed_again, sum_again=sum_again))
    found += [_at(check, now) for check in CHECKS]
    if anchor is not None:
        found.append(partial(chain.not_anchored, anchor=anchor))
    return found


def _at(check: Check, now: datetime) -> Task:
    return lambda connection: check(connection, now)


def some(violations: Iterable[Violation]) -> Iterator[Violation]:
    """Yield at most `MOST_SHOWN` violations of each invariant."""
    kept: Counter[str] = Counter()
    for each in violations:
        kept[each.invariant] += 1
        if kept[each.invariant] <= MOST_SHOWN:
            yield each


def together(found: Iterable[Violation], counted: Figures) -> Audit:
    """Return the outcome, in the order of `INVARIANTS`, however the tasks came to their end."""
    place = {invariant.name: at for at, invariant in enumerate(INVARIANTS)}
    every = sorted(
        (*found, *unbalanced(counted)), key=lambda each: (place[each.invariant], each.entity)
    )
    return Audit(list(some(every)), counted)
