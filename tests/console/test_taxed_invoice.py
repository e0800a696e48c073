"""A draft with taxes, parties, an order and approvers: page, command and API show all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update

from ledger import access, tables
from ledger.invoices import Address, Particulars, draft_from_json
from ledger.taxes import TaxWords
from tests.console.conftest import SECRET_KEY, RecordingDoorbell, bearer
from tests.ledger.seed import SmallFirm

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def reference(firm: SmallFirm) -> str:
    """Give the reference of a draft that says everything that contracts may say."""
    row = next(row for row in firm.rows(tables.invoice) if row["state"] == "draft")
    draft = draft_from_json(row["content"])
    first, *others = draft.lines
    draft = replace(
        draft,
        lines=(
            replace(first, tax="DE19 19 %"),
            *(replace(line, tax="RC reverse charge") for line in others),
        ),
        customer=replace(
            draft.customer,
            legal_name="Acme Holding GmbH",
            address=Address(("Hafenstr. 1",), "Hamburg", "DE", "20457"),
            tax_id="DE123456789",
            contact=EVIL,
        ),
        purchase_order="PO-1",
        tax_words={"DE19": TaxWords("VAT"), "RC": TaxWords("RC", "The customer owes it.")},
        particulars=Particulars("MSA 1", "2026-01-15, Jane Doe", "Interest.", ("card",)),
    )
    firm.database.write(
        lambda connection: connection.execute(
            update(tables.invoice)
            .where(tables.invoice.c.id == row["id"])
            .values(
                content=draft.as_json(),
                content_hash=draft.content_hash(),
                total=draft.total.minor,
                net=draft.net.minor,
                order_use={"budget": 50000, "before": 10000, "used": 42000},
                approvers=["Ana", "Finance"],
                warnings=["purchase order PO-1: nearly used up"],
            )
        )
    )
    return str(row["reference"])


def test_the_page_shows_all_of_it(client: FlaskClient, firm: SmallFirm, reference: str) -> None:
    assert client.get(f"/invoices/{reference}").status_code == 401
    client.post("/signin", data={"link": access.sign_link(SECRET_KEY, firm.now)})
    assert f'href="/invoices/{reference}"' in client.get("/").text
    answer = client.get(f"/invoices/{reference}")
    assert answer.status_code == 200
    for text in (
        *("Acme Holding GmbH", "Hafenstr. 1, 20457 Hamburg, DE", "DE123456789", "MSA 1", "PO-1"),
        *("2026-01-15, Jane Doe", "Interest.", "420.00 EUR of 500.00 EUR are used"),
        *("VAT (DE19 19 %) on", "Waits for Ana, then Finance.", "nearly used up", "To pay"),
    ):
        assert text in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for unknown in ("nothing-1", "a%00b"):
        assert client.get(f"/invoices/{unknown}").status_code == 404


def test_the_command_shows_all_of_it_and_who_is_next(
    command_line: FlaskCliRunner, doorbell: RecordingDoorbell, reference: str
) -> None:
    def ran(words: str) -> str:
        result = command_line.invoke(args=words.split())
        assert result.exit_code == 0, result.output
        return result.output

    shown = ran(f"invoices show {reference}")
    for text in ("DE19 19 %", "VAT: DE19 19 %", "tax id: DE123456789", "  net ", "to pay"):
        assert text in shown
    assert "waits for: Ana, then Finance" in shown
    assert "420.00 EUR of 500.00 EUR are used" in shown
    early = command_line.invoke(args=["invoices", "approve", reference, "--by", "Finance"])
    assert early.exit_code == 1
    assert "Ana approves it next, not Finance" in early.output
    told = ran(f"invoices approve {reference} --by Ana")
    assert told == f"{reference}: approved by Ana, it waits for Finance\n"
    assert "push" not in doorbell.rung
    told = ran(f"invoices approve {reference} --by Finance")
    assert told == f"{reference}: approved by Finance, it is pushed next\n"
    assert doorbell.rung[-1] == "push"


def test_the_api_tells_all_of_it_and_who_is_next(
    client: FlaskClient, firm: SmallFirm, doorbell: RecordingDoorbell, reference: str
) -> None:
    tokens = {name: bearer(firm, "approver", name) for name in ("Ana", "Finance")}
    url = f"/api/v1/invoices/{reference}"
    told = client.get(url, headers=tokens["Ana"]).get_json()
    assert told["waits_for"] == told["approvers"] == ["Ana", "Finance"]
    assert told["address"] == {
        "lines": ["Hafenstr. 1"],
        "postal_code": "20457",
        "city": "Hamburg",
        "country": "DE",
    }
    assert told["order_use"]["used"] == {"minor": 42000, "text": "420.00", "currency": "EUR"}
    vat = told["taxes"][0]
    assert (vat["tax"], vat["code"], vat["rate"], vat["name"]) == (
        *("DE19 19 %", "DE19", "19", "VAT"),
    )
    due = sum(each["net"]["minor"] + each["amount"]["minor"] for each in told["taxes"])
    assert told["total"]["minor"] == due
    assert told["lines"][0]["tax"] == "DE19 19 %"
    body = {"content_hash": told["content_hash"]}
    for name, status, rung in (("Finance", 409, 0), ("Ana", 200, 0), ("Finance", 200, 1)):
        answer = client.post(f"{url}/approve", json=body, headers=tokens[name])
        assert answer.status_code == status, answer.text
        assert doorbell.rung.count("push") == rung
    with firm.database.read() as connection:
        state = connection.scalar(
            select(tables.invoice.c.state).where(tables.invoice.c.reference == reference)
        )
    assert state == "approved"
