"""Plan: what other rules would bill of stored events, by the second, and the memory it takes."""

from __future__ import annotations

import resource
import time
from datetime import date
from typing import Final

from ledger import changes
from mappings.book import Book
from planning import activation, rehearse

from .copies import multiply
from .firm import Firm
from .places import Place
from .results import Finding
from .sizes import Size

TEMPLATE: Final = 1000
"""How many time entries the product itself prices; the rest are copies of these."""
TIMES: Final = 10
"""How many times as large the larger ledger is."""
A_MILLION: Final = 1_000_000


def plan(place: Place, size: Size) -> list[Finding]:
    """Measure a plan that prices every stored event again, on a ledger and on one ten times it."""
    few, many = size.planned, size.planned * TIMES
    seconds_of_few, memory_of_few = _planned(place, few)
    seconds_of_many, memory_of_many = _planned(place, many)
    rate = many / seconds_of_many
    return [
        Finding(
            measured=f"plan: {many:,} events against {few:,}, time for each event",
            database=place.name,
            found=f"{rate:,.0f} a second, a million in {A_MILLION / rate / 60:.0f} minutes",
            ratio=(seconds_of_many / many) / (seconds_of_few / few),
            aim=1.2,
        ),
        Finding(
            measured=f"plan: {many:,} events against {few:,}, most memory",
            database=place.name,
            found=f"{memory_of_many / 2**20:.0f} MB against {memory_of_few / 2**20:.0f} MB",
            ratio=memory_of_many / memory_of_few,
        ),
    ]


def _planned(place: Place, events: int) -> tuple[float, int]:
    """Return the seconds that a plan of so many events took, and this process's most bytes."""
    entries = min(TEMPLATE, events)
    with place.firm() as firm:
        firm.store_issues()
        firm.store_worklogs(1, entries)
        firm.run("normalize", "map")
        multiply(firm, events // entries)
        book = _dearer(firm)
        start = time.perf_counter()
        act = activation(firm.line, book, since=date(2026, 1, 1), by="bench")
        with rehearse(firm.line, act) as rehearsal, rehearsal.look() as connection:
            changed = sum(
                change.count
                for draft in changes.drafts(connection)
                for change in changes.changes_of(connection, draft)
            )
        seconds = time.perf_counter() - start
    # Each line changes its price, and none is lost.
    if changed < events // entries * entries:
        raise RuntimeError(f"{events} events should be priced again, but {changed} lines change")
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _dearer(firm: Firm) -> Book:
    files = firm.book().files
    return Book.load({name: text.replace("120.00", "130.00") for name, text in files.items()})
