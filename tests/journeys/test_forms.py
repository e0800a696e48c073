"""What invoices look like, through the whole line: late work, timesheets, texts of the invoice."""

from __future__ import annotations

import csv
from pathlib import Path

from ledger import auditlog
from ledger.audit import Violation, audit
from ledger.drafts import QUIET
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER, SUPPLEMENT, TODAY = "acme-2026-10", "acme-2026-10-2", "acme-2026-11"
LINE = "senior engineering, ACME-7 Login"


def violations(office: Office) -> list[Violation]:
    while office.line.database.write(auditlog.seal):
        pass
    with office.line.database.read() as connection:
        return audit(connection, office.clock.now())


def write(office: Office, words: str) -> None:
    """Write more words into the customer's file and activate it."""
    office.change("acme.yaml", "invoice: monthly", f"invoice: monthly\n{words}")
    office.activate()


def billed_october(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)


def test_late_work_on_the_next_invoice_says_from_when_it_is(office: Office) -> None:
    write(office, "late: next invoice\nlanguage: de")
    billed_october(office)
    assert office.printed(OCTOBER) == [(LINE, "1.00", 12000)]
    office.tell(worklog(2, seconds=3600))
    assert office.printed(TODAY) == [(f"Oktober 2026: {LINE}", "1.00", 12000)]
    office.bill(TODAY)
    assert violations(office) == []


def test_late_work_gets_an_invoice_of_its_own_and_corrections_do_not(office: Office) -> None:
    write(office, "late: own invoice")
    billed_october(office)
    office.tell(worklog(2, seconds=7200))
    office.tell(worklog(1, seconds=5400, version=2, kind="worklog_updated"))
    assert office.invoices() == {
        OCTOBER: ("pushed", 12000),
        SUPPLEMENT: ("draft", 24000),
        TODAY: ("draft", 6000),
    }
    office.bill(SUPPLEMENT)
    office.bill(TODAY)
    office.tell(worklog(3, seconds=3600))
    assert office.invoices()["acme-2026-10-3"] == ("draft", 12000)
    assert violations(office) == []


def test_late_work_that_is_held_waits_for_a_person_whatever_approves(office: Office) -> None:
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    write(office, "late: hold")
    office.tell(issue(7), worklog(1, seconds=3600))
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    office.tell(worklog(2, seconds=3600))
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices()[SUPPLEMENT] == ("draft", 12000)
    (warning,) = office.invoice(SUPPLEMENT)["warnings"]
    assert warning.startswith("work of October 2026 that came after its invoice")
    office.bill(SUPPLEMENT)
    assert office.invoices()[SUPPLEMENT] == ("pushed", 12000)


def test_a_rule_decides_for_its_own_late_work(office: Office) -> None:
    office.change(
        "acme.yaml", "when: {event: [time.", "late: own invoice\n    when: {event: [time."
    )
    write(office, "late: hold")
    billed_october(office)
    office.tell(worklog(2, seconds=3600))
    assert office.invoice(SUPPLEMENT)["warnings"] == []


def test_new_rules_for_late_work_hold_for_what_waits_already(office: Office) -> None:
    billed_october(office)
    office.tell(worklog(2, seconds=3600))
    assert office.invoices()[TODAY] == ("draft", 12000)
    write(office, "late: own invoice")
    assert office.invoices() == {OCTOBER: ("pushed", 12000), SUPPLEMENT: ("draft", 12000)}


def test_the_timesheet_is_signed_and_written_beside_the_invoice(
    office: Office, tmp_path: Path
) -> None:
    write(office, "timesheet: yes")
    office.tell(issue(7), worklog(1, seconds=3000), worklog(2, seconds=3600, account="acc-ben"))
    rows = [
        ["2026-10-03", "Ana", "ACME-7", LINE, "0.8333", "1.00"],
        ["2026-10-03", "Ben", "ACME-7", LINE.replace("senior", "junior"), "1.00", "1.00"],
    ]
    seen = office.invoice(OCTOBER)
    assert seen["content"]["timesheet"] == rows
    # The money stays as it is, and still it is another content to approve.
    office.tell(worklog(1, seconds=3300, version=2, kind="worklog_updated"))
    rows[0][4] = "0.9167"
    changed = office.invoice(OCTOBER)
    assert changed["content"]["timesheet"] == rows
    assert changed["content"]["lines"] == seen["content"]["lines"]
    assert changed["content_hash"] != seen["content_hash"]
    office.bill(OCTOBER)
    (path,) = tmp_path.rglob(f"{OCTOBER}.timesheet.csv")
    assert list(csv.reader(path.read_text("utf-8-sig").splitlines()))[1:] == rows
    office.tell(worklog(2, seconds=3600, version=2, kind="worklog_deleted", account="acc-ben"))
    (back,) = office.invoice(TODAY)["content"]["timesheet"]
    assert back[3:] == [f"Correction to {OCTOBER}: {rows[1][3]}", "-1.00", "-1.00"]
    assert violations(office) == []


def test_the_lines_are_ordered_and_the_invoice_has_its_words(office: Office) -> None:
    write(
        office,
        "order: [person, amount]\nlanguage: de\npurchase_order: PO-9\n"
        'memo: "Leistungen {period}, {purchase_order}"\nfooter: "{total} in {days} Tagen"',
    )
    office.tell(issue(7), issue(8), worklog(1, seconds=3600), worklog(2, seconds=7200, issue_id=8))
    office.tell(worklog(3, seconds=3600, account="acc-ben"))
    lines = [amount for _, _, amount in office.printed(OCTOBER)]
    assert lines == [24000, 12000, 8000]
    content = office.invoice(OCTOBER)["content"]
    assert content["memo"] == "Leistungen Oktober 2026, PO-9"
    assert content["footer"] == "440,00 EUR in 30 Tagen"
    office.bill(OCTOBER)
    assert office.invoices() == {OCTOBER: ("pushed", 44000)}
    assert violations(office) == []
