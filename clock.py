"""The clock: the only timer. It rings what waits, tells what is due, seals the audit log.

What is due when stands in the database. Two clocks at once do no harm: rings are only rings,
and a place in the audit chain can be taken once.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

import logs
from dues import Dues
from ledger import auditlog, polls
from ledger.errors import ConfigurationError
from ledger.heartbeats import beat
from line import Line
from worker import busy_stages

TICK_SECONDS: Final = 5
"""How often the clock looks; what was rung in vain is rung again after as long."""
ANCHOR_TICKS: Final = 720
"""How many ticks lie between two log lines with the head of the audit chain: about an hour."""

log = structlog.get_logger("clock")


def tick(line: Line, count: int, dues: Dues | None = None) -> None:
    """Tell what has come due, ring what waits, seal the audit log, show that the clock is alive."""
    (dues or Dues(line)).tell()
    wanted = line.polled()
    with line.database.read() as connection:
        agrees = polls.agrees(connection, wanted)
    if not agrees:
        line.database.write(lambda connection: polls.expect(connection, wanted, line.clock.now()))
    for stage in busy_stages(line):
        line.doorbell.ring(stage.name)
    while line.database.write(auditlog.seal):
        pass
    line.database.write(lambda connection: beat(connection, "clock", line.clock.now()))
    if count % ANCHOR_TICKS == 0:
        with line.database.read() as connection:
            position, head = auditlog.head(connection)
        # Outside the database, so that a chain that was forged as a whole shows too.
        log.info("audit_head", position=position, head=head)


def main() -> int:
    """Tick until stopped; return the exit code."""
    # First of all, so that a clock that is asked to stop while it starts ends in order, too.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        line = Line.from_env()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    logs.set_up(line.settings.log_level)
    log.info("clock_started")
    count, dues = 0, Dues(line)
    while not stop.is_set():
        try:
            tick(line, count, dues)
        except SQLAlchemyError as error:
            # Another clock was quicker with the chain, or the database is away: the next tick.
            log.warning("tick_failed", error=type(error).__name__)
        count += 1
        stop.wait(TICK_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
