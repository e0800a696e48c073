"""Which draft a line item belongs on, also where its period was billed already. Pure.

Called by `assembly.py`, for all open lines of a customer together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from .corrections import LineItem

NEXT_INVOICE: Final = "next invoice"
OWN_INVOICE: Final = "own invoice"
HOLD: Final = "hold"

Billed = tuple[str, str, date]
"""Currency, schedule and first day of a period."""


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period: its schedule's word and its first and last day."""

    schedule: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Home:
    """The draft that a line belongs on: there is one for each of these."""

    currency: str
    period: Period
    sequence: int
    credits: str = ""
    """Of a credit note: the reference of the invoice that it credits."""

    @property
    def key(self) -> Billed:
        """Return the period that it bills, in which currency."""
        return self.currency, self.period.schedule, self.period.first


@dataclass(frozen=True, slots=True)
class OpenLine:
    """An open line item, the subject that it is of, and the draft that it is on."""

    id: int
    subject_id: int | None
    line: LineItem
    placed: Home | None
    is_released: bool = False
    """It stood on an invoice that is void or deleted by now."""

    @property
    def period(self) -> Period:
        """Return the period of the work."""
        return Period(self.line.schedule, self.line.period_from, self.line.period_to)


LatePolicy = Callable[[str], str | None]
"""Says where late work of a rule goes: one of the three above; None: the next invoice, unlabelled.
"""


def no_policy(rule: str) -> str | None:  # noqa: ARG001
    """Return where late work goes if the rules do not say: the next invoice, without a label."""
    return None


def homes_of(
    lines: Sequence[OpenLine],
    billed: Mapping[Billed, int],
    policy: LatePolicy,
    current_period: Callable[[str], Period],
    void: Collection[Billed] = (),
    amendable: Mapping[int, Home] | None = None,
) -> dict[int, Home]:
    """Return the draft for each open line of a customer, by the line's id.

    It is its own period's, or else, if that was billed already, what the policy says. `billed`
    gives the highest billed sequence number by currency, schedule and first day; in those that
    are `void` no invoice stands any more. What stood on a void invoice is not late. `amendable`
    gives, by their ids, the billed lines that stand on invoices which can still be changed: what
    corrects one of them goes there too.
    """
    correcting = _correcting(lines)
    released = _released(lines, correcting)
    found = _amending(lines, amendable or {})
    # Agreements follow what they are about.
    for each in sorted(lines, key=lambda each: each.line.kind == "agreement"):
        if each.id in found:
            continue
        line, period = each.line, each.period
        key = (line.currency, period.schedule, period.first)
        supplement = Home(line.currency, period, billed.get(key, 0) + 1)
        is_billed = key in billed and key not in void
        if line.kind == "agreement":
            is_own = supplement in found.values()
        else:
            is_own = policy(line.rule) in (OWN_INVOICE, HOLD) and each.id not in correcting
        if not is_billed or is_own or each.id in released:
            found[each.id] = supplement
        elif each.placed is not None and each.placed.currency == line.currency:
            # It came late, and waits on a draft already: it does not wander on as days go by.
            found[each.id] = each.placed
        else:
            current = current_period(period.schedule)
            later = billed.get((line.currency, current.schedule, current.first), 0)
            found[each.id] = Home(line.currency, current, later + 1)
    return found


def _correcting(lines: Sequence[OpenLine]) -> set[int]:
    """Return the lines that correct what was billed: they are no late work.

    It is what takes a billed line back, what its subject is worth instead, and the pool of both.
    """
    subjects = {each.subject_id for each in lines if each.line.corrects_id is not None}
    taken = [
        each
        for each in lines
        if each.line.corrects_id is not None
        or (each.subject_id is not None and each.subject_id in subjects)
    ]
    pools = {each.line.pool for each in taken if each.line.pool}
    return {each.id for each in taken} | {each.id for each in lines if each.line.pool in pools}


def _amending(lines: Sequence[OpenLine], amendable: Mapping[int, Home]) -> dict[int, Home]:
    """Return the invoices that are amended, for the lines that go onto them.

    It is what takes a line of one of them back, what its subject is worth instead in the same
    period, and the sums and agreements that change with both.
    """
    found: dict[int, Home] = {}
    subjects: dict[tuple[object, ...], Home] = {}
    pools: dict[tuple[object, ...], Home] = {}
    periods: dict[tuple[object, ...], Home] = {}
    for each in sorted(lines, key=lambda each: each.id):
        home = amendable.get(each.line.corrects_id or 0)
        if home is None:
            continue
        found[each.id] = home
        place = (each.line.currency, each.period)
        subjects.setdefault((each.subject_id, *place), home)
        pools.setdefault((each.line.pool, *place), home)
        periods.setdefault(place, home)
    # What an agreement takes off one line goes where that line goes.
    for each in sorted(lines, key=lambda each: each.line.kind == "agreement"):
        place = (each.line.currency, each.period)
        line = each.line
        home = None
        if each.id in found or line.corrects_id is not None:
            continue
        if line.kind == "agreement":
            home = periods.get(place)
            if line.adjusts_id is not None:
                home = amendable.get(line.adjusts_id) or found.get(line.adjusts_id)
        elif each.subject_id is not None:
            home = subjects.get((each.subject_id, *place))
        elif line.pool:
            home = pools.get((line.pool, *place))
        if home is not None:
            found[each.id] = home
    return found


def _released(lines: Sequence[OpenLine], correcting: Collection[int]) -> set[int]:
    """Return the lines that are billed once more, because their invoice is void; with the sums."""
    again = [each for each in lines if each.is_released and each.id not in correcting]
    pools = {(each.line.pool, each.period) for each in again if each.line.pool}
    sums = {
        each.id
        for each in lines
        if each.line.kind == "sum" and (each.line.pool, each.period) in pools
    }
    return {each.id for each in again} | sums


def is_held(home: Home, lines: Sequence[LineItem], policy: LatePolicy) -> bool:
    """Return whether a draft is a supplementary one that the rules leave to a person."""
    return home.sequence > 1 and any(
        line.corrects_id is None
        and (line.schedule, line.period_from) == (home.period.schedule, home.period.first)
        and policy(line.rule) == HOLD
        for line in lines
    )


def reference_of(
    key: str, currency: str, period: Period, sequence: int, usual_currency: str
) -> str:
    """Return our number of a draft: customer, period and, from the second on, a count.

    >>> october = Period("monthly", date(2026, 10, 1), date(2026, 10, 31))
    >>> reference_of("acme", "EUR", october, 1, "EUR")
    'acme-2026-10'
    """
    if period.schedule == "monthly":
        label = f"{period.first:%Y-%m}"
    elif period.schedule == "quarterly":
        label = f"{period.first:%Y}-Q{(period.first.month + 2) // 3}"
    elif period.schedule == "yearly":
        label = f"{period.first:%Y}"
    elif period.schedule == "at once":
        label = f"{period.first:%Y-%m-%d}"
    else:
        label = f"{period.first:%G-W%V}"
        if period.schedule != "weekly":
            label += f"-{period.last:%V}"
    parts = [key, label]
    if currency != usual_currency:
        parts.append(currency)
    if sequence > 1:
        # "acme-2026-10-12" is the 12th of October, never the twelfth invoice of that month.
        parts.append(str(sequence) if sequence < 10 else f"no-{sequence}")
    return "-".join(parts)
