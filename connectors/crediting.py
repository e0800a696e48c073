"""Push a credit note: our reference is looked up before each try, the total is compared."""

from __future__ import annotations

from ledger import pushing
from ledger.errors import PermanentError, UnsupportedError

from .attempt import Attempt, TotalsDifferError
from .connector import RemoteCredit


def credit(attempt: Attempt) -> None:
    """Issue the credit note of an attempt, once; raise ConnectorError if that did not work."""
    push, connector = attempt.push, attempt.connector
    if not connector.abilities.credit:
        raise UnsupportedError(
            f"{connector.key}: {push.reference}: {connector.name} takes no credit notes from "
            "Billhook - write corrections: next invoice in the customer's rule file"
        )
    if push.credits is None:
        raise PermanentError(
            f"{push.reference}: {push.draft.credits} is not at {connector.name} - look at it with "
            f"`flask invoices show {push.draft.credits}`"
        )
    invoice = push.credits
    intended = attempt.intend("credit")
    if intended.state == "absent":
        intended = attempt.intend("credit", generation=intended.generation + 1)
    if intended.state == "confirmed":
        return
    # Always, not only after a doubt: a ledger that was restored from a copy has forgotten its own.
    attempt.renew()
    found = connector.find_credit(push.reference, invoice)
    if intended.is_uncertain:
        intended = attempt.with_a_key_that_holds(intended, is_absent=found is None)
    issued = found or attempt.carry_out(
        intended, lambda key: connector.credit(push.draft, invoice, idempotency_key=key)
    )
    _compare(attempt, issued)
    attempt.confirm(
        intended,
        issued.remote_id,
        lambda connection, _: pushing.save_remote(
            connection, push, remote_id=issued.remote_id, number=issued.number, url=issued.url
        ),
    )


def _compare(attempt: Attempt, issued: RemoteCredit) -> None:
    """Stop with a TotalsDifferError unless just our total was credited."""
    ours = -attempt.push.draft.total
    if issued.total == ours:
        return
    intended = attempt.intend("credit")
    problem = f"{attempt.connector.name} has credited {issued.total}, and we {ours}"
    attempt.mark(intended, "uncertain", remote_id=issued.remote_id, reason=problem)
    raise TotalsDifferError(
        f"{problem} (credit note {issued.remote_id}) - void it there, then run "
        f"`flask invoices push {attempt.push.reference}`"
    )
