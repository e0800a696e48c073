"""Spoiling a body: in its structure, then in its bytes.

Everything is decided by one `random.Random`, so a seed gives the same bytes again; Hypothesis has
one of its own, which it can make simpler.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stand in the body as they are: JSON or what looks like it."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Twice:
    """A member that stands twice in its object, with two values."""

    first: Any
    second: Any


NUMBERS: Final = tuple(
    Raw(text)
    for text in (
        *(
            b"1e1000000",
            b"-1e1000000",
            b"1e-1000000",
            b"1E+99999999999999999999",
            b"1e20",
            b"1e-20",
        ),
        *(b"9" * 5000, b"-" + b"9" * 33, b"0." + b"3" * 5000, b"9" * 32, b"0." + b"9" * 29),
        *(b"NaN", b"Infinity", b"-Infinity", b"-0", b"-0.0", b"0.1", b"1.5", b"-1", b"00", b"+1"),
        *(b"0x10", b"1_000", b".5", b"5.", b"1e", b"9223372036854775807", b"9223372036854775808"),
        *(b"-9223372036854775808", b"2147483647", b"2147483648", b"253370764800000"),
        *(b"253402300799999", b"253402300800000", b"-62135596800001", b"4294967296", b"0"),
    )
)
TEXTS: Final[tuple[Any, ...]] = (
    *("", " ", "\t\n", "x" * 300, "x" * 100_000, "é" * 5000, "\U0001f600" * 2000),
    *("٣", "１２", "٢٠٢٦-٠١-٠١", "1_000", " 12 ", "+5", "1e5", "1e1000000", "NaN", "0x1F", "1,5"),
    *("12.5", "-12.5", "9" * 40, "0." + "1" * 40, "true", "null", "None", "undefined"),
    *("2026-13-45", "0001-01-01", "9999-12-31", "2026-02-30", "2026-03-29T02:30:00+01:00"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "9998-12-31T23:59:59-14:00"),
    *("2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+99:99"),
    *("1970-01-01T00:00:00+14:00", "2026-01-01 10:00:00", "2026-W01-1", "PT999999999999H"),
    *("PT1H", "PT-5M", "P1Y", "PT0.1S", "99:99", "1w 2d 3h 4m", "9" * 30 + "h"),
    *(
        "\u202egnp.exe",
        "\ufeff",
        "a\u0300\u0301" * 50,
        "\u200b",
        "Ω≈ç√",
        "\x7f\x1b[2J\x07",
        "\r\nSet-Cookie: a=b",
    ),
    *(
        "{person}",
        "{{7*7}}",
        "${SECRET}",
        "%s%n%x",
        "=1+1",
        "@SUM(A1)",
        "<img src=x onerror=alert(1)>",
    ),
    *(
        "'; DROP TABLE invoice; --",
        "../../etc/passwd",
        "a/b\\c",
        "a:b:c",
        ":",
        "worklog:",
        "*",
        "acme/*",
    ),
    Raw(b'"\\u0000"'),
    Raw(b'"\\ud800"'),
    Raw(b'"\\udc00\\ud800"'),
    Raw(b'"\\ud83d\\ude00"'),
    Raw(b'"\\\\u0000"'),
    Raw(b'"\\x41"'),
    Raw(b'"\xff\xfe"'),
    Raw(b'"\xed\xa0\x80"'),
    Raw(b'"\xc0\xaf"'),
    Raw(b'"a\nb"'),
    Raw(b"'single'"),
    Raw(b'"unclosed'),
)
OTHERS: Final[tuple[Any, ...]] = (
    *(None, True, False, [], {}, [[]], [None], {"": None}, {"id": {}}, [1, "1", 1.5]),
    Raw(b"[" * 33 + b"]" * 33),
    Raw(b"[" * 100_000),
    Raw(b'{"a":' * 31 + b"1" + b"}" * 31),
    Raw(b"[" + b"0," * 99_990 + b"0]"),
    Raw(b"[" + b"0," * 100_010 + b"0]"),
    Raw(b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(5000)) + b"}"),
    Raw(b"1 2"),
    Raw(b"[1,]"),
    Raw(b"{,}"),
    Raw(b"/* a comment */1"),
)
VALID: Final = tuple(
    each
    for each in (*TEXTS, *OTHERS, *range(-2, 30), 86_400, 10**9, 10**12, 10**14 - 1)
    if not isinstance(each, Raw)
)
"""What parses, so that it gets as far as the readers of single fields."""
NAMES: Final = (
    "",
    "id",
    "ID",
    "__proto__",
    "__class__",
    "constructor",
    "a" * 300,
    "\u0130d",
    "i\u200bd",
    "$ref",
)


def spoiled(body: Any, random: Random, changes: int = 1) -> bytes:
    """Return a JSON body after some changes of its structure and perhaps of its bytes."""
    tree = _copied(body)
    for _ in range(changes):
        tree = _changed(tree, random)
    text = written(tree)
    return bent(text, random) if random.random() < 0.15 else text


def _changed(tree: Any, random: Random) -> Any:
    places = list(_places(tree))
    if not places:
        return _leaf(random)
    holder, name = random.choice(places)
    match random.randrange(8):
        case 0:
            del holder[name]
        case 1 if isinstance(holder, dict):
            holder[name] = Twice(holder[name], _leaf(random))
        case 2 if isinstance(holder, dict):
            holder[random.choice(NAMES)] = holder.pop(name)
        case 3:
            other_holder, other_name = random.choice(places)
            value = other_holder[other_name]
            holder[name] = _copied(value)
        case 4:
            # A container only once: a few such changes would multiply to millions.
            is_leaf = not isinstance(holder[name], dict | list)
            holder[name] = [holder[name]] * (random.choice((1, 2, 30)) if is_leaf else 1)
        case 5:
            holder[name] = _twisted(holder[name])
        case _:
            holder[name] = _leaf(random)
    return tree


def _leaf(random: Random) -> Any:
    # A copy, because the next change may go into it.
    return _copied(random.choice(random.choice((VALID, VALID, VALID, NUMBERS, TEXTS, OTHERS))))


def _twisted(value: Any) -> Any:
    """Return a value as another type would write it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 100 else [value]
    return json.dumps(value, default=str)


def bent(text: bytes, random: Random) -> bytes:
    """Return bytes with one change: cut off, flipped, doubled, taken out or put in."""
    if not text:
        return b"\x00"
    at = random.randrange(len(text))
    to = min(len(text), at + random.choice((1, 2, 8, 64)))
    match random.randrange(7):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + bytes((text[at] ^ (1 << random.randrange(8)),)) + text[at + 1 :]
        case 2:
            return text[:to] + text[at:]
        case 3:
            return text[:at] + text[to:]
        case 4:
            return text[:at] + random.choice(_PUT_IN) + text[at:]
        case 5:
            return random.choice(_BEFORE) + text
        case _:
            return text.decode("utf-8", "replace").encode(
                random.choice(("utf-16", "utf-32", "utf-8-sig"))
            )


_PUT_IN: Final = (
    b"\x00",
    b"\xff",
    b"\\",
    b'"',
    b"{",
    b"]",
    b",",
    b"\xe2\x80\xa8",
    b"1e999999",
    b"\\ud800",
)
_BEFORE: Final = (b"\xef\xbb\xbf", b" " * 10_000, b"\n\t\r", b"payload=", b"\x1f\x8b", b"<?xml?>")


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_copied(member) for member in value]
    return value


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        holder = pending.pop()
        names = (
            holder
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else ()
        )
        for name in names:
            found.append((holder, name))
            pending.append(holder[name])
    return found


def written(value: Any) -> bytes:
    """Return a tree as JSON, with everything in it that `json` would not write."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Twice):
        return written(value.first)
    if isinstance(value, dict):
        members = []
        for name, member in value.items():
            key = json.dumps(str(name)).encode()
            each = (member.first, member.second) if isinstance(member, Twice) else (member,)
            members += [key + b":" + written(one) for one in each]
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(written(member) for member in value) + b"]"
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
