"""What every billing connector promises about changing a draft that it holds already."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from connectors.connector import BillingConnector, RemoteInvoice
from connectors.contract import ContractRig
from ledger.errors import OutcomeUnknownError, RejectedError, TransientError
from ledger.invoices import InvoiceDraft
from ledger.shown import differences

from .billing import (
    DRAFT,
    HAVE_VERSIONS,
    assert_shows,
    line,
    push,
    setup_of,
    with_all_lines,
)
from .spoiled_http import SpoiledHttp

AMENDED = replace(
    DRAFT,
    lines=(
        *DRAFT.lines[:1],
        line("2", "80.00", "EUR", "Deployment"),
        line("-0.5", "100.00", "EUR", "Review"),
    ),
    memo="Work in March, corrected",
    purchase_order=None,
)
SHORTER = replace(DRAFT, lines=DRAFT.lines[1:])
BELOW = replace(DRAFT, memo="Work", footer="Bye", days_until_due=14)
LONGER = replace(
    DRAFT, lines=(*(line("1", "2.00", "EUR", f"Task {number}") for number in range(120)),)
)


def updated_to(
    connector: BillingConnector, draft: InvoiceDraft, remote_id: str, *, key: str = "key-2"
) -> RemoteInvoice:
    updated = connector.update_draft(draft, remote_id, idempotency_key=key)
    return with_all_lines(connector, draft, updated)


@pytest.mark.parametrize("amended", [AMENDED, SHORTER, LONGER, BELOW])
def test_a_draft_is_brought_up_to_what_it_should_be_by_now(
    connector: BillingConnector, amended: InvoiceDraft
) -> None:
    remote_id = push(connector, DRAFT)
    if len(amended.lines) > connector.abilities.most_lines:
        pytest.skip(f"{connector.name} takes {connector.abilities.most_lines} lines, and says so")
    updated = updated_to(connector, amended, remote_id)
    assert (updated.remote_id, updated.is_complete) == (remote_id, True)
    assert_shows(connector, amended, updated)
    assert_shows(connector, amended, connector.fetch_invoice(remote_id))
    assert_shows(connector, amended, connector.find_invoice("acme-1", remote_customer=None))
    # Once more changes nothing, and back again is as before.
    assert_shows(connector, amended, updated_to(connector, amended, remote_id))
    assert_shows(connector, DRAFT, updated_to(connector, DRAFT, remote_id, key="key-3"))


@pytest.mark.parametrize("lost", ["lose_reply", "lose_request"])
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("key", ["key-2", "key-3"])
def test_an_update_that_was_lost_in_the_middle_is_gone_on_with(
    http_rig: ContractRig, spoiled: SpoiledHttp, nth: int, lost: str, key: str
) -> None:
    connector = http_rig.connect(spoiled)
    remote_id = push(connector, DRAFT)
    spoiled.at, spoiled.changes, spoiled.spoil = nth, True, getattr(spoiled, lost)
    try:
        connector.update_draft(AMENDED, remote_id, idempotency_key="key-2")
    except OutcomeUnknownError:
        half = connector.fetch_invoice(remote_id)
        is_done = half.shown is not None and not list(
            differences(connector.shown(AMENDED), half.shown)
        )
        is_as_before = half.shown is not None and not list(
            differences(connector.shown(DRAFT), half.shown)
        )
        # Whoever looks sees either one or the other, or that it is not complete.
        assert is_done or is_as_before or not half.is_complete
    # Under the same key, or under a new one once nothing can come of it any more.
    assert updated_to(connector, AMENDED, remote_id, key=key).is_complete
    assert_shows(connector, AMENDED, connector.fetch_invoice(remote_id))


def test_what_is_no_draft_any_more_is_never_updated(
    rig: ContractRig, connector: BillingConnector
) -> None:
    remote_id = push(connector, DRAFT)
    rig.happenings["finalize"](remote_id, 0)
    before = connector.fetch_invoice(remote_id)
    with pytest.raises(RejectedError, match="no draft any more"):
        connector.update_draft(AMENDED, remote_id, idempotency_key="key-2")
    after = connector.fetch_invoice(remote_id)
    assert (after.amounts.total, after.lines) == (before.amounts.total, before.lines)


@pytest.mark.parametrize(
    ("seen", "needs"),
    [
        (replace(DRAFT, lines=DRAFT.lines[::-1]), None),
        (SHORTER, None),
        (replace(DRAFT, memo=None), "memo"),
        (replace(DRAFT, footer="Bye"), "footer"),
        (replace(DRAFT, purchase_order="PO-1"), "purchase_order"),
    ],
)
def test_another_draft_than_the_one_that_was_pushed_is_told_apart(
    connector: BillingConnector, seen: InvoiceDraft, needs: str | None
) -> None:
    remote = connector.fetch_invoice(push(connector, DRAFT))
    assert remote.shown is not None
    is_told_apart = bool(list(differences(connector.shown(seen), remote.shown)))
    # What the system is said not to show is not shown, either.
    assert is_told_apart == (needs is None or needs in connector.abilities.carries)


@pytest.mark.parametrize("key", HAVE_VERSIONS)
def test_what_somebody_writes_between_our_look_and_our_change_is_not_overwritten(
    key: str, tmp_path: Path
) -> None:
    rig = setup_of(key)(tmp_path)
    assert rig.http
    spoiled = SpoiledHttp(rig.http, rig.is_change)
    connector = rig.connect(spoiled)
    remote_id = push(connector, DRAFT)
    spoiled.at, spoiled.changes = 1, True
    spoiled.spoil = spoiled.after(partial(rig.happenings["edit"], remote_id, 0))
    # Surely not carried out: the next attempt looks, and a person decides.
    with pytest.raises(TransientError):
        connector.update_draft(AMENDED, remote_id, idempotency_key="key-2")
    there = connector.fetch_invoice(remote_id).shown
    assert there is not None
    assert list(differences(connector.shown(DRAFT), there))
    assert list(differences(connector.shown(AMENDED), there))
