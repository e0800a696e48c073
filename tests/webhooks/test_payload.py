"""What is refused of untrusted JSON, and how the rest is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import PayloadError
from webhooks.payload import (
    MOST_BYTES,
    MOST_NODES,
    Payload,
    milliseconds,
    moment_of,
    parse,
)

HOSTILE = {
    "a huge exponent": b'{"n": 1e1000000}',
    "a huge negative exponent": b'{"n": 1e-1000000}',
    "an exponent beyond the bound": b'{"n": 1e21}',
    "an integer of 5,000 digits": b'{"n": ' + b"9" * 5000 + b"}",
    "a fraction of 5,000 digits": b'{"n": 0.' + b"9" * 5000 + b"}",
    "an integer of 33 digits": b'{"n": ' + b"9" * 33 + b"}",
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "lists 100,000 deep, unclosed": b"[" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "lists 33 deep, unclosed": b"[" * 33,
    "lists 33 deep, unclosed, within texts": b'{"[":' * 33,
    "lists 33 deep": b"[" * 33 + b"]" * 33,
    "lists and objects 33 deep": b'[{"a":' * 17 + b"1" + b"}]" * 17,
    "more values than allowed": b"[" + b"0," * MOST_NODES + b"0]",
    "more empty lists than allowed": b"[" + b"[]," * MOST_NODES + b"[]]",
    "more bytes than allowed": b" " * (MOST_BYTES + 1),
    "a duplicate key": b'{"a": 1, "b": 2, "a": 1}',
    "a duplicate key deep inside": b'{"a": [{"b": 1, "b": 2}]}',
    "a duplicate key in another spelling": b'{"a": 1, "\\u0061": 2}',
    "NaN": b'{"n": NaN}',
    "Infinity": b'{"n": Infinity}',
    "minus Infinity": b'{"n": -Infinity}',
    "Arabic digits": '{"n": ١٢}'.encode(),
    "full-width digits": '{"n": １２}'.encode(),
    "an underscore in a number": b'{"n": 1_000}',
    "a leading zero": b'{"n": 012}',
    "a plus sign": b'{"n": +1}',
    "a NUL by escape": b'{"t": "a\\u0000b"}',
    "a NUL as it is": b'{"t": "a\x00b"}',
    "a NUL in a key": b'{"a\\u0000": 1}',
    "a lone high surrogate": b'{"t": "\\ud83d"}',
    "a lone low surrogate": b'{"t": "\\uDE00"}',
    "surrogates the wrong way round": b'{"t": "\\ude00\\ud83d"}',
    "two high surrogates": b'{"t": "\\ud83d\\ud83d\\ude00"}',
    "surrogates with a backslash between": b'{"t": "\\ud83d\\\\\\ude00"}',
    "a raw surrogate": b'{"t": "\xed\xa0\xbd"}',
    "Latin-1": b'{"t": "\xe9"}',
    "UTF-16": '{"t": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a line break in a text": b'{"t": "a\nb"}',
    "two values": b"{} {}",
    "a trailing comma": b'{"a": 1,}',
    "a comment": b"{} // nothing",
    "single quotes": b"{'a': 1}",
    "nothing": b"",
}

FINE: dict[str, tuple[bytes, Any]] = {
    "lists 32 deep": (b"[" * 32 + b"]" * 32, None),
    "brackets in texts": (b'{"t": "' + b"[{" * 1000 + b'"}', "[{" * 1000),
    "brackets behind an escaped quote": (b'{"t": "\\"[[[["}', '"[[[['),
    "brackets behind an escaped backslash": (b'{"t": "\\\\"}', "\\"),
    "a written-out escape of NUL": (b'{"t": "\\\\u0000"}', "\\u0000"),
    "a written-out escape of a surrogate": (b'{"t": "\\\\ud83d"}', "\\ud83d"),
    "a surrogate pair": (b'{"t": "\\uD83D\\uDE00"}', "\U0001f600"),
    "two surrogate pairs": (b'{"t": "\\ud83d\\ude00\\ud83d\\ude01"}', "\U0001f600\U0001f601"),
    "an exact fraction": (b'{"t": 0.1}', Decimal("0.1")),
    "an exponent within bounds": (b'{"t": 1.5e3}', Decimal("1500")),
    "an integer of 32 digits": (b'{"t": ' + b"9" * 32 + b"}", int("9" * 32)),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_refused_at_once(body: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(PayloadError) as refusal:
        parse(body)
    # CPU time of this thread: what a loaded machine does meanwhile does not count.
    assert time.thread_time() - started < 0.05
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(("body", "value"), FINE.values(), ids=FINE.keys())
def test_unusual_but_sound_json_is_read_exactly(body: bytes, value: Any) -> None:
    payload = parse(body)
    if value is not None:
        assert payload.raw("t") == value
        assert type(payload.raw("t")) is type(value)


def test_a_body_of_forty_megabytes_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(PayloadError, match="longer than"):
        parse(b'"' * 40_000_000)


def test_the_repeated_key_is_named_without_control_characters() -> None:
    with pytest.raises(PayloadError, match=r'has "k\\u001b" twice'):
        parse(b'{"k\\u001b": 1, "k\\u001b": 2}')


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_payload_or_a_payload_error(body: bytes) -> None:
    try:
        payload = parse(body)
    except PayloadError as error:
        path = error.path
    else:
        path = "body"
        assert isinstance(payload, Payload)
    assert path == "body"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab[{\"\\'"), inner),
    max_leaves=30,
)


@settings(deadline=None)
@given(JSON, st.booleans())
def test_sound_json_is_read_as_the_standard_library_reads_it(
    value: Any, ensure_ascii: bool
) -> None:
    body = json.dumps({"top": value}, ensure_ascii=ensure_ascii).encode()
    assert parse(body).raw("top") == value


@settings(deadline=None)
@given(st.text('[]{}",:\\ 1a', max_size=60))
def test_what_the_standard_library_refuses_is_refused(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(PayloadError):
            parse(text.encode())


@settings(deadline=None)
@given(st.integers(1, 60), st.booleans())
def test_depth_is_counted_exactly(depth: int, as_objects: bool) -> None:
    opening, closing = (b'{"[":', b"}") if as_objects else (b"[[],", b"]")
    body = opening * depth + b"0" + closing * depth
    # The list form has an empty list inside its innermost list.
    if depth + (not as_objects) > 32:
        with pytest.raises(PayloadError, match="nested"):
            parse(body)
    else:
        parse(body)


def reader(name: str) -> Callable[[Payload], object]:
    return lambda payload: getattr(payload, name)("x")


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("text", True),
        ("text", ["a"]),
        ("identifier", ""),
        ("identifier", "  "),
        ("identifier", "x" * 256),
        ("identifier", True),
        ("identifier", 1.5),
        ("integer", True),
        ("integer", 1.0),
        ("integer", "1"),
        ("integer", 2**63),
        ("integer_text", 1),
        ("integer_text", "١"),
        ("integer_text", "1_0"),
        ("integer_text", "-1"),
        ("integer_text", "9" * 19),
        ("decimal", True),
        ("decimal", "1e5"),
        ("decimal", "١٢.٥"),
        ("decimal", "NaN"),
        ("decimal", ""),
        ("boolean", 1),
        ("boolean", "true"),
        ("items", {}),
        ("items", "abc"),
        ("texts", ["a", 1]),
        ("texts", "a"),
        ("moment", "2026-03-04"),
        ("moment", "2026-03-04T12:00:00"),
        ("moment", "2026-03-04 12:00:00Z"),
        ("moment", "2026-02-30T12:00:00Z"),
        ("moment", "2026-03-04T25:00:00Z"),
        ("moment", "2026-03-04T12:00:00+25:00"),
        ("moment", "0001-01-01T00:00:00+05:00"),
        ("moment", "9999-12-31T23:59:59-05:00"),
        ("moment", "٢٠٢٦-03-04T12:00:00Z"),
        ("moment", 1772469000123),
        ("day", "2026-3-4"),
        ("day", "2026-02-30"),
        ("day", "0001-01-01"),
        ("day", "20260304"),
        ("unix_milliseconds", -1),
        ("unix_milliseconds", 10**15),
        ("unix_milliseconds", "1"),
        ("unix_seconds", 10**12),
    ],
)
def test_a_value_of_another_form_is_refused_with_its_path(method: str, value: object) -> None:
    payload = parse(json.dumps({"a": [{"x": value}]}).encode())
    element = next(payload.items("a"))
    with pytest.raises(PayloadError) as refusal:
        reader(method)(element)
    assert refusal.value.path == "a[0].x"


@pytest.mark.parametrize(
    "method",
    [
        "text",
        "identifier",
        "integer",
        "integer_text",
        "decimal",
        "boolean",
        "items",
        "moment",
        "day",
        "unix_milliseconds",
        "unix_seconds",
        "__getitem__",
    ],
)
@pytest.mark.parametrize(("body", "problem"), [(b"{}", "is missing"), (b'{"x":null}', "is null")])
def test_missing_and_null_are_told_apart(method: str, body: bytes, problem: str) -> None:
    with pytest.raises(PayloadError) as refusal:
        reader(method)(parse(body))
    assert (refusal.value.path, refusal.value.problem) == ("x", problem)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-04T12:30:00Z", datetime(2026, 3, 4, 12, 30, tzinfo=UTC)),
        ("2026-03-04t12:30:00z", datetime(2026, 3, 4, 12, 30, tzinfo=UTC)),
        ("2021-01-17T12:34:00.000+0000", datetime(2021, 1, 17, 12, 34, tzinfo=UTC)),
        ("2026-03-04T01:30:00+05:30", datetime(2026, 3, 3, 20, 0, tzinfo=UTC)),
        ("2026-03-04T01:30:00.652+0530", datetime(2026, 3, 3, 20, 0, 0, 652000, tzinfo=UTC)),
        ("2026-03-04T12:30:00.123456789Z", datetime(2026, 3, 4, 12, 30, 0, 123456, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_rfc_3339_and_as_jira_writes_them(text: str, moment: datetime) -> None:
    read = parse(json.dumps({"x": text}).encode()).moment("x")
    assert read == moment
    assert text[:10] == read.date().isoformat(), "the date is the one of its own offset"


def test_values_are_read_with_their_types() -> None:
    payload = parse(
        b'{"t":"a","i":7,"d":1.25,"s":"1.25","b":false,"day":"2026-03-04","l":["a","b"],"e":""}'
    )
    assert payload.text("t") == "a"
    assert payload.identifier("i") == "7"
    assert payload.integer("i", least=7, most=7) == 7
    assert payload.decimal("d") == payload.decimal("s") == Decimal("1.25")
    assert payload.decimal("i") == Decimal(7)
    assert payload.boolean("b") is False
    assert payload.day("day") == date(2026, 3, 4)
    assert payload.texts("l") == ("a", "b")
    assert payload.texts("missing") == ()
    assert payload.optional_text("e") is None
    assert payload.optional("missing") is None


def test_a_body_that_is_no_object_is_named_as_the_body() -> None:
    with pytest.raises(PayloadError, match="body: must be an object, but is a list"):
        parse(b"[]").text("x")


@settings(deadline=None)
@given(st.integers(0, 253_370_764_800_000))
def test_milliseconds_survive_the_way_there_and_back(value: int) -> None:
    assert milliseconds(moment_of(value)) == value


def test_milliseconds_are_cut_not_rounded() -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1999)
    assert milliseconds(moment) == 1
