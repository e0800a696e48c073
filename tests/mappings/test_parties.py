"""Who pays and what was agreed, as rule files say it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from ledger.invoices import Address, BilledCustomer, Particulars
from ledger.purchase_orders import PurchaseOrder
from mappings.book import Book
from mappings.clauses.parties import Parties
from tests.mappings.conftest import ACME, WORKSPACE

Mistakes = Callable[..., list[str]]
SAID = """\
legal_name: Acme Holding GmbH
address: {lines: [Hafenstr. 1, Building C], postal_code: "20457", city: Hamburg, country: DE}
tax_id: DE123456789
billing_contact: {name: Jane Doe, email: jane@acme.example}
contract: MSA 2026-01
agreed: {on: 2026-01-15, by: Jane Doe}
late_payment: Interest is due.
payment_methods: [bank transfer, card]
language: pt-BR
approvers: [Ana, Finance]
"""


def parties_of(text: str) -> Parties:
    return Book.load({"workspace.yaml": WORKSPACE, "acme.yaml": text}).customers["acme"].parties


def test_all_that_is_said_is_there() -> None:
    order = "{number: PO-1, budget: 500.00, warn_at: 75.5 %, until: 2026-12-31}"
    text = ACME.replace("billing_email: ap@acme.example\n", SAID).replace("PO-4471", order)
    parties = parties_of(text)
    assert parties.customer("acme", "Acme GmbH", None) == BilledCustomer(
        "acme",
        "Acme GmbH",
        "jane@acme.example",
        legal_name="Acme Holding GmbH",
        address=Address(("Hafenstr. 1", "Building C"), "Hamburg", "DE", "20457"),
        tax_id="DE123456789",
        contact="Jane Doe",
        language="pt-BR",
    )
    assert parties.particulars == Particulars(
        "MSA 2026-01", "2026-01-15, Jane Doe", "Interest is due.", ("bank transfer", "card")
    )
    assert parties.purchase_order == PurchaseOrder(
        "PO-1", 50_000, Decimal("75.5"), date(2026, 12, 31)
    )
    assert parties.approvers == ("Ana", "Finance")
    assert parties.is_agreed is True


def test_the_address_for_invoices_is_the_customers_before_the_contacts() -> None:
    assert Parties(contact_email="jane@a.example").customer("a", "A", "ap@a.example").email == (
        "ap@a.example"
    )


def test_what_is_not_said_is_usual() -> None:
    assert parties_of(ACME) == Parties(purchase_order=PurchaseOrder("PO-4471"))
    assert parties_of(ACME.replace("PO-4471", "{number: PO-1}")).purchase_order == PurchaseOrder(
        "PO-1", None, Decimal(80), None
    )


@pytest.mark.parametrize(
    ("said", "is_agreed"),
    [("", None), ("agreed: not yet\n", False), ("agreed: {on: 2026-01-01, by: Jo}\n", True)],
)
def test_the_terms_are_agreed_or_not_or_nobody_says(said: str, is_agreed: bool | None) -> None:
    assert parties_of(ACME.replace("terms:", said + "terms:", 1)).is_agreed is is_agreed


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("address: {lines: [A], city: B, country: XX}", 'address, country: "XX" is not a country'),
        ("address: {lines: [A], city: B, country: EU}", 'country: "EU" is not a country'),
        ("address: {lines: [A], city: B, country: de}", "two capital letters: DE, FR"),
        ("address: {lines: [A], country: DE}", 'address: the word "city" is missing'),
        ("address: Hafenstr. 1", "address: must be a table"),
        ("language: xx", 'language: "xx" is not a language like de or pt-BR - write the language'),
        ("language: German", 'language: "German" is not a language like de'),
        ("billing_contact: {name: J, email: j@a.example}", "stands under billing_email: already"),
        ("billing_contact: {mail: j@a.example, name: J}", 'billing_contact: unknown word "mail"'),
        ("agreed: yes", 'agreed: "yes" is not one of: not yet'),
        ("agreed: {on: 2026-02-30, by: Jo}", "agreed, on: "),
        ("agreed: {on: 2026-02-03}", 'agreed: the word "by" is missing'),
        ("approvers: [Ana, ana]", "approvers: names somebody twice"),
        ("approvers: []", "approvers: the list is empty"),
        ("payment_methods: []", "payment_methods: the list is empty"),
    ],
)
def test_every_mistake_is_told_with_what_to_do(mistakes: Mistakes, line: str, mistake: str) -> None:
    (found,) = mistakes("terms: net 30", f"terms: net 30\n{line}")
    assert mistake in found


@pytest.mark.parametrize(
    ("order", "mistake"),
    [
        ("{budget: 5}", 'purchase_order: the word "number" is missing'),
        ("{number: P, budget: 0}", 'budget: "0" is not a number like 1 or 2.50 above zero'),
        ("{number: P, budget: 1.005}", "budget: 1.005 has more decimal places than EUR allows"),
        ("{number: P, warn_at: 80 %}", "warn_at: there is no budget to warn about"),
        ("{number: P, budget: 5, warn_at: 80}", 'warn_at: "80" is not a part like 80 %'),
        ("{number: P, until: soon}", 'until: "soon" is not a day'),
        ("[P]", "purchase_order: must be a table"),
    ],
)
def test_a_wrong_order_is_told(mistakes: Mistakes, order: str, mistake: str) -> None:
    (found,) = mistakes("PO-4471", order)
    assert mistake in found


def test_approvers_and_automatic_approval_exclude_each_other(mistakes: Mistakes) -> None:
    (found,) = mistakes("approval: by hand", "approval: automatic\napprovers: Ana")
    assert found == (
        "acme.yaml:11:12: approvers: approval: automatic needs nobody - write approval: by hand, "
        "or take these out"
    )


def test_a_workspace_may_ask_for_agreed_terms() -> None:
    text = WORKSPACE + "agreed_terms_required: yes\n"
    assert Book.load({"workspace.yaml": text, "acme.yaml": ACME}).workspace.agreed_terms_required
