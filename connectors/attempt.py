"""One attempt to bring one invoice to its billing system: what all of its steps have in common.

Every change there is written down with its idempotency key before it is tried, and what became of
it afterwards. The steps themselves are in `push.py` and `amend.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import Connection

from ledger import pushing
from ledger.claims import LEASE_SECONDS, Claim, hold_one, renew
from ledger.database import Database
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    RejectedError,
    StillUnderWayError,
    UnsupportedError,
)
from ledger.money import Money
from ledger.ports import Clock
from ledger.pushing import Intent, Push
from ledger.shown import Shown, differences

from .connector import BillingConnector, RemoteInvoice

T = TypeVar("T")
HELD: Final = timedelta(seconds=LEASE_SECONDS / 2)
"""For how long a claim that was just renewed is relied on."""
MOST_TOLD: Final = 3
"""The most differences that a problem names."""


class TotalsDifferError(ConnectorError):
    """The billing system shows another invoice than ours: it stops until a person has looked."""


@dataclass(slots=True)
class Attempt:
    """What the steps of one attempt work with."""

    database: Database
    clock: Clock
    claimed: Claim
    connector: BillingConnector
    push: Push

    def carry_out(self, intended: Intent, call: Callable[[str], T]) -> T:
        """Carry out an intent: what happens to it is written down before and after."""
        self._mark_sent(intended)
        try:
            return call(intended.idempotency_key)
        except OutcomeUnknownError as error:
            self.mark(intended, "uncertain", reason=str(error))
            raise
        except (RejectedError, UnsupportedError) as error:
            self.mark(intended, "refused", reason=str(error))
            raise
        # After any other error it stays "sent": of several requests the first may have been
        # carried out, so the next attempt looks first.

    def _mark_sent(self, intended: Intent) -> None:
        """Write down that a request goes out now, while nobody else can have taken over.

        What it does there cannot be fenced. So a process that has stood still meanwhile looks
        again whether the claim is its own before it sends.
        """

        def hold_and_mark(connection: Connection, now: datetime) -> None:
            renew(connection, self.claimed, now)
            pushing.mark(connection, intended, "sent", now)

        marked_at = None
        while marked_at is None or self.clock.now() - marked_at >= HELD:
            marked_at = self.clock.now()
            self.write(hold_and_mark)

    def with_a_fresh_key(self, intended: Intent) -> Intent:
        """Return an intent of which nothing is there, under a new key if the old one is no use.

        A system may answer for ever under a key what it has answered once, be it an error.
        """
        abilities, now = self.connector.abilities, self.clock.now()
        is_open = intended.is_uncertain or self.push.has_forgotten(intended)
        if not is_open or not pushing.needs_new_key(
            intended, self.push, abilities.key_life, abilities.settles_after, now
        ):
            return intended

        def renewed(connection: Connection, now: datetime) -> Intent:
            pushing.mark(connection, intended, "absent", now)
            generation = intended.generation + 1
            operation = intended.operation
            return pushing.intend(connection, self.push, operation, now, generation=generation)

        return self.write(renewed)

    def with_a_key_that_holds(self, intended: Intent, *, is_absent: bool) -> Intent:
        """Return an uncertain intent, or the next one of its kind, that may be tried (again) now.

        `is_absent` says that a look has just found nothing of it. Raise StillUnderWayError as long
        as something of the first try may come yet, and no key keeps it from coming twice.
        """
        abilities, now = self.connector.abilities, self.clock.now()
        if not is_absent:
            return intended
        fresh = self.with_a_fresh_key(intended)
        if fresh != intended:
            return fresh
        wait = pushing.settles_in(intended, abilities.settles_after, now)
        if not abilities.idempotency_keys and wait:
            raise StillUnderWayError(
                f"{self.connector.name} does not show {self.push.reference} yet, and what was "
                f"asked last may still come - it is looked up again in {wait} s",
                wait,
            )
        return intended

    def compare(self, intended: Intent, remote: RemoteInvoice) -> None:
        """Stop with a TotalsDifferError unless the billing system shows what we have sent."""
        self.must_be_there(intended, remote)
        ours = replace(self.connector.shown(self.push.draft), header={})
        theirs = Money(remote.amounts.total, remote.amounts.currency)
        shown = Shown(theirs, ours.lines if remote.lines is None else remote.lines)
        found = differences(ours, shown, in_order=self.connector.abilities.keeps_order)
        told = "; ".join(islice(found, MOST_TOLD))
        if not told:
            return
        problem = f"{self.connector.name} shows another invoice than we sent: {told}"
        self.mark(intended, "uncertain", remote_id=remote.remote_id, reason=problem)
        raise TotalsDifferError(
            f"{problem} (invoice {remote.remote_id}) - mend or delete it there, then run "
            f"`flask invoices push {self.push.reference}`"
        )

    def must_be_there(self, intended: Intent, remote: RemoteInvoice) -> None:
        """Stop with a TotalsDifferError if somebody has deleted the invoice meanwhile."""
        if remote.amounts.document != "deleted":
            return
        self.mark(intended, "absent", remote_id=remote.remote_id)
        raise TotalsDifferError(
            f"somebody has deleted invoice {remote.remote_id} at {self.connector.name} - to send "
            f"it once more run `flask invoices push {self.push.reference}`"
        )

    def confirm_remote(self, intended: Intent, remote: RemoteInvoice) -> None:
        """Keep where the invoice stands, and that an intent is done."""
        self.confirm(
            intended,
            remote.remote_id,
            lambda connection, _: pushing.save_remote(
                connection,
                self.push,
                remote_id=remote.remote_id,
                number=remote.number,
                url=remote.url,
            ),
        )

    def confirm(
        self, intended: Intent, remote_id: str, save: Callable[[Connection, datetime], None]
    ) -> None:
        """Keep what an intent has brought, and that it is done, in one transaction."""

        def confirm(connection: Connection, now: datetime) -> None:
            save(connection, now)
            pushing.mark(connection, intended, "confirmed", now, remote_id=remote_id)

        self.write(confirm)

    def intend(self, operation: str, *, generation: int = 1) -> Intent:
        """Return the latest intent of an operation, written down now if there is none yet.

        One of which nothing has come is followed by the next one.
        """
        intended = self.write(
            lambda connection, now: pushing.intend(
                connection, self.push, operation, now, generation=generation
            )
        )
        if intended.state == "absent":
            return self.intend(operation, generation=intended.generation + 1)
        return intended

    def mark(
        self,
        intended: Intent,
        state: str,
        *,
        remote_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Write down how far an intent has come."""
        self.write(
            lambda connection, now: pushing.mark(
                connection, intended, state, now, remote_id=remote_id, reason=reason
            )
        )

    def renew(self) -> None:
        """Hold the claim from now on; raise StaleClaimError if it is lost."""
        self.write(lambda connection, now: renew(connection, self.claimed, now))

    def write(self, work: Callable[[Connection, datetime], T]) -> T:
        """Run `work` in a write transaction, with the present moment.

        Raise StaleClaimError if another worker has taken over: what it has written stays.
        """

        def fenced(connection: Connection) -> T:
            hold_one(connection, self.claimed)
            return work(connection, self.clock.now())

        return self.database.write(fenced)
