"""The minimum fee: what a billing period costs at least, once there is anything to bill in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from ledger.corrections import KnownLine, LineItem
from ledger.money import Money

from ..atoms import POSITIVE
from ..reading import Mistakes, Place
from ..shapes import Filled, Phrase, TableOf, Word
from .discounts import Discount
from .portions import SCOPE_WORDS, Scope, agreed, pool_name, read_scope, window_of
from .setting import Setting, amount_of

RULE: Final = "Minimum fee"
"""The rule that the line names."""
MINIMUM_FEE: Final = TableOf(
    {
        "at_least": Word(POSITIVE, "what a period costs at least, in the currency", required=True),
        **SCOPE_WORDS,
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

    def of_version(self, version: str) -> AppliedMinimumFee:
        """Return it ready to be applied."""
        return AppliedMinimumFee(self, version)


@dataclass(frozen=True, slots=True)
class AppliedMinimumFee:
    """A minimum fee under a version of the rules; see `ledger.sums.Agreement`."""

    fee: MinimumFee
    version: str

    @property
    def is_for_ever(self) -> bool:
        """Return whether lines of all periods count: each stands alone."""
        return False

    def wanted(self, lines: Sequence[KnownLine]) -> Sequence[LineItem]:
        """Return a line for each period that has any line and comes to less."""
        periods: dict[tuple[Any, ...], list[KnownLine]] = defaultdict(list)
        for each in lines:
            if each.line.schedule == self.fee.schedule and self.fee.scope.holds(each.line):
                periods[window_of("period", each.line)].append(each)
        return [
            self._missing([each.line for each in together])
            for _, together in sorted(periods.items(), key=lambda period: period[0])
            if _is_anything_left(together)
            and sum(each.line.amount for each in together) < self.fee.at_least
        ]

    def _missing(self, lines: Sequence[LineItem]) -> LineItem:
        like = min(lines, key=lambda line: (line.on, line.tax))
        at_least = Money(self.fee.at_least, like.currency)
        due = Money(sum(line.amount for line in lines), like.currency)
        missing = at_least - due
        return agreed(
            like,
            self.version,
            description=self.fee.description or f"Up to the minimum fee of {at_least}",
            rule=RULE,
            project=None,
            tax=_most_taxed(lines),
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
    said: Mapping[str, Any] = entry.values
    return MinimumFee(
        scope, at_least, filled.get("invoice", "monthly"), said.get("description"), entry.at
    )
