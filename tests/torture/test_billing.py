"""The misbehaving billing system keeps what it was told and misbehaves as ordered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from unittest import mock

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

SETTINGS = {"url": "http://torture.example", "token": TOKEN}
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

    def create(self, key: str = "key") -> str:
        made = self.connector.create_draft(DRAFT, remote_customer="cus_1", idempotency_key=key)
        return made.remote_id

    def add(self, remote_id: str) -> None:
        self.connector.add_lines(DRAFT, remote_id, 0, idempotency_key="lines")

    def numbers_of_lines(self) -> list[int]:
        return [len(row["lines"]) for row in self.system.truth()]


@pytest.fixture(params=sorted(PROFILES))
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param)


@pytest.fixture
def stripe_like() -> Account:
    return Account("stripe-like")


def test_an_invoice_is_created_chunk_by_chunk_and_found_again(account: Account) -> None:
    remote_id = account.create()
    abilities = replace(account.connector.abilities, lines_per_call=4)
    with mock.patch.object(type(account.connector), "abilities", abilities):
        for first in (0, 4, 8):
            account.connector.add_lines(DRAFT, remote_id, first, idempotency_key=f"lines-{first}")
    found = account.connector.find_invoice(DRAFT.reference, remote_customer=None)
    assert found is not None
    assert (found.remote_id, found.shown) == (remote_id, account.connector.shown(DRAFT))
    assert found.is_complete


def test_a_draft_is_brought_up_to_another_one(account: Account) -> None:
    remote_id = account.create()
    account.add(remote_id)
    changed = replace(DRAFT, memo="Thanks", lines=(*DRAFT.lines[:5], DRAFT.lines[9]))
    found = account.connector.update_draft(changed, remote_id, idempotency_key="update")
    assert not found.is_complete
    assert account.numbers_of_lines() == [5]
    account.connector.add_lines(changed, remote_id, 5, idempotency_key="lines-5")
    assert account.connector.fetch_invoice(remote_id).shown == account.connector.shown(changed)


NOT_CARRIED_OUT = {
    "drop_before": OutcomeUnknownError,
    "500_before": OutcomeUnknownError,
    "html_before": OutcomeUnknownError,
    "429": TransientError,
    "token_expired": TransientError,
    "redirect": PermanentError,
}


@pytest.mark.parametrize("kind", ["lost_after", "slow_after", "500_after", "html_after"])
def test_a_fault_after_the_commit_leaves_what_was_done(account: Account, kind: str) -> None:
    account.plan.waiting = [kind]
    with pytest.raises(OutcomeUnknownError):
        account.create()
    assert account.numbers_of_lines() == [0]
    account.plan.waiting = [kind]
    with pytest.raises(OutcomeUnknownError):
        account.add("inv_1")
    assert account.numbers_of_lines() == [10]


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
    assert account.numbers_of_lines() == [0]


def test_half_of_the_lines_stay_where_the_other_half_was_not_taken(account: Account) -> None:
    remote_id = account.create()
    account.plan.waiting = ["partial_lines"]
    with pytest.raises(OutcomeUnknownError):
        account.add(remote_id)
    assert account.numbers_of_lines() == [5]


def test_a_wrong_total_is_told_and_the_right_one_kept(account: Account) -> None:
    remote_id = account.create()
    account.plan.waiting = ["wrong_total"]
    told = account.connector.add_lines(DRAFT, remote_id, 0, idempotency_key="lines")
    assert told.amounts.total == DRAFT.total.minor + 1
    assert account.connector.fetch_invoice(remote_id).amounts.total == DRAFT.total.minor


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
    assert stripe_like.numbers_of_lines() == [0, 0]


def test_a_key_in_flight_is_answered_with_a_conflict(stripe_like: Account) -> None:
    stripe_like.plan.waiting = ["late_commit"]
    with pytest.raises(OutcomeUnknownError):
        stripe_like.create()
    with pytest.raises(TransientError):
        stripe_like.create()
    stripe_like.go_on(REAL.late)
    stripe_like.create()
    assert stripe_like.numbers_of_lines() == [0]


def test_a_document_number_is_taken_once_where_the_profile_says_so() -> None:
    account = Account("accounting-like")
    account.create()
    with pytest.raises(OutcomeUnknownError, match="number_taken"):
        account.create()
    assert account.numbers_of_lines() == [0]


def test_a_change_to_an_old_version_is_refused_where_the_profile_says_so() -> None:
    account = Account("accounting-like")
    remote_id = account.create()
    account.plan.waiting = ["late_commit"]
    with pytest.raises(OutcomeUnknownError):
        account.add(remote_id)
    account.add(remote_id)
    account.go_on(REAL.late)
    assert account.numbers_of_lines() == [10]


def test_the_worst_system_takes_everything_twice() -> None:
    account = Account("worst")
    account.create()
    account.create()
    assert account.numbers_of_lines() == [0, 0]


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
    connector = CONNECTORS["stripe-like"](settings, http)
    made = connector.create_draft(DRAFT, remote_customer="cus_1", idempotency_key="key")
    connector.add_lines(DRAFT, made.remote_id, 0, idempotency_key="lines")
    processes[0].kill()
    with pytest.raises(ConnectorError):
        CONNECTORS["stripe-like"](settings, http).fetch_invoice(made.remote_id)
    settings["url"] = start()
    found = CONNECTORS["stripe-like"](settings, http).fetch_invoice(made.remote_id)
    assert found.amounts.total == DRAFT.total.minor
    truth = http.send(Request("GET", f"{settings['url']}/_truth"))
    assert [len(row["lines"]) for row in json.loads(truth.body)] == [10]
