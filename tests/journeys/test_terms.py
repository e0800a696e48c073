"""What contracts say of taxes, orders, agreement and approval, from the rule file to the remote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.stripe.connector import StripeConnector
from console.explanations import drawn
from ledger import replay, tables
from ledger.approvals import ApprovalError
from ledger.audit import billing, contents, prices, states
from ledger.explain import explain
from ledger.listings import find_invoice
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, milestone

OCTOBER, NOVEMBER = "acme-2026-10", "acme-2026-11"
TAXES = """\
taxes:
  - {tax: DE19, rate: 19 %, name: VAT}
  - {tax: RC, reverse_charge: yes, text: The customer owes the tax.}
tax: DE19
"""
PARTIES = """\
legal_name: Acme Holding GmbH
address:
  lines: [Hafenstr. 1, Building C, 3rd floor]
  postal_code: "20457"
  city: Hamburg
  country: DE
tax_id: DE123456789
billing_contact: {name: Jane Doe}
contract: MSA 2026-01
late_payment: Interest is due after that.
early_payment: 2.5 % within 10 days
payment_methods: [bank transfer, card]
language: de
purchase_order: PO-1
"""


def say(office: Office, text: str, *, file: str = "acme.yaml") -> None:
    """Write some words into a customer's file and activate it."""
    office.change(file, "rates:\n", f"{text}rates:\n")
    office.activate()


def found(office: Office, reference: str = OCTOBER) -> Mapping[str, Any]:
    with office.line.database.read() as connection:
        invoice = find_invoice(connection, reference)
    assert invoice is not None
    return invoice


def remap(office: Office) -> None:
    office.line.database.write(
        lambda connection: replay.remap_customer(
            connection, "acme", actor="mia", now=office.clock.now()
        )
    )
    office.settle()


def violations(office: Office) -> list[str]:
    """Return what the audit says of the invoices and their lines."""
    with office.line.database.read() as connection:
        return [
            found.detail
            for invariant in (billing, prices, contents, states)
            for found in invariant.find(connection, office.clock.now())
        ]


@pytest.mark.parametrize("send_to", ["files", "stripe"])
def test_taxes_arrive_with_our_total(office: Office, tmp_path: Path, send_to: str) -> None:
    office.change("acme.yaml", "send_to: files", f"send_to: {send_to}")
    say(office, TAXES)
    office.tell(issue(7), worklog(1, seconds=900), worklog(2, seconds=3600))
    assert office.invoices() == {OCTOBER: ("draft", 17850)}
    office.bill(OCTOBER)
    if send_to == "stripe":
        (remote,) = office.remote(OCTOBER)
        assert (remote["total"], remote["total_excluding_tax"]) == (17850, 15000)
        assert [tax["amount"] for tax in remote["total_taxes"]] == [2850]
    else:
        (path,) = Path(office.rules["workspace.yaml"].split("folder: ")[1].split("}")[0]).glob(
            "*.json"
        )
        written = json.loads(path.read_text())
        assert (written["net_decimal"], written["tax_decimal"]) == ("150.00", "28.50")
        assert written["taxes"][0]["amount_decimal"] == "28.50"
        header, row = path.with_suffix(".csv").read_text("utf-8-sig").splitlines()
        assert header.endswith("currency,tax_code,tax_rate,tax_amount")
        assert row.endswith("150.00,EUR,DE19,19,28.50")
    with office.line.database.read() as connection:
        told = explain(connection, OCTOBER)
    assert told["adds_up"]
    assert any("VAT (DE19 19 %) of 150.00 EUR: 28.50 EUR" in text for text in drawn(told))
    assert [(tax["tax"], tax["amount"]["text"]) for tax in told["taxes"]] == [
        ("DE19 19 %", "28.50")
    ]
    assert violations(office) == []


def test_a_billing_system_that_takes_no_taxes_refuses_them_clearly(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    say(office, TAXES)
    without = replace(StripeConnector.abilities, taxes=False)
    monkeypatch.setattr(StripeConnector, "abilities", without)
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    office.settle()
    invoice = office.invoice(OCTOBER)
    assert invoice["state"] == "blocked"
    assert "Stripe cannot take them - send it elsewhere with send_to:" in invoice["reasons"][0]
    assert office.remote(OCTOBER) == []


def test_a_month_in_which_the_rate_changes_has_lines_with_either_rate(office: Office) -> None:
    newer = "name: VAT}\n  - {tax: DE19, rate: 16 %, from: 2026-10-13}"
    say(office, TAXES.replace("name: VAT}", newer))
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, day=13))
    taxes = {each["tax"]: each["amount"]["minor"] for each in found(office)["taxes"]}
    assert taxes == {"DE19 19 %": 2280, "DE19 16 %": 1920}
    assert len(office.printed(OCTOBER)) == 2


def test_what_was_priced_before_taxes_blocks_its_draft_until_it_is_priced_again(
    office: Office,
) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    say(office, TAXES)
    assert office.invoices() == {OCTOBER: ("blocked", 12000)}
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert "1 of its line items were priced before" in reason
    assert "flask events remap --customer acme" in reason
    remap(office)
    assert office.invoices() == {OCTOBER: ("draft", 14280)}


def test_a_correction_has_the_tax_of_the_line_that_it_takes_back(office: Office) -> None:
    say(office, TAXES)
    office.tell(issue(7), worklog(1, seconds=7200))
    office.bill(OCTOBER)
    office.change("acme.yaml", "rate: 19 %", "rate: 16 %")
    office.activate()
    office.tell(worklog(1, seconds=3600, version=2, kind="worklog_updated"))
    (later,) = (name for name in office.invoices() if name != OCTOBER)
    taxes = {each["tax"]: each["amount"]["minor"] for each in found(office, later)["taxes"]}
    assert taxes == {"DE19 19 %": -4560, "DE19 16 %": 1920}
    assert violations(office) == []


def test_what_was_billed_without_taxes_is_taken_back_without(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=7200))
    office.bill(OCTOBER)
    say(office, TAXES)
    office.tell(worklog(1, seconds=3600, version=2, kind="worklog_deleted"))
    (later,) = (name for name in office.invoices() if name != OCTOBER)
    assert found(office, later)["taxes"] == []
    assert not any("taxes" in each for each in office.invoice(later)["reasons"])


def test_parties_stand_on_the_draft_and_at_stripe(office: Office) -> None:
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    say(office, PARTIES + TAXES.replace("tax: DE19\n", "tax: RC\n"))
    office.tell(issue(7), worklog(1, seconds=3600))
    told = found(office)
    assert told["legal_name"] == "Acme Holding GmbH"
    assert told["address"]["lines"] == ["Hafenstr. 1", "Building C", "3rd floor"]
    assert (told["contract"], told["tax_id"], told["contact"], told["language"]) == (
        *("MSA 2026-01", "DE123456789", "Jane Doe", "de"),
    )
    office.bill(OCTOBER)
    (remote,) = office.remote(OCTOBER)
    assert {field["name"]: field["value"] for field in remote["custom_fields"]} == {
        "PO": "PO-1",
        "Contract": "MSA 2026-01",
        "Your tax ID": "DE123456789",
        "Attention": "Jane Doe",
    }
    assert remote["footer"] == (
        "The customer owes the tax.\n\nbank transfer, card.\n\n"
        "2,5 % discount if it is paid within 10 days.\n\nInterest is due after that."
    )
    assert told["early_payment"] == "2,5 % discount if it is paid within 10 days."
    assert remote["payment_settings"] == {"payment_method_types": ["card"]}
    assert remote["total_taxes"][0]["taxability_reason"] == "reverse_charge"
    (customer,) = office.stripe.book.table("customers").values()
    assert (customer["name"], customer["preferred_locales"]) == ("Acme Holding GmbH", ["de"])
    assert customer["address"] == {
        "line1": "Hafenstr. 1",
        "line2": "Building C, 3rd floor",
        "postal_code": "20457",
        "city": "Hamburg",
        "country": "DE",
    }
    # A customer who has moved is brought up to date before the next invoice.
    office.change("acme.yaml", "Hafenstr. 1", "Speicherstr. 2")
    office.activate()
    office.tell(worklog(2, seconds=3600))
    office.bill(NOVEMBER)
    (customer,) = office.stripe.book.table("customers").values()
    assert customer["address"]["line1"] == "Speicherstr. 2"


def test_a_first_draft_waits_until_somebody_has_agreed(office: Office) -> None:
    say(office, "agreed: not yet\n")
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {OCTOBER: ("blocked", 12000)}
    assert "nobody has agreed to the terms yet" in office.invoice(OCTOBER)["reasons"][0]
    office.change("acme.yaml", "agreed: not yet", "agreed: {on: 2026-10-01, by: Jane Doe}")
    office.activate()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert found(office)["agreed"] == "2026-10-01, Jane Doe"
    office.bill(OCTOBER)
    office.change("acme.yaml", "agreed: {on: 2026-10-01, by: Jane Doe}", "agreed: not yet")
    office.activate()
    office.tell(worklog(2, seconds=3600))
    assert office.invoices()[NOVEMBER] == ("draft", 12000)


def test_a_workspace_may_ask_every_customer_to_agree(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    office.change("workspace.yaml", "name: S", "agreed_terms_required: yes\nname: S")
    office.activate()
    assert office.invoices() == {OCTOBER: ("blocked", 12000)}


ORDER = "purchase_order: {number: PO-1, budget: 300.00, until: 2026-10-31}\n"


def test_an_order_warns_before_its_budget_is_used_up_and_blocks_what_is_over(
    office: Office,
) -> None:
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    say(office, ORDER + TAXES)
    office.tell(issue(7), worklog(1, seconds=3600))
    assert found(office)["order_use"]["used"]["text"] == "120.00"
    assert office.invoice(OCTOBER)["warnings"] == []
    office.tell(worklog(2, seconds=3600))
    assert office.invoice(OCTOBER)["warnings"] == [
        "purchase order PO-1: with this invoice 240.00 EUR of 300.00 EUR are used (80 %)"
    ]
    # A person approves it, although approval is automatic.
    office.clock.go_on(40 * 86_400)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "draft"
    office.tell(worklog(3, seconds=3600))
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert "360.00 EUR of 300.00 EUR are used, 60.00 EUR more than was ordered" in reason
    assert office.invoice(OCTOBER)["state"] == "blocked"
    office.change("acme.yaml", "budget: 300.00", "budget: 360.00")
    office.activate()
    assert office.invoice(OCTOBER)["state"] == "draft"
    office.change("acme.yaml", "PO-1", "PO-2")
    office.activate()
    office.bill(OCTOBER)
    assert violations(office) == []


def test_of_two_drafts_the_later_one_is_too_much(office: Office) -> None:
    say(office, ORDER)
    office.tell(issue(7), worklog(1, seconds=7200))
    office.bill(OCTOBER)
    office.tell(worklog(2, seconds=1800))
    assert office.invoices()[NOVEMBER] == ("draft", 6000)
    assert found(office, NOVEMBER)["order_use"] == {
        name: {"minor": minor, "text": f"{minor // 100}.00", "currency": "EUR"}
        for name, minor in (("budget", 30000), ("before", 24000), ("used", 30000))
    }
    office.tell(milestone("closed", at="2026-11-20T10:00:00Z"), endpoint="github")
    (phase,) = set(office.invoices()) - {OCTOBER, NOVEMBER}
    assert office.invoices()[phase] == ("blocked", 450000)
    assert office.invoices()[NOVEMBER][0] == "draft"


def test_work_after_the_end_of_an_order_is_blocked(office: Office) -> None:
    say(office, ORDER.replace("2026-10-31", "2026-10-13"))
    office.tell(issue(7), worklog(1, seconds=900, day=13))
    assert office.invoices() == {OCTOBER: ("draft", 3000)}
    office.tell(worklog(2, seconds=900, day=14))
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert "is for work until 2026-10-13, and there is work of 2026-10-14" in reason


def test_each_approver_approves_the_same_content_in_turn(office: Office) -> None:
    say(office, "approvers: [Ana, Finance]\n")
    office.tell(issue(7), worklog(1, seconds=3600))
    assert found(office)["waits_for"] == ["Ana", "Finance"]
    for early in ("Finance", "mia"):
        with pytest.raises(ApprovalError, match=f"Ana approves it next, not {early} - the order"):
            office.approve(OCTOBER, by=early)
    office.approve(OCTOBER, by="ana")
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert found(office)["waits_for"] == ["Finance"]
    with pytest.raises(ApprovalError, match="Finance approves it next, not Ana"):
        office.approve(OCTOBER, by="Ana")
    # A change voids what Ana has approved, also when the content comes back.
    office.tell(worklog(2, seconds=900))
    assert found(office)["waits_for"] == ["Ana", "Finance"]
    office.tell(worklog(2, seconds=900, version=2, kind="worklog_deleted"))
    assert found(office)["waits_for"] == ["Ana", "Finance"]
    assert [each["is_void"] for each in found(office)["approvals"]] == [True]
    office.approve(OCTOBER, by="Ana")
    office.approve(OCTOBER, by="Finance")
    assert office.invoices() == {OCTOBER: ("approved", 12000)}
    assert found(office)["waits_for"] == []
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert violations(office) == []


def test_other_approvers_begin_again(office: Office) -> None:
    say(office, "approvers: [Ana, Finance]\n")
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER, by="Ana")
    office.change("acme.yaml", "approvers: [Ana, Finance]", "approvers: [Finance, Ana]")
    office.activate()
    assert found(office)["waits_for"] == ["Finance", "Ana"]
    office.approve(OCTOBER, by="Finance")
    office.change("acme.yaml", "approvers: [Finance, Ana]\n", "")
    office.activate()
    office.approve(OCTOBER, by="anybody")
    assert office.invoices() == {OCTOBER: ("approved", 12000)}


def test_the_audit_finds_what_went_on_without_an_approver(office: Office) -> None:
    say(office, "approvers: [Ana, Finance]\n")
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER, by="Ana")
    office.approve(OCTOBER, by="Finance")

    def spoil(connection: Any) -> None:
        last = tables.approval.c.approved_by == "Ana"
        connection.execute(tables.approval.update().where(last).values(approved_by="nobody"))

    office.line.database.write(spoil)
    assert violations(office) == ["went on, and Ana had not approved it"]
