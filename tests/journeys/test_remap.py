"""A rate or a rule that was wrong is priced again when somebody asks for it: what is not billed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from ledger import auditlog, changes, replay, tables
from ledger.audit import audit
from ledger.edits import Discount, NewText, make
from planning import Act, rehearse
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER, TODAY = "acme-2026-10", "acme-2026-11"
TEXT = "Login, as agreed"
STATES = ("draft", "approved", "pushed draft", "open", "paid")


def brought_to(office: Office, state: str) -> None:
    """Bring an invoice with hand edits to a state."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    if state in ("open", "paid"):
        office.change("acme.yaml", "invoice: monthly\n", "invoice: monthly\nafter_push: finalize\n")
    office.activate()
    office.tell(issue(7), issue(8), worklog(1, seconds=3600))
    for wanted in (NewText(1, TEXT), Discount("For you", percent=Decimal(10))):
        edited = partial(make, reference=OCTOBER, wanted=wanted, made_by="mia", content_hash=None)
        office.line.database.write(partial(edited, now=office.clock.now()))
        office.settle()
    if state not in ("draft", "approved"):
        office.bill(OCTOBER)
        office.settle()
    if state == "paid":
        office.stripe.happen("pay", office.invoice(OCTOBER)["remote_id"])
        office.deliver_mail()
    if office.invoice(OCTOBER)["state"] == "pushed":
        # Of the same month, and not billed.
        office.tell(worklog(2, seconds=3600, issue_id=8))


def rate_corrected(office: Office) -> None:
    office.change("acme.yaml", "hourly: 120.00", "hourly: 100.00")
    office.change("acme.yaml", "rule: Engineering hours", "rule: Hours")
    # Activating works on what is priced from now on.
    book = office.invoices()
    office.activate()
    assert office.invoices() == book


def remapped() -> Act[int]:
    return Act(
        lambda connection, now: replay.remap_all(connection, actor="mia", now=now),
        replay.UNBILLED,
    )


def rows(office: Office, state: str) -> list[dict[str, Any]]:
    return [dict(row) for row in office.rows(tables.line_item) if row["state"] == state]


def unsound(office: Office) -> list[Any]:
    office.line.database.write(auditlog.seal)
    with office.line.database.read() as connection:
        return list(audit(connection, office.clock.now() + timedelta(seconds=25)))


@pytest.mark.parametrize("state", STATES)
def test_only_what_is_not_billed_is_priced_again_as_the_preview_says(
    office: Office, state: str
) -> None:
    brought_to(office, state)
    rate_corrected(office)
    if state == "approved":
        # It is not pushed before somebody asks for new prices.
        office.approve(OCTOBER)
    before, content = office.invoices(), office.invoice(OCTOBER)["content"]
    billed = rows(office, "billed")
    with rehearse(office.line, remapped()) as plan, plan.look() as connection:
        planned = {each.reference: (each.before, each.after) for each in changes.drafts(connection)}
    # A preview changes nothing.
    assert (office.invoices(), office.invoice(OCTOBER)["content"]) == (before, content)
    office.line.database.write(lambda connection: remapped().do(connection, office.clock.now()))
    office.settle()
    if state in ("draft", "approved"):
        assert planned == {OCTOBER: (10800, 9000)}
        # An approval is of what was seen.
        assert office.invoices() == {OCTOBER: ("draft", 9000)}
        assert office.printed(OCTOBER) == [(TEXT, "1.00", 10000), ("For you", "-100.00", -1000)]
    else:
        assert planned == {TODAY: (12000, 10000)}
        assert office.invoices() == {OCTOBER: ("pushed", 10800), TODAY: ("draft", 10000)}
        assert office.invoice(OCTOBER)["content"] == content
        assert rows(office, "billed") == billed
    assert [row["state"] for row in office.rows(tables.draft_edit)] == ["standing"] * 2
    assert unsound(office) == []


def test_what_is_corrected_after_billing_is_billed_anew_at_the_price_of_today(
    office: Office,
) -> None:
    brought_to(office, "open")
    office.tell(worklog(1, seconds=7200, version=2, kind="worklog_updated"))
    assert office.invoices()[TODAY] == ("draft", 24000)
    rate_corrected(office)
    office.line.database.write(lambda connection: remapped().do(connection, office.clock.now()))
    office.settle()
    # The old amount is taken back as it was billed.
    amounts = sorted(line[2] for line in office.printed(TODAY))
    assert amounts == [-12000, 10000, 20000]
    assert unsound(office) == []
