"""`flask audit --deep`: the billing systems are asked about what went out. Nothing changes there.

It joins connectors and ledger, as `worker.py` does. A system that cannot be reached leaves
something unchecked; what the others say is checked all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from connectors.connector import BillingConnector, RemoteInvoice
from ledger.audit.remote import (
    IssuedCredit,
    PushedInvoice,
    SeenCredit,
    SeenInvoice,
    credit_differences,
    differences,
    issued_credits,
    pushed_invoices,
    sent_references,
    strangers,
)
from ledger.audit.violations import Violation
from ledger.errors import BillhookError, UnsupportedError
from line import Line

EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every invoice that could carry a reference of ours."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the ledger says that it has sent, read in the snapshot of the audit."""

    invoices: Sequence[PushedInvoice]
    references: Mapping[str, Collection[str]]
    """By connector, also those of which it is not certain that they arrived."""
    credits: Sequence[IssuedCredit] = ()


@dataclass(slots=True)
class Asked:
    """What came of asking."""

    violations: list[Violation] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What could not be asked, and why."""


def sent(connection: Connection) -> Sent:
    """Return what was sent."""
    return Sent(
        pushed_invoices(connection), sent_references(connection), issued_credits(connection)
    )


def ask(line: Line, told: Sent) -> Asked:
    """Ask every billing system about what was sent to it, and for what it has of ours besides."""
    found = Asked()
    book = line.book()
    configured = set(book.workspace.connectors) if book else set()
    named = {
        *(each.connector for each in told.invoices),
        *(each.connector for each in told.credits),
        *told.references,
    }
    for name in sorted(configured | named):
        mine = [each for each in told.invoices if each.connector == name]
        credits = [each for each in told.credits if each.connector == name]
        try:
            connector = line.billing(name)
        except BillhookError as error:
            found.unchecked += [f"{each.reference}: {error}" for each in mine]
            found.unchecked += [f"{each.reference}: {error}" for each in credits]
            continue
        _ask_one(connector, name, mine, told.references.get(name, ()), found)
        _ask_credits(connector, credits, found)
    return found


def _ask_one(
    connector: BillingConnector,
    name: str,
    invoices: Sequence[PushedInvoice],
    known: Collection[str],
    found: Asked,
) -> None:
    listed: dict[str, list[str]] | None = None
    try:
        listed = _listed(connector)
    except UnsupportedError:
        # Then each is looked for by its reference, and strangers stay unseen.
        pass
    except BillhookError as error:
        found.unchecked.append(f"{name}: what it has of ours cannot be listed: {error}")
    for each in invoices:
        same = [] if listed is None else listed.get(each.reference, [])
        try:
            remote = _looked_up(connector, each, None if listed is None else same)
            seen = None if remote is None else _seen(connector, each, remote)
        except BillhookError as error:
            found.unchecked.append(f"{each.reference}: {error}")
        else:
            found.violations += differences(each, seen, same)
    if listed is not None:
        try:
            found.violations += _strangers(connector, name, listed, known)
        except BillhookError as error:
            found.unchecked.append(f"{name}: {error}")


def _ask_credits(
    connector: BillingConnector, credits: Sequence[IssuedCredit], found: Asked
) -> None:
    for each in credits:
        if not connector.abilities.credit:
            reason = f"{connector.name} cannot be asked for credit notes"
            found.unchecked.append(f"{each.reference}: {reason}")
            continue
        try:
            there = connector.find_credit(each.reference, each.credits)
        except BillhookError as error:
            found.unchecked.append(f"{each.reference}: {error}")
        else:
            seen = None if there is None else SeenCredit(there.remote_id, there.total)
            found.violations += credit_differences(each, seen)


def _listed(connector: BillingConnector) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for one in connector.made_since(EVER):
        listed.setdefault(str(one.reference), []).append(one.remote_id)
    return listed


def _looked_up(
    connector: BillingConnector, pushed: PushedInvoice, same: Sequence[str] | None
) -> RemoteInvoice | None:
    """Return the invoice with its payments, None if there is none with its reference."""
    if same is None or len(same) == 1:
        found = connector.find_invoice(pushed.reference, remote_customer=pushed.remote_customer)
        remote_id = None if found is None else found.remote_id
    else:
        # A look-up by the reference refuses to choose among several.
        found = None
        remote_id = pushed.remote_id if pushed.remote_id in same else next(iter(same), None)
    if remote_id is None:
        return None
    fetched = connector.fetch_invoice(remote_id)
    # Lines come with a look-up by reference, payments with one by id.
    is_without_lines = fetched.lines is None and found is not None
    return replace(fetched, lines=found.lines) if is_without_lines and found else fetched


def _seen(connector: BillingConnector, pushed: PushedInvoice, remote: RemoteInvoice) -> SeenInvoice:
    return SeenInvoice(
        remote_id=remote.remote_id,
        amounts=remote.amounts,
        lines=remote.lines,
        is_complete=remote.is_complete,
        expected=connector.shown(pushed.content).lines,
        in_order=connector.abilities.keeps_order,
    )


def _strangers(
    connector: BillingConnector,
    name: str,
    listed: Mapping[str, Sequence[str]],
    known: Collection[str],
) -> Iterator[Violation]:
    unknown = [
        remote_id for reference in set(listed) - set(known) for remote_id in listed[reference]
    ]
    amounts = {remote_id: connector.fetch_invoice(remote_id).amounts for remote_id in unknown}
    yield from strangers(name, listed, known, amounts)
