"""Lines that a billing system takes only so many at a time: each such request is an intent.

For systems with `abilities.lines_per_call`. What was sent and may or may not have come is never
sent again before the lines there have been read: only those that are missing are sent.
"""

from __future__ import annotations

from ledger.pushing import chunks_came

from .attempt import Attempt, TotalsDifferError
from .connector import RemoteInvoice


def add_missing(attempt: Attempt, remote: RemoteInvoice) -> RemoteInvoice:
    """Return a draft at the billing system once all of our lines are on it.

    Raise TotalsDifferError if other lines are on it than ours.
    """
    ours = attempt.connector.shown(attempt.push.draft).lines
    if attempt.connector.abilities.lines_per_call is None:
        return remote
    while True:
        there = () if remote.lines is None else remote.lines
        if len(there) > len(ours) or not all(
            mine.is_like(theirs) for mine, theirs in zip(ours, there, strict=False)
        ):
            raise TotalsDifferError(
                f"{attempt.connector.name} has other lines on {remote.remote_id} than we sent - "
                f"delete it there, then run `flask invoices push {attempt.push.reference}`"
            )
        if len(there) == len(ours):
            # Some may have come although their answers were lost.
            attempt.write(lambda connection, now: chunks_came(connection, attempt.push, now))
            return remote
        remote = _add(attempt, remote.remote_id, len(there))
        if len(remote.lines or ()) <= len(there):
            raise TotalsDifferError(
                f"{attempt.connector.name} does not show the lines that were added to "
                f"{remote.remote_id} - look there, then run `flask invoices push "
                f"{attempt.push.reference}`"
            )


def _add(attempt: Attempt, remote_id: str, first: int) -> RemoteInvoice:
    """Return the draft with the lines from index `first` on that one request takes."""
    intended = attempt.intend(f"lines:{first}")
    if intended.is_uncertain:
        seen = attempt.connector.fetch_invoice(remote_id)
        if seen.lines is not None and len(seen.lines) > first:
            attempt.mark(intended, "confirmed", remote_id=remote_id)
            return seen
        attempt.must_be_there(intended, seen)
        intended = attempt.with_a_key_that_holds(intended, is_absent=True)
    elif intended.state == "confirmed":
        # They were there, and are not any more: an update has taken them off again.
        intended = attempt.intend(intended.operation, generation=intended.generation + 1)
    draft = attempt.push.draft
    added = attempt.carry_out(
        intended,
        lambda key: attempt.connector.add_lines(draft, remote_id, first, idempotency_key=key),
    )
    attempt.mark(intended, "confirmed", remote_id=remote_id)
    return added
