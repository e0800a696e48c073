"""Settle: a person decides what becomes of billed work that was opened again.

`flask events settle` calls it; the map stage acts on it. Completed again, it is as if nothing had
been, and the decision is forgotten.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, select, update

from .auditlog import note
from .errors import BillhookError
from .facts import wake
from .reopening import OPENED_AGAIN
from .tables import subject


class SettleError(BillhookError):
    """There is nothing to decide about this subject; the message says why."""


def settle(
    connection: Connection,
    name: str,
    decision: str,
    *,
    endpoint: str | None,
    actor: str,
    now: datetime,
) -> None:
    """Decide about work that was opened again after it was billed: `TAKE_BACK` or `KEEP` it.

    Raise SettleError if there is no such work, it is of several endpoints, or nothing of it is
    billed.
    """
    which = subject.c.name == name
    if endpoint is not None:
        which = and_(which, subject.c.endpoint == endpoint)
    rows = connection.execute(select(subject).where(which).order_by(subject.c.endpoint)).all()
    if not rows:
        raise SettleError(f"{name}: no such subject - see `flask events list`")
    if len(rows) > 1:
        names = ", ".join(row.endpoint for row in rows)
        raise SettleError(f"{name}: is told by {names} - say which one with --endpoint")
    row = rows[0]
    if row.kind not in OPENED_AGAIN or row.state not in ("held", "priced"):
        raise SettleError(
            f"{name}: is no billed work that was opened again - see the held things for what is"
        )
    connection.execute(update(subject).where(subject.c.id == row.id).values(settled=decision))
    wake(connection, subject.c.id == row.id, now)
    note(
        connection,
        now,
        actor=actor,
        action="subject.settled",
        entity=f"subject:{row.id}",
        subject=name,
        decision=decision,
    )
