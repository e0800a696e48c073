"""What conditions say about each other: whether one lies within another, which event fits both.

Everything here is sound: what is claimed holds for every event. It is not complete: where the
answer is not certain, nothing is claimed. Called by `notes.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice, product
from typing import Any, Final

from ledger.events import Event

from .matching import Seen, Test, compiled, fits_wildcard
from .model import (
    BillableCondition,
    Condition,
    DayCondition,
    Person,
    Range,
    RangeCondition,
    TextCondition,
)
from .phrases import PRICEABLE, TIME_KINDS

MOST_STATES: Final = 5_000
"""How many steps are tried to find a text that fits several patterns."""
MOST_CHOICES: Final = 500
"""How many ways of taking one pattern of each condition are tried."""
_ONE_VALUE: Final = ("source", "endpoint", "project", "item", "title")
"""The keys of which an event has one value."""
_SOME_DAY: Final = date(2026, 1, 1)


class UndecidedError(Exception):
    """Whether there is such a text was not found out within the limit."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An event as somebody could have worked it."""

    event: Event
    person: Person | None

    def in_words(self) -> str:
        """Return it as `given:` of a test has it."""
        event = self.event
        said: dict[str, Any] = {
            "event": event.kind,
            "source": event.source,
            "endpoint": event.endpoint,
            "project": event.project,
            "item": event.item,
            "title": event.title,
            "person": self.person.name if self.person else None,
            "seconds": event.seconds,
            "billable": None if event.billable is None else "yes" if event.billable else "no",
            "labels": f"[{', '.join(event.labels)}]" if event.labels else None,
            "on": event.on,
        }
        words = [f"{name}: {value}" for name, value in said.items() if value not in (None, "")]
        if event.fields:
            fields = ", ".join(f"{name}: {value}" for name, value in event.fields.items())
            words.append(f"fields: {{{fields}}}")
        return f"{{{', '.join(words)}}}"


def lies_within(narrow: Sequence[Condition], wide: Sequence[Condition]) -> bool:
    """Return whether no event that `wide` refuses can get through `narrow`.

    It holds for what is not known yet, too: where `wide` is in doubt, it is not passed over.
    """
    return all(
        _is_always_true(other) or any(_is_within(each, other) for each in narrow) for other in wide
    )


def can_both_fit(one: TextCondition, other: TextCondition) -> bool:
    """Return False if no single text fits both for certain."""
    try:
        pairs = product(one.patterns, other.patterns)
        return any(common_text(pair) is not None for pair in pairs)
    except UndecidedError:
        return True


def _is_within(narrow: Condition, wide: Condition) -> bool:
    match narrow, wide:
        case TextCondition(key="event"), TextCondition(key="event"):
            return set(_kinds(narrow)) <= set(_kinds(wide))
        case TextCondition(), TextCondition() if narrow.key == wide.key:
            return all(any(_covers(big, p) for big in wide.patterns) for p in narrow.patterns)
        case RangeCondition(), RangeCondition() if narrow.key == wide.key:
            return _is_range_within(narrow.range, wide.range)
        case DayCondition(), DayCondition():
            starts = wide.first is None or (narrow.first is not None and wide.first <= narrow.first)
            ends = wide.last is None or (narrow.last is not None and narrow.last <= wide.last)
            return starts and ends
        case _:
            return narrow == wide


def _is_always_true(condition: Condition) -> bool:
    return (
        isinstance(condition, TextCondition)
        and condition.key == "event"
        and len(_kinds(condition)) == len(PRICEABLE)
    )


def _kinds(condition: TextCondition) -> list[str]:
    return [kind for kind in PRICEABLE if any(_fits(p, kind) for p in condition.patterns)]


def _fits(pattern: str, text: str) -> bool:
    if "*" not in pattern:
        return pattern.casefold() == text.casefold()
    return fits_wildcard(pattern.casefold().split("*"), text.casefold())


def _covers(wide: str, narrow: str) -> bool:
    """Return whether a pattern fits every text that another one fits.

    A star of the other stands for any text, so it is taken for a letter that nobody writes:
    only a star fits it.
    """
    return _fits(wide, narrow.replace("*", "\0"))


def _is_range_within(narrow: Range, wide: Range) -> bool:
    if wide.low is not None:
        if narrow.low is None or narrow.low < wide.low:
            return False
        if narrow.low == wide.low and narrow.is_low_included and not wide.is_low_included:
            return False
    if wide.high is not None:
        if narrow.high is None or narrow.high > wide.high:
            return False
        if narrow.high == wide.high and narrow.is_high_included and not wide.is_high_included:
            return False
    return True


def common_text(patterns: Sequence[str]) -> str | None:
    """Return a text that fits all patterns, None if there is none.

    Raise UndecidedError if it would take too long to say.
    """
    exact = [pattern for pattern in patterns if "*" not in pattern]
    if exact:
        return exact[0] if all(_fits(pattern, exact[0]) for pattern in patterns) else None
    easy = patterns[0].replace("*", "x")
    if all(_fits(pattern, easy) for pattern in patterns):
        return easy
    folded = [pattern.casefold() for pattern in patterns]
    letters = sorted({letter for pattern in folded for letter in pattern} - {"*"}) or ["x"]
    start = (0,) * len(folded)
    found = {start: ""}
    waiting = deque([start])
    while waiting:
        at = waiting.popleft()
        if all(position == len(p) for position, p in zip(at, folded, strict=True)):
            return found[at] or "x"
        for step, letter in [*_past_stars(at, folded), *_past_letters(at, folded, letters)]:
            if step not in found:
                found[step] = found[at] + letter
                waiting.append(step)
        if len(found) > MOST_STATES:
            raise UndecidedError
    return None


_Position = tuple[int, ...]


def _past_stars(at: _Position, patterns: Sequence[str]) -> Iterable[tuple[_Position, str]]:
    for number, pattern in enumerate(patterns):
        if pattern[at[number] : at[number] + 1] == "*":
            yield (*at[:number], at[number] + 1, *at[number + 1 :]), ""


def _past_letters(
    at: _Position, patterns: Sequence[str], letters: Sequence[str]
) -> Iterable[tuple[_Position, str]]:
    next_ones = [p[position : position + 1] for position, p in zip(at, patterns, strict=True)]
    for letter in letters:
        if all(each in ("*", letter) for each in next_ones):
            moved = zip(at, next_ones, strict=True)
            yield tuple(place + (each != "*") for place, each in moved), letter


def scene_of(
    conditions: Sequence[Condition],
    people: Sequence[Person],
    *,
    on: date | None = None,
    kind: str | None = None,
) -> Scene | None:
    """Return an event that fits all conditions, None if none was found.

    `people` may have worked; with `on` and `kind` it is of that day and kind. What is returned
    was asked: it does fit.
    """
    try:
        made = _made(conditions, on, kind)
    except UndecidedError:
        return None
    if made is None:
        return None
    tests = [compiled(condition) for condition in conditions]
    asks = any(
        isinstance(condition, TextCondition) and condition.key in ("person", "role")
        for condition in conditions
    )
    for person in people if asks else [None]:
        if fits(tests, Seen(made, person)):
            return Scene(made, person)
    return None


def fits(tests: Sequence[Test], seen: Seen) -> bool | None:
    """Return whether all tests say yes; None if one cannot say, and none says no."""
    answers = [test(seen) for test in tests]
    if False in answers:
        return False
    return None if None in answers else True


def _made(conditions: Sequence[Condition], on: date | None, kind: str | None) -> Event | None:
    texts: dict[str, list[tuple[str, ...]]] = {}
    ranges: dict[str, list[Range]] = {}
    kinds = [kind] if kind else list(PRICEABLE)
    billable: bool | None = None
    for condition in conditions:
        match condition:
            case TextCondition(key="event"):
                kinds = [each for each in kinds if each in _kinds(condition)]
            case TextCondition():
                texts.setdefault(condition.key, []).append(condition.patterns)
            case RangeCondition():
                ranges.setdefault(condition.key, []).append(condition.range)
            case BillableCondition():
                billable = condition.is_billable
    day = on or _day(conditions)
    if not kinds or day is None:
        return None
    single: dict[str, Any] = {"source": "", "endpoint": "", "project": "PROJECT"}
    for key in _ONE_VALUE:
        if key in texts:
            single[key] = _one_text(texts[key])
    fields = {key: _one_text(found) for key, found in texts.items() if key.startswith("fields.")}
    numbers = {key: _number(found) for key, found in ranges.items()}
    if None in (*single.values(), *fields.values(), *numbers.values()):
        return None
    seconds = numbers.pop("seconds", None)
    told = {key.removeprefix("fields."): value for key, value in {**fields, **numbers}.items()}
    labels = [_one_text([patterns]) for patterns in texts.get("labels", ())]
    return Event(
        kind=kinds[0],
        **single,
        subject="example",
        version=0,
        occurred_at=datetime.combine(day, time(12), UTC),
        on=day,
        seconds=int(seconds) if seconds is not None else 3600 if kinds[0] in TIME_KINDS else None,
        billable=billable,
        labels=tuple(dict.fromkeys(label for label in labels if label)),
        fields=told,
    )


def _one_text(conditions: Sequence[tuple[str, ...]]) -> str | None:
    """Return a text that fits one pattern of each condition."""
    for patterns in islice(product(*conditions), MOST_CHOICES):
        if (text := common_text(patterns)) is not None:
            return text
    return None


def _number(ranges: Sequence[Range]) -> Decimal | None:
    """Return a number in all ranges, a whole one if there is."""
    limits = [limit for each in ranges for limit in (each.low, each.high) if limit is not None]
    lows = [each.low for each in ranges if each.low is not None]
    highs = [each.high for each in ranges if each.high is not None]
    tries = [Decimal(3600), *limits, *(limit + 1 for limit in limits)]
    tries += [limit - 1 for limit in limits if limit >= 1]
    if lows and highs:
        tries.append((max(lows) + min(highs)) / 2)
    whole = sorted(tries, key=lambda value: value != int(value))
    within = (value for value in whole if all(_is_in(each, value) for each in ranges))
    return next(within, None)


def _is_in(limits: Range, value: Decimal) -> bool:
    exactly = Range("", low=value, high=value)
    return _is_range_within(exactly, limits)


def _day(conditions: Sequence[Condition]) -> date | None:
    """Return a day that fits, the first one if there is a first."""
    days = [condition for condition in conditions if isinstance(condition, DayCondition)]
    first = max((each.first for each in days if each.first), default=None)
    last = min((each.last for each in days if each.last), default=None)
    if first is None:
        return _SOME_DAY if last is None or last >= _SOME_DAY else last - timedelta(days=1)
    return first if last is None or first <= last else None
