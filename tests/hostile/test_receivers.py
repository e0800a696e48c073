"""What a stranger sends, correctly signed, to every source: nothing breaks, nothing is dear.

The long run is `python -m torture.fuzz`; a seed that ever failed there stands here as a case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ledger import tables
from ledger.errors import PayloadError, UnsupportedEventTypeError
from ledger.events import Delivery
from torture import fuzz
from torture.fuzzing.firm import MOST_CPU_SECONDS, NOW, Example, Firm, examples
from torture.fuzzing.mutations import spoiled
from webhooks.registry import sources
from webhooks.source import Source

SOURCES = [pytest.param(source, id=key) for key, source in sources().items()]
EVERY = [example for source in sources().values() for example in examples(source)]


@pytest.fixture
def firm(tmp_path: Path, sqlite_url: str) -> Iterator[Firm]:
    firm = Firm(tmp_path, sqlite_url)
    yield firm
    firm.close()


@pytest.fixture
def any_firm(tmp_path: Path, database_url: str) -> Iterator[Firm]:
    firm = Firm(tmp_path, database_url)
    yield firm
    firm.close()


def test_spoiled_deliveries_of_every_source_end_in_a_known_state(any_firm: Firm) -> None:
    statuses = {fuzz.post(any_firm, EVERY, seed=2026, number=number) for number in range(250)}
    any_firm.settle()
    assert any_firm.wrong() == []
    assert {status for status in statuses if status >= 500} == set()
    states = any_firm.states()
    assert min(states["delivery normalized"], states["delivery unreadable"]) > 20, (
        "the mutations are too harsh or too tame"
    )


def test_a_seed_posts_the_same_again() -> None:
    bodies = {spoiled(EVERY[3].body, Random("7:3"), 5) for _ in range(3)}
    assert len(bodies) == 1


@pytest.mark.parametrize("source", SOURCES)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(random=st.randoms(use_true_random=False))
def test_a_spoiled_body_gives_a_reading_or_one_of_our_errors(
    source: Source, random: Random
) -> None:
    example = random.choice(examples_of(source))
    body = spoiled(example.body, random, random.choice((1, 2, 5)))
    headers = {name.lower(): value for name, value in example.headers.items()}
    delivery = Delivery(headers, body, NOW, source.key)
    begun = time.thread_time()
    try:
        source.delivery_id(delivery)
        source.handshake(delivery)
        source.greeting(delivery)
        source.normalize(delivery)
    except (PayloadError, UnsupportedEventTypeError) as error:
        told = str(error)
    else:
        told = ""
    assert told.isprintable()
    assert time.thread_time() - begun < MOST_CPU_SECONDS


def examples_of(source: Source) -> list[Example]:
    return [each for each in EVERY if each.source is source]


POISON = [
    b'{"n":1e1000000}',
    b'{"n":-1e-1000000}',
    b'{"n":' + b"9" * 1_000_000 + b"}",
    b'{"n":NaN}',
    b"[" * 500_000,
    b'{"a":' * 200_000,
    b"[" * 200_000 + b"]" * 200_000,
    b"[" + b"{}," * 300_000 + b"{}]",
    b'{"' + b'":{"' * 150_000,
    b'"' + b"\\" * 900_000,
    b'"' + b"\\ud800\\udc00" * 80_000 + b'"',
    b'"' + b"\\ud800" * 150_000 + b'"',
    b"\x00" * 1_000_000,
    b"\xff" * 1_000_000,
    b" " * 1_000_000,
    b'{"a":1,' * 100_000,
    b'"' * 1_000_000,
    b"-" * 1_000_000,
    b"," * 1_000_000,
    b"{" + b",".join(b'"%d":0' % number for number in range(60_000)) + b"}",
]


@pytest.mark.parametrize("body", POISON, ids=lambda body: f"{body[:12]!r}")
def test_a_megabyte_of_poison_costs_no_quarter_of_a_second(body: bytes) -> None:
    source = sources()["generic"]
    delivery = Delivery({"webhook-id": "msg_1"}, body, NOW, "generic")
    begun = time.thread_time()
    source.delivery_id(delivery)
    with pytest.raises(PayloadError):
        source.normalize(delivery)
    assert time.thread_time() - begun < MOST_CPU_SECONDS


def generic(firm: Firm, number: int, **told: Any) -> int:
    (example, *_) = [each for each in EVERY if each.source.key == "generic" and not each.is_found]
    event = {
        "kind": "usage.recorded",
        "subject": f"usage:{number}",
        "project": "X",
        "title": "Storage",
        "on": "2026-10-01",
        "changed_at": "2026-10-02T00:00:00Z",
        **told,
    }
    body = json.dumps(event).encode()
    return firm.post(example, body, {"webhook-id": f"msg_{number}"}, "generic")


def test_a_quantity_beyond_belief_is_held_and_stops_nobody_else(firm: Firm) -> None:
    """More than an invoice's total can hold once stopped the customer, or the whole batch."""
    beyond = [10**12, 10**13, 10**14 - 1, 10**18, "9" * 14, 1e19]
    for number, quantity in enumerate(beyond * 4):
        generic(firm, number, fields={"quantity": quantity})
    generic(firm, 99, fields={"quantity": 2})
    firm.settle()
    assert firm.wrong() == []
    with firm.line.database.read() as connection:
        assert connection.scalars(select(tables.line_item.c.amount)).all() == [900_000]
        reasons = connection.scalars(
            select(tables.subject.c.reason).where(tables.subject.c.state == "held")
        )
        assert all(reason and "correct" in reason for reason in reasons)


ODD: list[dict[str, Any]] = [
    {"title": "\ufeff\u202e"},
    {"labels": ["=1+1"] * 500},
    {"fields": {"quantity": 2, "a" * 5000: {"b": [1] * 1000}}},
    {"project": "x" * 10_000},
    {"person": "\U0001f600" * 300},
    {"subject": "usage:" + "x" * 249},
    {"on": "1970-01-01"},
    {"on": "9998-12-31"},
]


def test_odd_but_sound_values_are_billed_or_held(any_firm: Firm) -> None:
    for number, told in enumerate(ODD):
        assert generic(any_firm, number, **{"fields": {"quantity": 2}, **told}) == 202
    any_firm.settle()
    assert any_firm.wrong() == []
    assert any_firm.states()["delivery normalized"] == len(ODD)
