"""A timesheet is given out as CSV: on the command line, and in the console to who is signed in."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select, update

from ledger import access
from ledger.tables import invoice
from tests.console.conftest import SECRET_KEY
from tests.ledger.seed import SmallFirm

ROWS = [["2026-11-03", "Zoë", "ACME-1", "=cmd()", "0.8333", "1.00"]]
CSV = (
    "\ufeffday,person,item,text,worked_hours,billed_hours\r\n"
    "2026-11-03,Zoë,ACME-1,'=cmd(),0.8333,1.00\r\n"
)


@pytest.fixture
def reference(firm: SmallFirm) -> str:
    """Give the number of an invoice with a timesheet."""
    with firm.database.read() as connection:
        row = connection.execute(select(invoice).order_by(invoice.c.id)).mappings().first()
    assert row is not None
    content = {**row["content"], "timesheet": ROWS}
    firm.database.write(
        lambda connection: connection.execute(
            update(invoice).where(invoice.c.id == row["id"]).values(content=content)
        )
    )
    return str(row["reference"])


@pytest.fixture
def other(firm: SmallFirm, reference: str) -> str:
    """Give the number of an invoice without one."""
    with firm.database.read() as connection:
        found = connection.scalar(
            select(invoice.c.reference).where(invoice.c.reference != reference)
        )
    return str(found)


def test_the_console_gives_it_to_people_who_are_signed_in(
    client: FlaskClient, firm: SmallFirm, reference: str, other: str
) -> None:
    address = f"/invoices/{reference}/timesheet.csv"
    turned_away = client.get(address)
    assert turned_away.status_code == 401
    assert "ACME-1" not in turned_away.text
    link = {"link": access.sign_link(SECRET_KEY, firm.now)}
    assert client.post("/signin", data=link).status_code == 303
    answer = client.get(address)
    assert (answer.status_code, answer.data.decode()) == (200, CSV)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    expected = f"attachment; filename={reference}-timesheet.csv"
    assert answer.headers["Content-Disposition"] == expected
    for missing in (other, "no-such-invoice", "a%00b"):
        assert client.get(f"/invoices/{missing}/timesheet.csv").status_code == 404


def test_the_command_line_prints_it(
    command_line: FlaskCliRunner, reference: str, other: str
) -> None:
    printed = command_line.invoke(args=["invoices", "timesheet", reference])
    assert (printed.exit_code, printed.stdout_bytes.decode()) == (0, CSV)
    missing = command_line.invoke(args=["invoices", "timesheet", other])
    assert missing.exit_code == 1
    assert f"{other}: has no timesheet - write timesheet: yes" in missing.output
    unknown = command_line.invoke(args=["invoices", "timesheet", "nothing-1"])
    assert "nothing-1: no such invoice" in unknown.output
