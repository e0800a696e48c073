"""Books that firms keep already: who the customer is there, and where lines stand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

import planning
from app import create_app
from connectors.connector import RemoteInvoice
from connectors.customers import CustomerThere, identified
from ledger import tables
from ledger.invoices import Coding, InvoiceDraft
from ledger.replay import unbilled_since
from mappings.book import Book
from planning import Act, Activated, rehearse
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office, open_office
from tests.journeys.test_without_keys import Books

OCTOBER, NOVEMBER = "acme-2026-10", "acme-2026-11"


class FullBooks(Books):
    """Books that others keep, too: with customers that they have entered."""

    def __init__(self) -> None:
        super().__init__()
        self.customers = [CustomerThere("C-1", "Acme Berlin"), CustomerThere("C-2", "Acme Hamburg")]
        self.billed_to: list[str] = []
        self.looked_for: list[str | None] = []

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        """Return who is meant; create it where that is agreed."""
        self.looked_for.append(draft.customer.remote_id)
        found = identified(self.key, draft.customer, self.customers)
        if found is None:
            found = f"C-{len(self.customers) + 1}"
            new = CustomerThere(found, draft.customer.name, ours=draft.customer.key)
            self.customers.append(new)
        return found

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        """Create it, for a customer."""
        self.billed_to.append(remote_customer)
        return super().create_draft(
            draft, remote_customer=remote_customer, idempotency_key=idempotency_key
        )


@pytest.fixture
def books() -> FullBooks:
    """Give books in which nobody is called as our customer is."""
    return FullBooks()


@pytest.fixture
def office(office: Office, books: FullBooks, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Give an office that bills by the books and has approved a draft of one line."""
    monkeypatch.setattr(office.line, "billing", lambda name: books)
    office.tell(issue(100), worklog(1, seconds=3600, issue_id=100))
    office.approve(OCTOBER)
    office.settle()
    return office


def flask(office: Office, *words: str) -> str:
    result = create_app(office.line).test_cli_runner().invoke(args=list(words))
    assert result.exit_code == 0, result.output
    return result.output


def say(office: Office, said: str, *, before: str = "takes:") -> None:
    """Write something into the customer's file and activate it, some time later."""
    office.change("acme.yaml", before, f"{said}\n{before}")
    office.clock.go_on(60)
    office.activate()


def test_a_customer_that_nobody_knows_is_a_question_in_plain_sight(
    office: Office, books: FullBooks
) -> None:
    question = "write books: {customer: ID} into its rule file, or books: {create: yes}"
    assert office.invoices() == {OCTOBER: ("approved", 12000)}
    assert question in office.invoice(OCTOBER)["problem"]
    assert question in flask(office, "invoices", "show", OCTOBER)
    assert question in flask(office, "waiting")
    assert books.calls == []


@pytest.mark.parametrize(
    ("answer", "customer"), [("{customer: C-2}", "C-2"), ("{create: yes}", "C-3")]
)
def test_the_answer_lets_the_push_go_on_and_needs_no_new_approval(
    office: Office, books: FullBooks, answer: str, customer: str
) -> None:
    before = office.invoice(OCTOBER)
    say(office, f"books: {answer}")
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert books.billed_to == [customer]
    after = office.invoice(OCTOBER)
    assert (after["remote_customer"], after["problem"]) == (customer, None)
    assert after["content_hash"] == before["content_hash"]
    assert len(json.loads(flask(office, "invoices", "show", OCTOBER, "--json"))["approvals"]) == 1
    assert office.violations() == []


def test_the_push_goes_on_by_hand_once_the_books_have_the_customer(
    office: Office, books: FullBooks
) -> None:
    books.customers.append(CustomerThere("C-9", "acme  GmbH"))
    flask(office, "invoices", "push", OCTOBER)
    office.settle()
    assert books.billed_to == ["C-9"]
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}


def november(office: Office) -> None:
    """Log work in November, and have its draft approved and pushed."""
    work = json.dumps(worklog(2, seconds=3600, issue_id=100))
    office.tell(json.loads(work.replace("2026-10-", "2026-11-")))
    office.approve(NOVEMBER)
    office.settle()


def test_the_next_invoice_goes_to_the_customer_of_the_last_one(
    office: Office, books: FullBooks
) -> None:
    say(office, "books: {customer: C-2}")
    office.change("acme.yaml", "books: {customer: C-2}\n", "")
    office.activate()
    # Somebody who fits better has come meanwhile: what was known stays known.
    books.customers.append(CustomerThere("C-9", "Acme GmbH"))
    november(office)
    assert (books.billed_to, books.looked_for[-1]) == (["C-2", "C-2"], "C-2")


def test_another_customer_that_the_admin_names_is_the_one_from_then_on(
    office: Office, books: FullBooks
) -> None:
    say(office, "books: {customer: C-2}")
    office.change("acme.yaml", "C-2", "C-1")
    office.activate()
    november(office)
    assert books.billed_to == ["C-2", "C-1"]
    assert office.log("invoice.other_customer") == [{"before": "C-2", "customer": "C-1"}]
    # The draft that stands there already stays where it is.
    assert office.invoice(OCTOBER)["remote_customer"] == "C-2"


def test_a_known_customer_that_is_gone_is_looked_for_anew(office: Office, books: FullBooks) -> None:
    say(office, "books: {customer: C-2}")
    office.change("acme.yaml", "books: {customer: C-2}\n", "")
    office.activate()
    books.customers = [CustomerThere("C-9", "Acme GmbH")]
    november(office)
    assert books.billed_to == ["C-2", "C-9"]


def test_a_draft_that_may_be_there_stays_with_its_customer(
    office: Office, books: FullBooks
) -> None:
    books.faults = ["unheard"]
    say(office, "books: {customer: C-2}")
    assert "no answer" in office.invoice(OCTOBER)["problem"]
    office.change("acme.yaml", "C-2", "C-1")
    office.clock.go_on(3600)
    office.activate()
    assert books.billed_to == ["C-2"]
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert len(books.drafts) == 1


@pytest.mark.parametrize(("fault", "calls"), [("busy", 2), ("lost", 2), ("late", 1)])
def test_a_customer_named_before_anything_stands_there_is_the_one(
    office: Office, books: FullBooks, fault: str, calls: int
) -> None:
    books.faults = [fault]
    say(office, "books: {customer: C-2}")
    office.change("acme.yaml", "C-2", "C-1")
    office.activate()
    # As long as something of the first try may come, nothing else is tried.
    assert books.billed_to == ["C-2"]
    assert "who was named before" in office.invoice(OCTOBER)["problem"]
    # That we wait is no failure of the system: only the first try counts against it.
    assert [row["failures"] for row in office.rows(tables.breaker)] == [1]
    books.arrive()
    office.clock.go_on(3600)
    office.settle()
    assert books.billed_to == ["C-2", "C-1"][:calls]
    assert len(books.drafts) == 1
    assert office.invoices() == {OCTOBER: ("pushed", 12000)}
    assert office.violations() == []


CODED = Coding("Consulting", "200", None, (("Region", "North"),))


def test_where_lines_stand_arrives_with_the_draft(office: Office, books: FullBooks) -> None:
    say(
        office,
        "books: {create: yes, item: Consulting, account: '200', tracking: {Region: North}}",
    )
    # What is priced keeps its place in the books, until it is priced again.
    assert [line.coding for line in books.drafts[0].lines] == [Coding()]
    november(office)
    assert [line.coding for line in books.drafts[1].lines] == [CODED]
    assert office.violations() == []


def test_what_takes_a_billed_line_back_stands_where_it_stood(
    tmp_path: Path, database_url: str
) -> None:
    with open_office(tmp_path, database_url) as office:
        office.change("acme.yaml", "takes:", "books: {account: '200'}\ntakes:")
        office.activate()
        office.tell(issue(100), worklog(1, seconds=3600, issue_id=100))
        office.bill(OCTOBER)
        office.change("acme.yaml", "'200'", "'300'")
        office.activate()
        office.tell(
            worklog(1, seconds=7200, version=2, kind="worklog_updated", issue_id=100),
            worklog(2, seconds=3600, issue_id=100),
        )
        lines = office.invoice(NOVEMBER)["content"]["lines"]
        assert [(each["amount"], each["coding"]) for each in lines] == [
            (-12000, {"account": "200"}),
            (36000, {"account": "300"}),
        ]
        # Where lines stand is money to whoever keeps the books: it is approved with them.
        office.bill(NOVEMBER)
        assert office.violations() == []


def test_where_lines_stand_changes_with_a_rule_like_their_price_does(
    tmp_path: Path, database_url: str
) -> None:
    with open_office(tmp_path, database_url) as office:
        office.tell(issue(100), worklog(1, seconds=3600, issue_id=100))
        office.approve(OCTOBER)
        office.change(
            "acme.yaml",
            "      unit_price: rate\n",
            "      unit_price: rate\n      books: {item: W}\n",
        )
        book = Book.load(office.rules)

        def activate(connection: Connection, now: datetime) -> Activated:
            since = date(2026, 10, 1)
            askable = office.line.askable(book)
            return planning.activate(connection, book, askable, since=since, by="test", now=now)

        act = Act(activate, unbilled_since(date(2026, 10, 1)))
        with rehearse(office.line, act) as rehearsal, rehearsal.look() as connection:
            planned = list(connection.scalars(select(tables.invoice.c.content_hash)))
        office.line.database.write(lambda connection: activate(connection, office.clock.now()))
        office.settle()
        assert [line["coding"] for line in office.invoice(OCTOBER)["content"]["lines"]] == [
            {"item": "W"},
        ]
        assert planned == [office.invoice(OCTOBER)["content_hash"]]
        # The approval was of lines that stood elsewhere.
        assert office.invoices() == {OCTOBER: ("draft", 12000)}
        assert office.violations() == []


def test_a_quantity_that_would_be_cut_there_is_never_sent(office: Office, books: FullBooks) -> None:
    say(office, "books: {create: yes}")
    books.abilities = replace(FullBooks.abilities, quantity_places=1)  # type: ignore[misc]
    work = json.dumps(worklog(2, seconds=900, issue_id=100))
    office.tell(json.loads(work.replace("2026-10-", "2026-11-")))
    office.approve(NOVEMBER)
    office.settle()
    assert office.invoices()[NOVEMBER] == ("blocked", 3000)
    (reason,) = office.invoice(NOVEMBER)["reasons"]
    assert 'a quantity of 0.25 on "senior engineering, ' in reason
    assert "The Books keeps 1 decimal places" in reason
    assert books.calls == ["create"]
