"""While a push is under way, what corrects its lines waits, and goes on whatever becomes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

import worker
from app import create_app
from connectors.http import Request
from ledger import amending, approvals, subjects, tables
from ledger.approvals import ApprovalError
from ledger.claims import NEVER
from ledger.drafts import QUIET
from ledger.errors import OutcomeUnknownError
from ledger.pushing import try_again
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, moved

OCTOBER, SECOND, TODAY, BETA = "acme-2026-10", "acme-2026-10-2", "acme-2026-11", "beta-2026-10"
REASON = (
    f"{OCTOBER} is just being pushed, and this corrects it - nothing has to be done here, it goes "
    "on when that is settled"
)


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office with a draft of October, 160.00 EUR, whose billing system is Stripe."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, account="acc-ben"))
    return office


def edit(office: Office, seconds: int, version: int = 2) -> None:
    """Change how long the first entry took."""
    body = worklog(1, seconds=seconds, version=version)
    office.tell({**body, "webhookEvent": "worklog_updated"})


def lose_a_reply(office: Office, *, only_to_a_change: bool = False) -> None:
    """Have the next answer from outside be lost."""

    def lose(request: Request) -> None:
        if only_to_a_change and request.method == "GET":
            return
        office.outside.after = lambda request: None
        raise OutcomeUnknownError("the reply was lost")

    office.outside.after = lose


def begin(office: Office) -> None:
    """Approve the draft of October; its push is begun, and its first answer is lost."""
    lose_a_reply(office)
    office.approve(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "approved"


def begin_amending(office: Office) -> None:
    """Push October, change it, and begin to push it anew."""
    office.bill(OCTOBER)
    edit(office, 5400)
    begin(office)


def go_on(office: Office, seconds: int = 300) -> None:
    """Let the worker try again."""
    for _ in range(3):
        office.clock.go_on(seconds)
        office.settle()


def happen(office: Office, what: str) -> None:
    """Let something happen to the invoice at Stripe, without a word of it."""
    office.stripe.happen(what, office.invoice(OCTOBER)["remote_id"], None)
    office.mailbox.events.clear()


def assert_waits(office: Office, reference: str = TODAY) -> None:
    """Assert that a draft waits for October's push, with the reason, and cannot be approved."""
    row = office.invoice(reference)
    assert (row["state"], row["reasons"][0]) == ("blocked", REASON)
    with pytest.raises(ApprovalError, match="is just being pushed"):
        office.approve(reference)
    assert office.violations() == []


def assert_goes_on(office: Office, reference: str = TODAY) -> None:
    """Assert that a draft waits no longer, can be pushed, and leaves nothing for the audit."""
    assert (office.invoice(reference)["state"], office.invoice(reference)["reasons"]) == (
        "draft",
        [],
    )
    assert office.violations() == []
    office.bill(reference)
    assert office.violations() == []
    states = {row["id"]: row["state"] for row in office.rows(tables.line_item)}
    for row in office.rows(tables.line_item):
        if row["state"] == "billed" and row["corrects_id"] is not None:
            assert states[row["corrects_id"]] == "billed"


@pytest.mark.parametrize("prepare", [begin, begin_amending])
def test_it_waits_and_goes_onto_the_invoice_once_that_is_a_draft_there(
    office: Office, prepare: Callable[[Office], None]
) -> None:
    prepare(office)
    edit(office, 7200, version=3)
    assert_waits(office)
    go_on(office)
    assert office.invoices() == {OCTOBER: ("draft", 24000 + 8000)}
    assert_goes_on(office, OCTOBER)
    assert len(office.remote(OCTOBER)) == 1


def test_it_waits_and_stays_on_the_next_invoice_once_that_is_final(office: Office) -> None:
    office.change("acme.yaml", "terms: net 30", "terms: net 30\nafter_push: finalize")
    office.activate()
    begin(office)
    edit(office, 7200)
    assert_waits(office)
    go_on(office)
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 12000)}
    assert_goes_on(office)


def test_it_waits_until_an_amendment_is_handed_back_since_somebody_finalized(
    office: Office,
) -> None:
    begin_amending(office)
    happen(office, "finalize")
    edit(office, 7200, version=3)
    assert_waits(office)
    go_on(office)
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 12000)}
    assert_goes_on(office)
    # Only what stands is on lines: nothing is taken back that never was billed.
    ids = {row["corrects_id"] for row in office.rows(tables.line_item) if row["state"] == "billed"}
    assert ids == {None, 1}


def test_edited_back_meanwhile_nothing_is_left_of_it_after_the_hand_back(office: Office) -> None:
    begin_amending(office)
    happen(office, "finalize")
    edit(office, 3600, version=3)
    assert office.invoice(TODAY)["state"] == "blocked"
    go_on(office)
    assert office.invoices() == {OCTOBER: ("pushed", 20000)}
    assert office.violations() == []


def test_it_waits_until_an_amendment_finds_its_draft_deleted(office: Office) -> None:
    begin_amending(office)
    happen(office, "delete")
    edit(office, 7200, version=3)
    assert_waits(office)
    go_on(office)
    assert office.invoices() == {OCTOBER: ("pushed", 20000), SECOND: ("draft", 32000)}
    assert_goes_on(office, SECOND)


def test_it_waits_until_the_push_is_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("connectors.stripe.stand_in.book.MOST_LINES", 1)
        begin(office)
        edit(office, 7200)
        assert_waits(office)
        go_on(office)
    assert office.invoices() == {OCTOBER: ("draft", 32000)}
    assert_goes_on(office, OCTOBER)


def test_it_waits_until_an_amendment_is_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_amending(office)
    with monkeypatch.context() as patch:
        patch.setattr("connectors.stripe.stand_in.book.MOST_LINES", 1)
        edit(office, 7200, version=3)
        assert_waits(office)
        go_on(office)
    assert office.invoices() == {OCTOBER: ("draft", 32000)}
    assert_goes_on(office, OCTOBER)


@pytest.mark.parametrize("keep", ["theirs", "ours"])
def test_it_waits_until_somebody_elses_change_is_found(office: Office, keep: str) -> None:
    begin_amending(office)
    (remote,) = office.remote(OCTOBER)
    line = office.stripe.book.table("lines")[remote["id"]]["data"][0]
    line.update(description="Something else", amount=7000)
    edit(office, 7200, version=3)
    assert_waits(office)
    go_on(office)
    # The correction is on the invoice itself, which a person decides about.
    assert office.invoices() == {OCTOBER: ("blocked", 32000)}
    assert office.violations() == []
    office.line.database.write(
        lambda connection: amending.resolve(connection, OCTOBER, keep, "mia", office.clock.now())
    )
    office.settle()
    assert_goes_on(office, TODAY if keep == "theirs" else OCTOBER)


def test_work_that_moved_to_another_customer_meanwhile_waits_there_too(office: Office) -> None:
    begin_amending(office)
    happen(office, "finalize")
    office.tell(moved(7, version=9, project="BETA"))
    assert_waits(office)
    assert office.invoice(BETA)["reasons"] == [REASON]
    go_on(office)
    assert office.invoices() == {
        OCTOBER: ("pushed", 20000),
        TODAY: ("blocked", -20000),
        BETA: ("draft", 26000),
    }
    assert REASON not in office.invoice(TODAY)["reasons"]
    assert_goes_on(office, BETA)


def test_late_work_that_corrects_nothing_does_not_wait(office: Office) -> None:
    begin(office)
    office.tell(worklog(3, seconds=3600))
    assert office.invoices()[TODAY] == ("draft", 12000)


def test_what_waits_is_not_approved_by_rule(office: Office) -> None:
    office.change("beta.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    begin_amending(office)
    happen(office, "finalize")
    # The next attempt comes late: the billing system asks for that.
    office.line.database.write(
        lambda connection: connection.execute(
            tables.invoice.update()
            .where(tables.invoice.c.reference == OCTOBER)
            .values(next_at=office.clock.now() + timedelta(hours=1))
        )
    )
    office.tell(moved(7, version=9, project="BETA"))
    go_on(office, QUIET.seconds)
    assert office.invoice(BETA)["reasons"] == [REASON]
    office.clock.go_on(3600)
    office.settle()
    go_on(office, QUIET.seconds)
    assert office.invoices()[BETA] == ("pushed", 26000)
    assert office.violations() == []


def test_a_push_that_needs_a_person_keeps_its_corrections_waiting_in_plain_sight(
    office: Office,
) -> None:
    begin(office)
    stop: Any = {"problem": "the totals differ", "next_at": NEVER}
    office.line.database.write(
        lambda connection: connection.execute(
            tables.invoice.update().where(tables.invoice.c.reference == OCTOBER).values(**stop)
        )
    )
    edit(office, 7200)
    go_on(office, 3600)
    assert_waits(office)
    shown = create_app(office.line).test_cli_runner().invoke(args=["waiting"])
    assert OCTOBER in shown.output
    assert TODAY in shown.output
    office.line.database.write(
        lambda connection: try_again(connection, OCTOBER, "mia", office.clock.now())
    )
    office.settle()
    go_on(office)
    assert office.invoices() == {OCTOBER: ("draft", 32000)}
    assert_goes_on(office, OCTOBER)


def test_one_that_was_approved_all_the_same_is_not_pushed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_amending(office)
    happen(office, "finalize")
    with monkeypatch.context() as patch:
        patch.setattr("ledger.assembly.awaited", lambda *arguments: {})
        edit(office, 7200, version=3)
    assert office.invoice(TODAY)["state"] == "draft"
    office.line.database.write(
        lambda connection: approvals.approve(
            connection, TODAY, approved_by="mia", content_hash=None, now=office.clock.now()
        )
    )
    office.settle()
    assert_waits(office)
    go_on(office)
    assert_goes_on(office)


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
@pytest.mark.parametrize(
    "read_last",
    [
        # The lines were read as open; what they are on is read once its push has begun.
        "SELECT line_item.*edit_id IS NULL.*ORDER BY line_item.id",
        # It was read that this is amended; the invoice itself is read once its push has begun.
        "SELECT line_item.id, line_item.invoice_id",
    ],
)
def test_a_push_that_begins_while_its_customer_is_assembled_keeps_its_lines(
    office: Office, read_last: str
) -> None:
    office.bill(OCTOBER)
    edit(office, 5400)
    office.approve(OCTOBER)
    (push,) = (stage for stage in worker.STAGES if stage.name == "push")
    engine, begun = office.line.database.engine, list[int]()

    def meanwhile(*given: Any) -> None:
        if not begun and re.match(read_last, given[2], re.DOTALL):
            begun.append(0)
            lose_a_reply(office, only_to_a_change=True)
            begun[0] = worker.run(office.line, push)

    office.line.database.write(
        lambda connection: subjects.changed(connection, ["acme"], office.clock.now())
    )
    event.listen(engine, "after_cursor_execute", meanwhile)
    (assemble,) = (stage for stage in worker.STAGES if stage.name == "assemble")
    worker.run(office.line, assemble)
    event.remove(engine, "after_cursor_execute", meanwhile)
    assert begun == [1]
    assert office.violations() == []
    go_on(office)
    assert office.invoices() == {OCTOBER: ("pushed", 26000)}
    assert office.violations() == []
