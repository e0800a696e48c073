"""Every amount is explained, by its rule, the version of the rules and its event.

`find` looks at what is stored. `priced_again` asks the rules themselves, which the ledger
does not know: the caller brings them along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from ..corrections import LineItem
from ..deliveries import event_from_row
from ..errors import ConfigurationError
from ..events import Event, Fact
from ..facts import fact_from_row
from ..money import line_amount
from ..subjects import known_line
from ..sums import not_summed_up
from ..tables import (
    customer,
    delivery,
    draft_edit,
    event,
    fact,
    line_item,
    mapping_version,
    subject,
)
from .violations import NO_LIMIT, Invariant, Violation, row_by_row, stream

PRICES: Final = Invariant(
    "prices",
    "the amount of each line is quantity x unit price, rounded once",
    "do not approve the draft that the line is on; `flask events remap` prices open lines again",
)
ORIGINS: Final = Invariant(
    "origins",
    "each line names its rule, its version of the rules, and an event of its subject with its "
    "delivery",
    "rows were deleted: take them from a backup; without them nobody can explain the amount",
)
PRICED_AGAIN: Final = Invariant(
    "priced again",
    "the rules that priced a line give the same line again",
    "do not approve the draft; `flask invoices explain` shows the steps, `flask events remap` "
    "prices open lines again",
)
SUMS: Final = Invariant(
    "sums",
    "the sums of a pool are what its lines come to under their own rules",
    "a worker that assembles the customer again brings them in line (`flask rules activate`)",
)
_LINE: Final = (line_item.c.id, line_item.c.amount, line_item.c.currency)
_IS_BY_HAND: Final = line_item.c.kind == "discount"
_IS_OF_ONE_FACT: Final = line_item.c.kind.in_(("entry", "counted"))


@dataclass(frozen=True, slots=True)
class Price:
    """What rules make of an event."""

    customer: str
    rule: str
    quantity: Decimal
    unit_price: Decimal
    currency: str
    amount: int
    """Minor units."""
    kind: str = "entry"
    pool: str = ""
    tax: str = ""
    coding: str = ""


PriceAgain = Callable[[str, Event], Sequence[Price]]
"""Prices an event under a version of the rules: one price for each payer, none if it is not billed.

Raises KeyError for a version that is not there, ConfigurationError for one that cannot be read.
"""


SumAgain = Callable[[str, str, Sequence[LineItem]], Sequence[LineItem]]
"""Sums up the lines of a pool of a customer under a version of the rules: see `sums.SumUp`.

Raises KeyError for a version that is not there, ConfigurationError for one that cannot be read.
"""


# Equal lines are looked at together: a million entries have few different prices.
_PRICE: Final = tuple(
    line_item.c[name] for name in ("kind", "quantity", "unit_price", "currency", "amount")
)
_DIFFERENT_PRICES: Final = select(
    *_PRICE, func.min(line_item.c.id).label("id"), func.count().label("count")
).group_by(*_PRICE)
_WITHOUT_ORIGIN: Final = (
    select(*_LINE)
    .outerjoin(subject, subject.c.id == line_item.c.subject_id)
    .outerjoin(
        event,
        and_(
            event.c.id == line_item.c.event_id,
            event.c.endpoint == subject.c.endpoint,
            event.c.subject == subject.c.name,
        ),
    )
    .outerjoin(delivery, delivery.c.id == event.c.delivery_id)
    .outerjoin(
        draft_edit,
        and_(draft_edit.c.id == line_item.c.edit_id, draft_edit.c.kind == line_item.c.kind),
    )
    .outerjoin(mapping_version, mapping_version.c.version == line_item.c.mapping_version)
    .where(
        or_(
            func.trim(line_item.c.rule) == "",
            mapping_version.c.version.is_(None),
            and_(_IS_OF_ONE_FACT, delivery.c.id.is_(None)),
            and_(~_IS_OF_ONE_FACT, ~_IS_BY_HAND, line_item.c.pool == ""),
            and_(_IS_BY_HAND, line_item.c.corrects_id.is_(None), draft_edit.c.id.is_(None)),
        )
    )
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield lines with an amount that is not quantity x unit price, or of unknown origin."""
    for row in stream(connection, _DIFFERENT_PRICES):
        right = line_amount(row["quantity"], row["unit_price"], row["currency"]).minor
        if row["kind"] == "counted":
            # Its pool bills it.
            right = 0
        if right != row["amount"]:
            others = f" (and {row['count'] - 1} equal lines)" if row["count"] > 1 else ""
            yield PRICES.broken(
                f"line_item:{row['id']}",
                f"{row['quantity']} x {row['unit_price']} {row['currency']} is {right} minor "
                f"units, not {row['amount']}{others}",
                (row["amount"] - right) * row["count"],
                row["currency"],
            )
    for row in stream(connection, _WITHOUT_ORIGIN):
        yield ORIGINS.broken(
            f"line_item:{row['id']}",
            "names no rule, no version of the rules or no event of its subject",
            row["amount"],
            row["currency"],
        )


def priced_again(
    connection: Connection, price_again: PriceAgain, first: int = 0, last: int = NO_LIMIT
) -> Iterator[Violation]:
    """Yield lines that their own version of the rules prices differently today.

    `first` and `last` bound their ids.

    Only lines are priced again of which everything is still there that the rules saw: open
    lines of a priced subject, and billed ones whose event leaves nothing to be filled in
    from facts, for those may have changed since. What takes a line back mirrors it, and a
    cumulative time is billed by its change; both have their own checks.
    """
    unreadable: set[str] = set()
    for row in stream(connection, _priced_again_query(), {"first": first, "last": last}):
        line = Price(*_AS_PRICE(row))
        version = row["line_mapping_version"]
        try:
            again = price_again(version, _seen_by_rules(row))
        except (KeyError, ConfigurationError):
            if version not in unreadable:
                unreadable.add(version)
                yield PRICED_AGAIN.broken(
                    f"mapping_version:{version[:12]}", "cannot be read any more"
                )
            continue
        if line not in again:
            other = next((each for each in again if each.customer == line.customer), None)
            yield PRICED_AGAIN.broken(
                f"line_item:{row['line_id']}",
                f"is {_said(line)}, and its own rules now say {_said(other)}",
                line.amount - (other.amount if other else 0),
                line.currency,
            )


_AS_PRICE: Final = itemgetter(*(f"line_{name}" for name in Price.__dataclass_fields__))


@cache
def _priced_again_query() -> Any:
    is_present = and_(
        line_item.c.state == "open",
        subject.c.state == "priced",
        subject.c.event_id == line_item.c.event_id,
    )
    is_complete = and_(line_item.c.state == "billed", event.c.about.is_(None))
    return (
        select(
            event,
            *(line_item.c[name].label(f"line_{name}") for name in ("id", "mapping_version")),
            *(line_item.c[name].label(f"line_{name}") for name in Price.__dataclass_fields__),
            fact.c.state.label("fact_state"),
            *(fact.c[name].label(f"fact_{name}") for name in _FACT),
        )
        .join(event, event.c.id == line_item.c.event_id)
        .join(subject, subject.c.id == line_item.c.subject_id)
        .outerjoin(fact, and_(fact.c.endpoint == event.c.endpoint, fact.c.about == event.c.about))
        .where(
            line_item.c.id.between(bindparam("first"), bindparam("last")),
            line_item.c.corrects_id.is_(None),
            event.c.kind != "time.total",
            row_by_row(or_(is_present, is_complete)),
        )
    )


def summed_again(connection: Connection, sum_again: SumAgain) -> Iterator[Violation]:
    """Yield sums that are not what the lines of their pool come to under their own rules.

    While a customer waits, or has no rules any more, its sums lag behind.
    """
    query = (
        select(line_item)
        .join(customer, customer.c.key == line_item.c.customer)
        .where(
            line_item.c.pool != "",
            line_item.c.kind != "agreement",
            line_item.c.state != "withdrawn",
            customer.c.state == "settled",
            customer.c.reason.is_(None),
        )
        .order_by(line_item.c.customer, line_item.c.pool, line_item.c.id)
    )
    pools = groupby(stream(connection, query), key=lambda row: (row["customer"], row["pool"]))
    for (key, pool), rows in pools:
        lines = [known_line(row) for row in rows]
        named = next((each for each in lines if each.line.kind == "sum"), lines[0])
        try:
            missing = not_summed_up(lines, partial(sum_again, key))
        except (KeyError, ConfigurationError):
            missing, problem = [named.line], "comes from rules that cannot be read any more"
        else:
            amounts = ", ".join(
                f"{line.quantity} x {line.unit_price} {line.currency}" for line in missing
            )
            problem = f"is not what the lines of pool {pool} come to: {amounts} is missing"
        if missing:
            at_risk = sum(line.amount for line in missing)
            yield SUMS.broken(f"line_item:{named.id}", problem, at_risk, named.line.currency)


_FACT: Final = tuple(Fact.__dataclass_fields__)


def _seen_by_rules(row: Any) -> Event:
    told = event_from_row(row)
    if row["fact_state"] != "known":
        return told
    return told.filled_in(fact_from_row({name: row[f"fact_{name}"] for name in _FACT}))


def _said(price: Price | None) -> str:
    if price is None:
        return "nothing"
    return (
        f"{price.quantity} x {price.unit_price} {price.currency} for {price.customer} "
        f'by "{price.rule}"'
    )
