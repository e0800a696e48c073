"""Whatever goes wrong on the way to Stripe: one invoice in the end, with our total."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.http import Request
from connectors.stripe.connector import StripeConnector
from ledger import pushing, tables
from ledger.audit import audit
from ledger.claims import claim
from ledger.errors import OutcomeUnknownError
from ledger.pushing import try_again
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"
QUIET = StripeConnector.abilities.settles_after
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


@pytest.fixture
def picky(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Give an office whose Stripe refuses the lines of its draft: there are two of them."""
    monkeypatch.setattr("connectors.stripe.stand_in.book.MOST_LINES", 1)
    return office


def assert_pushed_once(office: Office, total: int = 16000) -> None:
    """Assert that Stripe has one complete invoice with our reference."""
    assert office.invoices()[OCTOBER] == ("pushed", total), office.invoice(OCTOBER)["problem"]
    (remote,) = office.remote(OCTOBER)
    assert (remote["total"], remote["status"]) == (total, "draft")
    assert remote["id"] == office.invoice(OCTOBER)["remote_id"]
    assert len(office.stripe.book.table("customers")) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("do", ["drop_reply", "500_after", "500_before", "429", "409", "html"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/invoices", LINES])
def test_a_fault_on_the_way_leaves_one_invoice(office: Office, path: str, do: str) -> None:
    # The first request about customers only looks for them, so that one fails too.
    looks = [(path, "429")] if path == "/v1/customers" else []
    spoil(office, *looks, (path, do))
    push(office)
    assert_pushed_once(office)


def test_fault_upon_fault_leaves_one_invoice(office: Office) -> None:
    spoil(office, ("/v1/customers", "429"), ("/v1/customers", "drop_reply"))
    spoil(office, ("/v1/invoices", "drop_reply"), (LINES, "500_before"), (LINES, "drop_reply"))
    push(office, times=7)
    assert_pushed_once(office)


def test_a_key_is_renewed_only_after_absence_is_proven_and_it_was_quiet(office: Office) -> None:
    # Nothing came of the request, and Stripe replays its error for the key.
    spoil(office, ("/v1/invoices", "500_after"))
    office.settle()
    (remote,) = office.remote(OCTOBER)
    office.stripe.book.delete_invoice(remote["id"])
    tried = []
    for seconds in (1, QUIET.seconds - 1, QUIET.seconds):
        office.clock.go_on(seconds)
        office.settle()
        intents = [row for row in office.rows(tables.intent) if row["operation"] == "create:1"]
        tried.append([row["state"] for row in intents])
    assert tried == [["uncertain"], ["uncertain"], ["absent", "confirmed"]]
    assert_pushed_once(office)


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
    picky: Office,
) -> None:
    picky.settle()
    assert picky.invoices() == {OCTOBER: ("blocked", 16000)}
    (reason,) = picky.invoice(OCTOBER)["reasons"]
    assert "An invoice has at most 1 lines (HTTP 400" in reason
    assert picky.remote(OCTOBER) == []
    # Other rules may have mended it: it is a draft again, and it is seen whether they have.
    picky.change("acme.yaml", "net 30", "net 14")
    picky.activate()
    assert picky.invoices() == {OCTOBER: ("draft", 16000)}
    picky.approve(OCTOBER)
    picky.settle()
    assert picky.invoices() == {OCTOBER: ("blocked", 16000)}
    # A change of the work mends it too.
    picky.tell(worklog(2, seconds=1800, version=2, kind="worklog_deleted"))
    assert picky.invoices() == {OCTOBER: ("draft", 12000)}
    picky.approve(OCTOBER)
    picky.settle()
    assert_pushed_once(picky, 12000)


def test_a_refused_push_whose_remains_were_deleted_unheard_ends_as_refused(picky: Office) -> None:
    lost: list[Request] = []

    def lose_the_first_deletion(request: Request) -> None:
        if request.method == "DELETE" and not lost:
            lost.append(request)
            raise OutcomeUnknownError("the reply was lost")

    picky.outside.after = lose_the_first_deletion
    push(picky)
    assert picky.invoices() == {OCTOBER: ("blocked", 16000)}, picky.invoice(OCTOBER)["problem"]
    assert len(lost) == 1
    assert picky.remote(OCTOBER) == []


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
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_of_somebody_else"}
    office.settle()
    assert office.invoices()[OCTOBER] == ("approved", 16000)
    assert "API key was refused" in office.invoice(OCTOBER)["problem"]
    office.line.environ = {**office.line.environ, "STRIPE_KEY": "sk_test_for_the_journeys"}
    office.clock.go_on(int(timedelta(minutes=15).total_seconds()))
    office.settle()
    assert_pushed_once(office)


def test_a_draft_that_changes_between_claim_and_push_is_not_pushed(office: Office) -> None:
    database, now = office.line.database, office.clock.now()
    claimed = database.write(
        lambda connection: claim(connection, tables.invoice, "approved", now, 1)
    )
    office.tell(worklog(3, seconds=7200))
    assert database.write(lambda connection: pushing.begin(connection, claimed, now)) is None
    assert office.invoices()[OCTOBER][0] == "draft"
    assert office.log("invoice.approval_void") == []
    with database.read() as connection:
        assert [each for each in audit(connection, now) if each.invariant == "states"] == []
