"""Typed reading of JSON that a stranger wrote; every source reads its bodies through here.

`parse` refuses what costs time, is ambiguous or could not be stored; `Payload` then walks
with a path, so that a mistake names its field: `worklog.timeSpentSeconds: is missing`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NoReturn

from ledger.errors import PayloadError

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_DEPTH: Final = 32
"""Real bodies nest less than 15 deep."""
MOST_NODES: Final = 100_000
LONGEST_NUMBER: Final = 32
"""Characters: `int` of a 5,000-digit text and `Decimal` of `1e1000000` cost CPU time."""
GREATEST_EXPONENT: Final = 20
MOST_INTEGER: Final = 2**63 - 1
"""What a database column holds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MILLISECONDS: Final = 253_370_764_800_000
"""The year 9999, where `datetime` ends."""
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,20}(\.\d{1,10})?", re.ASCII)
_WHOLE: Final = re.compile(r"\d{1,18}", re.ASCII)
_SURROGATE_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_TOO_DEEP: Final = b"[" * (MOST_DEPTH + 1)
_AS_SQUARE: Final = bytes.maketrans(b"{}", b"[]")


class Payload:
    """One value somewhere in a body, and its path from the top."""

    __slots__ = ("_path", "_value")

    def __init__(self, value: object, path: str = "") -> None:
        self._value = value
        self._path = path

    def __getitem__(self, name: str) -> Payload:
        """Return a member; raise PayloadError if it is missing or null."""
        return Payload(self._required(name), self.path_of(name))

    def optional(self, name: str) -> Payload | None:
        """Return a member, None if it is missing or null."""
        value = self._members().get(name)
        return None if value is None else Payload(value, self.path_of(name))

    def has(self, name: str) -> bool:
        """Return whether a member is there and not null."""
        return self._members().get(name) is not None

    def names(self) -> tuple[str, ...]:
        """Return the names of all members."""
        return tuple(self._members())

    def raw(self, name: str) -> object:
        """Return a member as plain JSON values, None if it is missing."""
        return self._members().get(name)

    def items(self, name: str) -> Iterator[Payload]:
        """Yield the elements of a list; raise PayloadError if it is no list."""
        value = self._required(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        path = self.path_of(name)
        return (Payload(element, f"{path}[{index}]") for index, element in enumerate(value))

    @property
    def is_list(self) -> bool:
        """Return whether this value is a list; for bodies that have one at the top."""
        return isinstance(self._value, list)

    def elements(self) -> Iterator[Payload]:
        """Yield the elements of this value; raise PayloadError if it is no list."""
        if not isinstance(self._value, list):
            kind = _kind_of(self._value)
            raise PayloadError(self._path or "body", f"must be a list, but is {kind}")
        return (
            Payload(element, f"{self._path}[{index}]") for index, element in enumerate(self._value)
        )

    def text(self, name: str) -> str:
        """Return a text; raise PayloadError if it is anything else."""
        value = self._required(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, None if it is missing, null or empty."""
        return (self.text(name) or None) if self.has(name) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, empty if it is missing or null."""
        if not self.has(name):
            return ()
        found = self._required(name)
        if not isinstance(found, list) or not all(isinstance(element, str) for element in found):
            raise self._wrong(name, "a list of texts")
        return tuple(found)

    def identifier(self, name: str) -> str:
        """Return an id, which tools write as a text or as a whole number, as text."""
        value = self._required(name)
        if isinstance(value, str) and value.strip() and len(value) <= 255:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self._wrong(name, "an id: a text of at most 255 characters or a whole number")

    def integer(self, name: str, *, least: int = -MOST_INTEGER, most: int = MOST_INTEGER) -> int:
        """Return a whole number within bounds; true and 1.0 are none."""
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, "a whole number")
        if not least <= value <= most:
            raise PayloadError(self.path_of(name), f"must be between {least} and {most}")
        return value

    def integer_text(self, name: str) -> int:
        """Return a whole number that the tool writes as a text of digits, such as `"21060"`."""
        value = self.text(name)
        if not _WHOLE.fullmatch(value):
            raise self._wrong(name, "a text of digits")
        return int(value)

    def decimal(self, name: str) -> Decimal:
        """Return an exact decimal, from a number or from a text such as `"1.25"`."""
        value = self._required(name)
        if isinstance(value, Decimal):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            return Decimal(value)
        raise self._wrong(name, 'a decimal number such as 1.25 or "1.25"')

    def boolean(self, name: str) -> bool:
        """Return true or false; 0, 1 and "yes" are neither."""
        value = self._required(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def moment(self, name: str) -> datetime:
        """Return an aware datetime in the offset it is written in: RFC 3339 or Jira's `+0530`."""
        value = self._required(name)
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            try:
                moment = datetime.fromisoformat(value.upper())
            except ValueError:
                pass
            else:
                # Beyond these years another time zone's year may not exist.
                if 1970 <= moment.year < 9999:
                    return moment
        raise self._wrong(name, "a moment with its offset, such as 2026-03-04T12:30:00Z")

    def day(self, name: str) -> date:
        """Return a date written as 2026-03-04."""
        value = self._required(name)
        if isinstance(value, str) and _DAY.fullmatch(value):
            try:
                day = date.fromisoformat(value)
            except ValueError:
                pass
            else:
                if 1970 <= day.year < 9999:
                    return day
        raise self._wrong(name, "a date such as 2026-03-04")

    def unix_milliseconds(self, name: str) -> int:
        """Return a moment that the tool writes as whole milliseconds since 1970, as it stands."""
        return self.integer(name, least=0, most=_MOST_MILLISECONDS)

    def unix_seconds(self, name: str) -> int:
        """Return a moment that the tool writes as whole seconds since 1970, as it stands."""
        return self.integer(name, least=0, most=_MOST_MILLISECONDS // 1000)

    def path_of(self, name: str) -> str:
        """Return the path of a member, as errors name it."""
        return f"{self._path}.{name}" if self._path else name

    def _members(self) -> dict[str, Any]:
        if isinstance(self._value, dict):
            return self._value
        raise PayloadError(
            self._path or "body", f"must be an object, but is {_kind_of(self._value)}"
        )

    def _required(self, name: str) -> object:
        members = self._members()
        value: object = members.get(name)
        if value is None:
            problem = "is null" if name in members else "is missing"
            raise PayloadError(self.path_of(name), problem)
        return value

    def _wrong(self, name: str, needed: str) -> PayloadError:
        kind = _kind_of(self._members().get(name))
        return PayloadError(self.path_of(name), f"must be {needed}, but is {kind}")


def parse(body: bytes) -> Payload:
    """Return a body's JSON; raise PayloadError for anything that is not strict, small JSON."""
    _scan(body)
    try:
        value = _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise PayloadError("body", "is not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PayloadError("body", f"is not JSON ({where}: {error.msg})") from None
    return Payload(value)


def milliseconds(moment: datetime) -> int:
    """Return an aware datetime as Unix milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(unix_milliseconds: int) -> datetime:
    """Return Unix milliseconds as an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=unix_milliseconds)


def quoted(text: str) -> str:
    """Return a stranger's text fit for an error message: short, quoted, without control characters.

    >>> quoted("a" + chr(27))
    '"a\\\\u001b"'
    """
    return json.dumps(text if len(text) <= 60 else text[:57] + "...")


def _scan(body: bytes) -> None:
    """Refuse by a few passes over the bytes what would be dear to find out after parsing."""
    if len(body) > MOST_BYTES:
        raise PayloadError("body", f"is longer than {MOST_BYTES} bytes")
    unescaped = body
    if b"\\" in body:
        # Escaped backslashes go first, so that every backslash left begins an escape.
        unescaped = body.replace(b"\\\\", b"--")
        if b"\\u0000" in unescaped:
            raise PayloadError("body", "has a NUL character in a text")
        if _SURROGATE.search(unescaped) and _SURROGATE.search(_SURROGATE_PAIR.sub(b"", unescaped)):
            raise PayloadError("body", "has half a character (a lone surrogate) in a text")
        unescaped = unescaped.replace(b'\\"', b"--")
    if unescaped.count(b'"') > 4 * MOST_NODES:
        raise PayloadError("body", f"has more than {MOST_NODES} texts")
    outside_texts = b"".join(unescaped.split(b'"')[::2])
    brackets = outside_texts.translate(_AS_SQUARE, _ALL_BUT_BRACKETS)
    if outside_texts.count(b",") + brackets.count(b"[") > MOST_NODES:
        raise PayloadError("body", f"has more than {MOST_NODES} values")
    # Each pass takes the innermost brackets away, so the passes count the depth. A run of
    # opening ones is too deep at once, whether it is closed or not.
    for _ in range(MOST_DEPTH):
        if not brackets or _TOO_DEEP in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    if b"[]" in brackets or _TOO_DEEP in brackets:
        raise PayloadError("body", f"is nested deeper than {MOST_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise PayloadError("body", f"has {quoted(name)} twice in one object")
            seen.add(name)
    return members


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise PayloadError("body", f"has a number of more than {LONGEST_NUMBER} characters")
    return int(text)


def _fraction(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise PayloadError("body", f"has a number of more than {LONGEST_NUMBER} characters")
    _, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > GREATEST_EXPONENT:
        raise PayloadError("body", f"has a number with an exponent beyond {GREATEST_EXPONENT}")
    return Decimal(text)


def _constant(name: str) -> NoReturn:
    raise PayloadError("body", f"has {name}, which is not JSON")


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return "a number"


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
)
