"""How single values of a rule file are understood: numbers, days, comparisons, roundings, names.

Each function takes the text as typed and raises ValueError with the rest of the sentence
`"..." is not a <what belongs here>`. Used by the tables in `words.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

from ledger.events import TOLD_BY_TOOLS, UNDOES
from ledger.money import exponent

from .model import Range, Rounding
from .reading import suggestion

NUMBER: Final = r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,8})?"
"""A number as people write it: ASCII digits and a decimal point; no sign, exponent or commas."""
_TIME: Final = r"([1-9][0-9]{0,3}) (minutes?|hours?)"
ROUND: Final = (
    rf"(up to|down to|to the nearest|half up to) {_TIME} per (entry|day|person and day|line)"
    rf"(?:, at least {_TIME})?"
)
_LONG_TIME: Final = rf"({NUMBER}) (minutes?|hours?)"
WORKING_TIME: Final = rf"{_LONG_TIME} per person and (day|week)"
NET: Final = r"net ([1-9][0-9]{0,2})"
PERCENT: Final = rf"({NUMBER}) ?%"
ENVIRONMENT_NAME: Final = r"\$\{([A-Z][A-Z0-9_]*)\}"

PRICEABLE: Final = tuple(
    kind for kind in TOLD_BY_TOOLS if kind not in UNDOES and kind != "invoice.changed"
)
"""Event kinds that a rule may name. What undoes something is the ledger's own work."""
TIME_KINDS: Final = ("time.logged", "time.total")
UNIT_KINDS: Final = ("usage.recorded",)
"""Events that have units, in `fields.quantity`."""
COST_KINDS: Final = ("expense.logged",)
"""Events that have a cost, in `fields.amount` and `fields.currency`."""

WEEKDAYS: Final = (
    *("monday", "tuesday", "wednesday", "thursday", "friday"),
    *("saturday", "sunday"),
)
"""In the order of `date.weekday()`."""
_DAY_SECONDS: Final = 24 * 3600

_COMPARISON: Final = re.compile(
    rf"(?P<word>at least|at most|more than|less than) (?P<limit>{NUMBER})"
    rf"|between (?P<low>{NUMBER}) and (?P<high>{NUMBER})|(?P<exact>{NUMBER})"
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def number(text: str) -> Decimal:
    """Return a number that may be zero; the spelling (120.00) keeps its decimals."""
    if re.fullmatch(NUMBER, text):
        return Decimal(text)
    if re.fullmatch(NUMBER, text.lstrip("0")):
        raise ValueError(" - write it without the zero in front")
    if re.fullmatch(r"[0-9.,' ]+", text):
        raise ValueError(" - write it with a decimal point and no other marks")
    raise ValueError("")


def signed(text: str) -> Decimal:
    """Return a number that may be below zero, as quantities and amounts of a line may be."""
    return -number(text[1:]) if text.startswith("-") else number(text)


def positive(text: str) -> Decimal:
    """Return a number above zero."""
    value = number(text)
    if not value:
        raise ValueError(" above zero")
    return value


def percent(text: str) -> Decimal:
    """Return the number of a percentage above nothing and not above all: "2.5 %" is 2.5."""
    found = re.fullmatch(PERCENT, text)
    if not found:
        raise ValueError("")
    value = Decimal(found[1])
    if not 0 < value <= 100:
        raise ValueError(": it is above 0 and at most 100")
    return value


def percentage(text: str) -> Decimal:
    """Return a percentage as a factor: "2.5 %" is 0.025."""
    return percent(text).scaleb(-2)


def word_or(
    words: tuple[str, ...], understand: Callable[[str], Decimal]
) -> Callable[[str], str | Decimal]:
    """Return a function that takes one of some words as it is, and other texts for numbers."""
    return lambda text: text if text in words else understand(text)


def whole(text: str) -> int:
    """Return a whole number, such as seconds."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,11}", text):
        raise ValueError("")
    return int(text)


def day(text: str) -> date:
    """Return a calendar day."""
    if not _DAY.fullmatch(text):
        raise ValueError("")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(": the calendar does not have it") from None


def is_comparison(text: str) -> bool:
    """Return whether a text compares in words, rather than being a text to look for."""
    return bool(re.match(r"(at least|at most|more than|less than|between) [0-9]", text))


def comparison(text: str) -> Range:
    """Return the range that a comparison in words means; a number alone means exactly that."""
    found = _COMPARISON.fullmatch(text)
    if not found:
        raise ValueError("")
    if found["word"]:
        limit = Decimal(found["limit"])
        is_included = found["word"] in ("at least", "at most")
        if found["word"] in ("at least", "more than"):
            return Range(text, low=limit, is_low_included=is_included)
        return Range(text, high=limit, is_high_included=is_included)
    if found["exact"]:
        return Range(text, low=Decimal(found["exact"]), high=Decimal(found["exact"]))
    low, high = Decimal(found["low"]), Decimal(found["high"])
    if low > high:
        raise ValueError(": the smaller number comes first")
    return Range(text, low=low, high=high)


def rounding(text: str) -> Rounding:
    """Return how hours are rounded."""
    found = re.fullmatch(ROUND, text)
    if not found:
        raise ValueError("")
    direction = {"up to": "up", "down to": "down"}.get(found[1], "nearest")
    step = _seconds(found[2], found[3])
    least = _seconds(found[5], found[6]) if found[5] else 0
    if max(step, least) > _DAY_SECONDS:
        raise ValueError(": more than a day")
    return Rounding(text, direction, step, least, found[4])


def _seconds(count: str, unit: str) -> int:
    seconds = Decimal(count) * (60 if unit.startswith("minute") else 3600)
    if seconds != int(seconds):
        raise ValueError(" - write whole seconds")
    return int(seconds)


def duration(text: str) -> int:
    """Return a time in seconds, of more than nothing and at most a day."""
    found = re.fullmatch(_LONG_TIME, text)
    if not found:
        raise ValueError("")
    seconds = _seconds(found[1], found[2])
    if not 0 < seconds <= _DAY_SECONDS:
        raise ValueError(": more than nothing, at most a day")
    return seconds


def hours_in_a_day(text: str) -> int:
    """Return the seconds of a working day."""
    return duration(f"{number(text):f} hours")


def working_time(text: str) -> tuple[int, str]:
    """Return a person's usual time in seconds, and what it is per: day or week."""
    found = re.fullmatch(WORKING_TIME, text)
    if not found:
        raise ValueError("")
    seconds = _seconds(found[1], found[2])
    if seconds > _DAY_SECONDS * (1 if found[3] == "day" else 7):
        raise ValueError(f": more than a {found[3]}")
    return seconds, found[3]


def days_until_due(terms: str) -> int:
    """Return the days that payment terms leave."""
    if terms == "due on receipt":
        return 0
    found = re.fullmatch(NET, terms)
    if not found:
        raise ValueError("")
    return int(found[1])


def terms(text: str) -> str:
    """Return payment terms that `days_until_due` understands."""
    days_until_due(text)
    return text


def currency(text: str) -> str:
    """Return an ISO 4217 code that has a minor unit."""
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ValueError(" - three capital letters")
    try:
        exponent(text)
    except ValueError:
        raise ValueError(": ISO 4217 does not list it, or it has no minor unit") from None
    return text


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def time_zone(text: str) -> str:
    """Return an IANA time zone name."""
    if text not in _time_zones():
        near = suggestion(text, _time_zones())
        raise ValueError(near if "did you mean" in near else "")
    return text


def event_kind(text: str) -> str:
    """Return an event kind that rules may name, or a pattern that stands for some."""
    if "*" in text and any(_looks_like(text, kind) for kind in PRICEABLE):
        return text
    if text in UNDOES:
        undone = " and ".join(UNDOES[text])
        raise ValueError(f" - what {undone} earned is taken back without any rule")
    if text not in PRICEABLE:
        raise ValueError(suggestion(text, PRICEABLE))
    return text


@lru_cache(maxsize=256)
def kinds_named(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the event kinds that kinds and patterns stand for."""
    return tuple(k for k in PRICEABLE if any(_looks_like(pattern, k) for pattern in patterns))


def _looks_like(pattern: str, kind: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), kind))


def form(expression: str) -> Callable[[str], str]:
    """Return a function that takes texts of one form as they are."""
    compiled = re.compile(expression)

    def understand(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError("")
        return text

    return understand


def environment_name(text: str) -> str:
    """Return NAME of ${NAME}."""
    found = re.fullmatch(ENVIRONMENT_NAME, text)
    if not found:
        raise ValueError(
            " - secrets are named, never written: set it in the environment, write ${ITS_NAME} here"
        )
    return found[1]


def environment_names(text: str) -> list[str]:
    """Return every NAME of ${NAME} in a setting; raise ValueError if one is misspelled."""
    if "${" in re.sub(ENVIRONMENT_NAME, "", text):
        raise ValueError(" - a name in ${} has capital letters, digits and _ only")
    return re.findall(ENVIRONMENT_NAME, text)
