"""Found things keep what the tool said, and only news gets into the line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger.events import Found

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9)))
def test_a_decimal_is_written_as_the_number_that_it_was(number: Decimal) -> None:
    body = Found.thing("entry", {"hours": number, "list": [number]}).delivery("here", NOW).body
    told = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    assert told == {"hours": number, "list": [number]}


def test_texts_stay_texts() -> None:
    body = Found.thing("entry", {"a": "1.5", "b": 'x "2.5"', "c": None, "d": True, "e": 7})
    told = json.loads(body.delivery("here", NOW).body)
    assert told == {"a": "1.5", "b": 'x "2.5"', "c": None, "d": True, "e": 7}
