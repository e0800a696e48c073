"""Dismiss: a person says of deliveries that could not be read that they never will have to be.

`flask events dismiss` calls it. Nothing is deleted: the bytes stay, and `flask events replay` reads
them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, update

from .auditlog import note
from .claims import released
from .errors import BillhookError
from .held_kinds import NOT_READ
from .tables import delivery

ACTION: Final = "delivery.dismissed"
"""What the audit log calls it."""
DISMISSED: Final = "dismissed by "
"""How the reason of a delivery that a person has dismissed begins."""


class DismissError(BillhookError):
    """One of the deliveries does not wait for a person, or no reason is given: none is dismissed.

    The message says which.
    """


def dismiss(
    connection: Connection, ids: Iterable[int], *, why: str, actor: str, now: datetime
) -> int:
    """Have deliveries that were not read count as ignored; return how many there are.

    Raise DismissError if one of them is not there, was read or is being read, or `why` is empty.
    """
    wanted, why = sorted(set(ids)), " ".join(why.split())
    if not why:
        raise DismissError("say why with --why: whoever looks for it later reads that")
    for number in wanted:
        # Whoever has it read again at the same moment has either come first, or comes after it.
        was = connection.execute(
            select(delivery.c.state, delivery.c.reason)
            .where(delivery.c.id == number)
            .with_for_update()
        ).first()
        if was is None:
            raise DismissError(f"deliveries: there is no {number} - nothing was dismissed")
        if was.state not in NOT_READ:
            raise DismissError(
                f"delivery {number}: is {was.state}, and only what was not read can be dismissed - "
                "nothing was dismissed; see `flask waiting --kind delivery`"
            )
        connection.execute(
            update(delivery)
            .where(delivery.c.id == number)
            .values(state="ignored", reason=f"{DISMISSED}{actor}: {why}", **released(now))
        )
        note(
            connection,
            now,
            actor=actor,
            action=ACTION,
            entity=f"delivery:{number}",
            was=was.state,
            reason=was.reason,
            why=why,
        )
    return len(wanted)
