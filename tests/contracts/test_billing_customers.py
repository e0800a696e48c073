"""What connectors promise that look for our customer among those of an accounting system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.connector import BillingConnector
from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from ledger.errors import OutcomeUnknownError, PermanentError
from ledger.invoices import Address, BilledCustomer, InvoiceDraft

from .billing import DRAFT, HAVE_CUSTOMERS, setup_of
from .spoiled_http import NoHttp, SpoiledHttp

ACME = BilledCustomer(
    "acme",
    "Acme GmbH",
    "ap@acme.example",
    legal_name="Acme Gesellschaft mbH",
    address=Address(("Ringstr. 1",), "Berlin", "DE", "10115"),
    tax_id="DE 123456789",
)
STRANGERS = (
    CustomerThere("", "Acme GmbH & Co. KG", "info@acme.example", "DE999999999"),
    CustomerThere("", "Acme", "ap@acme.example.org"),
    CustomerThere("", "Acme GmbH, O'Hara \\ 100 %"),
)
"""Who is nearly called like our customer and is somebody else."""
FITS = {
    "tax_id": CustomerThere("", "A. C. M. E.", "office@acme.example", "DE123456789"),
    "email": CustomerThere("", "Acme Berlin", "AP@Acme.Example"),
    "name": CustomerThere("", "Acme GmbH", "old@acme.example"),
}
"""Who is our customer by one thing alone."""


@pytest.fixture(params=HAVE_CUSTOMERS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> ContractRig:
    return setup_of(request.param)(tmp_path)


def entered(rig: ContractRig, *customers: CustomerThere) -> Sequence[str]:
    assert rig.customers
    return rig.customers((*STRANGERS, *customers))[len(STRANGERS) :]


def connected(rig: ContractRig) -> BillingConnector:
    return rig.connect(rig.http or NoHttp())


def draft_for(customer: BilledCustomer) -> InvoiceDraft:
    return replace(DRAFT, customer=customer)


def resolved(rig: ContractRig, customer: BilledCustomer, key: str = "key-1") -> str:
    return connected(rig).resolve_customer(draft_for(customer), idempotency_key=key)


@pytest.mark.parametrize("by", FITS)
def test_a_customer_is_found_by_what_identifies_it(rig: ContractRig, by: str) -> None:
    if by not in rig.known_by:
        pytest.skip(f"no customer has a {by} there")
    (remote_id,) = entered(rig, FITS[by])
    assert resolved(rig, ACME) == remote_id
    # Also where one could be created.
    assert resolved(rig, replace(ACME, may_be_created=True), "key-2") == remote_id


def test_the_surest_way_decides(rig: ContractRig) -> None:
    ways = [by for by in FITS if by in rig.known_by]
    ids = entered(rig, *(FITS[by] for by in ways))
    assert resolved(rig, ACME) == ids[0]
    for remote_id in ids:
        assert resolved(rig, replace(ACME, remote_id=remote_id)) == remote_id


def test_several_that_fit_are_a_question_with_their_ids(rig: ContractRig) -> None:
    by = next(by for by in FITS if by in rig.known_by)
    ids = entered(rig, FITS[by], replace(FITS[by], name="Acme Hamburg"))
    with pytest.raises(PermanentError, match="books:") as caught:
        resolved(rig, replace(ACME, may_be_created=True))
    assert all(each in str(caught.value) for each in ids)


def test_an_unknown_id_is_a_question(rig: ContractRig) -> None:
    (remote_id,) = entered(rig, FITS[rig.known_by[0]])
    unknown = f"{remote_id[:-1]}{'1' if remote_id.endswith('0') else '0'}"
    for wrong in (unknown, "no-such-customer"):
        with pytest.raises(PermanentError, match=wrong):
            resolved(rig, replace(ACME, remote_id=wrong, may_be_created=True))


def test_nobody_who_fits_is_a_question_and_none_is_created(
    rig: ContractRig,
) -> None:
    entered(rig)
    for attempt in ("key-1", "key-2"):
        with pytest.raises(PermanentError, match="create: yes"):
            resolved(rig, ACME, attempt)


def test_where_that_is_agreed_a_customer_is_created_once(rig: ContractRig) -> None:
    strangers = rig.customers(STRANGERS) if rig.customers else ()
    created = resolved(rig, replace(ACME, may_be_created=True))
    assert created not in strangers
    assert resolved(rig, replace(ACME, may_be_created=True), "key-2") == created
    assert resolved(rig, ACME, "key-3") == created


@pytest.mark.parametrize("lost", ["lose_reply", "lose_request"])
def test_a_customer_whose_reply_was_lost_is_created_once(rig: ContractRig, lost: str) -> None:
    if not rig.http:
        pytest.skip("no reply is lost where no request is sent")
    entered(rig)
    spoiled = SpoiledHttp(rig.http, rig.is_change)
    spoiled.at, spoiled.spoil = 1, getattr(spoiled, lost)
    new = draft_for(replace(ACME, may_be_created=True))
    with pytest.raises(OutcomeUnknownError):
        rig.connect(spoiled).resolve_customer(new, idempotency_key="key-1")
    created = rig.connect(spoiled).resolve_customer(new, idempotency_key="key-2")
    # Two of them would be a question by now.
    assert resolved(rig, ACME, "key-3") == created
