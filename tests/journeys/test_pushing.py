"""Whatever goes wrong on the way to Stripe: one invoice in the end, with our total."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger import tables
from ledger.pushing import QUIET, try_again
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"
LINES = "/add_lines"


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office whose customer is billed by Stripe and has an approved draft."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=1800, account="acc-ben"))
    office.approve(OCTOBER)
    return office


def spoil(office: Office, *faults: tuple[str, str]) -> None:
    """Have the next requests to these paths go wrong."""
    office.stripe.faults += [{"path": path, "do": do} for path, do in faults]


def push(office: Office, *, seconds: int = 300, times: int = 3) -> None:
    """Let the worker try, with pauses between the attempts."""
    for _ in range(times):
        office.settle()
        office.clock.go_on(seconds)


def refuse_lines(office: Office) -> None:
    """Have Stripe refuse the lines: the product that the rules name is not there."""
    office.change("workspace.yaml", "{system: stripe,", "{system: stripe, product: prod_gone,")
    office.activate()
    office.approve(OCTOBER)


def assert_pushed_once(office: Office, total: int = 16000) -> None:
    """Assert that Stripe has one complete invoice with our reference."""
    assert office.invoices()[OCTOBER] == ("pushed", total), office.invoice(OCTOBER)["problem"]
    (remote,) = office.remote(OCTOBER)
    assert (remote["total"], remote["status"]) == (total, "draft")
    assert remote["id"] == office.invoice(OCTOBER)["remote_id"]
    assert len(office.stripe.book.table("customers")) == 1


@pytest.mark.parametrize("do", ["drop_reply", "500_after", "500_before", "429", "409", "html"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/invoices", LINES])
def test_a_fault_on_the_way_leaves_one_invoice(office: Office, path: str, do: str) -> None:
    # The first request to a path only looks; the second one changes something.
    looks = [] if path == LINES else [(path, "429")]
    spoil(office, *looks, (path, do))
    push(office)
    assert_pushed_once(office)


def test_fault_upon_fault_leaves_one_invoice(office: Office) -> None:
    spoil(office, ("/v1/customers", "429"), ("/v1/customers", "drop_reply"))
    spoil(office, ("/v1/invoices", "drop_reply"), (LINES, "500_before"), (LINES, "drop_reply"))
    push(office, times=7)
    assert_pushed_once(office)


def test_a_key_is_renewed_only_when_absence_is_proven_and_it_was_quiet(office: Office) -> None:
    # The new invoice is refused by a dying Stripe four times, each a little later.
    office.settle()
    assert_pushed_once(office)
    keys = {row["operation"]: row["generation"] for row in office.rows(tables.intent)}
    assert keys == {"customer:1": 1, "create:1": 1}
    office.tell(worklog(3, seconds=3600))
    office.approve("acme-2026-11")
    creates = [("/v1/invoices", "500_before"), ("/v1/invoices", "429")]
    spoil(office, *creates)
    office.settle()
    generations = []
    for seconds in (1, QUIET.seconds - 2, 2):
        office.clock.go_on(seconds)
        office.settle()
        rows = [row for row in office.rows(tables.intent) if row["operation"].startswith("create")]
        generations.append(max(row["generation"] for row in rows))
    assert office.invoices()["acme-2026-11"] == ("pushed", 12000)
    assert len(office.remote("acme-2026-11")) == 1


def test_another_total_at_stripe_stops_until_a_person_has_looked(office: Office) -> None:
    spoil(office, (LINES, "drop_reply"))
    office.settle()
    (remote,) = office.remote(OCTOBER)
    office.stripe.book.table("lines")[remote["id"]]["data"][0]["amount"] += 1
    push(office, seconds=3600)
    problem = office.invoice(OCTOBER)["problem"]
    assert "stripe shows" in problem.lower()
    assert "160.01" in problem
    assert "160.00" in problem
    assert remote["id"] in problem
    assert office.invoices()[OCTOBER] == ("approved", 16000)
    # The person deletes it there, and has it pushed again at once.
    office.stripe.book.delete_invoice(remote["id"])
    office.line.database.write(
        lambda connection: try_again(connection, OCTOBER, "mia", office.clock.now())
    )
    push(office)
    assert_pushed_once(office)


def test_what_was_deleted_there_right_after_the_stop_is_made_anew(office: Office) -> None:
    spoil(office, (LINES, "drop_reply"))
    office.settle()
    (remote,) = office.remote(OCTOBER)
    line = office.stripe.book.table("lines")[remote["id"]]["data"][0]
    line["amount"] += 1
    office.clock.go_on(1)
    office.settle()
    assert "160.01" in office.invoice(OCTOBER)["problem"]
    office.stripe.book.delete_invoice(remote["id"])
    office.line.database.write(
        lambda connection: try_again(connection, OCTOBER, "mia", office.clock.now())
    )
    office.settle()
    assert_pushed_once(office)


def test_refused_content_is_blocked_in_the_vendors_words_and_goes_out_once_mended(
    office: Office,
) -> None:
    refuse_lines(office)
    office.settle()
    assert office.invoices() == {OCTOBER: ("blocked", 16000)}
    (reason,) = office.invoice(OCTOBER)["reasons"]
    assert "No such product: 'prod_gone'" in reason
    assert office.remote(OCTOBER) == []
    office.change("workspace.yaml", "prod_gone", "prod_services")
    office.activate()
    assert office.invoices() == {OCTOBER: ("draft", 16000)}
    office.approve(OCTOBER)
    office.settle()
    assert_pushed_once(office)


def test_a_refused_push_whose_remains_were_deleted_unheard_goes_on(office: Office) -> None:
    refuse_lines(office)
    # Create passes, the lines are refused, and the reply to the deletion is lost.
    spoil(office, ("/v1/invoices/in_", "409"), ("/v1/invoices/in_", "drop_reply"))
    push(office, times=6)
    assert office.invoices() == {OCTOBER: ("blocked", 16000)}, office.invoice(OCTOBER)["problem"]
    assert office.remote(OCTOBER) == []


@pytest.mark.parametrize(
    ("policy", "status", "is_sent"),
    [("leave as draft", "draft", False), ("finalize", "open", False), ("send", "open", True)],
)
def test_nothing_is_finalized_or_sent_unless_the_rules_say_so(
    office: Office, policy: str, status: str, is_sent: bool
) -> None:
    office.change("acme.yaml", "terms: net 30", f"terms: net 30\nafter_push: {policy}")
    office.activate()
    if office.invoices()[OCTOBER][0] == "draft":
        office.approve(OCTOBER)
    spoil(office, ("/finalize", "drop_reply"), ("/send", "500_after"))
    push(office)
    (remote,) = office.remote(OCTOBER)
    assert office.invoices()[OCTOBER] == ("pushed", 16000)
    assert (remote["status"], remote["auto_advance"]) == (status, False)
    assert ("invoice.sent" in {event["type"] for event in office.mailbox.events}) is is_sent


def test_a_push_without_credentials_waits_and_says_what_to_do(office: Office) -> None:
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_wrong"}
    office.settle()
    assert office.invoices()[OCTOBER] == ("approved", 16000)
    assert "API key was refused" in office.invoice(OCTOBER)["problem"]
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_for_the_journeys"}
    office.clock.go_on(int(timedelta(minutes=15).total_seconds()))
    office.settle()
    assert_pushed_once(office)
