"""What the tryton connector does beyond the shared contract, over its stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import ContractRig
from connectors.http import Http, Request, Response
from connectors.tryton.connector import TrytonConnector
from connectors.tryton.stand_in import contract_setup
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    RejectedError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import Coding
from tests.contracts.billing import DRAFT, draft_of, line, push


class Answering:
    """An HTTP port that answers one method by itself, and passes the others on."""

    def __init__(self, inner: Http, method: str, told: Callable[[], Response]) -> None:
        self._inner, self._method, self._told = inner, method, told
        self.methods: list[str] = []

    def send(self, request: Request) -> Response:
        method = json.loads(request.body or b"{}")["method"]
        self.methods.append(method)
        return self._told() if method.endswith(self._method) else self._inner.send(request)


def refusing(rig: ContractRig, method: str, error: Any) -> Any:
    body = json.dumps({"id": 1, "error": error}).encode()
    assert rig.http
    return rig.connect(Answering(rig.http, method, lambda: Response(200, {}, body)))


@pytest.fixture
def rig(tmp_path: Path) -> ContractRig:
    return contract_setup(tmp_path)


@pytest.fixture
def connector(rig: ContractRig) -> Any:
    assert rig.http
    return rig.connect(rig.http)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (["UserError", ["The period is closed.", "", None]], RejectedError),
        (["UserWarning", ["taxes_1", "The taxes differ.", ""]], RejectedError),
        (["ConcurrencyException", "Records were modified in the meanwhile"], TransientError),
        (["LoginException", ["code", "Enter the code", "char"]], PermanentError),
        (["'res.user'", ""], OutcomeUnknownError),
        (None, OutcomeUnknownError),
    ],
)
def test_what_tryton_refuses_with_a_good_status_is_no_success(
    rig: ContractRig, error: Any, wanted: type[ConnectorError]
) -> None:
    with pytest.raises(wanted, match=r"account\.invoice\.create"):
        push(refusing(rig, "account.invoice.create", error), DRAFT)


def test_a_failure_of_the_server_in_a_reading_changes_nothing(rig: ContractRig) -> None:
    with pytest.raises(TransientError):
        refusing(rig, "account.invoice.search_read", ["'x'", ""]).fetch_invoice("1")


def test_a_message_of_tryton_is_told_without_the_password(rig: ContractRig) -> None:
    told = ["UserError", [f"{rig.secret} is wrong", "", None]]
    with pytest.raises(RejectedError) as caught:
        push(refusing(rig, "account.invoice.create", told), DRAFT)
    assert rig.secret
    assert rig.secret not in str(caught.value)


def test_a_created_draft_that_cannot_be_read_back_is_looked_up_first(rig: ContractRig) -> None:
    assert rig.http
    inner = rig.http
    is_created = False

    class Away:
        def send(self, request: Request) -> Response:
            nonlocal is_created
            if is_created:
                raise OutcomeUnknownError("test: no answer")
            is_created = b'"model.account.invoice.create"' in (request.body or b"")
            return inner.send(request)

    with pytest.raises(OutcomeUnknownError, match="look for it"):
        push(rig.connect(Away()), DRAFT)


def test_one_session_serves_all_requests(rig: ContractRig) -> None:
    assert rig.http
    port = Answering(rig.http, "nothing", lambda: Response(500, {}, b""))
    connector = rig.connect(port)
    push(connector, DRAFT)
    connector.changes_since(None)
    assert port.methods.count("common.db.login") == 1


@pytest.mark.parametrize(
    ("coding", "problem"),
    [
        (Coding(account="9"), "no open account with the code 9"),
        (Coding(item="hour"), "no product with the code hour"),
    ],
)
def test_what_the_books_name_and_tryton_does_not_have_is_named(
    connector: TrytonConnector, coding: Coding, problem: str
) -> None:
    with pytest.raises(RejectedError, match=problem):
        push(connector, draft_of(replace(line("1", "1.00", "EUR"), coding=coding)))


def test_tracking_is_refused_because_it_would_be_lost(connector: TrytonConnector) -> None:
    coded = replace(line("1", "1.00", "EUR"), coding=Coding(tracking=(("Region", "North"),)))
    with pytest.raises(UnsupportedError, match="tracking"):
        push(connector, draft_of(coded))


def test_without_an_account_nothing_is_guessed(rig: ContractRig, connector: Any) -> None:
    assert rig.http
    bare = {name: value for name, value in connector.configured.items() if name != "account"}
    with pytest.raises(RejectedError, match="has no revenue account"):
        push(TrytonConnector(bare, rig.http), DRAFT)


@pytest.mark.parametrize(
    ("tax", "code", "problem"),
    [
        ("A 3 %", None, "no sales tax of 3 %"),
        ("A 19 %", "VAT 7 %", "is not of 19 % there"),
        ("A 19 %", "VAT", 'no sales tax "VAT"'),
    ],
)
def test_a_tax_is_never_guessed(
    connector: TrytonConnector, tax: str, code: str | None, problem: str
) -> None:
    taxed = replace(line("1", "1.00", "EUR"), tax=tax, coding=Coding(tax_code=code))
    with pytest.raises(RejectedError, match=problem):
        push(connector, draft_of(taxed))


def test_a_term_that_tryton_does_not_have_is_named(connector: TrytonConnector) -> None:
    with pytest.raises(RejectedError, match="no payment term of 17 days"):
        push(connector, replace(DRAFT, days_until_due=17))


def test_a_poll_tells_each_change_once(rig: ContractRig, connector: TrytonConnector) -> None:
    remote_id = push(connector, DRAFT)
    changed, cursor = connector.changes_since(None)
    assert changed == [remote_id]
    assert connector.changes_since(cursor)[0] == []
    rig.happenings["finalize"](remote_id, 0)
    changed, later = connector.changes_since(cursor)
    assert (changed, later >= cursor) == ([remote_id], True)
    with pytest.raises(RejectedError, match="last poll"):
        connector.changes_since("1790000000")


def test_a_company_that_is_out_of_reach_proves_no_absence(rig: ContractRig) -> None:
    assert rig.http
    push(rig.connect(rig.http), DRAFT)
    told = json.dumps({"id": 1, "result": {"companies": [], "company": 1}}).encode()
    blind = rig.connect(Answering(rig.http, "get_preferences", lambda: Response(200, {}, told)))
    with pytest.raises(PermanentError, match="company"):
        blind.find_invoice("acme-1", remote_customer=None)


def test_what_is_sent_from_tryton_is_not_sent_from_here(connector: TrytonConnector) -> None:
    remote_id = push(connector, DRAFT)
    with pytest.raises(UnsupportedError, match="after_push: finalize"):
        connector.finalize(remote_id, send=True, idempotency_key="key-2")
    assert connector.fetch_invoice(remote_id).amounts.document == "draft"
