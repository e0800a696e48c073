"""Polling several lists of a tool, page by page, so that an interruption resumes where it was.

A round goes over all lists (`issues of acme/site`, `milestones of acme/site`, ...) for what changed
since the round before. Where it stands is the cursor that `changes_since` gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from connectors.connector import Changes
from connectors.cursor import Cursor
from ledger.events import Found

OVERLAP: Final = timedelta(minutes=10)
"""How far each round reaches back before the last one's beginning: clocks differ."""
MOST_EMPTY: Final = 50
"""How many lists without news one call goes over before it says where it stands."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one request found, and where its list goes on."""

    found: Sequence[Found] = ()
    is_last: bool = True
    after: datetime | None = None
    """The list goes on with what changed since this moment; None: with the page below."""
    page: int = 1
    marks: Mapping[str, int] = field(default_factory=dict)
    """Numbers that the next round needs: the newest thing that was seen of a list without times."""


@dataclass(frozen=True, slots=True)
class Sweep(Cursor):
    """Where a poll stands, between two rounds or within one."""

    since: datetime
    """When the last complete round began."""
    until: datetime | None = None
    """When the round under way began; None between two rounds."""
    step: str = ""
    """The list that is next."""
    after: datetime | None = None
    page: int = 1
    marks: Mapping[str, int] = field(default_factory=dict)

    @property
    def begin(self) -> datetime:
        """Return since when this round looks: what was completed before was told before, or never.

        Else a remark on an issue that was closed years ago would bill it.
        """
        return self.since - OVERLAP

    @property
    def start(self) -> datetime:
        """Return since when the present list is asked for."""
        return self.after or self.begin

    def going_on(self, found: Sequence[Found], last: datetime) -> Page:
        """Return a page of a list sorted by time of change that goes on at its last entry's.

        Page numbers alone would skip entries: one that changes meanwhile leaves its page. The
        second before is asked for again, because several may have changed within it.
        """
        after = last - timedelta(seconds=1)
        if after > self.start:
            return Page(found, is_last=False, after=after)
        return Page(found, is_last=False, after=self.after, page=self.page + 1)

    def by_number(self, found: Sequence[Found], *, is_last: bool) -> Page:
        """Return a page of a list that only has page numbers."""
        return Page(found, is_last=is_last, page=self.page + 1)

    def __post_init__(self) -> None:
        if self.page < 1:
            raise ValueError


def swept(
    tool: str, cursor: str, now: datetime, steps: Sequence[str], read: Callable[[Sweep], Page]
) -> Changes:
    """Return the next page that has something, or all that is left of a round.

    `steps` names the lists, always in the same order; `read` asks for the page of a list at which
    a sweep stands. A list that is gone since the last call lets the round begin again.
    """
    at = Sweep.read(cursor, tool)
    if at.until is None:
        at = replace(at, until=now, step="", after=None, page=1)
    found: Sequence[Found] = ()
    for _ in range(MOST_EMPTY):
        if not steps:
            at = _finished(at)
            break
        if at.step not in steps:
            at = replace(at, step=steps[0], after=None, page=1)
        page = read(at)
        found, at = page.found, _beyond(at, page, steps)
        if found or at.until is None:
            break
    return Changes(found, at.text, is_all=at.until is None)


def _beyond(at: Sweep, page: Page, steps: Sequence[str]) -> Sweep:
    at = replace(at, marks={**at.marks, **page.marks})
    if not page.is_last:
        return replace(at, after=page.after, page=page.page)
    rest = steps[steps.index(at.step) + 1 :]
    if rest:
        return replace(at, step=rest[0], after=None, page=1)
    return _finished(at)


def _finished(at: Sweep) -> Sweep:
    return Sweep(since=at.until or at.since, marks=at.marks)
