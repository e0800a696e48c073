"""The misbehaving billing system keeps what it was told and misbehaves as ordered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.http import OutgoingHttp, Request
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    TransientError,
)
from ledger.invoices import BilledCustomer, InvoiceDraft, PrintedLine
from torture.billing.connector import CONNECTORS, TortureConnector
from torture.billing.faults import KINDS, Asked, OrderedPlan, SeededPlan
from torture.billing.port import InProcessBilling
from torture.billing.profiles import PROFILES, REAL
from torture.billing.store import Store
from torture.billing.system import TOKEN, BillingSystem
from torture.billing.tokens import Tokens

SETTINGS = {"url": "http://torture.example", "token": TOKEN, "lines_per_call": "4"}
DRAFT = InvoiceDraft(
    reference="acme-2026-10",
    customer=BilledCustomer("acme", "Acme GmbH", "ap@acme.example"),
    currency="EUR",
    lines=tuple(
        PrintedLine(f"Work {number}", Decimal(1), Decimal(number), 100 * number)
        for number in range(1, 11)
    ),
    period_from=date(2026, 10, 1),
    period_to=date(2026, 10, 31),
)


class Account:
    """One account, its connector, and a clock that the test moves."""

    def __init__(self, profile: str, path: str = ":memory:") -> None:
        self.seconds = 1_000_000.0
        self.plan = OrderedPlan()
        self.system = BillingSystem(
            Store(path), PROFILES[profile], REAL, self.plan, lambda: self.seconds
        )
        port = InProcessBilling(self.system, self.go_on)
        self.connector: TortureConnector = CONNECTORS[profile](SETTINGS, port)

    def go_on(self, seconds: float) -> None:
        self.seconds += seconds

    def create(self, key: str = "key-1") -> str:
        made = self.connector.create_draft(DRAFT, remote_customer="cus_1", idempotency_key=key)
        return made.remote_id

    def numbers_of_lines(self) -> list[int]:
        return [len(row["lines"]) for row in self.system.truth()]


@pytest.fixture(params=sorted(PROFILES))
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param)


@pytest.fixture
def stripe_like() -> Account:
    return Account("stripe-like")


def test_an_invoice_is_created_in_chunks_and_found_again(account: Account) -> None:
    remote_id = account.create()
    found = account.connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    assert (found.remote_id, found.amounts.total) == (remote_id, DRAFT.total.minor)
    assert found.is_complete
    assert account.numbers_of_lines() == [10]


CARRIED_OUT = {
    "lost_after": OutcomeUnknownError,
    "slow_after": OutcomeUnknownError,
    "500_after": OutcomeUnknownError,
    "html_after": OutcomeUnknownError,
}
NOT_CARRIED_OUT = {
    "drop_before": OutcomeUnknownError,
    "500_before": OutcomeUnknownError,
    "html_before": OutcomeUnknownError,
    "429": TransientError,
    "token_expired": TransientError,
    "redirect": PermanentError,
}


@pytest.mark.parametrize("kind", CARRIED_OUT)
def test_a_fault_after_the_commit_leaves_the_invoice_there(account: Account, kind: str) -> None:
    account.plan.waiting = [kind]
    with pytest.raises(CARRIED_OUT[kind]):
        account.create()
    assert account.numbers_of_lines() == [4]


@pytest.mark.parametrize("kind", NOT_CARRIED_OUT)
def test_a_fault_before_the_commit_leaves_nothing_there(account: Account, kind: str) -> None:
    account.plan.waiting = [kind]
    with pytest.raises(NOT_CARRIED_OUT[kind]):
        account.create()
    assert account.numbers_of_lines() == []


def test_a_late_commit_is_made_after_the_client_has_given_up(account: Account) -> None:
    account.plan.waiting = ["late_commit"]
    with pytest.raises(OutcomeUnknownError):
        account.create()
    assert account.numbers_of_lines() == []
    account.go_on(REAL.late)
    assert account.numbers_of_lines() == [4]


def test_half_a_chunk_stays_where_the_other_half_was_not_taken(account: Account) -> None:
    account.plan.waiting = ["partial_lines"]
    with pytest.raises(OutcomeUnknownError):
        account.create()
    assert account.numbers_of_lines() == [2]
    found = account.connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    account.connector.complete_draft(DRAFT, found, idempotency_key="key-2")
    assert account.numbers_of_lines() == [10]


def test_a_wrong_total_is_told_and_the_right_one_kept(account: Account) -> None:
    account.connector = CONNECTORS[account.system.profile.name](
        {**SETTINGS, "lines_per_call": "10"}, account.connector.http
    )
    account.plan.waiting = ["wrong_total"]
    made = account.connector.create_draft(DRAFT, remote_customer="cus_1", idempotency_key="key-1")
    assert made.amounts.total == DRAFT.total.minor + 1
    assert account.connector.fetch_invoice(made.remote_id).amounts.total == DRAFT.total.minor


def test_a_stale_list_hides_what_is_young_and_only_that(account: Account) -> None:
    account.create()
    account.plan.waiting = ["stale_list"]
    assert account.connector.find_invoice(DRAFT.reference, remote_customer=None) is None
    account.go_on(REAL.stale + 1)
    account.plan.waiting = ["stale_list"]
    assert account.connector.find_invoice(DRAFT.reference, remote_customer=None) is not None
    assert account.plan.waiting == ["stale_list"], "nothing was hidden, so nothing was hit"


@pytest.mark.parametrize(
    ("kind", "invoices"), [("sticky500_effect", 1), ("sticky500_no_effect", 0)]
)
def test_a_sticky_500_is_replayed_under_its_key(
    stripe_like: Account, kind: str, invoices: int
) -> None:
    stripe_like.plan.waiting = [kind]
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            stripe_like.create()
    assert len(stripe_like.system.truth()) == invoices
    stripe_like.create("another-key")
    assert len(stripe_like.system.truth()) == invoices + 1


def test_a_key_is_carried_out_once_and_forgotten_after_its_window(stripe_like: Account) -> None:
    assert stripe_like.create() == stripe_like.create()
    stripe_like.go_on(REAL.key_window + 1)
    stripe_like.create()
    assert stripe_like.numbers_of_lines() == [10, 10]


def test_a_key_in_flight_is_answered_with_a_conflict(stripe_like: Account) -> None:
    stripe_like.plan.waiting = ["late_commit"]
    with pytest.raises(OutcomeUnknownError):
        stripe_like.create()
    with pytest.raises(TransientError):
        stripe_like.create()
    stripe_like.go_on(REAL.late)
    stripe_like.create()
    assert stripe_like.numbers_of_lines() == [10]


def test_a_document_number_is_taken_once_where_the_profile_says_so() -> None:
    account = Account("accounting-like")
    account.create()
    with pytest.raises(OutcomeUnknownError, match="number_taken"):
        account.create()
    assert account.numbers_of_lines() == [10]


def test_the_worst_system_takes_everything_twice() -> None:
    account = Account("worst")
    account.create()
    account.create()
    assert account.numbers_of_lines() == [10, 10]


def test_a_plan_sees_every_kind_and_the_same_seed_gives_the_same_faults() -> None:
    asked = Asked("POST invoices", True, True, hides=True, shows_total=True, lines=9)
    plans = [SeededPlan(seed=4, share=0.5) for _ in range(2)]
    drawn = [[plan.next(asked) for _ in range(200)] for plan in plans]
    assert drawn[0] == drawn[1]
    assert set(plans[0].effective) == set(KINDS)
    assert len(KINDS) >= 14
    assert sum(plans[0].effective.values()) == 200 - Counter(drawn[0])[None]


def test_a_refresh_token_that_is_used_twice_revokes_its_family() -> None:
    tokens = Tokens(Store(), lambda: 100.0, life_seconds=60)
    first = tokens.authorize()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    status, second = tokens.refresh(form)
    assert status == 200
    assert tokens.is_welcome(second["access_token"])
    assert tokens.refresh(form)[0] == 400
    assert not tokens.is_welcome(second["access_token"])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, list[subprocess.Popen[str]]]]:
    processes: list[subprocess.Popen[str]] = []
    yield tmp_path / "bills.db", processes
    for each in processes:
        each.kill()
        each.communicate()


def test_a_server_that_is_killed_has_kept_what_it_answered(
    served: tuple[Path, list[subprocess.Popen[str]]],
) -> None:
    store, processes = served
    http = OutgoingHttp(allow_private=True, timeout_seconds=10)

    def start() -> str:
        command = [sys.executable, "-m", "torture.billing", "--store", str(store), "--share", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout
        return str(json.loads(process.stdout.readline())["url"])

    settings = {**SETTINGS, "url": start()}
    made = CONNECTORS["stripe-like"](settings, http).create_draft(
        DRAFT, remote_customer="cus_1", idempotency_key="key-1"
    )
    processes[0].kill()
    with pytest.raises(ConnectorError):
        CONNECTORS["stripe-like"](settings, http).fetch_invoice(made.remote_id)
    settings["url"] = start()
    found = CONNECTORS["stripe-like"](settings, http).fetch_invoice(made.remote_id)
    assert found.amounts.total == DRAFT.total.minor
    truth = http.send(Request("GET", f"{settings['url']}/_truth"))
    assert [len(row["lines"]) for row in json.loads(truth.body)] == [10]
