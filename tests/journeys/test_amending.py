"""What changes while the pushed invoice is still a draft at the billing system goes onto it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import render_template

from app import create_app
from connectors.http import Request
from console.invoice_facts import invoice_facts
from console.shapes import WholeInvoice
from ledger import amending, tables
from ledger.amending import ConflictError
from ledger.drafts import QUIET
from ledger.errors import OutcomeUnknownError
from ledger.listings import find_invoice
from ledger.pushing import try_again
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, moved

OCTOBER, SECOND, TODAY, BETA = "acme-2026-10", "acme-2026-10-2", "acme-2026-11", "beta-2026-10"
ANA, BEN = "senior engineering, ACME-7 Login", "junior engineering, ACME-7 Login"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office whose invoice of October, 160.00 EUR, is a draft at Stripe."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600, account="acc-ben"))
    office.bill(OCTOBER)
    office.mailbox.events.clear()
    return office


def edit(office: Office, number: int, seconds: int, version: int = 2, on: int = 7) -> None:
    """Change how long an entry took."""
    account = "acc-ben" if number == 2 else "acc-ana"
    body = worklog(number, seconds=seconds, version=version, account=account, issue_id=on)
    office.tell({**body, "webhookEvent": "worklog_updated"})


def delete(office: Office, number: int, version: int = 2) -> None:
    """Delete an entry in Jira."""
    office.tell(worklog(number, seconds=3600, version=version, kind="worklog_deleted"))


def there(office: Office) -> list[tuple[str, int]]:
    """Return the lines of October's invoice at Stripe."""
    (remote,) = office.remote(OCTOBER)
    lines = office.stripe.book.table("lines")[remote["id"]]["data"]
    return [(line["description"], line["amount"]) for line in lines]


def change_there(office: Office, **values: Any) -> None:
    """Change the first line of the draft at Stripe, as somebody in its dashboard would."""
    (remote,) = office.remote(OCTOBER)
    office.stripe.book.table("lines")[remote["id"]]["data"][0].update(values)


def happen(office: Office, what: str) -> None:
    """Let something happen to the invoice at Stripe, without a word of it."""
    office.stripe.happen(what, office.invoice(OCTOBER)["remote_id"], None)
    office.mailbox.events.clear()


def push_again(office: Office, *, seconds: int = 300, times: int = 3) -> None:
    """Let the worker try, with pauses between the attempts."""
    for _ in range(times):
        office.settle()
        office.clock.go_on(seconds)


def test_a_correction_goes_onto_the_invoice_that_it_corrects(office: Office) -> None:
    edit(office, 1, 5400)
    assert office.invoices() == {OCTOBER: ("draft", 22000 + 4000)}
    assert office.printed(OCTOBER) == [(ANA, "1.50", 18000), (BEN, "1.00", 8000)]
    # Until somebody approves it, nothing changes there.
    assert sum(amount for _, amount in there(office)) == 20000
    assert office.violations() == []
    office.bill(OCTOBER)
    assert there(office) == [(ANA, 18000), (BEN, 8000)]
    assert len(office.remote(OCTOBER)) == 1
    assert office.violations() == []


def test_the_order_on_the_draft_there_is_ours_after_any_amendment(office: Office) -> None:
    for number in range(3, 9):
        office.tell(issue(100 + number), worklog(number, seconds=900, issue_id=100 + number))
    edit(office, 1, 7200)
    office.bill(OCTOBER)
    assert there(office) == [(text, amount) for text, _, amount in office.printed(OCTOBER)]


def test_what_is_edited_back_leaves_the_invoice_as_it_was_pushed(office: Office) -> None:
    before = office.invoice(OCTOBER)
    asked = office.stripe.requests.total()
    edit(office, 1, 5400)
    edit(office, 1, 3600, version=3)
    after = office.invoice(OCTOBER)
    assert (after["state"], after["content"]) == ("pushed", before["content"])
    assert office.stripe.requests.total() == asked
    assert office.violations() == []
    # And it can be amended once more.
    edit(office, 1, 1800, version=4)
    office.bill(OCTOBER)
    assert sum(amount for _, amount in there(office)) == 14000
    assert office.violations() == []


def test_late_work_is_no_correction_and_keeps_its_policy(office: Office) -> None:
    office.tell(worklog(3, seconds=3600))
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 12000)}
    edit(office, 1, 5400)
    assert office.invoices() == {OCTOBER: ("draft", 26000), TODAY: ("draft", 12000)}
    assert office.violations() == []


def test_a_machine_approves_an_increase_and_never_a_decrease(office: Office) -> None:
    office.change("acme.yaml", "approval: by hand", "approval: automatic")
    office.activate()
    edit(office, 1, 5400)
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 26000)}
    edit(office, 1, 5399 - 1800, version=3)
    office.clock.go_on(QUIET.seconds)
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 20000)}
    assert office.invoice(OCTOBER)["warnings"] == ["it takes back what was billed before"]


def test_a_move_takes_back_here_and_bills_there(office: Office) -> None:
    office.tell(moved(7, version=9, project="BETA"))
    assert office.invoices() == {OCTOBER: ("draft", 0), BETA: ("draft", 20000)}
    assert office.violations() == []


def test_work_dated_into_another_month_is_billed_there(office: Office) -> None:
    body = worklog(1, seconds=3600, version=2, kind="worklog_updated")
    body["worklog"]["started"] = "2026-09-07T10:00:00.000+0200"
    office.tell(body)
    assert office.invoices() == {OCTOBER: ("draft", 8000), "acme-2026-09": ("draft", 12000)}
    assert office.violations() == []


def test_a_draft_of_which_everything_is_taken_back_is_deleted_there(office: Office) -> None:
    delete(office, 1)
    delete(office, 2)
    row = office.invoice(OCTOBER)
    assert (row["state"], row["content"]["lines"]) == ("draft", [])
    assert row["warnings"] == [
        "it takes back what was billed before",
        "everything on it is taken back: approving it deletes the draft at stripe",
    ]
    office.approve(OCTOBER)
    office.settle()
    assert office.remote(OCTOBER) == []
    assert office.invoice(OCTOBER)["state"] == "canceled"
    assert office.violations() == []
    # It does not count as billed for October: what comes now is not late.
    office.tell(worklog(3, seconds=3600))
    assert office.invoices() == {SECOND: ("draft", 12000)}
    assert office.invoice(SECOND)["warnings"] == []
    assert office.violations() == []


def test_what_was_finalized_meanwhile_is_left_alone(office: Office) -> None:
    before = office.invoice(OCTOBER)["content"]
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    happen(office, "finalize")
    office.settle()
    row = office.invoice(OCTOBER)
    assert (row["state"], row["payment"], row["content"]) == ("pushed", "open", before)
    assert office.invoices()[TODAY] == ("draft", 6000)
    assert sum(amount for _, amount in there(office)) == 20000
    assert office.violations() == []


def test_a_finalized_invoice_is_seen_before_anybody_approves_its_amendment(
    office: Office,
) -> None:
    edit(office, 1, 5400)
    happen(office, "finalize")
    office.look()
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 6000)}
    assert office.violations() == []


def test_a_draft_that_was_deleted_there_while_it_was_amended_is_released(office: Office) -> None:
    edit(office, 1, 5400)
    happen(office, "delete")
    office.look()
    assert office.invoices() == {OCTOBER: ("pushed", 20000), SECOND: ("draft", 26000)}
    assert office.violations() == []


def test_a_draft_that_was_deleted_there_is_released_by_the_push_that_misses_it(
    office: Office,
) -> None:
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    happen(office, "delete")
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 20000), SECOND: ("draft", 26000)}
    assert office.violations() == []


def conflicted(office: Office) -> Any:
    """Return the invoice once a person at Stripe and one in Jira have both changed it."""
    edit(office, 1, 5400)
    change_there(office, description="Something else", amount=7000)
    office.approve(OCTOBER)
    office.settle()
    return office.invoice(OCTOBER)


def resolve(office: Office, keep: str) -> None:
    """Decide the conflict, and let the worker follow."""
    office.line.database.write(
        lambda connection: amending.resolve(connection, OCTOBER, keep, "mia", office.clock.now())
    )
    office.settle()


def test_a_draft_that_somebody_has_changed_there_is_not_overwritten(office: Office) -> None:
    row = conflicted(office)
    assert (row["state"], row["total"]) == ("blocked", 26000)
    (reason,) = row["reasons"]
    assert "somebody has changed the draft at stripe" in reason
    assert f"flask invoices resolve {OCTOBER} --keep theirs" in reason
    assert ("Something else", 7000) in there(office)
    assert row["conflict"]["theirs"]["lines"][0]["description"] == "Something else"
    assert office.violations() == []
    # It stays so, whatever else changes.
    edit(office, 1, 7200, version=3)
    assert office.invoice(OCTOBER)["state"] == "blocked"
    assert office.violations() == []


def test_their_draft_may_be_kept_and_corrections_go_to_the_next_invoice(office: Office) -> None:
    conflicted(office)
    resolve(office, "theirs")
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 6000)}
    assert ("Something else", 7000) in there(office)
    assert [each["keep"] for each in office.log("invoice.conflict_resolved")] == ["theirs"]
    edit(office, 1, 7200, version=3)
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 12000)}
    assert office.violations() == []
    with pytest.raises(ConflictError, match="in no conflict"):
        resolve(office, "ours")


def test_our_draft_may_be_kept_and_overwrites_what_was_seen(office: Office) -> None:
    conflicted(office)
    resolve(office, "ours")
    assert office.invoices() == {OCTOBER: ("draft", 26000)}
    office.bill(OCTOBER)
    assert there(office) == [(ANA, 18000), (BEN, 8000)]
    assert office.invoice(OCTOBER)["conflict"] is None
    assert office.violations() == []


def test_what_was_changed_once_more_after_it_was_seen_is_not_overwritten(office: Office) -> None:
    conflicted(office)
    resolve(office, "ours")
    change_there(office, description="Yet another thing")
    office.approve(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "blocked"
    assert ("Yet another thing", 7000) in there(office)


def test_a_memo_that_somebody_wrote_there_is_not_overwritten(office: Office) -> None:
    (remote,) = office.remote(OCTOBER)
    office.stripe.book.get("invoices", remote["id"])["description"] = "See you on Monday"
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    office.settle()
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert 'memo is "See you on Monday" where we sent ""' in reason


WRITES = ("/v1/invoices/in", "/remove_lines", "/add_lines")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("do", ["drop_reply", "500_after", "500_before", "429", "409", "html"])
@pytest.mark.parametrize("path", WRITES)
def test_a_fault_in_the_middle_of_an_update_leaves_one_amended_draft(
    office: Office, path: str, do: str
) -> None:
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    spoiled: list[Request] = []
    send = office.outside.send

    def spoil(request: Request) -> Any:
        if request.method == "POST" and path in request.url and not spoiled:
            if path.startswith("/v1/invoices/in") and "lines" in request.url:
                return send(request)
            spoiled.append(request)
            office.stripe.faults.append({"path": path, "do": do})
        return send(request)

    office.outside.send = spoil  # type: ignore[method-assign]
    push_again(office, times=4)
    assert len(spoiled) == 1
    assert office.invoices() == {OCTOBER: ("pushed", 26000)}, office.invoice(OCTOBER)["problem"]
    assert there(office) == [(ANA, 18000), (BEN, 8000)]
    assert len(office.remote(OCTOBER)) == 1
    assert office.violations() == []


def lose_replies(office: Office, fits: Callable[[Request], bool]) -> list[Request]:
    """Lose the answer to the first request that fits; return what was lost."""
    lost: list[Request] = []

    def lose(request: Request) -> None:
        if fits(request) and not lost:
            lost.append(request)
            raise OutcomeUnknownError("the reply was lost")

    office.outside.after = lose
    return lost


def test_a_deletion_whose_reply_was_lost_ends_as_deleted(office: Office) -> None:
    delete(office, 1)
    delete(office, 2)
    office.approve(OCTOBER)
    lost = lose_replies(office, lambda request: request.method == "DELETE")
    push_again(office)
    assert len(lost) == 1
    assert office.invoice(OCTOBER)["state"] == "canceled"
    assert office.violations() == []


def test_an_update_that_arrived_unheard_and_was_finalized_there_is_ours(office: Office) -> None:
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    lose_replies(office, lambda request: "/add_lines" in request.url)
    office.settle()
    happen(office, "finalize")
    push_again(office)
    row = office.invoice(OCTOBER)
    assert (row["state"], row["total"], row["payment"]) == ("pushed", 26000, "open")
    assert office.invoices() == {OCTOBER: ("pushed", 26000)}
    assert office.violations() == []


def test_what_was_finalized_in_the_middle_of_an_update_waits_for_a_person(office: Office) -> None:
    edit(office, 2, 5400)
    office.approve(OCTOBER)
    lose_replies(office, lambda request: "/remove_lines" in request.url)
    office.settle()
    happen(office, "finalize")
    push_again(office, seconds=3600)
    row = office.invoice(OCTOBER)
    assert row["state"] == "approved"
    assert "shows another invoice than we sent" in row["problem"]


def test_an_update_that_was_refused_in_the_middle_is_gone_on_with(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(office, 1, 5400)
    with monkeypatch.context() as patch:
        patch.setattr("connectors.stripe.stand_in.book.MOST_LINES", 1)
        office.approve(OCTOBER)
        office.settle()
        assert office.invoice(OCTOBER)["state"] == "blocked"
        assert office.violations() == []
    # Even edited back it must be pushed: there is half of it there.
    edit(office, 1, 3600, version=3)
    assert office.invoices() == {OCTOBER: ("draft", 20000)}
    office.bill(OCTOBER)
    assert sum(amount for _, amount in there(office)) == 20000
    assert office.violations() == []


def test_a_draft_in_a_folder_is_amended_too(office: Office) -> None:
    office.change("acme.yaml", "send_to: stripe", "send_to: files")
    office.activate()
    office.tell(issue(8), worklog(3, seconds=3600, issue_id=8))
    office.bill(TODAY, is_sent=False)
    edit(office, 3, 1800, on=8)
    office.bill(TODAY, is_sent=False)
    written = json.loads((office.folder / "out" / f"{TODAY}.json").read_text())
    assert [line["quantity"] for line in written["lines"]] == ["0.50"]
    path = office.folder / "out" / f"{TODAY}.json"
    path.write_text(path.read_text().replace("ACME-8", "ACME-9"))
    edit(office, 3, 2700, version=3, on=8)
    office.approve(TODAY)
    office.settle()
    assert "ACME-9" in office.invoice(TODAY)["reasons"][0]
    assert "ACME-9" in path.read_text()
    # Where it stands it is changed, wherever new invoices go by now.
    edit(office, 1, 5400)
    office.bill(OCTOBER)
    assert sum(amount for _, amount in there(office)) == 26000


def test_counted_work_is_amended_with_what_it_comes_to(office: Office) -> None:
    office.change("beta.yaml", "minutes per entry", "minutes per person and day")
    office.change("beta.yaml", "[time.logged, time.total]", "time.logged")
    office.change(
        "beta.yaml", "rates:\n", "discounts: [{discount: Loyal, percent: 10 %}]\nrates:\n"
    )
    office.activate()
    office.tell(issue(9, project="BETA"))
    office.tell(worklog(21, seconds=600, issue_id=9), worklog(22, seconds=1000, issue_id=9))
    office.bill(BETA, is_sent=False)
    assert office.invoice(BETA)["total"] == 5400
    office.tell(worklog(22, seconds=7000, issue_id=9, version=2, kind="worklog_updated"))
    assert office.invoices()[BETA][0] == "draft"
    assert office.invoice(BETA)["total"] == 24300
    assert [quantity for _, quantity, _ in office.printed(BETA)] == ["2.25", "-270.00"]
    assert office.violations() == []
    office.bill(BETA, is_sent=False)
    office.tell(worklog(21, seconds=600, issue_id=9, version=2, kind="worklog_deleted"))
    office.tell(worklog(22, seconds=600, issue_id=9, version=3, kind="worklog_deleted"))
    assert office.printed(BETA) == []
    assert office.violations() == []
    office.approve(BETA)
    office.settle()
    assert office.invoice(BETA)["state"] == "canceled"
    assert not (office.folder / "out" / f"{BETA}.json").exists()
    assert office.violations() == []


def test_an_amendment_waits_for_the_next_attempt_as_any_push(office: Office) -> None:
    edit(office, 1, 5400)
    office.approve(OCTOBER)
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_of_somebody_else"}
    office.settle()
    assert office.invoices() == {OCTOBER: ("approved", 26000)}
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_for_the_journeys"}
    office.clock.go_on(int(timedelta(minutes=15).total_seconds()))
    office.line.database.write(
        lambda connection: try_again(connection, OCTOBER, "mia", office.clock.now())
    )
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 26000)}
    states = {row["state"] for row in office.rows(tables.intent)}
    assert states == {"confirmed"}


def test_the_command_and_the_page_show_both_versions_and_the_command_decides(
    office: Office,
) -> None:
    conflicted(office)
    app = create_app(office.line)
    runner = app.test_cli_runner()
    shown = runner.invoke(args=["invoices", "show", OCTOBER])
    assert shown.exit_code == 0, shown.output
    pushed, there_now = shown.output.index("as it was pushed"), shown.output.index("as it is there")
    assert pushed < there_now < shown.output.index("Something else", there_now)
    with app.test_request_context():
        with office.line.database.read() as connection:
            found = find_invoice(connection, OCTOBER)
        assert found is not None
        page = render_template("invoice.html", invoice=found, facts=invoice_facts(found))
    assert WholeInvoice.model_validate(found).conflict
    assert "As it is at stripe" in page
    assert "Something else" in page
    assert runner.invoke(args=["invoices", "resolve", OCTOBER]).exit_code == 2
    decided = runner.invoke(args=["invoices", "resolve", OCTOBER, "--keep", "theirs"])
    assert "corrections go to the next invoice" in decided.output
    again = runner.invoke(args=["invoices", "resolve", OCTOBER, "--keep", "ours"])
    assert (again.exit_code, "in no conflict" in again.output + again.stderr) == (1, True)
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 20000), TODAY: ("draft", 6000)}
