"""Push: an approved invoice goes to its billing system, and never twice.

Every change there is written down with its idempotency key before it is tried. After a
result that is not certain, our reference is looked up before anything is created.
Called by the push stage of `worker.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ledger import amending, pushing, remote_customers, sync
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    StillUnderWayError,
    TransientError,
    UnsupportedError,
)

from .amend import ChangedThereError, Gone, NoDraftAnyMoreError, amend
from .attempt import Attempt, TotalsDifferError
from .chunks import add_missing
from .connector import RemoteInvoice
from .crediting import credit
from .customers import NoSuchCustomerError

__all__ = ["Pusher", "TotalsDifferError"]

PERMANENT_WAIT_SECONDS: Final = 900
"""How long before something is tried again by itself that only a person can mend."""


class Pusher(Attempt):
    """One attempt to push one claimed invoice."""

    def run(self) -> TransientError | OutcomeUnknownError | None:
        """Push; whatever goes wrong ends up with the invoice, in plain sight.

        Return what went wrong with the system itself rather than with this invoice, if it did.
        """
        claimed, push = self.claimed, self.push
        try:
            self.connector.must_fit(push.draft)
            is_gone = False
            if push.draft.credits:
                credit(self)
            else:
                remote = self._create(self._customer()) if push.before is None else amend(self)
                is_gone = isinstance(remote, Gone)
                if not isinstance(remote, Gone):
                    self._finalize(remote)
        except NoDraftAnyMoreError as error:
            amounts = error.remote.amounts
            self.write(
                lambda connection, now: sync.no_draft_any_more(connection, claimed, amounts, now)
            )
        except ChangedThereError as error:
            theirs, told = error.theirs, error.differences
            self.write(
                lambda connection, now: amending.conflict(connection, claimed, theirs, told, now)
            )
        except TransientError as error:
            self._stop(str(error), wait_seconds=error.retry_after or 0)
            return error
        except OutcomeUnknownError as error:
            self._stop(f"{error} - it is looked up before it is tried again", wait_seconds=0)
            return error
        except (RejectedError, UnsupportedError) as error:
            self._refused(str(error))
        except PermanentError as error:
            self._stop(str(error), wait_seconds=PERMANENT_WAIT_SECONDS)
        except TotalsDifferError as error:
            self._stop(str(error), wait_seconds=None)
        else:
            self.write(
                lambda connection, now: pushing.finish(
                    connection, claimed, push, now, is_gone=is_gone
                )
            )
        return None

    def _customer(self) -> str:
        """Return the customer's id there, once it is known; raise PermanentError with a question.

        One that the admin has named meanwhile counts from now on, unless the draft stands there
        already.
        """
        known, named = self.push.remote_customer, self.push.draft.customer.remote_id
        if known is not None and (named in (None, known) or self._stands_there(known)):
            return known
        # The customer is looked up before one is created, so a new key does no harm.
        intended = self.with_a_fresh_key(self.intend("customer"))
        customer = self.carry_out(
            intended,
            self._resolve,
        )
        self.confirm(
            intended,
            customer,
            lambda connection, now: remote_customers.save(connection, self.push, customer, now),
        )
        self.push = replace(self.push, remote_customer=customer)
        return customer

    def _stands_there(self, customer: str) -> bool:
        """Return whether the draft stands there, at this customer; if not, nothing of it will come.

        Raise StillUnderWayError as long as something may.
        """
        intended = self.intend("create")
        if intended.state in ("intended", "confirmed"):
            return intended.state == "confirmed"
        self.renew()
        if self.connector.find_invoice(self.push.reference, remote_customer=customer) is not None:
            return True
        settles_after = self.connector.abilities.settles_after
        if wait := pushing.settles_in(intended, settles_after, self.clock.now()):
            raise StillUnderWayError(
                f"{self.connector.name}: {self.push.reference} may still come for customer "
                f"{customer}, who was named before - it is looked up again in {wait} s",
                wait,
            )
        self.mark(intended, "absent")
        return False

    def _resolve(self, key: str) -> str:
        """Look for the customer: by the id on its last invoice first, unless the admin named one.

        If that one is gone, it is looked for as if it had never been there.
        """
        draft, known = self.push.draft, self.push.known_customer
        if draft.customer.remote_id is None and known is not None:
            as_known = replace(draft, customer=replace(draft.customer, remote_id=known))
            with suppress(NoSuchCustomerError):
                return self.connector.resolve_customer(as_known, idempotency_key=key)
        return self.connector.resolve_customer(draft, idempotency_key=key)

    def _create(self, customer: str) -> RemoteInvoice:
        intended = self.intend("create")
        if intended.state == "confirmed" and self.push.remote_id is not None:
            remote = self.connector.fetch_invoice(self.push.remote_id)
            self.must_be_there(intended, remote)
            return remote
        found = None
        is_first = intended.generation == 1 and self.push.revision == 1
        if intended.is_uncertain or not is_first or self.push.restored is not None:
            self.renew()
            found = self.connector.find_invoice(self.push.reference, remote_customer=customer)
        if found is None and intended.remote_id is not None:
            # A list may leave out for a moment what was seen there already.
            found = self._seen_before(intended.remote_id)
        if intended.is_uncertain or self.push.has_forgotten(intended):
            intended = self.with_a_key_that_holds(intended, is_absent=found is None)
        if found is not None and not found.is_complete:
            # What is missing of it surely never came.
            intended = self.with_a_fresh_key(intended)
        remote = self.carry_out(intended, self._creating(customer, found))
        remote = add_missing(self, remote)
        self.compare(intended, remote)
        self.confirm_remote(intended, remote)
        return remote

    def _seen_before(self, remote_id: str) -> RemoteInvoice | None:
        """Return an invoice by its id, None if it counts no more there or is not ours any more."""
        remote = self.connector.fetch_invoice(remote_id)
        is_ours = remote.reference == self.push.reference
        return remote if is_ours and remote.amounts.document not in ("void", "deleted") else None

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
        intended = self.intend("finalize")
        if intended.state == "confirmed":
            return
        if self.push.restored is not None and remote.amounts.document != "draft":
            # The ledger has forgotten that it did this: nobody is sent the same invoice twice.
            self.confirm_remote(intended, remote)
            return
        # One that is no draft any more is left as it is, so a new key does no harm.
        intended = self.with_a_fresh_key(intended)
        send = self.push.after_push == "send"
        done = self.carry_out(
            intended,
            lambda key: self.connector.finalize(remote.remote_id, send=send, idempotency_key=key),
        )
        self.compare(intended, done)
        self.confirm_remote(intended, done)

    def _refused(self, problem: str) -> None:
        """Undo what a refused push has left at the billing system, then open the draft again.

        A draft that stood there before is left as it is: the next update goes on with it.
        """
        try:
            if self.push.before is None and not self.push.draft.credits:
                self._delete_remains()
        except ConnectorError as error:
            self._stop(f"{problem}; and its remains there: {error}", wait_seconds=0)
            return
        self.write(
            lambda connection, now: pushing.take_back(
                connection, self.claimed, self.push, problem, now
            )
        )

    def _delete_remains(self) -> None:
        customer = self.push.remote_customer
        if customer is None:
            return
        found = self.connector.find_invoice(self.push.reference, remote_customer=customer)
        if found is None:
            return
        intended = self.intend("delete")
        self.carry_out(
            intended,
            lambda key: self.connector.delete_draft(found.remote_id, idempotency_key=key),
        )
        self.mark(intended, "confirmed", remote_id=found.remote_id)

    def _stop(self, problem: str, *, wait_seconds: int | None) -> None:
        self.write(
            lambda connection, now: pushing.stop(
                connection, self.claimed, self.push, problem, now, wait_seconds=wait_seconds
            )
        )
