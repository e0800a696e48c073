"""A billing system without idempotency keys, and one that takes only a few lines at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from connectors.connector import Abilities, BillingConnector, RemoteInvoice
from ledger import pushing, tables
from ledger.errors import OutcomeUnknownError, RejectedError, TransientError
from ledger.invoices import InvoiceDraft
from ledger.payments import Amounts
from ledger.shown import ShownLine
from tests.contracts.spoiled_http import NoHttp
from tests.journeys.house import issue, worklog
from tests.journeys.office import Office

OCTOBER = "acme-2026-10"
SETTLES = 90


class Books(BillingConnector):
    """Books in memory, that may carry a request out late, or lose what they say about it."""

    key = "books"
    name = "The Books"
    docs_url = "https://books.example"
    settings = ()
    abilities = Abilities(
        native_draft=True,
        idempotency_keys=False,
        key_life=timedelta(0),
        most_lines=1000,
        quantity_places=4,
        settles_after=timedelta(seconds=SETTLES),
    )

    def __init__(self) -> None:
        super().__init__({}, NoHttp())
        self.drafts: list[InvoiceDraft] = []
        self.lines: list[list[ShownLine]] = []
        self.late: list[Callable[[], None]] = []
        self.calls: list[str] = []
        self.faults: list[str] = []
        """What happens to the next changes: "" (nothing), lost, unheard, late, busy, wrong."""
        self.busy_times = 0
        """How often what was found cannot be completed."""
        self.is_list_behind = False
        """What is there is left out of its list."""
        self.deleted: set[str] = set()

    def check(self) -> str:
        return self.name

    def resolve_customer(self, draft: InvoiceDraft, *, idempotency_key: str) -> str:
        return draft.customer.key

    def find_invoice(self, reference: str, *, remote_customer: str | None) -> RemoteInvoice | None:
        found = [at for at, draft in enumerate(self.drafts) if draft.reference == reference]
        found = [at for at in found if f"{at}" not in self.deleted]
        assert len(found) < 2, "there are two of them"
        return self._remote(found[0]) if found and not self.is_list_behind else None

    def create_draft(
        self, draft: InvoiceDraft, *, remote_customer: str, idempotency_key: str
    ) -> RemoteInvoice:
        def create() -> None:
            self.drafts.append(draft)
            most = self.abilities.lines_per_call
            self.lines.append([] if most else [*self.shown(draft).lines])

        self._change("create", create)
        return self._remote(-1)

    def complete_draft(
        self, draft: InvoiceDraft, found: RemoteInvoice, *, idempotency_key: str
    ) -> RemoteInvoice:
        if self.busy_times:
            self.busy_times -= 1
            raise TransientError("books: busy", 1)
        return found

    def add_lines(
        self, draft: InvoiceDraft, remote_id: str, first: int, *, idempotency_key: str
    ) -> RemoteInvoice:
        at, most = int(remote_id), self.abilities.lines_per_call or 0
        chunk = self.shown(draft).lines[first : first + most]
        self._change(f"lines:{first}", lambda: self.lines[at].extend(chunk))
        return self._remote(at)

    def update_draft(
        self, draft: InvoiceDraft, remote_id: str, *, idempotency_key: str
    ) -> RemoteInvoice:
        at, lines = int(remote_id), self.shown(draft).lines
        same = 0
        while same < min(len(lines), len(self.lines[at])) and lines[same] == self.lines[at][same]:
            same += 1

        def change() -> None:
            self.drafts[at] = draft
            kept = lines[:same] if self.abilities.lines_per_call else lines
            self.lines[at] = [*kept]

        self._change("update", change)
        return self._remote(at)

    def delete_draft(self, remote_id: str, *, idempotency_key: str) -> None:
        raise RejectedError("books: nothing is ever deleted")

    def fetch_invoice(self, remote_id: str) -> RemoteInvoice:
        return self._remote(int(remote_id))

    def invoices_for(self, hint: str) -> list[str]:
        return []

    def changes_since(self, cursor: str | None) -> tuple[list[str], str]:
        return [], "0"

    def arrive(self) -> None:
        """Carry out what was asked and is late."""
        for change in self.late:
            change()
        self.late.clear()

    def _change(self, what: str, change: Callable[[], None]) -> None:
        self.calls.append(what)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            raise TransientError("books: busy", 1)
        if fault == "late":
            self.late.append(change)
        if fault in ("", "unheard", "wrong"):
            change()
        if fault == "wrong":
            first = self.lines[-1][0]
            self.lines[-1][0] = replace(first, amount=first.amount + 1)
        elif fault:
            raise OutcomeUnknownError("books: no answer")

    def _remote(self, at: int) -> RemoteInvoice:
        at %= len(self.drafts)
        draft, lines = self.drafts[at], tuple(self.lines[at])
        document = "deleted" if f"{at}" in self.deleted else "draft"
        amounts = Amounts(document, draft.currency, sum(line.amount for line in lines))
        is_complete = len(lines) == len(draft.lines)
        return RemoteInvoice(f"{at}", draft.reference, amounts, lines, is_complete=is_complete)


@pytest.fixture
def books() -> Books:
    """Give empty books."""
    return Books()


@pytest.fixture
def office(office: Office, books: Books, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Give an office that bills by the books and has an approved draft of seven lines."""
    monkeypatch.setattr(office.line, "billing", lambda name: books)
    office.tell(*(issue(100 + number) for number in range(7)))
    office.tell(*(worklog(number, seconds=3600, issue_id=100 + number) for number in range(7)))
    office.approve(OCTOBER)
    return office


def wait(office: Office, seconds: int) -> None:
    """Let time pass, a second after the other, with the worker always at it."""
    for _ in range(0, seconds, 5):
        office.clock.go_on(5)
        office.settle()


def assert_pushed_once(office: Office, books: Books) -> None:
    """Assert that one invoice stands in the books, with our lines in our order."""
    assert office.invoices() == {OCTOBER: ("pushed", 84000)}, office.invoice(OCTOBER)["problem"]
    (lines,) = books.lines
    assert [(line.description, line.amount) for line in lines] == [
        (text, amount) for text, _, amount in office.printed(OCTOBER)
    ]
    assert office.violations() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("arrives_after", [5, SETTLES - 10])
def test_what_is_carried_out_late_is_never_made_twice(
    office: Office, books: Books, arrives_after: int
) -> None:
    books.faults = ["late"]
    office.settle()
    wait(office, arrives_after)
    assert books.calls == ["create"]
    assert "may still come" in office.invoice(OCTOBER)["problem"]
    books.arrive()
    wait(office, 2 * SETTLES)
    assert books.calls == ["create"]
    assert_pushed_once(office, books)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", ["lost", "busy", "unheard"])
def test_what_never_comes_is_made_once_more_when_nothing_can_come_any_more(
    office: Office, books: Books, fault: str
) -> None:
    books.faults = [fault]
    office.settle()
    if fault != "unheard":
        wait(office, SETTLES - 10)
        assert books.calls == ["create"]
    wait(office, 3 * SETTLES)
    assert books.calls == ["create"] if fault == "unheard" else ["create", "create"]
    assert_pushed_once(office, books)


FAULTS = [
    ["", "unheard", "lost", "", "unheard"],
    ["", "", "late"],
    ["unheard", "busy", "lost", "lost"],
    ["", "", "", "", "unheard"],
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("has_keys", [True, False])
@pytest.mark.parametrize("faults", FAULTS)
def test_lines_that_are_taken_a_few_at_a_time_are_sent_once_each(
    office: Office, books: Books, faults: list[str], has_keys: bool
) -> None:
    life = timedelta(hours=1) if has_keys else timedelta(0)
    books.abilities = replace(  # type: ignore[misc]
        Books.abilities, lines_per_call=2, idempotency_keys=has_keys, key_life=life
    )
    if has_keys and "late" in faults:
        pytest.skip("books with keys would know the second request, these do not")
    books.faults = [*faults]
    office.settle()
    wait(office, 20)
    books.arrive()
    wait(office, 12 * SETTLES)
    assert_pushed_once(office, books)
    operations = {row["operation"] for row in office.rows(tables.intent)}
    assert {"lines:0:1", "lines:2:1", "lines:4:1", "lines:6:1"} <= operations


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_amendment_sends_only_the_lines_from_the_first_that_differs_on(
    office: Office, books: Books
) -> None:
    books.abilities = replace(Books.abilities, lines_per_call=2)  # type: ignore[misc]
    office.settle()
    books.calls.clear()
    books.faults = ["unheard", "lost", "unheard"]
    changed = {**worklog(5, seconds=1800, version=2, issue_id=105)}
    office.tell({**changed, "webhookEvent": "worklog_updated"})
    office.approve(OCTOBER)
    office.settle()
    wait(office, 9 * SETTLES)
    assert office.invoices() == {OCTOBER: ("pushed", 78000)}, office.invoice(OCTOBER)["problem"]
    (lines,) = books.lines
    assert [line.amount for line in lines] == [amount for *_, amount in office.printed(OCTOBER)]
    assert {call for call in books.calls if call.startswith("lines")} == {"lines:5"}
    assert office.violations() == []


def push_again(office: Office) -> None:
    """Have a push go on that has stopped, as `flask invoices push` does."""
    again = partial(pushing.try_again, reference=OCTOBER, actor="mia", now=office.clock.now())
    office.line.database.write(again)
    office.settle()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tries_between", [0, 1])
def test_an_invoice_that_was_seen_is_asked_for_by_its_id_where_a_list_leaves_it_out(
    office: Office, books: Books, tries_between: int
) -> None:
    books.faults, books.busy_times = ["wrong"], tries_between
    office.settle()
    assert "mend or delete it there" in office.invoice(OCTOBER)["problem"]
    for _ in range(tries_between):
        push_again(office)
    # A person mends it, and has the push go on.
    books.lines[0] = [*books.shown(books.drafts[0]).lines]
    books.is_list_behind = True
    push_again(office) if not tries_between else wait(office, 30)
    assert books.calls.count("create") == 1
    assert_pushed_once(office, books)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_that_was_seen_and_is_deleted_is_made_once_more(office: Office, books: Books) -> None:
    books.faults = ["wrong"]
    office.settle()
    books.deleted.add("0")
    push_again(office)
    assert books.calls == ["create", "create"]
    assert office.invoices() == {OCTOBER: ("pushed", 84000)}
    assert office.violations() == []
