"""Caps: no more than a sum is billed for some rules, by period, by project or for ever.

What is over a cap is shown at nothing, held for a person, or carried over. However the work is
spread over invoices, what is billed in all is the cap or what the work is worth, if that is less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.corrections import KnownLine, LineItem
from ledger.money import Money, quantity_for
from ledger.sums import HELD

from ..atoms import POSITIVE, TEXT
from ..languages import ENGLISH, money_text, period_text
from ..periods import Period, period_of
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, OneOf, TableOf, Word
from .portions import (
    SCOPE_WORDS,
    WINDOWS,
    Portion,
    Scope,
    agreed,
    pool_name,
    read_scope,
    what_is_over,
    windows,
)
from .setting import Setting, amount_of, unique_names

OVER: Final = {
    "show": "it stands on the invoice at a price of nothing",
    "hold": "it is not on the invoice, and waits for a person",
    "carry over": "it is billed in the next periods, as far as their cap has room",
}
CAP: Final = TableOf(
    {
        "cap": Word(TEXT, "its name, as line items keep it", required=True),
        **SCOPE_WORDS,
        "at_most": Word(
            POSITIVE, "what is billed at most, in the customer's currency", required=True
        ),
        "per": Word(OneOf(WINDOWS), "what is looked at together", required=True),
        "over_the_cap": Word(
            OneOf(OVER), "what becomes of the rest: show (default), hold or carry over"
        ),
    },
    label=("cap", "cap"),
)
WORD: Final = Word(
    ListOf(CAP, needs_brackets=True, least=0), "what is billed at most", names_entries=True
)
_MOST_PERIODS: Final = 24
"""So many periods without work of their own take what is carried over; then it waits for work."""


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap, as agreed."""

    name: str
    scope: Scope
    at_most: int
    """Minor units."""
    currency: str
    per: str
    over: str
    at: Place

    def of_version(self, version: str, language: str = ENGLISH) -> AppliedCap:
        """Return it ready to be applied."""
        return AppliedCap(self, version, language)


@dataclass(frozen=True, slots=True)
class AppliedCap:
    """A cap under a version of the rules; see `ledger.sums.Agreement`."""

    cap: Cap
    version: str
    language: str = ENGLISH
    """Of the numbers and days in the texts of its lines."""

    @property
    def is_for_ever(self) -> bool:
        """Return whether lines of all periods count.

        What is held is billed once the cap is raised, also where its period is billed already.
        """
        return self.cap.per != "period" or self.cap.over != "show"

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return the lines that take off what is over the cap, and show or carry it."""
        counting = [each for each in lines if self.cap.scope.holds(each.line)]
        by_window = windows(self.cap.per, counting)
        cuts: list[_Cut] = []
        for window, found in by_window.items():
            cuts += _cuts(window, found, self.cap.at_most)
        if self.cap.over == "carry over":
            due = {window: sum(each.amount for each in by_window[window]) for window in by_window}
            return self._all_carried(cuts, due)
        wanted = [self._taken_off(cut) for cut in cuts]
        if self.cap.over == "show":
            wanted += [self._shown(cut) for cut in cuts]
        return wanted

    @property
    def _limit(self) -> Money:
        return Money(self.cap.at_most, self.cap.currency)

    def _over(self, line: LineItem) -> str:
        """Return what the text of a line says of what is over the cap."""
        return f"{line.description}, over the cap of {money_text(self.language, self._limit)}"

    def _taken_off(self, cut: _Cut, *, is_held: bool = False) -> LineItem:
        pool = pool_name(f"cap: {self.cap.name}", cut.window, cut.line)
        said = f"{self._limit} at most ({self.cap.at}): {Money(cut.amount, cut.line.currency)} over"
        return agreed(
            cut.line,
            self.version,
            description=self._over(cut.line),
            quantity=-cut.quantity,
            amount=-cut.amount,
            pool=HELD + pool if is_held or self.cap.over == "hold" else pool,
            adjusts_id=cut.own_id,
            steps=(f'cap "{self.cap.name}" of {said}',),
        )

    def _shown(self, cut: _Cut) -> LineItem:
        return agreed(
            cut.line,
            self.version,
            description=self._over(cut.line),
            quantity=cut.quantity,
            unit_price=Decimal("0.00"),
            amount=0,
            pool=pool_name(f"cap: {self.cap.name}", cut.window, cut.line),
            adjusts_id=cut.own_id,
            steps=(f'over the cap "{self.cap.name}" of {self._limit} ({self.cap.at})',),
        )

    def _all_carried(
        self, cuts: Sequence[_Cut], due: Mapping[tuple[Any, ...], int]
    ) -> list[LineItem]:
        """Return what takes off the cuts and bills them later; what no period takes is held."""
        by_schedule: dict[str, dict[date, list[_Cut]]] = defaultdict(lambda: defaultdict(list))
        for cut in cuts:
            by_schedule[cut.line.schedule][cut.line.period_from].append(cut)
        wanted: list[LineItem] = []
        for schedule, waiting in by_schedule.items():
            carried, left = self._carried(schedule, waiting, due)
            held = dict(left)
            for cut in (cut for some in waiting.values() for cut in some):
                rest = held.get(id(cut))
                if rest is None or rest.amount < cut.amount:
                    wanted.append(self._taken_off(cut if rest is None else cut.less(rest)))
                if rest is not None:
                    wanted.append(self._taken_off(rest, is_held=True))
            wanted += carried
        return wanted

    def _carried(
        self,
        schedule: str,
        waiting: Mapping[date, Sequence[_Cut]],
        due: Mapping[tuple[Any, ...], int],
    ) -> tuple[list[LineItem], list[tuple[int, _Cut]]]:
        """Return what later periods take of the cuts, the oldest first, as their cap has room.

        And what is left of cuts that no period takes, each with the identity of its cut.
        """
        carried: list[LineItem] = []
        queue: list[tuple[int, _Cut]] = []
        last = max(first for kind, first in due if kind == schedule)
        idle = 0
        period = period_of(schedule, min(waiting))
        while (queue or period.start <= max(waiting)) and idle < _MOST_PERIODS:
            idle += period.start > last
            room = self.cap.at_most - due.get((schedule, period.start), 0)
            while queue and room > 0:
                of, cut = queue[0]
                part, rest = cut.split(min(room, cut.amount))
                room -= part.amount
                queue[:1] = [(of, rest)] if rest.amount else []
                carried.append(self._carried_to(period, part))
            queue += [(id(cut), cut) for cut in waiting.get(period.start, ())]
            period = period_of(schedule, period.end + timedelta(1))
        return carried, queue

    def _carried_to(self, period: Period, part: _Cut) -> LineItem:
        line = part.line
        came_from = f"carried over from {_named(line)}"
        of = Period(line.schedule, line.period_from, line.period_to)
        text = f"{line.description}, carried over from {period_text(self.language, of)}"
        carried = agreed(
            line,
            self.version,
            description=text,
            # What has a line of its own there is named by its text here.
            grouping=(*(line.grouping or (line.description,)), came_from),
            quantity=part.quantity,
            amount=part.amount,
            on=period.start,
            period_from=period.start,
            period_to=period.end,
            steps=(f'{came_from}: cap "{self.cap.name}" of {self._limit} ({self.cap.at})',),
        )
        pool = pool_name(f"cap: {self.cap.name}", (), carried)
        return agreed(carried, self.version, pool=pool, adjusts_id=None)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is over the cap of one printed line."""

    window: tuple[Any, ...]
    line: LineItem
    own_id: int | None
    quantity: Decimal
    amount: int

    def less(self, rest: _Cut) -> _Cut:
        """Return it without a part of it."""
        return replace(
            self, quantity=self.quantity - rest.quantity, amount=self.amount - rest.amount
        )

    def split(self, amount: int) -> tuple[_Cut, _Cut]:
        """Return the part that comes to an amount, and the rest."""
        line = self.line
        quantity = self.quantity
        if amount < self.amount:
            quantity = quantity_for(amount, line.unit_price, line.currency, of=self.quantity)
        rest = self.quantity - quantity, self.amount - amount
        return (
            _Cut(self.window, line, self.own_id, quantity, amount),
            _Cut(self.window, line, self.own_id, *rest),
        )


def _named(line: LineItem) -> str:
    """Return the billing period of a line as people call it."""
    first = line.period_from
    return f"{first:%Y-%m}" if line.schedule == "monthly" else first.isoformat()


def _cuts(window: tuple[Any, ...], found: Sequence[Portion], at_most: int) -> list[_Cut]:
    """Return what is over a cap by printed line, the last day of each with it."""
    over = what_is_over(found, at_most, billed_first=True)
    amounts: dict[tuple[Any, ...], int] = defaultdict(int)
    last: dict[tuple[Any, ...], Portion] = {}
    for portion, amount in over:
        amounts[portion.printed] += amount
        last[portion.printed] = portion
    of_lines: dict[tuple[Any, ...], list[Portion]] = defaultdict(list)
    for each in found:
        if each.amount > 0:
            of_lines[each.printed].append(each)
    cuts = []
    for printed, amount in amounts.items():
        of_line, portion = of_lines[printed], last[printed]
        whole = _Cut(
            window,
            portion.line,
            portion.own_id,
            sum((each.quantity for each in of_line), Decimal(0)),
            sum(each.amount for each in of_line),
        )
        # What is left of the line has the fewest decimals; the cut is the rest of it.
        cuts.append(whole.split(whole.amount - amount)[1] if amount < whole.amount else whole)
    return cuts


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> tuple[Cap, ...]:
    """Return the caps of a customer's file, with every mistake noted."""
    caps = []
    for entry in unique_names("cap", filled.get("caps", ()), mistakes):
        inside = mistakes.inside(f"cap {quoted(entry['cap'])}")
        scope = read_scope(entry, setting, inside)
        at_most = amount_of(entry, "at_most", setting, inside)
        per, over = entry.get("per", "period"), entry.get("over_the_cap", "show")
        if over == "carry over" and per != "period":
            problem = "only a cap per period has a next one - write per: period, or show or hold"
            inside.inside("over_the_cap").add(entry.place("over_the_cap"), problem)
        caps.append(Cap(entry["cap"], scope, at_most, setting.currency or "", per, over, entry.at))
    return tuple(caps)
