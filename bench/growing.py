"""A million stored events: accepting, pricing and listing beside a ledger of ten thousand."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import Connection, func, select

from ledger.events import Delivery
from ledger.inbox import Inbox
from ledger.listings import list_events, list_invoices, list_lines
from ledger.tables import event

from .bodies import ENDPOINT, issue, signed, worklog
from .copies import multiply
from .firm import Firm
from .places import Place
from .results import Finding, median_ratio
from .sizes import Size

THREADS: Final = 16
TEMPLATE: Final = 1000
"""How many time entries the product itself writes; the rest are copies of these."""
AIM: Final = 1.2


@dataclass(slots=True)
class Ledger:
    """A ledger of some size, and what each round on it took in seconds."""

    firm: Firm
    events: int
    inbox: Inbox
    took: dict[str, list[float]] = field(default_factory=dict)
    accepted: int = 0

    def round(self, size: Size) -> None:
        """Accept, price and list once."""
        first = 10_000_000 + self.accepted
        self.accepted += size.added
        self._timed("accept", lambda: self._accept(first, size.added))
        # A new issue is told to the events that name it: these too are looked for.
        self.firm.store({f"issue-{first}": issue(first)})
        self._timed("price", lambda: self.firm.run("normalize", "map"))
        for name, page in self._pages().items():
            self._timed(name, partial(self._list, page, size.pages))

    def _timed(self, name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        self.took.setdefault(name, []).append(time.perf_counter() - start)

    def _accept(self, first: int, count: int) -> None:
        now = self.firm.line.clock.now()

        def post(number: int) -> None:
            headers, raw = signed(worklog(number), str(number))
            self.inbox.accept(
                Delivery(headers, raw, now, ENDPOINT), source="jira", delivery_id=str(number)
            )

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(post, range(first, first + count)))

    def _list(self, page: Callable[[Connection], object], times: int) -> None:
        for _ in range(times):
            with self.firm.line.database.read() as connection:
                page(connection)

    def _pages(self) -> dict[str, Callable[[Connection], object]]:
        """Return what people and programs list: the newest, and pages in the middle."""
        middle = self.events // 2
        return {
            "list the newest events": partial(list_events, newest_first=True),
            "list an endpoint's events": partial(list_events, endpoint=ENDPOINT, after=middle),
            "list a project's events": partial(list_events, project="P3", after=middle),
            "list a customer's lines": partial(list_lines, customer="customer-3", after=middle),
            "list the newest invoices": partial(list_invoices, newest_first=True),
        }


def grow(place: Place, size: Size) -> list[Finding]:
    """Measure a small and a large ledger in turn."""
    with place.firm() as one, place.firm() as other:
        few, many = _filled(one, size.few_stored), _filled(other, size.many_stored)
        few.round(size)
        before = _resident()
        many.round(size)
        for ledger in (few, many):
            ledger.took.clear()
        for _ in range(size.rounds):
            for ledger in (few, many):
                ledger.round(size)
        memory = _resident() / before
    against = f"{many.events:,} events against {few.events:,}"
    found = [
        Finding(
            measured=f"grow: {name}, {against}",
            database=place.name,
            found=f"{median(many.took[name]):.3f} s against {median(few.took[name]):.3f} s",
            ratio=median_ratio(many.took[name], few.took[name]),
            aim=AIM,
        )
        for name in few.took
    ]
    return [
        *found,
        Finding(
            measured=f"grow: memory, {against}",
            database=place.name,
            found=f"{before * memory / 2**20:.0f} MB against {before / 2**20:.0f} MB",
            ratio=memory,
            aim=AIM,
        ),
    ]


def _filled(firm: Firm, events: int) -> Ledger:
    """Fill a ledger: a part is played through to pushed invoices, then copied."""
    entries = min(TEMPLATE, events)
    firm.store_issues()
    firm.store_worklogs(1, entries)
    firm.run("normalize", "map", "assemble")
    firm.approve_all()
    firm.run("push")
    multiply(firm, events // entries)
    with firm.line.database.read() as connection:
        stored = connection.scalar(select(func.count()).select_from(event)) or 0
    return Ledger(firm, stored, Inbox(firm.line.database, firm.line.clock))


def _resident() -> int:
    """Return the memory that this process holds, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
