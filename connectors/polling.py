"""Where a poll stands in a tool that lists several kinds of things by their time of change.

The cursor moves by the times of change that the tool tells, never by our clock, so that clocks that
differ lose nothing. A page begins where the last one ended, so that nothing is lost either when
something changes meanwhile: pages by number would move on under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.cursor import Cursor, unreadable

OVERLAP_SECONDS: Final = 300
"""How far each poll reaches back before the last change that it saw: what is stored late has an
older time of change than what was seen already."""


@dataclass(frozen=True, slots=True)
class Turn(Cursor):
    """What was reached of each kind, in Unix seconds, and the page that is read next."""

    reached: tuple[int, ...]
    """The newest time of change seen, for each kind in the connector's order."""
    kind: int = 0
    start: int | None = None
    """Where the present page begins; None: this kind has not been begun."""
    page: int = 1
    """More than 1 only where one second holds more changes than a page."""

    @property
    def since(self) -> int:
        """Return the time of change that the next page begins with, itself included."""
        if self.start is not None:
            return self.start
        return max(self.reached[self.kind] - OVERLAP_SECONDS, 0)

    def next_page(self, newest: int) -> Turn:
        """Return where this kind goes on after a page that ends with this time of change."""
        if newest > self.since:
            return Turn(self.reached, self.kind, newest)
        return Turn(self.reached, self.kind, self.since, self.page + 1)

    def next_kind(self, newest: int) -> Turn:
        """Return where the poll goes on after this kind's last page, with 0 if it was empty."""
        reached = list(self.reached)
        reached[self.kind] = max(reached[self.kind], newest)
        return Turn(tuple(reached), (self.kind + 1) % len(reached))

    @classmethod
    def begun(cls, now: int, kinds: int) -> Turn:
        """Return where a poll of so many kinds stands that begins now (Unix seconds)."""
        return cls((now,) * kinds)

    @classmethod
    def at(cls, text: str, kinds: int, tool: str) -> Turn:
        """Return a stored one of so many kinds; raise RejectedError for a text that is none."""
        found = cls.read(text, tool)
        if len(found.reached) != kinds:
            raise unreadable(tool)
        return found

    def __post_init__(self) -> None:
        if self.kind >= len(self.reached) or self.page < 1:
            raise ValueError
