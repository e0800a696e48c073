"""What line items come to together: sums of counted entries, and what agreements add or take off.

An entry that is *counted* has no price of its own. It counts into its pool (all usage of a month,
all hours that a person worked on a day), and what the pool comes to stands on *sum* lines.
*Agreements* (a cap, prepaid hours, a minimum) look at priced lines together and change what is due
with lines of their own. What a pool or an agreement is worth is calculated in `mappings/`; here it
becomes line items that add up to it, however the entries are spread over invoices.

Called by `assembly.py`, which has the customer claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from sqlalchemy import Connection, and_, insert, or_, select

from .corrections import KnownLine, LineItem, towards
from .money import line_amount
from .subjects import line_from_row, line_row, withdraw_lines
from .tables import line_item

ROUNDING: Final = "Rounding"
"""The text of a line that makes up for rounding."""
HELD: Final = "held: "
"""What the pool of agreement lines begins with that keep work back until a person decides."""
HELD_OVER_A_CAP: Final = (
    "what is over a cap is held back - raise at_most: under caps:, or write over_the_cap: show"
)
TAKEN_BACK: Final = "Taken back: "
"""What the text of an agreement line begins with where less of it is wanted than was billed."""
_MOST_POOLS: Final = 500

SumUp = Callable[[str, Sequence[LineItem]], Sequence[LineItem]]
"""Returns what the counted lines of a pool come to under a version of the rules: sum lines, one for
each text and price.

Pure, and the same in whatever order the lines come. A line that takes a counted one back is among
them, with a negative quantity. Without any line, or where they cancel out, nothing is due.
"""


def nothing_counts(version: str, counted: Sequence[LineItem]) -> Sequence[LineItem]:  # noqa: ARG001
    """Return what pools come to where no rule counts anything: nothing."""
    return ()


class Agreement(Protocol):
    """A clause of a contract that looks at several priced lines together."""

    @property
    def is_for_ever(self) -> bool:
        """Whether lines of all periods count (a project's cap), or each period stands alone."""
        ...

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return the agreement lines that these priced lines call for, their pool named.

        Pure. The lines are entries, sums, and what earlier agreements want; those of a period come
        together, in no particular order. Which of them are billed already is known, so that what
        stands on an invoice is left as it is as long as possible.
        """
        ...


def bring_in_line(
    connection: Connection,
    customer: str,
    sum_up: SumUp,
    agreements: Sequence[Agreement],
    now: datetime,
) -> None:
    """Bring the open sums and agreement lines of a customer in line with its other lines.

    Raise StaleClaimError if a line was billed meanwhile.
    """
    lines = _open(connection, customer)
    pools = sorted({each.line.pool for each in lines if each.line.kind in ("counted", "sum")})
    if pools:
        counted = [*lines, *_billed_in(connection, customer, pools)]
        for pool in pools:
            in_pool = [each for each in counted if each.line.pool == pool]
            _sum_up(connection, in_pool, sum_up, now)
        lines = _open(connection, customer)
    if agreements or any(each.line.kind == "agreement" for each in lines):
        _agree(connection, customer, lines, agreements, now)


def brought_together(
    lines: Sequence[LineItem], sum_up: SumUp, agreements: Sequence[Agreement]
) -> list[KnownLine]:
    """Return lines of which nothing is billed, numbered, with the sums and agreement lines beside.

    It is what `bring_in_line` stores, in memory: for the tests in rule files, and for tests of it.
    """
    known = [KnownLine(number, False, line) for number, line in enumerate(lines, 1)]
    pools = sorted({line.pool for line in lines if line.kind == "counted"})
    for pool in pools:
        counted = [line for line in lines if line.kind == "counted" and line.pool == pool]
        due = difference(sum_up(counted[-1].mapping_version, counted), ())
        known += [KnownLine(len(known) + at, False, line) for at, line in enumerate(due, 1)]
    due = _wanted(known, agreements)
    return known + [KnownLine(len(known) + at, False, line) for at, line in enumerate(due, 1)]


def _sum_up(
    connection: Connection, lines: Sequence[KnownLine], sum_up: SumUp, now: datetime
) -> None:
    counted = [each for each in lines if each.line.kind == "counted"]
    billed = [each.line for each in counted if each.is_billed]
    if counted:
        # The rules of the line that was judged last.
        last = max(counted, key=lambda each: (not each.is_billed, each.id))
        version = last.line.mapping_version
        # The difference is taken between two sums by the same rules: rules that have changed
        # since never price again what is billed.
        due = difference(
            sum_up(version, [each.line for each in counted]),
            sum_up(version, billed) if billed else (),
        )
    else:
        due = []
    _store(connection, [each for each in lines if each.line.kind == "sum"], due, now)


def _agree(
    connection: Connection,
    customer: str,
    lines: Sequence[KnownLine],
    agreements: Sequence[Agreement],
    now: datetime,
) -> None:
    periods = {(each.line.schedule, each.line.period_from) for each in lines}
    if not periods and not any(agreement.is_for_ever for agreement in agreements):
        return
    known = [*lines, *_billed(connection, customer, periods, agreements)]
    standing = [each for each in known if each.line.kind == "agreement"]
    billed = [each.line for each in standing if each.is_billed]
    due = _told(difference(_wanted(known, agreements), billed), billed)
    _store(connection, standing, due, now)


def _wanted(known: Sequence[KnownLine], agreements: Sequence[Agreement]) -> list[LineItem]:
    """Return all agreement lines that priced lines call for; later agreements see earlier ones."""
    base = [each for each in known if each.line.kind in ("entry", "sum")]
    wanted: list[LineItem] = []
    for agreement in agreements:
        seen = [*base, *(KnownLine(0, False, line) for line in wanted)]
        wanted += agreement.wanted(seen)
    return wanted


def _told(due: Sequence[LineItem], billed: Sequence[LineItem]) -> list[LineItem]:
    """Return agreement lines with texts that say where one takes back what was billed before."""
    before: dict[tuple[object, ...], Decimal] = {}
    for line in billed:
        before[_alike(line)] = before.get(_alike(line), Decimal(0)) + line.quantity
    told = []
    for line in due:
        text = line.description.removeprefix(TAKEN_BACK)
        is_back = before.get(_alike(line), Decimal(0)) * line.quantity < 0
        told.append(replace(line, description=TAKEN_BACK + text if is_back else text))
    return told


def _alike(line: LineItem) -> tuple[object, ...]:
    return (
        *(line.pool, line.rule, line.grouping, line.unit_price),
        *(line.tax, line.project, line.adjusts_id),
    )


def difference(wanted: Iterable[LineItem], already: Iterable[LineItem]) -> list[LineItem]:
    """Return the lines that turn `already` into `wanted`: what is printed alike is one line.

    They add up to the last minor unit: where quantity x price of a difference is not the difference
    of the amounts, a line of its own makes up for it.
    """
    together: dict[tuple[object, ...], LineItem] = {}
    for line, sign in (*((line, 1) for line in wanted), *((line, -1) for line in already)):
        # The text of an agreement may say how much there was; it is one line all the same.
        text = "" if line.kind == "agreement" else line.description
        key = (
            *(line.pool, line.rule, text, line.grouping, line.unit_price),
            *(line.currency, line.tax, line.project, line.adjusts_id),
        )
        first = together.get(key)
        if first is None:
            together[key] = replace(
                line,
                quantity=sign * line.quantity,
                amount=sign * line.amount,
                seconds=sign * line.seconds,
            )
        else:
            together[key] = replace(
                first,
                quantity=first.quantity + sign * line.quantity,
                amount=first.amount + sign * line.amount,
                seconds=first.seconds + sign * line.seconds,
            )
    return [
        due for line in together.values() if line.quantity or line.amount for due in _whole(line)
    ]


def _whole(line: LineItem) -> list[LineItem]:
    amount = line_amount(line.quantity, line.unit_price, line.currency)
    if amount.minor == line.amount:
        return [line]
    missing = replace(amount, minor=line.amount - amount.minor)
    return [
        replace(line, amount=amount.minor),
        replace(
            line,
            description=ROUNDING,
            grouping=(),
            quantity=Decimal("1.00"),
            unit_price=missing.decimal(),
            amount=missing.minor,
            seconds=0,
            steps=(*line.steps, f"rounding, against what was billed before: {missing}"),
        ),
    ]


def _store(
    connection: Connection, standing: Sequence[KnownLine], due: Sequence[LineItem], now: datetime
) -> None:
    change = towards(standing, due)
    withdraw_lines(connection, change.withdraw)
    if change.add:
        connection.execute(insert(line_item), [line_row(line, None, now) for line in change.add])


def _open(connection: Connection, customer: str) -> list[KnownLine]:
    return _known(connection, and_(line_item.c.customer == customer, line_item.c.state == "open"))


def _billed_in(connection: Connection, customer: str, pools: Sequence[str]) -> list[KnownLine]:
    """Return the billed counted lines of some pools."""
    found = []
    for start in range(0, len(pools), _MOST_POOLS):
        condition = and_(
            line_item.c.customer == customer,
            line_item.c.pool.in_(pools[start : start + _MOST_POOLS]),
            line_item.c.state == "billed",
            line_item.c.kind == "counted",
        )
        found += _known(connection, condition)
    return found


def _billed(
    connection: Connection,
    customer: str,
    periods: set[tuple[str, date]],
    agreements: Sequence[Agreement],
) -> list[KnownLine]:
    """Return the billed lines that agreements look at, and what they have changed already."""
    condition = and_(
        line_item.c.customer == customer,
        line_item.c.state == "billed",
        line_item.c.kind != "counted",
    )
    if not any(agreement.is_for_ever for agreement in agreements):
        condition &= or_(
            *(
                and_(line_item.c.schedule == schedule, line_item.c.period_from == first)
                for schedule, first in sorted(periods)
            )
        )
    return _known(connection, condition)


def _known(connection: Connection, condition: Any) -> list[KnownLine]:
    rows = connection.execute(
        select(line_item).where(condition).order_by(line_item.c.id)
    ).mappings()
    return [KnownLine(row["id"], row["state"] == "billed", line_from_row(row)) for row in rows]
