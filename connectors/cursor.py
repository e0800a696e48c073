"""How far a poll has come, as the text that is stored between two calls of `changes_since`.

A connector's cursor is a frozen dataclass; this base writes its fields and reads them by their
types. Tools differ in what a poll needs to go on, not in how it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from datetime import UTC, date, datetime
from types import NoneType
from typing import Any, Final, Self, get_args, get_origin, get_type_hints

from ledger.errors import RejectedError

LARGEST: Final = 2**53
"""Greater numbers, and negative ones, are none that a cursor holds."""
YEARS: Final = range(2000, 9000)
"""Moments and days of other years cannot be moved back or on without care."""


class Cursor:
    """Base of a cursor's dataclass. Fields are moments, days, whole numbers, texts, or cursors.

    They may be None, or `tuple[..., ...]` and `Mapping[str, ...]` of these. `__post_init__` may
    refuse what cannot be with a ValueError.
    """

    __slots__ = ()

    @property
    def text(self) -> str:
        """Return the cursor as it is stored. What is as by default is left out."""
        return json.dumps(_told(self))

    @classmethod
    def read(cls, text: str, tool: str) -> Self:
        """Return a stored cursor; raise RejectedError for a text that is none."""
        try:
            found: Self = _read(cls, json.loads(text))
        except (ValueError, TypeError, LookupError) as error:
            raise unreadable(tool) from error
        return found


def unreadable(tool: str) -> RejectedError:
    """Return the error for a text that is no cursor of the tool's."""
    return RejectedError(
        f"{tool}: where the last poll ended cannot be read - run `flask sync` with the endpoint's "
        "name and --anew, then `flask sources reconcile` for what was done since"
    )


def _told(value: object) -> object:
    if isinstance(value, Cursor):
        return {
            each.name: _told(getattr(value, each.name))
            for each in fields(value)  # type: ignore[arg-type]
            if getattr(value, each.name) != _default(each)
        }
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_told(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _told(each) for name, each in value.items()}
    return value


def _default(each: Field[Any]) -> object:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _read(kind: Any, told: Any) -> Any:
    """Return a value of a type; raise ValueError, TypeError or LookupError if it is none."""
    parts = get_args(kind)
    if NoneType in parts:
        (kind,) = (each for each in parts if each is not NoneType)
        return None if told is None else _read(kind, told)
    if get_origin(kind) is tuple:
        return tuple(_read(parts[0], each) for each in _of(list, told))
    if get_origin(kind) is Mapping:
        return {name: _read(parts[1], each) for name, each in _of(dict, told).items()}
    if isinstance(kind, type) and issubclass(kind, Cursor):
        make: Any = kind
        types = get_type_hints(kind)
        return make(**{name: _read(types[name], each) for name, each in _of(dict, told).items()})
    if kind in (datetime, date):
        moment = kind.fromisoformat(_of(str, told))
        if moment.year not in YEARS or (kind is datetime and moment.tzinfo is None):
            raise ValueError
        return moment.astimezone(UTC) if kind is datetime else moment
    if kind is int and not 0 <= _of(int, told) < LARGEST:
        raise ValueError
    return _of(kind, told)


def _of(kind: type, told: Any) -> Any:
    if type(told) is not kind:
        raise TypeError
    return told
