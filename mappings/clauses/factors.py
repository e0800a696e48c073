"""Factors: what weekends, holidays and on-call work cost more, and the list of holidays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.money import product

from ..atoms import DAY, POSITIVE, TEXT
from ..conditions import WHEN, conditions
from ..holding import Hold, why_unknown
from ..matching import Asked, Seen, asked, unknown_word
from ..model import Condition
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, TableOf, Word
from .setting import Setting

FACTOR: Final = TableOf(
    {
        "factor": Word(TEXT, "its name, as steps and texts show it: Weekend", required=True),
        "when": Word(WHEN, "the work that it is for", required=True),
        "times": Word(POSITIVE, "what the rate is multiplied by: 1.5", required=True),
    },
    label=("factor", "factor"),
)
WORDS: Final[Mapping[str, Word]] = {
    "factors": Word(
        ListOf(FACTOR, needs_brackets=True, least=0),
        "what rates are multiplied by: the first that fits is used",
        names_entries=True,
    ),
    "holidays": Word(
        ListOf(DAY, needs_brackets=True, least=0), "the days that holiday: in when: means"
    ),
}


@dataclass(frozen=True, slots=True)
class Factor:
    """What a rate is multiplied by if all conditions fit."""

    name: str
    when: tuple[Condition, ...]
    times: Decimal
    at: Place

    def applied(self, price: Decimal, steps: list[str]) -> Decimal:
        """Return a rate times the factor, exact."""
        changed = product(price, self.times)
        calculated = f"{price:f} x {self.times:f} = {changed:f}"
        steps.append(f"{calculated}: factor {quoted(self.name)} ({self.at})")
        return changed


@dataclass(frozen=True, slots=True)
class Factors:
    """All factors of a customer, in the order of the file, and its holidays."""

    listed: tuple[Factor, ...] = ()
    holidays: frozenset[date] = frozenset()
    _asked: Sequence[Asked] = field(default=(), compare=False, repr=False)

    def of(self, seen: Seen) -> Factor | None:
        """Return the first factor that fits an event; raise Hold if that cannot be decided."""
        for factor, tests in zip(self.listed, self._asked, strict=True):
            unknown = unknown_word(tests, seen)
            if unknown:
                raise Hold(why_unknown(unknown, f"factor {quoted(factor.name)}", seen.event))
            if unknown is not None:
                return factor
        return None


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Factors:
    """Return the factors and holidays of a customer's file, with every mistake noted."""
    factors: dict[str, Factor] = {}
    for entry in filled.get("factors", ()):
        name, when = entry.get("factor"), entry.get("when")
        inside = mistakes.inside(f"factor {quoted(name)}" if name else "factor")
        found = conditions(when, setting, inside.inside("when")) if when else ()
        if when and when.is_whole and not when.places:
            inside.inside("when").add(when.at, "names nothing - write weekday:, holiday:, labels:")
        if name in factors:
            problem = f"has the same name as the one in {factors[name].at.seen_from(entry.at)}"
            inside.add(entry.at, f"{problem} - call them differently")
        elif entry.is_whole:
            factors[name] = Factor(name, found, entry["times"], entry.at)
    listed = tuple(factors.values())
    return Factors(listed, setting.holidays, [asked(factor.when) for factor in listed])
