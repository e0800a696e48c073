"""Priced lines as agreements look at them: what is due of each by day, in windows and in order.

A *portion* is what is due of one printed line for one day of work, once everything is taken off
that takes it back. So an agreement says the same of the same work, whether an entry was corrected
before or after it was billed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ledger.corrections import KnownLine, LineItem

from ..atoms import DAY, PATTERNS, TEXT
from ..reading import Mistakes
from ..shapes import Filled, ListOf, Word
from .setting import Setting, check_rules

SCOPE_WORDS: Final[Mapping[str, Word]] = {
    "rules": Word(ListOf(TEXT), "the rules whose lines count; without it, all"),
    "project": Word(PATTERNS, "only the work of these projects"),
    "from": Word(DAY, "the first day of work that counts"),
    "until": Word(DAY, "the last day of work that counts"),
}
"""What an agreement looks at: the same words for each of them."""

WINDOWS: Final = {
    "period": "each billing period",
    "month": "each calendar month of the work",
    "quarter": "each quarter of the year",
    "year": "each calendar year",
    "project": "each project, for ever",
    "contract": "everything, for ever",
}
"""What `per:` may say: what is looked at together."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The lines that an agreement looks at."""

    currency: str | None
    """Lines in another currency do not count; None: each currency stands for itself."""
    names: frozenset[str] | None = None
    """Names of rules, and of agreements about nothing but these; None: all."""
    projects: tuple[str, ...] = ()
    """Patterns; empty: all."""
    first: date | None = None
    last: date | None = None

    def holds(self, line: LineItem) -> bool:
        """Return whether a line counts."""
        return (
            self.currency in (line.currency, None)
            and (self.names is None or line.rule in self.names)
            and (self.first is None or line.on >= self.first)
            and (self.last is None or line.on <= self.last)
            and (not self.projects or _is_one_of(line.project or "", self.projects))
        )

    def covers(self, other: Scope) -> bool:
        """Return whether everything that another scope holds is held by this one too."""
        return self.names is None or (other.names is not None and other.names <= self.names)


def _is_one_of(text: str, patterns: Iterable[str]) -> bool:
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.IGNORECASE)
        for pattern in patterns
    )


def read_scope(
    entry: Filled, setting: Setting, mistakes: Mistakes, *, must_bill_hours: bool = False
) -> Scope:
    """Return what an agreement's own words say of the lines that it looks at."""
    names = entry.get("rules", ())
    check_rules(entry, setting, mistakes, must_bill_hours=must_bill_hours)
    first, last = entry.get("from"), entry.get("until")
    if first and last and first > last:
        mistakes.inside("until").add(entry.place("until"), "is earlier than from: - swap them")
    return Scope(
        setting.currency,
        frozenset(names) if names else None,
        entry.get("project", ()),
        first,
        last,
    )


@dataclass(frozen=True, slots=True)
class Portion:
    """What is due of one printed line for one day of work. Both numbers have the same sign."""

    line: LineItem
    """One of the line items behind it: what it is about."""
    printed: tuple[Any, ...]
    """The printed line that it belongs to."""
    own_id: int | None
    """The line item that is printed alone; None where several are printed together."""
    is_billed: bool
    quantity: Decimal
    amount: int
    """Minor units."""


def portions(lines: Iterable[KnownLine]) -> list[Portion]:
    """Return what is due by printed line and day, by day; the same in whatever order they come.

    What takes something back is set off against what it takes back, or else against the latest
    work of the same kind and price. Only what is left over of it then is negative.
    """
    together: dict[tuple[Any, ...], Portion] = {}
    for each in sorted(lines, key=_order):
        line = each.line
        own_id = None if line.grouping else (line.adjusts_id or line.corrects_id or each.id)
        # A correction belongs to what was billed.
        is_billed = each.is_billed or line.corrects_id is not None
        printed = (
            *(line.schedule, line.period_from, line.rule, line.grouping, line.unit_price),
            *(line.currency, line.project or "", line.tax, own_id or 0),
        )
        key = (*printed, line.on, is_billed)
        first = together.get(key)
        if first is None:
            together[key] = Portion(line, printed, own_id, is_billed, line.quantity, line.amount)
        else:
            together[key] = replace(
                first, quantity=first.quantity + line.quantity, amount=first.amount + line.amount
            )
    left = list(together.values())
    for alike in (_printed_alike, _of_one_worker, _of_one_price):
        left = _set_off(left, alike)
    return left


def _order(each: KnownLine) -> tuple[Any, ...]:
    line = each.line
    return (
        *(line.on, line.kind == "agreement", line.project or "", line.rule, line.grouping),
        *(line.description, line.unit_price, line.item or "", line.person or ""),
        *(line.quantity, line.corrects_id or 0, each.id),
    )


def _printed_alike(each: Portion) -> tuple[Any, ...]:
    return each.printed


def _of_one_worker(each: Portion) -> tuple[Any, ...]:
    return (*_of_one_price(each), each.line.item, each.line.person)


def _of_one_price(each: Portion) -> tuple[Any, ...]:
    line = each.line
    return (line.rule, line.unit_price, line.currency, line.project, line.tax)


def _set_off(
    found: Sequence[Portion], alike: Callable[[Portion], tuple[Any, ...]]
) -> list[Portion]:
    """Return the portions with negative ones taken off positive ones that are alike."""
    if all(each.amount > 0 for each in found):
        return list(found)
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for position, each in enumerate(found):
        groups[alike(each)].append(position)
    left = list(found)
    for positions in groups.values():
        for negative in [at for at in positions if found[at].amount < 0]:
            on = found[negative].line.on
            # First off the work of the same day, then off the latest.
            for at in sorted(positions, key=lambda at: (found[at].line.on == on, at), reverse=True):
                if left[negative].amount == 0:
                    break
                if left[at].amount > 0:
                    left[at], left[negative] = _against(left[at], left[negative])
    return [each for each in left if each.amount]


def _against(plus: Portion, minus: Portion) -> tuple[Portion, Portion]:
    """Return what is left of both, of which one is nothing."""
    quantity, amount = plus.quantity + minus.quantity, plus.amount + minus.amount
    rest = replace(plus if amount > 0 else minus, quantity=quantity, amount=amount)
    if amount > 0:
        return rest, replace(minus, quantity=Decimal(0), amount=0)
    return replace(plus, quantity=Decimal(0), amount=0), rest


def window_of(per: str, line: LineItem) -> tuple[Any, ...]:
    """Return what a line is looked at together with: lines with equal windows."""
    if per == "period":
        return (line.schedule, line.period_from)
    if per == "project":
        return (line.project or "",)
    on = line.on
    parts = {"month": (on.year, on.month), "quarter": (on.year, (on.month + 2) // 3)}
    return {**parts, "year": (on.year,), "contract": ()}[per]


def windows(per: str, found: Iterable[KnownLine]) -> dict[tuple[Any, ...], list[Portion]]:
    """Return the portions of each window, the windows in order."""
    lines: dict[tuple[Any, ...], list[KnownLine]] = defaultdict(list)
    for each in found:
        lines[window_of(per, each.line)].append(each)
    return {window: portions(lines[window]) for window in sorted(lines)}


def what_is_over(
    found: Sequence[Portion], limit: int, *, billed_first: bool
) -> list[tuple[Portion, int]]:
    """Return the portions that do not fit into a limit (minor units), and by how much each.

    What is left of something that was taken back makes room. They are filled in by day.
    """
    room = limit - sum(each.amount for each in found if each.amount < 0)
    positive = [each for each in found if each.amount > 0]
    if billed_first:
        positive.sort(key=lambda each: not each.is_billed)
    over = []
    for each in positive:
        fits = min(each.amount, max(room, 0))
        room -= fits
        if fits < each.amount:
            over.append((each, each.amount - fits))
    return over


def pool_name(name: str, window: Sequence[Any], line: LineItem) -> str:
    """Return the pool of an agreement's lines: one for each window and billing period."""
    parts = [str(part) for part in window if part not in (line.schedule, line.period_from)]
    return ", ".join([name, *filter(None, parts), f"{line.schedule} {line.period_from}"])


def agreed(like: LineItem, version: str, **changes: Any) -> LineItem:
    """Return an agreement line about a line: of nobody, with no time of its own."""
    nobodys: dict[str, Any] = {"item": None, "person": None, "seconds": 0, "event_id": None}
    return replace(
        like, corrects_id=None, mapping_version=version, kind="agreement", **nobodys, **changes
    )
