"""A month's draft in the real Tryton: posted, paid and credited there, and followed here.

Nothing is faked but the clock: deliveries are signed and posted, the stages of `worker.py` push,
and what a person does in Tryton is done through its own API.
"""

from __future__ import annotations

import os
import signal

import pytest

from auditing import ask, sent
from connectors.http import OutgoingHttp, Request
from connectors.tryton.stand_in.person import Person
from ledger import tables
from ledger.claims import LEASE_SECONDS
from ledger.errors import OutcomeUnknownError
from ledger.sync import POLL
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office
from tests.tryton_server import TrytonServer

OCTOBER = "acme-2026-10"
LATER = LEASE_SECONDS + 300
"""Seconds after which a killed worker holds nothing, and nothing comes of an old request."""


def log_hours(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=900))


def followed(office: Office) -> tuple[str, int, int]:
    """Return payment word, amount paid and amount credited after one poll."""
    office.clock.go_on(POLL.seconds)
    office.settle()
    (*_, last) = office.rows(tables.payment)
    return str(office.invoice(OCTOBER)["payment"]), last["paid"], last["credited"]


def assert_clean(office: Office) -> None:
    """Assert that `flask audit --deep` finds nothing."""
    assert office.violations() == []
    with office.line.database.read() as snapshot:
        told = sent(snapshot)
    asked = ask(office.line, told)
    assert (asked.violations, asked.unchecked) == ([], [])


def test_a_draft_is_posted_half_paid_and_paid_there_and_followed_within_one_poll(
    office: Office, person: Person
) -> None:
    log_hours(office)
    office.bill(OCTOBER)
    remote_id = str(office.invoice(OCTOBER)["remote_id"])
    assert person.invoices(OCTOBER) == [int(remote_id)]
    assert followed(office) == ("draft", 0, 0)
    person.post(remote_id)
    assert followed(office) == ("open", 0, 0)
    person.pay(remote_id, 7500)
    assert followed(office) == ("partially_paid", 7500, 0)
    person.pay(remote_id, 7500)
    assert followed(office) == ("paid", 15000, 0)
    assert_clean(office)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("credit", ("credited", 0, 15000)),
        ("cancel", ("void", 0, 0)),
        ("write_off", ("uncollectible", 0, 0)),
    ],
)
def test_an_invoice_that_nobody_pays_is_followed_too(
    office: Office, person: Person, what: str, seen: tuple[str, int, int]
) -> None:
    log_hours(office)
    office.bill(OCTOBER)
    remote_id = str(office.invoice(OCTOBER)["remote_id"])
    person.post(remote_id)
    getattr(person, what)(remote_id, 0)
    assert followed(office) == seen
    assert_clean(office)


def correct(office: Office) -> None:
    """Make an hour two, in Jira."""
    body = worklog(1, seconds=7200, version=2)
    office.tell({**body, "webhookEvent": "worklog_updated"})


def test_a_correction_goes_onto_the_draft_that_is_there(office: Office, person: Person) -> None:
    log_hours(office)
    office.bill(OCTOBER)
    correct(office)
    office.bill(OCTOBER)
    (number,) = person.invoices(OCTOBER)
    told = person.of("account.invoice", "read", [number], ["total_amount", "state"])[0]
    assert (f"{told['total_amount']}", told["state"]) == ("270.00", "draft")
    assert_clean(office)


def test_what_somebody_has_changed_there_is_not_overwritten(office: Office, person: Person) -> None:
    log_hours(office)
    office.bill(OCTOBER)
    person.edit(str(office.invoice(OCTOBER)["remote_id"]))
    correct(office)
    office.approve(OCTOBER)
    office.settle()
    (number,) = person.invoices(OCTOBER)
    told = person.of("account.invoice", "read", [number], ["total_amount", "comment"])[0]
    assert (f"{told['total_amount']}", told["comment"]) == ("150.00", "As agreed on the phone")
    (conflict,) = office.log("invoice.conflict")
    assert "comment is" in str(conflict)


def is_create(request: Request) -> bool:
    return b'"model.account.invoice.create"' in (request.body or b"")


def test_a_reply_that_is_lost_after_the_commit_makes_no_second_invoice(
    office: Office, person: Person
) -> None:
    def lose(request: Request) -> None:
        if is_create(request):
            office.outside.after = lambda request: None
            raise OutcomeUnknownError("test: the reply was lost")

    log_hours(office)
    office.outside.after = lose
    office.approve(OCTOBER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "approved"
    office.clock.go_on(LATER)
    office.settle()
    assert office.invoice(OCTOBER)["state"] == "pushed"
    assert [str(each) for each in person.invoices(OCTOBER)] == [
        office.invoice(OCTOBER)["remote_id"]
    ]
    assert_clean(office)


def test_a_worker_that_is_killed_after_a_commit_makes_no_second_invoice(
    office: Office, person: Person, server: TrytonServer
) -> None:
    log_hours(office)
    office.approve(OCTOBER)
    # No open file of the database is inherited by the worker.
    office.line.database.close()
    process = os.fork()
    if process == 0:

        def kill(request: Request) -> None:
            if is_create(request):
                os.kill(os.getpid(), signal.SIGKILL)

        office.outside.add(server.url, OutgoingHttp(allow_private=True))
        office.outside.after = kill
        office.settle()
        os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status)
    assert len(person.invoices(OCTOBER)) == 1
    office.clock.go_on(LATER)
    office.settle()
    invoice = office.invoice(OCTOBER)
    assert invoice["state"] == "pushed", invoice["problem"]
    assert [str(each) for each in person.invoices(OCTOBER)] == [invoice["remote_id"]]
    assert_clean(office)
