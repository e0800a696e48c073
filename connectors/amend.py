"""Amend: a draft that stands at its billing system is brought up to what was approved now.

Nothing is changed there that is no draft any more, or that a person has changed since we pushed it.
Called by `push.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.errors import RejectedError
from ledger.invoices import InvoiceDraft
from ledger.money import Money
from ledger.pushing import Intent
from ledger.shown import Shown, differences

from .attempt import Attempt
from .chunks import add_missing
from .connector import RemoteInvoice


class NoDraftAnyMoreError(Exception):
    """Somebody has finalized, voided or deleted it there: it stays as it was pushed."""

    def __init__(self, remote: RemoteInvoice) -> None:
        super().__init__(f"{remote.remote_id} is {remote.amounts.document}")
        self.remote = remote


class ChangedThereError(Exception):
    """A person has changed the draft there: another one decides which of both counts."""

    def __init__(self, theirs: Shown, told: Sequence[str]) -> None:
        super().__init__("; ".join(told))
        self.theirs = theirs
        self.differences = list(told)


@dataclass(frozen=True, slots=True)
class Gone:
    """Everything on it was taken back, and the draft was deleted there."""

    remote_id: str


UPDATE: Final = "update"
DELETE: Final = "delete"


def amend(attempt: Attempt) -> RemoteInvoice | Gone:
    """Bring the remote draft up to ours, or delete it if nothing is left on ours; return it.

    Raise NoDraftAnyMoreError or ChangedThereError where it must not be touched.
    """
    before, remote_id = attempt.push.before, attempt.push.remote_id
    if before is None or remote_id is None:
        raise AssertionError("only what was pushed is amended")
    is_emptied = not attempt.push.draft.lines
    intended = attempt.intend(DELETE if is_emptied else UPDATE)
    attempt.renew()
    # Nothing is written there before it was looked at.
    remote = attempt.connector.fetch_invoice(remote_id)
    if is_emptied and remote.amounts.document == "deleted" and intended.state != "intended":
        return _gone(attempt, intended, remote_id)
    if intended.state == "confirmed":
        # It stands there, and what comes after has not been done yet: it may be finalized.
        attempt.must_be_there(intended, remote)
        return remote
    if remote.amounts.document != "draft":
        return _no_draft_any_more(attempt, intended, remote)
    _must_be_untouched(attempt, before, remote, intended)
    if intended.is_uncertain:
        intended = attempt.with_a_key_that_holds(intended, is_absent=True)
    try:
        return _carried_out(attempt, intended, remote_id, is_emptied=is_emptied)
    except RejectedError:
        # It may have been finalized in this very moment.
        remote = attempt.connector.fetch_invoice(remote_id)
        if remote.amounts.document == "draft":
            raise
        return _no_draft_any_more(attempt, intended, remote)


def _carried_out(
    attempt: Attempt, intended: Intent, remote_id: str, *, is_emptied: bool
) -> RemoteInvoice | Gone:
    connector, draft = attempt.connector, attempt.push.draft
    if is_emptied:
        attempt.carry_out(
            intended, lambda key: connector.delete_draft(remote_id, idempotency_key=key)
        )
        return _gone(attempt, intended, remote_id)
    remote = attempt.carry_out(
        intended, lambda key: connector.update_draft(draft, remote_id, idempotency_key=key)
    )
    remote = add_missing(attempt, remote)
    attempt.compare(intended, remote)
    attempt.confirm_remote(intended, remote)
    return remote


def _no_draft_any_more(attempt: Attempt, intended: Intent, remote: RemoteInvoice) -> RemoteInvoice:
    """Return what was finalized just as we want it: our update had got there before.

    Raise NoDraftAnyMoreError if it is as it was pushed; TotalsDifferError if it is neither.
    """
    push, connector = attempt.push, attempt.connector
    if remote.amounts.document not in ("void", "deleted") and push.has_tried and push.before:
        # All of its lines are needed; a look at what is no draft any more may leave them out.
        seen = connector.find_invoice(push.reference, remote_customer=push.remote_customer)
        theirs = seen.shown if seen is not None else None
        if theirs is not None and not _differ(attempt, push.draft, theirs):
            attempt.confirm_remote(intended, remote)
            return remote
        if theirs is not None and _differ(attempt, push.before, theirs):
            attempt.compare(intended, replace(remote, lines=theirs.lines))
    if intended.state != "confirmed":
        attempt.mark(intended, "absent")
    raise NoDraftAnyMoreError(remote)


def _differ(attempt: Attempt, draft: InvoiceDraft, theirs: Shown) -> bool:
    ours = replace(attempt.connector.shown(draft), header={})
    in_order = attempt.connector.abilities.keeps_order
    return any(differences(ours, replace(theirs, header={}), in_order=in_order))


def _gone(attempt: Attempt, intended: Intent, remote_id: str) -> Gone:
    attempt.mark(intended, "confirmed", remote_id=remote_id)
    return Gone(remote_id)


def _must_be_untouched(
    attempt: Attempt, before: InvoiceDraft, remote: RemoteInvoice, intended: Intent
) -> None:
    """Raise ChangedThereError if the draft there is neither as we pushed it nor as we want it.

    What is not complete there was left by an update of ours that was interrupted or refused.
    """
    connector = attempt.connector
    if not remote.is_complete and attempt.push.has_tried:
        return
    total = Money(remote.amounts.total, remote.amounts.currency)
    # Where a system does not show lines, the total has to do.
    theirs = remote.shown or replace(connector.shown(before), total=total)
    in_order = connector.abilities.keeps_order
    found = list(differences(connector.shown(before), theirs, in_order=in_order))
    if not found or theirs == attempt.push.overwrites:
        return
    ours = connector.shown(attempt.push.draft)
    # A restored copy may have forgotten that it has tried.
    may_be_ours = attempt.push.has_tried or attempt.push.restored is not None
    if may_be_ours and not list(differences(ours, theirs, in_order=in_order)):
        return
    if intended.is_uncertain or intended.state == "intended":
        attempt.mark(intended, "absent")
    raise ChangedThereError(theirs, found)
