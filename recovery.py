"""Recovery: what a restored copy has forgotten is found out, then it may push again.

`flask sync --restored` calls it. It joins project tools, the line and billing systems, as
`worker.py` does; what is stored about it is in `ledger/restoring.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import worker
from ledger import polls, restoring
from ledger.errors import BillhookError
from ledger.money import Money
from ledger.restoring import Found
from ledger.sync import look_at_all
from line import Line


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of comparing a restored ledger with the systems around it."""

    taken_over: int = 0
    """Invoices that had gone out and that this ledger did not know of."""
    strays: list[str] = field(default_factory=list)
    """References that billing systems hold and no invoice here has."""
    problems: list[str] = field(default_factory=list)
    """What could not be asked: until it can, nothing is pushed."""

    @property
    def is_over(self) -> bool:
        """Return whether pushing goes on."""
        return not (self.strays or self.problems)


def recover(line: Line, *, actor: str, tell: Callable[[str], None] = lambda _: None) -> Recovered:
    """Find out what a copy has forgotten; let pushing go on if everything could be asked.

    What tools told since the copy is asked for first, and what became of the invoices that it
    knows, so that drafts are what they were when they went out. It may be run again at any time,
    and goes on where something was missing.
    """
    with line.database.read() as connection:
        copied_at = restoring.waiting_since(connection)
        # Before they are looked at: what was amended may have been finalized, too.
        drafts = restoring.drafts_there(connection)
    if copied_at is None:
        return Recovered()
    # One that was void or deleted since has set its work free: it may stand on another by now.
    line.database.write(lambda connection: look_at_all(connection, line.clock.now()))
    problems = _ask_tools(line, tell)
    taken_over = 0
    book = line.book()
    for name in sorted(book.workspace.connectors if book else ()):
        tell(f"{name}: looking for what went out since {copied_at:%Y-%m-%d %H:%M} UTC")
        try:
            found = _made_since(line, name, copied_at, drafts.get(name, ()))
        except BillhookError as error:
            problems.append(f"{name}: {error}")
            continue
        keep = partial(restoring.take_over, connector=name, found=found, now=line.clock.now())
        taken_over += line.database.write(keep)
    with line.database.read() as connection:
        recovered = Recovered(taken_over, restoring.unsettled(connection), problems)
    if recovered.is_over:
        line.database.write(lambda connection: restoring.end(connection, actor, line.clock.now()))
        line.doorbell.ring("push")
    return recovered


def _made_since(line: Line, name: str, moment: datetime, drafts: Collection[str]) -> list[Found]:
    """Return what was made since a moment, and some drafts that were made before as they are."""
    connector = line.billing(name)
    made = {each.remote_id: each for each in connector.made_since(moment)}
    for remote_id in drafts:
        if remote_id not in made:
            there = connector.fetch_invoice(remote_id)
            if there.reference is not None:
                made[remote_id] = there
    return [
        Found(
            remote_id=each.remote_id,
            reference=str(each.reference),
            total=Money(each.amounts.total, each.amounts.currency),
            document=each.amounts.document,
            content_hash=each.content_hash,
        )
        for each in made.values()
    ]


def _ask_tools(line: Line, tell: Callable[[str], None]) -> list[str]:
    """Have every tool asked from where the copy had come to, and the answers put on drafts."""
    wanted = line.polled()
    line.database.write(lambda connection: polls.expect(connection, wanted, line.clock.now()))
    line.database.write(lambda connection: polls.ask_now(connection, (), line.clock.now()))
    tell(f"asking {len(wanted)} questions to project tools")
    # Pushing waits, so that whatever else is at hand may go on as well.
    worker.work_off(line)
    with line.database.read() as connection:
        return [
            f"{each.endpoint}: {each.what}: {each.problem or 'has not been asked yet'}"
            for each in polls.progress(connection)
            if each.is_asked and (each.problem or each.next_at <= line.clock.now())
        ]
