"""Where a poll stands in a tool that lists several kinds of things by their time of change.

The cursor moves by the times of change that the tool tells, never by our clock, so that clocks that
differ lose nothing. A page begins where the last one ended, so that nothing is lost either when
something changes meanwhile: pages by number would move on under it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from ledger.errors import RejectedError

OVERLAP_SECONDS: Final = 300
"""How far each poll reaches back before the last change that it saw: what is stored late has an
older time of change than what was seen already."""


@dataclass(frozen=True, slots=True)
class Cursor:
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

    def next_page(self, newest: int) -> Cursor:
        """Return where this kind goes on after a page that ends with this time of change."""
        if newest > self.since:
            return Cursor(self.reached, self.kind, newest)
        return Cursor(self.reached, self.kind, self.since, self.page + 1)

    def next_kind(self, newest: int) -> Cursor:
        """Return where the poll goes on after this kind's last page, with 0 if it was empty."""
        reached = list(self.reached)
        reached[self.kind] = max(reached[self.kind], newest)
        return Cursor(tuple(reached), (self.kind + 1) % len(reached))

    @property
    def text(self) -> str:
        """Return the cursor as it is stored."""
        return json.dumps([*self.reached, self.kind, self.start, self.page])

    @classmethod
    def begun(cls, now: int, kinds: int) -> Cursor:
        """Return the cursor of a poll of so many kinds that begins now (Unix seconds)."""
        return cls((now,) * kinds)

    @classmethod
    def read(cls, text: str, kinds: int, tool: str) -> Cursor:
        """Return a stored cursor; raise RejectedError for a text that is none."""
        try:
            *reached, kind, start, page = json.loads(text)
            numbers = [*reached, kind, page, *([] if start is None else [start])]
            if not all(type(each) is int and 0 <= each < 2**40 for each in numbers):
                raise ValueError
            if len(reached) != kinds or kind >= kinds or page < 1:
                raise ValueError
        except (ValueError, TypeError):
            raise RejectedError(
                f"{tool}: where the last poll ended cannot be read - let polling of this endpoint "
                "begin anew"
            ) from None
        return cls(tuple(reached), kind, start, page)
