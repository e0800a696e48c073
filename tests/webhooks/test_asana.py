"""What is Asana's own: the handshake, and deliveries that only name what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ledger.errors import SignatureError
from ledger.events import Delivery
from webhooks.registry import sources

ASANA = sources()["asana"]
NOW = datetime(2026, 3, 31, tzinfo=UTC)
SECRET = "1f4f7b6de2c94b8b8d8e0a55c5d7f001"


def test_the_handshake_sends_the_secret_back_and_nothing_else() -> None:
    answer = ASANA.greeting(Delivery({"x-hook-secret": SECRET}, b"{}", NOW))
    assert answer is not None
    assert (answer.status, dict(answer.headers), answer.body) == (
        200,
        {"X-Hook-Secret": SECRET},
        b"",
    )


@pytest.mark.parametrize("value", ["", "short", "x" * 129, "a b" * 10, "é" * 20, "a\r\nb" * 10])
def test_what_is_no_secret_is_not_sent_back(value: str) -> None:
    assert ASANA.greeting(Delivery({"x-hook-secret": value}, b"{}", NOW)) is None


def test_a_second_handshake_is_not_signed_and_so_not_accepted_by_a_live_endpoint() -> None:
    again = Delivery({"x-hook-secret": SECRET}, b"{}", NOW)
    assert ASANA.handshake(again) is None
    with pytest.raises(SignatureError):
        ASANA.verify(again, ["the endpoint's own secret"], now=NOW)


def test_of_two_answers_about_an_entry_the_later_one_counts() -> None:
    body = b'{"gid":"7","duration_minutes":5,"entered_on":"2026-03-02"}'
    first = Delivery({"billhook-found": "time_entry"}, body, NOW, "asana")
    later = replace(first, received_at=NOW.replace(hour=1))
    (one,), (other,) = ASANA.normalize(first).events, ASANA.normalize(later).events
    assert one.version < other.version
    assert one.as_json() == other.as_json()
