"""Several workers and several people at the same moment: one invoice, one approval, one push."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import worker
from ledger import approvals, tables
from ledger.approvals import ApprovalError
from line import Line
from settings import Settings
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"


def another(office: Office) -> Line:
    """Return the line of one more process on the same database."""
    environ = office.line.environ
    return Line(
        Settings.from_env(environ), environ=environ, clock=office.clock, http=office.outside
    )


def at_once(office: Office, count: int, work: Callable[[Line], None]) -> list[Exception]:
    """Let so many do the same in the same moment; return what went wrong."""
    barrier = threading.Barrier(count)
    lines = [another(office) for _ in range(count)]
    errors: list[Exception] = []

    def do(line: Line) -> None:
        barrier.wait()
        try:
            work(line)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=do, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for line in lines:
        line.database.close()
    return errors


def work_off(line: Line) -> None:
    """Work until nothing waits."""
    worker.work_off(line)


@pytest.fixture
def office(office: Office) -> Office:
    """Give an office whose customer is billed by Stripe."""
    office.change("acme.yaml", "send_to: files", "send_to: stripe")
    office.activate()
    return office


def test_six_workers_at_one_customer_and_period_make_one_invoice(office: Office) -> None:
    office.tell(issue(7))
    for number in range(12):
        assert office.post(worklog(number, seconds=3600, account="acc-ben")) == 202
    assert at_once(office, 6, work_off) == []
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 12 * 8000)}
    assert len(office.rows(tables.invoice)) == 1
    assert office.violations() == []


def test_of_two_who_approve_at_once_one_does(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    seen = office.invoice(OCTOBER)["content_hash"]

    def approve(line: Line) -> None:
        line.database.write(
            lambda connection: approvals.approve(
                connection,
                OCTOBER,
                approved_by=threading.current_thread().name,
                content_hash=seen,
                now=line.clock.now(),
            )
        )

    (error,) = at_once(office, 2, approve)
    assert isinstance(error, ApprovalError)
    assert len(office.rows(tables.approval)) == 1


def test_six_who_push_at_once_push_once(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.approve(OCTOBER)
    assert at_once(office, 6, work_off) == []
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert len(office.remote(OCTOBER)) == 1
    assert [row["generation"] for row in office.rows(tables.intent)] == [1, 1]
    # And so is what corrects it.
    office.tell(worklog(1, seconds=1800, version=2, kind="worklog_updated"))
    office.approve(OCTOBER)
    assert at_once(office, 6, work_off) == []
    office.settle()
    (remote,) = office.remote(OCTOBER)
    assert remote["total"] == 6000
    assert len(office.rows(tables.intent)) == 3
    assert office.violations() == []
