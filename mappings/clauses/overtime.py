"""Overtime: what is due on top of the hours that a person works beyond a day's or a week's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from ledger.corrections import LineItem
from ledger.money import hours, printed

from .. import phrases
from ..atoms import POSITIVE, TEXT
from ..reading import Mistakes, Place, quoted
from ..shapes import Filled, ListOf, Phrase, TableOf, Word
from .pools import name_of, standing, sum_line
from .setting import Setting, check_rules

OVERTIME: Final = TableOf(
    {
        "overtime": Word(TEXT, "its name, as the line says it", required=True),
        "after": Word(
            Phrase(
                "a time like: 8 hours per person and day, 40 hours per person and week",
                phrases.working_time,
                f"^{phrases.WORKING_TIME}$",
            ),
            "the hours that are worked without it",
            required=True,
        ),
        "times": Word(POSITIVE, "what an hour is worth then: 1.5 times its price", required=True),
        "rules": Word(ListOf(TEXT), "the rules whose hours count; without it, all that bill hours"),
    },
    label=("overtime", "overtime"),
)
WORDS: Final[Mapping[str, Word]] = {
    "overtime": Word(
        ListOf(OVERTIME, needs_brackets=True, least=0),
        "what is due on top of long days and weeks",
        names_entries=True,
    ),
}


_POOLS: Final = "overtime"
"""What the names of its pools begin with."""


def is_surcharge(line: LineItem) -> bool:
    """Return whether a line is what is due on top of hours that stand on lines of their own."""
    return line.kind == "sum" and line.pool.startswith(f'["{_POOLS}"')


@dataclass(frozen=True, slots=True)
class Clause:
    """One entry of `overtime:`."""

    name: str
    after: Decimal
    """Hours."""
    per: str
    """day or week."""
    times: Decimal
    rules: tuple[str, ...]
    """() stands for all that bill hours."""
    at: Place

    def covers(self, rule: str) -> bool:
        """Return whether the hours of a rule count."""
        return not self.rules or rule in self.rules


@dataclass(frozen=True, slots=True)
class Overtime:
    """All overtime of a customer. Pools are a person's week, from Monday to Sunday."""

    clauses: tuple[Clause, ...] = ()

    def covers(self, rule: str) -> bool:
        """Return whether the hours of a rule count."""
        return any(clause.covers(rule) for clause in self.clauses)

    def pool(self, currency: str, person: str, on: date) -> str:
        """Return the name of the pool of a person's work in the week of a day."""
        words = [
            f"{clause.name}: {clause.after:f} {clause.per} {clause.times:f} {clause.rules}"
            for clause in self.clauses
        ]
        return name_of(_POOLS, currency, person, f"{on:%G-W%V}", tuple(words))

    def lines(self, worked: Sequence[LineItem]) -> Sequence[LineItem]:
        """Return what is due on top of a person's week; see `ledger.sums.SumUp`.

        Each hour has the highest surcharge that is due on it. On one day the hours at the lowest
        price are counted last, so the surcharge is never more than any other order would give.
        """
        done: dict[tuple[Clause, date | None], Decimal] = defaultdict(Decimal)
        due: dict[tuple[object, ...], tuple[Clause, list[LineItem]]] = {}
        entries = sorted(standing(worked), key=lambda each: (each.on, -each.unit_price))
        for entry in entries:
            rest = entry.quantity
            positions = [
                (clause, (clause, entry.on if clause.per == "day" else None))
                for clause in self.clauses
                if clause.covers(entry.rule)
            ]
            while rest > 0:
                # As far as nothing changes: to the next limit of hours, or to the entry's end.
                limits = (clause.after - done[key] for clause, key in positions)
                part = min([rest, *(limit for limit in limits if limit > 0)])
                over = [clause for clause, key in positions if done[key] >= clause.after]
                if over:
                    clause = max(over, key=lambda each: each.times)
                    alike = (clause.name, entry.rule, entry.project, entry.unit_price)
                    of_line = (*alike, entry.tax, entry.schedule, entry.period_from)
                    _, parts = due.setdefault(of_line, (clause, []))
                    parts.append(replace(entry, quantity=part))
                for _, key in positions:
                    done[key] += part
                rest -= part
        return [_surcharge(clause, parts) for clause, parts in due.values()]


def _surcharge(clause: Clause, parts: Sequence[LineItem]) -> LineItem:
    first = parts[0]
    price = Decimal(printed(first.unit_price * (clause.times - 1)))
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for part in parts:
        by_day[part.on] += part.quantity
    steps = [f"{on}: {printed(over)} h of overtime" for on, over in by_day.items()]
    line = sum_line(
        parts,
        sum((part.quantity for part in parts), Decimal(0)),
        price,
        f"overtime {quoted(clause.name)}: after {printed(clause.after)} hours per person and "
        f"{clause.per} ({clause.at})",
        *steps,
        f"{first.unit_price:f} x ({clause.times:f} - 1) = {price:f} on top of each hour",
    )
    return replace(
        line,
        description=", ".join(filter(None, (clause.name, first.person))),
        grouping=(clause.name, first.person or ""),
    )


def read(filled: Filled, setting: Setting, mistakes: Mistakes) -> Overtime:
    """Return the overtime of a customer's file, with every mistake noted."""
    clauses: dict[str, Clause] = {}
    for entry in filled.get("overtime", ()):
        name = entry.get("overtime")
        inside = mistakes.inside(f"overtime {quoted(name)}" if name else "overtime")
        check_rules(entry, setting, inside, must_bill_hours=True)
        if not entry.is_whole:
            continue
        if entry["times"] <= 1:
            problem = f"{entry['times']} times is nothing on top"
            inside.add(entry.place("times"), f"{problem} - write a number above 1")
        if name in clauses:
            problem = f"has the same name as the one in {clauses[name].at.seen_from(entry.at)}"
            inside.add(entry.at, f"{problem} - call them differently")
        seconds, per = entry["after"]
        clauses[name] = Clause(
            name, hours(seconds), per, entry["times"], entry.get("rules", ()), entry.at
        )
    return Overtime(tuple(clauses.values()))
