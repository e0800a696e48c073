"""The mutants: each takes one safeguard out of the running code, for as long as a block lasts.

`torture/mutants.py` plants each in a process of its own and shows that it is noticed. The product
knows nothing of them.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final
from unittest import mock

from sqlalchemy import Connection, Table, UniqueConstraint, and_, true, update

from connectors.attempt import Attempt
from ledger import claims, deliveries, drafts, money, pushing, tables, tokens
from ledger import database as databases
from ledger.claims import LEASE_SECONDS, Claim
from ledger.events import Event
from ledger.inbox import Inbox
from ledger.money import Money, exponent
from ledger.pushing import Intent

from .model_firm import Firm

Planted = AbstractContextManager[object]
OURS: Final = (
    *("ledger", "webhooks", "mappings", "connectors", "console"),
    *("worker", "clock", "line", "stages", "missed", "planning"),
)
JUDGES: Final = ("ledger.audit", "ledger.overview", "ledger.present")
"""Who looks at the outcome is never changed: it must see what the mutant has done."""


@contextmanager
def instead_of(original: object, mutant: object) -> Iterator[None]:
    """Put one function in the place of another, by whatever name our modules know it."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] not in OURS or name.startswith(JUDGES):
                continue
            for attribute, value in list(vars(module).items()):
                if value is original:
                    stack.enter_context(mock.patch.object(module, attribute, mutant))
        yield


def _another(*_: object) -> str:
    return secrets.token_hex(16)


def acknowledged_before_commit() -> Planted:
    """The sender hears 2xx, whatever becomes of the commit."""
    accept = Inbox.accept

    def early(self: Inbox, *given: Any, **named: Any) -> bool:
        try:
            return accept(self, *given, **named)
        except Exception:
            return True

    return mock.patch.object(Inbox, "accept", early)


def no_sweeper() -> Planted:
    """What a dead process held is never free again."""

    waits = claims.waits

    def waits_unheld(table: Table, state: str | tuple[str, ...], now: datetime) -> Any:
        return and_(waits(table, state, now), table.c.lease_until.is_(None))

    return instead_of(waits, waits_unheld)


@contextmanager
def no_fencing() -> Iterator[None]:
    """A worker whose lease ran out goes on as if it still held its rows."""

    def hold(_: Connection, claimed: Claim) -> list[int]:
        return sorted(claimed.ids)

    def hold_one(_: Connection, claimed: Claim) -> int:
        return claimed.ids[0]

    def renew(connection: Connection, claimed: Claim, now: datetime) -> None:
        ours = claimed.table.c.id.in_(claimed.ids)
        until = now + timedelta(seconds=LEASE_SECONDS)
        connection.execute(update(claimed.table).where(ours).values(lease_until=until))

    with (
        instead_of(claims.hold, hold),
        instead_of(claims.hold_one, hold_one),
        instead_of(claims.renew, renew),
    ):
        yield


def random_key() -> Planted:
    """Each attempt has another idempotency key."""
    carry_out = Attempt.carry_out

    def carried_out(self: Attempt, intended: Intent, call: Callable[[str], Any]) -> Any:
        return carry_out(self, intended, lambda _: call(secrets.token_hex(16)))

    return mock.patch.object(Attempt, "carry_out", carried_out)


def no_look_up() -> Planted:
    """After an uncertain result the invoice is created again, without looking for it."""
    return mock.patch.object(Intent, "is_uncertain", property(lambda _: False))


def key_renewed_at_once() -> Planted:
    """The first 500 makes a new key, although the request may still be carried out."""
    return instead_of(pushing.needs_new_key, lambda *_: True)


def no_quiet_period() -> Planted:
    """One look that finds nothing proves that nothing will come."""
    return instead_of(pushing.settles_in, lambda *_: 0)


def arrival_order() -> Planted:
    """What arrives last is the truth, whatever its version."""
    return mock.patch.object(deliveries, "or_", return_value=true())


@contextmanager
def dedupe_in_memory() -> Iterator[None]:
    """Repeated deliveries are known by their ids, in a memory that a restart empties.

    Neither the database's keys nor the version of what was told stand in the way of a repetition.
    """
    seen: set[tuple[str, str | None]] = set()
    numbers = count(1)
    accept, restart = Inbox.accept, Firm.restart

    def accepted(self: Inbox, request: Any, *, source: str, delivery_id: str | None) -> bool:
        if (request.endpoint, delivery_id) in seen:
            return False
        seen.add((request.endpoint, delivery_id))
        return accept(self, request, source=source, delivery_id=f"{delivery_id}#{next(numbers)}")

    def restarted(self: Firm) -> None:
        seen.clear()
        restart(self)

    with (
        mock.patch.object(Inbox, "accept", accepted),
        mock.patch.object(Firm, "restart", restarted),
        mock.patch.object(Event, "digest", _another),
        arrival_order(),
    ):
        yield


def float_money() -> Planted:
    """Amounts are worked out with floating point."""

    def line_amount(quantity: Decimal, unit_price: Decimal, currency: str) -> Money:
        places = exponent(currency)
        amount = round(float(quantity) * float(unit_price), places)
        return Money(round(amount * 10**places), currency)

    return instead_of(money.line_amount, line_amount)


def unlocked_token_refresh() -> Planted:
    """Whoever finds an old token renews it, also while another worker does."""
    return mock.patch.object(tokens, "begin", _another)


@contextmanager
def draft_key_not_unique() -> Iterator[None]:
    """The database takes two drafts of one customer and period."""
    invoice = tables.invoice
    kept = {each for each in invoice.constraints if isinstance(each, UniqueConstraint)}

    def created(url: str) -> None:
        database = databases.Database(url)
        tables.metadata.create_all(database.engine)
        database.close()

    invoice.constraints -= kept
    with mock.patch.object(databases, "upgrade", created):
        yield
    invoice.constraints |= kept


def approval_of_anything() -> Planted:
    """An approval holds for whatever the draft becomes afterwards."""
    change = drafts.change

    def changed(
        connection: Connection, known: Any, draft: Any, state: str, values: Any, now: datetime
    ) -> None:
        change(connection, known, draft, state, values, now)
        if known["state"] != "approved" or state != "draft":
            return
        invoice, approval = tables.invoice, tables.approval
        connection.execute(
            update(invoice).where(invoice.c.id == known["id"]).values(state="approved", next_at=now)
        )
        connection.execute(
            update(approval)
            .where(approval.c.invoice_id == known["id"])
            .values(content_hash=draft.content_hash(), revision=known["revision"] + 1)
        )

    return instead_of(change, changed)
