"""Gitea and Forgejo: form-encoded deliveries, which are signed over the decoded field."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

import webhooks
from ledger.errors import PayloadError, SignatureError
from ledger.events import Delivery
from webhooks.gitea.source import GiteaSource

SOURCE = GiteaSource()
NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
SECRET = "quite a secret"
PAYLOADS = Path(next(iter(webhooks.__path__))) / "gitea" / "payloads"


def content() -> str:
    told = json.loads((PAYLOADS / "issues.closed.json").read_text(encoding="utf-8"))["body"]
    told["issue"]["title"] = "Größe & Maß: 100% + 1=2"
    return json.dumps(told, ensure_ascii=False, indent=2)


def signed(body: bytes, over: str, header: str = "x-gitea-signature") -> Delivery:
    digest = hmac.new(SECRET.encode(), over.encode(), hashlib.sha256).hexdigest()
    prefix = "sha256=" if header == "x-hub-signature-256" else ""
    return Delivery({"x-gitea-event": "issues", header: prefix + digest}, body, NOW, "gitea")


@pytest.mark.parametrize(
    "header", ["x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"]
)
def test_a_form_is_verified_and_read_as_its_json(header: str) -> None:
    form = signed(urlencode({"payload": content()}).encode(), content(), header)
    SOURCE.verify(form, [SECRET], now=NOW)
    plain = signed(content().encode(), content(), header)
    SOURCE.verify(plain, [SECRET], now=NOW)
    assert SOURCE.normalize(form) == SOURCE.normalize(plain)
    (event,) = SOURCE.normalize(form).events
    assert event.title == "Größe & Maß: 100% + 1=2"


def test_a_second_field_is_neither_signed_nor_read() -> None:
    form = urlencode([("payload", content()), ("payload", "{}")]).encode()
    delivery = signed(form, content())
    with pytest.raises(SignatureError):
        SOURCE.verify(delivery, [SECRET], now=NOW)
    with pytest.raises(PayloadError):
        SOURCE.normalize(delivery)


def test_a_form_whose_bytes_are_signed_is_not_how_gitea_signs() -> None:
    form = urlencode({"payload": content()})
    with pytest.raises(SignatureError):
        SOURCE.verify(signed(form.encode(), form), [SECRET], now=NOW)


@pytest.mark.parametrize(
    ("body", "event_type"),
    [
        ({"sha": "1", "ref": "main", "ref_type": "branch"}, "create"),
        ({"ref": "main", "ref_type": "branch", "pusher_type": "user"}, "delete"),
        ({"before": "0", "after": "1", "commits": None}, "push"),
        ({"sha": "1", "state": "success", "context": "ci"}, "status"),
        ({"action": "failure", "run": {}, "prior_status": "success"}, "action_run_failure"),
        ({"action": "created", "repository": {}, "organization": {}}, "repository"),
    ],
)
def test_without_its_header_the_shape_tells_the_event(body: object, event_type: str) -> None:
    delivery = Delivery({}, json.dumps(body).encode(), NOW, "gitea")
    assert SOURCE.event_type(delivery) == event_type
