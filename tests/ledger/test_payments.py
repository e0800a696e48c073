"""`ledger.payments`: one word for what a billing system reports, by a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.payments import DOCUMENTS, PAYMENTS, Amounts, is_overdue, payment_of

OPEN = Amounts("open", "EUR", 1000)

TABLE = {
    # What the document says comes first.
    "deleted": (replace(OPEN, document="deleted", paid=1000), "deleted"),
    "void": (replace(OPEN, document="void", disputed=5), "void"),
    "a draft": (replace(OPEN, document="draft"), "draft"),
    "a draft is never paid": (Amounts("draft", "EUR", 0), "draft"),
    "a document that cannot be read": (replace(OPEN, document="unknown"), "unknown"),
    "a word that nobody knows": (replace(OPEN, document="archived"), "unknown"),
    # Then what was taken away again.
    "disputed": (replace(OPEN, paid=1000, disputed=1), "disputed"),
    "disputed before refunded": (replace(OPEN, paid=9, refunded=9, disputed=1), "disputed"),
    "refunded": (replace(OPEN, paid=1000, refunded=1000), "refunded"),
    "refunded in part": (replace(OPEN, paid=1000, refunded=1), "partially_refunded"),
    "refunded more than paid": (replace(OPEN, paid=1000, refunded=1001), "refunded"),
    "refunded, then credited": (
        replace(OPEN, paid=1000, refunded=1000, credited=1000),
        "refunded",
    ),
    "credited": (replace(OPEN, credited=1000, remaining=0), "credited"),
    "credited in part": (replace(OPEN, credited=400), "partially_paid"),
    "written off": (replace(OPEN, document="written_off", paid=10), "uncollectible"),
    "credited before written off": (
        replace(OPEN, document="written_off", credited=1000),
        "credited",
    ),
    # Then what is still owed.
    "overpaid, as it follows": (replace(OPEN, paid=1001), "overpaid"),
    "overpaid, as reported": (replace(OPEN, paid=1000, overpaid=1), "overpaid"),
    "less than nothing remains": (replace(OPEN, remaining=-1), "overpaid"),
    "paid": (replace(OPEN, paid=1000), "paid"),
    "paid, as reported": (replace(OPEN, paid=0, remaining=0), "paid"),
    "paid with a credit": (replace(OPEN, paid=600, credited=400), "paid"),
    "a total of nothing": (Amounts("open", "EUR", 0), "paid"),
    "on its way": (replace(OPEN, paid=1000, is_settling=True), "processing"),
    "partly paid": (replace(OPEN, paid=1), "partially_paid"),
    "partly paid, more on its way": (replace(OPEN, paid=1, is_settling=True), "partially_paid"),
    "the first payment on its way": (replace(OPEN, is_settling=True), "processing"),
    "open": (OPEN, "open"),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_first_case_that_holds_is_the_word(case: str) -> None:
    amounts, word = TABLE[case]
    assert payment_of(amounts) == word


def test_every_word_is_reached() -> None:
    assert {word for _, word in TABLE.values()} == set(PAYMENTS)


minor = st.integers(min_value=0, max_value=2000)


@given(
    st.builds(
        Amounts,
        st.sampled_from([*DOCUMENTS, "archived"]),
        st.just("EUR"),
        minor,
        paid=minor,
        credited=minor,
        refunded=minor,
        disputed=minor,
        overpaid=minor,
        remaining=st.none() | st.integers(min_value=-2000, max_value=2000),
        is_settling=st.booleans(),
    )
)
def test_any_amounts_have_a_word_and_never_paid_while_money_is_owed(amounts: Amounts) -> None:
    word = payment_of(amounts)
    assert word in PAYMENTS
    if word == "paid":
        assert amounts.owed == 0
        assert amounts.disputed == 0


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        (replace(OPEN, due_on=date(2026, 11, 1)), True),
        (replace(OPEN, due_on=date(2026, 11, 2)), False),
        (replace(OPEN, due_on=date(2026, 11, 1), paid=1), True),
        (replace(OPEN, due_on=date(2026, 11, 1), is_settling=True), True),
        (replace(OPEN, due_on=date(2026, 11, 1), paid=1000), False),
        (replace(OPEN, due_on=date(2026, 11, 1), document="draft"), False),
        (replace(OPEN, due_on=date(2026, 11, 1), document="void"), False),
        (OPEN, False),
    ],
)
def test_overdue_is_what_is_owed_after_its_day(amounts: Amounts, expected: bool) -> None:
    assert is_overdue(amounts, date(2026, 11, 2)) is expected
