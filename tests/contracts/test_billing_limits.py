"""What every billing connector promises about how much it takes, and about each thing it asks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.connector import BillingConnector
from connectors.contract import ContractRig
from ledger.errors import (
    ConnectorError,
    OutcomeUnknownError,
    PermanentError,
    TransientError,
    UnsupportedError,
)
from ledger.invoices import PrintedLine
from ledger.money import line_amount

from .billing import (
    DRAFT,
    assert_nothing_secret,
    assert_shows,
    draft_of,
    line,
    push,
    push_if_possible,
    with_all_lines,
)
from .spoiled_http import SpoiledHttp


@pytest.mark.parametrize("count", [1, 2, 250, 251, 1000])
def test_all_lines_arrive_or_the_draft_is_refused(connector: BillingConnector, count: int) -> None:
    many = tuple(line("1", "2.00", "EUR", f"Task {number}") for number in range(count))
    draft = draft_of(*many)
    if count > connector.abilities.most_lines:
        with pytest.raises(UnsupportedError, match=str(connector.abilities.most_lines)):
            push(connector, draft)
        return
    remote_id = push(connector, draft)
    there = connector.fetch_invoice(remote_id)
    assert (there.amounts.total, there.is_complete) == (200 * count, True)
    assert_shows(connector, draft, there)


def test_a_draft_of_the_most_lines_is_taken_and_one_line_more_refused(
    connector: BillingConnector,
) -> None:
    most = connector.abilities.most_lines
    many = tuple(line("1", "2.00", "EUR", f"Task {number}") for number in range(most + 1))
    with pytest.raises(UnsupportedError, match=str(most)):
        push(connector, draft_of(*many))
    assert connector.find_invoice("acme-1", remote_customer=None) is None
    remote_id = push(connector, draft_of(*many[:-1]), key="key-2")
    assert connector.fetch_invoice(remote_id).amounts.total == 200 * most


def test_what_does_not_fit_is_refused_before_anything_is_sent(
    http_rig: ContractRig, spoiled: SpoiledHttp
) -> None:
    connector = http_rig.connect(spoiled)
    able = connector.abilities
    too_much = [draft_of(*(line("1", "2.00", "EUR"),) * (able.most_lines + 1))]
    if not able.taxes:
        too_much.append(draft_of(replace(line("1", "2.00", "EUR"), tax="A 19 %")))
    if not able.below_zero:
        too_much.append(draft_of(line("-1", "2.00", "EUR")))
    for draft in too_much:
        with pytest.raises(UnsupportedError, match="acme-1"):
            push(connector, draft)
    assert spoiled.requests == []


@pytest.mark.parametrize("what", ["quantity", "price"])
def test_as_many_decimal_places_arrive_as_are_declared_and_no_more_could(
    connector: BillingConnector, what: str
) -> None:
    able = connector.abilities
    most = able.quantity_places if what == "quantity" else able.price_places

    def with_places(places: int) -> PrintedLine:
        number = Decimal(1) + Decimal(1).scaleb(-places)
        quantity, price = (number, Decimal(7)) if what == "quantity" else (Decimal(7), number)
        amount = line_amount(quantity, price, "EUR").minor
        return PrintedLine("Engineering", quantity, price, amount)

    draft = draft_of(with_places(min(most, 12)))
    remote_id = push(connector, draft)
    assert_shows(connector, draft, connector.fetch_invoice(remote_id))
    if most >= 12:
        return
    connector.delete_draft(remote_id, idempotency_key="key-2")
    longer = draft_of(with_places(most + 1), reference="acme-2")
    with pytest.raises(UnsupportedError, match="decimal places"):
        connector.must_fit(longer)
    # And nothing is refused that could be shown.
    customer = connector.resolve_customer(longer, idempotency_key="key-3")
    try:
        there = connector.create_draft(longer, remote_customer=customer, idempotency_key="key-3")
    except ConnectorError:
        return
    there = with_all_lines(connector, longer, there)
    with pytest.raises(AssertionError):
        assert_shows(connector, longer, there)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_a_currency_is_taken_as_it_is_or_refused_by_name(
    connector: BillingConnector, currency: str
) -> None:
    draft = draft_of(line("3", "1500", currency), currency=currency)
    remote_id = push_if_possible(connector, draft)
    if remote_id is None:
        pytest.skip(f"{connector.name} does not take {currency}, and says so")
    there = connector.fetch_invoice(remote_id)
    assert (there.amounts.total, there.amounts.currency) == (draft.total.minor, currency)
    assert_shows(connector, draft, there)


OF_ANOTHER = replace(
    DRAFT,
    customer=replace(DRAFT.customer, key="bell", name="Bell SA", email="ap@bell.example"),
)
"""A draft for a customer who is not there yet."""
Asked = Callable[[BillingConnector, str], object]
READINGS: dict[str, Asked] = {
    "check": lambda asked, _: asked.check(),
    "fetch": lambda asked, remote_id: asked.fetch_invoice(remote_id),
    "find": lambda asked, _: asked.find_invoice("acme-1", remote_customer=None),
    "changes": lambda asked, _: asked.changes_since(None),
    "made": lambda asked, _: list(asked.made_since(datetime(2000, 1, 1, tzinfo=UTC))),
    "customer": lambda asked, _: asked.resolve_customer(OF_ANOTHER, idempotency_key="key-2"),
}
CHANGES: dict[str, Asked] = {
    "update": lambda asked, remote_id: asked.update_draft(
        draft_of(line("1", "1.00", "EUR", "Other")), remote_id, idempotency_key="key-2"
    ),
    "delete": lambda asked, remote_id: asked.delete_draft(remote_id, idempotency_key="key-2"),
    "customer": lambda asked, _: asked.resolve_customer(OF_ANOTHER, idempotency_key="key-2"),
}
REFUSED = [401, 403, 429, 500, 503]


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("asked", READINGS)
def test_whatever_is_asked_a_refusal_tells_the_next_step(
    http_rig: ContractRig,
    spoiled: SpoiledHttp,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    status: int,
) -> None:
    wanted = PermanentError if status in (401, 403) else TransientError
    assert_refusal(http_rig, spoiled, caplog, READINGS[asked], status, wanted, changes=False)


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("asked", CHANGES)
def test_whatever_is_changed_a_refusal_tells_the_next_step(
    http_rig: ContractRig,
    spoiled: SpoiledHttp,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    status: int,
) -> None:
    wanted = {500: OutcomeUnknownError, 503: OutcomeUnknownError, 429: TransientError}
    expected = wanted.get(status, PermanentError)
    assert_refusal(http_rig, spoiled, caplog, CHANGES[asked], status, expected, changes=True)


def assert_refusal(
    rig: ContractRig,
    spoiled: SpoiledHttp,
    caplog: pytest.LogCaptureFixture,
    asked: Asked,
    status: int,
    wanted: type[ConnectorError],
    *,
    changes: bool,
) -> None:
    connector = rig.connect(spoiled)
    remote_id = push(connector, DRAFT)
    assert rig.refusal
    answer = rig.refusal(status)
    spoiled.at, spoiled.changes, spoiled.spoil = 1, changes, lambda _: answer
    with caplog.at_level(logging.DEBUG):
        try:
            asked(connector, remote_id)
        except ConnectorError as error:
            raised: ConnectorError | None = error
        else:
            raised = None
    if raised is None:
        assert spoiled.at > 0, "it was refused, and nobody noticed"
        pytest.skip("it is known without such a request")
    assert isinstance(raised, wanted)
    assert status != 429 or getattr(raised, "retry_after", None) == 7
    assert_nothing_secret(raised, rig)
    assert rig.secret
    assert rig.secret not in caplog.text
