"""Which customer of an accounting system is meant: found by what identifies it, never guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.customers import CustomerThere, identified
from ledger.errors import PermanentError
from ledger.invoices import BilledCustomer

ACME = BilledCustomer(
    "acme", "Acme GmbH", "ap@acme.example", legal_name="Acme Gesellschaft mbH", tax_id="DE 123"
)
NOBODY = CustomerThere("0", "Somebody else")
BY_KEY = CustomerThere("K", "K", ours="acme")
BY_TAX_ID = CustomerThere("T", "T", tax_id="de-123")
BY_EMAIL = CustomerThere("E", "E", email=" AP@acme.example")
BY_NAME = CustomerThere("N", "acme  gmbh")
BY_LEGAL_NAME = CustomerThere("L", "Acme Gesellschaft MBH")
WAYS = [BY_KEY, BY_TAX_ID, BY_EMAIL, BY_NAME]
"""The surest first."""


@pytest.mark.parametrize("there", [*WAYS, BY_LEGAL_NAME])
def test_each_way_alone_finds_the_customer(there: CustomerThere) -> None:
    assert identified("xero", ACME, [NOBODY, there]) == there.remote_id


@pytest.mark.parametrize("first", range(len(WAYS)))
def test_the_surest_way_that_fits_decides(first: int) -> None:
    assert identified("xero", ACME, WAYS[first:][::-1]) == WAYS[first].remote_id


def test_the_id_that_the_admin_wrote_stands_above_all() -> None:
    named = replace(ACME, remote_id="0")
    assert identified("xero", named, [*WAYS, NOBODY]) == "0"
    with pytest.raises(PermanentError, match="no customer with the id C-17"):
        identified("xero", replace(ACME, remote_id="C-17", may_be_created=True), WAYS)


def test_a_customer_that_is_listed_twice_is_one() -> None:
    assert identified("xero", ACME, [BY_EMAIL, replace(BY_EMAIL, name="E, again")]) == "E"


@pytest.mark.parametrize("there", [*WAYS, BY_LEGAL_NAME])
@pytest.mark.parametrize("may_be_created", [False, True])
def test_two_that_fit_are_a_question_that_names_both(
    there: CustomerThere, may_be_created: bool
) -> None:
    customer = replace(ACME, may_be_created=may_be_created)
    twin = replace(there, remote_id="twin")
    with pytest.raises(PermanentError, match="2 customers have its") as caught:
        identified("xero", customer, [there, twin, NOBODY])
    assert f"{there.remote_id} ({there.name}), twin ({there.name})" in str(caught.value)


def test_of_very_many_only_some_are_named() -> None:
    many = [replace(BY_NAME, remote_id=f"N{number:03}") for number in range(200)]
    with pytest.raises(PermanentError, match="200 customers have its name") as caught:
        identified("xero", ACME, many)
    assert "N004" in str(caught.value)
    assert "N005" not in str(caught.value)


def test_none_is_created_only_where_that_is_agreed() -> None:
    assert identified("xero", replace(ACME, may_be_created=True), [NOBODY]) is None
    with pytest.raises(PermanentError, match="create: yes"):
        identified("xero", ACME, [NOBODY])


def test_what_we_do_not_know_of_our_customer_fits_nobody() -> None:
    bare = BilledCustomer("acme", "Acme GmbH", may_be_created=True)
    empty = [CustomerThere("1", "", "", ""), CustomerThere("2", " ", None, " - ")]
    assert identified("xero", bare, empty) is None


WORDS = st.sampled_from(["", "Acme GmbH", "ACME GMBH", "Acme", "ap@acme.example", "DE 123", "D E"])
SOMEBODY = st.builds(
    CustomerThere,
    remote_id=st.sampled_from(["1", "2", "3", "4"]),
    name=WORDS,
    email=st.none() | WORDS,
    tax_id=st.none() | WORDS,
    ours=st.sampled_from([None, "acme", "bell"]),
)
OURS = st.builds(
    BilledCustomer,
    key=st.just("acme"),
    name=st.sampled_from(["Acme GmbH", "Acme"]),
    email=st.none() | WORDS,
    legal_name=st.none() | WORDS,
    tax_id=st.none() | WORDS,
    remote_id=st.sampled_from([None, None, "1", "9"]),
    may_be_created=st.booleans(),
)


def fits(customer: BilledCustomer, there: CustomerThere, way: str) -> bool:
    """Say the same as `identified`, in other words."""

    def letters(text: str | None) -> str:
        return "".join(filter(str.isalnum, text or "")).lower()

    def words(text: str | None) -> list[str]:
        return (text or "").lower().split()

    if way == "key":
        return there.ours == customer.key
    if way == "tax_id":
        return letters(customer.tax_id) == letters(there.tax_id) != ""
    if way == "email":
        return words(customer.email) == words(there.email) != []
    return words(there.name) != [] and words(there.name) in (
        words(customer.name),
        words(customer.legal_name),
    )


@given(customer=OURS, there=st.lists(SOMEBODY, max_size=6))
def test_nobody_is_ever_chosen_where_two_fit(
    customer: BilledCustomer, there: list[CustomerThere]
) -> None:
    fitting: set[str] = set()
    for way in ("key", "tax_id", "email", "name"):
        fitting = {each.remote_id for each in there if fits(customer, each, way)}
        if fitting:
            break
    if customer.remote_id:
        fitting = {each.remote_id for each in there} & {customer.remote_id}
    try:
        found = identified("xero", customer, there)
    except PermanentError:
        assert len(fitting) > 1 or not fitting
        assert len(fitting) > 1 or customer.remote_id or not customer.may_be_created
    else:
        assert found == next(iter(fitting), None)
        assert found or customer.may_be_created


@given(customer=OURS, there=st.lists(SOMEBODY, max_size=5), data=st.data())
def test_the_order_in_which_they_are_listed_makes_no_difference(
    customer: BilledCustomer, there: list[CustomerThere], data: st.DataObject
) -> None:
    def answer(listed: list[CustomerThere]) -> str | None:
        try:
            return identified("xero", customer, listed)
        except PermanentError:
            return "?"

    assert answer(data.draw(st.permutations(there))) == answer(there)
