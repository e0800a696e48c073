"""What is Xero's own: the test of the address, answers without a body, its published schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jsonschema_rs import Draft202012Validator
from werkzeug.test import TestResponse

from ledger.events import Delivery
from ledger.ports import SystemClock
from tests.contracts.schemas import corpus, loaded, without_references
from webhooks.receiver import Endpoint, receiver
from webhooks.registry import sources

XERO = sources()["xero"]
KEY = "a-webhooks-key-of-the-tests=="
PAYLOADS = sorted((Path(__file__).parents[2] / "webhooks/xero/payloads").glob("*.json"))
INTENT = json.dumps(
    {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": "ABC"}
).encode()


class Kept:
    """An inbox that remembers what it was given."""

    def __init__(self) -> None:
        self.accepted: list[str | None] = []
        self.refused: list[str] = []

    def accept(self, request: Delivery, *, source: str, delivery_id: str | None) -> bool:
        self.accepted.append(delivery_id)
        return self.accepted.count(delivery_id) == 1

    def refuse(self, endpoint: str, reason: str) -> None:
        self.refused.append(reason)


class Silent:
    """A doorbell that nobody hears."""

    def ring(self, stage: str) -> None:
        pass


@pytest.fixture
def kept() -> Kept:
    return Kept()


def posted(kept: Kept, body: bytes, key: str = KEY) -> TestResponse:
    """Return the answer to a delivery that was signed with a key."""
    app = Flask("receiver")
    endpoint = Endpoint("xero", XERO, (KEY,))
    app.register_blueprint(
        receiver(kept, lambda name: endpoint, SystemClock(), Silent(), most_bytes=100_000)
    )
    assert XERO.signature
    now = SystemClock().now()
    headers = XERO.signature.sign(body, key, delivery_id="", now=now)
    headers["Content-Type"] = "application/json"
    return app.test_client().post("/webhooks/xero", data=body, headers=headers)


def test_the_test_of_the_address_is_answered_as_xero_wants_it(kept: Kept) -> None:
    right, wrong = posted(kept, INTENT), posted(kept, INTENT, "another-key-of-the-tests")
    assert (right.status_code, right.data) == (200, b"")
    assert (wrong.status_code, wrong.data) == (401, b"")
    assert "Set-Cookie" not in {**right.headers, **wrong.headers}
    # Nothing of it is kept but that one was refused.
    assert (kept.accepted, kept.refused) == ([], ["signature"])


def test_a_delivery_is_answered_200_without_a_body_also_when_it_comes_again(kept: Kept) -> None:
    body = json.dumps(_told("several")["body"]).encode()
    for _ in range(2):
        answer = posted(kept, body)
        assert (answer.status_code, answer.data) == (200, b"")
    assert kept.accepted[0] == kept.accepted[1] is not None


def test_a_webhook_that_is_made_anew_and_counts_from_one_again_is_not_taken_for_a_repetition() -> (
    None
):
    body = _told("invoice")["body"]
    again = {**body, "entropy": "ANOTHERRANDOMTEXT"}
    assert XERO.delivery_id(_delivery(body)) != XERO.delivery_id(_delivery(again))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-31",
        "2026-03-31T25:00:00",
        "2026-03-31T12:00:00+02:00",
        "soon",
        "0001-01-01T00:00:00",
    ],
)
def test_a_moment_that_is_not_in_utc_is_refused_by_name(moment: str) -> None:
    body = _told("invoice")["body"]
    body["events"][0]["eventDateUtc"] = moment
    with pytest.raises(Exception, match=r"events\[0\].eventDateUtc"):
        XERO.normalize(_delivery(body))


@pytest.mark.parametrize("file", PAYLOADS, ids=lambda file: file.stem)
def test_our_payloads_are_such_as_xero_describes(file: Path) -> None:
    if corpus() is None:
        pytest.skip("BILLHOOK_CORPUS is not set: Xero's published schema is not at hand")
    if file.stem in ("intent-to-receive", "prepaid"):
        pytest.skip("the test of the address and newer categories are not in that schema")
    spec = without_references(loaded("xero-webhooks.yaml"))
    schemas = spec["components"]["schemas"]
    schema = schemas["CreditNoteWebhookEvent" if file.stem == "creditnote" else "WebhookEvent"]
    body = _told(file.stem)["body"]
    text = json.dumps(body).replace("$each", _told(file.stem).get("each", [""])[0])
    errors = list(Draft202012Validator(schema).iter_errors(json.loads(text)))
    assert errors == []
    # And it would be noticed.
    del body["events"][0]["tenantType"]
    assert list(Draft202012Validator(schema).iter_errors(body))


def _told(name: str) -> Any:
    folder = PAYLOADS[0].parent
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _delivery(body: Mapping[str, Any]) -> Delivery:
    return Delivery({}, json.dumps(body).encode(), SystemClock().now(), "xero")
