"""Which faults there are, which request each can hit, and a seeded plan of them.

A fault is *effective* when it has hit a request that it can hurt: a stale list that had
nothing to hide is none, and is not counted.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol

CHANGES: Final = frozenset(
    {
        "drop_before",
        "500_before",
        "429",
        "delay",
        "lost_after",
        "500_after",
        "slow_after",
        "late_commit",
        "html_before",
        "html_after",
        "token_expired",
        "redirect",
    }
)
"""Faults of requests that change something. `before` and `after` say on which side of the
commit; after `late_commit` and `slow_after` the client has given up waiting, and only then the
change is made, or its answer sent."""
STICKY: Final = frozenset({"sticky500_effect", "sticky500_no_effect"})
"""A 500 that is kept under the request's key and replayed, with the change made or not."""
READS: Final = frozenset({"drop_before", "500_before", "429", "delay", "html_before"}) | {
    "token_expired",
    "redirect",
}
LISTS: Final = frozenset({"stale_list"})
"""A list that does not show what was created just now."""
SHOWS_TOTAL: Final = frozenset({"wrong_total"})
"""An answer whose total is not the one that is kept."""
HAS_LINES: Final = frozenset({"partial_lines"})
"""The first half of the lines is kept, the answer is a 500."""
OF_RARE_CHANCES: Final = 0.7
KINDS: Final = tuple(sorted(CHANGES | STICKY | LISTS | SHOWS_TOTAL | HAS_LINES))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is, as far as a fault can hurt it."""

    what: str
    """Method and kind of thing: `POST invoices`, `GET invoices/_`."""
    changes: bool = False
    has_key: bool = False
    hides: bool = False
    """It is a list with something on it that is young enough to be missing."""
    shows_total: bool = False
    lines: int = 0

    def can_be_hit_by(self) -> frozenset[str]:
        """Return the kinds of faults that would be effective here."""
        kinds = CHANGES if self.changes else READS
        if self.has_key:
            kinds |= STICKY
        if self.hides:
            kinds |= LISTS
        if self.shows_total:
            kinds |= SHOWS_TOTAL
        if self.lines > 1:
            kinds |= HAS_LINES
        return kinds


class Plan(Protocol):
    """Decides what goes wrong."""

    effective: Counter[str]

    def next(self, asked: Asked) -> str | None:
        """Return the kind of fault that hits this request, None to serve it well."""
        ...


@dataclass
class SeededPlan:
    """A share of all requests goes wrong; the same seed gives the same faults to the same requests.

    Kinds that were rare so far come first, so that a short run has seen them all; those that few
    requests can be hit by come at nearly each chance, until there were `enough`.
    """

    seed: int = 0
    share: float = 0.25
    kinds: frozenset[str] = frozenset(KINDS)
    enough: int = 0
    effective: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def next(self, asked: Asked) -> str | None:
        """Return the kind of fault that hits this request, None to serve it well."""
        possible = sorted(asked.can_be_hit_by() & self.kinds)
        rare = [each for each in possible if self.share and self._is_due(each)]
        if rare and self._random.random() < OF_RARE_CHANCES:
            possible = rare
        elif not possible or self._random.random() >= self.share:
            return None
        self._random.shuffle(possible)
        # A fault is drawn among the two least seen: mixed, yet none is left out.
        kind = self._random.choice(sorted(possible, key=lambda each: self.effective[each])[:2])
        self.effective[kind] += 1
        return kind

    def _is_due(self, kind: str) -> bool:
        return kind not in READS | CHANGES and self.effective[kind] < self.enough


@dataclass
class OrderedPlan:
    """Faults that a test or a schedule has ordered, one for the next request each can hit."""

    waiting: list[str] = field(default_factory=list)
    effective: Counter[str] = field(default_factory=Counter)

    def next(self, asked: Asked) -> str | None:
        """Return the first ordered fault if it can hit this request, else None."""
        if not self.waiting or self.waiting[0] not in asked.can_be_hit_by():
            return None
        kind = self.waiting.pop(0)
        self.effective[kind] += 1
        return kind
