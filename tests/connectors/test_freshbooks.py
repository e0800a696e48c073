"""What is special about FreshBooks, against its stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.freshbooks.connector import FreshBooksConnector
from connectors.freshbooks.stand_in import ACCOUNT, SETTINGS, TOKEN, FreshBooksStandIn
from connectors.stand_in import InProcess
from connectors.stand_in_accounting import Bearer
from ledger.errors import PermanentError
from ledger.invoices import Coding
from tests.contracts.billing import DRAFT, draft_of, line, push


@pytest.fixture
def site() -> FreshBooksStandIn:
    return FreshBooksStandIn()


@pytest.fixture
def connector(site: FreshBooksStandIn) -> FreshBooksConnector:
    return FreshBooksConnector(SETTINGS, Bearer(InProcess(site), TOKEN))


def test_a_draft_stands_there_in_freshbooks_words(
    site: FreshBooksStandIn, connector: FreshBooksConnector
) -> None:
    coded = replace(line("1.5", "10.00", "EUR"), coding=Coding(item="Design"))
    push(connector, replace(DRAFT, lines=(coded,)))
    (paper,) = site.papers.values()
    assert paper.written["notes"] == "Work in March\n\nbillhook:acme-1"
    assert (paper.written["terms"], paper.written["due_offset_days"]) == ("Thank you", 30)
    (there,) = paper.lines
    assert (there["name"], there["description"]) == ("Design", "Engineering")
    assert there["unit_cost"] == {"amount": "10.00", "code": "EUR"}
    assert (there["taxName1"], there["taxAmount1"]) == ("", 0)


def test_before_an_account_is_chosen_those_that_there_are_can_be_listed(
    site: FreshBooksStandIn,
) -> None:
    settings = {name: told for name, told in SETTINGS.items() if name != "account_id"}
    connector = FreshBooksConnector(settings, Bearer(InProcess(site), TOKEN))
    # A business without books has no account.
    assert connector.accounts() == {ACCOUNT: "Studio Nord"}
    with pytest.raises(PermanentError, match="no account is chosen"):
        connector.check()
    wrong = FreshBooksConnector({**settings, "account_id": "x"}, Bearer(InProcess(site), TOKEN))
    with pytest.raises(PermanentError, match=f"choose one of {ACCOUNT}"):
        wrong.check()


def test_a_poll_asks_for_days_of_new_york_and_passes_over_what_is_older(
    site: FreshBooksStandIn, connector: FreshBooksConnector
) -> None:
    # 3:00 UTC is still the day before there.
    site.now = datetime(2026, 11, 2, 3, tzinfo=UTC)
    remote_id = push(connector, DRAFT)
    before = str(int(datetime(2026, 11, 2, 3, 30, tzinfo=UTC).timestamp()))
    after = str(int(datetime(2026, 11, 2, 4, 30, tzinfo=UTC).timestamp()))
    assert connector.changes_since(before)[0] == [remote_id]
    assert connector.changes_since(after)[0] == []


def test_a_deleted_invoice_stays_there_and_is_pushed_anew(
    site: FreshBooksStandIn, connector: FreshBooksConnector
) -> None:
    first = push(connector, DRAFT)
    connector.delete_draft(first, idempotency_key="key-2")
    second = push(connector, DRAFT, key="key-3")
    assert (len(site.papers), first == second) == (2, False)
    found = connector.find_invoice("acme-1", remote_customer=None)
    assert found is not None
    assert found.remote_id == second
    # A deleted one is not deleted again, nor listed as ours.
    deletions = len([each for each in site.requests if each.startswith("DELETE")])
    connector.delete_draft(first, idempotency_key="key-4")
    assert len([each for each in site.requests if each.startswith("DELETE")]) == deletions == 1


def test_a_payment_that_is_taken_back_opens_the_invoice_again(
    site: FreshBooksStandIn, connector: FreshBooksConnector
) -> None:
    remote_id = push(connector, draft_of(line("1", "10.00", "EUR")))
    happen = site.happenings("finalize", "pay")
    happen["finalize"](remote_id, 0)
    happen["pay"](remote_id, 1000)
    assert connector.fetch_invoice(remote_id).amounts.owed == 0
    happen["pay"](remote_id, -1000)
    assert connector.fetch_invoice(remote_id).amounts.owed == 1000
