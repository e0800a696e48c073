"""Audit: every invariant of a large ledger beside one of ten thousand entries, and its memory."""

from __future__ import annotations

import resource
import time
from typing import Any, Final

from sqlalchemy import Connection, select, update

from console.commands.audit import _price_again
from ledger.audit.side_by_side import examine_side_by_side, processes_for
from ledger.auditlog import head
from ledger.tables import event, fact, invoice, subject
from mappings.judging import sum_up

from .bodies import worklog
from .copies import multiply
from .firm import Firm
from .places import Place
from .results import Finding
from .signing import sign_copies
from .sizes import Size

TEMPLATE: Final = 1000
"""How many time entries the product itself bills; the rest are copies of these."""
_EVERY: Final = 51
"""Which entries are corrected after they were billed: each so many."""
A_MILLION: Final = 1_000_000


def audit(place: Place, size: Size) -> list[Finding]:
    """Measure `flask audit` on a small ledger and on a large one; both must be without a fault."""
    few, many = size.few_stored, size.audited
    seconds_of_few, memory_of_few = _audited(place, few)
    seconds_of_many, memory_of_many = _audited(place, many)
    each = seconds_of_many / many
    return [
        Finding(
            measured=f"audit: {many:,} entries against {few:,}, time for each entry",
            database=place.name,
            found=f"{each * 100_000:.1f} s for 100,000, {each * A_MILLION:.0f} s for a million",
            ratio=each / (seconds_of_few / few),
            aim=1.2,
        ),
        Finding(
            measured=f"audit: {many:,} entries, seconds for a million",
            database=place.name,
            found=f"{seconds_of_many:.1f} s",
            ratio=each * A_MILLION,
            aim=60,
        ),
        Finding(
            measured=f"audit: {many:,} entries against {few:,}, most memory",
            database=place.name,
            found=f"{memory_of_many / 2**20:.0f} MB against {memory_of_few / 2**20:.0f} MB",
            ratio=memory_of_many / memory_of_few,
            aim=1.2,
        ),
    ]


def _audited(place: Place, entries: int) -> tuple[float, int]:
    """Return the seconds that an audit took, and the most bytes that a process of it held."""
    with place.firm() as firm:
        fill(firm, entries)
        line = firm.line
        ways: dict[str, Any] = {
            "price_again": _price_again(line),
            "sum_again": lambda key, version, lines: sum_up(line.book_of(version), key, lines),
        }
        start = time.perf_counter()
        processes = max(processes_for(line.database), 2)
        found, _ = examine_side_by_side(line.database, line.clock.now(), processes, head, **ways)
        seconds = time.perf_counter() - start
    if found.violations or found.figures.rows["subject"] < entries:
        raise RuntimeError(f"a good ledger of {entries} entries is audited as {found.violations}")
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return seconds, max(resource.getrusage(each).ru_maxrss for each in who) * 1024


def fill(firm: Firm, entries: int) -> None:
    """Fill a ledger with so many entries that were billed, some of them corrected afterwards."""
    part = min(TEMPLATE, entries)
    firm.store_issues()
    firm.store_worklogs(1, part)
    firm.run("normalize")
    firm.line.database.write(_say_everything)
    firm.run("map", "assemble")
    firm.approve_all()
    firm.run("push", "look")
    firm.store({f"again-{number}": _longer(number) for number in range(1, part, _EVERY)})
    firm.run("normalize")
    firm.line.database.write(_say_everything)
    firm.run("map", "assemble")
    multiply(firm, entries // part)
    # The file connector names an invoice by its reference, and so does each copy.
    named = update(invoice).where(invoice.c.remote_id.is_not(None))
    named = named.values(remote_id=invoice.c.reference)
    firm.line.database.write(lambda connection: connection.execute(named))
    sign_copies(firm)


def _say_everything(connection: Connection) -> None:
    """Let the events say what Jira tells only about their issues, as most other tools do."""
    known = select(fact).where(fact.c.endpoint == event.c.endpoint, fact.c.about == event.c.about)
    filled = {
        name: known.with_only_columns(fact.c[name]).scalar_subquery()
        for name in ("project", "item", "title", "labels", "fields")
    }
    is_entry = event.c.kind == "time.logged"
    connection.execute(update(event).where(is_entry, event.c.about.is_not(None)).values(filled))
    connection.execute(update(event).values(about=None))
    connection.execute(update(subject).values(about=None))


def _longer(number: int) -> dict[str, Any]:
    """Return the body about an entry that somebody has made an hour longer after it was billed."""
    body = worklog(number)
    entry = {**body["worklog"], "updated": "2026-11-02T10:00:00.000+0200"}
    entry["timeSpentSeconds"] += 3600
    return {
        **body,
        "timestamp": body["timestamp"] + 10_000_000_000,
        "webhookEvent": "worklog_updated",
        "worklog": entry,
    }
