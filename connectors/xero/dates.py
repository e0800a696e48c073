"""Xero's moments and days, in both of the ways in which it writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_MICROSOFT: Final = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(told: str) -> datetime:
    """Return a moment in either of the two ways in which Xero writes one; raise ValueError.

    An offset behind milliseconds is to be added. Without an offset UTC is meant.
    https://developer.xero.com/documentation/api/accounting/requests-and-responses

    >>> moment("/Date(1573755038314)/").isoformat(), moment("2019-11-14T18:10:38.314").isoformat()
    ('2019-11-14T18:10:38.314000+00:00', '2019-11-14T18:10:38.314000+00:00')
    """
    found = _MICROSOFT.fullmatch(told)
    if found is None:
        plain = datetime.fromisoformat(told)
        return plain.astimezone(UTC) if plain.tzinfo else plain.replace(tzinfo=UTC)
    offset = found[2] or "+0000"
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    shift = timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    try:
        return _EPOCH + timedelta(milliseconds=int(found[1])) + shift
    except OverflowError:
        raise ValueError(f"{told} is no moment of our calendar") from None


def day(told: str) -> date:
    """Return the day of a moment, as it is written there."""
    return moment(told).date()
