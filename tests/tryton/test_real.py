"""What only a real Tryton can prove, beside the contract tests that run over it, too."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from connectors.contract import ContractRig
from connectors.http import Http, Request, Response
from connectors.tryton.stand_in.person import Person
from ledger.errors import PermanentError, RejectedError
from ledger.invoices import Coding
from ledger.payments import payment_of
from tests.contracts.billing import DRAFT, assert_shows, draft_of, line, push
from tests.contracts.spoiled_http import SpoiledHttp

DATE = datetime(2000, 1, 1, tzinfo=UTC)


class Watched:
    """An HTTP port that writes down which methods were called."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.called: list[tuple[str, str]] = []

    def send(self, request: Request) -> Response:
        body = request.body or b""
        self.called.append((json.loads(body)["method"], body.decode()))
        return self._inner.send(request)


def reached(rig: ContractRig) -> Http:
    assert rig.http is not None
    return rig.http


def test_header_and_lines_go_in_one_call_after_a_look_for_the_reference(rig: ContractRig) -> None:
    watched = Watched(reached(rig))
    push(rig.connect(watched), DRAFT)
    made = [at for at, (method, _) in enumerate(watched.called) if ".invoice.create" in method]
    assert len(made) == 1
    (_, body) = watched.called[made[0]]
    assert '"reference":"acme-1"' in body
    assert body.count('"unit_price"') == len(DRAFT.lines)
    looks = [
        at
        for at, (method, asked) in enumerate(watched.called)
        if method.endswith("account.invoice.search_read") and '"acme-1"' in asked
    ]
    assert looks[0] < made[0]
    changes = [method for method, _ in watched.called if method.rpartition(".")[2] in ("write",)]
    assert changes == []


def test_three_hundred_lines_arrive_in_their_order(rig: ContractRig) -> None:
    connector = rig.connect(reached(rig))
    draft = draft_of(*(line("1.25", "80.01", "EUR", f"Task {each}") for each in range(300)))
    there = connector.fetch_invoice(push(connector, draft))
    assert_shows(connector, draft, there)


def test_what_tryton_would_round_otherwise_is_told_in_the_text(rig: ContractRig) -> None:
    connector = rig.connect(reached(rig))
    draft = draft_of(line("1", "0.005", "EUR"), line("3", "0.12345", "EUR", "Usage"))
    there = connector.fetch_invoice(push(connector, draft))
    assert there.amounts.total == draft.total.minor == 38
    assert there.lines is not None
    assert [each.description for each in there.lines] == [
        "Engineering (1.00 x 0.005 EUR)",
        "Usage (3.00 x 0.12345 EUR)",
    ]


def test_an_invoice_in_another_currency_is_followed_in_its_own(
    rig: ContractRig, person: Person
) -> None:
    connector = rig.connect(reached(rig))
    remote_id = push(connector, draft_of(line("2", "50.00", "USD"), currency="USD"))
    for step, minor, word, paid in (
        ("finalize", 0, "open", 0),
        ("pay", 2500, "partially_paid", 2500),
        ("pay", 7500, "paid", 10000),
    ):
        rig.happenings[step](remote_id, minor)
        amounts = connector.fetch_invoice(remote_id).amounts
        assert (payment_of(amounts), amounts.paid, amounts.currency) == (word, paid, "USD")


def test_our_taxes_stand_in_the_books_after_posting(rig: ContractRig, person: Person) -> None:
    connector = rig.connect(reached(rig))
    lines = (
        replace(line("3", "33.33", "EUR"), tax="A 19 %"),
        replace(line("1", "10.70", "EUR", "Book"), tax="B 7 % included"),
    )
    draft = draft_of(*lines)
    remote_id = push(connector, draft)
    assert_shows(connector, draft, connector.fetch_invoice(remote_id))
    rig.happenings["finalize"](remote_id, 0)
    posted = connector.fetch_invoice(remote_id)
    assert (posted.amounts.total, posted.amounts.remaining) == (draft.total.minor,) * 2
    fields = ["tax_lines.type", "tax_lines.amount", "tax_lines.tax.name"]
    move = person.of("account.invoice", "read", [int(remote_id)], ["move"])[0]["move"]
    booked = person.of(
        "account.move.line", "search_read", [["move", "=", move]], 0, None, None, fields
    )
    taxes = {
        (each["tax."]["name"], each["type"]): each["amount"]
        for moved in booked
        for each in moved["tax_lines."]
    }
    assert taxes == {
        ("VAT 19 %", "base"): Decimal("99.99"),
        ("VAT 19 %", "tax"): Decimal("19.00"),
        ("VAT 7 %", "base"): Decimal("10.00"),
        ("VAT 7 %", "tax"): Decimal("0.70"),
    }


def test_a_line_stands_on_the_account_and_with_the_tax_that_its_books_name(
    rig: ContractRig, person: Person
) -> None:
    connector = rig.connect(reached(rig))
    coded = replace(
        line("1", "100.00", "EUR"),
        coding=Coding(account="4.2.2", tax_code="VAT 0 %"),
        tax="RC reverse charge",
    )
    remote_id = push(connector, draft_of(coded))
    (there,) = person.of(
        "account.invoice",
        "read",
        [int(remote_id)],
        ["lines.account.code", "lines.taxes.name"],
    )
    (booked,) = there["lines."]
    assert booked["account."]["code"] == "4.2.2"
    assert [each["name"] for each in booked["taxes."]] == ["VAT 0 %"]
    wrong = replace(coded, coding=Coding(tax_code="VAT 19 %"))
    with pytest.raises(RejectedError, match="is not of 0 % there"):
        push(connector, draft_of(wrong, reference="acme-2"))
    unknown = replace(line("1", "1.00", "EUR"), coding=Coding(account="9"))
    with pytest.raises(RejectedError, match="no open account with the code 9"):
        push(connector, draft_of(unknown, reference="acme-3"))


def test_a_second_invoice_with_our_reference_is_told(rig: ContractRig, person: Person) -> None:
    connector = rig.connect(reached(rig))
    remote_id = push(connector, DRAFT)
    (twin,) = person.of("account.invoice", "copy", [int(remote_id)], {"reference": "acme-1"})
    with pytest.raises(PermanentError, match=f"{remote_id} and {twin}"):
        connector.find_invoice("acme-1", remote_customer=None)


def test_what_others_have_entered_is_not_taken_for_ours(rig: ContractRig, person: Person) -> None:
    connector = rig.connect(reached(rig))
    remote_id = push(connector, DRAFT)
    person.of("account.invoice", "copy", [int(remote_id)], {"reference": "their-own"})
    listed = [one.remote_id for one in connector.made_since(DATE)]
    assert listed == [remote_id]


def test_a_company_that_is_out_of_reach_proves_no_absence(rig: ContractRig, person: Person) -> None:
    connector = rig.connect(reached(rig))
    remote_id = push(connector, DRAFT)
    users = person.find("res.user", ["login", "=", "billhook"])
    company = person.context["company"]
    locked_out = {"company": None, "companies": [["remove", [company]]]}
    person.of("res.user", "write", users, locked_out)
    try:
        blind = rig.connect(reached(rig))
        with pytest.raises(PermanentError, match="company"):
            blind.find_invoice("acme-1", remote_customer=None)
        with pytest.raises(PermanentError, match="company"):
            blind.fetch_invoice(remote_id)
    finally:
        person.of("res.user", "write", users, {"companies": [["add", [company]]]})
        person.of("res.user", "write", users, {"company": company})


def test_a_poll_tells_each_change_once(rig: ContractRig, person: Person) -> None:
    connector = rig.connect(reached(rig))
    cursors = [connector.changes_since(None)[1]]
    remote_id = push(connector, DRAFT)
    told = []
    for step in ("", "finalize", "pay", ""):
        if step:
            rig.happenings[step](remote_id, 5000)
        changed, cursor = connector.changes_since(cursors[-1])
        told.append(changed)
        cursors.append(cursor)
    assert told == [[remote_id], [remote_id], [remote_id], []]
    assert all(
        earlier <= later
        for earlier, later in pairwise(json.loads(each)["upto"] for each in cursors)
    )


def test_a_wrong_password_is_told_without_it(rig: ContractRig) -> None:
    connector = rig.connect(SpoiledHttp(reached(rig), rig.is_change))
    wrong = type(connector)({**connector.configured, "password": "wrong-horse"}, reached(rig))
    with pytest.raises(PermanentError, match="HTTP 401") as caught:
        wrong.check()
    assert "wrong-horse" not in f"{caught.value!r}"
