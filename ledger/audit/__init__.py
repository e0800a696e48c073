"""`flask audit`: every invariant of the ledger, checked on one snapshot of the database.

Nothing is written. Each invariant is one function in a file of its own; a new promise is a new
line in `INVARIANTS`. What other systems say is compared in `remote.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from . import balances, billing, chain, contents, intents, prices, resting, secrecy, states
from .chain import Anchor
from .prices import PriceAgain, SumAgain
from .violations import Invariant, Violation

__all__ = ["INVARIANTS", "Anchor", "Invariant", "PriceAgain", "SumAgain", "Violation", "audit"]

MOST_SHOWN: Final = 1000
"""The most violations of one invariant that are named; a broken ledger must fit into memory."""

INVARIANTS: Final = (
    Invariant(
        resting.NAME,
        "each delivery is normalized, ignored with a reason or listed as waiting, and nothing "
        "rests longer than 30 seconds unclaimed",
        resting.find,
    ),
    Invariant(
        balances.NAME,
        "billed + drafted + held + excluded time is the present value of each subject, of each "
        "customer and of all, to the second",
        balances.find,
    ),
    Invariant(
        billing.NAME,
        "no line is on two invoices, and what changes after billing is a new line that takes the "
        "old one back exactly",
        billing.find,
    ),
    Invariant(
        prices.NAME,
        "each line names its rule, its version of the rules and its event, and its amount is "
        "quantity x unit price",
        prices.find,
    ),
    Invariant(
        contents.NAME,
        "the amounts of the lines are the total of the invoice, in one currency",
        contents.find,
    ),
    Invariant(
        intents.NAME,
        "every outgoing change was written down before it was tried, and none is left uncertain",
        intents.find,
    ),
    Invariant(
        states.NAME,
        "no invoice moved along an edge that is not in the table, and approvals match what was "
        "approved and pushed",
        states.find,
    ),
    Invariant(
        chain.NAME,
        "the audit log is a hash chain without a gap that still holds what was anchored outside",
        chain.find,
    ),
    Invariant(secrecy.NAME, "no secret is kept in the ledger", secrecy.find),
)


def audit(
    connection: Connection,
    now: datetime,
    *,
    price_again: PriceAgain | None = None,
    sum_again: SumAgain | None = None,
    anchor: Anchor | None = None,
) -> list[Violation]:
    """Return what is wrong, at most `MOST_SHOWN` rows for each invariant.

    With `price_again` lines are priced again under their own rules, with `sum_again` pools are
    summed up again; with `anchor` the audit log is held against it.
    """
    found: list[Violation] = []
    for invariant in INVARIANTS:
        found += _some(invariant.find(connection, now))
        if price_again is not None and invariant.name == prices.NAME:
            found += _some(prices.priced_again(connection, price_again))
        if sum_again is not None and invariant.name == prices.NAME:
            found += _some(prices.summed_again(connection, sum_again))
        if anchor is not None and invariant.name == chain.NAME:
            found += _some(chain.not_anchored(connection, anchor))
    return found


def _some(violations: Iterator[Violation]) -> list[Violation]:
    return list(islice(violations, MOST_SHOWN))
