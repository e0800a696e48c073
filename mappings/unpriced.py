"""Which stored events no rule would price, and why: a dry run of rules before they are active.

Memory does not grow with the events: what is alike is counted together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.events import Event
from ledger.money import hours, printed

from .book import Book
from .pricing import Held
from .reading import quoted

FIRST_IDS: Final = 5
"""How many events of each reason are named."""
MOST_REASONS: Final = 2_000
"""How many reasons are told apart; what comes after is counted together."""
_OTHERS: Final = (None, "other reasons, too many to tell apart")
# These differ from event to event, and the reason is the same.
_VARYING: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|\b[0-9]+ s\b")


def said_of(events: int, seconds: int) -> str:
    """Return how much something is: "3 events, 1.50 h"."""
    return f"{events} event{'' if events == 1 else 's'}, {printed(hours(seconds))} h"


@dataclass(slots=True)
class Waiting:
    """The events that would wait for one reason."""

    customer: str | None
    reason: str
    """As it is said of the first of them."""
    events: int = 0
    seconds: int = 0
    first: list[int] = field(default_factory=list)
    """The ids of the first events."""

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "customer": self.customer,
            "reason": self.reason,
            "events": self.events,
            "hours": printed(hours(self.seconds)),
            "first": self.first,
        }


class DryRun:
    """Counts what would wait under the rules of a book."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._waiting: dict[tuple[str | None, str], Waiting] = {}
        self.events = 0

    def falling(self, events: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, Event, Held]]:
        """Price each event (its id and what it says); yield and count those that would wait."""
        for event_id, event in events:
            self.events += 1
            outcome = self._book.price(event)
            if isinstance(outcome, Held):
                self._count(event_id, event, outcome)
                yield event_id, event, outcome

    def reasons(self) -> list[Waiting]:
        """Return what would wait, by reason: the most events first."""
        return sorted(
            self._waiting.values(),
            key=lambda each: (-each.events, each.customer or "", each.reason),
        )

    def _count(self, event_id: int, event: Event, held: Held) -> None:
        key = (held.customer, _VARYING.sub("", held.reason))
        if key not in self._waiting and len(self._waiting) >= MOST_REASONS:
            key = _OTHERS
            held = Held(*_OTHERS)
        waiting = self._waiting.setdefault(key, Waiting(held.customer, held.reason))
        waiting.events += 1
        waiting.seconds += event.seconds or 0
        if len(waiting.first) < FIRST_IDS:
            waiting.first.append(event_id)


class Strangers:
    """Collects the projects that no customer takes and the accounts that nobody has."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._found: dict[str, list[int]] = {}

    def look_at(self, event: Event, events: int, seconds: int) -> None:
        """Look at one project and person, told in an event that stands for a number of them."""
        if event.project is not None:
            outcome = self._book.price(event)
            if isinstance(outcome, Held) and outcome.customer is None:
                self._add(outcome.reason, events, seconds)
        if not self._book.knows_person(event):
            name = f" ({quoted(event.person_name)})" if event.person_name else ""
            who = f"nobody has the account {quoted(event.person or '')}{name} of {event.endpoint}"
            self._add(f"{who} - add it under people: in workspace.yaml", events, seconds)

    def notes(self) -> list[str]:
        """Return one line for each, with how many events and hours there are."""
        return [
            f"stored events: {said[0]} ({said_of(count, seconds)})"
            + (f" - {said[2]}" if said[2] else "")
            for reason, (count, seconds) in sorted(self._found.items())
            for said in [reason.partition(" - ")]
        ]

    def _add(self, reason: str, events: int, seconds: int) -> None:
        counted = self._found.setdefault(reason, [0, 0])
        counted[0] += events
        counted[1] += seconds
