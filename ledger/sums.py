"""What line items come to together: sums of counted entries, and what agreements add or take off.

An entry that is *counted* has no price of its own. It counts into its pool (all usage of a month,
all hours that a person worked on a day), and what the pool comes to stands on *sum* lines. An
entry with its own price may be in a pool too: then the sum is what is due on top of it (overtime).
*Agreements* (a cap, prepaid hours, a minimum) look at priced lines together and change what is due
with lines of their own. What a pool or an agreement is worth is calculated in `mappings/`; here it
becomes line items that add up to it, however the entries are spread over invoices.

How a pool is priced belongs to its name, so a pool has one price for ever: the lines of a pool,
billed and open, always call for the same sums. Called by `assembly.py`, which has the customer
claimed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Protocol

from sqlalchemy import Connection, and_, insert, or_, select

from .corrections import BILLED, KnownLine, LineItem, Plan, remaining, towards, without_void
from .money import Money, line_amount, printed
from .subjects import known_line, line_row, withdraw_lines
from .tables import line_item

ROUNDING: Final = "Rounding"
"""The text of a line that makes up for rounding."""
HELD: Final = "held: "
"""What the pool of agreement lines begins with that keep work back until a person decides."""
HELD_OVER_A_CAP: Final = (
    "what is over a cap is held back - raise at_most: under caps:, or write over_the_cap: show"
)
AGREED: Final = ("cap", "prepaid", "discount", "minimum fee")
"""What the pools of agreement lines begin with, in the order in which agreements are applied."""
TAKEN_BACK: Final = "Taken back: "
"""What the text of an agreement line begins with where less of it is wanted than was billed."""
_MOST_AT_ONCE: Final = 500

SumUp = Callable[[str, Sequence[LineItem]], Sequence[LineItem]]
"""Returns what the lines of a pool come to under a version of the rules: sum lines, one for each
grouping and price.

Pure, and the same in whatever order the lines come, under whichever of their versions. A line that
takes another one back is among them, with a negative quantity. Without any line, or where they
cancel out, nothing is due.
"""


def coding_of_most(amounts: Iterable[tuple[str, int]]) -> str:
    """Return where most of some money stands in the books: what is about all of it stands there.

    >>> coding_of_most([("travel", 50000), ("work", 90000), ("travel", 30000)])
    'work'
    """
    by_coding: Counter[str] = Counter()
    for coding, minor in amounts:
        by_coding[coding] += minor
    return min(by_coding, key=lambda coding: (-by_coding[coding], coding))


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
    *,
    hold_back: Callable[[], None] = lambda: None,
) -> None:
    """Bring the open sums and agreement lines of a customer in line with its other lines.

    `hold_back` marks what a person holds back: agreements are not about it until it is let go.
    Raise StaleClaimError if a line was billed meanwhile.
    """
    is_in_pool = and_(line_item.c.pool != "", line_item.c.kind != "agreement")
    lines = _open(connection, customer, is_in_pool)
    pools = {each.line.pool for each in lines + _released(connection, customer, "sum")}
    lines += _billed_in(connection, customer, pools)
    changes = [change_of_sums(pool, sum_up) for pool in by_pool(lines).values()]
    _store(connection, changes, now)
    hold_back()
    released = _released(connection, customer, "agreement")
    if agreements or released or _open(connection, customer, line_item.c.kind == "agreement"):
        _agree(connection, customer, agreements, released, now)


def brought_together(
    lines: Sequence[LineItem], sum_up: SumUp, agreements: Sequence[Agreement]
) -> list[KnownLine]:
    """Return lines of which nothing is billed, numbered, with the sums and agreement lines beside.

    It is what `bring_in_line` stores, in memory: for the tests in rule files, and for tests of it.
    """
    known = [KnownLine(number, False, line) for number, line in enumerate(lines, 1)]
    for _, pool in sorted(by_pool(known).items()):
        due = change_of_sums(pool, sum_up).add
        known += [KnownLine(len(known) + at, False, line) for at, line in enumerate(due, 1)]
    wanted = difference(_wanted(known, agreements), ())
    return known + [KnownLine(len(known) + at, False, line) for at, line in enumerate(wanted, 1)]


def by_pool(lines: Iterable[KnownLine]) -> dict[str, list[KnownLine]]:
    """Return the entries and sums that are in a pool, by its name."""
    pools: dict[str, list[KnownLine]] = defaultdict(list)
    for each in lines:
        if each.line.pool and each.line.kind != "agreement":
            pools[each.line.pool].append(each)
    return pools


def not_summed_up(pool: Sequence[KnownLine], sum_up: SumUp) -> list[LineItem]:
    """Return what a pool's own lines call for and its sums do not say; none: they are right."""
    sums = [each.line for each in pool if each.line.kind == "sum"]
    return difference(_sums(pool, sum_up), sums)


def change_of_sums(pool: Sequence[KnownLine], sum_up: SumUp) -> Plan:
    """Return what makes the sums of a pool right, with those that are billed left as they are."""
    sums = [each for each in pool if each.line.kind == "sum"]
    billed = [each.line for each in sums if each.is_billed]
    return towards(sums, difference(_sums(pool, sum_up), billed))


def _sums(pool: Sequence[KnownLine], sum_up: SumUp) -> Sequence[LineItem]:
    """Return what the lines of a pool come to, whatever its sums say so far."""
    counted = [each for each in pool if each.line.kind != "sum"]
    if not counted:
        return ()
    # Every version of the rules that a line of the pool names gives the same sums; the newest one
    # says best where they stand in the files.
    last = max(counted, key=lambda each: (not each.is_billed, each.id))
    left = [each.line for each in remaining(counted)]
    return sum_up(last.line.mapping_version, left) if left else ()


def _agree(
    connection: Connection,
    customer: str,
    agreements: Sequence[Agreement],
    released: Sequence[KnownLine],
    now: datetime,
) -> None:
    lines = _open(connection, customer, line_item.c.edit_id.is_(None))
    periods = {(each.line.schedule, each.line.period_from) for each in (*lines, *released)}
    if not periods and not any(agreement.is_for_ever for agreement in agreements):
        return
    known = [*lines, *_billed(connection, customer, periods, agreements)]
    standing = [each for each in known if each.line.kind == "agreement"]
    billed = [each.line for each in standing if each.is_billed]
    due = _told(difference(_wanted(known, agreements), billed), billed)
    _store(connection, [towards(standing, due)], now)


def _wanted(known: Sequence[KnownLine], agreements: Sequence[Agreement]) -> list[LineItem]:
    """Return all agreement lines that priced lines call for; later agreements see earlier ones."""
    base = without_void([each for each in known if each.line.kind in ("entry", "sum")])
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
    together: dict[Any, LineItem] = {}
    before: Counter[Any] = Counter()
    missing: Counter[Any] = Counter()
    anyone: dict[Any, LineItem] = {}
    for line, sign in (*((line, 1) for line in wanted), *((line, -1) for line in already)):
        owner = (line.pool, line.rule, line.currency, line.tax, line.project)
        missing[owner] += sign * line.amount
        anyone.setdefault(owner, line)
        if line.description == ROUNDING and not line.grouping:
            continue
        # The sums of a pool may belong to two periods: a week does not end with the month.
        period = line.period_from if line.kind == "sum" else None
        key = (*owner, line.grouping, line.unit_price, line.adjusts_id, period)
        before[key] += sign < 0
        nothing = replace(line, quantity=Decimal(0), amount=0, seconds=0, corrects_id=None)
        first = together.setdefault(key, nothing)
        together[key] = replace(
            first,
            quantity=first.quantity + sign * line.quantity,
            seconds=first.seconds + sign * line.seconds,
        )
    due = []
    for key, line in together.items():
        owner = key[:5]
        # A sum of nothing is shown once: it says that there was something, and what it came to.
        if line.quantity or (line.kind == "sum" and not before[key]):
            amount = line_amount(line.quantity, line.unit_price, line.currency)
            missing[owner] -= amount.minor
            due.append(replace(line, amount=amount.minor, steps=_steps(line, amount, before[key])))
    return due + [_rounding(anyone[owner], minor) for owner, minor in missing.items() if minor]


def _steps(line: LineItem, amount: Money, before: int) -> tuple[str, ...]:
    if not before:
        return line.steps
    due = f"{printed(line.quantity)} x {line.unit_price:f} = {amount}"
    return (*line.steps, f"less what was billed before: {due}")


def _rounding(line: LineItem, minor: int) -> LineItem:
    missing = Money(minor, line.currency)
    return replace(
        line,
        description=ROUNDING,
        grouping=(),
        quantity=Decimal("1.00"),
        unit_price=missing.decimal(),
        amount=minor,
        seconds=0,
        adjusts_id=None,
        corrects_id=None,
        steps=(*line.steps, f"rounding, against what was billed before: {missing}"),
    )


def _store(connection: Connection, changes: Sequence[Plan], now: datetime) -> None:
    places: dict[str, int | None] = {}
    for ids in _some([id_ for change in changes for id_ in change.withdraw]):
        rows = connection.execute(
            select(line_item.c.pool, line_item.c.invoice_id).where(line_item.c.id.in_(ids))
        )
        places |= {row.pool: row.invoice_id for row in rows}
        withdraw_lines(connection, ids)
    # What replaces a line takes its place: one that waits on a draft does not wander on.
    added = [
        line_row(line, None, now) | {"invoice_id": places.get(line.pool)}
        for change in changes
        for line in change.add
    ]
    if added:
        connection.execute(insert(line_item), added)


def _some(every: Collection[Any]) -> Iterator[list[Any]]:
    """Yield as many at once as one statement takes."""
    rest = iter(every)
    while some := list(islice(rest, _MOST_AT_ONCE)):
        yield some


def _open(connection: Connection, customer: str, *conditions: Any) -> list[KnownLine]:
    is_open = and_(line_item.c.customer == customer, line_item.c.state == "open", *conditions)
    return known_lines(connection, is_open)


def _released(connection: Connection, customer: str, kind: str) -> list[KnownLine]:
    """Return what is void with its invoice: it may be due again though nothing is open beside."""
    is_released = and_(line_item.c.customer == customer, line_item.c.state == "released")
    return known_lines(connection, and_(is_released, line_item.c.kind == kind))


def _billed_in(connection: Connection, customer: str, pools: Collection[str]) -> list[KnownLine]:
    """Return the billed lines of some pools."""
    found = []
    for names in _some(sorted(pools)):
        condition = and_(
            line_item.c.customer == customer,
            line_item.c.pool.in_(names),
            line_item.c.state.in_(BILLED),
            line_item.c.kind != "agreement",
        )
        found += known_lines(connection, condition)
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
        line_item.c.state.in_(BILLED),
        line_item.c.kind != "counted",
    )
    if not any(agreement.is_for_ever for agreement in agreements):
        condition &= or_(
            *(
                and_(line_item.c.schedule == schedule, line_item.c.period_from == first)
                for schedule, first in sorted(periods)
            )
        )
    return known_lines(connection, condition)


def known_lines(connection: Connection, condition: Any) -> list[KnownLine]:
    """Return the line items that fit a condition, oldest first."""
    rows = connection.execute(
        select(line_item).where(condition).order_by(line_item.c.id)
    ).mappings()
    return [known_line(row) for row in rows]
