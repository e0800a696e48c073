"""Invoices in plain-text books: pushed, corrected while pending, paid in the journal or by bank."""

from __future__ import annotations

import pytest

from connectors.journal.stand_in import Bookkeeper
from connectors.journal.writing import BEANCOUNT, HLEDGER
from ledger import tables
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office
from tests.journeys.paying import bring, run, ways
from tests.statements.banks import Booked, camt

OCTOBER = "acme-2026-10"


@pytest.mark.parametrize("dialect", [BEANCOUNT, HLEDGER])
def test_an_invoice_lives_in_a_journal(office: Office, dialect: str) -> None:
    books = f"{{system: journal, format: {dialect}, folder: {office.folder}/books}}"
    office.change("workspace.yaml", f"{{system: file, folder: {office.folder}/out}}", books)
    office.activate()
    keeper = Bookkeeper(office.folder / "books", dialect)
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER, is_sent=False)
    assert office.invoice(OCTOBER)["payment"] == "draft"
    # As long as it is pending, corrections go onto it.
    office.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    office.bill(OCTOBER, is_sent=False)
    assert "240.00 EUR" in keeper.path(OCTOBER).read_text()
    keeper.finalize(OCTOBER)
    office.look()
    assert office.invoice(OCTOBER)["payment"] == "open"
    keeper.pay(OCTOBER, 4000)
    office.look()
    assert office.invoice(OCTOBER)["payment"] == "partially_paid"
    # What stands in the journal is not counted from the statement, too.
    found = bring(office, camt(Booked("200.00", OCTOBER, reference="1")))
    assert ways(found) == [("question", OCTOBER)]
    keeper.payments.unlink()
    office.look()
    (row,) = office.rows(tables.recorded_payment)
    assert run(office, "assign", str(row["id"]), OCTOBER).exit_code == 0
    assert office.invoice(OCTOBER)["payment"] == "partially_paid"
    run(office, "record", OCTOBER, "40.00", "EUR", "--on", "2026-11-20")
    office.look()
    assert office.invoice(OCTOBER)["payment"] == "paid"
    assert office.violations() == []
