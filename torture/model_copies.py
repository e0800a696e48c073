"""Going back in time in the stateful test: a copy of the ledger is put back, the others go on.

What the tools told since is told again, as their polls and retries do it. Stripe and the files
remember what went out; nothing is pushed before `recovery.py` has compared them with the copy.
"""

from __future__ import annotations

import json
import sqlite3
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ledger import restoring

from .model_checks import Broken
from .model_truth import Truth

if TYPE_CHECKING:
    from .model_world import World


_AMENDING: Final = ("amended", "conflict", "frozen")


@dataclass(slots=True)
class Copy:
    """The ledger of one moment, and what has happened since."""

    ledger: sqlite3.Connection
    truth: Truth
    made_at: datetime
    outside: str
    is_unfinished: bool
    """Work was waiting, or some invoices stood or had ended there otherwise than here."""
    told: list[Any] = field(default_factory=list)
    """Deliveries that arrived since."""
    is_outdated: bool = False
    """People have done something since that they would have to do again."""


class Copies:
    """Who keeps copies of a world's ledger: the last one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.last: Copy | None = None

    def back_up(self) -> None:
        """Make a copy while everything goes on."""
        world = self._world
        self.last = Copy(
            world.firm.database.copy(),
            deepcopy(world.truth),
            world.firm.clock.now(),
            self._outside(),
            self._is_unfinished(),
        )

    def _is_unfinished(self) -> bool:
        world = self._world
        waiting = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE state = 'waiting'"
            for table in ("delivery", "subject", "customer")
        )
        is_busy = world.firm.database.raw.execute(waiting).fetchone() is not None
        states = {world.ledger.state_of_invoice(each) for each in world.ledger.invoices}
        return is_busy or bool(states & set(_AMENDING)) or self._is_behind()

    def _is_behind(self) -> bool:
        """Return whether an invoice has ended at Stripe, and the ledger has not heard of it."""
        book = self._world.firm.stripe.book.table("invoices")
        return any(
            row["payment"] not in ("void", "deleted")
            and book.get(row["remote_id"], {"status": "void"})["status"] == "void"
            for row in self._world.ledger.invoices.values()
            if row["connector"] == "stripe" and row["remote_id"]
        )

    def can_be_put_back(self) -> bool:
        """Return whether the copy leads to where the ledger is, once all is told again.

        Where something went out since, drafts need not come to just that if work was told since,
        or if they were to change what went out before: then people have to compare, which is not
        played here.
        """
        copy = self.last
        if copy is None or copy.is_outdated or self._world.trouble:
            return False
        is_same_outside = self._outside() == copy.outside
        return is_same_outside or not (copy.told or copy.is_unfinished)

    def put_back(self) -> None:
        """Go on with the copy: tell again what was told since, compare, and only then push."""
        copy, world = self.last, self._world
        if copy is None or not self.can_be_put_back():
            return
        self.last = None
        world.go_back(copy.ledger, copy.truth)
        world.firm.database.write(lambda connection: restoring.mark(connection, copy.made_at))
        before = self._outside()
        for each in copy.told:
            world.deliver(each)
        world.firm.work()
        if self._outside() != before:
            raise Broken("a restored copy has pushed before it was compared")
        # Whoever compares tries again until everything could be asked.
        world.firm.calm()
        if problems := world.firm.recover():
            raise Broken(f"a restored copy cannot go on: {'; '.join(problems)}")

    def _outside(self) -> str:
        """Return what Stripe and the folder of files hold, as text."""
        firm = self._world.firm
        files = sorted(path.name for path in (firm.folder / "out").glob("*.json"))
        tables = [firm.stripe.book.table(name) for name in ("invoices", "lines", "charges")]
        return json.dumps([files, tables], sort_keys=True)
