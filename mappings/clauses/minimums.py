"""The minimum fee: what a billing period costs at least.

A period with anything to bill in it owes it. From the day that its `from:` names, so does one
without any work: the calendar tells of each period, see `ledger/calendar.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from ledger.calendar import Due
from ledger.corrections import KnownLine, LineItem
from ledger.money import Money
from ledger.sums import coding_of_most

from ..atoms import POSITIVE
from ..languages import ENGLISH, money_text
from ..periods import period_of
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, Phrase, TableOf, Word
from .discounts import Discount
from .portions import SCOPE_WORDS, Scope, agreed, pool_name, read_scope, window_of
from .setting import EARLIEST, Setting, amount_of
from .taxes import CODE

RULE: Final = "Minimum fee"
"""The rule that the line names."""
MINIMUM_FEE: Final = TableOf(
    {
        "at_least": Word(POSITIVE, "what a period costs at least, in the currency", required=True),
        **SCOPE_WORDS,
        "tax": Word(CODE, "the code of the tax where there is no work, if not like the others"),
        "description": Word(
            Phrase("a text", most=500), "the text of the line that makes up for it"
        ),
    }
)
WORD: Final = Word(MINIMUM_FEE, "what a period costs at least")


@dataclass(frozen=True, slots=True)
class MinimumFee:
    """A minimum fee, as agreed."""

    scope: Scope
    at_least: int
    """Minor units."""
    schedule: str
    """The customer's usual one: what is invoiced at other times owes no minimum."""
    description: str | None
    at: Place
    tax: str | None = None
    """The code of its tax where there is no work: its own, or else the customer's."""
    is_due_alone: bool = False
    """Periods without any work owe it too."""

    def due(self, customer: str, time_zone: str, today: date) -> Iterator[Due]:
        """Yield every period that has begun until a day and owes it without any work.

        It is there as soon as the period has begun: so it is on the period's invoice, whenever
        that one is due.
        """
        on, last = self.scope.first, self.scope.last
        while self.is_due_alone and on and on <= today and (last is None or on <= last):
            yield self.due_for(customer, time_zone, on)
            on = period_of(self.schedule, on).end + timedelta(1)

    def due_for(self, customer: str, time_zone: str, on: date) -> Due:
        """Return what is due for the period that holds a day."""
        return Due(customer, RULE, *self._days_of(on), at_end=False, time_zone=time_zone)

    def owes(self, first: date, last: date) -> bool:
        """Return whether these days of a period owe it without any work."""
        whole = self._days_of(first)
        return self.is_due_alone and whole[0] <= first <= last <= whole[1]

    def _days_of(self, on: date) -> tuple[date, date]:
        """Return the days of the period that holds a day, as far as it is agreed for them."""
        period, scope = period_of(self.schedule, on), self.scope
        return max(period.start, scope.first or period.start), min(
            period.end, scope.last or period.end
        )

    def of_version(self, version: str, language: str = ENGLISH) -> AppliedMinimumFee:
        """Return it ready to be applied."""
        return AppliedMinimumFee(self, version, language)


@dataclass(frozen=True, slots=True)
class AppliedMinimumFee:
    """A minimum fee under a version of the rules; see `ledger.sums.Agreement`."""

    fee: MinimumFee
    version: str
    language: str = ENGLISH
    """Of the numbers and days in the texts of its lines."""

    @property
    def is_for_ever(self) -> bool:
        """Return whether lines of all periods count: each stands alone."""
        return False

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return a line for each period that has any line and comes to less."""
        periods: dict[tuple[Any, ...], list[KnownLine]] = defaultdict(list)
        for each in lines:
            if each.line.schedule == self.fee.schedule and self._counts(each.line):
                periods[window_of("period", each.line)].append(each)
        return [
            self._missing([each.line for each in together])
            for _, together in sorted(periods.items(), key=lambda period: period[0])
            if _is_anything_left(together)
            and sum(each.line.amount for each in together) < self.fee.at_least
        ]

    def _counts(self, line: LineItem) -> bool:
        scope = self.fee.scope
        return scope.holds(line) or (line.rule == RULE and line.currency == scope.currency)

    def _missing(self, lines: Sequence[LineItem]) -> LineItem:
        like = min(lines, key=lambda line: (line.on, line.tax))
        at_least = Money(self.fee.at_least, like.currency)
        due = Money(sum(line.amount for line in lines), like.currency)
        missing = at_least - due
        return agreed(
            like,
            self.version,
            description=self.fee.description
            or f"Up to the minimum fee of {money_text(self.language, at_least)}",
            rule=RULE,
            project=None,
            tax=_most_taxed(lines),
            coding=coding_of_most((line.coding, line.amount) for line in lines),
            grouping=(RULE,),
            quantity=Decimal("1.00"),
            unit_price=missing.decimal(),
            amount=missing.minor,
            on=like.period_to,
            pool=pool_name("minimum fee", (), like),
            adjusts_id=None,
            steps=(f"minimum fee of {at_least} ({self.fee.at}): {due} so far",),
        )


def _is_anything_left(lines: Sequence[KnownLine]) -> bool:
    """Return whether there is anything in a period but what was billed and taken back again."""
    taken_back = {each.line.corrects_id for each in lines}
    left: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for each in lines:
        line = each.line
        if line.kind == "entry" and line.corrects_id is None and each.id not in taken_back:
            return True
        if line.kind != "entry":
            # A sum of nothing may be what is left of entries that are gone.
            said = line.quantity if line.kind == "sum" else Decimal(line.amount)
            left[line.kind, line.pool, line.rule, line.grouping, line.unit_price] += said
    return any(left.values())


def _most_taxed(lines: Sequence[LineItem]) -> str:
    """Return the tax on most of the money."""
    by_tax: dict[str, int] = defaultdict(int)
    for line in lines:
        by_tax[line.tax] += line.amount
    return min(by_tax, key=lambda tax: (-by_tax[tax], tax))


def read(
    filled: Filled, setting: Setting, discounts: Sequence[Discount], mistakes: Mistakes
) -> MinimumFee | None:
    """Return the minimum fee of a customer's file, with every mistake noted."""
    entry: Filled | None = filled.get("minimum_fee")
    if entry is None:
        return None
    inside = mistakes.inside("minimum_fee")
    scope = read_scope(entry, setting, inside)
    if scope.names is not None:
        about = {each.name for each in discounts if scope.covers(each.scope)}
        scope = replace(scope, names=scope.names | about)
    at_least = amount_of(entry, "at_least", setting, inside)
    _check_from(entry, inside)
    _check_name(filled, mistakes)
    said: Mapping[str, Any] = entry.values
    return MinimumFee(
        scope,
        at_least,
        filled.get("invoice", "monthly"),
        said.get("description"),
        entry.at,
        tax=said.get("tax", setting.tax),
        is_due_alone=is_due_alone(filled),
    )


def is_due_alone(customer: Filled) -> bool:
    """Return whether by a customer's file a period without any work owes the minimum too."""
    entry: Filled | None = customer.get("minimum_fee")
    says_from = entry is not None and entry.get("from") is not None
    return says_from and customer.get("invoice", "monthly") != "at once"


def _check_from(entry: Filled, mistakes: Mistakes) -> None:
    first = entry.get("from")
    if first and first < EARLIEST:
        problem = f"{first} is long ago, and every period since then owes it"
        mistakes.inside("from").add(entry.place("from"), f"{problem} - write a later day")
    if "tax" in entry.places and "from" not in entry.places:
        problem = "only a period without work has it - write from: too, or leave it out"
        mistakes.inside("tax").add(entry.place("tax"), problem)


def _check_name(filled: Filled, mistakes: Mistakes) -> None:
    """Note a mistake if a rule or a fee has the name that the lines of the minimum have."""
    named: dict[str, Sequence[Filled]] = {
        "rule": filled.get("rules", ()),
        "fee": filled.get("fees", ()),
    }
    for what, entries in named.items():
        for entry in entries:
            if entry.get(what) == RULE:
                problem = "the lines of minimum_fee: have this name - call it differently"
                mistakes.inside(f"{what} {quoted(RULE)}").add(entry.place(what), problem)
