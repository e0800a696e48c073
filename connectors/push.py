"""Push: an approved invoice goes to its billing system, and never twice.

Every change there is written down with its idempotency key before it is tried. After a
result that is not certain, our reference is looked up before anything is created.
Called by the push stage of `worker.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Connection

from ledger import pushing
from ledger.claims import Claim, renew
from ledger.database import Database
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.money import Money
from ledger.ports import Clock
from ledger.pushing import Intent, Push

from .connector import BillingConnector, RemoteInvoice

T = TypeVar("T")

PERMANENT_WAIT_SECONDS: Final = 900
"""How long before something is tried again by itself that only a person can mend."""


class TotalsDifferError(ConnectorError):
    """The billing system holds another total than ours: it stops until a person has looked."""


@dataclass(slots=True)
class Pusher:
    """One attempt to push one claimed invoice."""

    database: Database
    clock: Clock
    claimed: Claim
    connector: BillingConnector
    push: Push

    def run(self) -> None:
        """Push; whatever goes wrong ends up with the invoice, in plain sight."""
        try:
            self._check_taxes()
            customer = self._customer()
            remote = self._create(customer)
            self._finalize(remote)
        except TransientError as error:
            self._stop(str(error), wait_seconds=error.retry_after or 0)
        except OutcomeUnknownError as error:
            self._stop(f"{error} - it is looked up before it is tried again", wait_seconds=0)
        except (RejectedError, UnsupportedError) as error:
            self._refused(str(error))
        except PermanentError as error:
            self._stop(str(error), wait_seconds=PERMANENT_WAIT_SECONDS)
        except TotalsDifferError as error:
            self._stop(str(error), wait_seconds=None)
        else:
            self.database.write(
                lambda connection: pushing.finish(
                    connection, self.claimed, self.push, self.clock.now()
                )
            )

    def _check_taxes(self) -> None:
        if self.push.draft.taxes and not self.connector.abilities.taxes:
            raise UnsupportedError(
                f"{self.connector.key}: {self.push.reference} has taxes, and {self.connector.name} "
                "cannot take them - send it elsewhere with send_to:, or take taxes: out"
            )

    def _customer(self) -> str:
        if self.push.remote_customer is not None:
            return self.push.remote_customer
        intended = self._intend("customer")
        customer = self._carry_out(
            intended,
            lambda key: self.connector.resolve_customer(self.push.draft, idempotency_key=key),
        )
        self._confirm(
            intended,
            customer,
            lambda connection: pushing.save_customer(connection, self.push, customer),
        )
        return customer

    def _create(self, customer: str) -> RemoteInvoice:
        intended = self._intend("create")
        if intended.state == "absent":
            intended = self._intend("create", generation=intended.generation + 1)
        if intended.state == "confirmed" and self.push.remote_id is not None:
            remote = self.connector.fetch_invoice(self.push.remote_id)
            self._is_there(intended, remote)
            return remote
        found = None
        if intended.is_uncertain or self.push.revision > 1 or self.push.restored is not None:
            self._renew()
            found = self.connector.find_invoice(self.push.reference, remote_customer=customer)
            key_life = self.connector.abilities.key_life
            if found is None and pushing.needs_new_key(
                intended, self.push, key_life, self.clock.now()
            ):
                self._mark(intended, "absent")
                intended = self._intend("create", generation=intended.generation + 1)
        remote = self._carry_out(intended, self._creating(customer, found))
        self._compare(intended, remote)
        self._confirm_remote(intended, remote)
        return remote

    def _creating(
        self, customer: str, found: RemoteInvoice | None
    ) -> Callable[[str], RemoteInvoice]:
        draft = self.push.draft
        if found is not None:
            return lambda key: self.connector.complete_draft(draft, found, idempotency_key=key)
        return lambda key: self.connector.create_draft(
            draft, remote_customer=customer, idempotency_key=key
        )

    def _finalize(self, remote: RemoteInvoice) -> None:
        if self.push.after_push == "draft" or not self.connector.abilities.finalize:
            return
        intended = self._intend("finalize")
        if intended.state == "confirmed":
            return
        if self.push.restored is not None and remote.amounts.document != "draft":
            # The ledger has forgotten that it did this: nobody is sent the same invoice twice.
            self._confirm_remote(intended, remote)
            return
        send = self.push.after_push == "send"
        done = self._carry_out(
            intended,
            lambda key: self.connector.finalize(remote.remote_id, send=send, idempotency_key=key),
        )
        self._compare(intended, done)
        self._confirm_remote(intended, done)

    def _compare(self, intended: Intent, remote: RemoteInvoice) -> None:
        ours, name = self.push.draft.total, self.connector.name
        self._is_there(intended, remote)
        theirs = Money(remote.amounts.total, remote.amounts.currency)
        if theirs != ours:
            problem = f"{name} shows {theirs} where we sent {ours}"
        elif remote.lines is not None and remote.lines != len(self.push.draft.lines):
            problem = f"{name} has {remote.lines} lines where we sent {len(self.push.draft.lines)}"
        else:
            return
        self._mark(intended, "uncertain", remote_id=remote.remote_id, reason=problem)
        raise TotalsDifferError(
            f"{problem} (invoice {remote.remote_id}) - mend or delete it there, then run "
            f"`flask invoices push {self.push.reference}`"
        )

    def _is_there(self, intended: Intent, remote: RemoteInvoice) -> None:
        if remote.amounts.document != "deleted":
            return
        self._mark(intended, "absent", remote_id=remote.remote_id)
        raise TotalsDifferError(
            f"somebody has deleted invoice {remote.remote_id} at {self.connector.name} - to send "
            f"it once more run `flask invoices push {self.push.reference}`"
        )

    def _refused(self, problem: str) -> None:
        """Undo what a refused push has left at the billing system, then open the draft again."""
        try:
            if self.push.remote_customer is not None or self._customer_is_known():
                customer = self._customer()
                found = self.connector.find_invoice(self.push.reference, remote_customer=customer)
                if found is not None:
                    intended = self._intend("delete")
                    self._carry_out(
                        intended,
                        lambda key: self.connector.delete_draft(
                            found.remote_id, idempotency_key=key
                        ),
                    )
                    self._mark(intended, "confirmed", remote_id=found.remote_id)
        except ConnectorError as error:
            self._stop(f"{problem}; and its remains there: {error}", wait_seconds=0)
            return
        self.database.write(
            lambda connection: pushing.take_back(
                connection, self.claimed, self.push, problem, self.clock.now()
            )
        )

    def _customer_is_known(self) -> bool:
        return self._intend("customer").state == "confirmed"

    def _carry_out(self, intended: Intent, call: Callable[[str], T]) -> T:
        """Carry out an intent: what happens to it is written down before and after."""
        self._renew()
        self._mark(intended, "sent")
        try:
            return call(intended.idempotency_key)
        except OutcomeUnknownError as error:
            self._mark(intended, "uncertain", reason=str(error))
            raise
        except (RejectedError, UnsupportedError) as error:
            self._mark(intended, "refused", reason=str(error))
            raise
        # After any other error it stays "sent": of several requests the first may have been
        # carried out, so the next attempt looks first.

    def _confirm_remote(self, intended: Intent, remote: RemoteInvoice) -> None:
        self._confirm(
            intended,
            remote.remote_id,
            lambda connection: pushing.save_remote(
                connection,
                self.push,
                remote_id=remote.remote_id,
                number=remote.number,
                url=remote.url,
            ),
        )

    def _confirm(
        self, intended: Intent, remote_id: str, save: Callable[[Connection], None]
    ) -> None:
        """Keep what an intent has brought, and that it is done, in one transaction."""

        def confirm(connection: Connection) -> None:
            save(connection)
            now = self.clock.now()
            pushing.mark(connection, intended, "confirmed", now, remote_id=remote_id)

        self.database.write(confirm)

    def _intend(self, operation: str, *, generation: int = 1) -> Intent:
        return self.database.write(
            lambda connection: pushing.intend(
                connection, self.push, operation, self.clock.now(), generation=generation
            )
        )

    def _mark(
        self,
        intended: Intent,
        state: str,
        *,
        remote_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.database.write(
            lambda connection: pushing.mark(
                connection, intended, state, self.clock.now(), remote_id=remote_id, reason=reason
            )
        )

    def _renew(self) -> None:
        self.database.write(lambda connection: renew(connection, self.claimed, self.clock.now()))

    def _stop(self, problem: str, *, wait_seconds: int | None) -> None:
        self.database.write(
            lambda connection: pushing.stop(
                connection,
                self.claimed,
                self.push,
                problem,
                self.clock.now(),
                wait_seconds=wait_seconds,
            )
        )
