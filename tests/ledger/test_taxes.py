"""Taxes: rounded once for an invoice, apportioned to the last minor unit, never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.invoices import (
    Address,
    BilledCustomer,
    InvoiceDraft,
    Particulars,
    PrintedLine,
    draft_from_json,
)
from ledger.money import apportioned, net_within, tax_on
from ledger.printing import NumberedLine, print_lines
from ledger.taxes import Tax, TaxWords, line_taxes, tax_of
from tests.ledger.test_printing import entry

DE19 = "DE19 19 %"
GROSS = "DE19 19 % included"
RC = "RC reverse charge"
WORDS = {"DE19": TaxWords("VAT"), "RC": TaxWords("RC", "The customer owes the tax.")}
AMOUNTS = st.integers(-10_000_000, 10_000_000)
RATES = st.decimals(0, 100, places=2)


def line(amount: int, tax: str = DE19) -> PrintedLine:
    return PrintedLine("Work", Decimal("1.00"), Decimal(amount).scaleb(-2), amount, tax=tax)


def draft_of(*lines: PrintedLine) -> InvoiceDraft:
    return InvoiceDraft(
        "acme-2026-10",
        BilledCustomer("acme", "Acme GmbH", "ap@acme.example"),
        "EUR",
        lines,
        date(2026, 10, 1),
        date(2026, 10, 31),
        tax_words=WORDS,
    )


KEYS = st.builds(
    Tax,
    st.sampled_from(["A", "DE19", "x-1.b"]),
    RATES,
    is_included=st.booleans(),
) | st.builds(
    Tax,
    st.sampled_from(["RC", "EX"]),
    why_none=st.sampled_from(["reverse charge", "exempt"]),
)


@given(KEYS)
def test_a_tax_is_read_as_it_was_written(tax: Tax) -> None:
    assert tax_of(tax.key) == tax
    assert len(tax.key) <= 64


@pytest.mark.parametrize("text", ["", "DE19", "DE19 19", "DE19 19 % more", " 19 %", "RC nothing"])
def test_what_is_no_tax_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no tax"):
        tax_of(text)


@given(st.lists(st.tuples(KEYS.map(lambda tax: tax.key) | st.just(""), AMOUNTS), max_size=8))
def test_net_and_taxes_sum_to_the_total_for_any_lines(lines: list[tuple[str, int]]) -> None:
    draft = draft_of(*(line(amount, tax) for tax, amount in lines))
    assert draft.net + draft.tax == draft.total
    beside = sum(each.amount for each in draft.taxes if not each.tax.is_included)
    assert draft.total.minor == sum(amount for _, amount in lines) + beside
    parts = line_taxes(lines)
    for each in draft.taxes:
        of = [
            (amount, part)
            for (key, amount), part in zip(lines, parts, strict=True)
            if key == each.tax.key
        ]
        assert sum(part for _, part in of) == each.amount
        assert each.net + (each.amount if each.tax.is_included else 0) == sum(a for a, _ in of)


@given(st.lists(AMOUNTS, min_size=1, max_size=8), RATES, st.booleans())
def test_the_tax_of_each_line_is_its_own_within_a_minor_unit(
    amounts: list[int], rate: Decimal, is_included: bool
) -> None:
    tax = Tax("A", rate, is_included=is_included)
    parts = tax.by_line(amounts)
    assert sum(parts) == tax.amount(sum(amounts))
    share = Fraction(rate) / (100 + (Fraction(rate) if is_included else 0))
    assert all(abs(part - amount * share) < 1 for part, amount in zip(parts, amounts, strict=True))


@given(AMOUNTS, RATES)
def test_a_gross_price_splits_exactly(gross: int, rate: Decimal) -> None:
    net = net_within(gross, rate)
    assert abs(Fraction(gross) - net * (1 + Fraction(rate) / 100)) <= 1 + Fraction(rate) / 100
    assert net + Tax("A", rate, is_included=True).amount(gross) == gross
    assert net_within(-gross, rate) == -net


@pytest.mark.parametrize(
    ("net", "rate", "tax"),
    [
        (100, "19", 19),
        (3, "19", 1),
        (2, "25", 1),
        (-2, "25", -1),
        (1, "49.99", 0),
        (1, "50", 1),
        (10_050, "19", 1910),
        (0, "19", 0),
        (10_000, "0", 0),
    ],
)
def test_a_tax_is_rounded_half_up(net: int, rate: str, tax: int) -> None:
    assert tax_on(net, Decimal(rate)) == tax


@pytest.mark.parametrize(
    ("gross", "rate", "net"), [(119, "19", 100), (-119, "19", -100), (3, "100", 2), (1, "7", 1)]
)
def test_the_net_in_a_gross_amount_is_rounded_half_up(gross: int, rate: str, net: int) -> None:
    assert net_within(gross, Decimal(rate)) == net


def test_the_tax_is_rounded_on_the_sum_and_not_on_each_line() -> None:
    draft = draft_of(*(line(3) for _ in range(10)))
    assert (draft.net.minor, draft.tax.minor, draft.total.minor) == (30, 6, 36)
    assert line_taxes([(DE19, 3)] * 10) == [1] * 6 + [0] * 4


def test_the_tax_by_line_keeps_to_the_steps_of_a_billing_system() -> None:
    tax = Tax("A", Decimal(5))
    assert tax.by_line([1000, 3000, 200], step=10) == [50, 150, 10]
    with pytest.raises(ValueError, match="no multiple of 10"):
        tax.by_line([1000, 3010, 210], step=10)


def test_shares_that_do_not_sum_to_the_total_are_refused() -> None:
    assert apportioned(0, []) == []
    assert apportioned(3, [Fraction(1, 2)] * 6) == [1, 1, 1, 0, 0, 0]
    for total in (-1, 3):
        with pytest.raises(ValueError, match="do not sum"):
            apportioned(total, [Fraction(1, 2), Fraction(1, 2)])


def test_the_content_says_every_tax_and_is_read_back() -> None:
    draft = replace(
        draft_of(line(10_000), line(5_000, RC), line(11_900, GROSS), line(700, "")),
        customer=BilledCustomer(
            "acme",
            "Acme",
            None,
            legal_name="Acme GmbH",
            address=Address(("Hafenstr. 1", "C"), "Hamburg", "DE", "20457"),
            tax_id="DE123456789",
            contact="Jane Doe",
            language="de",
        ),
        particulars=Particulars("MSA 1", "2026-01-15, Jane Doe", "Interest.", ("card", "cash")),
    )
    content = draft.as_json()
    assert [(each["tax"], each["net"], each["amount"]) for each in content["taxes"]] == [
        (DE19, 10_000, 1_900),
        (GROSS, 10_000, 1_900),
        (RC, 5_000, 0),
    ]
    assert (content["net"], content["tax"], content["total"]) == (25_700, 3_800, 29_500)
    assert content["taxes"][2]["text"] == "The customer owes the tax."
    again = draft_from_json(content)
    assert again == draft
    assert again.content_hash() == draft.content_hash()


def test_a_draft_without_taxes_and_particulars_says_what_it_always_said() -> None:
    content = draft_of(line(10_000, "")).as_json()
    assert set(content) == {
        *("reference", "customer", "currency", "lines", "total", "period_from", "period_to"),
        *("days_until_due", "purchase_order", "memo", "footer", "send_to", "metadata"),
    }
    assert set(content["customer"]) == {"key", "name", "email"}
    assert set(content["lines"][0]) == {"description", "quantity", "unit_price", "amount"}
    assert content["total"] == 10_000


@pytest.mark.parametrize(
    "change",
    [
        {"particulars": Particulars(late_payment="Interest.")},
        {"customer": BilledCustomer("acme", "Acme GmbH", "ap@acme.example", tax_id="DE1")},
        {"tax_words": {"DE19": TaxWords("Mehrwertsteuer")}},
        {"lines": (line(10_000, "DE19 16 %"),)},
    ],
)
def test_an_approval_signs_taxes_and_parties(change: dict[str, object]) -> None:
    draft = draft_of(line(10_000))
    assert replace(draft, **change).content_hash() != draft.content_hash()  # type: ignore[arg-type]


def test_lines_with_different_taxes_are_printed_apart_each_with_its_own_rounding() -> None:
    lines = [
        NumberedLine(each.id, replace(each.line, tax=DE19 if each.id < 4 else RC))
        for each in (entry(number, "0.33335") for number in range(1, 7))
    ]
    printed = print_lines(lines, {})
    by_tax = {key: [each for each in printed if each.tax == key] for key in (DE19, RC)}
    assert len(printed) == sum(map(len, by_tax.values()))
    for key, some in by_tax.items():
        own = [each.line.amount for each in lines if each.line.tax == key]
        assert sum(each.amount for each in some) == sum(own)
        assert some[0].quantity == Decimal("1.00005")
        assert [each.description for each in some[1:]] == ["Rounding"]
