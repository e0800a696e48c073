"""What a webhook only hints at is found out: an invoice, or a thing in a project tool.

The stage `follow` of `worker.py`, which calls this.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from connectors.registry import project_connectors
from ledger import breakers, sync
from ledger.claims import Claim
from ledger.errors import PermanentError, RejectedError, UnsupportedError
from ledger.events import Delivery
from ledger.found import store
from line import Line


def follow(line: Line, claimed: Claim) -> None:
    """Find out what a webhook only hints at: an invoice is looked at, a thing is looked up."""
    with line.database.read() as connection:
        hints = sync.load_hints(connection, claimed)
    now = line.clock.now()
    invoices: dict[int, list[str]] = {}
    things: dict[int, list[Delivery]] = {}
    held: dict[int, str] = {}
    for each in hints:
        kind, _, remote_id = each.subject.partition(":")
        if line.tool(each.endpoint) in project_connectors():
            connector = line.project(each.endpoint)
            if connector is None:
                held[each.id] = _CANNOT_ASK.format(endpoint=each.endpoint, thing=each.subject)
                continue
            try:
                found = connector.look_up(each.subject)
            except (RejectedError, UnsupportedError, PermanentError) as error:
                held[each.id] = f"{each.subject} changed, and cannot be looked up: {error}"
                continue
            things[each.id] = [one.delivery(each.endpoint, now) for one in found]
        elif kind == "invoice":
            invoices[each.id] = [remote_id]
        else:
            invoices[each.id] = _named_there(line, each)

    def record(connection: Connection) -> None:
        for hint in hints:
            if hint.id in things:
                tool = str(line.tool(hint.endpoint))
                store(connection, tool, things[hint.id], now)
        sync.follow(connection, claimed, invoices, line.clock.now())
        sync.end_hints(connection, claimed, things, held, line.clock.now())

    line.database.write(record)


def _named_there(line: Line, hint: sync.Hint) -> list[str]:
    """Ask the billing systems that a hint came from which invoices it is about."""
    found: list[str] = []
    for name, connector in line.billing_named_by(hint.endpoint).items():
        with breakers.passing(line.database, line.clock, name, connector.has_answered):
            found += connector.invoices_for(hint.subject)
    return found


_CANNOT_ASK: Final = (
    "{thing} changed, but the tool sends no more than that, and {endpoint} has no token in "
    "workspace.yaml to ask with - add it, then activate the rules again"
)
