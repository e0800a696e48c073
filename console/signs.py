"""Signs of life: what `/readyz` notes and `flask doctor` finds about clock, workers, pushing and
billing systems.

None of it keeps requests away: deliveries are taken while they are down.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ledger import breakers
from ledger.audit.resting import left_lying
from ledger.events import as_utc_text
from ledger.heartbeats import last_beat
from ledger.restoring import WAITS, waiting_since
from ledger.tokens import list_stored

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from line import Line

CLOCK_SECONDS: Final = 60
"""How old the clock's last sign of life may be; it gives one every few seconds."""
START_CLOCK: Final = "start it with `python clock.py`; one is enough"
START_WORKER: Final = "start a worker with `python worker.py`"


def clock_age(line: Line, connection: Connection) -> timedelta | None:
    """Return how long ago the clock gave its last sign of life, None if it has never run."""
    at = last_beat(connection, "clock")
    return None if at is None else line.clock.now() - at


def notes(line: Line) -> dict[str, str]:
    """Return what is wrong with processes and systems that requests do not need, by name."""
    found: dict[str, str] = {}
    with line.database.read() as connection:
        copied_at = waiting_since(connection)
        age = clock_age(line, connection)
        lying = next(left_lying(connection, line.clock.now()), None)
        resting = breakers.rests(connection, line.clock.now())
        stored = list_stored(connection)
    if age is None:
        found["clock"] = f"has never run - {START_CLOCK}"
    elif age > timedelta(seconds=CLOCK_SECONDS):
        seconds = int(age.total_seconds())
        found["clock"] = f"gave its last sign of life {seconds} s ago - {START_CLOCK}"
    if lying is not None:
        found["worker"] = f"{lying.entity} {lying.detail} - {START_WORKER}"
    if copied_at is not None:
        found["pushing"] = WAITS.format(copied_at=as_utc_text(copied_at))
    for rest in resting.values():
        found[f"connector {rest.connector}"] = rest.told()
    for each in stored:
        if each["needs_reauth"]:
            found[f"connector {each['name']}"] = each["needs_reauth"]
    return found
