"""What a clause may know of the rest of the files while it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from ledger.money import to_minor

from ..model import Workspace
from ..reading import Mistakes, Place, quoted, suggestion
from ..shapes import Filled

EARLIEST: Final = date(2000, 1, 1)
"""What comes due by the calendar cannot begin before: all of it since its first day is billed."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The firm, and what the customer's file says elsewhere."""

    workspace: Workspace | None
    """None: it has mistakes of its own, so what depends on it is not checked."""
    currency: str | None
    rules: tuple[str, ...] = ()
    """The names of the customer's rules."""
    free: frozenset[str] = frozenset()
    """The names of those that bill nothing."""
    without_hours: frozenset[str] = frozenset()
    """The names of those that bill no hours."""
    holidays: frozenset[date] = frozenset()
    """The days of `holidays:`."""
    tax: str | None = None
    """The code of the tax on all lines whose rule says nothing else."""

    def check_person(self, name: str, at: Place, mistakes: Mistakes) -> None:
        """Note a mistake if nobody of the firm has this name."""
        if self.workspace:
            known = [person.name for person in self.workspace.people]
            check_known("person", name, known, at, mistakes)


def check_known(what: str, name: str, known: Iterable[str], at: Place, mistakes: Mistakes) -> None:
    """Note a mistake if workspace.yaml has no such thing."""
    if name not in known:
        problem = f"no {what} {quoted(name)} in workspace.yaml"
        mistakes.add(at, problem + suggestion(name, known))


def check_rules(
    entry: Filled, setting: Setting, mistakes: Mistakes, *, must_bill_hours: bool = False
) -> None:
    """Note a mistake for each rule under `rules:` that is not there, or has nothing to give."""
    inside, at = mistakes.inside("rules"), entry.place("rules")
    for name in entry.get("rules", ()):
        if name not in setting.rules:
            problem = f"this file has no rule {quoted(name)}"
            inside.add(at, problem + suggestion(name, setting.rules))
        elif name in setting.free:
            inside.add(at, f"rule {quoted(name)} bills nothing - take it out, or let it bill")
        elif must_bill_hours and name in setting.without_hours:
            advice = "name rules with quantity: hours"
            inside.add(at, f"rule {quoted(name)} bills no hours - {advice}")


def unique_names(what: str, entries: Iterable[Filled], mistakes: Mistakes) -> Iterator[Filled]:
    """Yield the entries of a list that have a name; note a mistake where one stands twice."""
    first: dict[str, Filled] = {}
    for entry in entries:
        name = entry.get(what)
        if name is None:
            continue
        if name in first:
            problem = f"has the same name as the one in {first[name].at.seen_from(entry.at)}"
            mistakes.inside(f"{what} {quoted(name)}").add(
                entry.at, f"{problem} - call them differently"
            )
        first.setdefault(name, entry)
        yield entry


def amount_of(entry: Filled, word: str, setting: Setting, mistakes: Mistakes) -> int:
    """Return a sum of money in minor units; 0 with a mistake noted if it cannot be paid."""
    amount = entry.get(word)
    if amount is None or setting.currency is None:
        return 0
    try:
        return to_minor(amount, setting.currency)
    except ValueError as error:
        mistakes.inside(word).add(entry.place(word), f"{error} - write an amount that can be paid")
        return 0
