"""What cannot be priced yet waits in plain sight, says what is missing, and goes on by itself."""

from __future__ import annotations

import pytest

import worker
from connectors.jira.stand_in import JiraStandIn
from connectors.stand_in import Fault
from ledger import replay, tables
from ledger.claims import MOST_ATTEMPTS
from mappings.book import Book
from tests.journeys.house import issue, worklog
from tests.journeys.office import JIRA_ASKED, Office

OCTOBER = "acme-2026-10"


def know(jira: JiraStandIn, project: str = "ACME") -> None:
    """Let Jira know issue 7."""
    jira.add_project(1, project, "The shop")
    jira.add_issue(7, f"{project}-7", "Login")


def ask_jira(office: Office) -> None:
    """Give the rules an address and a token of Jira."""
    office.change("workspace.yaml", "{tool: jira", "{tool: jira" + JIRA_ASKED)
    office.activate()


def test_time_on_an_unknown_issue_is_held_and_priced_when_the_issue_is_told(
    office: Office,
) -> None:
    office.tell(worklog(1, seconds=3600))
    assert "issue:7" in office.held()["worklog:1"]
    assert "with a url and a token" in office.held()["worklog:1"]
    office.tell(issue(7))
    assert office.held() == {}
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_jira_is_asked_about_an_issue_that_nobody_has_told(office: Office) -> None:
    know(office.jira)
    ask_jira(office)
    office.tell(worklog(1, seconds=3600), worklog(2, seconds=3600, account="acc-ben"))
    assert office.invoices() == {OCTOBER: ("draft", 20000)}
    assert office.jira.requests.count("GET /rest/api/2/issue/7") == 1


def test_an_issue_that_jira_does_not_know_is_held_and_says_so(office: Office) -> None:
    ask_jira(office)
    office.tell(worklog(1, seconds=3600))
    assert "Jira does not know it" in office.held()["worklog:1"]
    office.tell(issue(7))
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_what_was_unknown_is_asked_again_when_a_token_is_added(office: Office) -> None:
    office.tell(worklog(1, seconds=3600))
    know(office.jira)
    ask_jira(office)
    assert office.held() == {}
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_jira_is_asked_again_after_an_outage_and_not_before_it_says(office: Office) -> None:
    know(office.jira)
    ask_jira(office)
    office.jira.faults.append(Fault("503", "/issue/7"))
    office.tell(worklog(1, seconds=3600))
    assert "is being asked" in office.held()["worklog:1"]
    office.clock.go_on(6)
    office.settle()
    assert office.jira.requests.count("GET /rest/api/2/issue/7") == 1
    office.clock.go_on(1)
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_a_long_outage_shows_in_the_reason_and_ends_by_itself(office: Office) -> None:
    know(office.jira)
    ask_jira(office)
    office.jira.faults += [Fault("500", "/issue/7") for _ in range(MOST_ATTEMPTS)]
    office.tell(worklog(1, seconds=3600))
    for _ in range(MOST_ATTEMPTS):
        office.clock.go_on(300)
        office.settle()
    assert "HTTP 500" in office.held()["worklog:1"]
    office.clock.go_on(900)
    office.settle()
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_time_of_an_unknown_person_is_priced_once_the_person_is_in_the_rules(
    office: Office,
) -> None:
    office.tell(issue(7), worklog(1, seconds=3600, account="acc-zoe"))
    assert 'unknown person "acc-zoe"' in office.held()["worklog:1"]
    zoe = "people:\n  - {person: Zoe, role: senior, accounts: {jira: acc-zoe}}"
    office.change("workspace.yaml", "people:", zoe)
    office.activate()
    assert office.held() == {}
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_rules_that_are_activated_while_the_old_ones_are_at_work_are_used(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.tell(issue(7))
    assert office.post(worklog(1, seconds=3600, account="acc-zoe")) == 202
    normalize, *_ = worker.STAGES
    worker.run(office.line, normalize)
    look_up = office.line.book

    def look_up_too_early() -> Book | None:
        monkeypatch.setattr(office.line, "book", look_up)
        old = look_up()
        office.change("workspace.yaml", "jira: acc-ana", "jira: [acc-ana, acc-zoe]")
        office.activate()
        return old

    monkeypatch.setattr(office.line, "book", look_up_too_early)
    office.settle()
    assert office.held() == {}
    assert office.invoices() == {OCTOBER: ("draft", 12000)}


def test_a_project_that_two_customers_take_is_held_until_one_takes_it(office: Office) -> None:
    office.change("beta.yaml", "[BETA", "[BETA, ACME")
    office.activate()
    office.tell(issue(7), worklog(1, seconds=3600))
    assert "taken by acme and beta" in office.held()["worklog:1"]
    office.change("acme.yaml", "[ACME, ", "[")
    office.activate()
    assert office.invoices() == {"beta-2026-10": ("draft", 12000)}


def test_what_is_held_after_it_was_billed_stays_billed(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    office.tell(
        worklog(1, seconds=7200, version=2, kind="worklog_updated", account="acc-zoe"),
    )
    assert 'unknown person "acc-zoe"' in office.held()["worklog:1"]
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    (row,) = (row for row in office.rows(tables.subject) if row["name"] == "worklog:1")
    assert (row["seconds"], row["held_seconds"]) == (7200, 3600)


def test_what_cannot_be_read_is_kept_with_its_reason_and_can_be_read_again(
    office: Office,
) -> None:
    mangled = worklog(1, seconds=3600)
    del mangled["worklog"]["timeSpentSeconds"]
    told = [mangled, {"webhookEvent": "something_new", "timestamp": 1_760_000_000_000}]
    office.tell(*told, {"webhookEvent": "comment_created"})
    rows = office.rows(tables.delivery)
    assert [row["state"] for row in rows] == ["unreadable", "unsupported", "ignored"]
    reasons = [row["reason"] for row in rows]
    assert reasons[0] == "worklog.timeSpentSeconds: is missing"
    assert "something_new" in reasons[1]
    assert "no work that is billed" in reasons[2]
    assert worker.STAGES[0] not in worker.busy_stages(office.line)
    office.line.database.write(
        lambda connection: replay.replay(
            connection, [row["id"] for row in rows], actor="mia", now=office.clock.now()
        )
    )
    office.settle()
    assert [row["reason"] for row in office.rows(tables.delivery)] == reasons


def test_reading_a_delivery_again_bills_nothing_twice(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    office.bill(OCTOBER)
    numbers = [row["id"] for row in office.rows(tables.delivery)]
    office.line.database.write(
        lambda connection: replay.replay(connection, numbers, actor="mia", now=office.clock.now())
    )
    office.settle()
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}


def test_a_customer_that_left_the_rules_keeps_its_drafts_and_says_why(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600))
    del office.rules["acme.yaml"]
    office.activate()
    office.tell(worklog(2, seconds=3600))
    assert office.invoices() == {OCTOBER: ("draft", 12000)}
    assert "no customer takes project" in office.held()["worklog:2"]
    (row,) = (row for row in office.rows(tables.customer) if row["key"] == "acme")
    assert row["reason"] == "no rule file is about this customer any more"


def test_the_draft_of_a_customer_that_left_the_rules_goes_with_its_work(office: Office) -> None:
    office.tell(issue(7), worklog(1, seconds=3600), worklog(2, seconds=3600))
    acme = office.rules.pop("acme.yaml")
    office.rules["new.yaml"] = acme.replace("customer: acme", "customer: new")
    office.activate()
    assert office.invoices() == {OCTOBER: ("draft", 24000)}
    office.line.database.write(
        lambda connection: replay.remap_customer(
            connection, "acme", actor="mia", now=office.clock.now()
        )
    )
    office.settle()
    assert office.invoices() == {"new-2026-10": ("draft", 24000)}
    empty = office.invoice(OCTOBER)
    assert (empty["state"], empty["total"], empty["content"]["lines"]) == ("canceled", 0, [])
